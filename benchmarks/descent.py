"""The Huber gradient and the Huber descent against NumPy and SciPy: ``python benchmarks/descent.py``.

fused    one call for X'(Xw - y) + lam clip(w / mu, -1, 1), rows as they come and sorted by length (sparse X), against
         X.T @ (X @ w - y) + lam * np.clip(w / mu, -1, 1)
descent  one step of huber_descent, certificates every tenth step included, against a step of its literal transcription,
         with X'X not formed (x = X) and formed (x = X'X)

NumPy has X in its fastest form: as it is, in float64, and, for a sparse X, in float64 as CSC or with the transpose
stored too. The transcription keeps no points. One thread; the best of some runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable

NAMES = ("debian-words", "debian-bigrams", "wide", "wide@C@float32", "wide@F", "golub", "tall")
RATIO, MU = 0.01, 0.005
RUNS = 7
FEW, MANY, MANY_SHORT = 100, 300, 20_100  # a step: many steps less FEW, in which X is copied or X'X made


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--problems", nargs="+", default=NAMES, metavar="NAME")
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    return parser.parse_args()


def best(call: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds of the fastest of some calls."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    args = arguments()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read when NumPy is imported: hence the late imports below
    if args.data:
        os.environ["L1FAST_BENCH_DATA"] = args.data

    import numpy as np
    import problems
    import scipy.sparse as sp

    import l1fast
    from l1fast._penalties import ElasticNet
    from l1fast._smoothing import Smoothing
    from l1fast._solve import make_problem
    from l1fast._validation import as_storage

    def forms(X):
        """X as NumPy may have it, each with its transpose."""
        wide = X.astype(np.float64)
        made = [(X, X.T), (wide, wide.T)]
        return [*made, (wide, wide.T.tocsr()), (wide.tocsc(), wide.tocsc().T)] if sp.issparse(X) else made

    def fused(problem, lam) -> tuple[float, float, float]:
        """Seconds of the call as the rows come, with rows sorted, and of NumPy."""
        X, y = problem.X, problem.y.astype(np.float64)
        ours = make_problem(as_storage(X), y, ElasticNet(lam), False, None, 1)
        n, p = X.shape
        w, q, g = np.random.default_rng(0).standard_normal(p) * MU, np.empty(n), np.empty(p)
        seconds = [
            best(lambda made=made: made.smooth_gradient(Smoothing("huber", MU), w, q, g, made.scratch()))
            for made in (ours, ours.by_length)
        ]
        twin = min(best(lambda A=A, AT=AT: AT @ (A @ w - y) + lam * np.clip(w / MU, -1, 1)) for A, AT in forms(X))
        return seconds[0], seconds[1], twin

    def step(problem, lam, gram: bool) -> tuple[float, float]:
        """Seconds of a step of huber_descent and of its transcription."""
        X, y = problem.X, problem.y.astype(np.float64)
        start, settings = np.zeros(X.shape[1]), l1fast.HuberDescent(mu=MU, gram=gram)

        def solve(steps: int) -> float:
            options = {"solver": settings, "tol": 0, "start": start, "n_threads": 1}
            return min(l1fast.solve(X, y, lam, max_iter=steps, **options).seconds for _ in range(3))

        def transcription(multiply: Callable) -> float:
            x, Ab, scale = start, X.T @ y, 1e-9  # any step length: the time is the same

            def walk() -> None:
                nonlocal x
                for k in range(2, 22):
                    mu, length = MU / np.log2(k), scale / np.log2(k)
                    slope = (np.abs(x) <= mu) * (x / mu) + (np.abs(x) > mu) * np.sign(x)
                    x = x - length * (multiply(x) - Ab + lam * slope)

            return best(walk, 3) / 20

        if gram:
            AA = X.T @ X
            twin = transcription(lambda x: AA @ x)
        else:
            twin = min(transcription(lambda x, A=A, AT=AT: AT @ (A @ x)) for A, AT in forms(X))
        many = MANY_SHORT if gram else MANY
        return (solve(many) - solve(FEW)) / (many - FEW), twin

    warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
    print(
        "| problem | fused | rows sorted | NumPy | ratio | descent, x = X | NumPy | ratio | x = X'X | NumPy | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in args.problems:
        try:
            problem = problems.load(name)
        except problems.Missing as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        lam = RATIO * problem.lam_max()
        plain, ordered, twin = fused(problem, lam)
        cells = [f"{1e3 * plain:.3g} ms", f"{1e3 * ordered:.3g} ms", f"{1e3 * twin:.3g} ms"]
        cells += [f"{twin / plain:.1f}x, {twin / ordered:.1f}x" if sp.issparse(problem.X) else f"{twin / plain:.1f}x"]
        tall = not sp.issparse(problem.X) and problem.X.shape[0] > problem.X.shape[1]
        for gram in (False, True):
            if gram and not tall:
                cells += ["", "", ""]
                continue
            ours, twin = step(problem, lam, gram)
            cells += [f"{1e3 * ours:.3g} ms", f"{1e3 * twin:.3g} ms", f"{twin / ours:.1f}x"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
