"""lasso_path and enet_path: scikit-learn's functions for many alphas, without an intercept."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from l1fast._result import PathCallback, PathState
from l1fast._validation import as_vector, plain_numbers
from l1fast.estimators._base import (
    ARRAY,
    COMMON,
    DEFAULT_TOL,
    FLAG,
    FLOATS,
    NOTHING,
    VERBOSE,
    Data,
    Fit,
    Rule,
    check_gram,
    check_parameters,
    choice,
    integer,
    read_weights,
    real,
)

RULES: Mapping[str, Rule] = {
    "l1_ratio": real(0, 1),
    "eps": real(0, open_low=True),
    "n_alphas": integer(1) | choice("deprecated"),
    "alphas": integer(1) | ARRAY | NOTHING | choice("warn"),
    "precompute": choice("auto") | FLAG | ARRAY,
    "Xy": ARRAY | NOTHING,
    "copy_X": FLAG,
    "coef_init": ARRAY | NOTHING,
    "verbose": VERBOSE,
    "return_n_iter": FLAG,
    "positive": FLAG,
    "check_input": FLAG,
}
N_ALPHAS = 100
"""Length of a grid when nothing is said; scikit-learn's."""


def enet_path(
    X: Any,
    y: Any,
    *,
    l1_ratio: float = 0.5,
    eps: float = 1e-3,
    n_alphas: Any = "deprecated",
    alphas: Any = "warn",
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: int | bool = False,
    return_n_iter: bool = False,
    positive: bool = False,
    check_input: bool = True,
    **params: Any,
) -> tuple[Any, ...]:
    """Elastic net at many alphas: a drop-in for `sklearn.linear_model.enet_path`.

    minimise over w:   1/(2 n) ||y - Xw||^2 + alpha (r ||w||_1 + (1 - r)/2 ||w||^2)   for falling alpha, r = l1_ratio

    For y of two dimensions: 1/(2 n) ||Y - XW||_F^2 + alpha (r sum_j ||W_j|| + (1 - r)/2 ||W||_F^2), W_j the row of
    feature j. There is no intercept.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n_samples, n_features)
    y : array-like, shape (n_samples,) or (n_samples, n_targets)
    l1_ratio : float, default=0.5
        Between 0 and 1; above 0 where the alphas are automatic.
    eps : float, default=1e-3
        Smallest alpha of an automatic grid as a part of the largest.
    n_alphas : int
        Deprecated by scikit-learn 1.9; give an int as alphas.
    alphas : int or array-like
        Length of an automatic grid (100 when left out), or the alphas.
    precompute, Xy, copy_X, coef_init
        Accepted as in scikit-learn: a Gram matrix is checked, and the rest is not needed. X is never changed.
    verbose : bool or int, default=False
        1: a dot on stderr for each alpha; more: a line on stdout.
    return_n_iter : bool, default=False
    positive : bool, default=False
        Ask for w >= 0; for y of one dimension.
    check_input : bool, default=True
        False: X is an array or sparse matrix of floats already.
    **params
        ``tol`` (1e-4), ``max_iter`` (1000), ``sample_weight``; ``random_state``, ``selection`` and ``do_screening``
        are accepted and without effect.

    Returns
    -------
    alphas : ndarray, shape (n_alphas,)
        Falling.
    coefs : ndarray, shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    dual_gaps : ndarray, shape (n_alphas,)
        In the units of the objective.
    n_iters : list of int
        With ``return_n_iter``.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it must be.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        A gap is above tol.

    See Also
    --------
    l1fast.path : The same in sums over samples, with intercept, bounds and certificates; coefficients stay sparse.

    Notes
    -----
    Cost: as of `l1fast.path`; memory for all coefficients, dense.

    Examples
    --------
    >>> import l1fast
    >>> alphas, coefs, gaps = l1fast.enet_path([[1, 0], [0, 1], [0, 0]], [3.0, 0.5, 1.0], l1_ratio=1.0, alphas=[0.5, 0.1])
    >>> coefs.round(6)
    array([[1.5, 2.7],
           [0. , 0.2]])
    """  # noqa: E501
    given = {name: value for name, value in locals().items() if name in RULES}
    check_parameters(given, RULES, "enet_path")
    return _path(X, y, params=params, name="enet_path", **given)


