"""How many threads a solve takes, when nobody says."""

from __future__ import annotations

import os
import sys
import threading
from functools import cache
from pathlib import Path

DENSE_PER_THREAD, SPARSE_PER_THREAD = 500_000, 125_000
"""Stored entries that each thread must have to pay: about 0.15 ms of work, ten times what it takes to wake a thread.

In a loop whose threads are still awake, as FISTA's, a fifth of that would do (measured); all solvers share one rule.
"""

CGROUP = Path("/sys/fs/cgroup")


def worthwhile(most: int, n_entries: int, sparse: bool) -> int:
    """How many of at most so many threads the size of X pays for."""
    return max(1, min(most, n_entries // (SPARSE_PER_THREAD if sparse else DENSE_PER_THREAD)))


def default_threads() -> int:
    """OMP_NUM_THREADS when set; else 1 where others are likely to be at work in parallel; else all usable cores."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # one number for each level of nesting
    if first.isdecimal() and int(first) > 0:
        return int(first)
    if threading.get_ident() != threading.main_thread().ident or _in_multiprocessing():
        return 1
    return usable_cores()


def _in_multiprocessing() -> bool:
    """Whether multiprocessing started this process; it is not imported to find out."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def usable_cores() -> int:
    """Cores that this process may run on, and no more than its container may keep busy."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


@cache
def _quota() -> int:
    """The cpu quota of the control group, in whole cores; Linux, version 2 or 1 of its interface."""
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((CGROUP / name).read_text(encoding="ascii") for name in names).split()
            if int(quota) > 0 and int(period) > 0:
                return -(-int(quota) // int(period))
        except (OSError, ValueError):  # no such file; "max" or anything else that sets no limit
            continue
    return sys.maxsize
