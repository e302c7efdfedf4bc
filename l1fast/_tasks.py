"""solve_tasks(), path_tasks() and lam_max_tasks(): several targets at once, which share their support.

minimise over W (p x T), b (T):   1/2 sum_i s_i ||x_i'W + b - y_i||^2 + sum_j v_j (lam ||W_j||_2 + l2/2 ||W_j||_2^2)

The loops are those of `CD` and of `path`: here is what a problem of several tasks is to them. Where the penalty does
not couple the tasks (one task, or lam = 0) each is a problem of its own, and solved as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast import _blas
from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import join_notes
from l1fast._monitor import Monitor, Outcome
from l1fast._path import SMALLEST_RATIO, Walk, check_ridge, path_advice, read_strengths, strengths_for
from l1fast._patience import OutOfTime, patiently, until
from l1fast._problem import Certificate, Point, Problem
from l1fast._result import Callback, PathCallback, Result, State, Status, announce
from l1fast._solve import (
    MOST_ITERATIONS,
    advice,
    at_dual_zero,
    critical_strength,
    make_problems,
    null_fit,
    read_penalty,
    run_certified,
    settle,
    slope_rounding,
    strength_asked,
)
from l1fast._validation import as_count, as_flag, as_matrix, as_number, as_storage, as_thread_count, as_vector
from l1fast._working_set import CD

Vector = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class TaskResult(Result):
    """The answer of `solve_tasks` with its certificate; as `Result`, but for the shapes.

    Attributes
    ----------
    coef : ndarray of float64, shape (n_features, n_tasks)
        The coefficients W. A feature without a part in the answer has a row of exact zeros.
    intercept : ndarray of float64, shape (n_tasks,)
        The intercepts b; zeros without ``fit_intercept``.
    dual_gap : float
        (F(W, b) - D(dual)) / F(0, b0), F(0, b0) the objective of the best constant for each task.
    violation : float
        max_j dist(-gradient_j, subdifferential_j) in the Euclidean norm of R^n_tasks, in units of X.T @ Y; for lam = 0
        a bound on it, from the largest of each task.
    dual : ndarray of float64, shape (n_samples, n_tasks)
        The dual point theta behind ``dual_gap``: ||x_j' theta||_2 <= lam v_j for every column j without an l2 penalty.
    """

    intercept: NDArray[np.float64]  # type: ignore[assignment]

    _shapes: ClassVar[dict[str, tuple[str, ...]]] = {
        "coef": ("n_features", "n_tasks"),
        "intercept": ("n_tasks",),
        "dual": ("n_samples", "n_tasks"),
        "iterates": ("n_iterates", "n_features", "n_tasks"),
    }

    @property
    def support(self) -> NDArray[np.intp]:
        """Indices of the features whose coefficients are not all 0, ascending."""
        return np.flatnonzero(self.coef.any(axis=1))

    def _intercept_text(self) -> str:
        return f"{len(self.intercept)} tasks, from {self.intercept.min():.6g} to {self.intercept.max():.6g}"


@dataclass(frozen=True, repr=False, eq=False)
class TaskPathResult:
    """The answers of `path_tasks`, one for each strength, with their certificates.

    Attributes
    ----------
    lams : ndarray of float64, shape (n_lams,)
        The strengths solved, falling. Fewer than asked for when the path was stopped.
    supports : list of ndarray of intp
        Indices of the features whose coefficients are not all 0 at each strength, ascending.
    values : list of ndarray of float64
        Their coefficients, shape (len(supports[k]), n_tasks) at strength k.
    intercepts : ndarray of float64, shape (n_lams, n_tasks)
    objectives, dual_gaps, violations, deviance_explained, seconds : ndarray of float64, shape (n_lams,)
        As in `TaskResult` and `PathResult`, at each strength.
    n_iter : ndarray of int64, shape (n_lams,)
        Outer steps of the solver.
    n_features : int
    status : Status
        CONVERGED when every gap is at most tol; else the first reason why one is not, or why the path stopped.
    solver, reason, tol, conversion
        As in `Result`.
    """

    lams: NDArray[np.float64]
    supports: list[NDArray[np.intp]]
    values: list[NDArray[np.float64]]
    intercepts: NDArray[np.float64]
    objectives: NDArray[np.float64]
    dual_gaps: NDArray[np.float64]
    violations: NDArray[np.float64]
    deviance_explained: NDArray[np.float64]
    seconds: NDArray[np.float64]
    n_iter: NDArray[np.int64]
    n_features: int
    status: Status
    solver: str
    reason: str
    tol: float
    conversion: str = ""

    def __len__(self) -> int:
        return len(self.lams)

    @property
    def n_tasks(self) -> int:
        """How many tasks."""
        return int(self.intercepts.shape[1])

    @property
    def converged(self) -> bool:
        """Whether every strength asked for was solved to tol."""
        return self.status is Status.CONVERGED

    @property
    def support_sizes(self) -> NDArray[np.int64]:
        """How many features have a part at each strength."""
        return np.array([len(support) for support in self.supports], dtype=np.int64)

    def coef(self, k: int) -> NDArray[np.float64]:
        """The coefficients at lams[k], shape (n_features, n_tasks)."""
        dense = np.zeros((self.n_features, self.n_tasks))
        dense[self.supports[k]] = self.values[k]
        return dense

    def __repr__(self) -> str:
        rows = [("status", f"{self.status.name.lower()}: {self.status.value}")]
        if len(self):
            sizes = self.support_sizes
            rows += [
                ("lams", f"{len(self)} from {self.lams[0]:.6g} to {self.lams[-1]:.6g}"),
                ("dual_gap", f"at most {self.dual_gaps.max():.2e} (tol {self.tol:.0e})"),
                ("support", f"{sizes[0]} to {sizes[-1]} of {self.n_features} features, {self.n_tasks} tasks"),
                ("deviance", f"{self.deviance_explained[0]:.3g} to {self.deviance_explained[-1]:.3g} explained"),
                ("solver", f"{self.solver}, {int(self.n_iter.sum())} iterations"),
                ("reason", self.reason),
                ("seconds", f"{self.seconds[-1]:.3g}"),
            ]
        if self.conversion:
            rows.append(("conversion", self.conversion))
        return "\n".join(["TaskPathResult", *(f"  {name:<11}{text}" for name, text in rows)])


@dataclass(frozen=True)
class TaskProblem(Problem):
    """A problem of several tasks, as `CD` and `Walk` take it: w and g are n_features x n_tasks, q n_samples x n_tasks.

    Attributes
    ----------
    tasks : tuple of LeastSquares
        The datafit of each task; `datafit` is the first of them.
    targets : ndarray of float64, shape (n_samples, n_tasks)
        Y, centred where there is an intercept.
    """

    tasks: tuple[LeastSquares, ...] = ()
    targets: Vector = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def joined(cls, first: Problem, tasks: tuple[LeastSquares, ...]) -> TaskProblem:
        """The problem of all tasks, from that of the first."""
        targets = np.ascontiguousarray(np.column_stack([task.centred for task in tasks]))
        parts = {one.name: getattr(first, one.name) for one in fields(Problem)} | {"product": None}
        made = cls(**parts, tasks=tasks, targets=targets)
        return replace(made, product=-made.at(made.zeros()).g if first.shape[1] else made.zeros())

    @property
    def n_tasks(self) -> int:
        """How many."""
        return len(self.tasks)

    @property
    def null_loss(self) -> float:
        """The loss of the best constants."""
        return float(sum(task.null_loss for task in self.tasks))

    def task(self, t: int) -> Problem:
        """One task by itself."""
        parts = {one.name: getattr(self, one.name) for one in fields(Problem)}
        product = None if self.product is None else np.ascontiguousarray(self.product[:, t])
        return Problem(**parts)._with(datafit=self.tasks[t], product=product)

    def blanks(self) -> tuple[Vector, Vector]:
        """Room for q and g."""
        n, p = self.shape
        return np.empty((n, self.n_tasks)), np.empty((p, self.n_tasks))

    def zeros(self) -> Vector:
        """W = 0."""
        return np.zeros((self.shape[1], self.n_tasks))

    def scratch(self) -> Vector:
        """Room for what threads add up on their own in a pass over X."""
        from l1fast._kernels import tasks

        return np.empty(tasks.scratch_size(self.capsule, self.n_tasks))

    def gradient(self, w: Vector, q: Vector, g: Vector, scratch: Vector) -> float:
        """Fill q = s (XW + b - Y) and g = X'q; return the loss at W. One read of X, none at W = 0."""
        from l1fast._kernels import tasks

        if self.product is not None and not w.any():
            for t, task in enumerate(self.tasks):
                np.negative(task.weighted, out=q[:, t])
            np.negative(self.product, out=g)
            return self.null_loss
        size = self.n_tasks * self.design.n_entries
        with until(None):  # whatever the limit, what follows needs it
            return patiently(lambda: tasks.gradient(self.capsule, self.targets, w, q, g, scratch), size)

    def certify(self, w: Vector, g: Vector, loss: float) -> Certificate:
        """The certificate of W from its gradient and loss."""
        from l1fast._kernels import tasks

        if not len(w):
            return Certificate(loss, 0.0, 1.0, 0.0)
        return Certificate(*tasks.certify(self.capsule, w, g, loss, np.empty(2 * len(w))))

    def support(self, w: Vector) -> NDArray[np.intp]:
        """The features with a part in W."""
        return np.flatnonzero(w.any(axis=1))

    def pull(self, g: Vector) -> Vector:
        """||g_j|| for each feature."""
        return norms(g)

    def scores(self, w: Vector, g: Vector, inside: NDArray[np.uint8], out: Vector) -> int:
        """As for one task, on the norms: what matters outside is where W_j = 0."""
        return super().scores(norms(w), -norms(g), inside, out)

    def penalty_value(self, w: Vector) -> float:
        """The penalty at W."""
        return self.penalty.value(norms(w))

    def correlate(self, q: Vector) -> Vector:
        """X'q, as for one task, for each column of q."""
        if q.ndim == 1:
            return super().correlate(q)
        return np.column_stack([super(TaskProblem, self).correlate(np.ascontiguousarray(one)) for one in q.T])

    def intercept(self, w: Vector) -> Any:
        """The best b for W."""
        if self.mean is None:
            return np.zeros(self.n_tasks)
        return np.array([task.y_mean for task in self.tasks]) - self.mean @ w


