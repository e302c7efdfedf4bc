"""cross_validate(): the test error of every strength of a path, fold by fold.

For each fold, with T its training samples and S_T = sum_{i in T} s_i:

    minimise over w, b:   1/2 sum_{i in T} s_i (x_i'w + b - y_i)^2 + S_T / S sum_j v_j (lam |w_j| + l2/2 w_j^2)

so that the strength for each unit of weight is the same in all folds. A fold is a vector of sample weights, 0 for what
it leaves out: all folds share one X. Where a Gram matrix of all columns pays (`_path.compressible`), X is multiplied
once: the folds' matrices are differences of those of the parts left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Event, Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast import _blas
from l1fast._datafits import LeastSquares
from l1fast._design import Moments, join_notes
from l1fast._monitor import Carry, Monitor, Solver
from l1fast._path import Walk, compressible, descend_compressed
from l1fast._penalties import ElasticNet
from l1fast._problem import Problem
from l1fast._result import (
    CrossValidation,
    CVCallback,
    CVState,
    PathCallback,
    PathResult,
    PathState,
    Result,
    Status,
    announce,
)
from l1fast._solve import (
    CURES,
    MOST_ITERATIONS,
    Bounds,
    advice,
    assemble,
    conclude,
    make_problem,
    null_fit,
    read_penalty,
    read_solver,
    run_certified,
    within_memory,
)
from l1fast._solvers import choose
from l1fast._threads import default_threads
from l1fast._validation import as_count, as_design, as_flag, as_folds, as_number, as_vector
from l1fast._working_set import CD, WorkingSet

Vector = NDArray[np.float64]
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
T = TypeVar("T")

POLL = 0.05
"""Seconds between two looks of the waiting thread at signals."""

LEAST_SHARE = 0.1
"""Part of a column's squares that a fold must keep: below it the difference of Gram matrices loses digits."""

CANCELLED = 1e-8
"""Part of the terms of a sum of squared errors below which it is not taken as a difference of Gram products."""

SPARE = 0.5
"""Part of the target that the Gram matrix is asked for before X certifies."""

FLOAT_BYTES = 8

ENTRIES_AT_ONCE = 4_000_000
"""Entries of X that are copied at a time to predict from them."""


