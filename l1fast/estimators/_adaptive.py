"""AdaptiveLasso: the Lasso with weights from a first estimate, once or again and again.

minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j |w_j| / (|w0_j| + eps)^gamma

Source: Zou (J. Am. Stat. Assoc. 2006); Candes, Wakin and Boyd (J. Fourier Anal. Appl. 2008) for the iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l1fast._result import quietly
from l1fast._solve import solve
from l1fast._validation import as_vector
from l1fast.estimators._base import (
    ARRAY,
    Data,
    Fit,
    FoundPath,
    LinearRegressor,
    check_parameters,
    choice,
    column_scales,
    column_variances,
    integer,
    plain_errors,
    read_data,
    real,
    settle,
    warn_unconverged,
)
from l1fast.estimators._cv import within
from l1fast.estimators._docs import documented
from l1fast.estimators._selection import (
    SHARED,
    at,
    deadline_of,
    extended,
    falling_alphas,
    fold_errors,
    passed,
    residuals,
    weighted_sum,
)

Vector = NDArray[np.float64]

RULES = {
    **SHARED,
    "gamma": real(0, open_low=True),
    "initial": choice("ridge", "ols", "lasso") | ARRAY,
    "n_reweights": integer(1),
    "weight_eps": real(0, open_low=True),
}

RIDGE_PART = 0.1
"""Strength of the ridge behind the weights, as a part of the mean of the eigenvalues that X'SX can have beside 0.