def norms(w: Vector) -> Vector:
    """||w_j|| for each row."""
    made: Vector = np.sqrt(np.einsum("jt,jt->j", w, w))
    return made


@_blas.one_thread()
def solve_tasks(
    X: Any,
    Y: ArrayLike,
    lam: float,
    *,
    l2: float = 0.0,
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    start: ArrayLike | Result | None = None,
    n_threads: int | None = None,
    callback: Callback | None = None,
) -> TaskResult:
    """Solve the multi-task Lasso or elastic net to a certified duality gap.

    minimise over W, b:   1/2 sum_i s_i ||x_i'W + b - y_i||^2 + sum_j v_j (lam ||W_j||_2 + l2/2 ||W_j||_2^2)

    All tasks use the same features: a row W_j is 0 for all of them or for none.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n_samples, n_features)
        As in `solve`: any storage, never changed, a sparse X never made dense.
    Y : array-like, shape (n_samples, n_tasks)
    lam : float
        Strength >= 0 of the norms, in units of X.T @ Y. At `lam_max_tasks` and above all penalised rows are 0.
    l2 : float
        Strength of the squared penalty >= 0, in units of X.T @ X.
    tol, max_iter, time_limit, fit_intercept, penalty_weights, sample_weight, n_threads, callback
        As in `solve`. ``State.support_size`` counts features.
    start : array-like of shape (n_features, n_tasks), or TaskResult, optional
        Where to start; default 0.

    Returns
    -------
    TaskResult

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
    Cost: one read of X to check it, and one for all tasks together for each working set. Memory: 2 n_features x n_tasks
    numbers and more, the Gram matrix of the working set (at most 2200^2 numbers), and above that size a copy of an X
    that is stored by rows. With one task, or at lam = 0, the tasks are solved one by one.
    Source: Obozinski, Taskar and Jordan (Stat. Comput. 2010); the gap of blocks, Ndiaye, Fercoq, Gramfort and Salmon
    (NIPS 2015).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> result = l1fast.solve_tasks(X, [[3.0, 4.0], [0.6, 0.8], [0.0, 1.0]], lam=1.0)
    >>> result.coef.round(9)
    array([[2.4, 3.2],
           [0. , 0. ]])
    >>> result.converged
    True
    """
    began = time.perf_counter()
    tol = as_number("tol", tol)
    limit = None if time_limit is None else as_number("time_limit", time_limit)
    most = CD.default_max_iter if max_iter is None else min(as_count("max_iter", max_iter), MOST_ITERATIONS)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    strengths = as_number("lam", lam), as_number("l2", l2)
    problem, n_tasks = read_problem(X, Y, strengths, fit_intercept, penalty_weights, sample_weight, n_threads)
    reason = "nothing to fit: Y or every column of X is constant, or there is no column" if problem.trivial else REASON
    scale, p = problem.scale, problem.shape[1]
    units = problem.units
    monitor = Monitor(tol * scale, scale, began, limit, callback, units=units)
    if start is None:
        w = null_point(problem, monitor)
    else:
        w = units.start(as_matrix("start", start.coef if isinstance(start, TaskResult) else start, p, n_tasks))
        w[problem.norm2 == 0.0] = 0.0
        w = problem.reined(w)
        w = w if isinstance(problem, TaskProblem) else w[:, 0].copy()
    outcome, certificate, dual = run_tasks(problem, w, most, monitor)
    told = problem.told(certificate)
    result = TaskResult(
        coef=problem.restored(outcome.coef).reshape(p, n_tasks) + 0.0,  # no negative zeros
        intercept=np.atleast_1d(units.intercept(problem.intercept(outcome.coef))),
        objective=told.objective,
        dual_gap=certificate.gap / scale,
        violation=told.violation,
        status=monitor.status,
        n_iter=outcome.n_iter,
        n_epochs=outcome.n_epochs,
        n_passes=monitor.passes,
        seconds=time.perf_counter() - began,
        solver=CD.name,
        reason=reason,
        lam=strengths[0],
        tol=tol,
        dual=units.dual(dual).reshape(-1, n_tasks),
        conversion=join_notes(problem.design.conversion, units.note, outcome.conversion),
    )
    if not result.converged:
        announce(advice(result), stacklevel=3)
    return result


