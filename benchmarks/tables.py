"""The four tables. A fault is an exception or a false claim, never a slow answer."""

from __future__ import annotations

import statistics
import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import measure
import numpy as np
import problems

import l1fast
from l1fast._baselines import numpy_fista, numpy_ista, relative_gap

BASELINE = "numpy-fista"
BASELINES = {"numpy-fista": numpy_fista, "numpy-ista": numpy_ista}
MIDDLE_RATIO = 0.01  # lam / lam_max where one strength stands for all: iterations and memory
NO_CHECKS = 10**9  # steps between two checks of a baseline's gap: none before the last step
SHORT = 10  # iterations of the shorter of two runs whose difference is timed
GAP_SLACK = 1e-3  # a claimed gap may differ from the referee's by this fraction,
GAP_ROUNDING = 1e-9  # plus this much of F(0)


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    import_pairs: int
    bandwidth_megabytes: int
    vector_length: int
    vector_rounds: int
    kernel_problems: tuple[str, ...]
    kernel_rounds: int
    kernel_seconds: float  # of the longer run
    solve_rounds: int
    solve_budget: float  # seconds for the repeats of one contender on one problem
    rung_rounds: int  # of one setting of a peer
    rung_budget: float  # seconds for the repeats of one setting
    contest_rounds: int  # of the setting that counts
    contest_budget: float  # seconds for the repeats of one peer in one cell


WHOLE = Effort(
    import_pairs=21,
    bandwidth_megabytes=512,
    vector_length=1_000_000,
    vector_rounds=51,
    kernel_problems=("debian-bigrams", "debian-words", "debian-words@csc", "wide", "wide@float32", "wide@F", "tall"),
    kernel_rounds=7,
    kernel_seconds=0.5,
    solve_rounds=11,
    solve_budget=5,
    rung_rounds=3,
    rung_budget=0.2,
    contest_rounds=7,
    contest_budget=1,
)
SMOKE = Effort(
    import_pairs=3,
    bandwidth_megabytes=8,
    vector_length=1000,
    vector_rounds=3,
    kernel_problems=("smoke-zipf", "smoke-zipf@csc@float32", "smoke-wide", "smoke-wide@F", "smoke-tall@float32"),
    kernel_rounds=1,
    kernel_seconds=0.01,
    solve_rounds=1,
    solve_budget=0,
    rung_rounds=1,
    rung_budget=0,
    contest_rounds=1,
    contest_budget=0,
)