It bounds the condition of a noisy problem at little bias of the large coefficients; the weights need no more.
"""


@dataclass(frozen=True)
class Reweighting:
    """How a first estimate makes weights: of u = scale w, with scale the standard deviations or ones.

    Attributes
    ----------
    fit : Fit
        The problem with the penalty sum_j v_j |u_j|.
    data : Data
    v, scale : ndarray of float64, shape (n_features,)
    gamma : float
    eps : float
        In units of u.
    """

    fit: Fit
    data: Data
    v: Vector
    scale: Vector
    gamma: float
    eps: float = 1.0

    @classmethod
    def of(cls, estimator: Any, data: Data, deadline: float | None, **controls: Any) -> Reweighting:
        """For an estimator, eps not known yet."""
        fit, ones = within(Fit.of(estimator, data), deadline, **controls), np.ones(data.X.shape[1])
        weights, scale = fit.options["penalty_weights"], ones
        if estimator.standardize:
            scale = column_scales(data, estimator.fit_intercept, estimator.n_threads)
        return cls(fit, data, ones if weights is None else weights / scale, scale, estimator.gamma)

    def with_eps(self, part: float, w: Vector) -> Reweighting:
        """With eps a part of the largest |u_j| of a first estimate; 1 if there is none, so that all weights are v_j."""
        eps = part * float(np.abs(self.scale * w).max(initial=0.0))
        return replace(self, eps=eps if eps > 0.0 else 1.0)

    def at(self, w: Vector) -> Fit:
        """The problem with the penalty sum_j v_j |u_j| / (|u0_j| + eps)^gamma, u0 = scale w."""
        weights = self.v * self.scale / (np.abs(self.scale * w) + self.eps) ** self.gamma
        return replace(self.fit, options={**self.fit.options, "penalty_weights": weights})

    def penalty(self, w: Vector) -> float:
        """sum_j v_j phi(|u_j|): phi has the slope (t + eps)^-gamma, and reweighting majorises it by its tangents."""
        t = np.abs(self.scale * w) + self.eps
        phi = np.log(t) if self.gamma == 1.0 else t ** (1.0 - self.gamma) / (1.0 - self.gamma)
        return float(self.v @ phi)

    def first(self, initial: Any, alpha: float | None) -> Vector:
        """w0: an array as it is, or the estimate of that name."""
        fit, data = self.fit, self.data
        if not isinstance(initial, str):
            return as_vector("initial", initial, data.X.shape[1])
        if initial == "lasso":
            assert alpha is not None
            found = fit.solve(data.y, alpha)
            fit.judge(found)
            return found.coef
        l2, intercept = 0.0, fit.options["fit_intercept"]
        if initial == "ols" and data.total <= len(self.v) + int(intercept):
            raise ValueError(
                f"initial='ols' has no unique answer for {data.total:g} samples (in total weight) with {len(self.v)} "
                "features; use initial='ridge' or 'lasso'"
            )
        options = {**fit.options, "penalty_weights": self.v * self.scale**2}
        with quietly(), plain_errors(fit.X, fit.name):
            if initial == "ridge":
                trace = float(np.sum(column_variances(data, intercept, fit.controls["n_threads"]) / self.scale**2))
                l2 = RIDGE_PART * data.total * trace / min(data.total, len(self.v))
            result = solve(fit.X, data.y, 0.0, l2=l2, **options, **fit.controls)
        warn_unconverged(result.dual_gap, fit.tol, result.status.value)
        return result.coef


@documented
class AdaptiveLasso(LinearRegressor):
    """The Lasso whose penalty on a coefficient falls with a first estimate of it.

    minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j u_j |w_j|

    with S = sum_i s_i, v = penalty_factor and u_j = (|w0_j| + eps)^-gamma. Large coefficients are shrunk less than by
    the Lasso, small ones more: with the right alpha the support is found consistently under conditions on w0 alone,
    where the Lasso needs some on X (Zou 2006).

    With n_reweights = K > 1 the solution takes the place of w0, K - 1 times more (Candes, Wakin and Boyd 2008). Each of
    these steps minimises a tangent from above of

    F(w, b) = 1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j phi(|w_j|),   phi(t) = log(t + eps) for gamma = 1

    and (t + eps)^(1 - gamma) / (1 - gamma) otherwise, so that F never grows.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty >= 0. Its unit is that of y^2 for gamma = 1.
    gamma : float, default=1.0
        Above 0.
    initial : {{'ridge', 'ols', 'lasso'}} or array-like of shape (n_features,), default='ridge'
        w0. 'ridge' has the l2 penalty trace(X'SX) / (10 min(S, n_features)) in sums over samples (on v_j w_j^2 / 2);
        'ols' needs more samples than features; 'lasso' has the same alpha with u_j = 1.
    n_reweights : int, default=1
        K.
    weight_eps : float, default=1e-3
        eps as a part of max_j |w0_j|; the same in all steps.
    {fit_intercept}
    {positive}
    {penalty_factor}
    {standardize}
    {tol}
    {max_iter}
    {time_limit}
    {n_threads}

    Attributes
    ----------
    {coef_}
    initial_coef_ : ndarray of float64, shape (n_features,)
        w0. ``n_iter_`` does not count the steps to it.
    eps_ : float
        eps. It is 1 if w0 is 0, so that all u_j are 1.
    weights_ : ndarray of float64, shape (n_features,)
        v_j u_j of the last step. With ``standardize`` w stands for the coefficients of the scaled columns everywhere in
        these formulas, and ``weights_`` is for those of X as given.
    objectives_ : ndarray of float64, shape (n_reweights + 1,)
        F at w0 (with its best intercept) and after every step; fewer if time ran out.

    See Also
    --------
    AdaptiveLassoCV : With alpha chosen by cross-validation.
    RelaxedLasso : Another cure for the bias of the Lasso.

    Notes
    -----
    ``dual_gap_`` certifies the weighted Lasso of the last step. F is not convex: its minimum over all w is not
    certified.
    Cost: a solve for w0 and one for each step, each from the last solution.

    References
    ----------
    Zou, "The adaptive lasso and its oracle properties", J. Am. Stat. Assoc. 101 (2006).
    Candes, Wakin and Boyd, "Enhancing sparsity by reweighted l1 minimization", J. Fourier Anal. Appl. 14 (2008).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = X[:, 3] - 2.0 * X[:, 7] + 0.5 * rng.standard_normal(100)
    >>> np.flatnonzero(l1fast.Lasso(alpha=0.1).fit(X, y).coef_)
    array([ 2,  3,  7, 17])
    >>> np.flatnonzero(l1fast.AdaptiveLasso(alpha=0.05).fit(X, y).coef_)
    array([3, 7])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        gamma: float = 1.0,
        initial: Any = "ridge",
        n_reweights: int = 1,
        weight_eps: float = 1e-3,
        fit_intercept: bool = True,
        positive: bool = False,
        penalty_factor: Any = None,
        standardize: bool = False,
        tol: float = 1e-4,
        max_iter: int | None = 1000,
        time_limit: float | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.gamma = gamma
        self.initial = initial
        self.n_reweights = n_reweights
        self.weight_eps = weight_eps
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> AdaptiveLasso:
        """Fit w0 and the weighted Lasso, n_reweights times.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            s_i >= 0.

        Returns
        -------
        AdaptiveLasso
            Itself.
        """
        check_parameters(self, RULES)
        deadline = deadline_of(self.time_limit)
        data = read_data(self, X, y, sample_weight)
        weighting = Reweighting.of(self, data, deadline)
        w = weighting.first(self.initial, self.alpha)
        weighting = weighting.with_eps(self.weight_eps, w)
        self.initial_coef_, self.eps_ = w, weighting.eps
        objectives, found, n_iter = [self._objective(weighting, w)], None, 0
        while found is None or (len(objectives) <= self.n_reweights and not passed(deadline)):
            step = within(weighting.at(w), deadline)
            found = step.solve(data.y, self.alpha, start=None if found is None else w)
            w, n_iter = found.coef, n_iter + max(found.n_iter, 1)
            objectives.append(self._objective(weighting, w))
        step.judge(found)
        self.weights_ = step.options["penalty_weights"]
        self.objectives_ = np.array(objectives)
        settle(self, [replace(found, n_iter=n_iter)], data)
        return self

    def _objective(self, weighting: Reweighting, w: Vector) -> float:
        """F at w and its best intercept."""
        data = weighting.data
        rest = residuals(data, w[:, None], np.zeros(1))
        if self.fit_intercept:
            rest -= weighted_sum(data, rest) / data.total
        return float(weighted_sum(data, rest**2)[0]) / (2.0 * data.total) + self.alpha * weighting.penalty(w)


@documented
class AdaptiveLassoCV(LinearRegressor):
    """`AdaptiveLasso` with alpha chosen by cross-validation, weights made anew in every fold.

    Weights from all data know the test samples of a fold already, and cross-validation with them prefers too small an
    alpha. So each fold estimates w0 from its own training samples; with the alpha of the smallest mean error, weights
    and model are fitted to all data.

    Parameters
    ----------
    gamma : float, default=1.0
    initial : {{'ridge', 'ols'}}, default='ridge'
    weight_eps : float, default=1e-3
        As in `AdaptiveLasso`.
    {eps}
    cv : int, cross-validation generator or iterable, default=None
        As in scikit-learn: the number of folds (None: 5), a splitter, or (train, test) pairs of indices.
    n_jobs : int, default=None
        Folds fitted at once, in threads; -1 for as many as there are cores. The result does not depend on it.
    {fit_intercept}
    {positive}
    {penalty_factor}
    {standardize}
    {tol}
    {max_iter}
    {time_limit}
    {n_threads}

    Attributes
    ----------
    alpha_ : float
        The alpha chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The alphas tried, falling.
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared error on the test part of each fold, weighted by sample_weight.
    {coef_}
    initial_coef_, eps_, weights_
        As in `AdaptiveLasso`, of the fit to all data.

    See Also
    --------
    AdaptiveLasso : At one alpha, with more kinds of w0 and more steps.

    Notes
    -----
    Cost: a solve and a path for each fold and once more for all data; no fold copies X. If time runs out in a fold, its
    alphas not reached keep the last model found.

    References
    ----------
    Zou, "The adaptive lasso and its oracle properties", J. Am. Stat. Assoc. 101 (2006).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = X[:, 3] - 2.0 * X[:, 7] + 0.5 * rng.standard_normal(100)
    >>> l1fast.AdaptiveLassoCV().fit(X, y).coef_[[3, 7]].round(1)
    array([ 1.1, -2. ])
    """

    def __init__(
        self,
        *,
        gamma: float = 1.0,
        initial: str = "ridge",
        weight_eps: float = 1e-3,
        eps: float = 1e-3,
        alphas: Any = 100,
        cv: Any = None,
        n_jobs: int | None = None,
        fit_intercept: bool = True,
        positive: bool = False,
        penalty_factor: Any = None,
        standardize: bool = False,
        tol: float = 1e-4,
        max_iter: int | None = 1000,
        time_limit: float | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.gamma = gamma
        self.initial = initial
        self.weight_eps = weight_eps
        self.eps = eps
        self.alphas = alphas
        self.cv = cv
        self.n_jobs = n_jobs
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> AdaptiveLassoCV:
        """Choose alpha on the folds and fit all data with it.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            s_i >= 0.

        Returns
        -------
        AdaptiveLassoCV
            Itself.
        """
        check_parameters(self, {**RULES, "initial": choice("ridge", "ols")})
        deadline = deadline_of(self.time_limit)
        data = read_data(self, X, y, sample_weight, parted=True)
        weighting, self.initial_coef_ = self._weighted(data, deadline)
        self.eps_, fit = weighting.eps, weighting.at(self.initial_coef_)
        alphas = falling_alphas(fit, data.y, self.alphas, self.eps)

        def candidates(training: Data) -> tuple[FoundPath, NDArray[np.float64]]:
            there, w = self._weighted(training, deadline, n_threads=self.n_threads or 1)
            found = within(there.at(w), deadline).path(data.y, alphas)
            return found, extended(residuals(data, found.coefs, found.intercepts), len(alphas))

        self.alphas_ = alphas
        self.mse_path_ = fold_errors(self, data, alphas, candidates)
        best = int(np.argmin(self.mse_path_.mean(axis=-1)))
        self.alpha_, self.weights_ = float(alphas[best]), fit.options["penalty_weights"]
        found = within(fit, deadline).path(data.y, alphas[: best + 1])
        fit.judge(found, best + 1)
        settle(self, [at(found, -1)], data)
        return self

    def _weighted(self, data: Data, deadline: float | None, **controls: Any) -> tuple[Reweighting, Vector]:
        """How the weights are made of some data, and the w0 that makes them."""
        weighting = Reweighting.of(self, data, deadline, **controls)
        w = weighting.first(self.initial, None)
        return weighting.with_eps(self.weight_eps, w), w
