"""The benchmark of l1fast: ``python benchmarks/run.py``. README.md says what each column means."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

TABLES = ["import", "kernels", "gap", "memory"]
CONTEST = ["peers", "paths", "passes"]  # hours, and only when asked for


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny problems: checks the answers, says nothing of speed")
    parser.add_argument("--tables", nargs="+", choices=TABLES + CONTEST, help="all of them in a smoke run")
    parser.add_argument("--problems", nargs="+", metavar="NAME", help="such as debian-words, wide@F or tall@float32")
    parser.add_argument("--solvers", nargs="+", default=["auto", "fista", "numpy-fista"], metavar="NAME")
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.1, 0.01, 0.001], help="lam / lam_max")
    parser.add_argument("--tol", type=float, default=1e-6, help="relative gap to reach")
    parser.add_argument("--time-limit", type=float, default=60, metavar="S", help="seconds for one solve")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="of the tables peers and paths; all by default")
    parser.add_argument("--gaps", nargs="+", type=float, help="of the table peers; 1e-6 1e-10, in a smoke run 1e-6")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write a PNG a problem of the tables peers and paths")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write what is printed")
    args = parser.parse_args()
    args.tables = args.tables or (TABLES + CONTEST if args.smoke else TABLES)
    args.gaps = args.gaps or ([1e-6] if args.smoke else [1e-6, 1e-10])
    return args


def main() -> int:
    args = arguments()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(args.threads)  # read when NumPy is imported: hence the late imports below
    if args.data:
        os.environ["L1FAST_BENCH_DATA"] = args.data

    import contest
    import measure
    import tables

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what ends the run ends its children too
    run = tables.Run(args, tables.SMOKE if args.smoke else tables.WHOLE)
    machine = measure.machine(args.threads)
    document = ["# Results\n", *(f"- {name}: {value}" for name, value in machine.items()), ""]
    print("\n".join(document), flush=True)
    figures: dict = {"machine": machine, "settings": vars(args), "effort": asdict(run.effort), "tables": {}}

    def show(table: tables.Table) -> list[dict]:
        document.append(table.markdown())
        print(document[-1], flush=True)
        figures["tables"][table.title] = table.rows
        return table.rows

    if "import" in args.tables:
        show(tables.imports(run))
    if "kernels" in args.tables:
        rates = show(tables.bandwidth(run))[0]
        show(tables.soft_threshold(run))
        show(tables.fista_iterations(run, rates["best"]))
    if "gap" in args.tables:
        show(tables.time_to_gap(run))
    if "memory" in args.tables:
        show(tables.memory(run))
    if chosen := set(args.tables) & set(CONTEST):
        summaries: list[dict] = []
        names = contest.everyone(run)
        for name, make in {"peers": contest.time_to_gap, "paths": contest.paths}.items():
            if name in chosen:
                summary, *others = make(run, names)
                summaries += show(summary)
                for table in others:
                    show(table)
        if "passes" in chosen:
            show(contest.passes(run, summaries or contest.time_to_gap(run, [contest.OURS])[0].rows))
        if args.plots:
            import plots

            plots.draw(figures["tables"], args.plots)

    document += [f"Skipped {name}: {reason}.\n" for name, reason in run.skipped.items()]
    document += [f"Fault: {fault}.\n" for fault in run.faults] or ["No fault found.\n"]
    print("\n".join(document[-len(run.skipped) - max(len(run.faults), 1) :]))
    figures |= {"skipped": run.skipped, "faults": run.faults}
    if args.markdown:
        args.markdown.write_text("\n".join(document))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1, default=str) + "\n")
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
