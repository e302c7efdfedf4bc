"""MultiTaskLasso and MultiTaskElasticNet, and both with cross-validation: several targets that share their support.

    minimise over W, b:   1/(2 S) sum_i s_i ||y_i - W'x_i - b||^2 + alpha sum_j v_j (r ||W_j|| + (1 - r)/2 ||W_j||^2)

W_j is the row of feature j over the targets; ``coef_`` is W'. Solved by `l1fast.solve_tasks`.
"""

from __future__ import annotations

from typing import Any

from l1fast.estimators._base import COMMON, FLAG, Fit, check_parameters, read_data, real, settle
from l1fast.estimators._cv import CrossValidated
from l1fast.estimators._docs import documented
from l1fast.estimators._linear import ElasticNet
from l1fast.estimators._paths import enet_path, lasso_path

RULES = {"alpha": real(0), "l1_ratio": real(0, 1), "warm_start": FLAG, **COMMON}


@documented
class MultiTaskElasticNet(ElasticNet):
    """Elastic net for targets that share their support: a drop-in for `sklearn.linear_model.MultiTaskElasticNet`.

    minimise over W, b:   1/(2 S) sum_i s_i ||y_i - W'x_i - b||^2 + alpha sum_j v_j (r ||W_j|| + (1 - r)/2 ||W_j||^2)

    with S = sum_i s_i (n_samples without weights), r = l1_ratio, v = penalty_factor, and W_j the coefficients of
    feature j over the targets: 0 for all of them or for none.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty >= 0.
    l1_ratio : float, default=0.5
        r between 0 (squared penalty alone) and 1 (the multi-task Lasso).
    {fit_intercept}
    {copy_X}
    {max_iter}
    {tol}
    {warm_start}
    {random_state}
    {penalty_factor}
    {standardize}
    {time_limit}
    {callback}
    {n_threads}

    Attributes
    ----------
    eps_ : float
        tol in the units of the sum of squares of y, with weights scaled to sum to n_samples.
    {coef_}

    See Also
    --------
    MultiTaskElasticNetCV : With alpha and l1_ratio chosen by cross-validation.
    l1fast.solve_tasks : The solver, in sums over samples.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. ``dual_gap_`` is one number for all targets. Cost
    and memory: as of `l1fast.solve_tasks`.

    Examples
    --------
    >>> import l1fast
    >>> X, y = [[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 1], [2, 2]]
    >>> l1fast.MultiTaskElasticNet(alpha=0.1).fit(X, y).coef_.round(4)
    array([[0.4564, 0.4564],
           [0.4564, 0.4564]])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        penalty_factor: Any = None,
        standardize: bool = False,
        time_limit: float | None = None,
        callback: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.time_limit = time_limit
        self.callback = callback
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MultiTaskElasticNet:  # type: ignore[override]
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Used without a copy in float32 or float64, in any order and any sparse format that `l1fast.solve` takes.
        y : array-like, shape (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            s >= 0; only their ratios matter. 0 drops a sample.

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
        data = read_data(self, X, y, sample_weight, multi_output=True)
        if data.y.ndim == 1:
            raise ValueError(f"For mono-task outputs, use {type(self).__name__.removeprefix('MultiTask')}")
        fit = Fit.of(self, data, self.l1_ratio)
        start = self._starts(data, data.y.shape[1]) if self.warm_start and hasattr(self, "coef_") else None
        found = fit.solve(data.y, self.alpha, start, self.callback)
        fit.judge(found)
        settle(self, [found], data)
        self.eps_ = 2.0 * self.tol * fit.null_loss(data.y) * (data.X.shape[0] / data.total)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        return tags


@documented
class MultiTaskLasso(MultiTaskElasticNet):
    """The Lasso for targets that share their support: a drop-in for `sklearn.linear_model.MultiTaskLasso`.

    minimise over W, b:   1/(2 S) sum_i s_i ||y_i - W'x_i - b||^2 + alpha sum_j v_j ||W_j||

    with S = sum_i s_i (n_samples without weights), v = penalty_factor, and W_j the coefficients of feature j over the
    targets: 0 for all of them or for none.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty >= 0.
    {fit_intercept}
    {copy_X}
    {max_iter}
    {tol}
    {warm_start}
    {random_state}
    {penalty_factor}
    {standardize}
    {time_limit}
    {callback}
    {n_threads}

    Attributes
    ----------
    eps_ : float
        tol in the units of the sum of squares of y, with weights scaled to sum to n_samples.
    {coef_}

    See Also
    --------
    MultiTaskLassoCV : With alpha chosen by cross-validation.
    l1fast.solve_tasks : The solver, in sums over samples.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. ``dual_gap_`` is one number for all targets. Cost
    and memory: as of `l1fast.solve_tasks`.

    Examples
    --------
    >>> import l1fast
    >>> l1fast.MultiTaskLasso(alpha=0.1).fit([[0, 1], [1, 2], [2, 4]], [[0, 0], [1, 1], [2, 3]]).coef_.round(4)
    array([[0.    , 0.6081],
           [0.    , 0.9459]])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        penalty_factor: Any = None,
        standardize: bool = False,
        time_limit: float | None = None,
        callback: Any = None,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            l1_ratio=1.0,
            fit_intercept=fit_intercept,
            copy_X=copy_X,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            selection=selection,
            penalty_factor=penalty_factor,
            standardize=standardize,
            time_limit=time_limit,
            callback=callback,
            n_threads=n_threads,
        )


