"""Plain descent, step by step: gradient descent on a Huber penalty that narrows, and the subgradient method.

    w <- P(w - step (X'S(Xw + b - y) + v (lam slope(w) + l2 w)))

slope(w) is clip(w / mu, -1, 1), or sign(w). P moves w to the nearest point within the bounds, and does nothing where
there are none. A step reads X once. Every few steps the certificate of the true problem is made from the gradient at
hand, which needs no read of X. Invariant of the loops: g is the whole gradient, or subgradient, at w.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from l1fast._kernels import gradient
from l1fast._monitor import EPS, Carry, Monitor, Outcome, Vector
from l1fast._patience import FLOPS_A_COPY, OutOfTime, patiently
from l1fast._problem import Certificate, Point, Problem
from l1fast._result import Status
from l1fast._smoothing import Smoothing
from l1fast._working_set import WorkingSet

Matrix = NDArray[np.float64]

NOWHERE = np.empty((0, 0))
"""No rows to keep points in."""

CHECK_EVERY, CHECK_WORK = 10, 20_000_000
"""Steps between two checks of clock and gap, and stored entries visited between them, at most: about 20 ms."""

SORTING_PAYS = 100
"""Steps from which a sparse X is copied to rows in order of their length: the copy costs about 10 reads."""

SORTING_LEAST = 20_000
"""Stored entries below which it is not: there the reads are the smaller part of a step."""

MOST_BYTES = 2**32
"""What a Gram matrix or all iterates may take: beyond it, the request is taken for a slip."""


class Walk:
    """One descent on its way: the point w, its gradient g, and the best point that the checks saw.

    gram : of all columns, in place of X, or None. The problem may be one with its rows in another order.
    """

    def __init__(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, gram: Matrix | None = None
    ) -> None:
        p = problem.shape[1]
        self.monitor, self.gram, self.given = monitor, gram, problem
        entries = problem.design.n_entries
        ordered = gram is None and max_iter >= SORTING_PAYS and entries >= SORTING_LEAST
        ordered = ordered and monitor.affords(problem.design.nbytes)
        self.problem = problem.by_length if ordered else problem
        self.w, self.g, self.slopes = start.copy(), np.empty(p), np.empty(p)
        self.q = problem.blanks()[0] if gram is None else np.empty(0)
        self.scratch = self.problem.scratch()
        self.best, self.best_gap = start.copy(), np.inf
        self.point: Point | None = None  # X read at the last point whose certificate would do
        self.before = np.full(p, np.nan)
        self.last = max_iter
        self.every = max(1, min(CHECK_EVERY, CHECK_WORK // ((p * p if gram is not None else entries) + p)))

    def outcome(self, n_iter: int, iterates: Matrix | None = None) -> Outcome:
        """The best point, and what the walk took."""
        note = self.problem.design.conversion if self.problem is not self.given else ""
        point = self.point if self.point is not None and np.array_equal(self.point.w, self.best) else None
        return Outcome(self.best, n_iter, n_iter, note, point, iterates)

    def read(self, smoothing: Smoothing, w: Vector, g: Vector) -> tuple[float, float]:
        """Fill g with the gradient of the smoothed objective at w; return (loss, penalty) there."""
        if self.gram is not None:
            return self.on_gram(smoothing, np.array([smoothing.width]), np.empty(0), w, g, NOWHERE)
        self.monitor.passes += 1.0
        return self.problem.smooth_gradient(smoothing, w, self.q, g, self.scratch)

    def descend(self, smoothing: Smoothing, widths: Vector, steps: Vector, kept: Matrix) -> tuple[float, float]:
        """For each step: w <- P(w - step g), kept in a row of kept unless that has none, and g at the width in turn."""
        if self.gram is not None:
            return self.on_gram(smoothing, widths, steps, self.w, self.g, kept)
        self.monitor.passes += len(steps)
        kind, _, gamma = smoothing.arguments
        return gradient.descend(
            self.problem.capsule, kind, widths, gamma, steps, self.w, self.q, self.g, self.scratch, kept
        )

    def on_gram(
        self, smoothing: Smoothing, widths: Vector, steps: Vector, w: Vector, g: Vector, kept: Matrix
    ) -> tuple[float, float]:
        """The same on X'X; without steps, g is made at w."""
        from l1fast._kernels import gram  # here: SciPy's BLAS would slow the import of the package

        problem = self.problem
        assert self.gram is not None and problem.product is not None
        kind, _, gamma = smoothing.arguments
        loss, penalty = gram.descend(
            problem.capsule, self.gram, problem.product, kind, widths, gamma, steps, w, g, kept
        )
        return max(problem.datafit.null_loss + loss, 0.0), penalty

    def change(self, before: Smoothing, after: Smoothing) -> float:
        """Bring g from one smoothing to another, without X; returns the penalty at w."""
        problem, slopes = self.problem, self.slopes
        problem.slopes(before, self.w, slopes)
        self.g -= slopes
        penalty = problem.slopes(after, self.w, slopes)
        self.g += slopes
        return penalty

    def certify(self, smoothing: Smoothing, loss: float) -> Certificate:
        """The certificate of w; slopes becomes the gradient of the datafit. One that would do is made afresh from X."""
        problem = self.problem
        problem.slopes(smoothing, self.w, self.slopes)
        np.subtract(self.g, self.slopes, out=self.slopes)
        made = problem.certify(self.w, self.slopes, loss)
        if made.gap <= self.monitor.target:
            self.monitor.passes += 1.0
            self.point = self.given.at(self.w.copy())
            made = problem.certify(self.w, self.point.g, self.point.loss)
        return made

    def due(self, iteration: int) -> bool:
        """Whether there is a check at this iteration."""
        return iteration % self.every == 0 or iteration == self.last

    def check(self, iteration: int, made: Certificate, point: Vector) -> bool:
        """Whether to stop at a point; the best is kept. Stuck: not a bit of w has changed since the last check."""
        if made.gap < self.best_gap:
            self.best_gap = made.gap
            self.best[:] = point
        if self.monitor(iteration, made.objective, made.gap, point):
            return True
        if np.array_equal(self.w, self.before):
            self.monitor.status = Status.NO_PROGRESS
            return True
        self.before[:] = self.w
        return iteration == self.last

    def project(self, w: Vector) -> None:
        """Move w into the bounds."""
        penalty = self.problem.penalty
        if penalty.lower is not None and penalty.upper is not None:
            np.clip(w, penalty.lower, penalty.upper, out=w)


