"""What X in row blocks costs: ``python benchmarks/blocks.py --data DIR``; `--smoke` takes seconds.

Passes   reads of X to a gap on text data, in memory and in blocks, and the CPU seconds of both.
Costs    CPU seconds of a pass for each stored entry by what the blocks are, and of Gram rows.
Memory   a problem larger than the memory allowed, in files, solved by cd and by FISTA on the same blocks in processes
         of their own. RLIMIT_AS holds the address space, so that files count as far as they are mapped; pages that the
         system keeps of a file belong to no process. `--cold` has the system drop them before each block.
Scaling  the same problem with 1 to 4 worker processes of Dask (weak: so many rows for each).

Without a table's name, all of them; `scaling` needs l1fast[dask], and is left out without it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported

import numpy as np  # noqa: E402
import problems  # noqa: E402
import scipy.sparse as sp  # noqa: E402

import l1fast  # noqa: E402
from l1fast._block_problem import gradients, grams, statistics  # noqa: E402
from l1fast._row_blocks import RowBlocks  # noqa: E402
from l1fast._validation import as_design  # noqa: E402

RATIOS, TOLS = (0.1, 0.03, 0.01, 0.003), (1e-6, 1e-9)
MOST_PASSES = {1e-6: 8, 1e-9: 15}
"""What a solve may take for r >= 0.003."""

MEGABYTE = 1e6


def table(title: str, header: str, rows: Iterator[str]) -> None:
    """A table in Markdown, a row as soon as it is there."""
    print(f"\n**{title}**\n\n| {header} |\n|{'---|' * (header.count(' | ') + 1)}", flush=True)
    for one in rows:
        print(f"| {one} |", flush=True)


def in_blocks(X: Any, count: int, ready: bool = True) -> RowBlocks:
    """X in blocks in memory; ready: checked beforehand, not in each pass."""
    edges = np.linspace(0, X.shape[0], count + 1).astype(np.int64)
    parts = [as_design(X[a:b]) if ready else X[a:b] for a, b in pairwise(edges)]
    return RowBlocks(parts.__getitem__, edges, X.shape[1], sp.issparse(X))


def quiet_solve(*args: Any, **options: Any) -> tuple[Any, float]:
    """The result, and its CPU seconds; what did not converge is told by the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        began = process_time()
        result = l1fast.solve(*args, n_threads=1, **options)
    return result, process_time() - began


# ------------------------------------------------------------------------------------------------------------- passes


def passes(names: list[str], count: int) -> Iterator[str]:
    """A line for each problem, strength and tolerance."""
    for name in names:
        try:
            problem = problems.load(name)
        except problems.Missing as missing:
            print(f"left out: {missing}", file=sys.stderr)
            continue
        blocks = in_blocks(problem.X, count)
        for r in RATIOS:
            for tol in TOLS:
                lam = r * problem.lam_max()
                whole, here = quiet_solve(problem.X, problem.y, lam, solver="cd", tol=tol)
                apart, there = quiet_solve(blocks, problem.y, lam, solver="cd", tol=tol)
                fista, fista_cpu = quiet_solve(blocks, problem.y, lam, solver="fista", tol=tol)
                for result in (whole, apart, fista):
                    if not result.converged:
                        raise SystemExit(f"{name}, r = {r:g}, tol = {tol:g}: {result.status.value}")
                if apart.n_passes > MOST_PASSES[tol]:
                    raise SystemExit(f"{name}, r = {r:g}, tol = {tol:g}: {apart.n_passes:g} passes in blocks")
                yield (
                    f"{name} | {r:g} | {tol:g} | {np.count_nonzero(apart.coef):,} | {whole.n_passes:,.0f} | "
                    f"**{apart.n_passes:.0f}** | {fista.n_passes:,.0f} | {here:.2f} | {there:.2f} | {fista_cpu:.2f}"
                )


# -------------------------------------------------------------------------------------------------------------- costs


