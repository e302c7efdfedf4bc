"""Words that the docstrings of several estimators share, so that a parameter is described once."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

WORDS = {
    "fit_intercept": """
fit_intercept : bool, default=True
    Whether the model has a constant term. It is not penalised.""",
    "precompute": """
precompute : bool or array-like of shape (n_features, n_features), default=False
    Accepted as in scikit-learn. A Gram matrix given here is checked as there (against one entry); the solver makes
    the parts of it that it needs by itself.""",
    "precompute_auto": """
precompute : 'auto', bool or array-like of shape (n_features, n_features), default='auto'
    Accepted as in scikit-learn; the solver decides by itself.""",
    "max_iter": """
max_iter : int or None, default=1000
    Outer steps of the solver at most (a step may be many passes over the features in the working set); None for the
    solver's own limit.""",
    "copy_X": """
copy_X : bool, default=True
    Accepted as in scikit-learn; X is never changed.""",
    "tol": """
tol : float, default=1e-4
    The solver stops when a certified duality gap is at most ``tol * sum_i s_i (y_i - mean)^2`` in sums over samples,
    the gap that scikit-learn stops at.""",
    "warm_start": """
warm_start : bool, default=False
    Start from ``coef_`` of the last call of ``fit``.""",
    "positive": """
positive : bool, default=False
    Ask for coefficients >= 0.""",
    "random_state": """
random_state : int, RandomState instance or None, default=None
    Accepted as in scikit-learn. No solver here draws random numbers.
selection : {'cyclic', 'random'}, default='cyclic'
    Accepted as in scikit-learn, and without effect: the optimum is the same.""",
    "penalty_factor": """
penalty_factor : array-like of shape (n_features,), default=None
    v_j >= 0, the penalty of each coefficient relative to the others; 0 leaves it unpenalised. Used as given, without
    rescaling. None stands for ones.""",
    "bounds": """
lower_bounds, upper_bounds : float or array-like of shape (n_features,), default=None
    Bounds of the coefficients, lower <= 0 <= upper; None for no bound.""",
    "standardize": """
standardize : bool, default=False
    Penalise the coefficients of the columns divided by their (weighted) standard deviation, about the mean with an
    intercept and about 0 without; a constant column is left as it is. ``coef_`` is for X as given. A sparse X stays
    sparse.""",
    "time_limit": """
time_limit : float, default=None
    Seconds at most; the best model found by then is kept, with a ConvergenceWarning and its true gap.""",
    "callback": """
callback : callable, default=None
    Called with a `l1fast.State` at every check of the gap; return True to stop.""",
    "callback_cv": """
callback : callable, default=None
    Called with a `l1fast.CVState` after every alpha of every fold, and then with a `l1fast.State` at every check of the
    fit on all data; return True to stop.""",
    "n_threads": """
n_threads : int, default=None
    Threads at most; None as in `l1fast.solve`.""",
    "eps": """
eps : float, default=1e-3
    The smallest alpha of an automatic grid as a part of the largest.
alphas : int or array-like, default=100
    How many alphas an automatic grid has, from the smallest with all coefficients 0 downwards, even in the logarithm;
    or the alphas themselves.""",
    "cv": """
cv : int, cross-validation generator or iterable, default=None
    As in scikit-learn: the number of folds (None: 5), a splitter, or (train, test) pairs of indices.
verbose : bool or int, default=False
    Show a progress bar on a terminal (rich, of the extra ``cli``, draws it); nothing elsewhere.
n_jobs : int, default=None
    Folds fitted at once, each in a thread; None and -1 for as many as there are cores. The result does not depend on
    it.""",
    "selection_rule": """
selection_rule : {'min', '1se'} or callable, default='min'
    Which alpha is chosen: the one with the smallest mean error; the largest whose mean error is within one standard
    error of that; or the index that ``selection_rule(alphas, mse_path)`` returns, mse_path of shape
    (n_alphas, n_folds).
keep_path : bool, default=False
    Fit all alphas on all data too, and keep ``coef_path_`` and ``intercept_path_``.""",
    "coef_": """
coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    The coefficients, in the dtype of X (float32 or float64).
sparse_coef_ : sparse matrix of shape (n_targets, n_features)
    ``coef_`` made sparse.
intercept_ : float or ndarray of shape (n_targets,)
    The constant term; 0.0 without an intercept.
dual_gap_ : float or ndarray of shape (n_targets,)
    Certified: no model has an objective, in the units above, below that of this one minus ``dual_gap_``.
n_iter_ : int or list of int
    Outer steps of the solver, for each target.
n_features_in_ : int
    Number of features seen by ``fit``.
feature_names_in_ : ndarray of shape (n_features,)
    Their names, where X has names that are all strings.""",
    "cv_attributes": """
alpha_ : float
    The alpha chosen.
alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    The alphas tried, falling.
mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
    Mean squared error on the test part of each fold (weighted by sample_weight).
mse_se_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    Standard error of the mean over folds of ``mse_path_``.
alpha_min_, alpha_1se_ : float
    What the rules 'min' and '1se' choose.
coef_path_ : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    The coefficients on all data at ``path_alphas_``, with keep_path=True.
intercept_path_ : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
    Their constant terms.
path_alphas_ : ndarray of shape (n_alphas,)
    The alphas of ``coef_path_``: those of ``alphas_`` for the chosen l1_ratio.""",
}


def documented(made: Class) -> Class:
    """Put the shared words in place of the lines ``{name}`` of a class's docstring."""
    text = inspect.cleandoc(made.__doc__ or "")
    lines = [WORDS[line[1:-1]].strip() if line[:1] == "{" and line[-1:] == "}" else line for line in text.split("\n")]
    made.__doc__ = "\n".join(lines)
    return made


def same_words(source: Any) -> Any:
    """Give a method the docstring of another."""

    def give(made: Any) -> Any:
        made.__doc__ = source.__doc__
        return made

    return give