@_blas.one_thread()
def cross_validate(
    X: Any,
    y: ArrayLike,
    folds: Sequence[tuple[ArrayLike, ArrayLike]],
    strengths: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    solver: Any = "auto",
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    fit_intercept: bool = False,
    sample_weight: ArrayLike | None = None,
    penalty_weights: Any = None,
    bounds: Bounds | None = None,
    positive: bool = False,
    n_jobs: int | None = None,
    n_threads: int = 1,
    memory_limit: int | None = None,
    on_progress: CVCallback | None = None,
    refit: Callable[[CrossValidation], tuple[int, int]] | None = None,
    refit_tol: float | None = None,
) -> CrossValidation:
    """Cross-validate the Lasso or elastic net over one or more sequences of strengths.

    For every fold with training samples T, S_T = sum_{i in T} s_i and S the sum over all samples, and every (lam, l2):

    minimise over w, b:   1/2 sum_{i in T} s_i (x_i'w + b - y_i)^2 + S_T / S sum_j v_j (lam |w_j| + l2/2 w_j^2)

    and its weighted mean squared error on the samples left out.

    Parameters
    ----------
    X, y, solver, tol, fit_intercept, penalty_weights, sample_weight, bounds, positive, memory_limit
        As in `solve`. ``penalty_weights`` may be a function of (training samples, their weights s) that returns v,
        for weights that are estimated and must not see the test samples; lam and l2 hold for that v.
    folds : sequence of (train, test)
        Indices of samples, or masks. An index that comes twice in train counts twice.
    strengths : sequence of (lams, l2s)
        For each sequence, lams and l2s of one length, lam falling, in the units of `solve` on all of X.
    max_iter : int, optional
        Outer steps at most for each strength.
    time_limit : float, optional
        Seconds for everything; what was not done by then has the error NaN.
    n_jobs : int, optional
        Folds at work at once, each in a thread. Default: as ``n_threads`` of `solve`. Answers do not depend on it.
    n_threads : int
        Threads inside each fold.
    on_progress : callable, optional
        Called with a `CVState` after every strength of every fold, by one thread at a time; return True to stop.
    refit : callable, optional
        Given the `CrossValidation`, it picks (sequence, index); the fit on all samples at that strength, certified
        from X, is then its ``refit``.
    refit_tol : float, optional
        The tol of that fit; without it, ``tol``.

    Returns
    -------
    CrossValidation

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, has the wrong shape, is malformed or not finite. The message names it.

    Warns
    -----
    ConvergenceWarning
        The gap of some strength in some fold is above tol, or not all were done.

    Notes
    -----
    Memory: for each fold at work, what `path` takes; with the Gram matrix of all columns, one of them for each fold and
    copies of the test samples of the folds at work. Errors come from the test samples themselves, or from their Gram
    matrix where that loses no digits.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> X, y = np.eye(4)[:, :2], np.array([3.0, 3.0, 0.5, 0.5])
    >>> folds = [([1, 2, 3], [0]), ([0, 2, 3], [1])]
    >>> found = l1fast.cross_validate(X, y, folds, [([1.0, 0.5], [0.0, 0.0])])
    >>> found.errors.shape
    (1, 2, 2)
    """
    began = time.perf_counter()
    tol, limit = as_number("tol", tol), None if time_limit is None else as_number("time_limit", time_limit)
    most = None if max_iter is None else min(as_count("max_iter", max_iter), MOST_ITERATIONS)
    memory = None if memory_limit is None else as_count("memory_limit", memory_limit)
    last_tol = tol if refit_tol is None else as_number("refit_tol", refit_tol)
    jobs = default_threads() if n_jobs is None else as_count("n_jobs", n_jobs, least=1)
    inner = as_count("n_threads", n_threads, least=1)
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be callable, got {on_progress!r}")
    wanted = read_solver(solver)
    design = as_design(X, inner)
    n, p = design.shape
    target = as_vector("y", y, n)
    weight = np.ones(n) if sample_weight is None else as_vector("sample_weight", sample_weight, n, least=0.0)
    parts = as_folds(folds, n, weight)
    grid = [_as_strengths(k, pair) for k, pair in enumerate(strengths)]
    if not grid or len({len(lams) for lams, _ in grid}) != 1:
        raise ValueError("strengths must hold at least one pair (lams, l2s), all of the same length")
    positive, intercept = as_flag("positive", positive), as_flag("fit_intercept", fit_intercept)

    largest = max(max(float(lams[0]), float(l2s.max())) for lams, l2s in grid)

    def penalty_for(train: NDArray[np.intp], s: Vector) -> ElasticNet:
        v = penalty_weights(train, s[train]) if callable(penalty_weights) else penalty_weights
        return read_penalty(largest, 0.0, v, bounds, positive, p)

    def read_fold(k: int) -> Problem:
        s = weight * np.bincount(parts[k][0], minlength=n)
        made = make_problem(design.storage, target, penalty_for(parts[k][0], s), intercept, s, inner)
        return made.on(design)

    everything = penalty_for(np.arange(n), weight)
    whole = make_problem(design.storage, target, everything, intercept, sample_weight, inner).on(design)
    crew = Crew(1 if _blas.limited() else min(jobs, len(parts)), on_progress)  # BLAS needs room for each caller
    algorithm, reason = wanted or choose(whole, cold=False)
    algorithm = within_memory(algorithm, memory)
    run = Run(whole, algorithm, algorithm.default_max_iter if most is None else most, tol, began, limit, crew)
    n_paths = sum(len(lams) for lams, _ in grid) * len(parts)
    shared: SharedGram | None = None
    affords = memory is None or (2 * len(parts) + 1) * p * p * FLOAT_BYTES <= memory
    if isinstance(algorithm, CD) and affords and compressible(whole, algorithm, n_paths) and _complementary(parts, n):
        shared = SharedGram.of(whole, weight, parts, crew, run.walk(whole).monitor())
    try:
        if shared is None:
            run.problems = crew.each(read_fold, range(len(parts)))
        else:
            reason += "; compressed to Gram matrices of all columns"
            penalties = [penalty_for(train, weight) for train, _ in parts]
            run.problems = [shared.problem(k, penalties[k], inner) for k in range(len(parts))]
        outcomes = crew.each(lambda k: run.fold(k, grid, parts[k][1], weight, shared), range(len(parts)))
        result = _gather(outcomes, grid, parts, weight, run, reason)
        if refit is not None:
            result = replace(result, refit=run.refit(refit(result), last_tol, result, shared))
    finally:
        crew.stop.set()
    if not result.converged or (result.refit is not None and not result.refit.converged):
        announce(_advice(result), stacklevel=3)
    return result


