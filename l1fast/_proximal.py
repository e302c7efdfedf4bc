"""Proximal gradient methods, and plain gradient methods on a smooth stand-in for |.|: settings of one loop.

The loop is `_kernels.fista`; on a smoothing it runs in stages, each narrower than the one before (`Gradient`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from l1fast._continuation import Smooth, Stage, check_smooth, stages
from l1fast._kernels import fista
from l1fast._monitor import EPS, Carry, Monitor, Outcome, Vector
from l1fast._patience import OutOfTime
from l1fast._problem import Problem
from l1fast._result import Status
from l1fast._smoothing import Smoothing

CHECK_WORK = 20_000_000
"""Stored entries visited between two checks of clock, signals and gap, at most: about 20 ms."""

STALL = 2
"""No better gap or objective while the iterations grew by this factor (and STALL_LEAST): rounding has the last word."""

STALL_LEAST = 1000

SORT_AFTER = 50
"""Iterations after which the rows of a sparse X are sorted: the copy costs as much time as about 50 save."""

OF_ESTIMATE = 1e3
"""What the estimated squares of a linear operator are multiplied by, to be a bound on ||X||^2: by chance alone they are
too small by that once in a million problems."""

POWER_STEPS = 12
"""Power iterations for the first step constant; the loop itself corrects an estimate that is too low."""

Step = Literal["backtracking", "lipschitz"]


def check_step(step: object) -> None:
    """Raise unless step is one of the two rules."""
    if step not in ("backtracking", "lipschitz"):
        raise ValueError(f"step must be 'backtracking' or 'lipschitz', got {step!r}")


class Loop:
    """The arrays of `_kernels.fista` for one solve, and the best iterate that its checks saw.

    any_gap : the last iterate is the one to keep, whatever its gap.
    """

    def __init__(self, problem: Problem, start: Vector, step: Step, monitor: Monitor, any_gap: bool = False) -> None:
        self.problem, self.monitor, self.adapt = problem, monitor, step == "backtracking"
        self.vectors, self.q, self.scratch = np.empty((6, len(start))), problem.blanks()[0], problem.scratch()
        self.vectors[0] = start
        self.bound = float(problem.norm2.sum()) * (1.0 if problem.has_columns else OF_ESTIMATE)
        steps = 2 if self.adapt else POWER_STEPS
        estimate = spectral_norm2(problem, self.vectors, self.q, self.scratch, steps)
        self.lipschitz = min(estimate, self.bound)
        self.best, self.best_gap, self.best_objective = start.copy(), np.inf, np.inf
        self.done = self.progress = 0
        self.any_gap, self.over, self.least = any_gap, False, np.inf
        self.sorted, self.conversion = False, ""
        self.read = monitor.passes + steps

    def watch(self, iteration: int, objective: float, gap: float, w: Vector) -> bool:
        """What every check does: keep the best iterate, and stop where the monitor says or nothing moves any more."""
        monitor = self.monitor
        monitor.passes = self.read + iteration
        if gap < self.best_gap or objective < self.best_objective * (1.0 - 4.0 * EPS):
            self.progress = iteration
        elif iteration > STALL * self.progress + STALL_LEAST:
            monitor.status = Status.NO_PROGRESS
            return True
        self.best_objective = min(self.best_objective, objective)
        if gap < self.best_gap or self.any_gap:
            self.best_gap = min(gap, self.best_gap)
            self.best[:] = w
        return monitor(iteration, objective, gap, w)

    def sort_rows(self) -> object:
        """The capsule of the problem with its rows sorted by length, the first time; False where that would not pay.

        True, to stop, when the time is up before it is made.
        """
        problem = self.problem
        if self.sorted or not self.monitor.affords(problem.design.nbytes):
            return False
        self.sorted = True
        try:
            made = problem.by_length
        except OutOfTime:
            self.monitor.status = Status.TIME_LIMIT
            return True
        if made is problem or made.scratch().size > self.scratch.size:
            return False
        self.problem, self.conversion = made, made.design.conversion
        return made.capsule

    def iterate(
        self,
        settings: FISTA | AcceleratedGradient,
        max_iter: int,
        smoothing: Smoothing | None = None,
        curvature: float = 0.0,
        stage: Stage | None = None,
    ) -> None:
        """Run from vectors[0] until a check, the stage or max_iter says stop. curvature : that of the smoothing."""
        first, design, steepest = self.done, self.problem.design, curvature
        if math.isinf(curvature):  # the steps find how much of it they meet
            curvature, steepest = 0.0, STEEPEST * self.lipschitz

        def check(iteration: int, objective: float, gap: float, w: Vector, g: Vector) -> object:
            w, g, iteration = np.asarray(w), np.asarray(g), first + iteration  # w and g come as memoryviews
            over = False
            if stage is not None:
                over = stage.over(gap, w, g)
                if stage.left < self.least:
                    self.least, self.progress = stage.left, iteration
            if self.watch(iteration, objective, gap, w):
                return True
            self.over = over
            return over or (iteration >= SORT_AFTER and self.sort_rows())

        self.over, self.least = False, np.inf
        self.done += fista.iterate(
            self.problem.capsule,
            self.vectors,
            self.q,
            self.scratch,
            self.lipschitz + curvature,
            self.bound + steepest,
            settings.accelerate,
            settings.restart,
            self.adapt,
            max_iter - first,
            max(1, min(10, CHECK_WORK // (design.n_entries + design.shape[1]))),
            check,
            None if smoothing is None else smoothing.arguments,
        )
        self.read += 1  # the gradient at the start


@dataclass(frozen=True)
class FISTA:
    """Accelerated proximal gradient: one read of X an iteration, any storage.

    Parameters
    ----------
    step : {"backtracking", "lipschitz"}
        "backtracking": 1/L with L following the curvature that the steps show, downwards too.
        "lipschitz": 1/L with L estimated once by power iteration, and raised when a step proves it too small.
    restart : bool
        Drop the momentum when it points uphill.

    Notes
    -----
    Memory: 6 n_features + n_samples numbers (and n_features more for each thread); after 50 iterations on a sparse X,
    unless ``memory_limit`` forbids, a copy of X with its rows sorted by length, for passes in half to 3/4 of the time.
    Source: Beck and Teboulle (2009); restart: O'Donoghue and Candes (2015).
    """

    step: Step = "backtracking"
    restart: bool = True
    name: ClassVar[str] = "fista"
    default_max_iter: ClassVar[int] = 100_000
    accelerate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_step(self.step)

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Iterate `_kernels.fista`; the iterate with the smallest gap is kept."""
        loop = Loop(problem, start, self.step, monitor)
        loop.iterate(self, max_iter)
        return Outcome(loop.best, loop.done, loop.done, loop.conversion)


