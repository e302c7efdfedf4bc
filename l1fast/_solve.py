"""solve() and lam_max(): validate, choose, run, certify.

minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast import _blas
from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import Design, Moments, Storage, join_notes
from l1fast._homotopy import Homotopy
from l1fast._irls import IRLS
from l1fast._monitor import Carry, Monitor, Outcome, OwnStart, Solver
from l1fast._patience import OutOfTime, patiently, until
from l1fast._penalties import ElasticNet
from l1fast._problem import Certificate, Point, Problem
from l1fast._reading import as_storage_or_blocks, threads_for
from l1fast._result import Callback, History, Result, Status, announce
from l1fast._row_blocks import RowBlocks
from l1fast._solvers import choose, named, refuse_unfit
from l1fast._threads import worthwhile
from l1fast._units import FAINT, PLAIN, Units, carried, faint_column, may_change, rescaled, shifted
from l1fast._validation import (
    as_bounds,
    as_count,
    as_flag,
    as_number,
    as_vector,
    measured,
)
from l1fast._working_set import CD

Vector = NDArray[np.float64]
Bounds = tuple[ArrayLike | None, ArrayLike | None]
Confirm = Callable[[Problem, Point], tuple[Vector, Certificate, Vector]]

MOST_ITERATIONS = 2**31 - 1

REPAIRS = 4
"""How often a solver is sent back, ten times stricter, when the final certificate does not confirm its own."""


@_blas.one_thread()
def solve(
    X: Any,
    y: ArrayLike,
    lam: float,
    *,
    l2: float = 0.0,
    solver: str | Solver = "auto",
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    positive: bool = False,
    bounds: Bounds | None = None,
    start: ArrayLike | Result | None = None,
    n_threads: int | None = None,
    memory_limit: int | None = None,
    callback: Callback | None = None,
    history: bool = False,
    polish: bool = False,
    resume: str | os.PathLike[str] | None = None,
) -> Result:
    """Solve the Lasso or elastic net to a certified duality gap.

    minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper

    Parameters
    ----------
    X : array-like, sparse matrix, RowBlocks or LinearOperator, shape (n_samples, n_features)
        C- or F-contiguous, CSR or CSC in float32 or float64 (indices int32 or int64) are used without a copy;
        anything else is converted once, and ``Result.conversion`` says so. Never changed. X may also stay where it is:
        in blocks of rows (`RowBlocks`), or behind its products (`scipy.sparse.linalg.LinearOperator`, real). Then
        extreme scales are refused, "homotopy" and "irls" are not to be had, and without columns neither is "cd".
    y : array-like, shape (n_samples,)
    lam : float
        L1 strength >= 0, in units of X.T @ y. At `lam_max` and above all penalised coefficients are 0.
    l2 : float
        Strength of the squared penalty >= 0, in units of X.T @ X.
    solver : str or a settings object such as ``FISTA(step="lipschitz")``
        "auto", "cd", "homotopy", "fista", "ista", "accelerated_gradient", "gradient", "lbfgs", "irls", "huber_descent"
        or "subgradient".
    tol : float
        Relative duality gap to reach; see ``Result.dual_gap``.
    max_iter : int, optional
        Outer steps at most. Default: the solver's own (``default_max_iter``).
    time_limit : float, optional
        Seconds; the best iterate so far is returned with its true gap.
    fit_intercept : bool
        Whether b is free (unpenalised). A sparse X stays sparse.
    penalty_weights : array-like, shape (n_features,), optional
        v >= 0; 0 leaves a coefficient unpenalised. Default: ones.
    sample_weight : array-like, shape (n_samples,), optional
        s >= 0; 0 drops a row. Default: ones.
    positive : bool
        Ask for w >= 0; short for ``bounds=(0, None)``.
    bounds : (lower, upper), optional
        lower <= w <= upper; each a number for all coefficients, an array of shape (n_features,) or None for no bound.
        lower <= 0 <= upper, so that w = 0 stays allowed; -inf and inf stand for no bound. Default: no bounds.
    start : array-like of shape (n_features,), or Result, optional
        Where to start; default 0, for huber_descent the least-norm fit without penalty. Entries outside the bounds are
        moved to the bound.
    n_threads : int, optional
        Threads at most; small problems use one. Default: the environment variable L1FAST_NUM_THREADS, else
        OMP_NUM_THREADS, else 1 in a thread other than the main one and in a process of multiprocessing, else all
        cores that this process may use.
    memory_limit : int, optional
        Bytes that Gram matrices and copies of X may take on top of X and some vectors; where more is needed, FISTA
        finishes the solve. Conversions that X itself needs are not counted. Default: no more than about 100 MB for
        Gram matrices, and two copies of a sparse X (one of a dense X) where the support is large.
    callback : callable, optional
        Called with a `State` at every check; return True to stop.
    history : bool
        Keep time, objective, gap and passes of every check in ``Result.history``.
    polish : bool
        Let the solver run to a gap of 1e-4 (or tol, when that is more) at most, for half of ``time_limit``, and finish
        with coordinate descent to tol from the support that its answer shows. So smoothed solutions get exact zeros.
        "cd" and "homotopy" have no need of it.
    resume : path, optional
        For X in blocks of rows and solver "cd": a file (.npz) into which the solve writes where it stands after every
        outer step, n_features and working set squared in numbers, whole or not at all. If it is there and of the same
        problem, the solve goes on from it, without the pass for the statistics; another tol is no other problem.

    Returns
    -------
    Result

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, has the wrong shape, is malformed or not finite. The message names it.

    Warns
    -----
    ConvergenceWarning
        The gap is above tol.

    Notes
    -----
    Cost: one read of X to check it, one for the column norms (two with an intercept), one for the final certificate,
    and what the solver needs: one read for each FISTA iteration and for each working set of cd. On blocks of rows cd
    reads X twice for each working set, and ``time_limit`` is looked at between reads; memory is that of one block,
    the Gram matrix and some vectors. A linear operator is multiplied by one vector on each side for each iteration.

    Scales: where squares of X, y or the weights leave float64, the problem is solved in units that are powers of two,
    and the answer turned back; ``objective`` and ``violation`` are then inf or 0 if they are beyond float64 themselves.
    What float64 cannot carry at all (a coefficient of 1e400) is a ValueError that names it.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> result = l1fast.solve(X, [3.0, 0.5, 1.0], lam=1.0)
    >>> result.coef
    array([2., 0.])
    >>> result.converged
    True
    >>> l1fast.solve(X, [3.0, 0.5, 1.0], lam=1.0, bounds=(0.0, [1.5, np.inf])).coef
    array([1.5, 0. ])
    """
    began = time.perf_counter()
    tol = as_number("tol", tol)
    keep, finish = as_flag("history", history), as_flag("polish", polish)
    memory = None if memory_limit is None else as_count("memory_limit", memory_limit)
    limit = None if time_limit is None else as_number("time_limit", time_limit)
    most = None if max_iter is None else min(as_count("max_iter", max_iter), MOST_ITERATIONS)
    wanted = read_solver(solver)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    strengths, positive = (as_number("lam", lam), as_number("l2", l2)), as_flag("positive", positive)
    recoveries = X.recoveries if isinstance(X, RowBlocks) else 0
    storage = as_storage_or_blocks(X)
    n_features = storage.shape[1]
    checkpoint = None if resume is None else open_checkpoint(resume, storage, wanted, start)
    penalty = read_penalty(*strengths, penalty_weights, bounds, positive, n_features)
    problem = make_problem(
        storage, y, penalty, fit_intercept, sample_weight, threads_for(storage, n_threads), True, checkpoint
    )
    algorithm, reason = wanted or choose(problem, cold=start is None)
    refuse_unfit(algorithm, problem)
    if finish and not problem.has_columns:
        raise ValueError("polish=True ends with cd, which needs the columns of X; a linear operator has none")
    algorithm = within_memory(algorithm, memory)

    if problem.trivial:
        reason = "nothing to fit: y or every column of X is constant, or there is no column"
    scale = problem.scale
    monitor = Monitor(tol * scale, scale, began, limit, callback, keep, memory_limit=memory, units=problem.units)
    iterations = algorithm.default_max_iter if most is None else most
    carry = None
    if checkpoint is not None and not problem.trivial:
        carry = checkpoint.carry(problem)  # the first read of X, in the place of that for the statistics
    if carry is not None and carry.point is not None and checkpoint is not None:
        w, reason = carry.point.w, f"{reason}; resumed from {checkpoint.path.name}"
    elif start is None:
        w = cold_start(algorithm, problem, iterations, monitor)
    else:
        w = _start(start, problem)
    if finish and not isinstance(algorithm, CD | Homotopy):
        reason += "; polished by cd"
        outcome, certificate, dual = run_polished(algorithm, problem, w, iterations, monitor, memory)
    else:
        outcome, certificate, dual = run_certified(algorithm, problem, w, iterations, monitor, carry)
    result = conclude(problem, strengths[0], (algorithm.name, reason), outcome, certificate, dual, monitor, tol)
    if isinstance(storage, RowBlocks):
        result = replace(result, recoveries=storage.recoveries - recoveries)
    if not result.converged:
        announce(advice(result), stacklevel=3)
    return result


def open_checkpoint(
    resume: str | os.PathLike[str],
    storage: Storage | RowBlocks,
    wanted: tuple[Solver, str] | None,
    start: ArrayLike | Result | None,
) -> Any:
    """The `Checkpoint` of a solve that can have one."""
    if not isinstance(storage, RowBlocks):
        raise ValueError("resume is for X in blocks of rows, and X is in memory; leave it out")
    if (wanted is not None and not isinstance(wanted[0], CD)) or not storage.has_columns:
        raise ValueError("resume is for solver='cd', which alone writes down where it stands; leave it out")
    if start is not None:
        raise ValueError("resume says where to start, and start does too; give one of the two")
    from l1fast._checkpoint import Checkpoint  # here: as _block_problem

    return Checkpoint.at(resume)


def conclude(
    problem: Problem,
    lam: float,
    solver: tuple[str, str],
    outcome: Outcome,
    certificate: Certificate,
    dual: Vector,
    monitor: Monitor,
    tol: float,
) -> Result:
    """What the user gets. lam : as asked for. solver : its name and why it was chosen."""
    units, told, iterates = problem.units, problem.told(certificate), outcome.iterates
    return Result(
        coef=problem.restored(outcome.coef) + 0.0,  # no negative zeros
        intercept=units.intercept(problem.intercept(outcome.coef)),
        objective=told.objective,
        dual_gap=certificate.gap / problem.scale,
        violation=told.violation,
        status=monitor.status,
        n_iter=outcome.n_iter,
        n_epochs=outcome.n_epochs,
        n_passes=monitor.passes,
        seconds=time.perf_counter() - monitor.began,
        solver=solver[0],
        reason=solver[1],
        lam=lam,
        tol=tol,
        dual=units.dual(dual),
        conversion=join_notes(problem.design.conversion, units.note, outcome.conversion),
        history=History.of(monitor.states) if monitor.keep else None,
        iterates=iterates if iterates is None or units.plain else shifted(iterates, units.y - units.x),
    )


@_blas.one_thread()
def lam_max(
    X: Any,
    y: ArrayLike,
    *,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    positive: bool = False,
    bounds: Bounds | None = None,
) -> float:
    """The smallest lam at which every penalised coefficient is 0: max_j |x_j'(s r)| / v_j.

    r is the residual of the best fit by the intercept and the unpenalised columns alone; a correlation counts only
    where the bounds leave its coefficient room on that side (with ``positive``, above 0). Parameters as in `solve`.
    One read of X (a small solve more when some weights are 0).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> l1fast.lam_max(np.eye(2), [3.0, -4.0])
    4.0
    """
    storage = as_storage_or_blocks(X)
    penalty = read_penalty(None, 0.0, penalty_weights, bounds, as_flag("positive", positive), storage.shape[1])
    most_threads = threads_for(storage, None)
    problem = make_problem(storage, y, penalty, fit_intercept, sample_weight, most_threads, any_scale=True)
    found = critical_strength(problem)
    return strength_asked(problem, found, found)


def strength_asked(problem: Problem, largest: float, smallest: float) -> float:
    """The largest of some strengths found, in the units asked for; no column may be too faint for the smallest."""
    refuse_faint(problem.with_strength(smallest))
    return problem.units.strength(largest)


def critical_strength(problem: Problem) -> float:
    """lam_max of a problem; its own lam does not matter."""
    n, p = problem.shape
    weights = problem.penalty.weights
    w, q, g = np.zeros(p), np.empty(n), np.empty(p)
    problem.gradient(w, q, g, problem.scratch())
    if weights is not None:
        free = np.flatnonzero(weights == 0.0)
        if free.size:
            g = problem.correlate(settle(problem, free, w, q)[1])
    slope = problem.penalty.pull(-g)
    rounding = ROUNDING * np.sqrt(problem.norm2) * np.sqrt(2.0 * problem.datafit.null_loss)
    slope[slope <= rounding] = 0.0
    if weights is not None:
        slope = slope[weights > 0.0] / weights[weights > 0.0]
    return float(slope.max(initial=0.0))


def make_problem(
    storage: Storage | RowBlocks,
    y: Any,
    penalty: ElasticNet,
    fit_intercept: Any,
    sample_weight: Any,
    most_threads: int,
    any_scale: bool = False,
    checkpoint: Any = None,
) -> Problem:
    """Check y, s and X in this order; see `make_problems`. checkpoint : a `Checkpoint` that may know the statistics."""
    n = storage.shape[0]
    weight = None if sample_weight is None else as_vector("sample_weight", sample_weight, n, least=0.0)
    tasks = (LeastSquares(as_vector("y", y, n), weight, as_flag("fit_intercept", fit_intercept)),)
    if isinstance(storage, RowBlocks):
        return make_block_problem(storage, tasks[0], penalty, most_threads, checkpoint)
    return make_problems(storage, tasks, penalty, most_threads, any_scale)[0]


def make_block_problem(
    blocks: RowBlocks, datafit: LeastSquares, penalty: ElasticNet, most_threads: int, checkpoint: Any = None
) -> Problem:
    """The problem of an X in blocks of rows; extreme scales are refused there."""
    from l1fast._block_problem import BlockProblem  # here: most solves have no use for it

    refuse_weightless(datafit.sample_weight)
    if penalty.unpenalised(blocks.shape[1]).size and not blocks.has_columns:
        raise ValueError(
            "X is a linear operator, and some coefficients have no penalty, which needs their columns; give lam and "
            "penalty_weights values above 0"
        )
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        refuse_scale("y", datafit.null_loss, datafit.counted)
        known = None if checkpoint is None else checkpoint.fit(blocks, datafit, penalty)
        made = BlockProblem.made(blocks, datafit, penalty, most_threads, known)
    largest = float(made.norm2.max(initial=0.0))
    if largest > 1.0 / TINY_SQUARE or not np.isfinite(largest):
        raise ValueError(
            f"X, in blocks of rows from {blocks.source}: the squares of column {int(np.argmax(made.norm2))} add up to "
            f"{largest:g}, no more than {1.0 / TINY_SQUARE:g} is carried there; divide X by a power of 10"
        )
    refuse_scale("X", largest, np.sqrt(made.norm2))
    refuse_faint(made)
    return made


def refuse_weightless(weight: Vector | None) -> None:
    """Raise if no sample counts."""
    if weight is not None and not weight.any():
        raise ValueError("sample_weight is 0 everywhere; at least one sample must count")


def make_problems(
    storage: Storage, tasks: tuple[LeastSquares, ...], penalty: ElasticNet, most_threads: int, any_scale: bool
) -> tuple[Problem, tuple[LeastSquares, ...]]:
    """The problem of the first of some tasks on one X with the same weights, and all of them in its units.

    any_scale : change to other units where squares are not carried; what they do not help is refused. A caller that
    does not know of units has it all refused.
    """
    intercept = tasks[0].fit_intercept
    refuse_weightless(tasks[0].sample_weight)

    def read(storage: Storage, first: LeastSquares) -> tuple[Design, Moments]:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return measured(storage, first.sample_weight, first.weighted, intercept, most_threads)

    design, moments = read(storage, tasks[0])
    units, given = PLAIN, tasks
    if any_scale and may_change():
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            fine = all(math.isfinite(task.y_mean) and carried(task.null_loss, task.counted) for task in tasks)
        if not fine or not carried(float(moments.square.max(initial=0.0)), design.entries):
            units, storage, tasks, penalty = rescaled(design, tasks, penalty)
            design, moments = read(storage, tasks[0])
    for t, (task, one) in enumerate(zip(tasks, given, strict=True)):
        if len(tasks) > 1 and task.null_loss < TINY_SQUARE and one.counted.any():
            raise ValueError(
                f"the entries of column {t} of Y reach {np.abs(one.counted).max():g}, whose squares float64 cannot "
                "carry beside those of the other columns; rescale it, or solve it by itself"
            )
    problem = assemble(design, moments, tasks[0], penalty, most_threads, units)
    return problem, tasks


def assemble(
    design: Design,
    moments: Moments,
    datafit: LeastSquares,
    penalty: ElasticNet,
    most_threads: int,
    units: Units = PLAIN,
) -> Problem:
    """The problem of parts that were checked, with the moments of the columns; see `make_problem`."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        null = datafit.null_loss
        n_threads = worthwhile(most_threads, design.n_entries, design.sparse)
        problem = Problem.of(design, moments, datafit, penalty, n_threads)
    if not units.plain:
        problem = replace(problem, units=units)
    refuse_scale("y", null, datafit.counted)
    refuse_scale("X", float(problem.norm2.max(initial=0.0)), design.entries)
    refuse_faint(problem)
    return problem


