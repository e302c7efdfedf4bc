"""X as it comes: in memory, in blocks of rows, with the workers of a Dask cluster, or as products alone."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from l1fast._design import Storage
from l1fast._row_blocks import RowBlocks, is_operator
from l1fast._validation import as_storage, as_thread_count


def as_storage_or_blocks(X: Any) -> Storage | RowBlocks:
    """X in blocks of rows where it is, any other X taken apart."""
    blocks = as_blocks(X)
    return as_storage(X) if blocks is None else blocks


def as_blocks(X: Any) -> RowBlocks | None:
    """X in blocks of rows as it is, what Dask holds in blocks, a linear operator as one; None for an X in memory."""
    if isinstance(X, RowBlocks):
        return X
    if is_of_dask(X):
        from l1fast._dask import from_dask  # here: it needs Dask

        return from_dask(X)
    if is_operator(X):
        return _operator_block(X)
    return None


def is_of_dask(X: Any) -> bool:
    """Whether X is a collection of Dask, or a list that begins with a delayed block or a future; it is not loaded."""
    dask = sys.modules.get("dask")
    if dask is None:
        return False
    one = X[0] if isinstance(X, list | tuple) and X else X
    return bool(dask.is_dask_collection(one)) or type(one).__module__.startswith("distributed.")


def threads_for(X: Storage | RowBlocks, n_threads: Any) -> int:
    """As `as_thread_count`; by default 1 where X is with workers, who have a task for each of their own threads."""
    return as_thread_count(1 if n_threads is None and isinstance(X, RowBlocks) and not X.near else n_threads)


def _operator_block(X: Any) -> RowBlocks:
    """A linear operator as scipy.sparse.linalg has them, as one block of rows."""
    if len(X.shape) != 2 or X.shape[0] == 0:
        raise ValueError(f"X has shape {X.shape}; a linear operator must have two dimensions and at least one row")
    if np.dtype(X.dtype).kind == "c":
        raise TypeError(f"X is a linear operator of dtype {X.dtype}; it must be real")
    n, p = int(X.shape[0]), int(X.shape[1])
    starts = np.array([0, n], dtype=np.int64)
    return RowBlocks(lambda k: X, starts, p, False, f"a {type(X).__name__}", has_columns=False)
