"""What the estimators that choose a model share: the grid, the clock, residuals, folds and threads.

A part of the samples is never cut out of X: it is the same X with the weights of the other samples at 0, so that many
threads work on one copy.
"""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from l1fast._validation import as_vector
from l1fast.estimators._base import (
    ARRAY,
    COMMON,
    NOTHING,
    Data,
    Fit,
    Found,
    FoundPath,
    Rule,
    Units,
    integer,
    real,
    warn_unconverged,
)
from l1fast.estimators._cv import RULES as CV_RULES

Vector = NDArray[np.float64]
Item = TypeVar("Item")
Made = TypeVar("Made")

SHARED: Mapping[str, Rule] = {
    **{
        name: COMMON[name]
        for name in (
            *("fit_intercept", "max_iter", "tol", "positive", "penalty_factor", "standardize", "time_limit"),
            "n_threads",
        )
    },
    "alpha": real(0),
    "alphas": integer(1) | ARRAY,
    "eps": real(0, 1, open_low=True),
    "cv": CV_RULES["cv"],
    "n_jobs": integer() | NOTHING,
}
"""Rules of the parameters that the estimators of model selection share."""


def falling_alphas(fit: Fit, y: Vector, alphas: Any, eps: float) -> Vector:
    """The alphas given, from the largest down; or a grid of so many, down to eps times the largest."""
    if isinstance(alphas, numbers.Integral):
        return fit.grid(y, eps, int(alphas))
    falling: Vector = -np.sort(-as_vector("alphas", alphas, np.size(alphas), least=0.0))
    if not falling.size:
        raise ValueError("alphas is empty; give at least one, or the length of an automatic grid")
    return falling


def deadline_of(time_limit: float | None) -> float | None:
    """The reading of `time.perf_counter` at which time will be up."""
    return None if time_limit is None else time.perf_counter() + time_limit


def passed(deadline: float | None) -> bool:
    """Whether time is up."""
    return deadline is not None and time.perf_counter() >= deadline


def at(found: FoundPath, k: int) -> Found:
    """One of the solutions of a path; n_iter counts the steps of the path to it, and the look at its start as one."""
    steps = int(found.n_iter[: range(len(found.alphas))[k] + 1].sum())
    return Found(
        coef=found.coefs[:, k],
        intercept=float(found.intercepts[k]),
        dual_gap=float(found.dual_gaps[k]),
        relative_gap=float(found.relative_gaps[k]),
        n_iter=max(1, steps),
        status=found.status,
    )


def residuals(data: Data, coefs: NDArray[np.float64], intercepts: Vector) -> NDArray[np.float64]:
    """y_i - x_i'w_k - b_k in column k, for the coefficients w_k in column k of coefs."""
    made: NDArray[np.float64] = data.y[:, None] - (data.X @ coefs + intercepts)
    return made


def weighted_sum(data: Data, squares: NDArray[np.float64]) -> Any:
    """sum_i s_i squares_i, over the first axis."""
    return squares.sum(axis=0) if data.sample_weight is None else data.sample_weight @ squares


def part(data: Data, rows: NDArray[np.intp]) -> Data:
    """The data with the weights of all other samples at 0."""
    weight = np.zeros(data.X.shape[0])
    weight[rows] = 1.0 if data.sample_weight is None else data.sample_weight[rows]
    return Data(data.X, data.y, weight)


def in_threads(function: Callable[[Item], Made], items: Iterable[Item], n_jobs: int | None) -> list[Made]:
    """function of every item, in order; n_jobs as in scikit-learn, threads in any case, since all work on one X."""
    made: list[Made] = Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(item) for item in items)
    return made


def fold_errors(
    estimator: Any, data: Data, alphas: Vector, candidates: Callable[[Data], tuple[FoundPath, NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """Mean squared errors on the test part of each fold, shape (n_alphas, ..., n_folds); one warning for all paths.

    candidates : takes the training data, and returns its path at the alphas and the residuals of all samples at
    every candidate, of shape (n_samples, n_alphas, ...). A fold counts as much as another, whatever its weight, but
    one whose test samples all have the weight 0 says nothing and is left out.
    """

    def error(split: tuple[NDArray[np.intp], NDArray[np.intp]]) -> tuple[FoundPath, NDArray[np.float64]]:
        train, test = split
        found, rest = candidates(part(data, train))
        weight = None if data.sample_weight is None else data.sample_weight[test]
        return found, np.average(rest[test] ** 2, axis=0, weights=weight)

    splits = [
        (train, test)
        for train, test in check_cv(estimator.cv).split(data.X, data.y)
        if data.sample_weight is None or data.sample_weight[test].any()
    ]
    if not splits:
        raise ValueError("no fold has a test sample of positive weight; use another splitter")
    done = in_threads(error, splits, estimator.n_jobs)
    worst = max((found for found, _ in done), key=lambda found: float(found.relative_gaps.max()))
    fewest = min((found for found, _ in done), key=lambda found: len(found.alphas))
    missing = len(alphas) - len(fewest.alphas)
    status = fewest.status if missing else worst.status
    warn_unconverged(float(worst.relative_gaps.max()), Units.tol(estimator.tol), status.value, missing)
    return np.stack([errors for _, errors in done], axis=-1)


def extended(columns: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The columns, the last one repeated up to so many: what a path that ran out of time has to say."""
    made: NDArray[np.float64] = columns[:, np.minimum(np.arange(count), columns.shape[1] - 1)]
    return made
