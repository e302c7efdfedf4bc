"""What the check of X costs, in passes over X: ``python benchmarks/validation.py --data DIR``.

One pass is X @ w, by SciPy for a sparse X and by NumPy's BLAS for a dense one, on one thread. The check alone reads X
once, and follows no index before it has seen it; no caller makes it alone but for sparse input to estimators that split
X. `check + moments` is what `solve` does: the same read also sums up the squares and products of the columns, which the
solvers need in any case. CPU seconds, the least of several runs in turn.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from time import process_time
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported

import numpy as np  # noqa: E402
import problems  # noqa: E402

from l1fast._design import check_storage, measure_storage  # noqa: E402
from l1fast._validation import as_storage  # noqa: E402

TARGET = 1 / 3
"""Of a pass: what the check may cost."""

NAMES = ("debian-words", "debian-words@csc", "wide", "wide@F", "wide@float32")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--problems", nargs="+", default=NAMES, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    return parser.parse_args()


def least(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The least CPU seconds of each, in turn, after one round that does not count."""
    seconds = dict.fromkeys(calls, np.inf)
    for k in range(rounds + 1):
        for name, call in calls.items():
            start = process_time()
            call()
            if k:
                seconds[name] = min(seconds[name], process_time() - start)
    return seconds


def main() -> None:
    asked = arguments()
    if asked.data:
        os.environ["L1FAST_BENCH_DATA"] = asked.data
    print(f"{'X':<20}{'pass, ms':>10}{'check, ms':>11}{'of a pass':>11}{'check + moments':>17}{'of a pass':>11}")
    worst = 0.0
    for name in asked.problems:
        X = problems.load(name).X
        storage, w, v = as_storage(X), np.ones(X.shape[1], X.dtype), np.ones(X.shape[0])
        found = least(
            {
                "pass": lambda X=X, w=w: X @ w,
                "check": lambda storage=storage: check_storage(storage),
                "measured": lambda storage=storage, v=v: measure_storage(storage, None, v, False, 1),
            },
            asked.rounds,
        )
        parts = [found[one] / found["pass"] for one in ("check", "measured")]
        worst = max(worst, parts[0])
        print(
            f"{name:<20}{1e3 * found['pass']:>10.3f}{1e3 * found['check']:>11.3f}{parts[0]:>11.2f}"
            f"{1e3 * found['measured']:>17.3f}{parts[1]:>11.2f}"
        )
    print(f"\nthe check costs {worst:.2f} of a pass at most; the target is {TARGET:.2f}")


if __name__ == "__main__":
    main()
