"""What comes from outside: checked once, here, and the only file that raises on it.

Every message names what was wrong, the value seen, and the cure.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from l1fast._design import Design, Moments, Storage, check_storage, join_notes, measure_storage, read_storage
from l1fast._kernels import check
from l1fast._patience import COPIES_A_TRIPLET, patiently
from l1fast._row_blocks import RowBlocks
from l1fast._threads import default_threads

Vector = NDArray[np.float64]


def as_design(X: Any, n_threads: int = 1) -> Design:
    """Check X in one pass over its storage, on so many threads at most, and return it as a `Design`.

    X : Design, array-like of shape (n_samples, n_features), or SciPy sparse matrix or array. C- and F-contiguous
    arrays, CSR and CSC in float32 or float64 (indices int32 or int64) are used without a copy.
    """
    if isinstance(X, Design):
        return X
    storage = as_storage(X)
    return _sound(storage, *check_storage(storage, n_threads))


def as_storage_or_blocks(X: Any) -> Storage | RowBlocks:
    """X in blocks of rows where it is, any other X taken apart."""
    blocks = as_blocks(X)
    return as_storage(X) if blocks is None else blocks


def as_blocks(X: Any) -> RowBlocks | None:
    """X in blocks of rows as it is, a linear operator as one block; None for an X in memory."""
    if isinstance(X, RowBlocks):
        return X
    if hasattr(X, "matvec") and hasattr(X, "rmatvec"):
        return _operator_block(X)
    return None


def _operator_block(X: Any) -> RowBlocks:
    """A linear operator as scipy.sparse.linalg has them, as one block of rows."""
    if len(X.shape) != 2 or X.shape[0] == 0:
        raise ValueError(f"X has shape {X.shape}; a linear operator must have two dimensions and at least one row")
    if np.dtype(X.dtype).kind == "c":
        raise TypeError(f"X is a linear operator of dtype {X.dtype}; it must be real")
    n, p = int(X.shape[0]), int(X.shape[1])
    starts = np.array([0, n], dtype=np.int64)
    return RowBlocks(lambda k: X, starts, p, False, f"a {type(X).__name__}", has_columns=False)


def as_storage(X: Any) -> Storage:
    """Take X apart; its shape is known then, its entries are not checked yet. X as in `as_design`."""
    if isinstance(X, Design):
        return X.storage
    if isinstance(X, RowBlocks):
        raise TypeError("X is in blocks of rows; only solve, path and lam_max take these")
    storage = _sparse_storage(X) if sparse.issparse(X) else _dense_storage(X)
    if storage.shape[0] == 0:
        raise ValueError(f"X has shape {storage.shape}: at least one row is needed")
    return storage


def measured(
    storage: Storage, sample_weight: Vector | None, v: Vector, totals: bool, n_threads: int
) -> tuple[Design, Moments]:
    """The design of a storage, and the moments of its columns, from one read of X."""
    view, fault, where, moments = measure_storage(storage, sample_weight, v, totals, n_threads)
    design = _sound(storage, view, fault, where)
    if design.storage is storage:
        return design, moments
    return measured(design.storage, sample_weight, v, totals, n_threads)  # it was sorted and added up first


def _sound(storage: Storage, view: object | None, fault: str, where: int) -> Design:
    """The design of a storage that was found to be sound, or could be made so; else its fault is raised."""
    if fault == "not_canonical":
        return _canonical(storage)
    if view is None:
        raise ValueError(_explain(storage, fault, where))
    return Design(storage, view)


def _dense_storage(X: Any) -> Storage:
    if hasattr(X, "sparse") and hasattr(X, "dtypes"):
        array = np.asarray(X, dtype=np.float64)  # a pandas frame, possibly with sparse columns
    else:
        array = _as_array("X", without_mask("X", X))
    if array.ndim != 2:
        raise ValueError(f"X must be two-dimensional, got shape {array.shape}; one feature is X.reshape(-1, 1)")
    storage = read_storage(_numeric("X", array))
    if not isinstance(X, np.ndarray):
        storage = replace(
            storage, conversion=join_notes(f"X read as an array from {type(X).__name__}", storage.conversion)
        )
    return storage


def _sparse_storage(X: Any) -> Storage:
    """The storage of a SciPy container; formats other than CSR and CSC are checked and converted."""
    if len(X.shape) != 2:
        raise ValueError(f"X must be two-dimensional, got shape {X.shape}")
    if X.format in ("csr", "csc"):
        for name in ("data", "indices", "indptr"):
            part = getattr(X, name)
            if not isinstance(part, np.ndarray) or part.ndim != 1:
                raise ValueError(f"X.{name} must be a one-dimensional array; rebuild the matrix")
        for name in ("indices", "indptr"):
            dtype = getattr(X, name).dtype
            if dtype.kind not in "iu":
                raise ValueError(f"X.{name} has dtype {dtype}; indices must be integers")
        slices, letter = (X.shape[0], "row") if X.format == "csr" else (X.shape[1], "column")
        if len(X.indptr) != slices + 1:
            raise ValueError(
                f"X.indptr has {len(X.indptr)} entries, but {slices} {letter}s need {slices + 1}; rebuild the matrix"
            )
        _numeric("X.data", X.data[:0])
        return read_storage(X)
    return patiently(lambda: _triplets_to_csr(X), COPIES_A_TRIPLET * _size(X))


def _size(X: Any) -> int:
    """About how many entries a sparse X stores; its own count may fail where it is malformed."""
    if X.format == "dok":
        return len(X)
    return sum(len(row) for row in X.rows) if X.format == "lil" else int(np.size(X.data))


def _triplets_to_csr(X: Any) -> Storage:
    """Any other sparse format, through row-column-value triplets whose indices are checked first."""
    if X.format == "coo":
        rows, columns = X.coords if hasattr(X, "coords") else (X.row, X.col)
        values = X.data
    elif X.format == "lil":
        rows = np.repeat(np.arange(X.shape[0]), [len(row) for row in X.rows])
        columns = _gathered((j for row in X.rows for j in row), np.dtype(np.int64))
        values = _gathered((value for row in X.data for value in row), X.dtype)
    elif X.format == "dok":
        pairs = X.keys()  # a loop over X itself would be one over its rows
        keys = _gathered((index for pair in pairs for index in pair), np.dtype(np.int64)).reshape(-1, 2)
        rows, columns, values = keys[:, 0], keys[:, 1], _gathered(iter(X.values()), X.dtype)
    elif X.format == "bsr":
        rows, columns, values = _blocks_to_triplets(X)
    else:
        rows, columns, values = _diagonals_to_triplets(X)
    if not len(rows) == len(columns) == len(values):
        raise ValueError(f"X has {len(rows)} rows, {len(columns)} columns and {len(values)} values; rebuild the matrix")
    for name, index, size in (("row", rows, X.shape[0]), ("column", columns, X.shape[1])):
        outside = np.flatnonzero((index < 0) | (index >= size))
        if outside.size:
            raise ValueError(
                f"X names {name} {index[outside[0]]} at entry {outside[0]}, but has {size} {name}s; rebuild the matrix"
            )
    values = _numeric("X.data", values)
    matrix = sparse.coo_array(
        (values.astype(np.float64, copy=False), (rows, columns)), shape=X.shape
    ).tocsr()  # adds repeats up
    if values.dtype.kind == "f" and values.dtype.itemsize == np.dtype(np.float32).itemsize:
        matrix.data = matrix.data.astype(np.float32)
    storage = read_storage(matrix)
    return replace(storage, conversion=f"X converted from {X.format.upper()} to CSR")


GATHERED = 2**18
"""Python numbers that become an array at a time: below 20 ms, in which nobody looks at signals."""


def _gathered(numbers: Iterator[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The numbers as an array."""
    parts = [np.empty(0, dtype)]
    while some := list(islice(numbers, GATHERED)):
        parts.append(np.array(some, dtype=dtype))
    return np.concatenate(parts)