@dataclass
class Table:
    title: str
    headers: list[str]
    cells: list[list[str]] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

    def add(self, row: dict, *cells: object) -> None:
        """``row`` goes to JSON, ``cells`` to Markdown."""
        self.rows.append(row)
        self.cells.append([str(cell) for cell in cells])

    def markdown(self) -> str:
        lines = [self.headers, ["---"] * len(self.headers), *self.cells]
        return "\n".join([f"## {self.title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


class Run:
    """What the tables share: the settings, and what was skipped or found wrong."""

    def __init__(self, settings: Namespace, effort: Effort) -> None:
        self.settings = settings
        self.effort = effort
        self.faults: list[str] = []
        self.skipped: dict[str, str] = {}
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        for name in settings.solvers:  # what a first call imports or starts is not timed
            contend(name, problems.load(problems.SMOKE[0]), 1.0, settings)

    def available(self, names: list[str] | tuple[str, ...]) -> Iterator[problems.Problem]:
        """Make the problems one at a time; those without data are noted and left out."""
        for name in names:
            try:
                yield problems.load(name)
            except problems.Missing as reason:
                self.skipped[name] = str(reason)

    @contextmanager
    def guard(self, what: str) -> Iterator[None]:
        """An exception is a fault of what ran, not the end of the benchmark."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            traceback.print_exc(file=sys.stderr)
            self.faults.append(f"{what}: {type(error).__name__}: {error}")


def imports(run: Run) -> Table:
    table = Table("Import", ["import numpy, scipy.sparse", "import l1fast", "extra"])
    with run.guard("import"):
        ms = measure.import_milliseconds(run.effort.import_pairs)
        table.add(ms, *(f"{ms[name]:.1f} ms" for name in ("numpy_scipy", "l1fast", "extra")))
    return table


def bandwidth(run: Run) -> Table:
    rates = measure.bandwidth(run.settings.threads, run.effort.bandwidth_megabytes)
    rates["best"] = max(rates.values())
    table = Table(f"Memory bandwidth, arrays of {run.effort.bandwidth_megabytes} MB", list(rates))
    table.add(rates, *(f"{rate / 1e9:.1f} GB/s" for rate in rates.values()))
    return table


def soft_threshold(run: Run) -> Table:
    n = run.effort.vector_length
    table = Table(f"Soft threshold of {n:,} numbers", ["dtype", "NumPy", "l1fast", "ratio", "with `out=`", "ratio"])
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(problems.SEED).standard_normal(n).astype(dtype)
        t, out = dtype(0.5), np.empty_like(x)
        calls: dict[str, Callable[[], np.ndarray]] = {
            "numpy": lambda x=x, t=t: np.sign(x) * np.maximum(np.abs(x) - t, 0),
            "l1fast": partial(l1fast.soft_threshold, x, t),
            "out": partial(l1fast.soft_threshold, x, t, out=out),
        }
        with run.guard(f"soft_threshold {x.dtype}"):
            expected, seen, _ = (call() for call in calls.values())
            if not (np.array_equal(seen, expected) and np.array_equal(out, expected) and seen.dtype == dtype):
                run.faults.append(f"soft_threshold {x.dtype} differs from NumPy by {np.abs(seen - expected).max()}")
            timed = {name: measure.clock(call) for name, call in calls.items()}
            seconds = measure.interleaved(timed, rounds=run.effort.vector_rounds)
            us = {name: 1e6 * statistics.median(taken) for name, taken in seconds.items()}
            cells = [f"{us['numpy']:.0f} us"]
            for name in ("l1fast", "out"):
                cells += [f"{us[name]:.0f} us", f"{us['numpy'] / us[name]:.1f}x"]
            table.add({"dtype": str(x.dtype), "microseconds": us}, x.dtype, *cells)
    return table


def fista_iterations(run: Run, best_bandwidth: float) -> Table:
    """Seconds per iteration: the difference of two lengths, so that setting up and the last check drop out."""
    s, effort = run.settings, run.effort
    headers = ["problem", "X", "NumPy", "l1fast", "ratio", "NumPy, of bandwidth", "l1fast, of bandwidth"]
    table = Table("FISTA, one iteration", headers)

    def theirs(p: problems.Problem, lam: float, n: int) -> int:
        limits = {"tol": s.tol, "time_limit": np.inf, "max_iter": n, "check_every": NO_CHECKS}
        return numpy_fista(p.X, p.y, lam, **limits).n_iter

    def ours(p: problems.Problem, lam: float, n: int) -> int:
        return l1fast.solve(p.X, p.y, lam, solver="fista", tol=0, max_iter=n, n_threads=s.threads).n_iter

    for p in run.available(s.problems or effort.kernel_problems):
        lam = MIDDLE_RATIO * p.lam_max()
        contenders = {"numpy": partial(theirs, p, lam), "l1fast": partial(ours, p, lam)}
        with run.guard(f"FISTA iterations on {p.name}"):
            fewer, more = (measure.clock(partial(contenders["numpy"], n))() for n in (SHORT, 3 * SHORT))
            step = max((more - fewer) / (2 * SHORT), 1e-6)
            extra = int(np.clip(effort.kernel_seconds / step, 10, 1000))
            for name, call in contenders.items():
                if (done := call(SHORT + extra)) != SHORT + extra:
                    run.faults.append(f"{name} on {p.name} did {done} iterations of {SHORT + extra}")
            lengths = (SHORT, SHORT + extra)
            calls = {(name, n): measure.clock(partial(contenders[name], n)) for name in contenders for n in lengths}
            taken = measure.interleaved(calls, rounds=effort.kernel_rounds)
            steps = {
                name: (np.array(taken[name, SHORT + extra]) - np.array(taken[name, SHORT])) / extra
                for name in contenders
            }
            seconds = {name: float(np.median(steps[name])) for name in contenders}
            ratio = float(np.median(steps["numpy"] / steps["l1fast"]))
            share = {name: p.nbytes / seconds[name] / best_bandwidth for name in contenders}
            row = {"problem": p.name, "X_bytes": p.nbytes, "iterations": extra}
            row |= {"seconds": seconds, "ratio": ratio, "share_of_bandwidth": share}
            times = [f"{1e3 * t:.3g} ms" for t in seconds.values()]
            shares = [f"{part:.0%}" for part in share.values()]
            table.add(row, p.name, f"{p.describe()}, {p.nbytes / 1e6:.3g} MB", *times, f"{ratio:.1f}x", *shares)
    return table


@dataclass
class Outcome:
    """A contender's answer and its claim; ``seconds`` is the whole call."""

    seconds: float
    coef: np.ndarray
    claimed: float
    n_iter: int


def contend(name: str, p: problems.Problem, lam: float, s: Namespace) -> Outcome:
    if name in BASELINES:
        r = BASELINES[name](p.X, p.y, lam, tol=s.tol, time_limit=s.time_limit, max_iter=None)
        return Outcome(r.seconds, r.coef, r.dual_gap, r.n_iter)
    start = perf_counter()
    r = l1fast.solve(p.X, p.y, lam, solver=name, tol=s.tol, time_limit=s.time_limit, n_threads=s.threads)
    return Outcome(perf_counter() - start, r.coef, r.dual_gap, r.n_iter)


def time_to_gap(run: Run) -> Table:
    s = run.settings
    others = [name for name in s.solvers if name != BASELINE]
    headers = ["problem", "r", "support", *s.solvers, *(f"{BASELINE} / {name}" for name in others)]
    table = Table(f"Seconds to a relative gap of {s.tol:.0e}", headers)
    for p in run.available(s.problems or (problems.SMOKE if s.smoke else problems.FULL)):
        for r in s.ratios:
            with run.guard(f"{p.name} at r = {r}"):
                found = _race(run, p, r * p.lam_max())
                support = found[s.solvers[0]]["support"]
                times = [_seconds(found[name]) for name in s.solvers]
                ratios = [_ratio(found.get(BASELINE), found[name]) for name in others]
                table.add({"problem": p.name, "r": r, "contenders": found}, p.name, r, support, *times, *ratios)
    return table


def _race(run: Run, p: problems.Problem, lam: float) -> dict[str, dict]:
    """All contenders in turn, and the referee's word on the last answer of each.

    A gap above the claim is a fault; a gap above tol only means "not reached".
    """
    s = run.settings
    last: dict[str, Outcome] = {}

    def call(name: str) -> float:
        last[name] = contend(name, p, lam, s)
        return last[name].seconds

    calls = {name: partial(call, name) for name in s.solvers}
    seconds = measure.interleaved(calls, rounds=run.effort.solve_rounds, budget=run.effort.solve_budget)
    found = {}
    for name, outcome in last.items():
        gap, claimed = relative_gap(p.X, p.y, outcome.coef, lam), outcome.claimed
        if not gap <= claimed * (1 + GAP_SLACK) + GAP_ROUNDING:
            run.faults.append(f"{name} on {p.name}, lam = {lam:.6g}: claims {claimed:.2e}, the referee finds {gap:.2e}")
        found[name] = {
            "seconds": statistics.median(seconds[name]),
            "all_seconds": seconds[name],
            "gap": gap,
            "claimed_gap": claimed,
            "reached": bool(gap <= s.tol * (1 + GAP_SLACK) + GAP_ROUNDING),
            "support": int(np.count_nonzero(outcome.coef)),
            "n_iter": outcome.n_iter,
        }
    return found


def _seconds(judged: dict) -> str:
    return f"{'' if judged['reached'] else '> '}{judged['seconds']:.3g} s ({judged['gap']:.0e})"


def _ratio(baseline: dict | None, judged: dict) -> str:
    if baseline is None or not judged["reached"]:
        return "-"
    return f"{'' if baseline['reached'] else '> '}{baseline['seconds'] / judged['seconds']:.3g}x"


def memory(run: Run) -> Table:
    s = run.settings
    solvers = [name for name in s.solvers if name not in BASELINES]
    headers = ["problem", "X", *(f"{name}, {kind}" for name in solvers for kind in ("process", "NumPy"))]
    table = Table(f"Peak memory beyond X, r = {MIDDLE_RATIO}", headers)
    for p in run.available(s.problems or (problems.SMOKE if s.smoke else problems.FULL)):
        with run.guard(f"memory on {p.name}"):
            limits = {"tol": s.tol, "time_limit": s.time_limit, "threads": s.threads}
            found = {name: measure.peak_memory(p.name, name, MIDDLE_RATIO, **limits) for name in solvers}
            cells = []
            for peak in found.values():
                guess = "" if peak["exact"] else "about "
                cells += [f"{guess}{peak['peak_rss'] / p.nbytes:.0%}", f"{peak['peak_traced'] / p.nbytes:.0%}"]
            table.add({"problem": p.name, "X_bytes": p.nbytes, **found}, p.name, f"{p.nbytes / 1e6:.3g} MB", *cells)
    return table
