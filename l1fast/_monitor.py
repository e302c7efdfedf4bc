"""What every solver is given and returns: the Monitor that stops it, the Outcome, and what a path carries along.

A solver is given a `Problem`, a start and a `Monitor`, and returns an `Outcome`. It owns the arrays it works on; the
loops over X are in `_kernels`. It never warns, and its own idea of the gap is not what the user is told: `solve`
certifies the outcome once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from l1fast._problem import Point, Problem
from l1fast._result import State, Status
from l1fast._units import PLAIN, Units

Vector = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)


@dataclass
class Monitor:
    """Decides at every check whether to go on, and keeps what the checks saw.

    Attributes
    ----------
    target : float
        Absolute gap to reach.
    scale : float
        What the absolute gap is divided by for people.
    memory_limit : int or None
        Bytes that copies of X and Gram matrices may take.
    passes : float
        Reads of X so far, counted by the solvers; a read of some columns counts as their share of the entries. The
        check of X is the first.
    stop : Event or None
        Set by another thread when the work is no longer wanted; counts as time that has run out.
    units : Units
        Of the problem, for what people see.
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
    memory_limit: int | None = None
    passes: float = 1.0
    stop: Event | None = None
    units: Units = PLAIN

    def __call__(self, iteration: int, objective: float, gap: float, w: Vector) -> bool:
        """True to stop; the reason is then in `status`, which is ITERATION_LIMIT as long as none was given."""
        seconds = time.perf_counter() - self.began
        if self.keep or self.callback is not None:
            size = int(np.count_nonzero(w if w.ndim == 1 else w.any(axis=1)))
            told = self.units.objective(objective)
            state = State(iteration + self.offset, seconds, told, gap / self.scale, size, self.passes)
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

    def late(self) -> bool:
        """Whether even the certificate, which needs some time after the limit, must do with what there is."""
        return self.out_of_time(LATE_SHARE, LATE_LEAST)

    def affords(self, n_bytes: int) -> bool:
        """Whether so many bytes may be taken."""
        return self.memory_limit is None or n_bytes <= self.memory_limit

    def out_of_time(self, share: float = 0.0, least: float = 0.0) -> bool:
        """Whether the time limit, and that share of it or so many seconds, has passed, or nobody waits any more."""
        if self.stop is not None and self.stop.is_set():
            return True
        if self.time_limit is None:
            return False
        return time.perf_counter() - self.began >= self.time_limit + max(share * self.time_limit, least)


LATE_SHARE, LATE_LEAST = 0.05, 0.025
"""Part of the time limit, and seconds at least, that a certificate may take after it where columns are unpenalised."""


@dataclass(frozen=True)
class Outcome:
    """What a solver found, and the work it took.

    point : X read at coef, when that was the last thing the solver did.
    iterates : all points visited, one a row, when the settings asked for them.
    """

    coef: Vector
    n_iter: int
    n_epochs: int
    conversion: str = ""
    point: Point | None = None
    iterates: NDArray[np.float64] | None = None


@dataclass
class Carry:
    """What one strength of a path hands to the next: X read at the last w, and the working set with its Gram matrix.

    Filled by the solvers that have a use for it; it holds for one X, y and weights, whatever the strengths. `ahead` is
    no reading: it is where the last two readings, which are affine in w, lead.
    `keep` is called with w and the working set after every outer step.
    """

    point: Point | None = None
    ahead: Point | None = None
    working: Any = None  # a WorkingSet; it stands above this module
    keep: Callable[[Vector, Any], None] | None = None


class Solver(Protocol):
    """What `solve` asks of an algorithm."""

    name: ClassVar[str]
    default_max_iter: ClassVar[int]

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Minimise from start until monitor or max_iter says stop."""
        ...


@runtime_checkable
class OwnStart(Protocol):
    """A solver with a starting point of its own."""

    def cold_start(self, problem: Problem, max_iter: int, monitor: Monitor) -> Vector:
        """Where to start when nothing is said."""
        ...


def check_setting(name: str, value: object, least: int) -> None:
    """Raise unless a setting is an integer of at least that."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
