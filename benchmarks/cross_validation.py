"""LassoCV against scikit-learn's at the same certified gap: ``python benchmarks/cross_validation.py --data DIR``.

5 folds, 100 alphas, as many cores for both. Every fit of every fold has a relative gap of at most GAP (scikit-learn's
tol is half of it, since it counts in ||y||^2; the estimators' tol is chosen so that folds aim at it). One child process
for each run; the clock runs from the call of ``fit`` to its end, and the CPU seconds of all threads and workers are
told beside it: on a busy machine compare those. A sparse X is timed without an intercept too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

GAP = 2e-4
FOLD_POWER = 1.5  # folds of tol t aim at 2 t^1.5
PROBLEMS = ["debian-words", "tall", "wide"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--problems", nargs="+", default=PROBLEMS, metavar="NAME")
    parser.add_argument(
        "--gap", type=float, default=GAP, metavar="G", help="relative gap of every fit (default %(default)g)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="folds at once, for both")
    parser.add_argument("--time-limit", type=float, default=600.0, metavar="S", help="seconds for each run")
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def child(package: str, name: str, intercept: str, gap: float, jobs: int) -> None:
    """One fit; its figures as JSON on standard output."""
    import warnings

    import numpy as np
    import problems
    import scipy.sparse as sp

    problem = problems.load(name)
    X, y = problem.X, problem.y
    options = {"cv": 5, "n_jobs": jobs, "fit_intercept": intercept == "intercept"}
    if package == "l1fast":
        from l1fast.estimators import LassoCV

        estimator = LassoCV(alphas=100, tol=(gap / 2) ** (1 / FOLD_POWER), **options)
    else:
        from sklearn.linear_model import LassoCV

        estimator = LassoCV(alphas=100, tol=gap / 2, max_iter=1_000_000, **options)
        X = X.tocsc() if sp.issparse(X) else np.asfortranarray(X)  # what it likes best, outside the clock
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        began, before = time.perf_counter(), sum(os.times()[:4])  # user and system, of the workers too
        estimator.fit(X, y)
    wall, cpu = time.perf_counter() - began, sum(os.times()[:4]) - before
    figures = {"wall": wall, "cpu": cpu, "alpha": float(estimator.alpha_)}
    figures["mse"] = float(estimator.mse_path_.mean(axis=1).min())
    print(json.dumps(figures))


def run(package: str, name: str, intercept: str, args: argparse.Namespace) -> dict[str, float] | None:
    """The figures of one child, or None past the time limit."""
    command = [sys.executable, __file__, "--child", package, name, intercept]
    command += ["--gap", repr(args.gap), "--jobs", str(args.jobs)]
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    data = {"L1FAST_BENCH_DATA": args.data} if args.data else {}
    try:
        done = subprocess.run(
            command, env={**os.environ, **threads, **data}, timeout=args.time_limit, check=True, capture_output=True
        )
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout)


def main() -> None:
    args = arguments()
    if args.child:
        child(*args.child, args.gap, args.jobs)
        return
    print("| problem | intercept | l1fast | CPU | scikit-learn | CPU | ratio | ratio of CPU | alpha / scikit-learn's |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in args.problems:
        for intercept in ("intercept", "none") if name == "debian-words" else ("intercept",):
            ours, theirs = run("l1fast", name, intercept, args), run("sklearn", name, intercept, args)
            if ours is None:
                print(f"| {name} | {intercept} | > {args.time_limit:.0f} s | | | | | | |", flush=True)
                continue
            row = f"| {name} | {intercept} | {ours['wall']:.2f} s | {ours['cpu']:.2f} s |"
            if theirs is None:
                row += f" > {args.time_limit:.0f} s | | > {args.time_limit / ours['wall']:.1f}x | | |"
            else:
                row += f" {theirs['wall']:.2f} s | {theirs['cpu']:.2f} s | {theirs['wall'] / ours['wall']:.1f}x |"
                row += f" {theirs['cpu'] / ours['cpu']:.1f}x | {ours['alpha'] / theirs['alpha']:.3f} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