def refuse_scale(name: str, square: float, values: NDArray[Any]) -> None:
    """Raise if the sum of squares of values is lost, or would be in the products that follow."""
    if TINY_SQUARE <= square <= 1.0 / TINY_SQUARE:
        return
    largest = float(np.abs(values).max(initial=0.0))
    if not np.isfinite(square) or square > 1.0 / TINY_SQUARE or 0.0 < largest < TINY_SQUARE**0.5:
        raise ValueError(f"the entries of {name} reach {largest:g}, whose squares float64 cannot carry; rescale them")


TINY_SQUARE = 1e-200
"""Sums of squares below this, or above its inverse, leave no room for the products that the solvers form."""


def refuse_faint(problem: Problem) -> None:
    """Raise if a column that may have a say is so small beside the others that its squares are not carried.

    At a solution |x_j'(s r)| <= ||x_j|| ||y||: a strong enough penalty keeps such a column at 0.
    """
    penalty, p = problem.penalty, problem.shape[1]
    least = (FAINT * 2.0 * problem.null_loss) ** 0.5, FAINT**0.5
    if penalty.weights is None and (penalty.lam >= least[0] or penalty.l2 >= least[1]):
        return
    if not problem.has_columns:  # whose squares are estimates
        return
    v = np.ones(p) if penalty.weights is None else penalty.weights
    faint = np.flatnonzero((problem.norm2 < FAINT) & (penalty.lam * v < least[0]) & (penalty.l2 * v < least[1]))
    if not faint.size:
        return
    design, datafit = problem.units.source or problem.design, problem.datafit
    for j in faint[design.columns(faint).largest() > 0.0]:
        column = design.columns(np.array([j])).to_array().astype(np.float64)[:, 0]
        if not faint_column(column, datafit.sample_weight, datafit.fit_intercept):
            raise ValueError(
                f"column {j} of X reaches {np.abs(column).max():g}, whose squares float64 cannot carry beside those of "
                f"the other columns, and its penalty is too weak to keep its coefficient at 0; multiply it by a power "
                "of 10, which divides its coefficient by the same"
            )