def least(call: Callable[[], Any], rounds: int, clock: Callable[[], float] = process_time) -> float:
    """Seconds of a call by the clock, of CPU unless told otherwise: the least of several, which was disturbed least."""
    seconds = []
    for _ in range(rounds):
        began = clock()
        call()
        seconds.append(clock() - began)
    return min(seconds)


def a_pass(blocks: RowBlocks, y: Any, members: Any, what: str, rounds: int) -> float:
    """CPU seconds of one pass over blocks: of statistics, gradients or Gram rows of some columns."""
    p = blocks.n_features
    if what == "statistics":
        job, given = statistics, (1,)
    elif what == "gradients":
        job, given = gradients, (members, np.ones(len(members)), 0.0, 1.0, 1, False)
    else:
        job, given = grams, (members, 0, None, np.ones(p), 1)
    return least(lambda: blocks.reduce(job, given, y, None), rounds)


def sample(rows: int, features: int, entries_a_row: int) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
    """A sparse X by Zipf's law, y, and the commonest columns, as those of a support mostly are."""
    X, y = problems.zipf(rows, features, k=100, density=entries_a_row / features)
    often = np.sort(np.argsort(-np.bincount(X.indices, minlength=features), kind="stable")[:MEMBERS])
    return X, y, often


MEMBERS = 1000
"""Columns of the working set whose Gram rows are timed."""