@documented
class MultiTaskElasticNetCV(CrossValidated):
    """Multi-task elastic net by cross-validation: a drop-in for `sklearn.linear_model.MultiTaskElasticNetCV`.

    minimise over W, b:   1/(2 S) sum_i s_i ||y_i - W'x_i - b||^2 + alpha sum_j v_j (r ||W_j|| + (1 - r)/2 ||W_j||^2)

    as in `MultiTaskElasticNet`, at the alpha and r = l1_ratio with the smallest mean error on the folds, which is the
    mean over samples and targets.

    Parameters
    ----------
    l1_ratio : float or array-like, default=0.5
        r between 0 and 1, or several, of which the one with the smallest mean error is taken.
    {eps}
    {fit_intercept}
    {max_iter}
    {tol}
    {cv}
    {copy_X}
    {random_state}
    {penalty_factor}
    {standardize}
    {time_limit}
    {callback}
    {n_threads}
    {selection_rule}

    Attributes
    ----------
    {cv_attributes}
    l1_ratio_ : float
        The l1_ratio chosen.
    {coef_}

    See Also
    --------
    MultiTaskElasticNet : At one alpha and l1_ratio.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. Cost: one path (`l1fast.path_tasks`) for each fold
    and l1_ratio; memory: a copy of the training rows for each of n_jobs folds.

    Examples
    --------
    >>> import l1fast
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(60, 20, n_targets=3, n_informative=4, noise=1.0, random_state=0)
    >>> model = l1fast.MultiTaskElasticNetCV(l1_ratio=[0.5, 1.0], cv=3).fit(X, y)
    >>> model.l1_ratio_, model.coef_.shape
    (1.0, (3, 20))
    """

    path = staticmethod(enet_path)
    _many_targets = True

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: int | bool = 0,
        n_jobs: int | None = None,
        random_state: Any = None,
        selection: str = "cyclic",
        penalty_factor: Any = None,
        standardize: bool = False,
        time_limit: float | None = None,
        callback: Any = None,
        n_threads: int | None = None,
        selection_rule: Any = "min",
        keep_path: bool = False,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.time_limit = time_limit
        self.callback = callback
        self.n_threads = n_threads
        self.selection_rule = selection_rule
        self.keep_path = keep_path


@documented
class MultiTaskLassoCV(CrossValidated):
    """Multi-task Lasso by cross-validation: a drop-in for `sklearn.linear_model.MultiTaskLassoCV`.

    minimise over W, b:   1/(2 S) sum_i s_i ||y_i - W'x_i - b||^2 + alpha sum_j v_j ||W_j||

    as in `MultiTaskLasso`, at the alpha with the smallest mean error on the folds, which is the mean over samples and
    targets.

    Parameters
    ----------
    {eps}
    {fit_intercept}
    {max_iter}
    {tol}
    {copy_X}
    {cv}
    {random_state}
    {penalty_factor}
    {standardize}
    {time_limit}
    {callback}
    {n_threads}
    {selection_rule}

    Attributes
    ----------
    {cv_attributes}
    {coef_}

    See Also
    --------
    MultiTaskLasso : At one alpha.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. Cost: one path (`l1fast.path_tasks`) for each
    fold; memory: a copy of the training rows for each of n_jobs folds.

    Examples
    --------
    >>> import l1fast
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(60, 20, n_targets=3, n_informative=4, noise=1.0, random_state=0)
    >>> model = l1fast.MultiTaskLassoCV(cv=3).fit(X, y)
    >>> model.mse_path_.shape, model.intercept_.shape
    ((100, 3), (3,))
    """

    path = staticmethod(lasso_path)
    _many_targets = True

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        copy_X: bool = True,
        cv: Any = None,
        verbose: int | bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        selection: str = "cyclic",
        penalty_factor: Any = None,
        standardize: bool = False,
        time_limit: float | None = None,
        callback: Any = None,
        n_threads: int | None = None,
        selection_rule: Any = "min",
        keep_path: bool = False,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.copy_X = copy_X
        self.cv = cv
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.selection = selection
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.time_limit = time_limit
        self.callback = callback
        self.n_threads = n_threads
        self.selection_rule = selection_rule
        self.keep_path = keep_path