def read_solver(solver: str | Solver) -> tuple[Solver, str] | None:
    """The solver asked for and why, or None: the problem decides."""
    return None if isinstance(solver, str) and solver == "auto" else named(solver)


def within_memory(algorithm: Solver, memory_limit: int | None) -> Solver:
    """The solver held to memory_limit; those that keep a few vectors need no holding."""
    if memory_limit is not None and isinstance(algorithm, CD | Homotopy | IRLS):
        return replace(algorithm, memory_limit=memory_limit)
    return algorithm


def read_penalty(
    lam: float | None,
    l2: float,
    penalty_weights: ArrayLike | None,
    bounds: Bounds | None,
    positive: bool,
    n_features: int,
) -> ElasticNet:
    """The penalty from what the user gave, weights and bounds checked here. lam None: to be found, strong so far."""
    weights = penalty_weights
    checked = None if weights is None else as_vector("penalty_weights", weights, n_features, least=0.0)
    largest = 1.0 if checked is None else float(checked.max(initial=1.0))
    lam = STRONG / largest if lam is None else lam
    if not np.isfinite(largest * max(lam, l2)):
        raise ValueError(f"penalty_weights reach {largest:g}, and overflow with lam {lam:g} and l2 {l2:g}; lower them")
    return ElasticNet(lam, l2, checked, *as_bounds(bounds, positive, n_features))


