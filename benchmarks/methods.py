"""Every method of l1fast side by side, for the page "Which method?": ``python benchmarks/methods.py``.

For each problem at lam_max / 100: one `l1fast.compare` of all solvers, each to its best within the time limit, and one
of the same solvers polished. Writes PROBLEM.txt (the table), PROBLEM.json and PROBLEM.png, and PROBLEM-polished.txt.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

RATIO = 0.01
TOL = 1e-12  # below what first-order methods reach in a minute: each gets to its best
POLISHED_TOL = 1e-10
DOTS_PER_INCH = 110


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--problems", nargs="+", default=["debian-words", "wide"], metavar="NAME")
    parser.add_argument("--solvers", nargs="+", metavar="NAME", help="all of them by default")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="seconds for each solver")
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where to write")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read when NumPy is imported: hence the late imports below
    if args.data:
        os.environ["L1FAST_BENCH_DATA"] = args.data

    import problems

    import l1fast

    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.problems:
        problem = problems.load(name)
        lam = RATIO * problem.lam_max()
        limits = {"solvers": args.solvers, "time_limit": args.time_limit, "n_threads": 1}
        found = l1fast.compare(problem.X, problem.y, lam, tol=TOL, **limits)
        polished = l1fast.compare(problem.X, problem.y, lam, tol=POLISHED_TOL, polish=True, **limits)
        for table, kind in ((found, ""), (polished, "-polished")):
            print(table, end="\n\n", flush=True)
            (args.out / f"{name}{kind}.txt").write_text(f"{table}\n")
            (args.out / f"{name}{kind}.json").write_text(json.dumps(table.as_dict(), indent=1, allow_nan=False) + "\n")
        figure = found.plot()[0].figure
        figure.savefig(args.out / f"{name}.png", dpi=DOTS_PER_INCH)


if __name__ == "__main__":
    main()
