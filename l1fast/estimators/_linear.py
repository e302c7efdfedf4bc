"""Lasso and ElasticNet: the problem of `l1fast.estimators` at one alpha."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin
from sklearn.utils import metadata_routing

from l1fast.estimators._base import (
    ARRAY,
    COMMON,
    FLAG,
    Data,
    Fit,
    LinearRegressor,
    check_parameters,
    read_data,
    real,
    settle,
)

RULES = {"alpha": real(0), "l1_ratio": real(0, 1), "precompute": FLAG | ARRAY, "warm_start": FLAG, **COMMON}


class ElasticNet(MultiOutputMixin, LinearRegressor):  # type: ignore[misc]
    """Elastic net."""

    __metadata_request__fit = {"check_input": metadata_routing.UNUSED}

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        precompute: Any = False,
        max_iter: int | None = 1000,
        copy_X: bool = True,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        penalty_factor: Any = None,
        lower_bounds: Any = None,
        upper_bounds: Any = None,
        standardize: bool = False,
        time_limit: float | None = None,
        callback: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.penalty_factor = penalty_factor
        self.lower_bounds = lower_bounds
        self.upper_bounds = upper_bounds
        self.standardize = standardize
        self.time_limit = time_limit
        self.callback = callback
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> ElasticNet:
        """Fit the model."""
        check_parameters(self, RULES)
        if self.alpha == 0:
            warnings.warn(
                "With alpha=0, this algorithm does not converge well. You are advised to use the LinearRegression "
                "estimator",
                stacklevel=2,
            )
        data = read_data(self, X, y, sample_weight, multi_output=True, check_input=check_input)
        fit = Fit.of(self, data, self.l1_ratio)
        targets = data.y[:, None] if data.y.ndim == 1 else data.y
        starts = self._starts(data, targets.shape[1])
        found = [
            fit.solve(np.ascontiguousarray(target), self.alpha, start, self.callback)
            for target, start in zip(targets.T, starts, strict=True)
        ]
        settle(self, found, data)
        return self

    def _starts(self, data: Data, n_targets: int) -> Any:
        """Where to start for each target: the last coef_ with warm_start."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return [None] * n_targets
        last, shape = np.atleast_2d(self.coef_), (n_targets, data.X.shape[1])
        if last.shape != shape:
            raise ValueError(
                f"warm_start=True, but coef_ of the last fit has shape {np.shape(self.coef_)}, and this fit needs {shape}; "
                "set warm_start=False for new data, or delete coef_"
            )
        return last


class Lasso(ElasticNet):
    """The Lasso."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        precompute: Any = False,
        copy_X: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        penalty_factor: Any = None,
        lower_bounds: Any = None,
        upper_bounds: Any = None,
        standardize: bool = False,
        time_limit: float | None = None,
        callback: Any = None,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            l1_ratio=1.0,
            fit_intercept=fit_intercept,
            precompute=precompute,
            copy_X=copy_X,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            positive=positive,
            random_state=random_state,
            selection=selection,
            penalty_factor=penalty_factor,
            lower_bounds=lower_bounds,
            upper_bounds=upper_bounds,
            standardize=standardize,
            time_limit=time_limit,
            callback=callback,
            n_threads=n_threads,
        )