STRONG = 1e300
"""A strength that leaves no penalised coefficient a say."""


def cold_start(algorithm: Solver, problem: Problem, max_iter: int, monitor: Monitor) -> Vector:
    """Where to start when nothing is said: at the solver's own place, where it has one."""
    try:
        with until(monitor.out_of_time):
            if isinstance(algorithm, OwnStart):
                return algorithm.cold_start(problem, max_iter, monitor)
            return null_fit(problem)
    except OutOfTime:
        return problem.zeros()


def null_fit(problem: Problem) -> Vector:
    """0, with the unpenalised coefficients at their best."""
    n, p = problem.shape
    w = np.zeros(p)
    free = problem.penalty.unpenalised(p)
    if 0 < free.size < p:
        q = np.empty(n)
        problem.gradient(w, q, np.empty(p), problem.scratch())
        w[free] = settle(problem, free, w, q)[0]
    return w


def _start(start: ArrayLike | Result, problem: Problem) -> Vector:
    """A copy of the start within the bounds, to be worked on; a coefficient that cannot matter begins at 0."""
    w = problem.units.start(as_vector("start", start.coef if isinstance(start, Result) else start, problem.shape[1]))
    w[problem.norm2 == 0.0] = 0.0
    return problem.penalty.within(problem.reined(w))


