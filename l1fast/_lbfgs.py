"""L-BFGS on a smooth stand-in for |.|, stage by stage, by SciPy's L-BFGS-B.

    minimise  F_s(w) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam phi(w_j) + l2/2 w_j^2)

Invariant: q, g and loss are what one read of X says of w; the gradient of F_s there is g + slopes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from l1fast._continuation import Smooth, Stage, check_smooth, stages
from l1fast._monitor import EPS, Carry, Monitor, Outcome, Vector, check_setting
from l1fast._problem import Problem
from l1fast._result import Status
from l1fast._smoothing import Smoothing

ROUND = 50
"""Iterations after which the units are set anew.

Measured on five problems to a gap of 1e-6: with continuation 30, 50, 100 and never are alike; without it 100 takes 1.2
to 1.6 times the reads of 50, and never many times as many.
"""

POWER_FLOOR = 1e-3
"""Part of the largest |w_j| below which the curvature of the powers counts as there (1e-2 to 1e-6 are alike)."""

ENDLESS = 2**31 - 1
"""SciPy's limit on evaluations: the monitor stops in its place."""


class Stop(Exception):
    """Leaves SciPy's loop: the monitor has given its reason, or max_iter is reached."""


class StageOver(Exception):
    """Leaves SciPy's loop: the stage has given what it can."""


class Run:
    """The arrays of one solve, the point that was read last, and the best iterate that the checks saw.

    any_gap : the last iterate is the one to keep, whatever its gap.
    """

    def __init__(
        self, problem: Problem, start: Vector, memory: int, max_iter: int, monitor: Monitor, any_gap: bool
    ) -> None:
        self.problem, self.memory, self.max_iter = problem, memory, max_iter
        self.monitor, self.any_gap = monitor, any_gap
        (self.q, self.g), self.scratch = problem.blanks(), problem.scratch()
        self.best, self.best_gap, self.done, self.reads = start, np.inf, 0, 0
        self.w = start
        self.read()

    def read(self) -> None:
        """Read X at w."""
        self.loss = self.problem.gradient(self.w, self.q, self.g, self.scratch)
        self.reads += 1
        self.monitor.passes += 1

    def move(self, w: Vector) -> None:
        """Go to w."""
        if not np.array_equal(w, self.w):
            self.w = w
            self.read()

    def check(self) -> None:
        """What every iterate is asked: keep the best, and stop where the monitor says."""
        certificate = self.problem.certify(self.w, self.g, self.loss)
        self.gap = certificate.gap
        if self.gap < self.best_gap or self.any_gap:
            self.best, self.best_gap = self.w, self.gap
        if self.monitor(self.done, certificate.objective, self.gap, self.w) or self.done >= self.max_iter:
            raise Stop

    def minimise(self, smoothing: Smoothing, stage: Stage) -> bool:
        """Minimise F_s from w on; False where SciPy finds no better point before the stage is over."""
        least = np.inf
        if stage.over(self.gap, self.w, self.g):
            return True
        try:
            while self.descend(smoothing, stage) == ROUND or stage.left < least:
                least = min(least, stage.left)
        except StageOver:
            return True
        return False

    def descend(self, smoothing: Smoothing, stage: Stage) -> int:
        """One call of SciPy, ROUND iterations at most, in units in which the curvatures are alike; returns how many."""
        from scipy.optimize import minimize

        problem, first, scale, units = self.problem, self.done, self.gap, self.units(smoothing)
        change = Change(problem, smoothing, self.w, self.g)

        def objective(z: Vector) -> tuple[float, Vector]:
            self.move(units * z)
            if self.monitor.out_of_time():
                self.monitor.status = Status.TIME_LIMIT
                raise Stop
            difference, gradient = change(self.w, self.g)
            return difference / scale, gradient * (units / scale)

        def accepted(z: Vector) -> None:
            self.move(units * z)  # it is there already
            self.done += 1
            self.check()
            if stage.over(self.gap, self.w, self.g):
                raise StageOver

        lower, upper = problem.penalty.lower, problem.penalty.upper
        bounds = None
        if lower is not None and upper is not None:
            with np.errstate(over="ignore"):  # a bound out of reach is none
                bounds = np.column_stack([lower / units, upper / units])
        options = {"maxcor": self.memory, "ftol": 0.0, "gtol": 0.0, "maxiter": ROUND, "maxfun": ENDLESS}
        found = minimize(
            objective, self.w / units, jac=True, method="L-BFGS-B", bounds=bounds, callback=accepted, options=options
        )
        self.move(units * found.x)  # where the last accepted step led, when a line search failed
        return self.done - first

    def units(self, smoothing: Smoothing) -> Vector:
        """sqrt(gap / (norm2_j + v_j (lam phi'(w_j) / w_j + l2))): what w_j is divided by for SciPy.

        phi'(u) / u is the curvature of the parabola that touches phi at u from above, 1 / max(|u|, mu) for Huber, as in
        iteratively reweighted least squares. Powers of two, so that nothing is rounded and bounds are met exactly.
        """
        problem, size, floor = self.problem, np.abs(self.w), smoothing.width
        if smoothing.kind.startswith("power"):
            floor = POWER_FLOOR * float(size.max(initial=0.0)) or 1.0
        size = np.maximum(size, floor)
        curvature = np.empty_like(size)
        problem.slopes(smoothing, size, curvature)
        curvature /= size
        curvature += problem.norm2
        curvature[curvature == 0.0] = 1.0
        units: Vector = np.exp2(np.rint(np.log2(np.sqrt(self.gap) / np.sqrt(curvature))))
        return units