@dataclass(frozen=True)
class HuberDescent:
    """Gradient descent on the Huber penalty with a width and a step that fall by a fixed rule, from the least-norm fit.

    w_1 = pinv(X) y, and for k = 2, 3, ...

        w_k = w_(k-1) - step_k (X'(X w_(k-1) - y) + lam clip(w_(k-1) / mu_k, -1, 1))
        mu_k = mu / log2 k,     step_k = 1 / (||X||_2^2 log2 k)

    step by step, ``max_iter`` steps. With weights, an intercept, l2 or bounds: the gradient of the smoothed objective,
    1 / (||sqrt(s) (X - mean)||_2^2 + l2 max v), a least-norm fit of the same least squares, and projection.

    Parameters
    ----------
    mu : float
        Width of the Huber penalty at k = 2.
    iterates : bool
        Keep w_1, w_2, ... in ``Result.iterates``: its last row is where the scheme ends, ``coef`` the point with the
        smallest gap of those checked (every tenth, or more where X is large).
    gram : {"auto"} or bool
        Work on X'X, formed once. "auto": where it is much smaller than X and the steps are many enough to pay for it.
    line_search : bool
        Choose the step by halving until the smoothed objective falls enough (Armijo 1966); it grows again after steps
        that did at once. mu_k stays as it is.

    Notes
    -----
    What it reaches: the step knows nothing of the curvature lam / mu_k of the penalty. Where lam > 2 ||X||^2 mu, at any
    k, a coefficient that should be 0 is thrown from one side of it to the other, by about lam step_k at each step. What
    is left of the gap falls as step_k does, as 1 / log2 k; and rounding errors grow at every such throw, so that no two
    programs follow the same path for long (each single step is exact to rounding). ``line_search`` has no such limit,
    and comes near the minimiser for mu_k, whose objective is at most lam sum(v) mu_k / 2 above the optimum; but mu_k
    falls slowly, and steps are short where it is small.
    To reach a gap that is asked for, `AcceleratedGradient` narrows the width as the gap falls.
    Without ``start`` it begins at the least-norm fit: by LAPACK (singular values below max(n, p) eps ||X|| count as 0)
    where that takes a few seconds at most, else by LSMR from 0 to a tolerance of 1e-8 in at most 2000 steps and in half
    of the time limit. ||X||_2 is exact to rounding.
    Cost: one read of X for each step (1.1 on average with the line search); with X'X, n_features^2 multiply-adds.
    Memory: 6 n_features + n_samples numbers, a copy of a sparse X with its rows in order of length, X'X, all iterates.
    """

    mu: float = 0.005
    iterates: bool = False
    gram: Literal["auto"] | bool = "auto"
    line_search: bool = False
    name: ClassVar[str] = "huber_descent"
    default_max_iter: ClassVar[int] = 10_000

    def __post_init__(self) -> None:
        check_positive("mu", self.mu)
        for name in ("iterates", "line_search"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.gram != "auto" and not isinstance(self.gram, bool):
            raise ValueError(f"gram must be 'auto', True or False, got {self.gram!r}")

    def cold_start(self, problem: Problem, max_iter: int, monitor: Monitor) -> Vector:
        """The least-norm w of the best fit without the penalty, within the bounds."""
        self.check_room(problem, max_iter, monitor)
        return problem.penalty.within(least_norm_fit(problem, monitor))

    def check_room(self, problem: Problem, max_iter: int, monitor: Monitor) -> None:
        """Refuse, before any work, what cannot be meant."""
        p = problem.shape[1]
        if self.iterates and 8 * (max_iter + 1) * p > MOST_BYTES:
            raise ValueError(
                f"iterates=True would keep {max_iter + 1:,} x {p:,} numbers ({8e-9 * (max_iter + 1) * p:.3g} GB); "
                "lower max_iter, or look at the states in a callback"
            )
        if self.gram is True and (8 * p * p > MOST_BYTES or not monitor.affords(8 * p * p)):
            raise ValueError(
                f"gram=True would form {p:,} x {p:,} numbers ({8e-9 * p * p:.3g} GB), which is above "
                f"{min(MOST_BYTES, monitor.memory_limit or MOST_BYTES):,} bytes; leave it at 'auto'"
            )

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Walk max_iter steps at most; the iterate with the smallest gap of those checked is kept."""
        self.check_room(problem, max_iter, monitor)
        try:
            gram = gram_of(problem, monitor) if self.wants_gram(problem, max_iter, monitor) else None
            steepest = norm2_of(problem, monitor, gram) + problem.penalty.l2 * problem.largest_weight
        except OutOfTime:
            monitor.status = Status.TIME_LIMIT
            return Outcome(start, 0, 0, iterates=start[None].copy() if self.iterates else None)
        walk = Walk(problem, start, max_iter, monitor, gram)
        kept = np.empty((max_iter + 1, len(start))) if self.iterates else NOWHERE
        if self.iterates:
            kept[0] = start
        step = self.searched if self.line_search else self.scheduled
        done = step(walk, 1.0 / steepest, kept)
        return walk.outcome(done, kept[: done + 1] if self.iterates else None)

    def wants_gram(self, problem: Problem, max_iter: int, monitor: Monitor) -> bool:
        """Whether to work on X'X."""
        if self.gram != "auto":
            return bool(self.gram)
        n, p = problem.shape
        entries = problem.design.n_entries
        return (
            problem.has_columns
            and p * p <= GRAM_SHARE * entries
            and entries <= GRAM_STEPS * max_iter * n
            and monitor.affords(8 * p * p)
        )

    def smoothing(self, walk: Walk, iteration: int) -> Smoothing:
        """The Huber penalty after so many steps; a repair of the certificate goes on where the walk ended."""
        mu = float(walk.problem.units.width(self.mu))
        return Smoothing("huber", mu / math.log2(walk.monitor.offset + 2 + iteration))

    def scheduled(self, walk: Walk, step: float, kept: Matrix) -> int:
        """The steps of the text, as many at a time as there are between two checks."""
        smoothing, iteration = self.smoothing(walk, 0), 0
        loss, _ = walk.read(smoothing, walk.w, walk.g)
        while True:
            if walk.due(iteration) and walk.check(iteration, walk.certify(smoothing, loss), walk.w):
                return iteration
            count = min(walk.every, walk.last - iteration)
            slowness = np.log2(walk.monitor.offset + 2.0 + np.arange(iteration, iteration + count + 1))
            widths = walk.problem.units.width(self.mu) / slowness[1:]
            loss, _ = walk.descend(smoothing, widths, step / slowness[:-1], kept[iteration + 1 :])
            iteration += count
            smoothing = smoothing.narrowed(float(widths[-1]))

    def searched(self, walk: Walk, step: float, kept: Matrix) -> int:
        """Steps that lower the smoothed objective, each long enough. g is made afresh for each new width, without X."""
        w, g = walk.w, walk.g
        trial, g_trial, moved = np.empty_like(w), np.empty_like(g), np.empty_like(w)
        longest = LONGEST * step
        smoothing = self.smoothing(walk, 0)
        loss, penalty = walk.read(smoothing, w, g)
        for iteration in range(walk.last + 1):
            w, g = walk.w, walk.g
            if kept.size:
                kept[iteration] = w
            if walk.due(iteration) and walk.check(iteration, walk.certify(smoothing, loss), walk.w):
                break
            before, longer = loss + penalty, LONGER
            while True:
                np.multiply(g, -step, out=trial)
                trial += w
                walk.project(trial)
                loss, penalty = walk.read(smoothing, trial, g_trial)
                np.subtract(w, trial, out=moved)
                if not loss + penalty > before * (1.0 + 4.0 * EPS) - ENOUGH * float(g @ moved):
                    break
                step, longer = step * SHORTER, 1.0
            step = min(step * longer, longest)
            walk.w, walk.g, trial, g_trial = trial, g_trial, w, g
            narrower = self.smoothing(walk, iteration + 1)
            penalty, smoothing = walk.change(smoothing, narrower), narrower
        return iteration


ENOUGH = 1e-4
"""Part of the fall that the gradient promises which a step must bring: Nocedal and Wright (2006, section 3.1)."""

SHORTER, LONGER = 0.5, 1.1
"""What a step that is too long is multiplied by, and the next one after a step that was not (measured: 1.1 to 2)."""

LONGEST = 1e6
"""Longest step of the line search, in units of 1 / ||X||^2."""


@dataclass(frozen=True)
class Subgradient:
    """The subgradient method: steps against X'q + v (lam sign(w) + l2 w), where sign(0) = 0; for comparison.

    F need not fall at a step, and no coefficient becomes exactly 0 but by luck.

    Parameters
    ----------
    step : {"polyak", "diminishing"}
        With s_k the subgradient at step k = 0, 1, ...
        "polyak": (F(w_k) - level) / ||s_k||^2. The level stands for the optimum: a record of F less delta, and never
        below the largest dual value that a check has certified, which the optimum is above.
        "diminishing": scale / (||s_k|| sqrt(k + 1)).
    scale : float or None
        A length in the space of w, of the order of the distance from the start to a solution. None: a third of
        ||y|| / max_j ||x_j||, what one coefficient needs to explain all of y.

    Notes
    -----
    The level: while it is above the optimum, each step brings w nearer to every solution, by the square of its own
    length in squared distance. So when the squares since the last record exceed scale^2 it is too low, and delta
    halves; F below the record by delta / 2 makes a new record (Kim, Ahn and Cho 1991).
    The checks also look at a running average of the points that they saw, where the zigzag cancels, and whose residual
    is the average of theirs: no read of X. ``coef`` is the point with the smallest gap of all of these.
    After k steps the best F is O(1 / sqrt(k)) above the optimum (for "diminishing", times log k), and so it looks:
    expect a relative gap of 1e-2 to 1e-3 after some thousand steps. Bounds hold, by projection.
    Cost: one read of X for each step. Memory: 9 n_features + 2 n_samples numbers, and a copy of a sparse X with its
    rows in order of length.
    Sources: Shor (1962); Polyak (USSR Comput. Math. 1969); Kim, Ahn and Cho (Math. Program. 1991); the rules side by
    side in Boyd, Xiao and Mutapcic, "Subgradient methods" (2003).
    """

    step: Literal["polyak", "diminishing"] = "polyak"
    scale: float | None = None
    name: ClassVar[str] = "subgradient"
    default_max_iter: ClassVar[int] = 10_000

    def __post_init__(self) -> None:
        if self.step not in ("polyak", "diminishing"):
            raise ValueError(f"step must be 'polyak' or 'diminishing', got {self.step!r}")
        if self.scale is not None:
            check_positive("scale", self.scale)

    @np.errstate(over="ignore")  # no step where lam makes it too steep for float64
    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Walk max_iter steps at most; the point with the smallest gap of those checked is kept."""
        walk = Walk(problem, start, max_iter, monitor)
        given = None if self.scale is None else float(problem.units.width(self.scale))
        scale = given or COMMON_SCALE * math.sqrt(2.0 * problem.scale / float(problem.norm2.max()))
        smoothing, level, average, g = Smoothing("abs"), Level(scale), Average(walk), walk.g
        width, step = np.ones(1), np.zeros(1)
        loss, penalty = walk.read(smoothing, walk.w, g)
        for iteration in range(max_iter + 1):
            if walk.due(iteration):
                here, there = walk.certify(smoothing, loss), average.add()
                level.bound = max(level.bound, here.objective - here.gap, there.objective - there.gap)
                if walk.check(iteration, *((here, walk.w) if here.gap <= there.gap else (there, average.w))):
                    break
            length = math.sqrt(float(g @ g))
            if length > 0.0:
                if self.step == "polyak":
                    way = level.way(loss + penalty, length)
                else:
                    way = scale / math.sqrt(iteration + monitor.offset + 1.0)
                step[0] = way / length
            loss, penalty = walk.descend(smoothing, width, step, NOWHERE)
        return walk.outcome(iteration)


COMMON_SCALE = 1.0 / 3.0
"""Distance to a solution that is assumed, in units of ||y|| / max_j ||x_j|| (measured)."""


@dataclass
class Level:
    """What Polyak's step takes for the optimum; see `Subgradient`.

    Attributes
    ----------
    scale : float
        Distance from any point to a solution, as it is assumed.
    bound : float
        A proven lower bound of the optimum.
    """

    scale: float
    bound: float = -math.inf
    best: float = math.inf
    record: float = math.inf
    delta: float = math.inf
    squares: float = 0.0

    def way(self, objective: float, length: float) -> float:
        """How far to go from a point with that objective and a subgradient of that length."""
        self.best = min(self.best, objective)
        if math.isinf(self.delta):
            self.delta = 0.5 * (objective - self.bound)
        if objective <= self.record - 0.5 * self.delta:
            self.record, self.squares = objective, 0.0
        elif self.squares > self.scale * self.scale:  # a power would raise where it overflows
            self.record, self.squares, self.delta = self.best, 0.0, 0.5 * self.delta
        way = max(objective - max(self.record - self.delta, self.bound), 0.0) / length
        self.squares += way * way
        return way


class Average:
    """A running average of the points at the checks, with the residual and the gradient of the datafit there."""

    def __init__(self, walk: Walk) -> None:
        self.walk, self.seen = walk, 0
        self.w, self.q, self.g = np.zeros_like(walk.w), np.zeros_like(walk.q), np.zeros_like(walk.g)

    def add(self) -> Certificate:
        """Let in the present point, just certified, and certify the average."""
        walk, problem = self.walk, self.walk.problem
        part = max(FORGETTING, 2.0 / (self.seen + 2.0))
        self.seen += 1
        for mean, new in ((self.w, walk.w), (self.q, walk.q), (self.g, walk.slopes)):
            mean += part * (new - mean)
        walk.project(self.w)  # against rounding
        return problem.certify(self.w, self.g, 0.5 * problem.datafit.inner(self.q, self.q))


FORGETTING = 0.1
"""Part of the average that the newest point has, at least (measured)."""


def check_positive(name: str, value: object) -> None:
    """Raise unless a setting is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be finite and above 0, got {value!r}")


def gram_of(problem: Problem, monitor: Monitor) -> Matrix:
    """(X - mean)'S(X - mean), in float64."""
    p = problem.shape[1]
    working = WorkingSet(problem, exact=True)
    working.add(np.arange(p))
    if not working.complete_gram(monitor):
        raise OutOfTime
    if len(working.members) == p:
        return working.gram
    gram = np.zeros((p, p))
    gram[np.ix_(working.members, working.members)] = working.gram[: working.known, : working.known]
    return gram


def norm2_of(problem: Problem, monitor: Monitor, gram: Matrix | None = None) -> float:
    """||sqrt(s) (X - mean)||_2^2 to a relative 1e-12: from the smaller Gram matrix if that is small, else by ARPACK."""
    n, p = problem.shape
    small = problem.has_columns and min(n, p) <= SMALL_GRAM and (p <= n or n * p <= DENSE_ENTRIES)
    if small and monitor.affords(8 * p * min(n, p)):
        from scipy.linalg import eigvalsh

        if p > n:
            columns = patiently(problem.array, n * p)
            gram = patiently(lambda: columns @ columns.T, n * n * p / FLOPS_A_COPY)
        elif gram is None:
            gram = gram_of(problem, monitor)
        return float(eigvalsh(gram, subset_by_index=[len(gram) - 1, len(gram) - 1])[0])
    from scipy.sparse.linalg import LinearOperator, eigsh

    homogeneous = problem.homogeneous()
    (q, g), scratch = problem.blanks(), problem.scratch()

    def multiply(v: Vector) -> Vector:
        if monitor.out_of_time():
            raise OutOfTime
        if gram is not None:
            return gram @ v
        monitor.passes += 1.0
        homogeneous.gradient(np.ascontiguousarray(v), q, g, scratch)
        return g.copy()

    begin = np.random.default_rng(0).standard_normal(p)  # by chance, but the same at every call
    operator = LinearOperator((p, p), matvec=multiply, dtype=np.float64)
    found = eigsh(operator, k=1, which="LA", v0=begin, tol=EIGENVALUE_TOL, return_eigenvectors=False)
    return float(found[0])


def least_norm_fit(problem: Problem, monitor: Monitor) -> Vector:
    """pinv(sqrt(s) (X - mean)) sqrt(s) (y - mean of y); 0 for a column that cannot matter. See `HuberDescent`."""
    n, p = problem.shape
    if problem.trivial:
        return np.zeros(p)
    left = math.inf if monitor.time_limit is None else monitor.began + monitor.time_limit - time.perf_counter()
    work = n * p * min(n, p)
    quick = problem.has_columns and work <= min(LAPACK_WORK, LAPACK_RATE * START_SHARE * left)
    if quick and n * p <= LAPACK_ENTRIES and monitor.affords(8 * n * p):
        monitor.passes += 1.0
        target, least = problem.datafit.root * problem.datafit.centred, max(n, p) * EPS
        fitted = patiently(lambda: np.linalg.lstsq(problem.array(), target, rcond=least)[0], work / FLOPS_A_COPY)
        return np.where(problem.norm2 == 0.0, 0.0, fitted)
    from scipy.sparse.linalg import lsmr

    if monitor.affords(problem.design.nbytes):
        problem = problem.by_length
    kept = np.where(problem.norm2 == 0.0, 0.0, 1.0)
    operator, steps = problem.operator(kept), START_STEPS
    if left < math.inf:
        began = time.perf_counter()
        operator.rmatvec(operator.matvec(kept))
        monitor.passes += 2.0
        steps = min(steps, int(START_SHARE * left / (time.perf_counter() - began)))
    target = problem.datafit.root * problem.datafit.centred
    found = lsmr(operator, target, atol=START_TOL, btol=START_TOL, conlim=0.0, maxiter=max(steps, 0))
    monitor.passes += 2.0 * found[2]
    made: Vector = kept * found[0]
    return made


SMALL_GRAM, DENSE_ENTRIES = 500, 10_000_000
"""Size of a Gram matrix whose eigenvalue LAPACK finds in some milliseconds, and of an X that is copied for it."""

EIGENVALUE_TOL = 1e-9
"""Residual that ARPACK leaves of the largest eigenpair, relative; the eigenvalue errs by about its square."""

LAPACK_WORK, LAPACK_ENTRIES, LAPACK_RATE = 2e10, 30_000_000, 5e9
"""Multiply-adds of a least-norm fit by LAPACK, about four seconds; entries of a dense X for it; the rate, carefully."""

START_TOL, START_STEPS, START_SHARE = 1e-8, 2000, 0.5
"""The least-norm fit by LSMR: its tolerance, its steps, and its part of the time limit, at most."""

GRAM_SHARE, GRAM_STEPS = 0.25, 10
"""X'X is worth forming where it has at most this part of the entries of X, and a row of X at most so many a step.

It takes as many multiply-adds for each entry of X as its row has entries, but at the speed of BLAS.
"""