def run_certified(
    algorithm: Solver,
    problem: Problem,
    start: Vector,
    max_iter: int,
    monitor: Monitor,
    carry: Carry | None = None,
    confirm: Confirm | None = None,
) -> tuple[Outcome, Certificate, Vector]:
    """Run until the certificate made here, apart from the solver, confirms the gap; w = 0 when there is nothing to fit.

    carry : what a strength of a path receives and leaves. confirm : makes the certificate, as `_certify` (the default).
    """
    confirm = confirm or _certify
    if problem.trivial:
        w, certificate, dual = confirm(problem, problem.at(problem.zeros()))
        monitor.status = Status.CONVERGED
        return Outcome(w, 0, 0, iterates=w[None] if getattr(algorithm, "iterates", False) else None), certificate, dual
    target, w, conversion, epochs = monitor.target, start, "", 0
    iterates: NDArray[np.float64] | None = None
    for attempt in range(REPAIRS):
        try:
            with until(monitor.out_of_time):
                outcome = algorithm.run(problem, w, max_iter - monitor.offset, monitor, carry)
        except OutOfTime:  # before the first iterate
            outcome, monitor.status = Outcome(w, 0, 0), Status.TIME_LIMIT
        conversion, epochs = conversion or outcome.conversion, epochs + outcome.n_epochs
        monitor.offset += outcome.n_iter
        more = outcome.iterates
        iterates = more if iterates is None or more is None else np.vstack([iterates, more[1:]])
        point, coef = outcome.point, problem.snapped(outcome.coef)
        on_path = carry is not None and carry.keep is None  # where nobody asks for the dual point
        if not problem.near and (not on_path or problem.penalty.unpenalised(len(coef)).size):
            point = None  # the dual point needs q, which was left where it was made
        monitor.passes += point is None
        if point is None or coef is not outcome.coef:
            point = problem.at(coef)
        if carry is not None:
            carry.point, carry.ahead = point, None
        with until(monitor.late):
            w, certificate, dual = confirm(problem, point)
        confirmed = certificate.gap <= target
        if confirmed or monitor.status is not Status.CONVERGED or monitor.out_of_time() or attempt == REPAIRS - 1:
            break
        monitor.target *= 0.1
        monitor.status = Status.ITERATION_LIMIT
    if confirmed:
        monitor.status = Status.CONVERGED
    elif monitor.status is Status.CONVERGED:
        monitor.status = Status.TIME_LIMIT if monitor.out_of_time() else Status.NO_PROGRESS
    return Outcome(w, monitor.offset, epochs, conversion, iterates=iterates), certificate, dual


