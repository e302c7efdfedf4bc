"""FISTA and ISTA in plain NumPy and SciPy, and the referee of the gap: what the solvers of l1fast are timed against.

    minimise over w   F(w) = 1/2 ||y - Xw||^2 + lam ||w||_1

FISTA: A. Beck and M. Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm", equations (4.1) to (4.3),
with the gradient restart of B. O'Donoghue and E. Candès (2015), equation (13). ISTA is the same loop without momentum.
Nothing here uses the compiled code of l1fast.

Invariant of the loop: Xw = X @ w and Xz = X @ z at every check, where z is the point the gradient is taken at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

__all__ = ["BaselineResult", "numpy_fista", "numpy_ista", "relative_gap"]

STALLED_CHECKS = 20  # so many checks without a lower gap: float32 products are too coarse for the tol asked for
POWER_ITERATIONS = 100
POWER_CHANGE = 1e-3  # the power iteration stops when ||X||^2 changes by less than this fraction
POWER_MARGIN = 1.05  # it approaches ||X||^2 from below


@dataclass(frozen=True)
class BaselineResult:
    """What a baseline returns.

    Attributes
    ----------
    coef : ndarray of float64, shape (n_features,)
        The last iterate.
    dual_gap : float
        Its relative gap by `relative_gap`.
    n_iter : int
        Proximal-gradient steps.
    seconds : float
        Wall-clock time: casts, step size, iterations and gap checks; the referee's time is left out.
    converged : bool
        Whether dual_gap is at most tol.
    """

    coef: NDArray[np.float64]
    dual_gap: float
    n_iter: int
    seconds: float
    converged: bool


def relative_gap(X: Any, y: ArrayLike, coef: ArrayLike, lam: float) -> float:
    """The relative duality gap of coef, in float64: (F(coef) - D(theta)) / F(0).

    theta = t (y - X coef), where t maximises D(theta) = 1/2 ||y||^2 - 1/2 ||y - theta||^2 under
    |x_j' theta| <= lam. Float32 data is cast, so a dense X of float32 is held once more as float64.

    Parameters
    ----------
    X : ndarray or sparse matrix, shape (n_samples, n_features)
    y : array_like, shape (n_samples,)
    coef : array_like, shape (n_features,)
    lam : float
        In units of X.T @ y.

    Returns
    -------
    float
        Non-negative up to rounding; 0 at an optimum.
    """
    y = np.asarray(y, dtype=np.float64)
    coef = np.asarray(coef, dtype=np.float64)
    residual = y - X @ coef
    return _gap(y, residual, X.T @ residual, coef, float(lam))


def numpy_fista(
    X: Any, y: ArrayLike, lam: float, *, tol: float, time_limit: float, max_iter: int | None, check_every: int = 10
) -> BaselineResult:
    """FISTA with constant step and gradient restart, until relative_gap <= tol.

    Parameters
    ----------
    X : ndarray or sparse matrix, shape (n_samples, n_features)
        Used in its own precision; float32 data is cast to float64 when float32 brings the gap no lower.
    y : array_like, shape (n_samples,)
    lam : float
        In units of X.T @ y.
    tol : float
        Relative gap to reach.
    time_limit : float
        In seconds; math.inf for none.
    max_iter : int or None
        Steps at most.
    check_every : int, default 10
        Steps between two checks of the gap. A check costs one product with X.T.

    Returns
    -------
    BaselineResult
    """
    return _proximal_gradient(X, y, lam, tol, time_limit, max_iter, check_every, momentum=True)


def numpy_ista(
    X: Any, y: ArrayLike, lam: float, *, tol: float, time_limit: float, max_iter: int | None, check_every: int = 10
) -> BaselineResult:
    """ISTA with constant step, until relative_gap <= tol; parameters and result as in `numpy_fista`."""
    return _proximal_gradient(X, y, lam, tol, time_limit, max_iter, check_every, momentum=False)


def _proximal_gradient(
    X: Any,
    y: ArrayLike,
    lam: float,
    tol: float,
    time_limit: float,
    max_iter: int | None,
    check_every: int,
    *,
    momentum: bool,
) -> BaselineResult:
    start = perf_counter()
    refereeing = 0.0  # seconds spent in relative_gap
    original, lam = (X, y), float(lam)
    dtype: type[np.floating[Any]] = np.float32 if X.dtype == np.float32 else np.float64
    X = X.astype(dtype, copy=False)
    if sp.issparse(X) and X.format not in ("csr", "csc"):
        X = X.tocsr()
    XT = X.T  # a view, of sparse data too
    y = np.asarray(y, dtype=dtype)
    step = dtype(1 / _lipschitz(X, XT))
    threshold = dtype(lam) * step

    w = np.zeros(X.shape[1], dtype=dtype)
    Xw = np.zeros(X.shape[0], dtype=dtype)
    z, Xz = w, Xw
    t = 1.0
    lowest, stalled = math.inf, 0
    for n_iter in count(1):
        w_old, Xw_old = w, Xw
        u = z - step * (XT @ (Xz - y))
        w = u - np.clip(u, -threshold, threshold)  # the soft threshold
        Xw = X @ w
        if not momentum or np.dot(z - w, w - w_old) > 0:
            t = 1.0
            z, Xz = w, Xw
        else:
            t_old, t = t, (1 + math.sqrt(1 + 4 * t * t)) / 2
            beta = dtype((t_old - 1) / t)
            z = w + beta * (w - w_old)
            Xz = Xw + beta * (Xw - Xw_old)

        last = n_iter == max_iter or perf_counter() - start - refereeing >= time_limit
        if not last and n_iter % check_every:
            continue
        residual = y - Xw
        gap = _gap(y, residual, XT @ residual, w, lam)
        reached = gap <= tol
        stalled = stalled + 1 if gap >= lowest else 0
        lowest = min(lowest, gap)
        if last or reached:
            checked_at = perf_counter()
            gap = relative_gap(*original, w, lam)
            if last or gap <= tol:
                break
            refereeing += perf_counter() - checked_at
        if dtype is np.float32 and (reached or stalled == STALLED_CHECKS):
            dtype = np.float64
            X, y = X.astype(dtype), np.asarray(original[1], dtype=dtype)
            XT = X.T
            w, Xw, z, Xz = (a.astype(dtype) for a in (w, Xw, z, Xz))
    return BaselineResult(w.astype(np.float64), gap, n_iter, checked_at - start - refereeing, gap <= tol)


def _gap(y: NDArray[Any], residual: NDArray[Any], Xt_residual: NDArray[Any], w: NDArray[Any], lam: float) -> float:
    """Relative gap with theta = t residual, as sums in float64 of terms that do not cancel."""
    residual2 = _dot(residual, residual)
    bound = float(np.max(np.abs(Xt_residual), initial=0))
    t = _dot(residual, y) / residual2 if residual2 > 0 else 0.0
    if bound > 0:
        t = min(max(t, -lam / bound), lam / bound)  # both sides: |x_j' theta| <= lam
    gap = 0.5 * (1 - t) ** 2 * residual2 + lam * float(np.abs(w).sum(dtype=np.float64)) - t * _dot(w, Xt_residual)
    scale = 0.5 * _dot(y, y)
    if scale == 0:
        return 0.0 if gap == 0 else math.inf
    return gap / scale


def _dot(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.dot(a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)))


def _lipschitz(X: Any, XT: Any) -> float:
    """||X||^2, the Lipschitz constant of the gradient, from a power iteration with a margin; 1 for a zero X."""
    v = np.random.default_rng(0).standard_normal(X.shape[1]).astype(X.dtype)
    norm2 = 0.0
    for _ in range(POWER_ITERATIONS):
        length = np.linalg.norm(v)
        if length == 0:
            break
        v = XT @ (X @ (v / length))
        previous, norm2 = norm2, float(np.linalg.norm(v))
        if norm2 - previous <= POWER_CHANGE * norm2:
            break
    return POWER_MARGIN * norm2 or 1.0
