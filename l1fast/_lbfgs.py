"""L-BFGS on a smooth stand-in for |.|, by SciPy's L-BFGS-B.

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

POWER_FLOOR = 1e-3
"""Size, as a part of the largest |w_j|, below which the curvature of the powers stays; 1e-2 to 1e-6 do alike."""

ENDLESS = 2**31 - 1
"""SciPy's own limits: the monitor stops."""


class Stop(Exception):
    """Leaves SciPy's loop: the monitor has given its reason, or max_iter is reached."""


class StageOver(Exception):
    """Leaves SciPy's loop: the stage has given what it can."""


class Run:
    """The arrays of one solve, the last point read, and the best iterate that the checks saw.

    any_gap : the last iterate is the one to keep, whatever its gap.
    """

    def __init__(self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, any_gap: bool) -> None:
        n, p = problem.shape
        self.any_gap = any_gap
        self.problem, self.max_iter, self.monitor = problem, max_iter, monitor
        self.q, self.g, self.slopes, self.scratch = np.empty(n), np.empty(p), np.empty(p), problem.scratch()
        self.best, self.best_gap, self.done, self.reads = start.copy(), np.inf, 0, 0
        self.w = start.copy()
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
        """What every iterate is asked: keep it if it is the best, and stop where the monitor says."""
        certificate = self.problem.certify(self.w, self.g, self.loss)
        self.gap = certificate.gap
        if self.gap < self.best_gap or self.any_gap:
            self.best_gap, self.best = self.gap, self.w
        if self.monitor(self.done, certificate.objective, self.gap, self.w) or self.done >= self.max_iter:
            raise Stop

    def minimise(self, smoothing: Smoothing, stage: Stage, memory: int) -> bool:
        """Minimise F_s from w on, in units in which every coefficient counts alike. False: SciPy gave up before.

        F_s is told as the difference from its value at the start, which never loses what the steps still gain.
        """
        from scipy.optimize import minimize

        if stage.over(self.gap, self.w, self.g):
            return True
        problem, scale, units = self.problem, self.gap, self.units(smoothing)
        change = Change(problem, smoothing, self.w, self.g)

        def objective(z: Vector) -> tuple[float, Vector]:
            self.move(units * z)
            if self.monitor.out_of_time():
                self.monitor.status = Status.TIME_LIMIT
                raise Stop
            difference, gradient = change(self.w, self.g)
            return difference / scale, gradient * (units / scale)

        def accepted(z: Vector) -> None:
            self.move(units * z)  # where it is already
            self.done += 1
            self.check()
            if stage.over(self.gap, self.w, self.g):
                raise StageOver

        lower, upper = problem.penalty.lower, problem.penalty.upper
        bounds = None if lower is None or upper is None else np.column_stack([lower / units, upper / units])
        options = {"maxcor": memory, "ftol": 0.0, "gtol": 0.0, "maxiter": ENDLESS, "maxfun": ENDLESS}
        try:
            found = minimize(
                objective,
                self.w / units,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                callback=accepted,
                options=options,
            )
        except StageOver:
            return True
        self.move(units * found.x)
        return False

    def units(self, smoothing: Smoothing) -> Vector:
        """1 / sqrt(norm2_j + v_j (lam phi'(w_j) / w_j + l2)) in units of the gap: where every curvature is 1.

        phi'(u) / u is the curvature of the parabola that touches phi at u from above, as in iteratively reweighted
        least squares: 1 / max(|u|, mu) for Huber. Powers of two, so that nothing is rounded and bounds are met exactly.
        """
        problem, size = self.problem, np.abs(self.w)
        floor = smoothing.width
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
    """F_s(w) - F_s(r) and the gradient of F_s at w, rounded in proportion to w - r.

    A parabola changes by the mean of its slopes at both ends times the step, and so do the loss and l2; what phi has
    more than that is

        1/2 (s - s_r) (t + t_r)                 Huber:         s = clip(u / mu, -1, 1), t = u - mu s
        1/2 (s - s_r) (u + r) (u - r)^2 / h^2   pseudo-Huber:  s = phi'(u), h = phi(u) + phi(r)

    and nothing for another parabola. For the powers it is the difference of the values.
    """

    def __init__(self, problem: Problem, smoothing: Smoothing, r: Vector, g: Vector) -> None:
        self.problem, self.smoothing, self.r = problem, smoothing, r
        self.slopes_r, self.slopes = np.empty_like(r), np.empty_like(r)
        self.penalty_r = problem.slopes(smoothing, r, self.slopes_r)
        self.gradient_r = g + self.slopes_r

    def __call__(self, w: Vector, g: Vector) -> tuple[float, Vector]:
        """g : the gradient of the datafit at w."""
        penalty = self.problem.slopes(self.smoothing, w, self.slopes)
        gradient = g + self.slopes
        step = w - self.r
        difference = 0.5 * float((gradient + self.gradient_r) @ step)
        return difference + self.bend(w, step, penalty), gradient

    def bend(self, w: Vector, step: Vector, penalty: float) -> float:
        """What the smoothed penalty changes by, less half the sum of its slopes at both ends times the step."""
        r, kind, width = self.r, self.smoothing.kind, self.smoothing.width
        if kind == "quadratic":
            return 0.0
        if kind == "huber":
            both = (w - np.clip(w, -width, width)) + (r - np.clip(r, -width, width))
        elif kind == "pseudo_huber":
            both = (w + r) * (step / (np.hypot(w, width) + np.hypot(r, width))) ** 2
        else:
            return penalty - self.penalty_r - 0.5 * float((self.slopes + self.slopes_r) @ step)
        rise = self.slopes - self.slopes_r
        if self.problem.penalty.l2 > 0.0:
            weights = self.problem.penalty.weights
            rise -= self.problem.penalty.l2 * (step if weights is None else weights * step)
        return 0.5 * float(rise @ both)


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS on a smooth stand-in for the L1 norm: SciPy's L-BFGS-B on scaled coefficients.

    minimise  1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam phi(w_j) + l2/2 w_j^2),   phi near |.|

    The gap told is that of the true problem, with |.| itself.

    Parameters
    ----------
    penalty : {"pseudo_huber", "huber"} or a smooth penalty such as ``l1fast.penalties.PseudoHuber(eps)``
        As of `AcceleratedGradient`: a name narrows to the accuracy asked for, an object stands for itself.
    continuation : bool
        Begin with a wide phi, and narrow it as soon as the gap is mostly what the smoothing costs.
    memory : int
        Pairs of steps and changes of the gradient that stand for the Hessian, at least 1.

    Notes
    -----
    At each stage the coefficients are scaled by the root of the curvature of the parabola that touches phi from above.
    Cost: one read of X for each evaluation, about one for each iteration. Memory: 2 memory + 12 vectors of n_features.
    No coefficient becomes exactly 0; ``polish=True`` in `solve` finds the zeros.
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

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Minimise one smoothing after the other.

        Kept is the iterate with the smallest gap; the last, where the penalty is one of its own.
        """
        run = Run(problem, start, max_iter, monitor, any_gap=not isinstance(self.penalty, str))
        over = False
        try:
            run.check()
            curvature = float(problem.norm2.max())
            for smoothing, last in stages(problem, self.penalty, self.continuation, monitor.target, curvature):
                if smoothing.width <= EPS * np.abs(run.w).max(initial=0.0) and not last:
                    monitor.status = Status.NO_PROGRESS
                    break
                over = run.minimise(smoothing, Stage(problem, smoothing, last, monitor.target), self.memory)
            else:
                own = not isinstance(self.penalty, str)  # else the width was chosen to be narrow enough
                monitor.status = Status.SMOOTHED if over or own else Status.NO_PROGRESS
        except Stop:
            pass
        return Outcome(run.best, run.done, run.reads)