def run_polished(
    algorithm: Solver, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, memory_limit: int | None
) -> tuple[Outcome, Certificate, Vector]:
    """Run roughly, then coordinate descent from the support identified, to the target; the better of both answers."""
    target, limit = monitor.target, monitor.time_limit
    monitor.target = max(target, POLISH_FROM * monitor.scale)
    monitor.time_limit = None if limit is None else POLISH_AFTER * limit
    rough = run_certified(algorithm, problem, start, max_iter, monitor)
    outcome, certificate, _ = rough
    monitor.target, monitor.time_limit = target, limit
    if certificate.gap <= target or monitor.status is Status.INTERRUPTED or monitor.out_of_time():
        return rough
    w, shown = np.zeros(problem.shape[1]), identified(problem, problem.at(outcome.coef))
    w[shown] = outcome.coef[shown]
    monitor.passes += 1.0
    monitor.status = Status.ITERATION_LIMIT
    finisher = within_memory(CD(), memory_limit)
    fine = run_certified(finisher, problem, w, monitor.offset + finisher.default_max_iter, monitor)
    best, certificate, dual = fine if fine[1].gap <= certificate.gap else rough
    made = replace(best, n_iter=fine[0].n_iter, n_epochs=outcome.n_epochs + fine[0].n_epochs, iterates=outcome.iterates)
    return replace(made, conversion=join_notes(outcome.conversion, fine[0].conversion)), certificate, dual


POLISH_FROM = 1e-4
"""Relative gap at which a solver hands over to its polish."""

POLISH_AFTER = 0.5
"""Part of the time limit after which it does so in any case."""


