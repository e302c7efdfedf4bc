"""Designs in files of other libraries as blocks of rows: Parquet (pyarrow), Zarr (zarr) and AnnData (h5py or zarr).

Each library is imported when a file of its kind is opened; what it reads is checked as all input is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from l1fast._files import FileError, count, explained, numbers
from l1fast._stores import BLOCK_BYTES, ITEM, Paths, StoredBlocks, as_rows, expanded, stored


def imported(module: str, what: str, extra: str) -> Any:
    """A library, or an ImportError that names the extra."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f'{what} need {package}: pip install "l1fast[{extra}]" ({error})') from error


# ---------------------------------------------------------------- Parquet


@dataclass(frozen=True)
class ParquetRows:
    """load(k) for row groups bounds[k].. of Parquet files."""

    paths: tuple[Path, ...]
    blocks: tuple[tuple[int, int, int], ...]  # the file, its first row group and the one behind the last
    columns: tuple[str, ...]
    dtype: np.dtype[Any]

    def __call__(self, k: int) -> NDArray[Any]:
        owner, first, last = self.blocks[k]
        path = self.paths[owner]
        with explained(path), _parquet().ParquetFile(path) as file:
            table = file.read_row_groups(range(first, last), columns=list(self.columns))
            made = np.empty((table.num_rows, len(self.columns)), self.dtype, order="F")
            for j, name in enumerate(self.columns):
                column = table.column(name)
                if column.null_count:
                    raise FileError(
                        f"{path}: column {name!r} has {count(column.null_count, 'null value')} in row groups "
                        f"{first} to {last - 1}; fill them, or leave the column out"
                    )
                made[:, j] = column.to_numpy()
            return made


def _parquet() -> Any:
    return imported("pyarrow.parquet", "Parquet files", "parquet")


def from_parquet(paths: Paths, *, columns: list[str] | None = None) -> StoredBlocks:
    """X from the columns of Parquet files that stay on disk, some row groups at a time.

    `solve`, `path` and `lam_max` take what is returned in place of an array. Needs pyarrow (extra ``parquet``).

    Parameters
    ----------
    paths : str or path, or several
        As in `from_npy_memmap`; files that end in .parquet where a folder is given.
    columns : list of str, optional
        Names of the features, in this order: numbers or booleans without null values. Default: all columns of the first
        file; name them where one is the target, and read that with ``pyarrow.parquet.read_table(path, columns=["y"])``.

    Returns
    -------
    RowBlocks
        As of `from_npy_memmap`; dense, float32 where all columns are, else float64.

    Raises
    ------
    FileError
        A file is missing or damaged, or a column is missing, twice there, not of numbers, or holds null values.
    ImportError
        pyarrow is not installed.

    Notes
    -----
    A block is as many row groups as 64 MiB hold, and one at least: write a large file with ``row_group_size``. Every
    pass unpacks and decodes the file, which takes many times what reading a .npy file takes.

    Examples
    --------
    >>> import pathlib, tempfile, pyarrow, pyarrow.parquet, l1fast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "data.parquet")
    ...     pyarrow.parquet.write_table(pyarrow.table({"a": [1.0, 0.0], "b": [0, 1], "y": [3.0, -2.0]}), path)
    ...     y = pyarrow.parquet.read_table(path, columns=["y"])["y"].to_numpy()
    ...     l1fast.solve(l1fast.from_parquet(path, columns=["a", "b"]), y, lam=1.0).coef
    array([ 2., -1.])
    """
    parquet = _parquet()
    files, where = expanded(paths, ".parquet")
    names, singles, looked = columns, True, []
    for path in files:
        with explained(path), parquet.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
            names = list(schema.names) if names is None else names
            for name in names:
                singles &= _column_type(path, schema, name) == np.float32
            looked.append([metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)])
    assert names is not None
    dtype = np.dtype(np.float32 if singles else np.float64)
    blocks: list[tuple[int, int, int]] = []
    rows: list[int] = []
    for owner, groups in enumerate(looked):
        sizes = np.array(groups, dtype=np.int64)
        for first, last in pairwise(cuts(sizes * (len(names) * dtype.itemsize), None)):
            blocks.append((owner, first, last))
            rows.append(int(sizes[first:last].sum()))
    n_bytes = sum(path.stat().st_size for path in files)
    load = ParquetRows(tuple(files), tuple(blocks), tuple(names), dtype)
    return stored(load, rows, len(names), where, n_bytes, None, dtype)


