"""Design: X in whatever storage it came, as the kernels see it.

The only file that knows how NumPy and SciPy store matrices. Nothing here trusts or follows an index: `read_storage`
takes containers apart, `_validation.as_design` has the parts checked, and a `Design` exists only after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from l1fast._kernels import check, gradient
from l1fast._patience import patiently
from l1fast._threads import worthwhile

Array = NDArray[Any]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Storage:
    """The parts of a matrix, not yet checked. Dense: `values` is 2-D, `indices` and `starts` are None."""

    values: Array
    indices: Array | None
    starts: Array | None
    shape: tuple[int, int]
    by_rows: bool
    conversion: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the stored parts."""
        return sum(part.nbytes for part in (self.values, self.indices, self.starts) if part is not None)


@dataclass(frozen=True)
class Design:
    """X (n_samples x n_features), checked and ready for the kernels.

    Attributes
    ----------
    storage : Storage
        The arrays of X themselves, not a copy, when X is C- or F-contiguous, CSR or CSC in float32 or float64.
        They must not be changed while the design is in use.
    view : capsule
        What the kernels take for X; made by the check of the storage.
    """

    storage: Storage
    view: object

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return self.storage.shape

    @property
    def by_rows(self) -> bool:
        """Whether rows, not columns, are stored together."""
        return self.storage.by_rows

    @property
    def sparse(self) -> bool:
        """Whether X is CSR or CSC."""
        return self.storage.indices is not None

    @property
    def n_entries(self) -> int:
        """Stored entries of X."""
        if self.storage.starts is None:
            return self.shape[0] * self.shape[1]
        return int(self.storage.starts[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the stored parts."""
        return self.storage.nbytes

    @property
    def entries(self) -> Array:
        """The stored entries of X, without spare room behind them."""
        return self.storage.values if self.storage.starts is None else self.storage.values[: self.n_entries]

    @property
    def conversion(self) -> str:
        """What was copied or converted to make this design; empty when nothing was."""
        return self.storage.conversion

    def apply(self, w: Vector, n_threads: int = 1) -> Vector:
        """X w, in float64; one read of X."""
        out = np.empty(self.shape[0])
        gradient.apply(self.view, w, out, np.empty(gradient.scratch_size(self.view, n_threads)), n_threads)
        return out

    def correlate(self, v: Vector, n_threads: int = 1) -> Vector:
        """X'v, in float64; one read of X."""
        out = np.empty(self.shape[1])
        gradient.correlate(self.view, v, out, np.empty(gradient.scratch_size(self.view, n_threads)), n_threads)
        return out

    def largest(self) -> Vector:
        """The largest size of an entry of each column."""
        sizes = abs(self.to_matrix()).max(axis=0)
        return np.asarray(sizes.toarray() if self.sparse else sizes, dtype=np.float64).ravel()

    def largest_by_row(self) -> Array:
        """The largest size of an entry of each row."""
        if not self.shape[1]:
            return np.zeros(self.shape[0])
        sizes = abs(self.to_matrix()).max(axis=1)
        return np.asarray(sizes.toarray() if self.sparse else sizes).ravel()

    def columns(self, chosen: NDArray[np.intp]) -> Design:
        """The chosen columns as a design of their own; a copy of those columns in the same order of storage."""
        matrix, share = self.to_matrix(), len(chosen) / max(1, self.shape[1])
        size = self.n_entries if self.sparse else share * self.n_entries

        def copy() -> Any:
            made = matrix[:, chosen]
            return made.tocsr() if self.sparse and self.by_rows else made

        return checked(read_storage(patiently(copy, size)))

    def rows(self, chosen: NDArray[np.intp]) -> Design:
        """The chosen rows as a design of their own: a view of a dense X where they follow one another, else a copy."""
        matrix = self.to_matrix()
        if self.sparse:
            matrix = patiently(lambda: matrix.tocsr()[chosen], self.n_entries)
        elif len(chosen) and np.array_equal(chosen, np.arange(chosen[0], chosen[0] + len(chosen))):
            matrix = matrix[chosen[0] : chosen[0] + len(chosen)]
        else:
            matrix = patiently(lambda: matrix[chosen], len(chosen) * self.shape[1])
        return checked(read_storage(matrix))

    def predict(self, rows: NDArray[np.intp], coefs: Any) -> Array:
        """X[rows] @ coefs, for a CSC array of coefficients with few rows in use; copies those rows and columns of X."""
        used = np.unique(coefs.indices)
        matrix, dense = self.to_matrix(), coefs[used].toarray()
        if self.sparse and not self.by_rows:
            made = matrix[:, used].tocsr()[rows] @ dense
        elif self.sparse:
            made = matrix[rows][:, used] @ dense
        else:
            made = matrix[np.ix_(rows, used)] @ dense
        return np.asarray(made, dtype=np.float64)

    @property
    def even(self) -> bool:
        """Whether rows of equal length follow one another, mostly, as in every dense X."""
        if self.storage.starts is None:
            return True
        return self.by_rows and check.in_runs(self.view)

    def share(self, chosen: NDArray[np.intp]) -> float:
        """The part of the stored entries that lies in the chosen columns."""
        return float(self.column_entries[chosen].sum()) / max(1, self.n_entries)

    @cached_property
    def column_entries(self) -> NDArray[np.intp]:
        """Stored entries of each column."""
        n, p = self.shape
        if self.storage.indices is None or self.storage.starts is None:
            return np.full(p, n, dtype=np.intp)
        if self.by_rows:
            return np.bincount(self.storage.indices[: self.n_entries], minlength=p)
        return np.diff(self.storage.starts).astype(np.intp)

    @cached_property
    def by_columns(self) -> Design:
        """This design stored by columns: itself, or one converted copy, kept."""
        if not self.by_rows:
            return self
        matrix = self.to_matrix()
        note = f"copied to {'CSC' if self.sparse else 'F order'} for column access ({self.storage.nbytes:,} bytes)"
        if self.sparse:
            with room_for("a copy of X to CSC", self.storage.nbytes):
                made = read_storage(patiently(matrix.tocsc, self.n_entries))
        else:
            with room_for("a copy of X to F order", self.storage.nbytes):
                columns = patiently(lambda: np.asfortranarray(matrix), self.n_entries)
            made = Storage(columns, None, None, self.shape, by_rows=False)
        return checked(replace(made, conversion=join_notes(self.conversion, note)))

    @cached_property
    def by_length(self) -> tuple[Design, NDArray[np.intp]]:
        """This design stored by rows in order of their length, and that order of rows: one copy, kept, or itself."""
        if self.even:
            return self, np.arange(self.shape[0])

        def sort() -> tuple[Any, NDArray[np.intp]]:
            matrix = self.to_matrix().tocsr()
            size = np.minimum(np.diff(matrix.indptr), MOST_LENGTHS).astype(np.uint16)  # sorted digit by digit
            order = np.argsort(size, kind="stable")
            return matrix[order], order

        matrix, order = patiently(sort, self.n_entries)
        made = read_storage(matrix)
        note = f"copied to CSR, rows sorted by length ({made.nbytes:,} bytes)"
        return checked(replace(made, conversion=join_notes(self.conversion, note))), order

    def to_array(self) -> Array:
        """X as a dense array: itself when it is one, else a copy."""
        matrix: Array = self.to_matrix().toarray() if self.sparse else self.storage.values
        return matrix

    def to_matrix(self) -> Any:
        """X as a NumPy array, or a SciPy array without spare room behind its entries; not a copy."""
        if self.storage.indices is None or self.storage.starts is None:
            return self.storage.values
        n = self.n_entries
        parts = (self.storage.values[:n], self.storage.indices[:n], self.storage.starts)
        return (sparse.csr_array if self.by_rows else sparse.csc_array)(parts, shape=self.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (self.storage,)


MOST_LENGTHS = 65535
"""Rows of at least so many entries count as equally long: what 16 bits hold."""


class Moments(NamedTuple):
    """What the check of X sums up on its way, one number for each column.

    square = sum_i s_i x_ij^2,   product = sum_i v_i x_ij,   total = sum_i s_i x_ij, where it was wanted
    """

    square: Vector
    product: Vector
    total: Vector | None = None


def checked(storage: Storage) -> Design:
    """A design from storage that this package made or checked itself."""
    view, fault, where = check_storage(storage)
    if view is None:
        raise ValueError(f"the storage is malformed: {fault} at {where}")
    return Design(storage, view)


def restored(storage: Storage) -> Design:
    """A design that was pickled: what came through a network may lie at any address, and is copied then."""
    parts = (storage.values, storage.indices, storage.starts)
    values, indices, starts = (None if part is None else np.require(part, requirements="A") for part in parts)
    assert values is not None
    return checked(replace(storage, values=values, indices=indices, starts=starts))


def check_storage(storage: Storage, n_threads: int = 1) -> tuple[object | None, str, int]:
    """(view or None, fault, where) by the fused pass of `_kernels.check`."""
    parts = (storage.values, storage.indices, storage.starts)
    n_threads = worthwhile(n_threads, storage.values.size, storage.indices is not None)
    size = storage.values.size / ENTRIES_A_STEP
    return patiently(lambda: check.check_matrix(*parts, *storage.shape, storage.by_rows, n_threads=n_threads), size)


def measure_storage(
    storage: Storage, sample_weight: Vector | None, v: Vector, totals: bool, n_threads: int
) -> tuple[object | None, str, int, Moments]:
    """`check_storage` and, from the same read of X, the moments of the columns for s and v."""
    sparse_x, p = storage.indices is not None, storage.shape[1]
    room = np.empty((p, 4 if totals else 2) if sparse_x else (3 if totals else 2, p))
    parts = (storage.values, storage.indices, storage.starts)
    n_threads = worthwhile(n_threads, storage.values.size, sparse_x)
    given = (*parts, *storage.shape, storage.by_rows, sample_weight, v, room, n_threads)
    found = patiently(lambda: check.check_matrix(*given), storage.values.size / ENTRIES_A_STEP)
    return *found, Moments(*np.ascontiguousarray(room.T[:3] if sparse_x else room))


@contextmanager
def room_for(what: str, n_bytes: int) -> Iterator[None]:
    """Have a MemoryError within say what it was for, what that needs, and how to do without."""
    try:
        yield
    except MemoryError:
        raise MemoryError(
            f"{what} needs {n_bytes:,} bytes, more than there are; memory_limit lets the solve do with less, "
            "solver='fista' needs a few vectors alone"
        ) from None


ENTRIES_A_STEP = 4
"""Entries that the check reads in the time that a copy takes for one."""


def join_notes(*notes: str) -> str:
    """What the notes say, each thing once, in one line."""
    return "; ".join(dict.fromkeys(part for note in notes if note for part in note.split("; ")))


def read_storage(X: Any) -> Storage:
    """Take X apart, with its kind and shape known to be right, without following any index.

    CSR, CSC, and arrays of float32 or float64 whose rows or columns are contiguous are taken as they are; any other
    numeric array is copied to C order, in float64 unless it is float32.
    """
    if sparse.issparse(X):
        values, note_values = _native(X.data, "values")
        indices, note_indices = _index_array(X.indices, "indices")
        starts, note_starts = _index_array(X.indptr, "indptr")
        n_rows, n_columns = X.shape
        notes = join_notes(note_values, note_indices, note_starts)
        return Storage(values, indices, starts, (int(n_rows), int(n_columns)), X.format == "csr", notes)
    values, note = _native(X, "X")
    if min(values.strides) < 0 or not (_contiguous_along(values, 1) or _contiguous_along(values, 0)):
        copied = patiently(lambda: np.ascontiguousarray(values), values.size)
        values, note = copied, join_notes(note, "X copied to C order")
    by_rows = _contiguous_along(values, 1) and not (values.flags.f_contiguous and values.shape[1] == 1)
    return Storage(values, None, None, (values.shape[0], values.shape[1]), by_rows, note)


def _contiguous_along(values: Array, axis: int) -> bool:
    """Whether the slices along axis are contiguous and do not overlap."""
    other = values.strides[1 - axis]
    return (values.shape[axis] <= 1 or values.strides[axis] == values.itemsize) and (
        values.shape[1 - axis] <= 1 or other >= values.shape[axis] * values.itemsize
    )


def _native(values: Array, name: str) -> tuple[Array, str]:
    """values in float32 or float64, native byte order and aligned; and what that took."""
    dtype = np.dtype(np.float32 if values.dtype.kind == "f" and values.dtype.itemsize == 4 else np.float64)
    if values.dtype == dtype and values.dtype.isnative and values.flags.aligned and (values.ndim > 1 or _flat(values)):
        return np.asarray(values).view(dtype), ""  # a dtype that names the byte order of the machine is another one
    copied = patiently(lambda: np.array(values, dtype=dtype, order="K" if values.ndim > 1 else "C"), values.size)
    return np.require(copied, requirements="A"), f"{name} converted to {dtype}"


def _index_array(indices: Array, name: str) -> tuple[Array, str]:
    """indices in int32 or int64, native, aligned and contiguous; and what that took."""
    if indices.dtype in (np.int32, np.int64) and indices.dtype.isnative and indices.flags.aligned and _flat(indices):
        return np.asarray(indices).view(indices.dtype.newbyteorder("=")), ""
    copied = patiently(lambda: np.array(indices, dtype=np.int64, order="C"), indices.size)
    return copied, f"{name} converted to int64"


def _flat(part: Array) -> bool:
    return bool(part.flags.c_contiguous)
