"""solve() and lam_max(): validate, choose, run, certify.

minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)
"""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import Storage
from l1fast._kernels import gradient
from l1fast._penalties import ElasticNet
from l1fast._problem import Certificate, Point, Problem
from l1fast._result import Callback, ConvergenceWarning, History, Result, Status
from l1fast._solvers import Monitor, Outcome, Solver, choose, named
from l1fast._validation import as_count, as_flag, as_number, as_storage, as_vector, measured

Vector = NDArray[np.float64]

ENTRIES_PER_THREAD = 1_000_000
"""Stored entries below which another thread costs more than it brings."""

PROCESS = os.getpid()

MOST_ITERATIONS = 2**31 - 1

REPAIRS = 4
"""How often a solver is sent back, ten times stricter, when the final certificate does not confirm its own."""


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
    start: ArrayLike | Result | None = None,
    n_threads: int | None = None,
    callback: Callback | None = None,
    history: bool = False,
) -> Result:
    """Solve the Lasso or elastic net to a certified duality gap.

    minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n_samples, n_features)
        C- or F-contiguous, CSR or CSC in float32 or float64 (indices int32 or int64) are used without a copy;
        anything else is converted once, and ``Result.conversion`` says so. Never changed.
    y : array-like, shape (n_samples,)
    lam : float
        L1 strength >= 0, in units of X.T @ y. At `lam_max` and above all penalised coefficients are 0.
    l2 : float
        Strength of the squared penalty >= 0, in units of X.T @ X.
    solver : {"auto", "cd", "homotopy", "fista", "ista"} or a settings object such as ``FISTA(step="lipschitz")``
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
        Ask for w >= 0.
    start : array-like of shape (n_features,), or Result, optional
        Where to start; default 0.
    n_threads : int, optional
        Threads of the sweeps over X at most; small problems use one. Default: L1FAST_NUM_THREADS, else 1: threads
        pay for FISTA on dense data and little elsewhere, and on a busy machine they wait for each other.
    callback : callable, optional
        Called with a `State` at every check; return True to stop.
    history : bool
        Keep time, objective and gap of every check in ``Result.history``.

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
    and what the solver needs: one read for each FISTA iteration and for each working set of cd.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> result = l1fast.solve(X, [3.0, 0.5, 1.0], lam=1.0)
    >>> result.coef
    array([2., 0.])
    >>> result.converged
    True
    """
    began = time.perf_counter()
    tol = as_number("tol", tol)
    keep = as_flag("history", history)
    limit = None if time_limit is None else as_number("time_limit", time_limit)
    most = None if max_iter is None else min(as_count("max_iter", max_iter), MOST_ITERATIONS)
    wanted = None if isinstance(solver, str) and solver == "auto" else named(solver)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    strengths, positive = (as_number("lam", lam), as_number("l2", l2)), as_flag("positive", positive)
    storage = as_storage(X)
    n_features = storage.shape[1]
    penalty = ElasticNet(*strengths, _weights(penalty_weights, n_features), positive)
    problem = _problem(storage, y, penalty, fit_intercept, sample_weight, _thread_count(n_threads, storage))
    design = problem.design
    w = _null_fit(problem) if start is None else _start(start, problem)
    algorithm, reason = wanted or choose(problem)

    null = problem.datafit.null_loss
    trivial = null == 0.0 or not problem.norm2.any()
    if trivial:
        w, reason = np.zeros(n_features), "nothing to fit: y or every column of X is constant, or there is no column"
    scale = null if null > 0.0 else 1.0
    monitor = Monitor(tol * scale, scale, began, limit, callback, keep)
    if trivial:
        monitor.status = Status.CONVERGED
        w, certificate, dual = _certify(problem, problem.at(w))
        outcome = Outcome(w, 0, 0)
    else:
        iterations = algorithm.default_max_iter if most is None else most
        outcome, certificate, dual = _run_certified(algorithm, problem, w, iterations, monitor)
    result = Result(
        coef=outcome.coef + 0.0,  # no negative zeros
        intercept=problem.intercept(outcome.coef),
        objective=certificate.objective,
        dual_gap=certificate.gap / scale,
        violation=certificate.violation,
        status=monitor.status,
        n_iter=outcome.n_iter,
        n_epochs=outcome.n_epochs,
        seconds=time.perf_counter() - began,
        solver=algorithm.name,
        reason=reason,
        lam=problem.penalty.lam,
        tol=tol,
        dual=dual,
        conversion="; ".join(note for note in (design.conversion, outcome.conversion) if note),
        history=History.of(monitor.states) if keep else None,
    )
    if not result.converged:
        warnings.warn(_advice(result), ConvergenceWarning, stacklevel=2)
    return result


