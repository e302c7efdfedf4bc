"""compare(): the same problem, clock and limits for every solver, and one referee for all of them.

minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper

Invariant: what a row says of gap and objective is the certificate of `solve`, made apart from the solver; what it says
of the support is made here, in the same way for all.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from html import escape
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast._homotopy import MOST_BYTES
from l1fast._monitor import EPS, Solver
from l1fast._problem import Problem
from l1fast._result import ConvergenceWarning, Result, rounded
from l1fast._solve import MOST_ITERATIONS, identified, make_problem, read_penalty, read_solver, solve
from l1fast._solvers import SOLVERS
from l1fast._validation import as_count, as_design, as_flag, as_number, as_thread_count, as_vector

__all__ = ["Comparison", "ComparisonRow", "Curve", "compare"]

Vector = NDArray[np.float64]

LEVELS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
"""Relative gaps that are timed unless told otherwise: two digits more each."""

REFERENCE_TOL = 1e-10
"""Gap of the reference, unless tol is smaller: the last of LEVELS."""

REFERENCE_SECONDS = 60.0
"""Time the reference may take at least; coordinate descent needed 1.4 s on the largest real problem measured."""

QUICK, RUNS = 0.2, 3
"""A run shorter than so many seconds is made so often, and the fastest counts: the clock of a busy machine jitters."""

CURVE_POINTS = 300
"""Points of a curve that `Comparison.as_dict` keeps, at most: more than a plot can show."""

OPTIONS = (
    *("l2", "fit_intercept", "penalty_weights", "sample_weight", "positive", "bounds"),
    *("start", "n_threads", "memory_limit", "max_iter", "polish"),
)
"""The options of `solve` that every solver is given alike."""

Progress = Callable[[str, "Comparison"], object]


class Curve(NamedTuple):
    """Seconds and passes at which a smaller gap was first seen; between two points the gap is that of the first."""

    seconds: Vector
    passes: Vector
    dual_gap: Vector


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """What one solver did.

    Attributes
    ----------
    name : str
        What the row is called.
    solver : str
        The solver and its settings.
    status : str
        The name of ``Result.status`` in lower case, such as "converged" or "time_limit"; "refused" when the solver
        cannot do the problem.
    note : str
        Why, in a sentence.
    result : Result or None
        The answer with its certificate and history; None when refused, as all numbers below then are.
    seconds_to, passes_to : tuple of float or None
        For each of ``Comparison.levels``, the time and the passes over X at the first check with so small a gap; None
        where it was not reached.
    seconds, passes, n_iter
        Of the whole call.
    dual_gap : float
        Certified, as in `Result`.
    excess : float
        (F - F of the reference) / F(0, b0).
    nonzeros : int
        Coefficients that are not exactly 0.
    precision, recall : float
        Of the features found (see `compare`), the part that is in the reference's support; of that, the part found.
        1 where there is none to be wrong about.
    """

    name: str
    solver: str
    status: str
    note: str
    result: Result | None = field(default=None, repr=False)
    seconds_to: tuple[float | None, ...] = ()
    passes_to: tuple[float | None, ...] = ()
    seconds: float | None = None
    passes: float | None = None
    n_iter: int | None = None
    dual_gap: float | None = None
    excess: float | None = None
    nonzeros: int | None = None
    precision: float | None = None
    recall: float | None = None

    @property
    def curve(self) -> Curve:
        """The best gap so far, as it fell; the last point is the certified gap, at the end of the call.

        A gap that a solver saw on its way but whose answer the certificate does not confirm is not counted.
        """
        empty = np.empty(0)
        return Curve(empty, empty, empty) if self.result is None else best_so_far(self.result)


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """The same problem solved by several solvers under the same limits; what `compare` returns.

    Attributes
    ----------
    rows : tuple of ComparisonRow
        In the order of the solvers; ``comparison["cd"]`` is the row of that name.
    reference : Result
        Coordinate descent to a gap of 1e-10 or tol, whichever is smaller, outside the clock. Where it did not converge,
        excess, precision and recall are no more certain than its dual_gap.
    levels : tuple of float
        Relative gaps, falling, that ``seconds_to`` and ``passes_to`` of the rows are about.
    lam, tol, time_limit : float
        As asked for.
    n_threads : int
        Threads at most.
    shape : (int, int)
        (n_samples, n_features).
    storage : str
        How X is stored.
    """

    rows: tuple[ComparisonRow, ...]
    reference: Result
    levels: tuple[float, ...]
    lam: float
    tol: float
    time_limit: float
    n_threads: int
    shape: tuple[int, int]
    storage: str

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ComparisonRow]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> ComparisonRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"there is no row {name!r}; there are {', '.join(row.name for row in self.rows)}")

    @property
    def ranked(self) -> list[ComparisonRow]:
        """The rows, the fastest to the smallest level first; among those that reach none, by their final gap."""

        def key(row: ComparisonRow) -> tuple[float, ...]:
            times = [math.inf if t is None else t for t in reversed(row.seconds_to)]
            return (row.result is None, *times, math.inf if row.dual_gap is None else row.dual_gap)

        return sorted(self.rows, key=key)

    @property
    def fastest(self) -> tuple[ComparisonRow | None, ...]:
        """For each level, the row that was first to reach it; None where no one did."""
        found: list[ComparisonRow | None] = []
        for k in range(len(self.levels)):
            times = [(row.seconds_to[k], row) for row in self.rows if row.result is not None]
            there = [(seconds, row) for seconds, row in times if seconds is not None]
            found.append(min(there, key=lambda one: one[0])[1] if there else None)
        return tuple(found)

    def plot(self, against: Literal["seconds", "passes"] | None = None, axes: Any = None) -> Any:
        """Gap against time and against passes over X, or against one of them; see `l1fast.plot.convergence`."""
        from l1fast.plot import convergence

        return convergence(self, against=against, axes=axes)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the coefficients, as numbers and strings for JSON; what is not there or not finite is None.

        ``curve`` holds the best gap so far, thinned evenly in its logarithm where there are more than 300 points.
        """
        reference = self.reference
        return {
            "n_samples": self.shape[0],
            "n_features": self.shape[1],
            "storage": self.storage,
            "lam": self.lam,
            "tol": self.tol,
            "time_limit": self.time_limit,
            "n_threads": self.n_threads,
            "levels": list(self.levels),
            "reference": {
                "solver": reference.solver,
                "converged": reference.converged,
                "tol": reference.tol,
                "dual_gap": _finite(reference.dual_gap),
                "objective": _finite(reference.objective),
                "nonzeros": len(reference.support),
                "seconds": reference.seconds,
            },
            "rows": [_row_as_dict(row) for row in self.rows],
        }

    def to_pandas(self) -> Any:
        """The numbers as a pandas DataFrame, one row a solver; needs pandas.

        Columns: "seconds to 1e-2" and "passes to 1e-2" for each level, then the attributes of `ComparisonRow`.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(f"Comparison.to_pandas needs pandas: pip install pandas ({error})") from error
        columns: dict[str, list[Any]] = {}
        for unit in ("seconds", "passes"):
            for k, level in enumerate(self.levels):
                times = [getattr(row, f"{unit}_to") for row in self.rows]
                columns[f"{unit} to {_short(level)}"] = [_or_nan(one[k]) if one else math.nan for one in times]
        for name in ("seconds", "passes", "dual_gap", "excess", "precision", "recall"):
            columns[name] = [_or_nan(getattr(row, name)) for row in self.rows]
        for name in ("n_iter", "nonzeros"):
            columns[name] = pandas.array([getattr(row, name) for row in self.rows], dtype="Int64")
        for name in ("status", "solver", "note"):
            columns[name] = [getattr(row, name) for row in self.rows]
        return pandas.DataFrame(columns, index=pandas.Index([row.name for row in self.rows], name="name"))

    def _title(self) -> str:
        n, p = self.shape
        threads = f"{self.n_threads} thread" + "s" * (self.n_threads > 1)
        return (
            f"{n:,} x {p:,}, {self.storage}; lam {self.lam:.6g}, tol {_short(self.tol)}, "
            f"at most {self.time_limit:g} s each, {threads}"
        )

    def _legend(self) -> list[str]:
        """What the columns mean, and how good the reference is."""
        reference = self.reference
        how = f"cd to a gap of {reference.dual_gap:.1e} in {reference.seconds:.3g} s"
        if not reference.converged:
            how += f", short of its tol {_short(reference.tol)}: excess, precision and recall are as uncertain"
        return [
            "gap: certified duality gap / F(0). *: first to reach it. -: not reached.",
            "steps: iterations. passes: reads of X. excess: (F - F of the reference) / F(0). nonzeros: exact.",
            "precision, recall: features that a step along them leaves non-zero, against the reference's support.",
            f"reference: {how}; {len(reference.support):,} nonzeros",
        ]

    def _unit(self) -> tuple[str, float]:
        """The unit of time of the table, and how many there are in a second: one for all of it."""
        longest = max((row.seconds for row in self.rows if row.seconds is not None), default=1.0)
        return ("ms", 1e3) if longest < 1.0 else ("seconds", 1.0)

    def _table(self) -> tuple[list[str], list[str], list[list[str]]]:
        """Group headings, headings and cells; a refused row has its name and the reason alone."""
        unit, factor = self._unit()
        numbers = (unit, "steps", "passes", "gap", "excess", "nonzeros", "precision", "recall")
        head = ["solver", *(f"{_short(level)} " for level in self.levels), *numbers, "status"]  # room for the star
        over = ["", *[f"{unit} to gap"] * len(self.levels), *["at the end"] * len(numbers), ""]
        first, body = self.fastest, []
        for row in self.ranked:
            if row.result is None:
                body.append([row.name, f"{row.status}: {row.note}"])
                continue
            times = [
                "- " if t is None else _digits(factor * t) + ("*" if first[k] is row else " ")
                for k, t in enumerate(row.seconds_to)
            ]
            result, excess = row.result, row.excess or 0.0
            cells = [
                _digits(factor * result.seconds),
                f"{result.n_iter:,}",
                rounded(result.n_passes),
                f"{result.dual_gap:.1e}",
                f"{excess:.1e}" if excess > 0.0 else "0",
                f"{row.nonzeros:,}",
                _share(row.precision),
                _share(row.recall),
            ]
            body.append([row.name, *times, *cells, row.status.replace("_", " ")])
        return over, head, body

    def __repr__(self) -> str:
        over, head, body = self._table()
        full = [cells for cells in (head, *body) if len(cells) == len(head)]
        width = [max(len(cells[k]) for cells in full) for k in range(len(head))]
        width[0] = max(len(cells[0]) for cells in (head, *body))

        def line(cells: list[str]) -> str:
            texts = [cells[0].ljust(width[0])]
            if len(cells) == len(head):
                texts += [cell.rjust(width[k]) for k, cell in enumerate(cells[1:-1], 1)]
            return "  ".join([*texts, cells[-1]]).rstrip()

        groups = [" " * width[0]]
        for text in dict.fromkeys(over[1:-1]):
            spans = [width[k] for k, one in enumerate(over) if one == text]
            groups.append(f" {text} ".center(sum(spans) + 2 * len(spans) - 2, "-"))
        table = ["  ".join(groups), *map(line, [head, *body])]
        return "\n".join([f"Comparison: {self._title()}", "", *table, "", *self._legend()])

    def _repr_html_(self) -> str:
        over, head, body = self._table()
        groups = "".join(
            f"<th colspan='{over.count(text)}' style='text-align:center'>{escape(text)}</th>" if text else "<th></th>"
            for text in ["", *dict.fromkeys(over[1:-1]), ""]
        )
        heading = "".join(f"<th>{escape(text)}</th>" for text in head)
        lines = []
        for cells in body:
            span = f" colspan='{len(head) - 1}'" if len(cells) < len(head) else ""
            parts = [f"<td{span} style='text-align:left'>{escape(cells[1])}</td>"] if span else []
            parts = parts or [
                f"<td><b>{escape(cell[:-1])}</b></td>" if cell.endswith("*") else f"<td>{escape(cell)}</td>"
                for cell in cells[1:]
            ]
            lines.append(f"<tr><th style='text-align:left'>{escape(cells[0])}</th>{''.join(parts)}</tr>")
        legend = "<br>".join(escape(text) for text in self._legend()).replace("*: first", "bold: first")
        return (
            f"<table><caption>l1fast Comparison: {escape(self._title())}</caption><thead><tr>{groups}</tr>"
            f"<tr>{heading}</tr></thead><tbody>{''.join(lines)}</tbody></table><p>{legend}</p>"
        )


def compare(
    X: Any,
    y: ArrayLike,
    lam: float,
    *,
    solvers: Iterable[str | Solver] | Mapping[str, str | Solver] | None = None,
    time_limit: float = 10.0,
    tol: float = 1e-6,
    levels: Sequence[float] | None = None,
    on_progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Solve one problem with several solvers under the same limits, and judge their answers by the same referee.

    minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper

    Parameters
    ----------
    X, y, lam
        As in `solve`.
    solvers : iterable of names and settings objects, or mapping from labels to them, optional
        Default: every solver, by name. One that cannot do the problem gets a row that says why.
    time_limit : float
        Seconds for each solver: of its whole call, with check, conversions and certificate.
    tol : float
        Relative duality gap at which each solver stops.
    levels : sequence of float, optional
        Relative gaps to time, none below tol. Default: those of 1e-2, 1e-4, 1e-6, 1e-8 and 1e-10 above tol, and tol.
    on_progress : callable, optional
        Called before each solver with its label and the `Comparison` of those that are done; return True to stop there.
    **options
        What `solve` takes of the problem, the same for all: l2, fit_intercept, penalty_weights, sample_weight,
        positive, bounds, start, n_threads, memory_limit; polish; and max_iter, which has no limit here unless given.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, has the wrong shape, is malformed or not finite. The message names it.

    Notes
    -----
    Each row is one call of ``solve(..., history=True)``; of calls shorter than 0.2 s the fastest of three. A homotopy
    that may need more than memory_limit, or 1 GB without it, is refused: others need a few vectors, or adapt. Outside
    the clock are what containers need to become arrays (once for all), a small problem solved by each solver, after
    which no one pays for imports, and the reference: coordinate descent to a gap of 1e-10 or tol, whichever is smaller,
    in at most max(60 s, time_limit).

    Support: an iterate without exact zeros still tells which features it holds for zero. A feature counts as found when
    its coefficient is not 0 and the best step along it, from the answer, leaves it so: ||x_j||^2 w_j + x_j'(s residual)
    is beyond lam v_j, on a side where the bounds leave room. At an optimum that is its support, but for ties; it takes
    no threshold, and is the same for all. Where columns are copies of each other the support is not unique, and a
    difference from the reference is no error.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    >>> comparison = l1fast.compare(X, [3.0, 0.5, 1.0], lam=0.6, solvers=["cd", "fista"], time_limit=5.0)
    >>> [(row.name, row.status, row.nonzeros) for row in comparison]
    [('cd', 'converged', 2), ('fista', 'converged', 2)]
    """
    for name in options:
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(OPTIONS)}"
            raise TypeError(f"compare() got an unexpected option {name!r}; {hint}")
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be callable, got {on_progress!r}")
    lam, tol, time_limit = as_number("lam", lam), as_number("tol", tol), as_number("time_limit", time_limit)
    contestants = read_solvers(solvers)
    n_threads = as_thread_count(options.get("n_threads"))
    max_iter, start = options.get("max_iter"), options.get("start")
    max_iter = MOST_ITERATIONS if max_iter is None else as_count("max_iter", max_iter)
    problem = _problem(X, y, lam, options, n_threads)
    timed = read_levels(levels, tol)
    if start is not None:
        start = as_vector("start", start.coef if isinstance(start, Result) else start, problem.shape[1])
    given: dict[str, Any] = options | {"n_threads": n_threads, "start": start, "max_iter": max_iter}
    design = problem.units.source or problem.design
    with _statuses_only():
        reference = solve(
            design,
            y,
            lam,
            solver="cd",
            tol=min(tol, REFERENCE_TOL) or REFERENCE_TOL,
            time_limit=max(REFERENCE_SECONDS, time_limit),
            **{name: value for name, value in given.items() if name not in ("start", "max_iter")},
        )
    comparison = Comparison(
        rows=(),
        reference=reference,
        levels=timed,
        lam=lam,
        tol=tol,
        time_limit=time_limit,
        n_threads=n_threads,
        shape=design.shape,
        storage=f"{'sparse' if design.sparse else 'dense'} {design.storage.values.dtype}, "
        f"{_order(design.sparse, design.storage.by_rows)}",
    )
    for name, solver in contestants.items():
        if on_progress is not None and on_progress(name, comparison):
            break
        made = _run(name, solver, problem, design, y, comparison, given)
        comparison = replace(comparison, rows=(*comparison.rows, made))
    return comparison


