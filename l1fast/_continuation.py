"""Continuation: one smoothing of the L1 norm after the other, each narrower, and when to go on to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from l1fast import penalties
from l1fast._problem import Problem
from l1fast._smoothing import Smoothing

Vector = NDArray[np.float64]

Smooth = Literal["huber", "pseudo_huber"] | penalties.Penalty
"""What the settings of a solver take: a name, whose width follows from tol, or a smooth penalty with a width."""

NARROWING = 0.25
"""Width of a stage, as a part of that of the one before (measured)."""

WIDEST_POWER = 0.5
"""Exponent above 1 at which continuation in a power begins."""

DONE = 1.5
"""A stage is over when the true gap is this many times what its smoothing costs: narrowing pays more than going on.

Measured on text and on wide dense data: 1.5, 2, 4 cost 2100, 3200, 5600 and 800, 740, 660 reads of X to a gap of 1e-4.
"""

SHARE = 0.1
"""... or when what is left of the smoothed problem is this part of the true gap, proven by its gradient."""


TINY = 1e-300
"""A width below this is none: its inverse would overflow."""


def check_smooth(penalty: object) -> None:
    """Raise unless `penalty` is a name or a smooth penalty without weights."""
    if isinstance(penalty, str):
        if penalty not in ("huber", "pseudo_huber"):
            raise ValueError(
                f"penalty is {penalty!r}; choose 'huber', 'pseudo_huber', or an object of l1fast.penalties"
            )
        return
    if not isinstance(penalty, penalties.Penalty):
        raise TypeError(f"penalty must be a name or a penalty of l1fast.penalties, got {penalty!r}")
    Smoothing.of(penalty, np.size(getattr(penalty, "gamma", 0.0)))


def stages(
    problem: Problem, penalty: Smooth, continuation: bool, target: float, curvature: float
) -> Iterator[tuple[Smoothing, bool]]:
    """The smoothings to minimise one after the other, and whether it is the last one that may be used.

    With continuation they begin where phi is as curved as the datafit, and narrow down to the width of the penalty,
    or, for a name, as long as float64 can tell. Without it there is one: that of the penalty, or, for a name, the
    widest that is proven to cost at most half of the target (Nesterov 2005).

    target : absolute gap; curvature : of the datafit, ||X||^2.
    """
    total = problem.total_weight
    strength = problem.penalty.lam * problem.largest_weight
    if isinstance(penalty, str):
        wanted = Smoothing(penalty)
        share = 0.5 if penalty == "huber" else 1.0  # of the width: the largest distance of phi from |.|
        cost = 2.0 * share * problem.penalty.lam * total  # twice that of a width of 1
        end = 0.0 if continuation or cost == 0.0 else max(target / cost, TINY)
    else:
        wanted = Smoothing.of(penalty, problem.shape[1]).scaled(problem.units)
        end = wanted.width
    if wanted.kind == "quadratic" or strength == 0.0:
        yield wanted, True
        return
    width = end
    if continuation:
        width = WIDEST_POWER if wanted.kind.startswith("power") else strength / curvature
    while width > max(end, TINY):
        yield wanted.narrowed(width), False
        width *= NARROWING
    if end > 0.0:
        yield wanted.narrowed(end), True


class Stage:
    """Whether one smoothing has given what it can.

    Attributes
    ----------
    left : float
        What the smoothed problem still lacked at the last call, at most.
    """

    def __init__(self, problem: Problem, smoothing: Smoothing, last: bool, target: float) -> None:
        self.problem, self.smoothing, self.last, self.target = problem, smoothing, last, target
        self.slopes, self.left = np.empty(problem.shape[1]), np.inf

    def over(self, gap: float, w: Vector, g: Vector) -> bool:
        """Whether to go on to a narrower one, or, for the last, whether it is solved to the target.

        g : the gradient of the datafit at w. What the smoothing will cost is told by w and, as if it were that of a
        minimiser, by g: a start from a solution is far from the minimiser of a wide smoothing, and should not go there.
        """
        problem, penalty = self.problem, self.problem.penalty
        problem.slopes(self.smoothing, w, self.slopes)
        self.left = self.lack(w, penalty.remaining(w, self.slopes + g))
        if penalty.lam * problem.largest_weight == 0.0:  # nothing is smoothed: the true gap decides
            return False
        cost = max(problem.smoothing_gap(w, self.slopes), self.smoothing.cost(penalty, g))
        if not self.last and gap <= DONE * cost:
            return True
        return self.left <= (self.target if self.last else SHARE * gap)

    def lack(self, w: Vector, gradient: Vector) -> float:
        """A bound on F_s(w) - min F_s from the part of its gradient that the bounds leave, by convexity.

        |gradient'(w - w*)| <= max_j (|gradient_j| / v_j) sum_j v_j (|w_j| + |w*_j|), and at the minimiser w*
        lam sum_j v_j (|w*_j| - slack) <= F_s(w*) <= F(0). An unpenalised coefficient, which has no such limit, counts
        gradient_j^2 / norm2_j, twice what it alone can gain.
        """
        problem, weights = self.problem, self.problem.penalty.weights
        steepness, size, lam, rest = np.abs(gradient), np.abs(w), problem.penalty.lam, 0.0
        if weights is not None:
            free = (weights == 0.0) & (problem.norm2 > 0.0)
            rest = float((steepness[free] ** 2 / problem.norm2[free]).sum())
            steepness = np.divide(steepness, weights, out=np.zeros_like(steepness), where=weights > 0.0)
            size *= weights
        length = float(size.sum()) + self.smoothing.slack * problem.total_weight
        length += problem.scale / lam if lam > 0.0 else 0.0
        return float(steepness.max(initial=0.0)) * length + rest
