"""The homotopy: the exact path of solutions from lam_max down."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from l1fast._design import join_notes
from l1fast._monitor import Carry, Monitor, Outcome, Vector, check_setting
from l1fast._patience import OutOfTime, patiently
from l1fast._penalties import ElasticNet
from l1fast._problem import Point, Problem
from l1fast._working_set import CD


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
        Bytes that the columns and the factor may take, 1e9 unless given; coordinate descent, held to a limit that was
        given too, finishes what needs more.

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
        check_setting("columns", self.columns, 1)
        if self.memory_limit is not None:
            check_setting("memory_limit", self.memory_limit, 0)

    @staticmethod
    def suits(penalty: ElasticNet) -> bool:
        """Whether the path is piecewise linear in lam: every coefficient has a kink at 0, and no bound but 0."""
        kinked = penalty.lam > 0.0 and (penalty.weights is None or bool(penalty.weights.all()))
        return kinked and (penalty.lower is None or penalty.upper is None or penalty.positive)

    def room(self, problem: Problem) -> int:
        """Bytes that the columns of a round and the factor may come to, from a cold start."""
        n, p = problem.shape
        count = min(max(self.columns, 2 * n), p)
        capacity = count if problem.penalty.l2 > 0.0 else min(count, n)
        return 8 * (count * n + 2 * capacity**2)

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
            monitor.passes += bool(w.any())
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
            monitor.passes += 1.0 if problem.design.sparse else min(1.0, (len(path.active) + path.beside) / p)
            done, whole = path.follow(w, g, size, strength, lower, monitor)
            steps, strength, iteration = steps + done, lower, iteration + 1
            if not whole or stalled > STALLED_ROUNDS or steps > MOST_STEPS * (n + 1):
                monitor.offset += iteration
                outcome = CD(memory_limit=self.memory_limit).run(problem, best, max_iter - iteration, monitor, carry)
                monitor.offset -= iteration
                note = f"the path needs more than {path.most:,} bytes: finished by cd" if path.too_large else ""
                return replace(
                    outcome,
                    n_iter=iteration + outcome.n_iter,
                    n_epochs=steps + outcome.n_epochs,
                    conversion=join_notes(outcome.conversion, note),
                )


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

MOST_BYTES = 1_000_000_000
"""Bytes that the homotopy takes unless it is told otherwise. What needs more has a thousand samples and more, where
coordinate descent is the better choice by far."""

SPREAD = 4
"""What it costs to gather a number of a column from rows, in copies of a number."""

PATH_AT_ONCE = 200_000_000
"""Multiply-adds of the homotopy between two looks at clock and signals: below 0.2 s."""


class Path:
    """One problem's path of solutions, over the support and so many columns beside it, a stretch at a time."""

    def __init__(self, problem: Problem, start: Vector, beside: int, memory_limit: int | None) -> None:
        self.problem = problem
        self.beside = beside
        self.most = MOST_BYTES if memory_limit is None else memory_limit
        self.too_large = False
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
        self.too_large = 8 * (count * n + 2 * capacity**2) > self.most  # two factors for a moment when it grows
        if self.too_large:
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
        try:
            patiently(lambda: homotopy.pack(problem.capsule, members, self.position, Z), SPREAD * Z.size)
        except OutOfTime:
            return 0, True
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
