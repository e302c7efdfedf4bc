"""Lasso and ElasticNet: the problem of `l1fast.estimators` at one alpha."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

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
    check_gram,
    check_parameters,
    read_data,
    real,
    settle,
)
from l1fast.estimators._docs import documented
from l1fast.estimators._paths import enet_path

RULES = {"alpha": real(0), "l1_ratio": real(0, 1), "precompute": FLAG | ARRAY, "warm_start": FLAG, **COMMON}


@documented
class ElasticNet(MultiOutputMixin, LinearRegressor):
    """Linear regression with L1 and squared L2 penalties: a drop-in for `sklearn.linear_model.ElasticNet`.

    minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j (r |w_j| + (1 - r)/2 w_j^2)

    with S = sum_i s_i (n_samples without weights), r = l1_ratio and v = penalty_factor. Several targets are fitted one
    by one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty >= 0.
    l1_ratio : float, default=0.5
        r between 0 (squared penalty alone) and 1 (the Lasso).
    {fit_intercept}
    {precompute}
    {max_iter}
    {copy_X}
    {tol}
    {warm_start}
    {positive}
    {random_state}
    {penalty_factor}
    {bounds}
    {standardize}
    {time_limit}
    {callback}
    {n_threads}

    Attributes
    ----------
    {coef_}

    See Also
    --------
    ElasticNetCV : With alpha and l1_ratio chosen by cross-validation.
    l1fast.solve : The solver, in sums over samples.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. Cost and memory: as of `l1fast.solve`; with
    ``standardize`` one read of X more, and with an l2 penalty a copy of X.

    Examples
    --------
    >>> import l1fast
    >>> model = l1fast.ElasticNet(alpha=0.1, l1_ratio=0.5)
    >>> model.fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2]).coef_.round(4)
    array([0.4458, 0.4458])
    >>> model.predict([[3, 3]]).round(4)
    array([2.7831])
    """

    __metadata_request__fit: ClassVar = {"check_input": metadata_routing.UNUSED}
    path = staticmethod(enet_path)

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
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Used without a copy in float32 or float64, in any order and any sparse format that `l1fast.solve` takes;
            so are blocks of rows and linear operators.
        y : array-like, shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            s >= 0; only their ratios matter. 0 drops a sample.
        check_input : bool, default=True
            False leaves out scikit-learn's checks; X must be an array of floats or sparse then. What the solver needs
            for safety is checked in any case.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            A parameter, X, y or the weights are not what they must be.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            The gap is above tol. It is a `l1fast.ConvergenceWarning` too.
        """
        check_parameters(self, RULES)
        if self.alpha == 0:
            warnings.warn(
                "With alpha=0, this algorithm does not converge well. You are advised to use the LinearRegression "
                "estimator",
                stacklevel=2,
            )
        data = read_data(self, X, y, sample_weight, multi_output=True, check_input=check_input, blocks=True)
        check_gram(self.precompute, data, self.fit_intercept)
        fit = Fit.of(self, data, self.l1_ratio)
        targets = data.y[:, None] if data.y.ndim == 1 else data.y
        starts = self._starts(data, targets.shape[1])
        found = [
            fit.solve(np.ascontiguousarray(target), self.alpha, start, self.callback)
            for target, start in zip(targets.T, starts, strict=True)
        ]
        for one in found:
            fit.judge(one)
        settle(self, found, data)
        return self

    def _starts(self, data: Data, n_targets: int) -> Any:
        """Where to start for each target: the last coef_ with warm_start."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return [None] * n_targets
        last, shape = np.atleast_2d(self.coef_), (n_targets, data.X.shape[1])
        if last.shape != shape:
            raise ValueError(
                f"warm_start=True, but coef_ of the last fit has shape {np.shape(self.coef_)}, and this fit needs {shape}; "  # noqa: E501
                "set warm_start=False for new data, or delete coef_"
            )
        return last


@documented
class Lasso(ElasticNet):
    """Linear regression with an L1 penalty: a drop-in for `sklearn.linear_model.Lasso`.

    minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j |w_j|

    with S = sum_i s_i (n_samples without weights) and v = penalty_factor. Several targets are fitted one by one.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty >= 0.
    {fit_intercept}
    {precompute}
    {copy_X}
    {max_iter}
    {tol}
    {warm_start}
    {positive}
    {random_state}
    {penalty_factor}
    {bounds}
    {standardize}
    {time_limit}
    {callback}
    {n_threads}

    Attributes
    ----------
    {coef_}

    See Also
    --------
    LassoCV : With alpha chosen by cross-validation.
    l1fast.solve : The solver, in sums over samples.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. Cost and memory: as of `l1fast.solve`.

    Examples
    --------
    >>> import l1fast
    >>> model = l1fast.Lasso(alpha=0.1).fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2])
    >>> float(model.coef_.sum().round(4))
    0.85
    >>> l1fast.Lasso(alpha=0.1, penalty_factor=[1, 0]).fit([[0, 0], [1, 1], [2, 2]], [0, 1, 2]).coef_.round(4)
    array([0., 1.])
    """

    path = staticmethod(enet_path)

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
