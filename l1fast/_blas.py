"""The BLAS of SciPy and NumPy, held at one thread while solves run.

Threads of OpenBLAS wait actively for each other: beside any other work, a Cholesky factor of a 400 x 400 Gram matrix
took 250 ms on four of them in place of 0.7 ms on one (measured), and with the machine to themselves they gain little at
the sizes of working sets. The threads of a solve are those of `_kernels.parallel`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAMES = (
    *(
        (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
        for prefix in ("scipy_", "")
        for suffix in ("", "64_")
    ),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)
"""How libraries call the two functions that read and set their threads: OpenBLAS in wheels and elsewhere, MKL."""


class Control(NamedTuple):
    """The number of threads of one loaded BLAS."""

    get: Callable[[], int]
    set: Callable[[int], Any]


@cache
def controls() -> tuple[Control, ...]:
    """The libraries behind SciPy's compiled BLAS and NumPy's; those of unknown make are left out, and alone."""
    found: dict[int, Control] = {}
    for name in ("scipy.linalg.cython_blas", "numpy.linalg._umath_linalg"):
        for library in _libraries(Path(str(import_module(name).__file__))):
            for get, set_ in NAMES:
                if hasattr(library, get) and hasattr(library, set_):
                    control = Control(getattr(library, get), getattr(library, set_))
                    found[ctypes.cast(library[set_], ctypes.c_void_p).value or 0] = control
    return tuple(found.values())


def _libraries(module: Path) -> Iterator[ctypes.CDLL]:
    """Where to look for symbols: the module, which finds those of what it is linked to, but on Windows."""
    bundled = module.parents[2].glob(f"{module.parents[1].name}.libs/*openblas*") if os.name == "nt" else ()
    for path in (module, *bundled):
        try:
            yield ctypes.CDLL(str(path))
        except OSError:
            continue


def limited() -> bool:
    """Whether this process may map so many bytes only (ulimit -v)."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def take_buffers() -> None:
    """Have BLAS map, now, what it needs for one caller; MemoryError if that is more than the process may.

    OpenBLAS ends the process where it finds no room for its buffers, so it must not look for it amid a solve.
    """
    from scipy.linalg.blas import dgemm

    needed = BUFFER * max(1, len(controls()))
    try:
        np.empty(needed, dtype=np.uint8)
    except MemoryError:
        raise MemoryError(
            f"BLAS may need {needed:,} bytes for its buffers, more than the limit of this process (ulimit -v) leaves; "
            "raise that limit"
        ) from None
    some = np.ones((ENOUGH, ENOUGH))
    np.matmul(some, some.copy())
    dgemm(1.0, some, some)


BUFFER = 2**25 + 2**21
"""Bytes that OpenBLAS maps for each of the callers that it has at once: 32 MB and a little (seen on x86-64)."""

ENOUGH = 256
"""Order of a product for which it takes them."""


_lock = threading.Lock()
_holders = 0
_before: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """One BLAS thread for all, until the last of those who hold it lets go."""
    global _holders
    if limited():
        take_buffers()
    with _lock:
        if _holders == 0:
            _before[:] = [control.get() for control in controls()]
            _set([1] * len(_before))
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _set(_before)


def _set(numbers: list[int]) -> None:
    for control, number, before in zip(controls(), numbers, _before, strict=True):
        if before > 1:
            control.set(number)


def _after_fork() -> None:
    """In a forked child no other thread solves."""
    global _lock, _holders
    _lock = threading.Lock()
    if _holders:
        _holders = 0
        _set(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