@dataclass(frozen=True)
class ISTA(FISTA):
    """Proximal gradient without momentum: the same loop and parameters as `FISTA`, for comparison.

    Source: Daubechies, Defrise and De Mol (2004).
    """

    restart: bool = False
    name: ClassVar[str] = "ista"
    accelerate: ClassVar[bool] = False


@dataclass(frozen=True)
class AcceleratedGradient:
    """Accelerated gradient descent on a smooth stand-in for the L1 norm: the loop of `FISTA` without the prox.

    minimise  1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam phi(w_j) + l2/2 w_j^2),   phi near |.|

    The gap told is that of the true problem, with |.| itself.

    Parameters
    ----------
    penalty : {"huber", "pseudo_huber"} or a smooth penalty such as ``l1fast.penalties.Huber(mu)``
        A name leaves the width to the accuracy asked for: it narrows until the true gap is at most tol, and the iterate
        with the smallest gap is returned. An object stands for itself: the solve ends, at the latest, when its own
        problem is solved to tol, and the last iterate is returned, with the true gap that this leaves.
    continuation : bool
        Begin with a wide phi, and narrow it as soon as the gap is mostly what the smoothing costs. False: one width
        from the beginning, for a name the one that is proven to cost at most half of tol.
    step : {"backtracking", "lipschitz"}
        1/L with L = ||X||^2 + lam max_j v_j max phi'', the first term estimated by power iteration. "backtracking" lets
        L fall to the curvature that the steps show; both raise it when a step proves it too small.
    restart : bool
        Drop the momentum when it points uphill.

    Notes
    -----
    Cost: one read of X for each iteration. Memory as `FISTA`. No coefficient becomes exactly 0; ``polish=True`` in
    `solve` finds the zeros. Bounds hold, by projection.
    Source: Nesterov (Math. Program. 2005); continuation, Becker, Bobin and Candes (SIAM J. Imaging Sci. 2011).
    """

    penalty: Smooth = "huber"
    continuation: bool = True
    step: Step = "backtracking"
    restart: bool = True
    name: ClassVar[str] = "accelerated_gradient"
    default_max_iter: ClassVar[int] = 100_000
    accelerate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_step(self.step)
        check_smooth(self.penalty)

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Iterate `_kernels.fista` with one smoothing after the other.

        Kept is the iterate with the smallest gap; the last, where the penalty is one of its own.
        """
        loop = Loop(problem, start, self.step, monitor, any_gap=not isinstance(self.penalty, str))
        for smoothing, last in stages(problem, self.penalty, self.continuation, monitor.target, loop.lipschitz):
            if smoothing.width <= EPS * np.abs(loop.vectors[0]).max(initial=0.0) and not last:
                monitor.status = Status.NO_PROGRESS
                break
            lam, steepest = problem.penalty.lam, smoothing.curvature(problem.largest_weight)
            curvature = lam * steepest if lam > 0.0 else 0.0
            stage = Stage(problem, smoothing, last, monitor.target)
            loop.iterate(self, max_iter, smoothing, curvature, stage)
            if not loop.over:
                break
        else:
            monitor.status = Status.SMOOTHED
        return Outcome(loop.best, loop.done, loop.done, loop.conversion)


@dataclass(frozen=True)
class Gradient(AcceleratedGradient):
    """Gradient descent on a smooth stand-in for the L1 norm: `AcceleratedGradient` without momentum, for comparison."""

    restart: bool = False
    name: ClassVar[str] = "gradient"
    accelerate: ClassVar[bool] = False


STEEPEST = 1e12
"""Curvature allowed to the powers, in units of that of the datafit: they are infinitely steep at 0."""


def spectral_norm2(problem: Problem, vectors: NDArray[np.float64], q: Vector, scratch: Vector, steps: int) -> float:
    """An estimate from below of ||sqrt(s) (X - mean)||^2 by power iteration: one read of X a step.

    vectors[1:3], q and scratch are overwritten. The start is spread by the column norms, so it is not orthogonal to the
    top singular vector but by bad luck, and the estimate is the same at every call.
    """
    homogeneous = problem.homogeneous()
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