class Change:
    """F_s(w) - F_s(r) and the gradient of F_s at w, for one r; the difference is rounded in proportion to w - r.

    A parabola changes by the step times the mean of its slopes at both ends, and so do the loss and the l2 part. phi
    changes by that and

        1/2 (s_w - s_r) (t_w + t_r)                     s = clip(u / mu, -1, 1), t = u - mu s           Huber
        1/2 (s_w - s_r) (w + r) (w - r)^2 / (h_w + h_r)^2      h = sqrt(u^2 + eps^2), s = u / h         pseudo-Huber

    while the difference of the values F_s would lose all that is below their own rounding.
    """

    def __init__(self, problem: Problem, smoothing: Smoothing, r: Vector, g: Vector) -> None:
        self.problem, self.smoothing, self.r = problem, smoothing, r
        self.slopes_r, self.slopes = np.empty_like(r), np.empty_like(r)
        self.penalty_r = problem.slopes(smoothing, r, self.slopes_r)
        self.gradient_r, self.part_r = g + self.slopes_r, self.part(r)

    def __call__(self, w: Vector, g: Vector) -> tuple[float, Vector]:
        """g : the gradient of the datafit at w."""
        penalty = self.problem.slopes(self.smoothing, w, self.slopes)
        gradient = g + self.slopes
        step = w - self.r
        trapezium = 0.5 * float((gradient + self.gradient_r) @ step)
        return trapezium + self.bend(w, step, penalty), gradient

    def part(self, u: Vector) -> Vector:
        """mu s for Huber, h for pseudo-Huber."""
        width = self.smoothing.width
        return np.hypot(u, width) if self.smoothing.kind == "pseudo_huber" else np.clip(u, -width, width)

    def bend(self, w: Vector, step: Vector, penalty: float) -> float:
        """What the smoothed penalty changes by beyond the step times its mean slope."""
        r, kind = self.r, self.smoothing.kind
        if kind == "quadratic":
            return 0.0
        if kind == "huber":
            s, s_r = self.part(w), self.part_r  # times mu
            each = (s - s_r) / self.smoothing.width * ((w - s) + (r - s_r))
        elif kind == "pseudo_huber":
            h, h_r = self.part(w), self.part_r
            each = (w / h - r / h_r) * (w + r) * (step / (h + h_r)) ** 2
        else:
            return penalty - self.penalty_r - 0.5 * float((self.slopes + self.slopes_r) @ step)
        weights = self.problem.penalty.weights
        return 0.5 * self.problem.penalty.lam * float(each.sum() if weights is None else weights @ each)


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS on a smooth stand-in for the L1 norm: SciPy's L-BFGS-B, well fed.

    minimise  1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam phi(w_j) + l2/2 w_j^2),   phi near |.|

    The gap told is that of the true problem, with |.| itself.

    Parameters
    ----------
    penalty : {"pseudo_huber", "huber"} or a smooth penalty such as ``l1fast.penalties.PseudoHuber(eps)``
        As of `AcceleratedGradient`: a name narrows to the accuracy asked for, an object stands for itself. Pseudo-Huber
        takes 0.35 to 0.8 of the reads that Huber takes to a gap of 1e-6, since its curvature is continuous (measured).
    continuation : bool
        Begin with a wide phi, and narrow it as soon as the gap is mostly what the smoothing costs. False: one width
        from the beginning, which takes 1.3 to 4 times the reads (measured).
    memory : int
        Pairs of steps and changes of the gradient that stand for the Hessian, at least 1. 5 to 15 are alike; more cost
        more time than they save (measured).

    Notes
    -----
    Each coefficient is scaled by the root of the curvature of the parabola that touches phi there from above, anew in
    every stage and every 50 iterations; without that the reads are 2 to 10 times as many (measured). SciPy is told
    differences of the objective, rounded in proportion to the step, so that gaps of 1e-12 are in reach.
    Cost: one read of X for each evaluation, 1.05 to 2 for each iteration. Memory: 2 memory + 36 vectors of n_features.
    No coefficient becomes exactly 0; ``polish=True`` in `solve` finds the zeros. Bounds hold exactly. The powers are
    slow, as with any method that follows slopes: theirs are infinitely steep at 0.
    Source: Byrd, Lu, Nocedal and Zhu (SIAM J. Sci. Comput. 1995).
    """

    penalty: Smooth = "pseudo_huber"
    continuation: bool = True
    memory: int = 10
    name: ClassVar[str] = "lbfgs"
    default_max_iter: ClassVar[int] = 100_000

    def __post_init__(self) -> None:
        check_smooth(self.penalty)
        check_setting("memory", self.memory, 1)

    @np.errstate(over="ignore", divide="ignore")  # slopes too steep for float64, where lam is huge, end the search
    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Minimise one smoothing after the other.

        Kept is the iterate with the smallest gap; the last, where the penalty is one of its own.
        """
        own = not isinstance(self.penalty, str)
        run = Run(problem, start, self.memory, max_iter, monitor, any_gap=own)
        curvature = float(problem.norm2.max(initial=0.0))  # of the datafit, at least
        solved = False
        try:
            run.check()
            for smoothing, last in stages(problem, self.penalty, self.continuation, monitor.target, curvature):
                if smoothing.width <= EPS * np.abs(run.w).max(initial=0.0) and not last:
                    monitor.status = Status.NO_PROGRESS
                    break
                solved = run.minimise(smoothing, Stage(problem, smoothing, last, monitor.target))
            else:  # a penalty of one's own is then minimised as far as rounding lets it
                monitor.status = Status.SMOOTHED if solved or own else Status.NO_PROGRESS
        except Stop:
            pass
        return Outcome(run.best, run.done, run.reads)
