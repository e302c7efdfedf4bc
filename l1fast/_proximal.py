"""Proximal gradient methods: settings for the loop of `_kernels.fista`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from l1fast._kernels import fista
from l1fast._monitor import EPS, Carry, Monitor, Outcome, Vector
from l1fast._problem import Problem
from l1fast._result import Status

CHECK_WORK = 20_000_000
"""Stored entries visited between two checks of clock, signals and gap, at most: about 20 ms."""

STALL = 2
"""No better gap or objective while the iterations grew by this factor (and STALL_LEAST): rounding has the last word."""

STALL_LEAST = 1000

POWER_STEPS = 12
"""Power iterations for the first step constant; the loop itself corrects an estimate that is too low."""


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
        read = monitor.passes + (2 if adapt else POWER_STEPS)

        def check(iteration: int, objective: float, gap: float, w: Vector) -> bool:
            nonlocal best_gap, best_objective, progress
            monitor.passes = read + iteration
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