REASON = "cd is the solver for several tasks"


@_blas.one_thread()
def path_tasks(
    X: Any,
    Y: ArrayLike,
    *,
    lams: ArrayLike | None = None,
    n_lams: int = 100,
    lam_min_ratio: float = SMALLEST_RATIO,
    l2: float = 0.0,
    l2_ratio: float = 0.0,
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
    on_progress: PathCallback | None = None,
) -> TaskPathResult:
    """Solve the multi-task Lasso or elastic net at many strengths, each to a certified duality gap.

    minimise over W, b:   1/2 sum_i s_i ||x_i'W + b - y_i||^2
                          + sum_j v_j (lam ||W_j||_2 + (l2 + l2_ratio lam)/2 ||W_j||_2^2)

    Parameters
    ----------
    X, Y, tol, fit_intercept, penalty_weights, sample_weight, n_threads
        As in `solve_tasks`.
    lams : array-like, optional
        Strengths >= 0 in any order; they are solved from the largest down. Default: n_lams values from `lam_max_tasks`
        to lam_min_ratio * lam_max_tasks, evenly spaced in the logarithm.
    n_lams, lam_min_ratio, l2, l2_ratio, max_iter, time_limit, on_progress
        As in `path`. ``PathState.support_size`` counts features.

    Returns
    -------
    TaskPathResult

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, has the wrong shape, is malformed or not finite. The message names it.

    Warns
    -----
    ConvergenceWarning
        The gap at some strength is above tol, or the path stopped early.

    Notes
    -----
    Cost: one or two reads of X for most strengths; the Gram matrix of the features met so far is kept.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> found = l1fast.path_tasks(X, [[3.0, 4.0], [0.6, 0.8], [0.0, 1.0]], lams=[6.0, 1.0, 0.5])
    >>> [support.tolist() for support in found.supports]
    [[], [0], [0, 1]]
    >>> found.coef(1).round(9)
    array([[2.4, 3.2],
           [0. , 0. ]])
    """
    began = time.perf_counter()
    tol, ridge = as_number("tol", tol), (as_number("l2", l2), as_number("l2_ratio", l2_ratio))
    limit = None if time_limit is None else as_number("time_limit", time_limit)
    asked = read_strengths(lams, n_lams, lam_min_ratio, on_progress)
    most = CD.default_max_iter if max_iter is None else min(as_count("max_iter", max_iter), MOST_ITERATIONS)
    smallest = None if asked is None else float(asked[-1])
    problem, n_tasks = read_problem(X, Y, (smallest, 0.0), fit_intercept, penalty_weights, sample_weight, n_threads)
    if asked is None:
        asked = strengths_for(problem, critical(problem), n_lams, lam_min_ratio)
    check_ridge(ridge, asked)
    walk = TaskWalk(problem, CD(), most, tol, began, limit)
    status = walk.through(asked, ridge[0] + ridge[1] * asked, on_progress)
    found, scale = walk.found, problem.scale
    result = TaskPathResult(
        lams=asked[: len(found)],
        supports=[one.support for one in found],
        values=[one.values.reshape(-1, n_tasks) for one in found],
        intercepts=np.array([np.atleast_1d(one.intercept) for one in found]).reshape(-1, n_tasks),
        objectives=np.array([one.certificate.objective for one in found]),
        dual_gaps=np.array([one.certificate.gap / scale for one in found]),
        violations=np.array([one.certificate.violation for one in found]),
        deviance_explained=np.array([one.explained for one in found]),
        seconds=np.array([one.seconds for one in found]),
        n_iter=np.array([one.n_iter for one in found], dtype=np.int64),
        n_features=problem.shape[1],
        status=status,
        solver=CD.name,
        reason=REASON,
        tol=tol,
        conversion=join_notes(problem.design.conversion, problem.units.note, *walk.conversions),
    )
    if not result.converged:
        announce(path_advice(result, len(asked)), stacklevel=3)
    return result