def lam_max(
    X: Any,
    y: ArrayLike,
    *,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    positive: bool = False,
) -> float:
    """The smallest lam at which every penalised coefficient is 0: max_j |x_j'(s r)| / v_j.

    r is the residual of the best fit by the intercept and the unpenalised columns alone; with ``positive`` only
    correlations above 0 count. Parameters as in `solve`. One read of X (a small solve more when some weights are 0).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> l1fast.lam_max(np.eye(2), [3.0, -4.0])
    4.0
    """
    storage = as_storage(X)
    weights = _weights(penalty_weights, storage.shape[1])
    penalty = ElasticNet(0.0, 0.0, weights, as_flag("positive", positive))
    problem = _problem(storage, y, penalty, fit_intercept, sample_weight, 1)
    return critical_strength(problem)


def critical_strength(problem: Problem) -> float:
    """lam_max of a problem; its own lam does not matter."""
    n, p = problem.shape
    weights = problem.penalty.weights
    w, q, g = np.zeros(p), np.empty(n), np.empty(p)
    problem.gradient(w, q, g, problem.scratch())
    if weights is not None:
        free = np.flatnonzero(weights == 0.0)
        if free.size:
            g = problem.correlate(_settle(problem, free, w, q)[1])
    slope = -g if problem.penalty.positive else np.abs(g)
    rounding = ROUNDING * np.sqrt(problem.norm2) * np.sqrt(2.0 * problem.datafit.null_loss)
    slope[slope <= rounding] = 0.0
    if weights is not None:
        slope = slope[weights > 0.0] / weights[weights > 0.0]
    return float(slope.max(initial=0.0))


def _problem(
    storage: Storage, y: Any, penalty: ElasticNet, fit_intercept: Any, sample_weight: Any, n_threads: int
) -> Problem:
    """Check y, s and X in this order, and refuse scales whose squares leave the range of float64."""
    n = storage.shape[0]
    weight = None if sample_weight is None else as_vector("sample_weight", sample_weight, n, least=0.0)
    if weight is not None and not weight.any():
        raise ValueError("sample_weight is 0 everywhere; at least one sample must count")
    datafit = LeastSquares(as_vector("y", y, n), weight, as_flag("fit_intercept", fit_intercept))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        null = datafit.null_loss
        design, moments = measured(storage, weight, datafit.weighted)
        problem = Problem.of(design, moments, datafit, penalty, n_threads)
        norm2 = problem.norm2
    centred = datafit.centred if weight is None else datafit.centred[weight > 0.0]
    _refuse_scale("y", null, centred)
    _refuse_scale("X", float(norm2.max(initial=0.0)), design.entries)
    for j in penalty.unpenalised(design.shape[1]):
        if norm2[j] < TINY_SQUARE:
            _refuse_scale(f"column {j} of X, which is unpenalised,", float(norm2[j]), design.column(j))
    return problem


def _refuse_scale(name: str, square: float, values: NDArray[Any]) -> None:
    """Raise if the sum of squares of values is lost, or would be in the products that follow."""
    if TINY_SQUARE <= square <= 1.0 / TINY_SQUARE:
        return
    largest = float(np.abs(values).max(initial=0.0))
    if not np.isfinite(square) or square > 1.0 / TINY_SQUARE or 0.0 < largest < TINY_SQUARE**0.5:
        raise ValueError(f"the entries of {name} reach {largest:g}, whose squares float64 cannot carry; rescale them")


TINY_SQUARE = 1e-200
"""Sums of squares below this, or above its inverse, leave no room for the products that the solvers form."""


def _weights(penalty_weights: ArrayLike | None, n_features: int) -> Vector | None:
    return None if penalty_weights is None else as_vector("penalty_weights", penalty_weights, n_features, least=0.0)


