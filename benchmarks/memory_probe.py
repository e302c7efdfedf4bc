"""One solve in a process of its own: what it needs beyond X. Started by measure.peak_memory; prints JSON.

peak_rss     highest resident memory during the solve, less the resident memory just before it. Linux only: the
             high-water mark is reset through /proc/self/clear_refs. Elsewhere, the growth of the mark since the
             process began, which what happened before may hide.
peak_traced  highest memory NumPy and Python held during a second, identical solve, by tracemalloc. Memory that
             compiled code allocates for itself does not show here.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import resource
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import problems

import l1fast

KIB = 1024


def resident(mark: str) -> int | None:
    """Bytes: VmRSS is now, VmHWM the highest since the last reset."""
    try:
        found = re.search(rf"{mark}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found.group(1)) * KIB if found else None


def reset_high_water_mark() -> bool:
    """Whether the system allowed it."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # give freed memory back, or the solve would reuse it unseen
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def main(problem: str, solver: str, r: float, tol: float, time_limit: float, threads: int) -> dict:
    warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
    p = problems.load(problem)
    lam = r * p.lam_max()
    settings = {"solver": solver, "tol": tol, "time_limit": time_limit, "n_threads": threads}
    l1fast.solve(np.eye(3), np.ones(3), 0.5, **settings)  # imports, thread pools and BLAS buffers are not the solve's

    exact = reset_high_water_mark()
    before = resident("VmRSS") if exact else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    result = l1fast.solve(p.X, p.y, lam, **settings)
    after = resident("VmHWM") if exact else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    del result

    tracemalloc.start()
    result = l1fast.solve(p.X, p.y, lam, **settings)
    traced = tracemalloc.get_traced_memory()[1]
    return {
        "X_bytes": p.nbytes,
        "peak_rss": after - before,
        "peak_traced": traced,
        "exact": exact,
        "dual_gap": result.dual_gap,
        "conversion": result.conversion,
    }


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