def read_solvers(solvers: Iterable[str | Solver] | Mapping[str, str | Solver] | None) -> dict[str, str | Solver]:
    """The solvers by label, each known to be one; all of them by name when nothing is said."""
    if solvers is None:
        return {name: name for name in SOLVERS}
    if isinstance(solvers, str):
        solvers = [solvers]
    if isinstance(solvers, Mapping):
        found = {str(name): solver for name, solver in solvers.items()}
    else:
        found = {}
        for solver in solvers:
            read_solver(solver)
            name = _label(solver)
            if name in found:
                raise ValueError(f"two solvers are called {name!r}; give a mapping from labels to solvers")
            found[name] = solver
    for solver in found.values():
        read_solver(solver)
    if not found:
        raise ValueError("solvers is empty; name at least one")
    return found


def read_levels(levels: Sequence[float] | None, tol: float) -> tuple[float, ...]:
    """The gaps to time, falling, each once."""
    if levels is None:
        above = [level for level in LEVELS if level > tol]
        return (*above, tol) if tol > 0.0 else tuple(above)
    found = sorted({as_number(f"levels[{k}]", level) for k, level in enumerate(levels)}, reverse=True)
    if not found:
        raise ValueError("levels is empty; name at least one gap, or leave it out")
    if found[-1] <= 0.0 or found[-1] < tol:
        raise ValueError(f"levels has {found[-1]:g}, but the solvers stop at tol {tol:g}; lower tol or leave it out")
    return tuple(found)