def _as_strengths(k: int, pair: Any) -> tuple[Vector, Vector]:
    """One sequence of strengths, checked."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"strengths[{k}] must be a pair (lams, l2s)")
    lams = as_vector(f"strengths[{k}][0]", pair[0], np.size(pair[0]), least=0.0)
    l2s = as_vector(f"strengths[{k}][1]", pair[1], len(lams), least=0.0)
    if not len(lams):
        raise ValueError(f"strengths[{k}] is empty; give at least one strength")
    rises = np.flatnonzero(np.diff(lams) > 0.0)
    if rises.size:
        raise ValueError(f"lam must fall along strengths[{k}], but rises after {lams[rises[0]]:g}; sort it")
    return lams, l2s


def _complementary(parts: list[Fold], n: int) -> bool:
    """Whether every fold trains, once, on just what it does not test on, and every sample is tested once."""
    tested = np.bincount(np.concatenate([test for _, test in parts]), minlength=n)
    if not np.all(tested == 1):
        return False
    for train, test in parts:
        seen = np.bincount(train, minlength=n)
        seen[test] += 1
        if not np.all(seen == 1):
            return False
    return True


class Crew:
    """Threads that work on folds, and one way to stop them."""

    def __init__(self, size: int, on_progress: CVCallback | None) -> None:
        self.size, self.on_progress = size, on_progress
        self.stop, self.lock = Event(), Lock()
        self.asked_to_stop = False

    def each(self, work: Callable[[int], T], numbers: Sequence[int]) -> list[T]:
        """Do work for every number, some at once, and return what came of it in order.

        The waiting thread looks at signals; an exception in one thread, or here, stops all and is raised.
        """
        if self.size == 1:
            return [work(k) for k in numbers]
        from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait  # here: for a quick import

        with ThreadPoolExecutor(self.size) as pool:
            futures: list[Future[T]] = []
            try:
                futures += [pool.submit(work, k) for k in numbers]
                while wait(futures, timeout=POLL, return_when=FIRST_EXCEPTION).not_done:
                    if any(one.done() and one.exception() is not None for one in futures):
                        break
                for one in futures:
                    if one.done():
                        one.result()
                return [one.result() for one in futures]
            except BaseException:
                self.stop.set()
                for one in futures:
                    one.cancel()
                raise

    def report(self, state: CVState) -> bool:
        """Tell the caller, one thread at a time; True to stop."""
        with self.lock:
            if self.on_progress is not None and not self.stop.is_set() and self.on_progress(state):
                self.asked_to_stop = True
                self.stop.set()
        return self.stop.is_set()


@dataclass
class FoldOutcome:
    """What one fold found, for each sequence of strengths."""

    paths: list[PathResult] = field(default_factory=list)
    errors: list[Vector] = field(default_factory=list)
    status: Status = Status.CONVERGED


@dataclass
class Run:
    """What all folds of one call have in common."""

    whole: Problem
    algorithm: Solver
    max_iter: int
    tol: float
    began: float
    limit: float | None
    crew: Crew
    problems: list[Problem] = field(default_factory=list)

    def walk(self, problem: Problem) -> Walk:
        """A path on its way."""
        return Walk(problem, self.algorithm, self.max_iter, self.tol, self.began, self.limit, self.crew.stop)

    def refit(self, pick: tuple[int, int], tol: float, found: CrossValidation, shared: SharedGram | None) -> Result:
        """All samples at one strength, from the mean of the folds."""
        row, index = pick
        lam, l2 = float(found.lams[row, index]), float(found.l2s[row, index])
        problem, carry = self.whole.with_strength(lam, l2), Carry()
        monitor = replace(self.walk(problem).monitor(), stop=None, target=tol * problem.scale)
        paths = [path for path in found.paths[row] if index < len(path)]
        w = (
            problem.penalty.within(np.mean([path.coef(index) for path in paths], axis=0))
            if paths
            else null_fit(problem)
        )
        working = None if shared is None else shared.adopt(None, problem)
        if working is not None:
            carry.working = working
            answer = descend_compressed(problem, working, w, replace(monitor, target=SPARE * monitor.target))
            w = w if answer is None else answer[0].coef
        outcome, certificate, dual = run_certified(self.algorithm, problem, w, self.max_iter, monitor, carry)
        return conclude(problem, lam, (self.algorithm.name, found.reason), outcome, certificate, dual, monitor, tol)

    def fold(
        self,
        k: int,
        grid: list[tuple[Vector, Vector]],
        test: NDArray[np.intp],
        weight: Vector,
        shared: SharedGram | None,
    ) -> FoldOutcome:
        """All strengths of one fold, and their errors."""
        problem, made = self.problems[k], FoldOutcome()
        share = problem.datafit.total_weight / self.whole.datafit.total_weight
        adopted = None if shared is None else shared.adopt(k, problem)
        carried = None
        for row, (lams, l2s) in enumerate(grid):
            walk = self.walk(problem)
            if adopted is not None:
                walk.compressed = walk.carry.working = adopted
            elif carried is not None:
                walk.carry.working = carried
            elif isinstance(self.algorithm, CD) and compressible(problem, self.algorithm, len(grid) * len(lams)):
                walk.compress()
                adopted = walk.compressed
            status = walk.through(share * lams, share * l2s, self._teller(k, row, grid), certify_last=False)
            made.status = status if made.status is Status.CONVERGED else made.status
            carried = walk.carry.working
            path = walk.result(share * lams, made.status, "")
            made.paths.append(path)
            made.errors.append(self._errors(k, path, weight, test, shared))
            if len(path) < len(lams):
                made.status = Status.TIME_LIMIT
                break
        return made

    def _teller(self, k: int, row: int, grid: list[tuple[Vector, Vector]]) -> PathCallback | None:
        """What tells the caller of each strength done."""
        if self.crew.on_progress is None:
            return None

        def tell(state: PathState) -> object:
            lam, where = float(grid[row][0][state.index]), (k, len(self.problems), row, len(grid))
            told = CVState(*where, state.index, state.n_lams, lam, state.dual_gap, state.seconds)
            return self.crew.report(told)

        return tell

    def _errors(
        self,
        k: int,
        path: PathResult,
        weight: Vector,
        test: NDArray[np.intp],
        shared: SharedGram | None,
    ) -> Vector:
        """The weighted mean squared error of each strength on the test samples."""
        if shared is not None:
            errors = shared.errors(k, path)
            if errors is not None:
                return errors
        s, design, y = weight[test], self.whole.design, self.whole.datafit.y
        made = np.zeros(len(path))
        for rows in _chunks(test, design.shape[1] if not design.sparse else 1):
            residual = y[rows, None] - path.intercepts - design.predict(rows, path.coefs)
            made += weight[rows] @ (residual * residual)
        return made / float(s.sum())


def _chunks(samples: NDArray[np.intp], width: int) -> Iterator[NDArray[np.intp]]:
    """The samples, some at a time."""
    at_once = max(1, ENTRIES_AT_ONCE // max(width, 1))
    for first in range(0, len(samples), at_once):
        yield samples[first : first + at_once]


@dataclass
class Block:
    """Moments of the samples that one fold leaves out, about the means of all samples: z = x - mean, u = y - y_mean."""

    gram: NDArray[np.float64]  # sum_i s_i z_i z_i'
    product: Vector  # sum_i s_i u_i z_i
    totals: Vector  # sum_i s_i z_i
    total: float  # sum_i s_i u_i
    square: float  # sum_i s_i u_i^2
    weight: float  # sum_i s_i


class SharedGram:
    """Gram matrices of all columns for all folds, from one multiplication of X.

    With m the mean of the training samples of fold k minus that of all, and C_k the block of its test samples:

        G_k = sum_l C_l - C_k - S_k m m'

    Without an intercept all means are 0.
    """

    def __init__(self, whole: Problem, weight: Vector, parts: list[Fold]) -> None:
        self.whole, self.weight, self.parts = whole, weight, parts
        self.mean = np.zeros(whole.shape[1]) if whole.mean is None else whole.mean
        self.y_mean = whole.datafit.y_mean
        self.blocks: list[Block] = []

    @classmethod
    def of(cls, whole: Problem, weight: Vector, parts: list[Fold], crew: Crew, monitor: Monitor) -> SharedGram | None:
        """All blocks, multiplied; None if the time runs out before."""
        made = cls(whole, weight, parts)
        blocks = crew.each(lambda k: made._block(parts[k][1], replace(monitor)), range(len(parts)))
        made.blocks = [block for block in blocks if block is not None]
        return made if len(made.blocks) == len(parts) else None

    def _block(self, samples: NDArray[np.intp], monitor: Monitor) -> Block | None:
        design, s = self.whole.design.rows(samples), self.weight[samples]
        u, p = self.whole.datafit.y[samples] - self.y_mean, self.whole.shape[1]
        part = replace(self.whole, norm2=np.ones(p), n_threads=1, product=None)
        penalty = ElasticNet(1.0)  # the Gram matrix does not feel it
        fit = LeastSquares(u, None if self.whole.datafit.sample_weight is None else s)
        part = part._with(design=design, datafit=fit, penalty=penalty)
        working = WorkingSet(part, exact=True)
        working.add(np.arange(p))
        if not working.complete_gram(monitor):
            return None
        weighted, weight = s * u, float(s.sum())
        return Block(
            gram=working.gram[:p, :p],
            product=design.correlate(weighted) - self.mean * float(weighted.sum()),
            totals=design.correlate(s) - self.mean * weight,
            total=float(weighted.sum()),
            square=float(weighted @ u),
            weight=weight,
        )

    @cached_property
    def total(self) -> NDArray[np.float64]:
        """The Gram matrix of all samples."""
        made: NDArray[np.float64] = np.sum([block.gram for block in self.blocks], axis=0)
        return made

    def problem(self, k: int, penalty: ElasticNet, n_threads: int) -> Problem:
        """The problem of fold k, without a read of X.

        With z and u as in `Block`, sums over the training samples and their mean u_k:
        sum s x^2 = sum s z^2 + 2 mean sum s z + S mean^2,   sum s (u - u_k) x = sum s u z - u_k sum s z.
        """
        datafit, others = self.whole.datafit, [block for number, block in enumerate(self.blocks) if number != k]
        s = self.weight.copy()
        s[self.parts[k][1]] = 0.0
        fit = LeastSquares(datafit.y, s, datafit.fit_intercept)
        totals, weight = np.sum([block.totals for block in others], axis=0), sum(block.weight for block in others)
        square = np.sum([block.gram.diagonal() for block in others], axis=0)
        product = np.sum([block.product for block in others], axis=0)
        if datafit.fit_intercept:
            product -= sum(block.total for block in others) / weight * totals
        raw = totals + weight * self.mean
        square = np.maximum(square + self.mean * (2.0 * totals + weight * self.mean), 0.0)
        moments = Moments(square, product, raw if datafit.fit_intercept else None)
        return assemble(self.whole.design, moments, fit, penalty, n_threads)

    def adopt(self, k: int | None, problem: Problem) -> WorkingSet | None:
        """The working set of all columns with the Gram matrix of fold k, or of all samples.

        None where the difference would lose digits.
        """
        gram = self.total if k is None else self.total - self.blocks[k].gram
        if k is not None and problem.mean is not None:
            moved = problem.mean - self.mean
            gram -= problem.datafit.total_weight * np.outer(moved, moved)
        counted = problem.norm2 > 0.0
        kept = problem.norm2[counted] / self.total.diagonal()[counted]
        if kept.size and kept.min() < LEAST_SHARE:
            return None
        working = WorkingSet(problem, exact=True)
        working.adopt(gram, float(1.0 / kept.min(initial=1.0)))
        return working

    def errors(self, k: int, path: PathResult) -> Vector | None:
        """Mean squared errors on the samples left out; None where they are too small for a difference of products.

        sum_i s_i (u_i - z_i'w - d)^2 with d = b + mean'w - y_mean.
        """
        block, coefs = self.blocks[k], path.coefs.toarray()
        shift = path.intercepts + self.mean @ coefs - self.y_mean
        curved = np.einsum("jl,jl->l", coefs, block.gram @ coefs)
        rest = 2.0 * shift * (block.totals @ coefs - block.total) + block.weight * shift * shift
        square = block.square - 2.0 * (block.product @ coefs) + curved + rest
        if np.any(square < CANCELLED * (block.square + curved)):
            return None
        errors: Vector = square / block.weight
        return errors


def _gather(
    outcomes: list[FoldOutcome],
    grid: list[tuple[Vector, Vector]],
    parts: list[Fold],
    weight: Vector,
    run: Run,
    reason: str,
) -> CrossValidation:
    """What all folds found."""
    shape = (len(grid), len(grid[0][0]), len(parts))
    errors, gaps, steps = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    status, notes = Status.CONVERGED, []
    for k, outcome in enumerate(outcomes):
        status = outcome.status if status is Status.CONVERGED else status
        for row, (path, error) in enumerate(zip(outcome.paths, outcome.errors, strict=True)):
            done = len(path)
            errors[row, :done, k], gaps[row, :done, k], steps[row, :done, k] = error, path.dual_gaps, path.n_iter
            notes.append(path.conversion)
    return CrossValidation(
        lams=np.array([lams for lams, _ in grid]),
        l2s=np.array([l2s for _, l2s in grid]),
        errors=errors,
        test_weights=np.array([float(weight[test].sum()) for _, test in parts]),
        dual_gaps=gaps,
        n_iter=steps,
        paths=[[outcome.paths[row] for outcome in outcomes if row < len(outcome.paths)] for row in range(len(grid))],
        status=Status.INTERRUPTED if run.crew.asked_to_stop else status,
        seconds=time.perf_counter() - run.began,
        solver=run.algorithm.name,
        reason=reason,
        tol=run.tol,
        conversion=join_notes(*notes),
    )


def _advice(result: CrossValidation) -> str:
    """The text of the ConvergenceWarning."""
    if result.converged:
        assert result.refit is not None
        return "the fit on all samples: " + advice(result.refit)
    missed, left = int(np.sum(result.dual_gaps > result.tol)), int(np.isnan(result.errors).sum())
    largest = f" (the largest is {np.nanmax(result.dual_gaps):.3e})" if missed else ""
    return (
        f"{missed} of {result.errors.size} fits of the folds have a relative duality gap above tol {result.tol:.3e}"
        f"{largest}, and {left} were not tried: {result.status.value}; {CURES[result.status]}"
    )
