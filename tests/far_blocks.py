"""What the workers of a test run: blocks made anew from numbers, and functions that die, dawdle or eat memory."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from scipy import sparse

N, P = 1200, 150
CUTS = np.array([0, 100, 350, 350, 351, 600, 820, 1000, 1200])
"""Uneven blocks, one of them empty, one a single row."""


def design():
    return sparse.random_array((N, P), density=0.1, rng=np.random.default_rng(3), format="csr")


def target():
    X, rng = design(), np.random.default_rng(4)
    return X @ np.where(np.arange(P) < 12, 2.0, 0.0) + 0.3 * rng.standard_normal(N)


def block(k):
    """Block k as it comes: some in int64, some read-only, some in CSC."""
    made = design()[CUTS[k] : CUTS[k + 1]]
    if k % 3 == 0:
        made.indices, made.indptr = made.indices.astype(np.int64), made.indptr.astype(np.int64)
    if k % 3 == 1:
        for part in (made.data, made.indices, made.indptr):
            part.flags.writeable = False
    return made.tocsc() if k == 5 else made


def block_of_numbers(k, rows=400, columns=4000):
    """A dense block of 12.8 MB, mostly zeros."""
    made = np.zeros((rows, columns))
    made[:, :60] = np.random.default_rng(k).standard_normal((rows, 60))
    return made


def heavy(k, n_bytes):
    """A block that takes so many bytes on its way, if it is block 1."""
    if k == 1:
        held = np.ones(n_bytes // 8)
        time.sleep(2.0)
        del held
    return np.eye(5) + k


def warm():
    """Import what a block needs, so that no worker is late for the first."""
    import l1fast._dask

    return l1fast._dask.__name__


class Dying:
    """A function that kills its process at the first call for one block, and never again."""

    def __init__(self, work, flag, k):
        self.work, self.flag, self.k = work, Path(flag), k
        self.__name__ = work.__name__

    def __call__(self, first, *rest):
        here = first == self.k if isinstance(first, int) else first.name.startswith(f"block {self.k} ")
        if here and not self.flag.exists():
            self.flag.touch()
            time.sleep(0.1)  # what it said before has left the process
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(first, *rest)


class Slow:
    """A function that takes a while."""

    def __init__(self, work, seconds):
        self.work, self.seconds = work, seconds
        self.__name__ = work.__name__

    def __call__(self, *given, **named):
        time.sleep(self.seconds)
        return self.work(*given, **named)
