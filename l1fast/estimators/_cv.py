"""LassoCV and ElasticNetCV: alpha, and l1_ratio, by the mean squared error on folds left out.

    error[r, alpha, fold] = sum_test s_i (y_i - x_i'w - b)^2 / sum_test s_i,   (w, b) fitted on the other samples

A fold is fitted at the same alpha, per sample, as all data: the answer is that of a grid search over the estimator.
"""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import check_cv
from sklearn.utils import check_scalar
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import column_or_1d

from l1fast._cross_validation import cross_validate
from l1fast._progress import Progress
from l1fast._result import Result, quietly
from l1fast._threads import default_threads
from l1fast._validation import as_vector
from l1fast.estimators._base import (
    ARRAY,
    CALLABLE,
    COMMON,
    FLAG,
    NOTHING,
    SMALLEST_GAP,
    VERBOSE,
    Data,
    Fit,
    FoundPath,
    LinearRegressor,
    Rule,
    Units,
    check_gram,
    check_parameters,
    choice,
    column_scales,
    integer,
    plain_errors,
    read_data,
    real,
    settle,
    warn_unconverged,
)
from l1fast.estimators._docs import documented
from l1fast.estimators._paths import enet_path, lasso_path

RULES: Mapping[str, Rule] = {
    **COMMON,
    "l1_ratio": real(0, 1) | ARRAY,
    "eps": real(0, open_low=True),
    "alphas": integer(1) | ARRAY,
    "precompute": choice("auto") | FLAG | ARRAY,
    "cv": integer(2)
    | Rule("an object with a method split, an iterable", lambda cv: hasattr(cv, "split") or hasattr(cv, "__iter__"))
    | NOTHING,
    "verbose": VERBOSE,
    "n_jobs": integer() | NOTHING,
    "selection_rule": choice("min", "1se") | CALLABLE,
    "keep_path": FLAG,
}

Errors = NDArray[np.float64]

SPARE = 0.01
"""Part of its aim that the last fit goes for: it starts so near that it could end just there."""


# ------------------------------------------------------------------------------------------------ the folds


@dataclass(frozen=True)
class FoldErrors:
    """errors : shape (n_l1_ratios, n_alphas, n_folds), NaN where time ran out; gap : the largest relative one.

    best : the fit on all data at the strength picked, where one was.
    """

    errors: Errors
    gap: float
    status: str
    best: Result | None = None


def fold_errors(
    estimator: Any,
    data: Data,
    fits: list[Fit],
    alphas: list[Any],
    folds: list[Any],
    deadline: float | None,
    pick: Callable[[Errors], tuple[int, int]] | None,
) -> FoldErrors:
    """The error at every l1_ratio and alpha on every fold, by one `cross_validate` where it can say the problem.

    pick : chooses (l1_ratio, alpha) by their places, for a fit on all data that knows what the folds found.
    """
    ratios = [fit.units.l1_ratio for fit in fits]
    if data.y.ndim > 1 or (estimator.standardize and any(r != 1.0 for r in ratios)):
        return one_by_one(estimator, data, ratios, alphas, folds, deadline)
    fit = fits[0]
    options = {**fit.options, **within(fit, deadline).controls, "n_threads": estimator.n_threads or 1}
    options["tol"] = Units.fold_aim(estimator.tol)
    if estimator.standardize:
        options["penalty_weights"] = _scales_of(estimator, data)
    strengths = [one.units.strengths(grid) for one, grid in zip(fits, alphas, strict=True)]
    progress = Progress(then=estimator.callback) if estimator.verbose else nullcontext(estimator.callback)
    with quietly(), plain_errors(fit.X, fit.name), progress as on_progress:
        found = cross_validate(
            fit.X,
            data.y,
            folds,
            strengths,
            n_jobs=_jobs(estimator.n_jobs),
            on_progress=on_progress,
            refit=None if pick is None else lambda found: pick(found.errors),
            refit_tol=max(SPARE * fit.controls["tol"], min(fit.tol, SMALLEST_GAP)),
            **options,
        )
    gaps = found.dual_gaps[np.isfinite(found.dual_gaps)]
    return FoldErrors(found.errors, float(gaps.max(initial=0.0)), found.status.value, found.refit)


def _jobs(n_jobs: int | None) -> int | None:
    """joblib's way to count: -1 for all cores, -2 for all but one."""
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; give a number of folds fitted at once, or -1 for all cores")
    return n_jobs if n_jobs is None or n_jobs > 0 else max(default_threads() + 1 + n_jobs, 1)


