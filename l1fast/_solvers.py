"""The solvers: a settings class for each algorithm, and the table that chooses one.

A solver is given a `Problem`, a start and a `Monitor`, and returns an `Outcome`. It owns the arrays it works on; the
loops over X are in `_kernels`. It never warns, and its own idea of the gap is not what the user is told: `solve`
certifies the outcome once more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from l1fast._design import Design
from l1fast._kernels import coordinate_descent, fista
from l1fast._penalties import ElasticNet
from l1fast._problem import Point, Problem
from l1fast._result import State, Status

Vector = NDArray[np.float64]

CHECK_WORK = 20_000_000
"""Stored entries visited between two checks of clock, signals and gap, at most: about 20 ms."""

STALL = 2
"""No better gap or objective while the iterations grew by this factor (and STALL_LEAST): rounding has the last word."""

STALL_LEAST = 1000

EPS = float(np.finfo(np.float64).eps)

POWER_STEPS = 12
"""Power iterations for the first step constant; the loop itself corrects an estimate that is too low."""


@dataclass
class Monitor:
    """Decides at every check whether to go on, and keeps what the checks saw.

    Attributes
    ----------
    target : float
        Absolute gap to reach.
    scale : float
        What the absolute gap is divided by for people.
    """

    target: float
    scale: float
    began: float
    time_limit: float | None = None
    callback: Callable[[State], object] | None = None
    keep: bool = False
    states: list[State] = field(default_factory=list)
    status: Status = Status.ITERATION_LIMIT
    offset: int = 0

    def __call__(self, iteration: int, objective: float, gap: float, w: Vector) -> bool:
        """True to stop; the reason is then in `status`, which is ITERATION_LIMIT as long as none was given."""
        seconds = time.perf_counter() - self.began
        if self.keep or self.callback is not None:
            state = State(iteration + self.offset, seconds, objective, gap / self.scale, int(np.count_nonzero(w)))
            if self.keep:
                self.states.append(state)
        if gap <= self.target:
            self.status = Status.CONVERGED
        elif self.callback is not None and self.callback(state):
            self.status = Status.INTERRUPTED
        elif self.out_of_time():
            self.status = Status.TIME_LIMIT
        else:
            return False
        return True

    def out_of_time(self) -> bool:
        """Whether the time limit has passed."""
        return self.time_limit is not None and time.perf_counter() - self.began >= self.time_limit


@dataclass(frozen=True)
class Outcome:
    """What a solver found, and the work it took.

    point : X read at coef, when that was the last thing the solver did.
    """

    coef: Vector
    n_iter: int
    n_epochs: int
    conversion: str = ""
    point: Point | None = None


@dataclass
class Carry:
    """What one strength of a path hands to the next: X read at the last w, and the working set with its Gram matrix.

    Filled by the solvers that have a use for it; it holds for one X, y and weights, whatever the strengths.
    """

    point: Point | None = None
    working: WorkingSet | None = None


class Solver(Protocol):
    """What `solve` asks of an algorithm."""

    name: ClassVar[str]
    default_max_iter: ClassVar[int]

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Minimise from start until monitor or max_iter says stop."""
        ...


@dataclass(frozen=True)
class FISTA:
    """Accelerated proximal gradient: one read of X an iteration, any storage, no copy.

    Parameters
    ----------
    step : {"backtracking", "lipschitz"}
        "backtracking": 1/L with L following the curvature that the steps show, downwards too.
        "lipschitz": 1/L with L estimated once by power iteration, and raised when a step proves it too small.
    restart : bool
        Drop the momentum when it points uphill.

    Notes
    -----
    Memory: 6 n_features + n_samples numbers (and n_features more for each thread).
    Source: Beck and Teboulle (2009); restart: O'Donoghue and Candes (2015).
    """

    step: Literal["backtracking", "lipschitz"] = "backtracking"
    restart: bool = True
    name: ClassVar[str] = "fista"
    default_max_iter: ClassVar[int] = 100_000
    accelerate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.step not in ("backtracking", "lipschitz"):
            raise ValueError(f"step must be 'backtracking' or 'lipschitz', got {self.step!r}")

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Iterate `_kernels.fista`; the iterate with the smallest gap is kept."""
        n, p = problem.shape
        vectors, q, scratch = np.empty((6, p)), np.empty(n), problem.scratch()
        vectors[0] = start
        bound = float(problem.norm2.sum())
        adapt = self.step == "backtracking"
        lipschitz = min(spectral_norm2(problem, vectors, q, scratch, 2 if adapt else POWER_STEPS), bound)
        best, best_gap, best_objective, progress = start.copy(), np.inf, np.inf, 0

        def check(iteration: int, objective: float, gap: float, w: Vector) -> bool:
            nonlocal best_gap, best_objective, progress
            if gap < best_gap or objective < best_objective * (1.0 - 4.0 * EPS):
                progress = iteration
            elif iteration > STALL * progress + STALL_LEAST:
                monitor.status = Status.NO_PROGRESS
                return True
            best_objective = min(best_objective, objective)
            if gap < best_gap:
                best_gap = gap
                best[:] = w
            return monitor(iteration, objective, gap, w)

        n_iter = fista.iterate(
            problem.capsule,
            vectors,
            q,
            scratch,
            lipschitz,
            bound,
            self.accelerate,
            self.restart,
            adapt,
            max_iter,
            max(1, min(10, CHECK_WORK // (problem.design.n_entries + p))),
            check,
        )
        return Outcome(best, n_iter, n_iter)


@dataclass(frozen=True)
class ISTA(FISTA):
    """Proximal gradient without momentum: the same loop and parameters as `FISTA`, for comparison.

    Source: Daubechies, Defrise and De Mol (2004).
    """

    restart: bool = False
    name: ClassVar[str] = "ista"
    accelerate: ClassVar[bool] = False


def spectral_norm2(problem: Problem, vectors: NDArray[np.float64], q: Vector, scratch: Vector, steps: int) -> float:
    """An estimate from below of ||sqrt(s) (X - mean)||^2 by power iteration: one read of X a step.

    vectors[1:3], q and scratch are overwritten. The start is spread by the column norms, so it is not orthogonal to the
    top singular vector but by bad luck, and the estimate is the same at every call.
    """
    homogeneous = problem.with_target(np.zeros(problem.shape[0]))
    v, g = vectors[1], vectors[2]
    v[:] = np.sqrt(problem.norm2)
    largest = float(problem.norm2.max(initial=0.0))
    for _ in range(steps):
        if not v.any():
            break
        v /= np.abs(v).max()
        v /= np.sqrt(v @ v)
        loss = homogeneous.gradient(v, q, g, scratch)
        largest = max(largest, 2.0 * loss)
        v[:] = g
    return largest


def _check_setting(name: str, value: object, least: int) -> None:
    """Raise unless a setting is an integer of at least that."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


