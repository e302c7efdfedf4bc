"""Long calls into compiled code that look at no clock and no signal: made in a thread while the caller looks at both.

A copy of a large matrix, a factor by LAPACK, an epoch over 100 million entries: none can be broken off. So `patiently`
has another thread make the call, and the caller waits for it: Ctrl-C is raised here at once, and so is `OutOfTime`
once the limit in force (`until`) has passed. The call then goes on to its end unheeded, and what it returns or writes
is dropped: it must own, or share with nothing that lives on, whatever it writes to. It must let go of the interpreter's
lock, as the kernels, NumPy and SciPy's sparse matrices do, but not `scipy.linalg`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

import numpy as np

T = TypeVar("T")

LONG = 20_000_000
"""Numbers copied or multiplied and added, above which a call may take 20 ms: 200 times what a thread costs."""

FLOPS_A_COPY = 10
"""Multiply-adds of BLAS or LAPACK in the time that a copy takes for one number."""

COPIES_A_TRIPLET = 10
"""What the conversion of one triplet of row, column and value costs, in copies of a number."""

LOOK_EVERY = 0.01
"""Seconds between two looks at the limit while a call is under way; a signal is seen at once."""


class OutOfTime(Exception):
    """The limit in force passed during a long call."""


_over: ContextVar[Callable[[], bool] | None] = ContextVar("over", default=None)


@contextmanager
def until(over: Callable[[], bool] | None) -> Iterator[None]:
    """Long calls within are given up, by `OutOfTime`, as soon as over() is true; None: never."""
    token = _over.set(over)
    try:
        yield
    finally:
        _over.reset(token)


def look() -> None:
    """Raise `OutOfTime` if the limit in force has passed."""
    over = _over.get()
    if over is not None and over():
        raise OutOfTime


def patiently(work: Callable[[], T], size: float) -> T:
    """What work() returns.

    size : numbers that it copies, or multiplies and adds. Below LONG, and where nobody could break in, it is just
    called.
    """
    over = _over.get()
    main = threading.current_thread() is threading.main_thread()
    if size < LONG or (over is None and not main):
        return work()
    look()
    done, made, raised = threading.Event(), list[T](), list[BaseException]()
    errors, context = np.geterr(), copy_context()

    def call() -> None:
        try:
            with np.errstate(**errors):  # NumPy 1 keeps it by thread, not by context
                made.append(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            raised.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=call, name="l1fast-call", daemon=True).start()
    except RuntimeError:  # the system gives no thread
        return work()
    while not done.wait(LOOK_EVERY if over is not None else 1.0):
        look()
    if raised:
        raise raised[0]
    return made[0]