def _scales_of(estimator: Any, data: Data) -> Callable[[Any, Any], Any]:
    """The penalty weights of a fold of the Lasso with standardize: v_j times the scale of its training samples."""
    factor = 1.0 if estimator.penalty_factor is None else np.asarray(estimator.penalty_factor, dtype=np.float64)

    def weights(train: Any, s: Any) -> Any:
        of_rows = np.bincount(train, minlength=len(data.y)).astype(np.float64)
        part = replace(data, sample_weight=of_rows if data.sample_weight is None else of_rows * data.sample_weight)
        return factor * column_scales(part, estimator.fit_intercept, 1)

    return weights


def one_by_one(
    estimator: Any, data: Data, ratios: list[float], alphas: list[Any], folds: list[Any], deadline: float | None
) -> FoldErrors:
    """The same by one path for each l1_ratio and fold: for several targets, and for scaled columns with an l2 term."""
    jobs = [(r, grid, train, test) for r, grid in zip(ratios, alphas, strict=True) for train, test in folds]
    done = Parallel(n_jobs=estimator.n_jobs, prefer="threads")(
        delayed(_one_fold)(estimator, data, *job, deadline) for job in jobs
    )
    errors = np.array([one[0] for one in done]).reshape(len(ratios), len(folds), -1)
    worst = max(done, key=lambda one: one[1])
    return FoldErrors(np.moveaxis(errors, 2, 1), worst[1], worst[2])


def _one_fold(
    estimator: Any, data: Data, l1_ratio: float, alphas: Any, train: Any, test: Any, deadline: float | None
) -> tuple[Errors, float, str]:
    """The path on a fold's training data, and its errors on the test data. One thread, so that n_jobs changes nothing."""  # noqa: E501
    rows = sparse.csr_array(data.X) if sparse.issparse(data.X) else data.X
    weight = data.sample_weight
    part = Data(rows[train], data.y[train], None if weight is None else weight[train])
    fit = within(
        Fit.of(estimator, part, l1_ratio),
        deadline,
        n_threads=estimator.n_threads or 1,
        tol=Units.fold_aim(estimator.tol),
    )
    found = fit.path(part.y, alphas)
    errors = np.full(len(alphas), np.nan)
    errors[: len(found.alphas)] = squared_errors(
        found, rows[test], data.y[test], None if weight is None else weight[test]
    )
    return errors, float(found.relative_gaps.max(initial=0.0)), found.status.value


def within(fit: Fit, deadline: float | None, **controls: Any) -> Fit:
    """A fit that ends at a deadline, and with other controls."""
    if deadline is not None:
        controls["time_limit"] = max(deadline - time.perf_counter(), 0.0)
    return replace(fit, controls={**fit.controls, **controls})


def squared_errors(found: FoundPath, X: Any, y: Any, sample_weight: Any) -> Errors:
    """The (weighted) mean squared error at each alpha, and over the targets."""
    coefs = found.coefs if found.coefs.ndim == 3 else found.coefs[None]
    intercepts, targets = np.atleast_2d(found.intercepts), y[:, None] if y.ndim == 1 else y
    errors = [
        np.average((X @ w + b - target[:, None]) ** 2, weights=sample_weight, axis=0)
        for w, b, target in zip(coefs, intercepts, targets.T, strict=True)
    ]
    mean: Errors = np.mean(errors, axis=0)
    return mean


# -------------------------------------------------------------------------------------------- the selection


def standard_errors(errors: Errors) -> Errors:
    """The standard error of the mean over the last axis, the folds; NaN with a single fold."""
    n_folds = errors.shape[-1]
    if n_folds == 1:
        return np.full(errors.shape[:-1], np.nan)
    se: Errors = errors.std(axis=-1, ddof=1) / np.sqrt(n_folds)
    return se


def smallest(errors: Errors) -> int:
    """The index of the alpha with the smallest mean error; the largest such alpha."""
    return int(np.nanargmin(errors.mean(axis=-1)))


def within_one_se(errors: Errors) -> int:
    """The index of the largest alpha with a mean error within one standard error of the smallest one."""
    mean, best = errors.mean(axis=-1), smallest(errors)
    se = standard_errors(errors)[best]
    return int(np.flatnonzero(mean <= mean[best] + (se if np.isfinite(se) else 0.0))[0])


def select(rule: str | Callable[[Any, Errors], Any], alphas: Any, errors: Errors) -> int:
    """The index of the alpha that the rule chooses, alphas falling."""
    if rule == "min":
        return smallest(errors)
    if rule == "1se":
        return within_one_se(errors)
    assert callable(rule)
    index = rule(alphas.copy(), errors.copy())
    if not isinstance(index, numbers.Integral) or not -len(alphas) <= int(index) < len(alphas):
        raise ValueError(f"selection_rule returned {index!r}; it must be an index of the {len(alphas)} alphas")
    return range(len(alphas))[int(index)]


# ------------------------------------------------------------------------------------------- the estimators


