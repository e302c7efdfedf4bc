"""The proximal operator of the L1 norm, on whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast._kernels import gradient
from l1fast._validation import as_number, as_real


def soft_threshold(x: ArrayLike, threshold: float, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """sign(x) max(|x| - threshold, 0): the minimiser of 1/2 (u - x)^2 + threshold |u|, entry by entry.

    Parameters
    ----------
    x : array-like of any shape
        float32 stays float32; other real numbers become float64. NaN stays NaN.
    threshold : float
        At least 0.
    out : ndarray, optional
        Where to write: C-contiguous, of x's shape and float dtype; may be x itself.

    Returns
    -------
    ndarray of x's shape: ``out`` when given.

    Raises
    ------
    ValueError, TypeError
        threshold is negative or not finite, x is not real, or out does not fit.

    Examples
    --------
    >>> import l1fast
    >>> l1fast.soft_threshold([3.0, -0.5, -2.0], 1.0)
    array([ 2., -0., -1.])
    """
    source = as_real("x", x)
    dtype = np.float32 if source.dtype == np.float32 else np.float64
    flat = np.require(source, dtype=dtype, requirements=["C", "A"])
    if out is None:
        out = np.empty(flat.shape, dtype=dtype)
    elif not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an array, got {type(out).__name__}")
    elif out.shape != source.shape or out.dtype != dtype or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            f"out must be a writeable C-contiguous {np.dtype(dtype)} array of shape {source.shape}, got {out.dtype} "
            f"of shape {out.shape}"
        )
    if flat is not out and np.may_share_memory(flat, out):
        flat = flat.copy()  # out may be x itself, entry for entry, but not a shifted view of it
    limit = min(as_number("threshold", threshold), float(np.finfo(dtype).max))
    gradient.soft_threshold(flat.reshape(-1), limit, out.reshape(-1))
    return out
