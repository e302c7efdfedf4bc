"""Coordinate descent with Newton steps over a growing working set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from l1fast import _block_newton
from l1fast._design import Design, room_for
from l1fast._kernels import coordinate_descent
from l1fast._monitor import Carry, Monitor, Outcome, Vector, check_setting
from l1fast._patience import FLOPS_A_COPY, OutOfTime, patiently
from l1fast._problem import Point, Problem
from l1fast._proximal import FISTA
from l1fast._result import Status


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
        Four times as many columns where X is read in blocks: beyond that only FISTA, with its many reads, is left.
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
        check_setting("gram_limit", self.gram_limit, 0)
        if self.memory_limit is not None:
            check_setting("memory_limit", self.memory_limit, 0)
            fits = math.isqrt(self.memory_limit // GRAM_BYTES)
            object.__setattr__(self, "gram_limit", min(self.gram_limit, fits))

    def affords(self, design: Design) -> bool:
        """Whether a large working set may have the copies of X that it needs."""
        if self.memory_limit is None:
            return True
        whole = design.nbytes if design.by_rows else 0
        return whole + (design.nbytes if design.sparse else 0) <= self.memory_limit

    def most_members(self, problem: Problem) -> int:
        """Largest working set with a Gram matrix: gram_limit; more where X is elsewhere, as far as memory allows."""
        if not problem.elsewhere:
            return self.gram_limit
        most, cell = FAR_LIMIT * self.gram_limit, GRAM_BYTES + np.dtype(np.float64).itemsize * problem.sums_held
        return most if self.memory_limit is None else min(most, math.isqrt(self.memory_limit // cell))

    def by_gram(self, problem: Problem, size: int) -> bool:
        """Whether a working set of that size is solved through its Gram matrix, not on the columns.

        With l2 the support can outgrow the samples: then an update of a short dense column costs less than one of all
        slopes, and few epochs are needed (elastic net paths of 300 x 3000: a quarter of the time).
        """
        short = size > max(SHORT_COLUMNS * problem.shape[0], FEW_MEMBERS) and not problem.design.sparse
        most = self.most_members(problem)
        return size <= most and (problem.elsewhere or not (short and problem.penalty.l2 > 0.0))

    def enlarge_far(self, working: WorkingSet, w: Vector, g: Vector, gap: float, score: Vector, violators: int) -> int:
        """As `enlarge`, where each growth costs two reads of X: in larger steps, and looking ahead.

        Behind the violators come the columns that are nearest to become some: those with the least

            (lam v_j - |x_j'q|) / ||x_j||   <=   sqrt(2 gap)

        how far the dual point has to move before j counts, and about how far it may: at a feasible point the bound is
        that of Gap Safe screening (Ndiaye et al., JMLR 2017).
        """
        problem, support, size = working.problem, len(working.problem.support(w)), len(working.members)
        p, most = problem.shape[1], self.most_members(problem)
        sparse = problem.design.sparse
        least = FAR_LEAST if sparse else math.isqrt(FAR_PRODUCTS * p)
        room = max(least, int((FAR_SHARE if sparse else GROWTH_DENSE[1]) * support))
        spare = most - size
        if spare < min(violators, least) and support < most:
            working.keep_support(w)
            spare = most - len(working.members)
        room = min(room, spare) if spare > 0 else violators
        if violators >= room:
            chosen = worst(score, room) if violators > room else np.flatnonzero(score)
        else:
            norm, strength = np.sqrt(problem.norm2), np.full(p, problem.penalty.lam)
            if problem.penalty.weights is not None:
                strength *= problem.penalty.weights
            away = np.divide(strength - problem.pull(g), norm, out=np.full(p, np.inf), where=norm > 0.0)
            ahead = (working.inside == 0) & (score == 0.0) & (away <= math.sqrt(2.0 * gap))
            nearness = np.where(ahead, 1.0 / np.maximum(away, np.finfo(np.float64).tiny), 0.0)
            count = min(room - violators, max(violators, support), int(np.count_nonzero(ahead)))
            chosen = np.union1d(np.flatnonzero(score), worst(nearness, count) if count else [])
        working.add(chosen.astype(np.intp))
        return len(chosen)

    def enlarge(self, working: WorkingSet, w: Vector, score: Vector, violators: int, copies: bool) -> int:
        """Let the worst violators into the working set; score is above 0 for the violators. Returns how many came.

        copies : whether copies of members come too. They violate as much as the member does, and change no optimum.
        """
        problem, support = working.problem, len(working.problem.support(w))
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
        p = problem.shape[1]
        w, (q, g), score, scratch = start.copy(), problem.blanks(), np.empty(p), problem.scratch()
        best, best_gap = w.copy(), np.inf
        carry = carry or Carry()
        guessed = carry.ahead is not None and np.array_equal(carry.ahead.w, w)
        read = carry.ahead if guessed else carry.point
        if read is not None and np.array_equal(read.w, w):
            q[:], g[:] = read.q[: len(q)], read.g
        else:
            read = None
        working = carry.working = carry.working or WorkingSet(problem)
        working.add(np.union1d(problem.support(w), problem.penalty.unpenalised(p)))
        engine = Columns(problem)
        conversion = ""
        stages: list[Problem] | None = None
        iteration = epochs = stalled = 0
        smallest, inner_share = np.inf, INNER_SHARE
        while True:
            monitor.passes += read is None and bool(w.any())
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
            violators = stage.scores(w, g, working.inside, score)
            if violators and problem.elsewhere:
                violators = self.enlarge_far(working, w, g, gap.gap, score, violators)
            elif violators:
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
            if self.by_gram(stage, len(working.members)):
                try:
                    epochs += working.descend(stage, w, g, loss, target, monitor)
                except OutOfTime:  # w is as it was
                    monitor.status = Status.TIME_LIMIT
                    break
            elif problem.elsewhere or (w.ndim == 1 and not self.affords(problem.design)):
                rest = FISTA().run(problem, best, max_iter - iteration, monitor)
                note = (
                    "memory_limit leaves no room for copies of X" if not problem.elsewhere else "the support is large"
                )
                note += ": finished by fista"
                return Outcome(rest.coef, iteration + rest.n_iter, epochs + rest.n_epochs, note)
            else:
                try:
                    columns = stage.by_columns()
                    conversion = columns.design.conversion if columns.design is not problem.design else ""
                    if violators > NEW_SHARE * len(problem.support(w)):
                        done = engine.glance(columns, working.members, w, q)
                    else:
                        done = engine.descend(columns, working.members, w, q, target, monitor)
                except OutOfTime:  # the call that was given up may still write to w and q
                    monitor.status, carry.point = Status.TIME_LIMIT, None
                    return Outcome(best, iteration, epochs, conversion)
                epochs += done
                monitor.passes += done * columns.design.share(working.members)
            iteration += 1
            if carry.keep is not None:
                carry.keep(w, working)
        if guessed and iteration == 0:
            return Outcome(best, iteration, epochs, conversion)
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
    if problem.design.sparse or problem.elsewhere or p <= n or penalty.lam == 0.0 or penalty.weights is not None:
        return []
    largest = float(problem.pull(g).max())
    if penalty.lam >= SMALL_STRENGTH * largest:
        return []
    count = int(np.log10(largest / penalty.lam) * STAGES_PER_DECADE)
    return [
        problem.with_strength(largest * 10.0 ** (-k / STAGES_PER_DECADE))
        for k in range(1, count + 1)
        if largest * 10.0 ** (-k / STAGES_PER_DECADE) > 1.5 * penalty.lam
    ]


SHORT_COLUMNS, FEW_MEMBERS = 2, 500
"""Members for each sample above which the columns of a dense X with l2 are short: a product and an update read them.

Of FEW_MEMBERS the Gram matrix costs little, and Newton steps on it reach the last digit.
"""

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

FAR_LIMIT = 4
"""Times gram_limit that a working set may have where X is elsewhere (8,800 columns: 1.5 GB with the factor)."""

FAR_LEAST, FAR_SHARE = 3000, 3.0
"""As GROWTH_SPARSE where X is elsewhere: with less, text needs more than 8 reads to a gap of 1e-6 (measured)."""

FAR_PRODUCTS = 40
"""Multiply-adds for a new Gram matrix, for each entry of a dense X elsewhere: about the time of its read."""

MANY_ROWS, CROWDED = 4, 0.7
"""With so many rows a column, and so much of the working set in use, all columns are added at once."""

STALLED_STEPS = 8
"""Outer steps without progress, each ten times stricter inside, before giving up."""

EPOCHS_AT_ONCE = 1_000_000_000
"""Multiply-adds of coordinate descent between two looks at clock and signals: below 0.2 s."""


class WorkingSet:
    """The features being solved for, in the order they came, and their Gram matrix as far as it was asked for.

    Attributes
    ----------
    inflation : float
        How many times the rounding of a Gram matrix made from X itself this one may have; see `adopt`.
    """

    def __init__(self, problem: Problem, exact: bool = False) -> None:
        self.problem = problem
        self.inside = np.zeros(problem.shape[1], dtype=np.uint8)
        self.members = np.empty(0, dtype=np.intp)
        self.known = 0
        self.gram = np.empty((0, 0))
        self.exact, self.rounded = exact, False
        self.inflation = 1.0
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
        kept = np.isin(self.members, self.problem.support(w))
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
            if isinstance(self.problem, Elsewhere):
                room = size  # it grows a few times at most
            with room_for(f"the Gram matrix of {room} columns", np.dtype(np.float64).itemsize * room**2):
                grown = np.empty((room, room))
            grown[:known, :known] = self.gram[:known, :known]
            self.gram = grown
        if isinstance(self.problem, Elsewhere):
            monitor.passes += 1.0
            rows = self.problem.gram_rows(self.members, known, monitor.out_of_time)
            if rows is None:
                return False
            self.gram[known:size, :size], self.gram[:known, known:size] = rows, rows[:, :known].T
            self.known = size
            return True
        n, capsule = self.problem.shape[0], self.problem.capsule
        monitor.passes += 1.0 if self.problem.design.sparse else size / self.problem.shape[1]
        if self.problem.design.sparse:
            row_size = np.empty(n + 1, dtype=np.int32)
            given = (capsule, self.members, known, self.gram, self.position, row_size, CHUNK_ENTRIES)
            held = float(self.problem.design.column_entries[self.members].sum())
            try:
                patiently(lambda: gram.extend_sparse(*given), self.problem.design.n_entries + held * held / n)
            except OutOfTime:
                self.known, self.gram = 0, np.empty((0, 0))  # the other still is written to
                return False
        else:
            work = n * size * (size - known)
            dtype = np.float32 if work > LONG_PRODUCT and not self.exact else np.float64
            height = gram.panel_rows(n, size)
            panel: NDArray[Any] = np.empty(height * size, dtype)
            part: NDArray[Any] = np.empty((size - known) * size, dtype)
            at_once = max(height, GRAM_AT_ONCE // (size * (size - known)))
            for first in range(0, n, at_once):
                if monitor.out_of_time():
                    return False
                last = min(first + at_once, n)
                gram.extend_dense(capsule, self.members, known, self.gram, panel, part, height, first, last)
            self.rounded = self.rounded or dtype == np.float32
        self.known = size
        return True

    def adopt(self, gram: NDArray[np.float64], inflation: float) -> None:
        """Take all columns in, with a Gram matrix of all of them that was made elsewhere; it is kept, not copied."""
        self.add(np.arange(self.problem.shape[1]))
        members = self.members
        self.gram = gram if len(members) == len(gram) else np.ascontiguousarray(gram[np.ix_(members, members)])
        self.known, self.inflation = len(members), inflation

    def restore(self, members: NDArray[np.intp], gram: NDArray[np.float64], damping: float) -> None:
        """Take the members, their Gram matrix and the damping of a set that was written down."""
        self.inside[members] = 1
        self.members, self.known, self.gram, self.damping = members, len(members), gram, damping
        self._place()

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
        if w.ndim > 1:
            return self.descend_blocks(problem, w, g, loss, target, monitor)
        members, size, epochs = self.members, len(self.members), 0
        w_set, g_set = w[members], g[members]
        capsule, gram, penalties = problem.capsule, self.gram, penalty_rows(problem, members)
        norm2 = gram.diagonal()[:size].copy()
        direction, product, support = np.empty(size), np.empty(size), np.empty(size, dtype=np.intp)
        factor, rounds = np.empty(0), Rounds()
        while True:
            done, gap, loss = coordinate_descent.gram_descent(
                capsule, gram, norm2, penalties, w_set, g_set, loss, target, EPOCHS_A_ROUND
            )
            epochs += done
            if gap <= target or done < EPOCHS_A_ROUND or rounds.vain(gap) or monitor.out_of_time():
                break
            room = (np.count_nonzero(w_set) + np.count_nonzero(problem.penalty.lam * penalties[0] == 0.0)) ** 2
            if len(factor) < room:
                factor = np.empty(room)
            damping = self.damping
            for _ in range(STEPS_AT_ONCE if size <= LARGE else STEPS_WHEN_LARGE):
                before = count_loose(w_set, penalties)
                given = (gram, penalties, w_set, g_set, loss, damping, factor, direction, product, support)
                loss, self.damping = patiently(partial(newton.step, capsule, *given), room**1.5 / FLOPS_A_COPY)
                if count_loose(w_set, penalties) >= before:  # else the walk ended early: solve again for the others
                    break
        w[members] = w_set
        return epochs

    def descend_blocks(
        self, problem: Problem, w: Vector, g: Vector, loss: float, target: float, monitor: Monitor
    ) -> int:
        """The same for several tasks: w and g are n_features x n_tasks."""
        members, size, n_tasks, epochs = self.members, len(self.members), w.shape[1], 0
        w_set, g_set = w[members].T.ravel(), g[members].T.ravel()  # a row for each task: long products
        penalties, norm2 = penalty_rows(problem, members), self.gram.diagonal()[:size].copy()
        room = np.empty(2 * size + n_tasks)
        l1, l2 = problem.penalty.lam * penalties[0], problem.penalty.l2 * penalties[0]
        at_once = max(1, min(EPOCHS_A_ROUND, EPOCHS_AT_ONCE // (n_tasks * size * size + 1000)))
        rounds = Rounds()
        while True:
            done, gap, loss = coordinate_descent.gram_descent(
                problem.capsule, self.gram, norm2, penalties, w_set, g_set, loss, target, at_once, n_tasks, room
            )
            epochs += done
            if gap <= target or done < at_once or rounds.vain(gap) or monitor.out_of_time():
                break
            loss, self.damping = _block_newton.step(
                *(self.gram[:size, :size], l1, l2, w_set.reshape(n_tasks, size), g_set.reshape(n_tasks, size)),
                *(loss, self.damping),
            )
        w[members] = w_set.reshape(n_tasks, size).T
        return epochs


@runtime_checkable
class Elsewhere(Protocol):
    """A problem whose X is not in memory as a whole."""

    def gram_rows(self, members: NDArray[np.intp], known: int, stop: Callable[[], bool]) -> NDArray[np.float64] | None:
        """Rows known.. of the Gram matrix of the members; None if stop() said so."""
        ...


def gram_rows(problem: Problem, members: NDArray[np.intp], known: int) -> NDArray[np.float64]:
    """Rows known.. of the Gram matrix of some columns: what the rows of this problem add to it."""
    working, size = WorkingSet(problem, exact=True), len(members)
    working.members, working.known, working.gram = members, known, np.zeros((size, size))
    working._place()
    working.complete_gram(Monitor(0.0, 1.0, 0.0))
    return np.ascontiguousarray(working.gram[known:size, :size])


GRAM_AT_ONCE = 1_000_000_000
"""Multiply-adds of a dense Gram matrix between two looks at clock and signals: below 0.2 s."""

LONG_PRODUCT = 100_000_000
"""Multiply-adds of a dense Gram matrix above which they are made in float32, at twice the speed.

The gradient over all columns is always made from X in float64, so that the answer does not feel it.
"""

CHUNK_ENTRIES = 65_536
"""Entries of a CSC matrix that are turned into rows at a time while the Gram matrix is made."""

EPOCHS_A_ROUND = 8
"""Epochs of coordinate descent before each Newton step: the signs settle first."""


class Rounds:
    """Rounds of descent and Newton steps on one Gram matrix, and whether they still lead anywhere.

    The gradient that they start from is rounded: at some gap they go round in circles, and X must be read again.
    """

    def __init__(self) -> None:
        self.smallest, self.since, self.count = np.inf, 0, 0

    def vain(self, gap: float) -> bool:
        """True when the gap has not halved for VAIN_ROUNDS, or after MOST_ROUNDS in all."""
        self.count, self.since = self.count + 1, self.since + 1
        if gap < 0.5 * self.smallest:
            self.smallest, self.since = gap, 0
        return self.since > VAIN_ROUNDS or self.count >= MOST_ROUNDS


VAIN_ROUNDS, MOST_ROUNDS = 25, 500

STEPS_AT_ONCE, STEPS_WHEN_LARGE, LARGE = 10, 3, 300
"""Newton steps in a row while coefficients keep leaving; without them descent would let the same ones in again.

Fewer for a working set that is LARGE: there a step costs as much as many epochs.
"""

FIRST_DAMPING = 1e-2
"""Levenberg damping of the first Newton step."""

MOST_EPOCHS = 4_000
"""Epochs on the columns of one working set; then the gradient is made afresh."""


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
        n_tasks = w.size // problem.shape[1]
        w_set, g_set, room = np.empty(size * n_tasks), np.empty(size * n_tasks), np.empty(2 * size + 3 * n_tasks)
        at_once = max(1, min(EPOCHS_BETWEEN, EPOCHS_AT_ONCE // (4 * n_tasks * problem.design.n_entries + 1000)))
        while True:
            given = (problem.capsule, members, w.reshape(-1), q.reshape(-1), target, at_once)
            step = partial(coordinate_descent.column_descent, *given, g_set, w_set, norm2, penalties, n_tasks, room)
            done, gap = patiently(step, n_tasks * at_once * problem.design.n_entries)
            epochs += done
            if gap <= target or done < at_once or monitor.out_of_time():
                return epochs
            if n_tasks > 1 and epochs >= MOST_EPOCHS:
                return epochs
            if n_tasks > 1:
                continue
            if epochs >= MOST_EPOCHS:  # near copies trade places along directions that damping would close
                self.most_damping = self.damping = LEAST_DAMPING
                return epochs
            loose = may_move(problem, w_set, penalties)
            epochs += self.newton(
                problem, members[loose], penalties[:, loose], w, q, g_set[loose], target / gap, monitor
            )

    def glance(self, problem: Problem, members: NDArray[np.intp], w: Vector, q: Vector) -> int:
        """One epoch, while too many columns are still to come for more."""
        size, n_tasks = len(members), w.size // problem.shape[1]
        norm2, penalties = problem.norm2[members], penalty_rows(problem, members)
        rows, room = (np.empty(size * n_tasks), np.empty(size * n_tasks)), np.empty(2 * size + 3 * n_tasks)
        given = (problem.capsule, members, w.reshape(-1), q.reshape(-1), 0.0, 1, *rows, norm2, penalties, n_tasks, room)
        step = partial(coordinate_descent.column_descent, *given)
        return patiently(step, n_tasks * problem.design.n_entries)[0]

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
        capsule = problem.capsule
        if problem.design.sparse:
            capsule = patiently(lambda: on_rows(problem, support), problem.design.n_entries)
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
