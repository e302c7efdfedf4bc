"""LassoIC: the strength of the Lasso by an information criterion.

minimise over k:   -2 log L(w_k) + c df_k,   w_k the Lasso at alpha_k, df_k the size of its support

Source: Zou, Hastie and Tibshirani (Ann. Statist. 2007) for df; Chen and Chen (Biometrika 2008) for EBIC.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from l1fast.estimators._base import (
    NOTHING,
    Data,
    Fit,
    LinearRegressor,
    Rule,
    check_parameters,
    choice,
    read_data,
    real,
    settle,
)
from l1fast.estimators._cv import within
from l1fast.estimators._docs import documented
from l1fast.estimators._selection import SHARED, at, deadline_of, falling_alphas, residuals, weighted_sum

Vector = NDArray[np.float64]

RULES = {
    **SHARED,
    "criterion": choice("aic", "bic", "ebic"),
    "gamma": real(0, 1),
    "noise_variance": Rule("'profile'", lambda value: isinstance(value, str) and value == "profile")
    | real(0, open_low=True)
    | NOTHING,
}

OLS_TOL = 1e-10
"""Relative gap of the least squares fit behind a noise variance: far below what the variance itself is known to."""


def log_binomial(n: int, k: NDArray[np.int64]) -> Vector:
    """The logarithm of n over k."""
    made: Vector = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return made


def deviance(rss: Vector, n: float, noise_variance: float | None) -> Vector:
    """-2 log L of a Gaussian model with this residual sum of squares; without a variance, at its best: rss / n."""
    made: Vector
    if noise_variance is None:
        made = n * np.log(2.0 * np.pi * rss / n) + n
        return made
    made = n * np.log(2.0 * np.pi * noise_variance) + rss / noise_variance
    return made


@documented
class LassoIC(LinearRegressor):
    """The Lasso with alpha chosen by AIC, BIC or the extended BIC along the whole path.

    minimise over k:   -2 log L_k + c df_k

    where w_k minimises the objective of `l1fast.Lasso` at alpha_k, df_k is the number of its non-zero coefficients,
    c = 2 (AIC) or log n (BIC, EBIC), and with rss_k = sum_i s_i (y_i - x_i'w_k - b_k)^2 and n = sum_i s_i

    * -2 log L_k = n log(2 pi sigma2) + rss_k / sigma2, for a known or estimated noise variance sigma2, or
    * -2 log L_k = n log(2 pi rss_k / n) + n, the likelihood at its best variance (``noise_variance="profile"``).

    EBIC adds 2 gamma log(p choose df_k): among p features there are many models of a size, and BIC with its equal
    prior for all of them takes too many when p is large.

    Parameters
    ----------
    criterion : {{'aic', 'bic', 'ebic'}}, default='aic'
    gamma : float, default=0.5
        Between 0 (BIC) and 1; for EBIC alone. Consistent for p = O(n^k) when gamma > 1 - 1 / (2 k).
    {eps}
    noise_variance : float, 'profile' or None, default=None
        sigma2. None: the residual variance of least squares on all features, rss / (n - p - 1), without the 1 if there
        is no intercept; an error if n is too small for that.
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
        The alpha chosen; of several with the same criterion, the largest.
    alphas_ : ndarray of shape (n_alphas,)
        The alphas tried, falling.
    criterion_ : ndarray of shape (n_alphas,)
        The criterion at each; infinite where 'profile' means nothing, for ``df_`` + 1 >= n.
    df_ : ndarray of int64, shape (n_alphas,)
        Non-zero coefficients.
    noise_variance_ : float
        sigma2; with 'profile', rss / n of the model chosen.
    {coef_}

    Raises
    ------
    ValueError
        The noise variance cannot be estimated, or data or a parameter are out of range.

    See Also
    --------
    StabilitySelection : Features that are selected again and again.

    Notes
    -----
    Between two alphas at which the support changes, the residuals grow with alpha and df is constant: the criterion is
    smallest just above a change, and on a grid at the smallest alpha of a support. A finer grid comes nearer to it.

    Weights count as repetitions, as n = sum_i s_i shows: multiplied by a constant they choose another model. With
    linearly dependent columns ``df_`` may exceed the rank of the support, the better count (Tibshirani and Taylor,
    Ann. Statist. 2012). With 'profile', a path that comes near to interpolation (df near n) has no finite minimum of
    the likelihood: end it before, with a larger eps.

    The squared penalty of the elastic net has other degrees of freedom; only the Lasso is supported. Cost: that of
    `l1fast.path`, one product of X with n_alphas vectors (and as many residuals of length n_samples), and a least
    squares fit where the variance is estimated.

    References
    ----------
    Zou, Hastie and Tibshirani, "On the degrees of freedom of the lasso", Ann. Statist. 35 (2007).
    Chen and Chen, "Extended Bayesian information criteria for model selection with large model spaces", Biometrika 95
    (2008).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = X[:, 3] - 2.0 * X[:, 7] + 0.5 * rng.standard_normal(100)
    >>> np.flatnonzero(l1fast.LassoIC("ebic").fit(X, y).coef_)
    array([3, 7])
    """

    def __init__(
        self,
        criterion: str = "aic",
        *,
        gamma: float = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        noise_variance: Any = None,
        fit_intercept: bool = True,
        positive: bool = False,
        penalty_factor: Any = None,
        standardize: bool = False,
        tol: float = 1e-4,
        max_iter: int | None = 1000,
        time_limit: float | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.criterion = criterion
        self.gamma = gamma
        self.eps = eps
        self.alphas = alphas
        self.noise_variance = noise_variance
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LassoIC:
        """Fit the path and choose alpha.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            s_i >= 0.

        Returns
        -------
        LassoIC
            Itself.
        """
        check_parameters(self, RULES)
        deadline = deadline_of(self.time_limit)
        data = read_data(self, X, y, sample_weight, parted=True)
        fit = Fit.of(self, data)
        variance = self.noise_variance
        if variance is None:
            variance = self._estimated_variance(within(fit, deadline), data)
        alphas = falling_alphas(fit, data.y, self.alphas, self.eps)
        found = within(fit, deadline).path(data.y, alphas)
        fit.judge(found, len(alphas))
        n, p, constant = data.total, data.X.shape[1], int(self.fit_intercept)
        rss = np.asarray(weighted_sum(data, residuals(data, found.coefs, found.intercepts) ** 2))
        floor = rounding(data)
        df = np.count_nonzero(found.coefs, axis=0).astype(np.int64)
        profile = isinstance(variance, str)
        value = deviance(np.maximum(rss, floor), n, None if profile else max(variance, floor / n))
        value += df * (2.0 if self.criterion == "aic" else np.log(n))
        if self.criterion == "ebic":
            free = np.zeros(p, dtype=bool) if self.penalty_factor is None else np.asarray(self.penalty_factor) == 0.0
            chosen = np.count_nonzero(found.coefs[~free], axis=0)  # unpenalised features are in every model
            value += 2.0 * self.gamma * log_binomial(int(p - free.sum()), chosen)
        if profile:
            value[(df > 0) & (df + constant >= n)] = np.inf
        best = int(np.argmin(value))
        self.alphas_, self.criterion_, self.df_ = found.alphas, value, df
        self.alpha_ = float(found.alphas[best])
        self.noise_variance_ = float(rss[best] / n) if profile else float(variance)
        settle(self, [at(found, best)], data)
        return self

    def _estimated_variance(self, fit: Fit, data: Data) -> float:
        """Rss / (n - p - intercept) of least squares, within the bounds."""
        n, p, constant = data.total, data.X.shape[1], int(self.fit_intercept)
        if n <= p + constant:
            raise ValueError(
                f"the noise variance cannot be estimated by least squares from {n:g} samples (in total weight) with "
                f"{p} features{' and an intercept' if constant else ''}; give noise_variance, a number or 'profile'"
            )
        exact = within(fit, None, tol=min(OLS_TOL, fit.controls["tol"]))
        full = exact.solve(data.y, 0.0)
        fit.judge(full)
        rest = residuals(data, full.coef[:, None], np.array([full.intercept]))
        return float(weighted_sum(data, rest**2)[0] / (n - p - constant))


def rounding(data: Data) -> float:
    """What rounding leaves of a residual sum of squares that is 0; above 0 always, so that it has a logarithm."""
    size = float(np.abs(data.y).max(initial=0.0)) * float(np.finfo(np.float64).eps)
    return max(data.total * size**2, float(np.finfo(np.float64).tiny))
