"""RelaxedLasso: between the Lasso and least squares on its support.

w = phi w_lasso + (1 - phi) w_ls,   w_ls = argmin over w with w_j = 0 off the support:  sum_i s_i (y_i - x_i'w - b)^2

Source: Meinshausen (Comput. Stat. Data Anal. 2007); this form: Hastie, Tibshirani and Tibshirani (Stat. Sci. 2020,
equation 4).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpocon, dpotrf

from l1fast._result import quietly
from l1fast._solve import make_problem, read_penalty, solve
from l1fast._validation import as_storage, as_thread_count, as_vector
from l1fast.estimators._base import (
    ARRAY,
    Data,
    Fit,
    Found,
    FoundPath,
    LinearRegressor,
    check_parameters,
    plain_errors,
    read_data,
    real,
    settle,
)
from l1fast.estimators._cv import within
from l1fast.estimators._docs import documented
from l1fast.estimators._selection import SHARED, at, deadline_of, extended, falling_alphas, fold_errors, residuals

Vector = NDArray[np.float64]

RULES = {**SHARED, "phi": real(0, 1), "phis": ARRAY}

WELL_CONDITIONED = 1e-8
"""Inverse condition of a Gram matrix with a unit diagonal above which its Cholesky factor, with one correction from the
columns themselves, is as good as an orthogonal factorisation (Bjorck, Linear Algebra Appl. 1987)."""

NONNEGATIVE_TOL = 1e-12
"""Relative gap of least squares with w >= 0: far below what the blend can show."""

PHIS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The blends that are tried when nothing is said: those of glmnet."""


class Refit:
    """Least squares on one support after another, all within some features.

    Attributes
    ----------
    columns : ndarray of float64, shape (n_samples, n_columns)
        sqrt(s) (X - mean) for the features in question, dense.
    target : ndarray of float64, shape (n_samples,)
        sqrt(s) (y - mean).
    gram : ndarray of float64, shape (n_columns, n_columns)
        columns' columns, and product = columns' target.
    """

    def __init__(self, fit: Fit, y: Vector, features: NDArray[np.intp], positive: bool) -> None:
        p, weight = fit.X.shape[1], fit.options["sample_weight"]
        penalty = read_penalty(0.0, 0.0, None, None, False, p)
        with plain_errors(fit.X, fit.name):
            storage, threads = as_storage(fit.X), as_thread_count(fit.controls["n_threads"])
            problem = make_problem(storage, y, penalty, fit.options["fit_intercept"], weight, threads)
        self.problem, self.features, self.positive = problem, features, positive
        self.columns = problem.array(features)
        root = problem.datafit.root
        self.target: Vector = problem.datafit.centred if weight is None else root * problem.datafit.centred
        self.gram, self.product = self.columns.T @ self.columns, self.columns.T @ self.target

    def coef(self, support: NDArray[np.intp]) -> Vector:
        """w_ls on this part of the features, as a vector over all features."""
        made = np.zeros(self.problem.shape[1])
        inside = np.searchsorted(self.features, support)
        if inside.size:
            factored = self._factored(inside)
            fitted: NDArray[Any] = (
                np.linalg.lstsq(self.columns[:, inside], self.target, rcond=None)[0] if factored is None else factored
            )
            if self.positive and fitted.min() < 0.0:
                with quietly():
                    columns = self.columns[:, inside]
                    fitted = solve(columns, self.target, 0.0, positive=True, tol=NONNEGATIVE_TOL).coef
            made[support] = fitted
        return made

    def _factored(self, inside: NDArray[np.intp]) -> Vector | None:
        """By the normal equations of unit columns, corrected once; None where these are not sound."""
        if inside.size > len(self.target):
            return None
        gram = self.gram[np.ix_(inside, inside)]
        size = np.sqrt(np.diag(gram))
        if not size.all():
            return None
        unit = gram / np.outer(size, size)
        factor, failed = dpotrf(unit, lower=1)
        if failed or dpocon(factor, np.abs(unit).sum(axis=0).max(), uplo="L")[0] < WELL_CONDITIONED:
            return None
        made: Vector = cho_solve((factor, True), self.product[inside] / size) / size
        columns = self.columns[:, inside]
        made += cho_solve((factor, True), (columns.T @ (self.target - columns @ made)) / size) / size
        return made

    def intercept(self, coef: Vector) -> float:
        """The best constant for the coefficients."""
        return self.problem.intercept(coef)


