"""path(): one problem at many strengths, each solved from the one before.

minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)   for falling lam

Three things are carried along: the solution, X'q at it, and the Gram matrix of the columns met so far. Columns that
are likely to enter are added before each strength (the sequential strong rule: Tibshirani et al., J. R. Statist. Soc. B
2012); the certificate over all columns finds those it missed. Where n_samples is far above n_features the problem is
compressed first: X is read once for the Gram matrix of all columns, and not again until the last strength.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from l1fast import _blas
from l1fast._design import join_notes
from l1fast._monitor import EPS, Carry, Monitor, Outcome, Solver
from l1fast._problem import Certificate, Point, Problem
from l1fast._result import PathCallback, PathResult, PathState, Status, announce
from l1fast._solve import (
    CURES,
    MOST_ITERATIONS,
    Bounds,
    cold_start,
    critical_strength,
    make_problem,
    read_penalty,
    read_solver,
    run_certified,
    strength_asked,
    within_memory,
)
from l1fast._solvers import choose, refuse_unfit
from l1fast._validation import as_count, as_flag, as_number, as_storage_or_blocks, as_thread_count, as_vector
from l1fast._working_set import CD, WorkingSet

Vector = NDArray[np.float64]

SMALLEST_RATIO = 1e-3
"""Last strength of a path as a part of lam_max, when nothing is said."""

STRENGTHS_AHEAD = 4
"""Strengths for which columns are added to the working set at once."""

PASSES_FOR_GRAM = 60
"""Strengths for which one row of a Gram matrix costs less than the reads of X that it saves; see `compressible`."""


@_blas.one_thread()
def path(
    X: Any,
    y: ArrayLike,
    *,
    lams: ArrayLike | None = None,
    n_lams: int = 100,
    lam_min_ratio: float = SMALLEST_RATIO,
    l2: float = 0.0,
    l2_ratio: float = 0.0,
    solver: str | Solver = "auto",
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    bounds: Bounds | None = None,
    positive: bool = False,
    n_threads: int | None = None,
    memory_limit: int | None = None,
    on_progress: PathCallback | None = None,
) -> PathResult:
    """Solve the Lasso or elastic net at many strengths, each to a certified duality gap.

    minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + (l2 + l2_ratio lam)/2 w_j^2)

    Parameters
    ----------
    X, y, solver, tol, fit_intercept, penalty_weights, sample_weight, bounds, positive, n_threads, memory_limit
        As in `solve`.
    lams : array-like, optional
        Strengths >= 0 in any order; they are solved from the largest down. Default: n_lams values from `lam_max` to
        lam_min_ratio * lam_max, evenly spaced in the logarithm.
    n_lams : int
    lam_min_ratio : float
        Above 0, at most 1. Both are ignored when lams are given.
    l2, l2_ratio : float
        Strength of the squared penalty: l2 at every lam, and l2_ratio times lam. scikit-learn's ``l1_ratio`` a is
        l2_ratio = (1 - a) / a.
    max_iter : int, optional
        Outer steps at most for each strength.
    time_limit : float, optional
        Seconds for the whole path; the strengths done by then are returned, the last with its true gap.
    on_progress : callable, optional
        Called with a `PathState` after every strength; return True to stop.

    Returns
    -------
    PathResult

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, has the wrong shape, is malformed or not finite. The message names it.

    Warns
    -----
    ConvergenceWarning
        The gap at some strength is above tol, or the path stopped early.

    Notes
    -----
    Cost: one read of X at the start, and one or two for most strengths. A dense X with at least twice as many rows as
    columns is read once more for the Gram matrix of all columns (n_features^2 numbers), and then no more until the
    last strength, whose certificate is made from X itself; a bound on the rounding of the others is part of their gap.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> found = l1fast.path(X, [3.0, 0.5, 1.0], lams=[2.0, 1.0, 0.25])
    >>> found.coefs.toarray()
    array([[1.  , 2.  , 2.75],
           [0.  , 0.  , 0.25]])
    >>> found.converged
    True
    """
    began = time.perf_counter()
    tol, ridge = as_number("tol", tol), (as_number("l2", l2), as_number("l2_ratio", l2_ratio))
    limit = None if time_limit is None else as_number("time_limit", time_limit)
    asked = read_strengths(lams, n_lams, lam_min_ratio, on_progress)
    wanted, memory = read_solver(solver), None if memory_limit is None else as_count("memory_limit", memory_limit)
    most = None if max_iter is None else min(as_count("max_iter", max_iter), MOST_ITERATIONS)
    storage = as_storage_or_blocks(X)
    smallest = None if asked is None else float(asked[-1])
    penalty = read_penalty(smallest, 0.0, penalty_weights, bounds, as_flag("positive", positive), storage.shape[1])
    problem = make_problem(
        storage, y, penalty, fit_intercept, sample_weight, as_thread_count(n_threads), any_scale=True
    )
    if asked is None:
        asked = strengths_for(problem, critical_strength(problem), n_lams, lam_min_ratio)
    check_ridge(ridge, asked)
    algorithm, reason = wanted or choose(problem, cold=False)
    refuse_unfit(algorithm, problem)
    algorithm = within_memory(algorithm, memory)
    walk = Walk(problem, algorithm, algorithm.default_max_iter if most is None else most, tol, began, limit)
    if isinstance(algorithm, CD) and compressible(problem, algorithm, len(asked)):
        walk.compress()
    if walk.compressed is not None:
        reason += "; compressed to the Gram matrix of all columns"
    status = walk.through(asked, ridge[0] + ridge[1] * asked, on_progress)
    result = walk.result(asked, status, reason)
    if not result.converged:
        announce(path_advice(result, len(asked)), stacklevel=3)
    return result


def read_strengths(lams: Any, n_lams: Any, lam_min_ratio: Any, on_progress: Any) -> Vector | None:
    """The strengths asked for, falling, or None for the default ones; what stands beside them is checked too."""
    as_count("n_lams", n_lams, least=1)
    if not 0.0 < as_number("lam_min_ratio", lam_min_ratio) <= 1.0:
        raise ValueError(f"lam_min_ratio must be above 0 and at most 1, got {lam_min_ratio!r}")
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be callable, got {on_progress!r}")
    asked = None if lams is None else -np.sort(-as_vector("lams", lams, np.size(lams), least=0.0))
    if asked is not None and not asked.size:
        raise ValueError("lams is empty; give at least one strength, or None for the default ones")
    return asked


def strengths_for(problem: Problem, largest: float, count: int, ratio: float) -> Vector:
    """The default strengths from lam_max in the units of the problem, in those asked for."""
    smallest = largest * ratio if count > 1 else largest
    return default_strengths(strength_asked(problem, largest, smallest), count, ratio)


def default_strengths(largest: float, count: int, ratio: float) -> Vector:
    """From lam_max down, evenly spaced in the logarithm; 0 alone where lam_max is 0."""
    made: Vector = largest * ratio ** (np.arange(count) / max(count - 1, 1)) if largest > 0.0 else np.zeros(1)
    return made


def check_ridge(ridge: tuple[float, float], asked: Vector) -> None:
    """Raise if l2 + l2_ratio lam overflows."""
    if not np.isfinite(ridge[0] + ridge[1] * float(asked[0])):
        raise ValueError(f"l2_ratio is {ridge[1]:g}, and l2 + l2_ratio * lam overflows at lam {asked[0]:g}; lower it")


def compressible(problem: Problem, algorithm: CD, n_lams: int) -> bool:
    """Whether the Gram matrix of all columns pays on a path.

    It costs n p^2 multiply-adds at the speed of BLAS, against some reads of X, n p numbers each, for every strength:
    p / PASSES_FOR_GRAM strengths are enough (measured on dense 50000 x 500). On sparse data the reads cost less than
    the matrix, unless they are of blocks of rows. Not for unpenalised columns, whose certificate needs more than a
    gradient.
    """
    n, p = problem.shape
    few = p <= algorithm.gram_limit and 2 * p <= n and p <= n_lams * PASSES_FOR_GRAM
    weights = problem.penalty.weights
    free = weights is not None and not (weights > 0.0).all()
    slow = problem.has_columns and (problem.elsewhere or not problem.design.sparse)  # to read X again
    return few and slow and not free and not problem.trivial


class Found(NamedTuple):
    """What is kept of one strength."""

    support: NDArray[np.intp]
    values: Vector
    intercept: float
    certificate: Certificate
    explained: float
    seconds: float
    n_iter: int


@dataclass
class Walk:
    """A path on its way: the problem, what was found so far, and what is carried from strength to strength."""

    problem: Problem
    algorithm: Solver
    max_iter: int
    tol: float
    began: float
    limit: float | None
    stop: Event | None = None
    found: list[Found] = field(default_factory=list)
    conversions: list[str] = field(default_factory=list)
    carry: Carry = field(default_factory=Carry)
    compressed: WorkingSet | None = None
    w: Vector | None = None
    lam: float = np.inf
    before: tuple[float, Point | None] = (np.inf, None)

    def monitor(self) -> Monitor:
        """The judge of one strength, by the clock of the whole path."""
        scale = self.problem.scale
        return Monitor(self.tol * scale, scale, self.began, self.limit, stop=self.stop, units=self.problem.units)

    def first(self, problem: Problem, monitor: Monitor) -> Vector:
        """Where the first strength starts."""
        return cold_start(self.algorithm, problem, self.max_iter, monitor)

    def compress(self) -> None:
        """Make the Gram matrix of all columns, unless time runs out."""
        working = WorkingSet(self.problem, exact=True)
        working.add(np.arange(self.problem.shape[1]))
        if working.complete_gram(self.monitor()):
            self.compressed = self.carry.working = working

    def step(self, lam: float, l2: float, last: bool) -> Status:
        """Solve at lam and l2, from the solution at the strength before.

        last : certify from X, also where a Gram matrix of all columns would do.
        """
        problem, monitor = self.problem.with_strength(lam, l2), self.monitor()
        start = self.first(problem, monitor) if self.w is None else self.w
        answer = None
        free = problem.penalty.unpenalised(len(start)).size  # all are at lam = 0; a gradient does not certify that
        if self.compressed is not None and not (last or free or self.max_iter == 0):
            answer = descend_compressed(problem, self.compressed, start, monitor)
        if answer is None:
            monitor = self.monitor()
            self.screen(lam)
            answer = self.solve(problem, start, monitor)
        outcome, certificate = answer
        if outcome.conversion and outcome.conversion not in self.conversions:
            self.conversions.append(outcome.conversion)
        self.w, self.lam = outcome.coef, lam
        coef, null = problem.restored(self.w), problem.null_loss
        support = problem.support(coef)
        loss = certificate.objective - problem.penalty_value(self.w)
        self.found.append(
            Found(
                support=support,
                values=coef[support],
                intercept=problem.units.intercept(problem.intercept(self.w)),
                certificate=problem.told(certificate),
                explained=1.0 - loss / null if null > 0.0 else 0.0,
                seconds=time.perf_counter() - self.began,
                n_iter=outcome.n_iter,
            )
        )
        return monitor.status

    def look_ahead(self, problem: Problem, start: Vector, target: float) -> Vector:
        """Where the line through the last two solutions leads, if F is lower there than at the last one: a start.

        Between two breakpoints the path is a line (Efron et al., Ann. Statist. 2004), and q and g are affine in w: the
        point there costs no read of X. With t the share of the step, q' = (1 + t) q - t q0, and
        <q0, q> = g0'(w - w0) + 2 loss0. Measured: a path on text takes 0.6 of the time, one on dense data the same.
        """
        (lam, last), (before, old) = (self.lam, self.carry.point), self.before
        self.before = lam, last
        known = last is not None and old is not None and lam < before and np.array_equal(last.w, start)
        if not known or problem.penalty.lower is not None:
            return start
        assert last is not None
        assert old is not None
        here = problem.certify(last.w, last.g, last.loss)
        if here.gap <= target:
            return start
        share = (lam - problem.penalty.lam) / (before - lam)
        w, q, g = (new + share * (new - then) for new, then in zip(last[:3], old[:3], strict=True))
        across = float(old.g @ (last.w - old.w)) + 2.0 * old.loss
        loss = (1.0 + share) ** 2 * last.loss + share**2 * old.loss - share * (1.0 + share) * across
        loss = max(float(loss), 0.0)
        if not problem.certify(w, g, loss).objective < here.objective:
            return start
        self.carry.ahead = Point(w, q, g, loss)
        return w

    def through(
        self, asked: Vector, l2s: Vector, on_progress: PathCallback | None, certify_last: bool = True
    ) -> Status:
        """Solve at every strength asked for; CONVERGED, or the first reason why not all are solved to tol.

        asked, l2s : in the units of the user, as everything in `found` but the gap.
        certify_last : make the last certificate from X, where a Gram matrix of all columns serves for the others.
        """
        status, units = Status.CONVERGED, self.problem.units
        for k, (lam, l2) in enumerate(zip(units.lam(asked).tolist(), units.l2(l2s).tolist(), strict=True)):
            last = k == len(asked) - 1
            outcome = self.step(lam, l2, last and certify_last)
            status = outcome if status is Status.CONVERGED else status
            done = self.found[-1]
            gap = done.certificate.gap / self.problem.scale
            if on_progress is not None and on_progress(
                PathState(k, len(asked), float(asked[k]), done.seconds, gap, len(done.support))
            ):
                status = status if last else Status.INTERRUPTED
                break
            if outcome is Status.TIME_LIMIT or (not last and self.monitor().out_of_time()):
                status = Status.TIME_LIMIT
                break
        return status

    def solve(self, problem: Problem, start: Vector, monitor: Monitor) -> tuple[Outcome, Certificate]:
        """One strength, to a certificate made from X."""
        start = self.look_ahead(problem, start, monitor.target)
        return run_certified(self.algorithm, problem, start, self.max_iter, monitor, self.carry)[:2]

    def screen(self, lam: float) -> None:
        """Add the columns that the sequential strong rule cannot leave out: |c_j| >= v_j (2 lam - last lam).

        When there are some, those likely to come at the next strengths are added too: one read of X makes their
        part of the Gram matrix.
        """
        point, working = self.carry.point, self.carry.working
        if point is None or working is None or not np.isfinite(self.lam) or not isinstance(self.algorithm, CD):
            return
        weights = self.problem.penalty.weights
        pull = self.problem.pull(point.g)
        pull[working.inside != 0] = 0.0
        scale = 1.0 if weights is None else weights
        threshold = 2.0 * lam - self.lam
        if threshold <= 0.0:  # too far ahead: the rule leaves nothing out
            return
        likely = np.flatnonzero(pull > threshold * scale)
        if likely.size:
            soon = np.flatnonzero(pull > lam * (lam / self.lam) ** STRENGTHS_AHEAD * scale)
            for more in (soon, likely):
                if len(more) + len(working.members) <= self.algorithm.gram_limit:
                    working.add(more)
                    break

    def result(self, lams: Vector, status: Status, reason: str) -> PathResult:
        """All that was found."""
        found, scale = self.found, self.problem.scale
        starts = np.cumsum([0, *(len(one.support) for one in found)])
        parts = (np.concatenate([one.values for one in found]), np.concatenate([one.support for one in found]), starts)
        return PathResult(
            lams=lams[: len(found)],
            coefs=sparse.csc_array(parts, shape=(self.problem.shape[1], len(found))),
            intercepts=np.array([one.intercept for one in found]),
            objectives=np.array([one.certificate.objective for one in found]),
            dual_gaps=np.array([one.certificate.gap / scale for one in found]),
            violations=np.array([one.certificate.violation for one in found]),
            deviance_explained=np.array([one.explained for one in found]),
            seconds=np.array([one.seconds for one in found]),
            n_iter=np.array([one.n_iter for one in found], dtype=np.int64),
            status=status,
            solver=self.algorithm.name,
            reason=reason,
            tol=self.tol,
            conversion=join_notes(self.problem.design.conversion, self.problem.units.note, *self.conversions),
        )


def descend_compressed(
    problem: Problem, working: WorkingSet, start: Vector, monitor: Monitor
) -> tuple[Outcome, Certificate] | None:
    """Solve on the Gram matrix of all columns; None where its rounding could hide a gap above the target."""
    w, epochs = start.copy(), 0
    for share in (0.5, 0.05, 0.005, 0.0):
        g, loss = working.gradient(problem, w)
        certificate = problem.certify(w, g, loss)
        rounding = gram_rounding(problem, working, w, g)
        certificate = certificate._replace(gap=certificate.gap + rounding)
        if rounding > 0.25 * monitor.target or monitor(0, certificate.objective, certificate.gap, w):
            break
        epochs += working.descend(problem, w, g, loss, share * monitor.target, monitor)
    return (Outcome(w, 1, epochs), certificate) if monitor.status is Status.CONVERGED else None


def gram_rounding(problem: Problem, working: WorkingSet, w: Vector, g: Vector) -> float:
    """What rounding may add to the gap of w when its gradient g was made from the Gram matrix (`WorkingSet.gradient`).

    Entry j of G w - X'y errs by some eps sqrt(n) ||x_j|| (sum_k |w_k| ||x_k|| + ||y||). X'y is summed over X as it is
    stored, so the offset of a column errs too, by some eps sqrt(n) |offset_j| ||y||. And an error that raises the
    largest |c_j| / (lam v_j) shrinks the dual point, which costs lam sum_j v_j |w_j| in all.
    """
    n, p = problem.shape
    penalty, size = problem.penalty, np.abs(w)
    norm, null_norm = np.sqrt(problem.norm2), np.sqrt(2.0 * problem.datafit.null_loss)
    offset = np.zeros(p) if problem.mean is None else np.sqrt(problem.datafit.total_weight) * np.abs(problem.mean)
    unit = EPS * np.sqrt(n) * working.inflation
    length = float(size @ norm)
    by_offset = unit * offset * null_norm
    rounding = unit * length * (length + null_norm) + float(size @ by_offset)
    if penalty.lam > 0.0:
        strength = penalty.lam * (np.ones(p) if penalty.weights is None else penalty.weights)
        error = by_offset + unit * norm * (length + null_norm)
        pull = penalty.pull(-g)
        shrink = ((pull + error) / strength).max(initial=0.0) - (pull / strength).max(initial=0.0)
        rounding += float(shrink) * float(strength @ size)
    return float(rounding)


def path_advice(result: Any, n_lams: int) -> str:
    """The text of the ConvergenceWarning."""
    missed = int(np.count_nonzero(result.dual_gaps > result.tol))
    left = n_lams - len(result)
    return (
        f"{missed} of {len(result)} strengths have a relative duality gap above tol {result.tol:.3e} (the largest is "
        f"{result.dual_gaps.max():.3e}), and {left} were not tried: {result.status.value}; {CURES[result.status]}"
    )