def lasso_path(
    X: Any,
    y: Any,
    *,
    eps: float = 1e-3,
    n_alphas: Any = "deprecated",
    alphas: Any = "warn",
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: int | bool = False,
    return_n_iter: bool = False,
    positive: bool = False,
    **params: Any,
) -> tuple[Any, ...]:
    """Lasso at many alphas: a drop-in for `sklearn.linear_model.lasso_path`.

    minimise over w:   1/(2 n) ||y - Xw||^2 + alpha ||w||_1   for falling alpha

    It is `enet_path` with l1_ratio=1; parameters, returns, errors and cost as there.

    Examples
    --------
    >>> import l1fast
    >>> alphas, coefs, gaps = l1fast.lasso_path([[1, 0], [0, 1], [0, 0]], [3.0, 0.5, 1.0], alphas=[0.5, 0.1])
    >>> coefs.round(6)
    array([[1.5, 2.7],
           [0. , 0.2]])
    """
    given = {name: value for name, value in locals().items() if name in RULES}
    check_parameters(given, RULES, "lasso_path")
    check_input = params.pop("check_input", True)
    return _path(X, y, params=params, name="lasso_path", l1_ratio=1.0, check_input=check_input, **given)


def _path(
    X: Any,
    y: Any,
    *,
    l1_ratio: float,
    eps: float,
    n_alphas: Any,
    alphas: Any,
    precompute: Any,
    verbose: int | bool,
    return_n_iter: bool,
    positive: bool,
    check_input: bool,
    params: dict[str, Any],
    name: str,
    **unused: Any,
) -> tuple[Any, ...]:
    wanted = _wanted(n_alphas, alphas)
    weights, tol = params.pop("sample_weight", None), params.pop("tol", DEFAULT_TOL)
    max_iter = params.pop("max_iter", 1000)
    check_parameters({"tol": tol, "max_iter": max_iter}, COMMON, name)
    for ignored in ("random_state", "selection", "do_screening"):
        params.pop(ignored, None)
    if params:
        raise ValueError("Unexpected parameters in params", params.keys())
    X, y = plain_numbers("X", X), plain_numbers("y", y)
    if check_input:
        X = check_array(X, accept_sparse=True, dtype=FLOATS, ensure_all_finite=False)
        y = check_array(y, accept_sparse="csc", dtype=np.float64, ensure_2d=False, input_name="y")
        check_consistent_length(X, y)
    y = np.asarray(y.toarray() if hasattr(y, "toarray") else y, dtype=np.float64)
    if y.ndim > 1 and positive:
        raise ValueError("positive=True is not allowed for multi-output (y.ndim != 1)")
    data = Data(X, y, read_weights(weights, X.shape[0]))
    if check_input:
        check_gram(precompute, data, fit_intercept=False)
    settings = _Settings(positive=positive, tol=tol, max_iter=max_iter)
    fit = Fit.of(settings, data, l1_ratio, name=name)
    grid = (
        fit.grid(y, eps, wanted) if isinstance(wanted, int) else as_vector("alphas", wanted, np.size(wanted), least=0.0)
    )
    found = fit.path(y, grid, _progress(int(verbose)))
    fit.judge(found, len(grid))
    dual_gaps, coefs = np.asarray(found.dual_gaps), found.coefs.astype(data.dtype, copy=False)
    if return_n_iter:
        return found.alphas, coefs, dual_gaps, found.n_iter.tolist()
    return found.alphas, coefs, dual_gaps


class _Settings:
    """What `Fit.of` reads from an estimator."""

    fit_intercept = False

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def _wanted(n_alphas: Any, alphas: Any) -> Any:
    """The length of the grid, or the alphas, with scikit-learn's words on what it deprecates."""
    wanted = N_ALPHAS
    if n_alphas != "deprecated":
        warnings.warn(
            "'n_alphas' was deprecated in 1.9 and will be removed in 1.11. 'alphas' now accepts an integer value which "
            "removes the need to pass 'n_alphas'.",
            FutureWarning,
            stacklevel=4,
        )
        wanted = int(n_alphas)
    if isinstance(alphas, str):
        return wanted
    if alphas is None:
        warnings.warn(
            "'alphas=None' is deprecated and will be removed in 1.11, at which point the default value will be set to "
            "100. Set 'alphas=100' to silence this warning.",
            FutureWarning,
            stacklevel=4,
        )
        return wanted
    return int(alphas) if np.ndim(alphas) == 0 else alphas


def _progress(verbose: int) -> PathCallback | None:
    """What verbose prints."""
    if not verbose:
        return None

    def show(state: PathState) -> None:
        if verbose > 1:
            print(f"Path: {state.index:03} out of {state.n_lams:03}")
        else:
            sys.stderr.write(".")

    return show