def _blocks_to_triplets(X: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The entries of a BSR matrix, once its block indices are known to be sound."""
    height, width = X.data.shape[1:] if X.data.ndim == 3 else (0, 0)
    if not height or not width or X.shape[0] % height or X.shape[1] % width or len(X.data) != len(X.indices):
        raise ValueError(
            f"X has data of shape {X.data.shape} for {len(X.indices)} blocks of a {X.shape} matrix; rebuild the matrix"
        )
    blocks = sparse.csr_array((X.shape[0] // height, X.shape[1] // width), dtype=np.float64)
    blocks.data, blocks.indices, blocks.indptr = np.zeros(len(X.indices)), X.indices, X.indptr
    as_design(blocks)  # the block indices are sound, or this raises
    count = int(X.indptr[-1])
    block_rows = np.repeat(np.arange(blocks.shape[0]), np.diff(X.indptr))[:, None, None]
    block_columns = X.indices[:count].astype(np.int64)[:, None, None]
    rows = block_rows * height + np.arange(height)[:, None] + np.zeros((1, 1, width), dtype=np.int64)
    columns = block_columns * width + np.arange(width) + np.zeros((1, height, 1), dtype=np.int64)
    return rows.ravel(), columns.ravel(), X.data[:count].ravel()


def _diagonals_to_triplets(X: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The entries of a DIA matrix: data[k, j] stands in column j and row j - offsets[k], where there is such a row."""
    offsets, data = np.asarray(X.offsets), np.asarray(X.data)
    if offsets.ndim != 1 or data.ndim != 2 or len(offsets) != len(data) or offsets.dtype.kind not in "iu":
        raise ValueError(f"X has {offsets.shape} offsets for data of shape {data.shape}; rebuild the matrix")
    width = min(data.shape[1], X.shape[1])
    columns = np.broadcast_to(np.arange(width), (len(offsets), width))
    inside = (columns >= offsets[:, None].astype(np.float64)) & (columns < offsets[:, None] + np.float64(X.shape[0]))
    rows = columns - np.where(inside, offsets[:, None], 0)
    return rows[inside], columns[inside], data[:, :width][inside]


def _canonical(storage: Storage) -> Design:
    """A copy with sorted indices and repeated entries added up; the storage is known to be sound."""
    assert storage.indices is not None and storage.starts is not None
    n = int(storage.starts[-1])
    kind = sparse.csr_array if storage.by_rows else sparse.csc_array
    indices, starts = storage.indices, storage.starts

    def sort() -> Any:
        parts = (storage.values[:n].astype(np.float64), indices[:n].copy(), starts.copy())
        matrix = kind(parts, shape=storage.shape)
        matrix.sum_duplicates()
        matrix.data = matrix.data.astype(storage.values.dtype, copy=False)
        return matrix

    matrix = patiently(sort, COPIES_A_TRIPLET * n)
    made = Storage(matrix.data, matrix.indices, matrix.indptr, storage.shape, storage.by_rows)
    note = join_notes(storage.conversion, "X copied: indices sorted, repeated entries added up")
    return _sound(replace(made, conversion=note), *check_storage(made))


def _explain(storage: Storage, fault: str, where: int) -> str:
    """The sentence for a fault found by the kernel."""
    slices, entries = ("row", "column") if storage.by_rows else ("column", "row")
    starts, indices = storage.starts, storage.indices
    if fault == "not_finite":
        length = storage.shape[1] if storage.by_rows else storage.shape[0]
        if starts is None or indices is None:
            k, i = divmod(where, length)
            value = storage.values[(k, i) if storage.by_rows else (i, k)]
        else:
            k, i = int(np.searchsorted(starts, where, side="right")) - 1, int(indices[where])
            value = storage.values[where]
        row, column = (k, i) if storage.by_rows else (i, k)
        return f"X has the value {value} in row {row}, column {column}; remove or impute values that are not finite"
    assert starts is not None and indices is not None
    if fault == "first_start":
        return f"X.indptr begins with {starts[0]}, not 0; rebuild the matrix"
    if fault == "decreasing_start":
        return f"X.indptr decreases from {starts[where]} to {starts[where + 1]} at {slices} {where}; rebuild the matrix"
    if fault == "last_start":
        stored = min(len(indices), len(storage.values))
        return f"X.indptr ends with {starts[-1]}, but only {stored} entries are stored; rebuild the matrix"
    size = storage.shape[1] if storage.by_rows else storage.shape[0]
    return (
        f"X.indices[{where}] is {indices[where]}, but X has {size} {entries}s (0 to {size - 1} can be named); "
        "rebuild the matrix"
    )


def as_vector(name: str, value: Any, length: int, *, least: float = -math.inf, infinite: bool = False) -> Vector:
    """A copy of value as a float64 vector of that length: finite unless infinite is allowed, no entry below least.

    A copy always: what a callback does to the original does not reach a running solve.
    """
    if sparse.issparse(value):
        raise TypeError(f"{name} is a sparse matrix; pass a dense vector, {name}.toarray().ravel()")
    array = _as_array(name, without_mask(name, value))
    if array.ndim == 2 and 1 in array.shape and array.size == length:
        array = array.reshape(-1)
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({length},)")
    made: Vector = np.array(_numeric(name, array), dtype=np.float64)
    if not check.all_finite(made):
        wrong = np.flatnonzero(np.isnan(made) if infinite else ~np.isfinite(made))
        if wrong.size:
            must = "a number, or infinite for no bound" if infinite else "finite"
            raise ValueError(f"{name}[{wrong[0]}] is {made[wrong[0]]}; every entry must be {must}")
    if least > -math.inf and length and made.min() < least:
        at = int(made.argmin())
        raise ValueError(f"{name}[{at}] is {made[at]}; every entry must be at least {least:g}")
    return made


def as_folds(folds: Any, n_samples: int, weight: Vector) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(train, test) of every fold as indices of samples; each side must hold some sample weight."""
    made = []
    for k, fold in enumerate(folds):
        if not isinstance(fold, tuple | list) or len(fold) != 2:
            raise ValueError(f"folds[{k}] must be a pair (train, test) of indices of samples")
        sides = []
        for name, part in zip(("train", "test"), fold, strict=True):
            side = _sample_indices(f"the {name} part of folds[{k}]", part, n_samples)
            if not weight[side].any():
                raise ValueError(f"the {name} part of folds[{k}] is empty, or all its samples have weight 0")
            sides.append(side)
        made.append((sides[0], sides[1]))
    if not made:
        raise ValueError("folds is empty; give at least one pair (train, test)")
    return made


def _sample_indices(name: str, value: Any, n_samples: int) -> NDArray[np.intp]:
    """Indices from 0 to n_samples - 1, from indices or a mask."""
    array = _as_array(name, value)
    if array.dtype == np.bool_ and array.shape == (n_samples,):
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{name} must be a vector of integers or a mask, got {array.dtype} of shape {array.shape}")
    outside = array[(array < 0) | (array >= n_samples)]
    if outside.size:
        raise ValueError(f"{name} holds the sample {outside[0]}; indices go from 0 to {n_samples - 1}")
    return array.astype(np.intp)


def as_matrix(name: str, value: Any, n_rows: int, n_columns: int | None = None) -> Vector:
    """A copy of value as a C-contiguous float64 matrix of that shape, any positive number of columns for None."""
    if sparse.issparse(value):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array, {name}.toarray()")
    array = _as_array(name, without_mask(name, value))
    wanted = "n_tasks" if n_columns is None else n_columns
    if array.ndim != 2 or array.shape[0] != n_rows or array.shape[1] == 0 or n_columns not in (None, array.shape[1]):
        cure = f"; one task is {name}.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}, expected ({n_rows}, {wanted}){cure}")
    made: Vector = np.array(_numeric(name, array), dtype=np.float64, order="C")
    if not check.all_finite(made.reshape(-1)):
        i, t = np.argwhere(~np.isfinite(made))[0]
        raise ValueError(f"{name}[{i}, {t}] is {made[i, t]}; every entry must be finite")
    return made


def as_bounds(bounds: Any, positive: bool, length: int) -> tuple[Vector, Vector] | tuple[None, None]:
    """Lower and upper bounds of the coefficients as vectors of that length; both None when all are infinite.

    bounds : pair of number, vector or None each, or None; positive : stands for (0, None).
    """
    if bounds is None and not positive:
        return None, None
    if positive:
        if bounds is not None:
            raise ValueError(f"positive=True means bounds=(0, None), but bounds is {bounds!r} too; give one of the two")
        bounds = (0.0, None)
    if not isinstance(bounds, (tuple, list, np.ndarray)) or getattr(bounds, "ndim", 1) == 0 or len(bounds) != 2:
        raise ValueError(f"bounds is {bounds!r}; give a pair (lower, upper), such as (0, None) or (-1.0, 1.0)")
    lower = _bound("bounds[0]", bounds[0], length, -np.inf)
    upper = _bound("bounds[1]", bounds[1], length, np.inf)
    for side, values, beyond, must in (("lower", lower, lower > 0.0, "<= 0"), ("upper", upper, upper < 0.0, ">= 0")):
        if beyond.any():
            j = int(beyond.argmax())
            raise ValueError(
                f"the {side} bound of coefficient {j} in bounds is {values[j]}; it must be {must}, to allow w = 0"
            )
    if not (np.isfinite(lower).any() or np.isfinite(upper).any()):
        return None, None
    return lower, upper


def _bound(name: str, value: Any, length: int, absent: float) -> Vector:
    """One side of the bounds as a vector; a number stands for all coefficients, None for no bound."""
    if value is None:
        return np.full(length, absent)
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a number, a vector or None, got {value!r}")
    single = isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return as_vector(name, np.full(length, value) if single else value, length, infinite=True)


def _numeric(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """array, or its entries as float64 when they are Python numbers; complex, text and dates are refused."""
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "c":
        raise ValueError(f"{name} is complex ({array.dtype}); only real numbers are supported")
    if array.dtype.kind == "O":
        try:
            if not any(entry is None or isinstance(entry, (str, bytes, complex)) for entry in array.flat):
                return _gathered(iter(array.flat), np.dtype(np.float64)).reshape(array.shape)
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(f"{name} holds an entry that is not a number ({error})") from None
    raise TypeError(f"{name} has dtype {array.dtype}; real numbers are needed")


def _as_array(name: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} does not make an array ({error}); rows must have the same length") from None


def without_mask(name: str, value: Any) -> Any:
    """value, or the plain array in a masked one that masks nothing: NumPy would drop the mask without a word."""
    return _unmasked(name, value) if isinstance(value, np.ma.MaskedArray) else value


def plain_numbers(name: str, value: Any) -> Any:
    """The same, but arrays of text, dates or records are refused: scikit-learn would make numbers of them."""
    value = without_mask(name, value)
    if isinstance(value, np.ndarray) and value.dtype.kind not in "fiubcO":
        _numeric(name, value)
    return value


def as_real(name: str, value: Any) -> NDArray[Any]:
    """value as an array of real numbers, of any shape; finite or not."""
    return _numeric(name, _as_array(name, without_mask(name, value)))


def _unmasked(name: str, value: Any) -> NDArray[Any]:
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has {np.ma.getmaskarray(value).sum()} masked entries; fill or drop them first")
    return np.asarray(value.data)


def as_number(name: str, value: Any, *, least: float = 0.0) -> float:
    """value as a finite float of at least least."""
    scalar_array = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"
    if isinstance(value, (bool, np.bool_)) or not (isinstance(value, numbers.Real) or scalar_array):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < least:
        raise ValueError(f"{name} must be a finite number of at least {least:g}, got {value!r}")
    return number


def as_count(name: str, value: Any, *, least: int = 0) -> int:
    """value as an integer of at least least."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if count < least:
        raise ValueError(f"{name} must be at least {least}, got {count}")
    return count


def as_thread_count(n_threads: Any) -> int:
    """As asked for, else L1FAST_NUM_THREADS, else what `default_threads` finds."""
    if n_threads is not None:
        return as_count("n_threads", n_threads, least=1)
    variable = os.environ.get("L1FAST_NUM_THREADS", "").strip()
    if variable and not (variable.isdecimal() and int(variable) > 0):
        raise ValueError(f"L1FAST_NUM_THREADS is {variable!r}; set it to a whole number of at least 1")
    return int(variable) if variable else default_threads()


def as_flag(name: str, value: Any) -> bool:
    """value as a bool; only booleans are taken."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)