@dataclass(frozen=True)
class CD:
    """Coordinate descent over a growing working set, with Newton steps.

    Each outer step reads X once for the gradient over all columns and the gap, adds the columns that violate optimality
    most, and solves the problem on those: on their Gram matrix, with damped Newton steps between the epochs, while the
    set is small; on the columns themselves above that.

    Parameters
    ----------
    gram_limit : int
        Largest working set that is solved through its Gram matrix (float64, gram_limit^2 numbers at most); 0: none.
    memory_limit : int, optional
        Bytes that Gram matrices and copies of X may take. It lowers gram_limit; and where a copy of X does not fit,
        FISTA, which needs none, finishes the solve.

    Notes
    -----
    Memory: the Gram matrix of the working set (a quarter more for a moment when it grows) and its factor, 5 n_features
    + n_samples numbers. Above gram_limit, X stored by rows is copied once to storage by columns, and
    ``Result.conversion`` says so; for Newton steps, the columns in use of a sparse X are copied to rows.
    Source: working sets, Massias, Gramfort and Salmon (ICML 2018); covariance updates, Friedman et al. (2010);
    continuation, Hale, Yin and Zhang (SIAM J. Optim. 2008).
    """

    gram_limit: int = 2200
    memory_limit: int | None = None
    name: ClassVar[str] = "cd"
    default_max_iter: ClassVar[int] = 10_000

    def __post_init__(self) -> None:
        _check_setting("gram_limit", self.gram_limit, 0)
        if self.memory_limit is not None:
            _check_setting("memory_limit", self.memory_limit, 0)
            fits = math.isqrt(self.memory_limit // GRAM_BYTES)
            object.__setattr__(self, "gram_limit", min(self.gram_limit, fits))

    def affords(self, design: Design) -> bool:
        """Whether a large working set may have the copies of X that it needs."""
        if self.memory_limit is None:
            return True
        whole = design.storage.nbytes if design.by_rows else 0
        return whole + (design.storage.nbytes if design.sparse else 0) <= self.memory_limit

    def enlarge(self, working: WorkingSet, w: Vector, score: Vector, violators: int, copies: bool) -> int:
        """Let the worst violators into the working set; score is above 0 for the violators. Returns how many came.

        copies : whether copies of members come too. They violate as much as the member does, and change no optimum.
        """
        problem, support = working.problem, int(np.count_nonzero(w))
        n, p = problem.shape
        least, share = GROWTH_SPARSE if problem.design.sparse else GROWTH_DENSE
        room = max(least, int(share * support))
        if n >= MANY_ROWS * p <= MANY_ROWS * self.gram_limit and support > CROWDED * len(working.members) > 0:
            working.add(np.arange(p))  # nearly all that was let in was needed: the whole Gram matrix at once is cheaper
            return violators
        if problem.design.sparse and violators > CROWD * self.gram_limit:
            room = violators  # no Gram matrix will hold the support
        chosen = worst(score, room) if violators > room else np.flatnonzero(score)
        if len(working.members) + len(chosen) > self.gram_limit >= support + len(chosen):
            working.keep_support(w)
        if len(working.members) + len(chosen) > self.gram_limit and problem.penalty.uniform and not copies:
            chosen = without_twins(chosen, working.members, working.looks())
        working.add(chosen)
        return len(chosen)

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Grow the working set until the gap over all columns is reached."""
        n, p = problem.shape
        w, q, g, score, scratch = start.copy(), np.empty(n), np.empty(p), np.empty(p), problem.scratch()
        best, best_gap = w.copy(), np.inf
        carry = carry or Carry()
        read = carry.point
        if read is not None and np.array_equal(read.w, w):
            q[:], g[:] = read.q, read.g
        else:
            read = None
        working = carry.working = carry.working or WorkingSet(problem)
        working.add(np.union1d(np.flatnonzero(w), problem.penalty.unpenalised(p)))
        engine = Columns(problem)
        conversion = ""
        stages: list[Problem] | None = None
        iteration = epochs = stalled = 0
        smallest, inner_share = np.inf, INNER_SHARE
        while True:
            loss = read.loss if read is not None else problem.gradient(w, q, g, scratch)
            read = None
            gap = problem.certify(w, g, loss)
            if gap.gap < best_gap:
                best_gap = gap.gap
                best[:] = w
            if monitor(iteration, gap.objective, gap.gap, w) or iteration >= max_iter:
                break
            if stages is None:
                stages = continuation(problem, g) if not w.any() else []
            while stages and stages[0].certify(w, g, loss).gap <= STAGE_GAP * monitor.scale:
                stages.pop(0)
                smallest, stalled, inner_share = np.inf, 0, INNER_SHARE
            stage = stages[0] if stages else problem
            if stages:
                gap = stage.certify(w, g, loss)
            violators = coordinate_descent.scores(stage.capsule, w, g, working.inside, score)
            if violators:
                violators = self.enlarge(working, w, score, violators, stalled > 1)
            if violators or gap.gap < 0.5 * smallest:
                smallest, stalled = min(smallest, gap.gap), 0
            else:
                stalled += 1
                inner_share *= 0.1
                if stalled > 1 and working.make_exact():
                    stalled = 0
                if stalled > STALLED_STEPS:
                    if not stages:
                        monitor.status = Status.NO_PROGRESS
                        break
                    stages, smallest, stalled, inner_share = [], np.inf, 0, INNER_SHARE
                    continue
            final = 0.5 * monitor.target * inner_share / INNER_SHARE
            closed = not stages and not violators  # as far as can be seen, nothing outside changes the picture
            target = final if closed else max(inner_share * gap.gap, final)
            if len(working.members) <= self.gram_limit:
                epochs += working.descend(stage, w, g, loss, target, monitor)
            elif not self.affords(problem.design):
                rest = FISTA().run(problem, best, max_iter - iteration, monitor)
                note = "memory_limit leaves no room for copies of X: finished by fista"
                return Outcome(rest.coef, iteration + rest.n_iter, epochs + rest.n_epochs, note)
            else:
                columns = stage.by_columns()
                conversion = columns.design.conversion if columns.design is not problem.design else ""
                if violators > NEW_SHARE * np.count_nonzero(w):
                    epochs += engine.glance(columns, working.members, w, q)
                else:
                    epochs += engine.descend(columns, working.members, w, q, target, monitor)
            iteration += 1
        carry.point = Point(w, q, g, loss)
        point = Point(best, q, g, loss) if gap.gap == best_gap else None
        return Outcome(best, iteration, epochs, conversion, point)


def worst(score: Vector, room: int) -> NDArray[np.intp]:
    """The room largest of the scores that are above 0, ascending; among equals at the end, the first."""
    least = np.partition(score, -room)[-room]  # the values: many times as fast as their places
    above = np.flatnonzero(score > least)
    equal = np.flatnonzero(score == least)[: room - len(above)]
    return np.sort(np.concatenate([above, equal]))


def continuation(problem: Problem, g: Vector) -> list[Problem]:
    """The problem at falling strengths above its own, two a decade, for a wide dense X and a small strength.

    Solved roughly one after the other they lead to the support from the sparse side. It halves the time and more where
    the support comes near n_samples, and costs time on sparse and on tall data (measured): there the list is empty.
    g : the gradient at 0.
    """
    n, p = problem.shape
    penalty = problem.penalty
    if problem.design.sparse or p <= n or penalty.lam == 0.0 or penalty.weights is not None:
        return []
    largest = float(penalty.pull(-g).max())
    if penalty.lam >= SMALL_STRENGTH * largest:
        return []
    count = int(np.log10(largest / penalty.lam) * STAGES_PER_DECADE)
    return [
        problem.with_strength(largest * 10.0 ** (-k / STAGES_PER_DECADE))
        for k in range(1, count + 1)
        if largest * 10.0 ** (-k / STAGES_PER_DECADE) > 1.5 * penalty.lam
    ]


GRAM_BYTES = 20
"""Bytes for each cell of a Gram matrix: itself, its factor, and a quarter more while it grows."""

SMALL_STRENGTH = 0.05
"""Part of lam_max below which continuation pays."""

STAGES_PER_DECADE = 2

STAGE_GAP = 1e-3
"""Relative gap at which a stage of the continuation is done."""

INNER_SHARE = 0.1
"""Gap of the working set's problem to reach, as a part of the gap over all columns."""

GROWTH_SPARSE, GROWTH_DENSE = (400, 1.0), (100, 0.3)
"""Columns added to the working set: at least so many, and at least this part of the support."""

MANY_ROWS, CROWDED = 4, 0.7
"""With so many rows a column, and so much of the working set in use, all columns are added at once."""

STALLED_STEPS = 8
"""Outer steps without progress, each ten times stricter inside, before giving up."""

EPOCHS_AT_ONCE = 1_000_000_000
"""Multiply-adds of coordinate descent between two looks at clock and signals: below 0.2 s."""


class WorkingSet:
    """The features being solved for, in the order they came, and their Gram matrix as far as it was asked for."""

    def __init__(self, problem: Problem, exact: bool = False) -> None:
        self.problem = problem
        self.inside = np.zeros(problem.shape[1], dtype=np.uint8)
        self.members = np.empty(0, dtype=np.intp)
        self.known = 0
        self.gram = np.empty((0, 0))
        self.exact, self.rounded = exact, False
        self.damping = FIRST_DAMPING
        self.position = np.full(problem.shape[1] if problem.design.sparse else 0, -1, dtype=np.int32)
        self._looks: NDArray[np.complex128] | None = None

    def add(self, features: NDArray[np.intp]) -> None:
        """Append features; a member, or one that cannot matter, is left out."""
        features = features[(self.problem.norm2[features] > 0.0) & (self.inside[features] == 0)]
        self.inside[features] = 1
        new = np.sort(np.concatenate([self.members[self.known :], features]))  # ascending: what the Gram kernel asks
        self.members = np.concatenate([self.members[: self.known], new]).astype(np.intp, copy=False)
        self._place()

    def looks(self) -> NDArray[np.complex128]:
        """A number for each feature that copies of a column share, with either sign, and other columns but by bad luck.

        |x_j'v| / ||x_j|| for a v made by chance, without the digits that the order of its sum decides, and the squared
        norm; the first call reads X once.
        """
        if self._looks is None:
            v = np.random.default_rng(0).standard_normal(self.problem.shape[0])
            norm = np.sqrt(self.problem.norm2)
            share = np.divide(self.problem.correlate(v), norm, out=np.zeros(len(norm)), where=norm > 0.0)
            self._looks = np.abs(share).round(LOOKS_DECIMALS) + 1j * self.problem.norm2
        return self._looks

    def _place(self) -> None:
        """Bring `position`, the place of each member, up to the members; for a sparse X alone."""
        if self.position.size:
            self.position[self.members] = np.arange(len(self.members), dtype=np.int32)

    def keep_support(self, w: Vector) -> None:
        """Drop the members whose coefficient is 0, for room; unpenalised ones stay."""
        kept = w[self.members] != 0.0
        kept |= np.isin(self.members, self.problem.penalty.unpenalised(self.problem.shape[1]))
        self.inside[self.members[~kept]] = 0
        known = kept[: self.known]
        self.gram = self.gram[: self.known, : self.known][np.ix_(known, known)]
        self.known = int(known.sum())
        if self.position.size:
            self.position[self.members] = -1
        self.members = self.members[kept]
        self._place()

    def complete_gram(self, monitor: Monitor) -> bool:
        """Bring the Gram matrix up to the members; one read of X (dense: of the members' columns).

        False if the time ran out before.
        """
        size, known = len(self.members), self.known
        if size == known:
            return True
        from l1fast._kernels import gram  # here: SciPy's BLAS would slow the import of the package

        if size > len(self.gram):
            room = min(2 * size, self.problem.shape[1])
            grown = np.empty((room, room))
            grown[:known, :known] = self.gram[:known, :known]
            self.gram = grown
        n, capsule = self.problem.shape[0], self.problem.capsule
        if self.problem.design.sparse:
            row_size = np.empty(n + 1, dtype=np.int32)
            gram.extend_sparse(capsule, self.members, known, self.gram, self.position, row_size, CHUNK_ENTRIES)
        else:
            work = n * size * (size - known)
            dtype = np.float32 if work > LONG_PRODUCT and not self.exact else np.float64
            rows = gram.panel_rows(n, size)
            panel: NDArray[Any] = np.empty(rows * size, dtype)
            part: NDArray[Any] = np.empty((size - known) * size, dtype)
            at_once = max(rows, GRAM_AT_ONCE // (size * (size - known)))
            for first in range(0, n, at_once):
                if monitor.out_of_time():
                    return False
                last = min(first + at_once, n)
                gram.extend_dense(capsule, self.members, known, self.gram, panel, part, rows, first, last)
            self.rounded = self.rounded or dtype == np.float32
        self.known = size
        return True

    def make_exact(self) -> bool:
        """Forget a Gram matrix that was multiplied in float32, for one in float64; False if it is exact already."""
        if not self.rounded:
            return False
        self.exact, self.rounded, self.known = True, False, 0
        return True

    def gradient(self, problem: Problem, w: Vector) -> tuple[Vector, float]:
        """The gradient over all columns and the loss, when all are members: g = G w - X'y, without X."""
        assert problem.product is not None
        size, members = len(self.members), self.members
        w_set, product = w[members], problem.product[members]
        support = np.flatnonzero(w_set)
        moved = w_set[support] @ self.gram[support, :size]
        g = np.zeros(len(w))
        g[members] = moved - product
        loss = problem.datafit.null_loss + 0.5 * float(w_set @ (moved - 2.0 * product))
        return g, max(loss, 0.0)

    def descend(self, problem: Problem, w: Vector, g: Vector, loss: float, target: float, monitor: Monitor) -> int:
        """Coordinate descent and Newton steps on the Gram matrix from w (updated) and its gradient g.

        problem : the one the set was made for, possibly at another strength. Returns the epochs.
        """
        from l1fast._kernels import newton  # here: as gram

        if not self.complete_gram(monitor):
            return 0
        members, size, epochs = self.members, len(self.members), 0
        w_set, g_set = w[members], g[members]
        capsule, gram, penalties = problem.capsule, self.gram, penalty_rows(problem, members)
        norm2 = gram.diagonal()[:size].copy()
        direction, product, support = np.empty(size), np.empty(size), np.empty(size, dtype=np.intp)
        factor = np.empty(0)
        while True:
            done, gap, loss = coordinate_descent.gram_descent(
                capsule, gram, norm2, penalties, w_set, g_set, loss, target, EPOCHS_A_ROUND
            )
            epochs += done
            if gap <= target or done < EPOCHS_A_ROUND or epochs >= MOST_EPOCHS or monitor.out_of_time():
                break
            room = (np.count_nonzero(w_set) + np.count_nonzero(problem.penalty.lam * penalties[0] == 0.0)) ** 2
            if len(factor) < room:
                factor = np.empty(room)
            damping = self.damping
            for _ in range(STEPS_AT_ONCE if size <= LARGE else STEPS_WHEN_LARGE):
                before = count_loose(w_set, penalties)
                loss, self.damping = newton.step(
                    capsule, gram, penalties, w_set, g_set, loss, damping, factor, direction, product, support
                )
                if count_loose(w_set, penalties) >= before:  # else the walk ended early: solve again for the others
                    break
        w[members] = w_set
        return epochs


GRAM_AT_ONCE = 2_000_000_000
"""Multiply-adds of a dense Gram matrix between two looks at clock and signals: below 0.2 s."""

LONG_PRODUCT = 100_000_000
"""Multiply-adds of a dense Gram matrix above which they are made in float32, at twice the speed.

The gradient over all columns is always made from X in float64, so that the answer does not feel it.
"""

CHUNK_ENTRIES = 65_536
"""Entries of a CSC matrix that are turned into rows at a time while the Gram matrix is made."""

EPOCHS_A_ROUND = 8
"""Epochs of coordinate descent before each Newton step: the signs settle first."""

STEPS_AT_ONCE, STEPS_WHEN_LARGE, LARGE = 10, 3, 300
"""Newton steps in a row while coefficients keep leaving; without them descent would let the same ones in again.

Fewer for a working set that is LARGE: there a step costs as much as many epochs.
"""

FIRST_DAMPING = 1e-2
"""Levenberg damping of the first Newton step."""

MOST_EPOCHS = 4_000
"""Epochs on one working set; then the gradient is made afresh."""


def penalty_rows(problem: Problem, members: NDArray[np.intp]) -> NDArray[np.float64]:
    """The penalty of the members as the kernels take it: weights, lower bounds, upper bounds."""
    penalty, rows = problem.penalty, np.empty((3, len(members)))
    rows[0] = 1.0 if penalty.weights is None else penalty.weights[members]
    rows[1], rows[2] = penalty.bounds(members)
    return rows


def count_loose(w_set: Vector, penalties: NDArray[np.float64]) -> int:
    """How many coefficients are neither 0 nor at a bound."""
    return int(np.count_nonzero((w_set != 0.0) & (w_set > penalties[1]) & (w_set < penalties[2])))


class Columns:
    """Large working sets: coordinate descent on the columns of X, with Newton steps by conjugate gradients.

    For a Newton step the support's columns of a sparse X are copied to rows, so that a product with the Hessian reads
    each entry once.
    """

    def __init__(self, problem: Problem) -> None:
        self.damping = FIRST_DAMPING
        self.rough = FORCING
        self.most_damping = 1.0
        self.image = np.empty(problem.shape[0])

    def descend(
        self, problem: Problem, members: NDArray[np.intp], w: Vector, q: Vector, target: float, monitor: Monitor
    ) -> int:
        """Minimise over the members from w and q (both updated), X stored by columns; returns the epochs.

        A product with the Hessian counts as an epoch.
        """
        size, epochs = len(members), 0
        norm2, penalties = problem.norm2[members], penalty_rows(problem, members)
        w_set, g_set = np.empty(size), np.empty(size)
        at_once = max(1, min(EPOCHS_BETWEEN, EPOCHS_AT_ONCE // (4 * problem.design.n_entries + 1000)))
        while True:
            done, gap = coordinate_descent.column_descent(
                problem.capsule, members, w, q, target, at_once, g_set, w_set, norm2, penalties
            )
            epochs += done
            if gap <= target or done < at_once or monitor.out_of_time():
                return epochs
            if epochs >= MOST_EPOCHS:  # near copies trade places along directions that damping would close
                self.most_damping = self.damping = LEAST_DAMPING
                return epochs
            loose = may_move(problem, w_set, penalties)
            epochs += self.newton(
                problem, members[loose], penalties[:, loose], w, q, g_set[loose], target / gap, monitor
            )

    def glance(self, problem: Problem, members: NDArray[np.intp], w: Vector, q: Vector) -> int:
        """One epoch, while too many columns are still to come for more."""
        size = len(members)
        norm2, penalties = problem.norm2[members], penalty_rows(problem, members)
        room = np.empty(size), np.empty(size)
        return coordinate_descent.column_descent(problem.capsule, members, w, q, 0.0, 1, *room, norm2, penalties)[0]

    def newton(
        self,
        problem: Problem,
        support: NDArray[np.intp],
        penalties: NDArray[np.float64],
        w: Vector,
        q: Vector,
        g: Vector,
        part: float,
        monitor: Monitor,
    ) -> int:
        """Newton steps on the support until one is nearly whole; returns the products with the Hessian.

        g : the gradient on the support (updated); part : of the gap to be left.
        """
        from l1fast._kernels import newton_cg  # here: with newton

        size, epochs = len(support), 0
        if size == 0:
            return 0
        weights, lower, upper = penalties
        l1, l2, norm2 = problem.penalty.lam * weights, problem.penalty.l2 * weights, problem.norm2[support]
        capsule = on_rows(problem, support) if problem.design.sparse else problem.capsule
        columns = np.arange(size) if problem.design.sparse else support
        image = np.empty(0) if problem.design.sparse else self.image
        product = np.empty(newton_cg.product_size(capsule, size))
        at_once = max(1, min(PRODUCTS_AT_ONCE, EPOCHS_AT_ONCE // (4 * problem.design.n_entries + 1000)))
        for _ in range(REPEATS):
            w_set = w[support]
            moving = np.flatnonzero(may_move(problem, w_set, penalties))
            shift = l2 + self.damping * norm2
            diagonal = norm2 + shift
            d, r = np.zeros(size), np.zeros(size)
            r[moving] = -(g + l2 * w_set + l1 * np.sign(w_set))[moving]
            search = r / diagonal
            rz = float(r @ search)
            enough = rz * max(self.rough, SPARE * part) ** 2
            steps, order, stop = 0, np.empty(0, dtype=np.intp), w_set
            while rz > enough and steps < MOST_PRODUCTS and not order.size and not monitor.out_of_time():
                done, rz = newton_cg.solve(
                    capsule, columns, moving, shift, diagonal, d, r, search, product, image, rz, enough, at_once
                )
                steps += done
                stop = np.where((l1 > 0.0) & (w_set * d < 0.0), 0.0, np.where(d > 0.0, upper, lower))
                way = np.divide(stop - w_set, d, out=np.full(size, np.inf), where=d != 0.0)
                order = np.flatnonzero(way < 1.0)
                order = order[np.argsort(way[order], kind="stable")]
            epochs += steps
            gone, stopped = newton_cg.walk(problem.capsule, support, d, order, stop[order], w, q, self.image)
            self.rough = FORCING
            if gone >= WHOLE:
                self.damping = max(0.1 * self.damping, LEAST_DAMPING)
                if stopped <= FEW * size:
                    self.rough = FINE
                break
            if gone < SHORT:
                self.damping = min(10.0 * self.damping, self.most_damping)
            if stopped == 0 or monitor.out_of_time():
                break
            newton_cg.gradient(problem.capsule, support, q, g)
        return epochs


EPOCHS_BETWEEN = 6
"""Epochs of coordinate descent on columns before each Newton step."""

REPEATS = 4
"""Newton steps in a row while coefficients keep stopping on the way."""

LOOKS_DECIMALS = 11
"""Beyond them a column's product with a vector made by chance may depend on its place."""

PRODUCTS_AT_ONCE = 32
"""Conjugate gradient steps between two looks at the way ahead: no more of them once a coefficient has to stop on it.

What is gained behind the first stops is mostly lost there: on text this saves up to 40 % of the products.
"""

MOST_PRODUCTS = 1000
"""Conjugate gradient steps for one Newton step, at most."""

FORCING, FINE, SPARE = 0.1, 0.01, 0.3
"""What conjugate gradients leave of a Newton step's residual; once signs have settled; of what the gap asks for."""

WHOLE, SHORT, FEW = 0.9, 0.3, 0.001
"""Parts of a Newton step's way: as good as all, and too little; part of the support that may stop in a fine one."""

LEAST_DAMPING = 1e-10

CROWD = 2
"""With more violators than CROWD times the largest Gram matrix, a sparse problem lets all of them in at once."""

NEW_SHARE = 0.1
"""With more new columns than this part of the support, a large working set gets one epoch, no more."""


def may_move(problem: Problem, w_set: Vector, penalties: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which coefficients lie between their bounds and not at the penalty's kink."""
    weights, lower, upper = penalties
    made: NDArray[np.bool_] = (w_set > lower) & (w_set < upper)
    made &= (w_set != 0.0) | (problem.penalty.lam * weights == 0.0)
    return made


def without_twins(
    chosen: NDArray[np.intp], members: NDArray[np.intp], looks: NDArray[np.complex128]
) -> NDArray[np.intp]:
    """Those of the chosen features that look like no member and no other chosen one: copies look the same."""
    _, first = np.unique(looks[chosen], return_index=True)
    first.sort()
    first = first[~np.isin(looks[chosen[first]], looks[members])]
    made: NDArray[np.intp] = chosen[first]
    return made


def on_rows(problem: Problem, features: NDArray[np.intp]) -> object:
    """The problem on some columns of a sparse X, copied to rows that are sorted by length, as kernels take it."""
    from l1fast._kernels import check, newton_cg

    n, p = problem.shape
    position = np.full(p, -1, dtype=np.int32)
    position[features] = np.arange(len(features), dtype=np.int32)
    row_size = np.empty(n, dtype=np.int32)
    newton_cg.count_rows(problem.capsule, features, position, row_size)
    order = np.argsort(np.minimum(row_size, 65535).astype(np.uint16), kind="stable")
    starts = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(row_size[order], out=starts[1:])
    cursor = np.empty(n, dtype=np.int64)
    cursor[order] = starts[:-1]
    indices = np.empty(starts[-1], dtype=np.int32)
    values = np.empty(starts[-1], dtype=problem.design.entries.dtype)
    newton_cg.fill_rows(problem.capsule, features, position, cursor, indices, values)
    view, _, _ = check.check_matrix(values, indices, starts, n, len(features), True)
    datafit, penalty = problem.datafit, problem.penalty
    return check.pack_problem(
        view,
        datafit.centred,
        None if datafit.sample_weight is None else datafit.sample_weight[order],
        None if problem.mean is None else problem.mean[features],
        datafit.total_weight,
        problem.norm2[features],
        None,
        penalty.lam,
        penalty.l2,
        None,
        None,
        problem.n_threads,
    )


@dataclass(frozen=True)
class Homotopy:
    """The exact path of solutions from lam_max down to lam, over the columns that may matter, checked on all.

    Each round reads X once for the gradient over all columns and the gap, takes the support and the columns nearest to
    their bound, and follows the path on those to a lower strength. A column that was missed joins in the next round,
    from a bound of its own. The end is exact but for rounding, so a small tol costs nothing more.

    Parameters
    ----------
    columns : int
        Columns followed beside the support; twice n_samples when that is more.
    memory_limit : int, optional
        Bytes that the columns and the factor may take; coordinate descent, held to it too, finishes what needs more.

    Notes
    -----
    For lam > 0 and penalty weights > 0. ``Result.n_epochs`` counts breakpoints of the path. Where rounding or ties have
    the last word, or a start is far from any path, coordinate descent goes on from the point reached.
    Memory: n_samples numbers for each column followed, a factor of the support (n_samples^2 numbers at most, more with
    l2 > 0), and 5 n_features + n_samples numbers.
    Source: Osborne, Presnell and Turlach (IMA Journal of Numerical Analysis 2000); Efron et al. (Ann. Stat. 2004).
    """

    columns: int = 100
    memory_limit: int | None = None
    name: ClassVar[str] = "homotopy"
    default_max_iter: ClassVar[int] = 10_000

    def __post_init__(self) -> None:
        _check_setting("columns", self.columns, 1)
        if self.memory_limit is not None:
            _check_setting("memory_limit", self.memory_limit, 0)

    @staticmethod
    def suits(penalty: ElasticNet) -> bool:
        """Whether the path is piecewise linear in lam: every coefficient has a kink at 0, and no bound but 0."""
        kinked = penalty.lam > 0.0 and (penalty.weights is None or bool(penalty.weights.all()))
        return kinked and (penalty.lower is None or penalty.upper is None or penalty.positive)

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Follow the path in rounds until the gap over all columns is reached."""
        penalty, (n, p) = problem.penalty, problem.shape
        if not self.suits(penalty):
            raise ValueError(
                "homotopy needs lam > 0, penalty_weights > 0 and no bounds but positive=True; ask for solver='cd'"
            )
        w, q, g, scratch = start.copy(), np.empty(n), np.empty(p), problem.scratch()
        best, best_gap = w.copy(), np.inf
        path = Path(problem, start, max(self.columns, 2 * n), self.memory_limit)
        strength = smallest = np.inf
        iteration = steps = stalled = 0
        while True:
            loss = problem.gradient(w, q, g, scratch)
            gap = problem.certify(w, g, loss)
            if gap.gap < best_gap:
                best_gap = gap.gap
                best[:] = w
            if monitor(iteration, gap.objective, gap.gap, w) or iteration >= max_iter:
                point = Point(best, q, g, loss) if gap.gap == best_gap else None
                return Outcome(best, iteration, steps, point=point)
            size = penalty.pull(-g)
            if penalty.weights is not None:
                size /= penalty.weights
            if strength == np.inf:
                strength = max(penalty.lam, float(size.max()))
            if strength > penalty.lam or gap.gap < 0.9 * smallest:
                smallest, stalled = min(smallest, gap.gap), 0
            else:
                stalled += 1
                path.known = 0  # the factor is made afresh
            lower = penalty.lam if path.complete else next_strength(strength, penalty.lam)
            done, whole = path.follow(w, g, size, strength, lower, monitor)
            steps, strength, iteration = steps + done, lower, iteration + 1
            if not whole or stalled > STALLED_ROUNDS or steps > MOST_STEPS * (n + 1):
                monitor.offset += iteration
                outcome = CD(memory_limit=self.memory_limit).run(problem, best, max_iter - iteration, monitor, carry)
                monitor.offset -= iteration
                return replace(outcome, n_iter=iteration + outcome.n_iter, n_epochs=steps + outcome.n_epochs)


def next_strength(strength: float, lam: float) -> float:
    """Where the next round of the homotopy ends: the rounds are about FALL each, and equal."""
    rounds = round(math.log(lam / strength) / math.log(FALL))
    return strength * (lam / strength) ** (1.0 / rounds) if rounds > 1 else lam


FALL = 0.25
"""Strength at the end of a round of the homotopy, as a part of that at its beginning (measured)."""

STALLED_ROUNDS = 4
"""Rounds at the last strength without progress before coordinate descent takes over."""

MOST_STEPS = 50
"""Breakpoints for each sample, at most; 1 to 8 are usual."""

PATH_AT_ONCE = 200_000_000
"""Multiply-adds of the homotopy between two looks at clock and signals: below 0.2 s."""


class Path:
    """One problem's path of solutions, over the support and so many columns beside it, a stretch at a time."""

    def __init__(self, problem: Problem, start: Vector, beside: int, memory_limit: int | None) -> None:
        self.problem = problem
        self.beside = beside
        self.most = math.inf if memory_limit is None else memory_limit
        self.useless = (problem.norm2 == 0.0).nonzero()[0]
        self.complete = len(start) - len(self.useless) <= beside
        self.position = np.full(len(start), -1, dtype=np.int32)
        self.active = start.nonzero()[0]
        self.sign = np.sign(start[self.active])
        self.known = 0  # columns of the active set that the factor holds
        self.factor = np.empty((0, 0))

    def follow(
        self, w: Vector, g: Vector, size: Vector, strength: float, lower: float, monitor: Monitor
    ) -> tuple[int, bool]:
        """Go from w, optimal at strength on its support, to the solution at a lower one (w is updated).

        g : gradient at w. size : |g_j| / v_j (overwritten). Returns the breakpoints, and False if the path was lost, or
        needs too much memory.
        """
        from l1fast._kernels import homotopy  # here: few calls need it

        problem, penalty = self.problem, self.problem.penalty
        (n, p), m = problem.shape, len(self.active)
        size[self.useless] = -np.inf
        size[self.active] = np.inf
        count = min(m + self.beside, p - len(self.useless))
        capacity = count if penalty.l2 > 0.0 else min(count, n)
        if 8 * (count * n + 2 * capacity**2) > self.most:  # two factors for a moment when it grows
            return 0, False
        chosen = np.argpartition(size, p - count)[p - count :]
        outside = size[chosen]
        members = np.concatenate([self.active, chosen[outside < np.inf]])
        outside[outside == np.inf] = strength
        w_set, sign = w[members], np.zeros(count)
        v_set = np.ones(count) if penalty.weights is None else penalty.weights[members]
        ridge, floor = penalty.l2 * v_set, lower * v_set
        sign[:m] = self.sign
        c = -g[members] - ridge * w_set
        bound = max(strength, float(outside.max())) * v_set
        bound[:m] = sign[:m] * c[:m]
        if m > capacity or bound.min() < 0.0:
            return 0, False
        if len(self.factor) < capacity:
            self.factor, self.known = np.empty((capacity, capacity)), 0
        Z, room, active = np.empty((count, n)), np.empty((6, max(count, n))), np.arange(count)
        homotopy.pack(problem.capsule, members, self.position, Z)
        at_once = 1 + PATH_AT_ONCE // (2 * count * n + 2 * capacity**2)
        t, total, rise = 1.0, 0, bound - floor
        while t > 0.0 and not monitor.out_of_time():
            t, m, steps = homotopy.follow(
                *(Z, floor, rise, ridge, w_set, c, sign, active, m, self.known, t),
                *(penalty.positive, at_once, self.factor, room),
            )
            self.known, total = m, total + steps
            if (t > 0.0 and steps < at_once) or total > MOST_STEPS * (n + 1):
                break
        w[members] = w_set
        self.active, self.sign = members[active[:m]], sign[active[:m]]
        return total, t == 0.0 or monitor.out_of_time()


SOLVERS: dict[str, type[Solver]] = {"cd": CD, "homotopy": Homotopy, "fista": FISTA, "ista": ISTA}


def named(solver: object) -> tuple[Solver, str]:
    """The solver that a name or a settings object stands for."""
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver](), "asked for by name"
    for kind in SOLVERS.values():
        if isinstance(solver, kind):
            return solver, "given as a settings object"
    known = ", ".join(["'auto'", *(repr(name) for name in SOLVERS)])
    raise ValueError(f"solver is {solver!r}; choose one of {known}, or an object such as l1fast.FISTA()")


def choose(problem: Problem, cold: bool = True) -> tuple[Solver, str]:
    """The solver for a problem, and the reason in a sentence.

    Above FEW_SAMPLES coordinate descent is fastest in 14 of 15 cases (five problems, three strengths, to a gap of
    1e-6). FISTA is ahead, by 1.3x, on a dense 50000 x 500 at lam_max / 1000 alone: too little to rest a rule on.

    cold : nothing is known of the solution; from a good start coordinate descent has less to do, and the homotopy could
    begin anywhere but on its path.
    """
    n, p = problem.shape
    if cold and n <= FEW_SAMPLES and problem.penalty.l2 == 0.0 and Homotopy.suits(problem.penalty):
        return Homotopy(), f"fastest on nearly every problem measured with at most {FEW_SAMPLES} samples; {n} x {p}"
    measured = "every sparse" if problem.design.sparse else "nearly every dense"
    return CD(), f"fastest on {measured} problem measured; {n} x {p}"


FEW_SAMPLES = 150
"""Samples up to which the homotopy is chosen: ahead of coordinate descent in nearly every case, dense or sparse.

Measured to a gap of 1e-6 on 10 x 8 to 150 x 10000: 1.1 to 3 times at lam_max / 10, 1.1 to 12 times at lam_max / 1000,
seldom behind and by 0.15 ms at most. Its steps cost more with every coefficient of the support, so it loses ground with
more samples (at 200 x 400 and 300 x 600 it is often behind, at 500 x 5000 mostly), and with l2 > 0, where the support
can grow beyond them.
"""