def _column_type(path: Path, schema: Any, name: str) -> np.dtype[Any]:
    """The type of a column of numbers."""
    found = schema.get_all_field_indices(name)
    if len(found) != 1:
        known = ", ".join(schema.names[:10]) + (", ..." if len(schema.names) > 10 else "")
        problem = "is there more than once" if found else "is not in the file"
        raise FileError(f"{path}: column {name!r} {problem}; it has {known}")
    types, kind = import_module("pyarrow.types"), schema.field(found[0]).type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise FileError(f"{path}: column {name!r} is of {kind}, not of numbers; name the columns to use")
    dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    return dtype


def cuts(sizes: NDArray[np.int64], most: int | None) -> list[int]:
    """Where blocks of rows, or of groups of them, end: as many as `BLOCK_BYTES` hold, one at least, `most` at most."""
    ends = np.cumsum(sizes)
    made = [0]
    while made[-1] < len(sizes):
        first = made[-1]
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_BYTES, side="right")))
        made.append(last if most is None else min(last, first + most))
    return made


# ---------------------------------------------------------------- Zarr and AnnData


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The root of an HDF5 file or of a Zarr folder; both have groups, arrays and attributes."""
    if path.is_dir():
        yield imported("zarr", "Zarr folders", "zarr").open(str(path), mode="r")
    else:
        with imported("h5py", "HDF5 files (.h5ad)", "anndata").File(path, "r") as file:
            yield file


@dataclass(frozen=True)
class ArrayRows:
    """load(k) for rows bounds[k].. of an array, or a CSR group, in an HDF5 file or Zarr folder."""

    path: Path
    key: str
    bounds: NDArray[np.int64]
    n_features: int
    sparse: bool

    def __call__(self, k: int) -> Any:
        first, last = int(self.bounds[k]), int(self.bounds[k + 1])
        where = f"{self.path}: {self.key or 'the array'}"
        with explained(self.path), opened(self.path) as root:
            node = root[self.key] if self.key else root
            if not self.sparse:
                return numbers(np.asarray(node[first:last]), where)
            starts = np.asarray(node["indptr"][first : last + 1]).astype(np.int64)
            begin, end = int(starts[0]), int(starts[-1])
            if not 0 <= begin <= end <= node["data"].shape[0]:
                raise FileError(f"{where}: rows {first} to {last - 1} begin at {begin} and end at {end}; {DAMAGED}")
            values = numbers(np.asarray(node["data"][begin:end]), where)
            indices = np.asarray(node["indices"][begin:end])
        made = sparse.csr_array((last - first, self.n_features), dtype=values.dtype)
        native = indices.astype(indices.dtype.newbyteorder("="), copy=False)
        made.data, made.indices, made.indptr = values, native, starts - begin
        return made


DAMAGED = "it is damaged, write it again"


def from_zarr(path: str | os.PathLike[str], key: str = "", *, rows_per_block: int | None = None) -> StoredBlocks:
    """X from a Zarr folder: a dense array of two dimensions, or a CSR group as AnnData writes it.

    `solve`, `path` and `lam_max` take what is returned in place of an array. Needs zarr (extra ``zarr``).

    Parameters
    ----------
    path : str or path
    key : str
        The array or group in the folder, such as ``"layers/counts"``; "" if the folder is the array itself.
    rows_per_block : int, optional
        Default: as many as 64 MiB hold, whole chunks of a dense array.

    Returns
    -------
    RowBlocks
        As of `from_npy_memmap`, or of `from_csr_parts` for a group.

    Raises
    ------
    FileError
        There is no such folder or array, or it is not of real numbers, or stored by columns (CSC), or damaged.
    ImportError
        zarr is not installed.

    Notes
    -----
    Memory: one block, and for CSR the row starts once, when this is called. Every pass unpacks the chunks.
    """
    path = Path(path).absolute()
    if not path.is_dir():
        raise FileError(f"{path}: there is no such folder; check the path")
    return _from_arrays(path, key, rows_per_block)


def from_anndata(
    path: str | os.PathLike[str], layer: str | None = None, *, rows_per_block: int | None = None
) -> StoredBlocks:
    """X, or a layer, of an AnnData file (.h5ad) or Zarr folder, which stays on disk.

    `solve`, `path` and `lam_max` take what is returned in place of a matrix. Needs h5py or zarr (extra ``anndata``),
    and not anndata itself.

    Parameters
    ----------
    path : str or path
    layer : str, optional
        Default: X.
    rows_per_block : int, optional
        As in `from_zarr`.

    Returns
    -------
    RowBlocks
        Sparse for CSR, dense for an array.

    Raises
    ------
    FileError
        As of `from_zarr`.
    ImportError
        h5py, or zarr for a folder, is not installed.
    """
    path = Path(path).absolute()
    with explained(path):
        path.stat()
    return _from_arrays(path, "X" if layer is None else f"layers/{layer}", rows_per_block)


def _from_arrays(path: Path, key: str, rows_per_block: int | None) -> StoredBlocks:
    """Blocks of an array or CSR group in an HDF5 file or Zarr folder."""
    most = None if rows_per_block is None else as_rows(rows_per_block)
    where = f"{path}: {key}" if key else str(path)
    with opened_or_error(path) as root:
        if key and key not in root:
            raise FileError(f"{path}: has no {key!r}, but {', '.join(sorted(root)[:10]) or 'nothing'}; check the key")
        node = root[key] if key else root
        return _sparse(path, key, node, most, where) if hasattr(node, "keys") else _dense(path, key, node, most, where)


@contextmanager
def opened_or_error(path: Path) -> Iterator[Any]:
    """As `opened`; a missing library stays an ImportError, all else that goes wrong is about the file."""
    imported(*(("zarr", "Zarr folders", "zarr") if path.is_dir() else ("h5py", "HDF5 files (.h5ad)", "anndata")))
    with explained(path), opened(path) as root:
        yield root


def _dense(path: Path, key: str, node: Any, most: int | None, where: str) -> StoredBlocks:
    _unpickled(node, where)
    dtype = numbers(np.empty(0, node.dtype), where).dtype
    if len(node.shape) != 2:
        raise FileError(f"{where}: X must have 2 dimensions, this array has {len(node.shape)}; save it as a matrix")
    n, p = node.shape
    step = most
    if step is None:
        chunk = node.chunks[0] if node.chunks else 1
        step = max(chunk, BLOCK_BYTES // max(1, p * dtype.itemsize) // chunk * chunk, 1)
    bounds = np.array([*range(0, n, step), n], dtype=np.int64)
    load = ArrayRows(path, key, bounds, p, sparse=False)
    return stored(load, np.diff(bounds).tolist(), p, where, n * p * node.dtype.itemsize, None, dtype)


def _sparse(path: Path, key: str, node: Any, most: int | None, where: str) -> StoredBlocks:
    form = node.attrs.get("encoding-type", "")
    if missing := [name for name in ("data", "indices", "indptr") if name not in node] or "shape" not in node.attrs:
        raise FileError(f"{where}: is no sparse matrix ({missing} of it is missing); name an array or a CSR group")
    if form not in ("csr_matrix", ""):
        raise FileError(f"{where}: is stored as {form}; save it by rows, as CSR")
    data, indices, indptr = (node[name] for name in ("data", "indices", "indptr"))
    for part in (data, indices, indptr):
        _unpickled(part, where)
    dtype = numbers(np.empty(0, data.dtype), where).dtype
    if any(part.dtype.kind not in "iu" for part in (indices, indptr)) or any(
        len(part.shape) != 1 for part in (data, indices, indptr)
    ):
        raise FileError(f"{where}: indices and row starts must be lists of integers; {DAMAGED}")
    shape = [int(size) for size in node.attrs["shape"]]
    if len(shape) != 2 or min(shape) < 0 or indptr.shape != (shape[0] + 1,):
        raise FileError(
            f"{where}: {count(indptr.shape[0], 'row start')} do not fit the shape {tuple(shape)}; {DAMAGED}"
        )
    starts = np.asarray(indptr[:]).astype(np.int64)
    counts, nnz = np.diff(starts), int(starts[-1])
    if starts[0] != 0 or (counts < 0).any() or not nnz == data.shape[0] == indices.shape[0]:
        raise FileError(
            f"{where}: row starts must rise from 0 to the {data.shape[0]:,} values and {indices.shape[0]:,} indices, "
            f"they go from {starts[0]} to {nnz}; {DAMAGED}"
        )
    width = dtype.itemsize + indices.dtype.itemsize
    bounds = np.array(cuts(counts * width + ITEM, most), dtype=np.int64)
    load = ArrayRows(path, key, bounds, shape[1], sparse=True)
    return stored(load, np.diff(bounds).tolist(), shape[1], where, nnz * width, nnz, dtype)


def _unpickled(array: Any, where: str) -> None:
    """Raise where reading would run code of the file: Zarr can be told to unpickle."""
    codecs = [*(getattr(array, "filters", None) or ()), *(getattr(array, "compressors", None) or ())]
    if any("pickle" in f"{type(codec).__name__} {getattr(codec, 'codec_id', '')}".lower() for codec in codecs):
        raise FileError(f"{where}: holds pickled Python objects, which are never loaded; save numbers instead")