@_blas.one_thread()
def lam_max_tasks(
    X: Any,
    Y: ArrayLike,
    *,
    fit_intercept: bool = False,
    penalty_weights: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """The smallest lam at which every penalised row of W is 0: max_j ||x_j'(s R)||_2 / v_j.

    R is the residual of the best fit by the intercepts and the unpenalised columns alone. Parameters as in
    `solve_tasks`. One read of X (a small solve for each task more when some weights are 0).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> l1fast.lam_max_tasks(np.eye(2), [[3.0, -4.0], [1.0, 0.0]])
    5.0
    """
    problem, _ = read_problem(X, Y, (None, 0.0), fit_intercept, penalty_weights, sample_weight, None)
    found = critical(problem)
    return strength_asked(problem, found, found)


def read_problem(
    X: Any,
    Y: Any,
    strengths: tuple[float | None, float],
    fit_intercept: Any,
    penalty_weights: ArrayLike | None,
    sample_weight: ArrayLike | None,
    n_threads: int | None,
) -> tuple[Problem, int]:
    """Everything checked and put together, and the number of tasks; one task is a plain `Problem`."""
    storage = as_storage(X)
    n, p = storage.shape
    penalty = read_penalty(*strengths, penalty_weights, None, False, p)
    targets, flag = as_matrix("Y", Y, n), as_flag("fit_intercept", fit_intercept)
    weight = None if sample_weight is None else as_vector("sample_weight", sample_weight, n, least=0.0)
    n_tasks = targets.shape[1]
    tasks = tuple(LeastSquares(np.ascontiguousarray(one), weight, flag) for one in targets.T)
    first, tasks = make_problems(storage, tasks, penalty, as_thread_count(n_threads), any_scale=True)
    return (first if n_tasks == 1 else TaskProblem.joined(first, tasks)), n_tasks


def null_point(problem: Problem, monitor: Monitor) -> Vector:
    """0, with the unpenalised coefficients at their best, if there is time for them."""
    try:
        with until(monitor.out_of_time):
            if not isinstance(problem, TaskProblem):
                return null_fit(problem)
            return np.column_stack([null_fit(problem.task(t)) for t in range(problem.n_tasks)])
    except OutOfTime:
        return problem.zeros()


def critical(problem: Problem) -> float:
    """lam_max_tasks of a problem; its own lam does not matter."""
    if not isinstance(problem, TaskProblem):
        return critical_strength(problem)
    weights = problem.penalty.weights
    point = problem.at(problem.zeros())
    g = point.g
    if weights is not None:
        free = np.flatnonzero(weights == 0.0)
        if free.size:
            g = problem.correlate(settle_tasks(problem, free, point.w, point.q)[1])
    slope = norms(g)
    slope[slope <= ROUNDING * np.sqrt(problem.norm2) * np.sqrt(2.0 * problem.null_loss)] = 0.0
    if weights is not None:
        slope = slope[weights > 0.0] / weights[weights > 0.0]
    return float(slope.max(initial=0.0))


def settle_tasks(problem: TaskProblem, free: NDArray[np.intp], w: Vector, q: Vector) -> tuple[Vector, Vector]:
    """The best W_free for the rest of W, and q there, task by task."""
    made = [
        settle(problem.task(t), free, np.ascontiguousarray(w[:, t]), np.ascontiguousarray(q[:, t]))
        for t in range(problem.n_tasks)
    ]
    return np.column_stack([one[0] for one in made]), np.column_stack([one[1] for one in made])


def certify_tasks(problem: Problem, point: Point) -> tuple[Vector, Certificate, Vector]:
    """W, its certificate from the gradient there, and the dual point behind it: as `_certify` of one task.

    What is left of x_j'theta for an unpenalised column must be rounding: else theta = 0 certifies.
    """
    assert isinstance(problem, TaskProblem)
    w, q, g, loss = point
    certificate = problem.certify(w, g, loss)
    free = problem.penalty.unpenalised(len(w))
    if not free.size:
        return w, certificate, -certificate.scale * q
    try:
        fitted, rho = settle_tasks(problem, free, w, q)
    except OutOfTime:
        return at_dual_zero(w, certificate, q)
    settled = w.copy()
    settled[free] = fitted
    there = problem.at(settled)
    candidate = problem.certify(settled, there.g, there.loss)
    if candidate.objective < certificate.objective:
        w, q, certificate = settled, there.q, candidate

    def inner(a: Vector, b: Vector) -> float:
        return float(sum(task.inner(a[:, t], b[:, t]) for t, task in enumerate(problem.tasks)))

    slope = problem.correlate(rho)
    better = problem.certify(w, slope, 0.5 * inner(rho, rho))
    growth = max(1.0, abs(better.scale))  # x_j'rho, or x_j'theta
    for t in range(problem.n_tasks):
        if np.any(np.abs(slope[free, t]) * growth > slope_rounding(problem.task(t), free)):
            return at_dual_zero(w, certificate, q)
    moved = rho - q
    gap = better.gap + 0.5 * inner(moved, moved) - (1.0 - better.scale) * inner(moved, rho)
    return w, certificate._replace(gap=max(gap, 0.0), scale=better.scale), -better.scale * rho


def run_tasks(
    problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Any = None
) -> tuple[Outcome, Certificate, Vector]:
    """`run_certified` for one task or more; at lam = 0 task by task."""
    if not isinstance(problem, TaskProblem):
        return run_certified(CD(), problem, start, max_iter, monitor, carry)
    if problem.penalty.lam > 0.0 or problem.trivial:
        return run_certified(CD(), problem, start, max_iter, monitor, carry, certify_tasks)
    parts: list[tuple[Outcome, Certificate, Vector]] = []
    status, n_iter = Status.CONVERGED, 0
    tol = monitor.target / problem.scale
    rest = [task.null_loss for task in problem.tasks]
    gaps = list(rest)
    for t in range(problem.n_tasks):
        one = problem.task(t)
        rest[t] = gaps[t] = 0.0
        watch = None if monitor.callback is None else _joint(monitor, one.scale, problem.scale, rest, gaps)
        own = Monitor(tol * one.null_loss, one.scale, monitor.began, monitor.time_limit, watch, passes=monitor.passes)
        own.offset = n_iter
        parts.append(run_certified(CD(), one, np.ascontiguousarray(start[:, t]), max_iter, own))
        found, n_iter, monitor.passes = parts[-1], own.offset, own.passes
        rest[t], gaps[t] = found[1].objective, found[1].gap
        status = own.status if status is Status.CONVERGED else status
    monitor.status = status
    certificate = Certificate(
        objective=sum(part[1].objective for part in parts),
        gap=sum(part[1].gap for part in parts),
        scale=1.0,
        violation=float(norms(np.array([[part[1].violation for part in parts]]))[0]),
    )
    outcome = Outcome(
        np.column_stack([part[0].coef for part in parts]),
        n_iter,
        sum(part[0].n_epochs for part in parts),
        join_notes(*(part[0].conversion for part in parts)),
    )
    return outcome, certificate, np.column_stack([part[2] for part in parts])


def _joint(
    monitor: Monitor, own_scale: float, scale: float, rest: list[float], gaps: list[float]
) -> Callable[[State], object]:
    """A callback that sees one task's state as a state of all: the others stand where they are."""

    def watch(state: State) -> object:
        assert monitor.callback is not None
        gap = (state.dual_gap * own_scale + sum(gaps)) / scale
        objective = monitor.units.objective(state.objective + sum(rest))
        return monitor.callback(replace(state, objective=objective, dual_gap=gap))

    return watch


class TaskWalk(Walk):
    """A path of several tasks: `Walk` with their own start and certificate."""

    def first(self, problem: Problem, monitor: Monitor) -> Vector:
        """Where the first strength starts."""
        return null_point(problem, monitor)

    def solve(self, problem: Problem, start: Vector, monitor: Monitor) -> tuple[Outcome, Certificate]:
        """One strength, to a certificate made from X."""
        return run_tasks(problem, start, self.max_iter, monitor, self.carry)[:2]