def _null_fit(problem: Problem) -> Vector:
    """Where to start when nothing is said: 0, with the unpenalised coefficients at their best."""
    n, p = problem.shape
    w = np.zeros(p)
    free = problem.penalty.unpenalised(p)
    if 0 < free.size < p:
        q = np.empty(n)
        problem.gradient(w, q, np.empty(p), problem.scratch())
        w[free] = _settle(problem, free, w, q)[0]
    return w


def _start(start: ArrayLike | Result, problem: Problem) -> Vector:
    """A copy of the start, to be worked on; a coefficient that cannot matter begins at 0."""
    w = as_vector("start", start.coef if isinstance(start, Result) else start, problem.shape[1])
    w[problem.norm2 == 0.0] = 0.0
    return np.maximum(w, 0.0) if problem.penalty.positive else w


def _thread_count(n_threads: int | None, storage: Storage) -> int:
    """As asked for, else L1FAST_NUM_THREADS, else 1; never more than the size of X pays for."""
    if n_threads is None:
        variable = os.environ.get("L1FAST_NUM_THREADS", "").strip()
        if variable and not (variable.isdecimal() and int(variable) > 0):
            raise ValueError(f"L1FAST_NUM_THREADS is {variable!r}; set it to a whole number of at least 1")
        wanted = int(variable) if variable else 1
    else:
        wanted = as_count("n_threads", n_threads, least=1)
    if not gradient.HAS_OPENMP or os.getpid() != PROCESS:  # a forked child must not touch its parent's threads
        return 1
    return max(1, min(wanted, storage.values.size // ENTRIES_PER_THREAD))


def _run_certified(
    algorithm: Solver, problem: Problem, start: Vector, max_iter: int, monitor: Monitor
) -> tuple[Outcome, Certificate, Vector]:
    """Run until the certificate made here, apart from the solver, confirms the gap."""
    target, w, conversion, epochs = monitor.target, start, "", 0
    for attempt in range(REPAIRS):
        outcome = algorithm.run(problem, w, max_iter - monitor.offset, monitor)
        conversion, epochs = conversion or outcome.conversion, epochs + outcome.n_epochs
        monitor.offset += outcome.n_iter
        w, certificate, dual = _certify(problem, outcome.point or problem.at(outcome.coef))
        confirmed = certificate.gap <= target
        if confirmed or monitor.status is not Status.CONVERGED or monitor.out_of_time() or attempt == REPAIRS - 1:
            break
        monitor.target *= 0.1
        monitor.status = Status.ITERATION_LIMIT
    if confirmed:
        monitor.status = Status.CONVERGED
    elif monitor.status is Status.CONVERGED:
        monitor.status = Status.TIME_LIMIT if monitor.out_of_time() else Status.NO_PROGRESS
    return Outcome(w, monitor.offset, epochs, conversion), certificate, dual


def _certify(problem: Problem, point: Point) -> tuple[Vector, Certificate, Vector]:
    """w, its certificate from the gradient there, and the dual point behind it.

    The gradient is that of `Problem.gradient` at w itself, never one that a solver kept up to date along its way.

    Unpenalised columns U ask for X_U'theta = 0 (<= 0 when positive), which a residual r does only if w_U is the best
    for the rest of w. So w_U is settled first, and kept if F falls; theta = t rho, with rho the residual there, and
    ||r - theta||^2 takes the place of (1 - t)^2 ||r||^2 in the gap. What rounding leaves of X_U'theta must be rounding:
    else theta = 0 certifies, which is always feasible.
    """
    n, p = problem.shape
    w, q, g, loss = point
    certificate = problem.certify(w, g, loss)
    free = problem.penalty.unpenalised(p)
    if not free.size:
        return w, certificate, -certificate.scale * q
    fitted, rho = _settle(problem, free, w, q)
    settled = w.copy()
    settled[free] = fitted
    there = problem.at(settled)
    candidate = problem.certify(settled, there.g, there.loss)
    if candidate.objective < certificate.objective:
        w, q, certificate = settled, there.q, candidate
    inner = problem.datafit.inner
    rest, slope = 0.5 * inner(rho, rho), problem.correlate(rho)
    excess = np.maximum(-slope[free], 0.0) if problem.penalty.positive else np.abs(slope[free])
    rounding = ROUNDING * np.sqrt(problem.norm2[free] * 2.0 * problem.datafit.null_loss)
    if np.any(excess > rounding * np.sqrt(n)):
        return w, certificate._replace(gap=certificate.objective, scale=0.0), np.zeros(n)
    better = problem.certify(w, slope, rest)
    moved = rho - q
    gap = better.gap + 0.5 * inner(moved, moved) - (1.0 - better.scale) * inner(moved, rho)
    return w, certificate._replace(gap=max(gap, 0.0), scale=better.scale), -better.scale * rho


def _settle(problem: Problem, free: NDArray[np.intp], w: Vector, q: Vector) -> tuple[Vector, Vector]:
    """The best w_free for the rest of w, and q there. w and its own q are not touched."""
    if not problem.penalty.positive:
        step, moved = _projection(problem, free, q)
        return w[free] + step, q + moved
    from scipy.optimize import nnls

    rest, q = w.copy(), np.empty(len(q))
    rest[free] = 0.0
    problem.gradient(rest, q, np.empty(len(w)), problem.scratch())
    weight = problem.datafit.sample_weight
    root = np.ones(len(q)) if weight is None else np.sqrt(weight)
    columns = problem.design.columns(free).to_array().astype(np.float64)
    if problem.mean is not None:
        columns -= problem.mean[free]
    columns *= root[:, None]
    size = np.sqrt(problem.norm2[free])
    columns /= np.where(size > 0.0, size, 1.0)
    fitted, _ = nnls(columns, np.divide(-q, root, out=np.zeros(len(q)), where=root > 0.0))
    q += root * (columns @ fitted)
    fitted /= np.where(size > 0.0, size, 1.0)
    active = np.flatnonzero(fitted)
    if active.size:
        step, moved = _projection(problem, free[active], q)  # what rounding left on the active columns
        if np.all(fitted[active] + step >= 0.0):
            fitted[active] += step
            q += moved
    return fitted, q


def _projection(problem: Problem, columns: NDArray[np.intp], q: Vector) -> tuple[Vector, Vector]:
    """The d that minimises ||q + s X_U d|| in the metric 1/s, X_U the (centred) columns, and s X_U d: by LSMR."""
    from scipy.sparse.linalg import LinearOperator, lsmr

    n = problem.shape[0]
    design = problem.design.columns(columns)
    root = np.ones(n) if problem.datafit.sample_weight is None else np.sqrt(problem.datafit.sample_weight)
    mean = np.zeros(len(columns)) if problem.mean is None else problem.mean[columns]
    size = np.sqrt(problem.norm2[columns])
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)  # unit columns: LSMR's own condition

    def forward(d: Vector) -> Vector:
        d = inverse * np.ravel(d)
        return root * (design.apply(d) - mean @ d)

    def backward(r: Vector) -> Vector:
        r = root * np.ravel(r)
        return inverse * (design.correlate(r) - mean * float(r.sum()))

    operator = LinearOperator((n, len(columns)), matvec=forward, rmatvec=backward, dtype=np.float64)
    residual = np.divide(-q, root, out=np.zeros(n), where=root > 0.0)
    moved, d = np.zeros(n), np.zeros(len(columns))
    for _ in range(PROJECTIONS):  # each round removes what rounding left of the one before
        step = lsmr(operator, residual, atol=1e-15, btol=1e-15, conlim=0.0, maxiter=4 * len(columns) + 100)[0]
        part = forward(step)
        residual, moved, d = residual - part, moved + part, d + inverse * step
    return d, root * moved


PROJECTIONS = 2
"""Rounds of LSMR: the second works on what the first left."""


def _advice(result: Result) -> str:
    """The text of the ConvergenceWarning: what was reached, what was asked, and the cure."""
    cure = {
        Status.ITERATION_LIMIT: "raise max_iter or tol",
        Status.TIME_LIMIT: "raise time_limit or tol",
        Status.NO_PROGRESS: "ask for a larger tol, or rescale the columns of X",
        Status.INTERRUPTED: "let the callback return False to go on",
    }[result.status]
    return (
        f"relative duality gap {result.dual_gap:.3e} is above tol {result.tol:.3e} after {result.n_iter} iterations of "
        f"{result.solver} at lam {result.lam:.6g}: {result.status.value}; {cure}"
    )