class CrossValidated(LinearRegressor):
    """What the estimators with cross-validation share; a subclass says whether it is for many targets."""

    _many_targets = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Any:
        """Choose alpha (and l1_ratio) by cross-validation, and fit on all data.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,), or (n_samples, n_targets) for the estimators of many targets
        sample_weight : float or array-like of shape (n_samples,), default=None
            s >= 0; used in the fits and in the errors. Folds count equally, whatever their weight.
        **params
            For the splitter, such as ``groups``, with scikit-learn's metadata routing.

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
            A gap is above tol, or time ran out.
        """
        began = time.perf_counter()
        check_parameters(self, RULES)
        owner, routed = type(self).__name__, sklearn.get_config()["enable_metadata_routing"]
        if params and not routed:
            raise ValueError(
                f"Passing extra keyword arguments to {owner}.fit is only supported if enable_metadata_routing=True, "
                f"which you can set using `sklearn.set_config`. Extra parameters passed are: {set(params)}"
            )
        data = self._targets(read_data(self, X, y, sample_weight, multi_output=True, parted=True))
        if hasattr(self, "precompute"):
            check_gram(self.precompute, data, self.fit_intercept)
        deadline = None if self.time_limit is None else began + self.time_limit
        ratios = [float(r) for r in np.atleast_1d(getattr(self, "l1_ratio", 1.0))]
        fits = [Fit.of(self, data, r) for r in ratios]
        alphas = self._grids(fits, data.y)
        routing = {}
        if routed:
            routing = process_routing(self, "fit", sample_weight=sample_weight, **params).splitter.split
        seen = X if hasattr(X, "shape") and not sparse.issparse(X) else data.X
        folds = list(check_cv(self.cv).split(seen, data.y, **routing))
        self._check_folds(folds, data)

        def pick(errors: Errors) -> tuple[int, int]:
            row = self._settle_errors(errors, ratios, alphas)
            return row, int(np.flatnonzero(alphas[row] == self.alpha_)[0])

        plain = self.callback is None and not self.keep_path  # else the last fit has more to tell, or is on a path
        found = fold_errors(self, data, fits, alphas, folds, deadline, pick if plain else None)
        at = pick(found.errors)[0]
        fit = within(fits[at], deadline)
        warn_unconverged(
            found.gap, fit.tol, found.status, int(np.count_nonzero(np.isnan(found.errors).any(axis=(0, 2))))
        )
        start = None
        if self.keep_path:
            start = self._settle_path(fit, data, alphas[at])
        if found.best is not None:
            best = fit.found(found.best, data.y)
        else:
            best = within(fit, deadline).solve(data.y, self.alpha_, start, self.callback)
        fit.judge(best)
        settle(self, [best], data)
        return self

    def _targets(self, data: Data) -> Data:
        """The data with y of the dimension that this estimator takes."""
        y, name = data.y, type(self).__name__
        if self._many_targets:
            if y.ndim == 1:
                raise ValueError(f"For mono-task outputs, use {name.removeprefix('MultiTask')}")
            return data
        if y.ndim > 1 and y.shape[1] > 1:
            raise ValueError(f"For multi-task outputs, use MultiTask{name}")
        return replace(data, y=column_or_1d(y, warn=True))

    def _grids(self, fits: list[Fit], y: Any) -> list[Any]:
        """The falling alphas of each l1_ratio."""
        if isinstance(self.alphas, numbers.Integral):
            return [fit.grid(y, self.eps, int(self.alphas)) for fit in fits]
        for index, alpha in enumerate(self.alphas):
            check_scalar(alpha, f"alphas[{index}]", target_type=numbers.Real, min_val=0.0, include_boundaries="left")
        falling = np.sort(as_vector("alphas", self.alphas, len(self.alphas)))[::-1]
        return [falling] * len(fits)

    def _check_folds(self, folds: list[Any], data: Data) -> None:
        """Raise for a fold that leaves nothing to fit or to test."""
        weight = data.sample_weight
        for k, fold in enumerate(folds):
            for side, rows in zip(("training", "test"), fold, strict=True):
                if not len(rows) or (weight is not None and not weight[rows].any()):
                    raise ValueError(
                        f"fold {k} has no {side} sample of positive weight; use fewer folds, or another splitter"
                    )

    def _settle_errors(self, errors: Errors, ratios: list[float], alphas: list[Any]) -> int:
        """Set what the errors say: the scores kept, alpha_ and l1_ratio_; return the index of the l1_ratio."""
        done: Any = ~np.isnan(errors).any(axis=2)
        if not done.any():
            raise ValueError(
                f"time_limit={self.time_limit!r} passed, or the callback stopped, before one alpha was done on all "
                "folds; allow more"
            )
        means = np.where(done, errors.mean(axis=2), np.inf)
        at = int(means.min(axis=1).argmin())
        several = len(ratios) > 1
        tried, kept = alphas[at], errors[at].copy()
        kept[~done[at]] = np.nan
        chosen = select(self.selection_rule, tried, kept)
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = ratios[at]
        self.alpha_ = float(tried[chosen])
        self.alpha_min_, self.alpha_1se_ = float(tried[smallest(kept)]), float(tried[within_one_se(kept)])
        automatic = isinstance(self.alphas, numbers.Integral)
        self.alphas_ = np.asarray(alphas) if several and automatic else np.asarray(alphas[0])
        self.mse_path_ = np.squeeze(errors)
        self.mse_se_ = standard_errors(errors) if several else standard_errors(errors[0])
        return at

    def _settle_path(self, fit: Fit, data: Data, alphas: Any) -> Any:
        """Set the path on all data; return its coefficients at alpha_, if it came so far."""
        found = fit.path(data.y, alphas)
        fit.judge(found, len(alphas))
        self.coef_path_ = found.coefs.astype(data.dtype, copy=False)
        self.intercept_path_ = found.intercepts.astype(data.dtype, copy=False)
        self.path_alphas_ = found.alphas
        at = np.flatnonzero(found.alphas == self.alpha_)
        return found.coefs[..., at[0]] if at.size else None

    def get_metadata_routing(self) -> Any:
        """The routing of metadata: what ``fit`` takes, and what its splitter takes.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return (
            MetadataRouter(owner=type(self).__name__)
            .add_self_request(self)
            .add(splitter=check_cv(self.cv), method_mapping=MethodMapping().add(caller="fit", callee="split"))
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = not self._many_targets
        tags.target_tags.multi_output = self._many_targets
        return tags


@documented
class ElasticNetCV(CrossValidated):
    """Elastic net with alpha and l1_ratio by cross-validation: a drop-in for `sklearn.linear_model.ElasticNetCV`.

    minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j (r |w_j| + (1 - r)/2 w_j^2)

    with S = sum_i s_i (n_samples without weights), r = l1_ratio and v = penalty_factor.

    Parameters
    ----------
    l1_ratio : float or array-like, default=0.5
        r between 0 and 1, or several, of which the one with the smallest mean error is taken.
    {eps}
    {fit_intercept}
    {precompute_auto}
    {max_iter}
    {tol}
    {cv}
    {copy_X}
    {positive}
    {random_state}
    {penalty_factor}
    {bounds}
    {standardize}
    {time_limit}
    {callback_cv}
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
    ElasticNet : At one alpha and l1_ratio.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. With ``standardize`` each fold is standardised by
    its own training data. Cost and memory: as of `l1fast.cross_validate`, and one more solve; with ``standardize`` a
    path for each l1_ratio and fold, on a scaled copy of its training rows.

    Examples
    --------
    >>> import l1fast
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = l1fast.ElasticNetCV(l1_ratio=[0.5, 0.9, 1.0], cv=5).fit(X, y)
    >>> model.l1_ratio_
    1.0
    >>> round(model.alpha_, 4)
    0.0038
    """

    path = staticmethod(enet_path)

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: int | bool = 0,
        n_jobs: int | None = None,
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
        selection_rule: Any = "min",
        keep_path: bool = False,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
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
        self.selection_rule = selection_rule
        self.keep_path = keep_path


@documented
class LassoCV(CrossValidated):
    """The Lasso with alpha by cross-validation: a drop-in for `sklearn.linear_model.LassoCV`.

    minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j |w_j|

    with S = sum_i s_i (n_samples without weights) and v = penalty_factor.

    Parameters
    ----------
    {eps}
    {fit_intercept}
    {precompute_auto}
    {max_iter}
    {tol}
    {copy_X}
    {cv}
    {positive}
    {random_state}
    {penalty_factor}
    {bounds}
    {standardize}
    {time_limit}
    {callback_cv}
    {n_threads}
    {selection_rule}

    Attributes
    ----------
    {cv_attributes}
    {coef_}

    See Also
    --------
    Lasso : At one alpha.

    Notes
    -----
    All up to ``selection`` is scikit-learn's; the rest is beyond it. With ``standardize`` each fold is standardised by
    its own training data. Cost and memory: as of `l1fast.cross_validate`, and one more solve.

    Examples
    --------
    >>> import l1fast
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = l1fast.LassoCV(cv=5, selection_rule="1se").fit(X, y)
    >>> model.alpha_ == model.alpha_1se_ > model.alpha_min_
    True
    >>> int((model.coef_ != 0).sum())
    6
    """

    path = staticmethod(lasso_path)

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int | None = 1000,
        tol: float = 1e-4,
        copy_X: bool = True,
        cv: Any = None,
        verbose: int | bool = False,
        n_jobs: int | None = None,
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
        selection_rule: Any = "min",
        keep_path: bool = False,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.copy_X = copy_X
        self.cv = cv
        self.verbose = verbose
        self.n_jobs = n_jobs
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
        self.selection_rule = selection_rule
        self.keep_path = keep_path