def identified(problem: Problem, point: Point) -> NDArray[np.intp]:
    """The support that a point shows: the coefficients that are not 0 and stay so after the best step along them alone.

    z_j = ||x_j||^2 w_j - g_j with g = X'q: the step ends at soft(z_j, lam v_j) / (||x_j||^2 + l2 v_j), within bounds.
    Near an optimum that is its support, but for ties (Hare and Lewis, J. Convex Anal. 2004).
    """
    penalty = problem.penalty
    z = problem.norm2 * point.w - point.g
    strength = penalty.lam if penalty.weights is None else penalty.lam * penalty.weights
    rounding = ROUNDING * np.sqrt(problem.norm2 * 2.0 * problem.datafit.null_loss)
    return np.flatnonzero((point.w != 0.0) & (penalty.pull(z) > strength + rounding))


def _certify(problem: Problem, point: Point) -> tuple[Vector, Certificate, Vector]:
    """w, its certificate from the gradient there, and the dual point behind it.

    The gradient is that of `Problem.gradient` at w itself, never one that a solver kept up to date along its way.

    Unpenalised columns U ask for x_j'theta = 0, or for the sign that pushes w_j against a bound, which a residual r has
    only if w_U is the best for the rest of w. So w_U is settled first, and kept if F falls; theta = t rho, with rho the
    residual there, and ||r - theta||^2 takes the place of (1 - t)^2 ||r||^2 in the gap. What is left of x_j'theta
    without a bound on its side must be rounding: else theta = 0 certifies, which is always feasible. With a bound
    there, what is more than rounding counts in full.
    """
    w, q, g, loss = point
    certificate = problem.certify(w, g, loss)
    free = problem.penalty.unpenalised(len(w))
    if not free.size:
        return w, certificate, -certificate.scale * q
    try:
        fitted, rho = settle(problem, free, w, q)
    except OutOfTime:
        return at_dual_zero(w, certificate, q)
    settled = w.copy()
    settled[free] = fitted
    there = problem.at(settled)
    candidate = problem.certify(settled, there.g, there.loss)
    if candidate.objective < certificate.objective:
        w, q, certificate = settled, there.q, candidate
    inner = problem.datafit.inner
    rest, slope = 0.5 * inner(rho, rho), problem.correlate(rho)
    pull = slope[free]
    side = _side(problem, free, -pull)
    bounded = np.isfinite(side)
    slope[free[bounded]] = 0.0  # the kernel does without them: see outwards
    better = problem.certify(w, slope, rest)
    pushed = np.abs(pull) * max(1.0, abs(better.scale)) > slope_rounding(problem, free)  # x_j'rho, or x_j'theta
    counted = bounded & pushed
    outwards = pull[counted] @ (w[free] - side)[counted]
    if np.any(pushed & ~bounded) or (better.scale < 0.0 and np.any(pushed)):
        return at_dual_zero(w, certificate, q)
    moved = rho - q
    gap = better.gap + better.scale * float(outwards)
    gap += 0.5 * inner(moved, moved) - (1.0 - better.scale) * inner(moved, rho)
    return w, certificate._replace(gap=max(gap, 0.0), scale=better.scale), -better.scale * rho


def at_dual_zero(w: Vector, certificate: Certificate, q: Vector) -> tuple[Vector, Certificate, Vector]:
    """w with the certificate of theta = 0, which is always feasible: the gap is the objective."""
    return w, certificate._replace(gap=certificate.objective, scale=0.0), np.zeros(q.shape)


def _side(problem: Problem, features: NDArray[np.intp], c: Vector) -> Vector:
    """The bound that c = -gradient pushes each of the features towards."""
    lower, upper = problem.penalty.bounds(features)
    side: Vector = np.where(c > 0.0, upper, lower)
    return side


def slope_rounding(problem: Problem, features: NDArray[np.intp]) -> Vector:
    """What rounding may leave of the correlation of each feature with a residual that is orthogonal to it."""
    square = problem.norm2[features]
    if problem.mean is not None:  # the columns are not centred in memory
        square = square + problem.datafit.total_weight * problem.mean[features] ** 2
    rounding: Vector = ROUNDING * np.sqrt(square * 2.0 * problem.datafit.null_loss * problem.shape[0])
    return rounding


def settle(problem: Problem, free: NDArray[np.intp], w: Vector, q: Vector) -> tuple[Vector, Vector]:
    """The best w_free for the rest of w within the bounds, and q there. w and its own q are not touched.

    First guess: the coefficients that are at a bound in w stay there. Where that is not the answer, an active-set
    method finds which ones do (Stark and Parker, Comput. Stat. 1995), and the guess is made once more from there.
    """
    fitted, moved, best = _settle_inside(problem, free, w[free], q)
    if best:
        return fitted, problem.balanced(q + moved)
    rest, q = w.copy(), np.empty(len(q))
    rest[free] = 0.0
    problem.gradient(rest, q, np.empty(len(w)), problem.scratch())
    rest[free] = _bounded_least_squares(problem, free, q)
    problem.gradient(rest, q, np.empty(len(w)), problem.scratch())
    fitted, moved, _ = _settle_inside(problem, free, rest[free], q)  # what rounding left
    return fitted, problem.balanced(q + moved)