def costs(rows: int = 50_000, features: int = 100_000, rounds: int = 3) -> dict[str, float]:
    """CPU seconds on this machine, as `simulate_cluster.Costs` has them."""
    X, y, members = sample(rows, features, entries_a_row=100)
    blocks = in_blocks(X, 1)
    seconds = {what: a_pass(blocks, y, members, what, rounds) for what in ("statistics", "gradients")}
    products = {}
    pattern = sp.csr_array((np.ones(X.nnz), X.indices, X.indptr), X.shape)
    for part in (np.ascontiguousarray(members[:: len(members) // 100]), members):
        chosen = np.zeros(features)
        chosen[part] = 1.0
        products[len(part)] = (float(np.sum((pattern @ chosen) ** 2)), a_pass(blocks, y, part, "grams", rounds))
    (few, quick), (many, slow) = products.values()
    product = max(slow - quick, 0.0) / (many - few)
    a, b = np.ones(10**6), np.ones(10**6)
    return {
        "statistics": seconds["statistics"] / X.nnz,
        "gradient": seconds["gradients"] / X.nnz,
        "scan": max(quick - few * product, 0.0) / X.nnz,
        "product": product,
        "add": least(lambda: np.add(a, b, out=a), 20) / len(a),
    }


def overhead(name: str, rounds: int) -> Iterator[str]:
    """A line for each kind of blocks: a pass for the gradient and for Gram rows against X in memory."""
    problem = problems.load(name)
    X, y = problem.X, problem.y.astype(np.float64)
    counts = np.bincount(X.indices, minlength=X.shape[1])
    members = np.sort(np.argsort(-counts, kind="stable")[:MEMBERS])
    with tempfile.TemporaryDirectory() as folder:
        kinds: list[tuple[str, RowBlocks]] = [("memory, one block, checked beforehand", in_blocks(X, 1))]
        kinds += [(f"memory, {count} blocks, checked beforehand", in_blocks(X, count)) for count in (8, 64)]
        kinds.append(("memory, 8 blocks, checked in each pass", in_blocks(X, 8, ready=False)))
        parts = write_parts(Path(folder), (X[a:b] for a, b in pairwise(np.linspace(0, X.shape[0], 9).astype(int))))
        kinds.append(("files, 8 blocks, mapped and checked in each pass", from_parts(parts)))
        first: dict[str, float] = {}
        for kind, blocks in kinds:
            cells = []
            for what in ("statistics", "gradients", "grams"):
                seconds = a_pass(blocks, y, members, what, rounds)
                first.setdefault(what, seconds)
                cells.append(f"{1e3 * seconds:.2f} | {seconds / first[what]:.2f}")
            yield f"{kind} | {' | '.join(cells)}"


# ------------------------------------------------------------------------------------------------------------- memory


def write_parts(folder: Path, parts: Iterator[Any]) -> list[Path]:
    """Blocks as files, one each."""
    paths = []
    for k, part in enumerate(parts):
        sparse = sp.issparse(part)
        paths.append(folder / f"part-{k:05d}.{'npz' if sparse else 'npy'}")
        if sparse:
            sp.save_npz(paths[-1], part, compressed=False)
        else:
            np.save(paths[-1], part)
    return paths


def drop(path: Path) -> None:
    """Ask the system to forget what it keeps of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def from_parts(paths: list[Path], cold: bool = False, read: list[int] | None = None) -> RowBlocks:
    """The blocks of `write_parts`. read : counts the bytes of the files that are read."""
    dense = paths[0].suffix == ".npy"
    blocks = l1fast.from_npy_memmap(paths, rows_per_block=MANY) if dense else l1fast.from_csr_parts(paths)
    inner, sizes = blocks.load, [path.stat().st_size for path in paths]

    def load(k: int) -> Any:
        if cold:
            drop(paths[k])
        if read is not None:
            read[0] += sizes[k]
        return inner(k)

    return replace(blocks, load=load)


MANY = 10**9
"""Rows of a block, more than a file has: each file is one."""


def dense_parts(n: int, p: int, count: int, y: list[np.ndarray]) -> Iterator[np.ndarray]:
    """float32, x_j = 0.6 x_{j-1} + 0.8 e_j along each row; y is filled as they come."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(problems.SEED)
    w = np.zeros(p, np.float32)
    w[rng.choice(p, 100, replace=False)] = rng.standard_normal(100)
    for rows in np.diff(np.linspace(0, n, count + 1).astype(int)):
        part = rng.standard_normal((rows, p), dtype=np.float32)
        part[:, 1:] *= np.float32(0.8)
        part = lfilter([1.0], [1.0, np.float32(-0.6)], part, axis=1).astype(np.float32)
        signal = (part @ w).astype(np.float64)
        y.append(signal + problems.NOISE * np.linalg.norm(w) * rng.standard_normal(rows))
        yield part


def sparse_parts(
    n: int, p: int, entries: int, count: int, y: list[np.ndarray], seed: int = 0
) -> Iterator[sp.csr_array]:
    """float32 CSR by Zipf's law, so many draws a row, each row several times; y, with noise, is filled as they come."""
    share = np.cumsum(1 / np.arange(1, p + 1))
    w, rng = np.zeros(p), np.random.default_rng(problems.SEED)
    w[rng.choice(min(p, 3000), 300, replace=False)] = rng.standard_normal(300)
    rng = np.random.default_rng([problems.SEED, seed])
    for rows in np.diff(np.linspace(0, n, count + 1).astype(int)) // REPEATED:
        columns = np.searchsorted(share, share[-1] * rng.random(rows * entries), side="right")
        places = np.unique(np.repeat(np.arange(rows), entries) * p + columns)
        of_row, columns = np.divmod(places, p)
        starts = np.searchsorted(of_row, np.arange(rows + 1))
        values = rng.lognormal(size=len(places)).astype(np.float32)
        drawn = sp.csr_array((values, columns.astype(np.int32), starts.astype(np.int64)), shape=(rows, p))
        part = sp.csr_array(sp.vstack([drawn] * REPEATED, format="csr"))
        signal = part @ w
        y.append(signal + problems.NOISE * np.std(signal) * rng.standard_normal(part.shape[0]))
        yield part


REPEATED = 50
"""Times that each row that was drawn is there: to draw it takes longer than many passes over it."""


def write_problem(kind: str, folder: Path, megabytes: float, block: float) -> dict[str, Any]:
    """A problem of that size in blocks of that size, both in MB; its description, kept beside it."""
    about = folder / "about.json"
    y: list[np.ndarray] = []
    count = max(2, round(megabytes / block))
    if kind == "dense":
        p = DENSE_FEATURES
        n = round(megabytes * MEGABYTE / (4 * p))
        paths = write_parts(folder, dense_parts(n, p, count, y))
    else:
        p = SPARSE_FEATURES
        n = round(megabytes * MEGABYTE / (8 * SPARSE_ENTRIES * KEPT))
        paths = write_parts(folder, sparse_parts(n, p, SPARSE_ENTRIES, count, y))
    np.save(folder / "y.npy", np.concatenate(y))
    size = sum(path.stat().st_size for path in folder.glob("part-*"))
    described = {"kind": kind, "n": sum(map(len, y)), "p": p, "paths": list(map(str, paths)), "bytes": size}
    about.write_text(json.dumps(described))
    return described


DENSE_FEATURES, SPARSE_FEATURES, SPARSE_ENTRIES = 2000, 100_000, 100

KEPT = 0.85
"""About the part of the draws of a row that do not fall on the same column."""


def status(mark: str, path: str = "/proc/self/status") -> float:
    """A number of this process that Linux tells, in bytes (kB lines) or as it stands."""
    for line in Path(path).read_text().splitlines():
        if line.startswith(mark + ":"):
            return float(line.split()[1]) * (1024 if line.endswith("kB") else 1)
    return float("nan")


def child(folder: str, solver: str, limit: float, seconds: float, tol: float, r: float, cold: bool) -> None:
    """One solve within a limit on the address space; its figures as JSON."""
    about = json.loads((Path(folder) / "about.json").read_text())
    y, paths = np.load(Path(folder) / "y.npy"), list(map(Path, about["paths"]))
    read = [0]
    l1fast.solve(np.eye(3), np.ones(3), 0.5, solver=solver)  # libraries are loaded before the limit
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (int(limit * MEGABYTE),) * 2)
    blocks = from_parts(paths, cold, read)
    largest = l1fast.lam_max(blocks, y)
    read[0] = 0
    before = status("read_bytes", "/proc/self/io")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    anonymous, peak = [status("RssAnon")], [0.0]

    def watch(state: Any) -> None:
        peak[0] = max(peak[0], status("RssAnon"))

    began = perf_counter()
    memory_limit = int(limit * MEGABYTE * GRAM_SHARE) if limit else None
    result, cpu = quiet_solve(
        *(blocks, y, r * largest), solver=solver, tol=tol, time_limit=seconds, callback=watch, memory_limit=memory_limit
    )
    figures = {
        "gap": result.dual_gap,
        "passes": result.n_passes,
        "steps": result.n_iter,
        "wall": perf_counter() - began,
        "cpu": cpu,
        "support": int(np.count_nonzero(result.coef)),
        "read": read[0],
        "disk": status("read_bytes", "/proc/self/io") - before,
        "rss": status("VmHWM"),
        "space": status("VmPeak"),
        "anonymous": max(peak[0], *anonymous),
        "status": result.status.value,
    }
    print(json.dumps(figures))


GRAM_SHARE = 1 / 6
"""Part of the address space that Gram matrices may take: Python, libraries, vectors and a block need the others."""


def memory(kinds: list[str], args: argparse.Namespace, megabytes: float, limit: float) -> Iterator[str]:
    """A line for each kind of X and solver."""
    for kind in kinds:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            about = write_problem(kind, Path(folder), megabytes, args.block)
            for solver in ("cd", "fista"):
                given = [folder, solver, str(limit), str(args.time_limit), str(args.tol), str(args.r)]
                command = [sys.executable, __file__, "--child", *given, *(["cold"] if args.cold else ["warm"])]
                settings = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # each arena reserves 64 MB of address space
                done = subprocess.run(command, check=False, capture_output=True, text=True, env=settings)
                if done.returncode:
                    raise SystemExit(f"{kind}, {solver}: {done.stderr.strip()[-2000:]}")
                got = json.loads(done.stdout)
                if solver == "cd" and got["gap"] > args.tol:
                    raise SystemExit(f"{kind}: cd stopped at a gap of {got['gap']:.1e}: {got['status']}")
                yield (
                    f"{kind} {about['n']:,} x {about['p']:,}, {about['bytes'] / MEGABYTE:,.0f} MB | {solver} | "
                    f"{got['gap']:.1e} | {got['support']:,} | {got['passes']:,.0f} | {got['read'] / 1e9:,.1f} | "
                    f"{got['disk'] / 1e9:,.1f} | {got['wall']:,.0f} | {got['cpu']:,.0f} | {limit:,.0f} | "
                    f"{got['space'] / MEGABYTE:,.0f} | {got['rss'] / MEGABYTE:,.0f} | "
                    f"{got['anonymous'] / MEGABYTE:,.0f}"
                )


# ------------------------------------------------------------------------------------------------------------ scaling


@contextmanager
def cluster(n_workers: int) -> Iterator[Any]:
    """So many processes of one thread."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=":0") as made,
        Client(made) as client,
    ):
        yield client


def piece(rows: int, features: int, entries: int, seed: int) -> tuple[sp.csr_array, np.ndarray]:
    """A block of a sparse problem, made where it is to stay."""
    y: list[np.ndarray] = []
    X = next(sparse_parts(rows, features, entries, 1, y, seed))
    return X, y[0]


def scaling(rows: int, workers: list[int], features: int, r: float, rounds: int = 12) -> Iterator[str]:
    """A line for each number of processes, strong (the same rows) and weak (as many rows for each)."""
    from dask import delayed

    for kind in ("strong", "weak"):
        first: list[float] = []
        for count in workers:
            total = rows if kind == "strong" else rows * count // max(workers)
            n_blocks = 2 * max(workers) if kind == "strong" else 2 * count
            with cluster(count) as client:
                made = client.persist(
                    [delayed(piece, nout=2)(total // n_blocks, features, 50, k) for k in range(n_blocks)]
                )
                y = np.concatenate(client.gather(client.compute([one[1] for one in made])))
                blocks = l1fast.from_dask([one[0] for one in made])
                lam = r * l1fast.lam_max(blocks, y)
                result, _ = quiet_solve(blocks, y, lam, solver="cd")
                support = np.flatnonzero(result.coef)
                job = gradients, (support, result.coef[support], 0.0, 1.0, 1, False), y, None
                calls = {
                    rounds: lambda job=job, blocks=blocks: blocks.reduce(*job),
                    max(1, rounds // 4): lambda given=(blocks, y, lam): quiet_solve(*given, solver="cd"),
                }
                times = [least(call, times, perf_counter) for times, call in calls.items()]
            first = first or times
            yield (
                f"{kind} | {count} | {len(y):,} | {1e3 * times[0]:,.0f} | {first[0] / times[0]:.2f} | "
                f"{result.n_passes:.0f} | {times[1]:,.2f} | {first[1] / times[1]:.2f}"
            )


def tasks(n_blocks: int, rounds: int) -> tuple[float, float]:
    """Seconds that Dask takes for a task, and CPU seconds of scheduler and client: a pass over many tiny blocks."""
    from dask import delayed

    with cluster(2) as client:  # scheduler and client are this process
        made = client.persist([delayed(piece, nout=2)(REPEATED, 1000, 5, k) for k in range(n_blocks)])
        blocks = l1fast.from_dask([one[0] for one in made])
        y, support = np.ones(blocks.shape[0]), np.arange(5)
        job = gradients, (support, np.ones(5), 0.0, 1.0, 1, False), y, None
        began = process_time()
        wall = least(lambda: blocks.reduce(*job), rounds, perf_counter)
        count = 2 * n_blocks - 1
        return wall / count, (process_time() - began) / rounds / count


# --------------------------------------------------------------------------------------------------------------- main

TABLES = ("passes", "costs", "memory", "scaling")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    parser.add_argument("--problems", nargs="+", default=["debian-words", "debian-bigrams"], metavar="NAME")
    parser.add_argument("--blocks", type=int, default=8, help="blocks of the problems in memory")
    parser.add_argument("--megabytes", type=float, default=2400.0, help="size of the problems in files")
    parser.add_argument("--kinds", nargs="+", default=["dense", "sparse"], choices=["dense", "sparse"])
    parser.add_argument("--limit", type=float, default=600.0, help="MB of address space for a solve")
    parser.add_argument("--block", type=float, default=40.0, help="MB of a block in files")
    parser.add_argument("--time-limit", type=float, default=300.0, metavar="S", help="seconds for each solve in files")
    parser.add_argument("--tol", type=float, default=1e-6, help="gap to reach in files")
    parser.add_argument("--r", type=float, default=0.01, help="lam / lam_max in files")
    parser.add_argument("--cold", action="store_true", help="have the system forget a file before each block")
    parser.add_argument("--folder", help="where the files are made (default: that of temporary files)")
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    parser.add_argument("--smoke", action="store_true", help="small problems: seconds")
    parser.add_argument("--child", nargs=7, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.child:
        folder, solver, *numbers, cold = args.child
        child(folder, solver, *map(float, numbers), cold == "cold")
        return
    if args.data:
        os.environ["L1FAST_BENCH_DATA"] = args.data
    tables, names, rounds, limit = list(args.tables), args.problems, 5, args.limit
    if args.smoke:
        names, rounds = ["smoke-zipf"], 1
        args.megabytes, args.block, limit, args.r, args.time_limit = 8.0, 2.0, 0.0, 0.1, 5.0
        tables = [one for one in tables if one != "scaling"]
    if "passes" in tables:
        table(
            f"Reads of X to a gap, {args.blocks} blocks",
            "problem | r | gap | non-zeros | memory | blocks | blocks, fista | CPU s memory | blocks | blocks, fista",
            passes(names, args.blocks),
        )
    if "costs" in tables:
        table(
            f"A pass over {names[0]} ({MEMBERS:,} columns for Gram rows), CPU ms, and in units of the first line",
            "blocks | statistics |  | gradient |  | Gram rows | ",
            overhead(names[0], rounds),
        )
        found = costs(2000, 3000, 1) if args.smoke else costs()
        print("\nns of one core: " + ", ".join(f"{what} {1e9 * value:.2f}" for what, value in found.items()))
    if "memory" in tables:
        table(
            f"X in files, {'cold' if args.cold else 'warm'}; gap {args.tol:g}, r = {args.r:g}, "
            f"at most {args.time_limit:g} s",
            "X | solver | gap | non-zeros | passes | GB of blocks read | GB from disk | seconds | CPU s | MB allowed | "
            "address space | resident | of it not files",
            memory(args.kinds, args, args.megabytes, limit),
        )
    if "scaling" in tables:
        try:
            import distributed  # noqa: F401

            if not hasattr(l1fast, "from_dask"):
                raise ImportError("l1fast has no from_dask")
        except ImportError as error:
            print(f"scaling is left out: {error}", file=sys.stderr)
        else:
            table(
                f"Dask on {os.cpu_count()} cores: processes of one thread",
                "scaling | processes | rows | gradient pass, ms | speed | passes of cd | seconds | speed",
                scaling(800_000, [1, 2, 3, 4], 50_000, 0.03),
            )
            wall, cpu = tasks(300, 3)
            print(f"\nms for each task: {1e3 * wall:.2f}, of it CPU of scheduler and client {1e3 * cpu:.2f}")


if __name__ == "__main__":
    main()