def refitted(estimator: Any, fit: Fit, data: Data, coefs: NDArray[np.float64]) -> tuple[NDArray[np.float64], Vector]:
    """w_ls and its constant for the support of every column of coefs; unpenalised features are in every support."""
    factor = estimator.penalty_factor
    free = np.zeros(len(coefs), dtype=bool)
    if factor is not None:
        free = as_vector("penalty_factor", factor, len(coefs)) == 0.0
    inside = (coefs != 0.0) | free[:, None]
    refit = Refit(fit, data.y, np.flatnonzero(inside.any(axis=1)), estimator.positive)
    made, last = np.zeros_like(coefs), None
    for k, support in enumerate(map(np.flatnonzero, inside.T)):
        same = last is not None and np.array_equal(support, last)
        made[:, k] = made[:, k - 1] if same else refit.coef(support)
        last = support
    return made, np.array([refit.intercept(coef) for coef in made.T])


@documented
class RelaxedLasso(LinearRegressor):
    """A blend of the Lasso and of least squares on the support that the Lasso finds.

    w = phi w_lasso + (1 - phi) w_ls

    w_lasso minimises the objective of `l1fast.Lasso`, 1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j |w_j|,
    and w_ls minimises sum_i s_i (y_i - x_i'w - b)^2 among all w with w_j = 0 where w_lasso is 0 and penalised: the one
    of least Euclidean norm if there are many. The Lasso shrinks what it selects; phi says how much of that stays, apart
    from how many features alpha lets in.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty >= 0.
    phi : float, default=0.0
        Between 0 (least squares on the support) and 1 (the Lasso). In Meinshausen's form phi multiplies the strength
        of a second Lasso on the support; the two agree while no sign changes between w_lasso and w_ls.
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
    lasso_coef_, least_squares_coef_ : ndarray of float64, shape (n_features,)
        w_lasso and w_ls.

    See Also
    --------
    RelaxedLassoCV : With alpha and phi chosen by cross-validation.
    AdaptiveLasso : Another cure for the bias of the Lasso.

    Notes
    -----
    ``dual_gap_`` is that of w_lasso. With ``positive``, w_ls >= 0 too, and is one of the minimisers where there are
    many.
    Cost: a solve, and least squares on the support, of which a dense copy is made.

    References
    ----------
    Meinshausen, "Relaxed Lasso", Comput. Stat. Data Anal. 52 (2007).
    Hastie, Tibshirani and Tibshirani, "Best subset, forward stepwise or lasso? Analysis and recommendations based on
    extensive comparisons", Stat. Sci. 35 (2020), arXiv 1707.08692 (2017).

    Examples
    --------
    >>> import l1fast
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [4.0, 0.5, -4.0, -0.5]
    >>> l1fast.RelaxedLasso(alpha=1.0, phi=1.0).fit(X, y).coef_
    array([2., 0.])
    >>> l1fast.RelaxedLasso(alpha=1.0, phi=0.0).fit(X, y).coef_
    array([4., 0.])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        phi: float = 0.0,
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
        self.phi = phi
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RelaxedLasso:
        """Fit the Lasso, and least squares on its support.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            s_i >= 0.

        Returns
        -------
        RelaxedLasso
            Itself.
        """
        check_parameters(self, RULES)
        data = read_data(self, X, y, sample_weight, parted=True)
        fit = Fit.of(self, data)
        found = fit.solve(data.y, self.alpha)
        fit.judge(found)
        settle(self, [blended(self, fit, data, found, self.phi)], data)
        return self


def blended(estimator: Any, fit: Fit, data: Data, found: Found, phi: float) -> Found:
    """The blend with one solution of the Lasso, whose parts are kept in the estimator."""
    coefs, intercepts = refitted(estimator, fit, data, found.coef[:, None])
    estimator.lasso_coef_, estimator.least_squares_coef_ = found.coef, coefs[:, 0]
    coef = phi * found.coef + (1.0 - phi) * coefs[:, 0]
    return replace(found, coef=coef, intercept=phi * found.intercept + (1.0 - phi) * float(intercepts[0]))


@documented
class RelaxedLassoCV(LinearRegressor):
    """`RelaxedLasso` with alpha and phi chosen together by cross-validation.

    Each fold has one path of the Lasso and one least squares fit for each support on it; all phis blend these.

    Parameters
    ----------
    {eps}
    phis : array-like of shape (n_phis,), default=(0, 0.25, 0.5, 0.75, 1)
        Blends tried, each between 0 (least squares on the support) and 1 (the Lasso).
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
    alpha_, phi_ : float
        What was chosen: the smallest mean error; of several, the largest alpha, then the largest phi.
    alphas_ : ndarray of shape (n_alphas,)
        The alphas tried, falling.
    phis_ : ndarray of shape (n_phis,)
        The phis tried, falling.
    mse_path_ : ndarray of shape (n_alphas, n_phis, n_folds)
        Mean squared error on the test part of each fold, weighted by sample_weight.
    {coef_}
    lasso_coef_, least_squares_coef_ : ndarray of float64, shape (n_features,)
        As in `RelaxedLasso`.

    See Also
    --------
    RelaxedLasso : At one alpha and phi.

    Notes
    -----
    Cost: for each fold a path, a dense copy of all columns that are in some support, their Gram matrix, and
    n_samples x n_alphas x n_phis residuals; no fold copies X. End the path early (a larger eps) where supports become
    large. If time runs out in a fold, its alphas not reached keep the last model found.

    References
    ----------
    Meinshausen, "Relaxed Lasso", Comput. Stat. Data Anal. 52 (2007).
    Hastie, Tibshirani and Tibshirani, "Best subset, forward stepwise or lasso? Analysis and recommendations based on
    extensive comparisons", Stat. Sci. 35 (2020), arXiv 1707.08692 (2017).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = X[:, 3] - 2.0 * X[:, 7] + 0.5 * rng.standard_normal(100)
    >>> model = l1fast.RelaxedLassoCV().fit(X, y)
    >>> model.phi_, np.flatnonzero(model.coef_)
    (0.0, array([3, 7]))
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        phis: Any = PHIS,
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
        self.eps = eps
        self.alphas = alphas
        self.phis = phis
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RelaxedLassoCV:
        """Choose alpha and phi on the folds and fit all data with them.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            s_i >= 0.

        Returns
        -------
        RelaxedLassoCV
            Itself.
        """
        check_parameters(self, RULES)
        deadline = deadline_of(self.time_limit)
        data = read_data(self, X, y, sample_weight, parted=True)
        phis = -np.sort(-as_vector("phis", self.phis, np.size(self.phis), least=0.0))
        if not phis.size or phis[0] > 1.0:
            raise ValueError(f"phis is {self.phis!r}; give at least one number, all between 0 and 1")
        fit = Fit.of(self, data)
        alphas = falling_alphas(fit, data.y, self.alphas, self.eps)

        def candidates(training: Data) -> tuple[FoundPath, NDArray[np.float64]]:
            there = within(Fit.of(self, training), deadline, n_threads=self.n_threads or 1)
            found = there.path(data.y, alphas)
            shrunk = residuals(data, found.coefs, found.intercepts)
            free = residuals(data, *refitted(self, there, training, found.coefs))
            shrunk, free = extended(shrunk, len(alphas)), extended(free, len(alphas))
            return found, shrunk[:, :, None] * phis + free[:, :, None] * (1.0 - phis)

        self.alphas_, self.phis_ = alphas, phis
        self.mse_path_ = fold_errors(self, data, alphas, candidates)
        best, k = np.unravel_index(np.argmin(self.mse_path_.mean(axis=-1)), (len(alphas), len(phis)))
        self.alpha_, self.phi_ = float(alphas[best]), float(phis[k])
        found = within(fit, deadline).path(data.y, alphas[: best + 1])
        fit.judge(found, int(best) + 1)
        settle(self, [blended(self, fit, data, at(found, -1), self.phi_)], data)
        return self