def best_so_far(result: Result) -> Curve:
    """`ComparisonRow.curve` of a result with a history."""
    assert result.history is not None
    history = result.history
    seconds = np.append(history.seconds, result.seconds)
    passes = np.append(history.passes, result.n_passes)
    gap = np.append(history.dual_gap, result.dual_gap)
    gap = np.maximum(np.minimum.accumulate(np.where(np.isnan(gap), np.inf, gap)), result.dual_gap)
    kept = np.r_[True, gap[1:] < gap[:-1]]
    kept[-1] = True
    return Curve(seconds[kept], passes[kept], gap[kept])


def reached(curve: Curve, levels: Sequence[float]) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Seconds and passes at the first point of the curve with a gap of at most each level, but for rounding."""
    seconds: list[float | None] = []
    passes: list[float | None] = []
    for level in levels:
        there = np.flatnonzero(curve.dual_gap <= level * (1.0 + 4.0 * EPS))
        seconds.append(float(curve.seconds[there[0]]) if there.size else None)
        passes.append(float(curve.passes[there[0]]) if there.size else None)
    return tuple(seconds), tuple(passes)


def _problem(X: Any, y: ArrayLike, lam: float, options: dict[str, Any], n_threads: int) -> Problem:
    """What the referee needs: everything checked, X as arrays."""
    design = as_design(X, n_threads)
    positive = as_flag("positive", options.get("positive", False))
    l2 = as_number("l2", options.get("l2", 0.0))
    penalty = read_penalty(lam, l2, options.get("penalty_weights"), options.get("bounds"), positive, design.shape[1])
    intercept, weight = options.get("fit_intercept", False), options.get("sample_weight")
    return make_problem(design.storage, y, penalty, intercept, weight, n_threads, any_scale=True)


def _run(
    name: str,
    solver: str | Solver,
    problem: Problem,
    design: Any,
    y: ArrayLike,
    so_far: Comparison,
    given: dict[str, Any],
) -> ComparisonRow:
    """One row."""
    chosen = read_solver(solver)
    settings = repr(chosen[0]) if chosen else "auto"
    room = getattr(chosen[0], "room", None) if chosen else None
    limit = given.get("memory_limit")
    needed, allowed = room(problem) if room else 0, MOST_BYTES if limit is None else limit
    if needed > allowed:
        note = f"it may take {needed:,} bytes, more than {allowed:,}; give a larger memory_limit"
        return ComparisonRow(name, settings, "refused", note)
    limits: dict[str, Any] = {"tol": so_far.tol, "time_limit": so_far.time_limit, "history": True}
    try:
        with _statuses_only():
            _warm_up(solver)
            result = solve(design, y, so_far.lam, solver=solver, **limits, **given)
            for _ in range(RUNS - 1):
                if result.seconds >= QUICK:
                    break
                result = min(result, solve(design, y, so_far.lam, solver=solver, **limits, **given), key=_seconds_of)
    except (ValueError, NotImplementedError) as error:  # what is wrong with the problem itself was raised before
        return ComparisonRow(name, settings, "refused", str(error))
    except MemoryError as error:
        return ComparisonRow(name, settings, "refused", f"not enough memory ({error})")
    seconds_to, passes_to = reached(best_so_far(result), so_far.levels)
    point = problem.at(problem.units.start(result.coef))
    truth, found = so_far.reference.support, identified(problem, point)
    both = len(np.intersect1d(truth, found, assume_unique=True))
    return ComparisonRow(
        name=name,
        solver=settings,
        status=result.status.name.lower(),
        note=result.status.value,
        result=result,
        seconds_to=seconds_to,
        passes_to=passes_to,
        seconds=result.seconds,
        passes=float(result.n_passes),
        n_iter=int(result.n_iter),
        dual_gap=result.dual_gap,
        excess=_excess(problem, result, so_far.reference),
        nonzeros=len(result.support),
        precision=both / len(found) if len(found) else 1.0,
        recall=both / len(truth) if len(truth) else 1.0,
    )


def _excess(problem: Problem, result: Result, reference: Result) -> float:
    """(F - F of the reference) / scale; made afresh in units where F does not leave float64."""
    made = []
    for one in (result, reference):
        w = problem.units.start(one.coef)
        made.append(one.objective if problem.units.plain else problem.at(w).loss + problem.penalty_value(w))
    return (made[0] - made[1]) / problem.scale


def _seconds_of(result: Result) -> float:
    return result.seconds


def _warm_up(solver: str | Solver) -> None:
    """A small problem, so that imports are not on the clock: they made a first call 6 ms longer (measured)."""
    X, y = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 2.0, -1.0])
    with suppress(ValueError, NotImplementedError, MemoryError):  # for the real problem to tell
        solve(X, y, 0.1, solver=solver, max_iter=100, time_limit=1.0, n_threads=1)


def _statuses_only() -> warnings.catch_warnings[None]:
    """A context in which a gap above tol is told by the status alone."""
    return warnings.catch_warnings(action="ignore", category=ConvergenceWarning)


def _label(solver: str | Solver) -> str:
    """The name, and of a settings object what is not as by default: fista(step='lipschitz')."""
    if isinstance(solver, str):
        return solver
    made: Any = solver
    default = type(made)()
    changed = [
        f"{one.name}={getattr(made, one.name)!r}"
        for one in fields(made)
        if repr(getattr(made, one.name)) != repr(getattr(default, one.name))
    ]
    return str(made.name) + (f"({', '.join(changed)})" if changed else "")


def _row_as_dict(row: ComparisonRow) -> dict[str, Any]:
    curve = row.curve
    if len(curve.dual_gap) > CURVE_POINTS:
        height = np.log(np.maximum(curve.dual_gap, EPS))
        even = np.linspace(height[0], height[-1], CURVE_POINTS)
        kept = np.unique(np.r_[0, np.searchsorted(-height, -even[1:-1]), len(height) - 1])
        curve = Curve(curve.seconds[kept], curve.passes[kept], curve.dual_gap[kept])
    plain = ("name", "solver", "status", "note", "n_iter", "nonzeros")
    real = ("seconds", "passes", "dual_gap", "excess", "precision", "recall")
    report: dict[str, Any] = {name: getattr(row, name) for name in plain}
    report |= {name: _finite(getattr(row, name)) for name in real}
    report["objective"] = None if row.result is None else _finite(row.result.objective)
    report |= {"seconds_to": list(row.seconds_to), "passes_to": list(row.passes_to)}
    report["curve"] = {name: [_finite(value) for value in getattr(curve, name).tolist()] for name in Curve._fields}
    return report


def _order(sparse: bool, by_rows: bool) -> str:
    if sparse:
        return "CSR" if by_rows else "CSC"
    return "C order" if by_rows else "F order"


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None


def _or_nan(number: float | None) -> float:
    return math.nan if number is None else number


def _short(level: float) -> str:
    """1e-2, 2.5e-5: as short as the number allows."""
    mantissa, _, exponent = f"{level:.3e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}" if level else "0"


def _digits(number: float) -> str:
    """Three digits, without an exponent."""
    return f"{number:.{max(0, 2 - math.floor(math.log10(max(number, 1e-6))))}f}"


def _share(part: float | None) -> str:
    """Three digits, rounded down: 1.000 is all of them."""
    return "-" if part is None else f"{math.floor(1000.0 * part) / 1000.0:.3f}"