def _settle_inside(problem: Problem, free: NDArray[np.intp], fitted: Vector, q: Vector) -> tuple[Vector, Vector, bool]:
    """w_free = fitted with its part strictly inside the bounds at its best, what that adds to q, and if all is best."""
    lower, upper = problem.penalty.bounds(free)
    inside = (lower < fitted) & (fitted < upper)
    step, moved = np.zeros(len(free)), np.zeros(len(q))
    if inside.any():
        step[inside], moved = _projection(problem, free[inside], q)
    made = fitted + step
    if np.any(made < lower) or np.any(made > upper):
        return fitted, np.zeros(len(q)), False
    if inside.all():
        return made, moved, True
    c = -problem.correlate(q + moved)[free]
    pulled = (np.abs(c) > slope_rounding(problem, free)) & (_side(problem, free, c) != made)
    return made, moved, not np.any(pulled & ~inside)


def _bounded_least_squares(problem: Problem, free: NDArray[np.intp], q: Vector) -> Vector:
    """The w_free that minimises ||q + s X_U w_free|| in the metric 1/s within the bounds."""
    from scipy.optimize import lsq_linear

    lower, upper = problem.penalty.bounds(free)
    size = np.sqrt(problem.norm2[free])
    root = problem.datafit.root
    target = np.divide(-q, root, out=np.zeros(len(q)), where=root > 0.0)
    unit = 2.0 ** float(np.frexp(np.abs(target).max(initial=0.0))[1])  # tol is absolute; a power of two rounds nothing
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # inf * 0 is not used
        limits = lower * size / unit, upper * size / unit
    movable = np.flatnonzero((size > 0.0) & (limits[0] < limits[1]))
    fitted = np.zeros(len(free))
    if not movable.size:
        return fitted
    chosen, size = free[movable], size[movable]
    columns = patiently(lambda: problem.array(chosen) / size, len(chosen) * len(q))
    within = limits[0][movable], limits[1][movable]
    fit = partial(lsq_linear, columns, target / unit, within, method="bvls", tol=1e-15, max_iter=10 * len(chosen))
    made = unit * patiently(fit, columns.size * len(chosen)).x / size
    fitted[movable] = np.clip(made, lower[movable], upper[movable])
    return fitted


def _projection(problem: Problem, columns: NDArray[np.intp], q: Vector) -> tuple[Vector, Vector]:
    """The d that minimises ||q + s X_U d|| in the metric 1/s, X_U the (centred) columns, and s X_U d: by LSMR."""
    from scipy.sparse.linalg import lsmr

    n, root = problem.shape[0], problem.datafit.root
    size = np.sqrt(problem.norm2[columns])
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)  # unit columns: LSMR's own condition
    operator = problem.operator(inverse, columns)
    residual = np.divide(-q, root, out=np.zeros(n), where=root > 0.0)
    moved, d = np.zeros(n), np.zeros(len(columns))
    for _ in range(PROJECTIONS):  # each round removes what rounding left of the one before
        step = lsmr(operator, residual, atol=1e-15, btol=1e-15, conlim=0.0, maxiter=4 * len(columns) + 100)[0]
        part = operator.matvec(step)
        residual, moved, d = residual - part, moved + part, d + inverse * step
    return d, root * moved


PROJECTIONS = 2
"""Rounds of LSMR: the second works on what the first left."""


def advice(result: Result) -> str:
    """The text of the ConvergenceWarning: what was reached, what was asked, and the cure."""
    return (
        f"relative duality gap {result.dual_gap:.3e} is above tol {result.tol:.3e} after {result.n_iter} iterations of "
        f"{result.solver} at lam {result.lam:.6g}: {result.status.value}; {CURES[result.status]}"
    )


CURES = {
    Status.ITERATION_LIMIT: "raise max_iter or tol",
    Status.TIME_LIMIT: "raise time_limit or tol",
    Status.NO_PROGRESS: "ask for a larger tol, or rescale the columns of X",
    Status.SMOOTHED: "narrow the penalty (a smaller mu or eps), or ask for polish=True",
    Status.INTERRUPTED: "let the callback return False to go on",
}
"""What a ConvergenceWarning advises."""
