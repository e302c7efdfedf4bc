"""Reading X, y and feature names from files, and writing a Result or PathResult.

A file is recognised by its first bytes, then by its extension. Nothing is unpickled, and no count that a file
announces is believed before it is held against the size of the file. Whatever is wrong with a file ends in a
`FileError` that names the file, the place where it is known, and the cure.

Index arrays of .npz files are passed on as they are: `l1fast.solve` validates them before any use.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import math
import os
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from l1fast import _saved
from l1fast._files import (
    DEFLATE_RATIO,
    Archive,
    FileError,
    check_output,
    count,
    explained,
    numbers,
    read_array,
    write_whole,
)
from l1fast._patience import COPIES_A_TRIPLET, patiently
from l1fast._result import PathResult, Result

__all__ = [
    "PATH_SUFFIXES",
    "Dataset",
    "FileError",
    "check_output",
    "path_as_dict",
    "read",
    "result_as_dict",
    "write_json",
    "write_path",
    "write_result",
    "write_whole",
]

BLOCK = 1 << 20  # bytes of text parsed at a time
HEAD = 1 << 16  # bytes a format is recognised by
HEAD_LINES = 100  # lines a text format is recognised by
ITEM = np.dtype(np.float64).itemsize
EXACT = 2.0**53  # integers below this are exact in float64

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMPRESSIONS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz")
TABLE_SUFFIXES = (".csv", ".tsv")
SVMLIGHT_SUFFIXES = (".svm", ".svmlight", ".libsvm")
OUTPUT_SUFFIXES = (".npz", ".csv", ".json")
PATH_SUFFIXES = (".npz", ".json")
SVMLIGHT_LINE = re.compile(rb"\s*[^\s:,#]+[ \t]+(?:qid|\d+):\S")
FORMATS = ".npz, .npy, Matrix Market (.mtx), svmlight/libsvm text, .csv or .tsv"
GIVE_TARGET = "give target=FILE (--target FILE on the command line), a .npy, .csv, .txt or .mtx file with one column"


@dataclass(frozen=True, eq=False)
class Dataset:
    """What `read` found in a file.

    Attributes
    ----------
    X : ndarray or scipy.sparse array, shape (n_samples, n_features)
        float32 if the file holds float32, otherwise float64. Index arrays from .npz are not validated yet.
    y : ndarray, shape (n_samples,)
    feature_names : list of str, or None
    source : str
        Path of the file.
    format : str
        The format it was read as: "npz", "npy", "mtx", "svmlight" or "csv".
    """

    X: Any
    y: NDArray[Any]
    feature_names: list[str] | None
    source: str
    format: str


def read(
    path: str | os.PathLike[str], target: str | os.PathLike[str] | None = None, *, target_column: str | None = None
) -> Dataset:
    r"""Read X, y and, where the file has them, feature names.

    Formats: .npz (of `scipy.sparse.save_npz`, or arrays data, indices, indptr, shape or X, with y and feature_names),
    .npy, Matrix Market, svmlight/libsvm text, .csv and .tsv with or without a header. Text may be compressed by gzip,
    bzip2 or xz. Svmlight text is read in blocks and takes little memory beyond the result; its columns count from 0
    if index 0 occurs and from 1 otherwise. Other text formats hold up to two copies for a moment.

    Parameters
    ----------
    path : str or path
    target : str or path, optional
        File with y (.npy, .csv, .txt or .mtx with one column, or .npz with y). Needed where `path` holds no target;
        takes precedence over a target in `path`.
    target_column : str, optional
        Name of the column of a .csv or .tsv file that holds y; its number, from 1, if the file has no header.
        The last column if neither this nor `target` is given.

    Returns
    -------
    Dataset

    Raises
    ------
    FileError
        For every problem with a file: missing, unreadable, damaged, of unknown format, not numeric, without a target.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "small.csv")
    ...     _ = path.write_text("height,width,price\n1,2,10\n3,4,20\n")
    ...     data = read(path)
    >>> data.X.tolist(), data.y.tolist(), data.feature_names
    ([[1.0, 2.0], [3.0, 4.0]], [10.0, 20.0], ['height', 'width'])
    """
    path = Path(path)
    with explained(path):
        kind = recognise(path)
        check_target_column(path, kind, target, target_column)
        y: NDArray[Any] | None = None
        names: list[str] | None = None
        if kind == "npz":
            X, y, names = _read_npz(path)
        elif kind == "npy":
            X = _read_npy(path)
        elif kind == "mtx":
            X = _read_matrix_market(path)
        elif kind == "svmlight":
            X, y = _read_svmlight(path)
        else:
            X, y, names = _read_table(path, target_column, take_target=target is None)
        if X.ndim != 2:
            raise FileError(f"{path}: X must have 2 dimensions, this array has {X.ndim}; save it as a matrix")
    if target is not None:
        y = read_target(target)
        y_path = Path(target)
    elif y is None:
        raise FileError(f"{path}: holds no target y; {GIVE_TARGET}")
    else:
        y_path = path
    n, p = X.shape
    check_length(path, p)
    if y.shape != (n,):
        raise FileError(f"{y_path}: y has shape {y.shape}, X has {count(n, 'row')}; they must agree")
    if names is not None and len(names) != p:
        raise FileError(f"{path}: {count(len(names), 'feature name')} for {count(p, 'column')}; they must agree")
    with explained(path):
        if sp.issparse(X) and X.format in ("coo", "dia"):
            compress = X.tocsc if p <= n + X.nnz else X.tocsr  # few entries in a side that is announced: little memory
            X = patiently(compress, COPIES_A_TRIPLET * X.nnz)  # its coordinates were checked when it was read
    return Dataset(X, y, names, str(path), kind)


def check_target_column(
    path: Path, kind: str, target: str | os.PathLike[str] | None, target_column: str | None
) -> None:
    """Raise if a target column is asked for where there can be none, or beside a target file."""
    if target_column is not None and kind != "csv":
        raise FileError(f"{path}: a target column belongs to a .csv or .tsv file, this one is {kind}; drop it")
    if target_column is not None and target is not None:
        raise FileError(f"{path}: both a target file and a target column are given; give one of them")


def read_target(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read y from a file with one column: .npy, .csv, .txt, .mtx, or y of an .npz file. Raises FileError."""
    path = Path(path)
    with explained(path):
        kind = recognise(path)
        if kind == "npz":
            y = _read_npz(path)[1]
            if y is None:
                raise FileError(f"{path}: holds no array y; save the target under this name")
            return y
        if kind == "svmlight":
            raise FileError(f"{path}: svmlight text is no target file; save y as .npy, .csv, .txt or .mtx")
        values: Any
        if kind == "npy":
            values = _read_npy(path)
        elif kind == "mtx":
            values = _read_matrix_market(path)
            check_length(path, max(values.shape))
        else:
            values = _read_numbers(path)[1]
        if math.prod(values.shape) != max(values.shape, default=0):
            raise FileError(f"{path}: shape {values.shape} is more than one column; a target file holds y alone")
        return np.ravel(values.toarray() if sp.issparse(values) else values)


def write_result(result: Result, path: str | os.PathLike[str], feature_names: list[str] | None = None) -> None:
    """Write a Result as .npz, .csv or .json; the file appears whole or not at all.

    Parameters
    ----------
    result : Result
    path : str or path
        The extension chooses the format. .npz: what `Result.save` writes and `Result.load` reads, and feature_names
        (bytes, one name a line) where known.
        .csv: feature, coefficient of the support; an intercept other than 0 is a last row "(intercept)".
        .json: the object of `result_as_dict`.
    feature_names : list of str, optional
        Features without names are called by their index, from 0.

    Raises
    ------
    FileError
    """
    check_output(path, OUTPUT_SUFFIXES)
    write = {".npz": _write_npz, ".csv": _write_csv, ".json": _write_json}[Path(path).suffix.lower()]
    write_whole(path, lambda stream: write(result, stream, feature_names))


def write_path(result: PathResult, path: str | os.PathLike[str], feature_names: list[str] | None = None) -> None:
    """Write a PathResult as .npz or .json; the file appears whole or not at all.

    Parameters
    ----------
    result : PathResult
    path : str or path
        The extension chooses the format. .npz: what `PathResult.save` writes and `PathResult.load` reads, and
        feature_names (bytes, one name a line) where known. .json: the object of `path_as_dict`.
    feature_names : list of str, optional
        As in `write_result`.

    Raises
    ------
    FileError
    """
    check_output(path, PATH_SUFFIXES)
    write = {".npz": _write_npz, ".json": _write_path_json}[Path(path).suffix.lower()]
    write_whole(path, lambda stream: write(result, stream, feature_names))


def write_json(report: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write one JSON object; the file appears whole or not at all."""
    write_whole(path, lambda stream: _write_object(report, stream))


def check_length(path: Path, size: int) -> None:
    """Raise if a vector of that length, of which every use of X needs some, is more than all memory of this machine."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return
    if ITEM * size > memory > 0:
        raise FileError(
            f"{path}: announces a side of {size:,}, and a vector of that length is more than the {memory:,} bytes of "
            "this machine; it is damaged, or leave out columns without entries"
        )


def result_as_dict(result: Result, feature_names: list[str] | None = None) -> dict[str, Any]:
    """The Result as numbers and strings for JSON; a value that is not finite becomes None."""
    return {
        "status": result.status.name.lower(),
        "lam": _finite(result.lam),
        "tol": _finite(result.tol),
        "objective": _finite(result.objective),
        "dual_gap": _finite(result.dual_gap),
        "violation": _finite(result.violation),
        "intercept": _finite(result.intercept),
        "n_features": len(result.coef),
        "n_iter": result.n_iter,
        "n_epochs": result.n_epochs,
        "n_passes": _finite(result.n_passes),
        "seconds": _finite(result.seconds),
        "solver": result.solver,
        "reason": result.reason,
        "conversion": result.conversion,
        "support": _support(result.support, result.coef[result.support], feature_names),
    }


def path_as_dict(result: PathResult, feature_names: list[str] | None = None) -> dict[str, Any]:
    """The PathResult as numbers and strings for JSON, strength by strength; what is not finite becomes None."""
    sizes, starts = result.df.tolist(), result.coefs.indptr.tolist()
    strengths = []
    for k, (first, last) in enumerate(itertools.pairwise(starts)):
        part = slice(first, last)
        strengths.append(
            {
                "lam": _finite(result.lams[k]),
                "objective": _finite(result.objectives[k]),
                "dual_gap": _finite(result.dual_gaps[k]),
                "violation": _finite(result.violations[k]),
                "deviance_explained": _finite(result.deviance_explained[k]),
                "intercept": _finite(result.intercepts[k]),
                "seconds": _finite(result.seconds[k]),
                "n_iter": int(result.n_iter[k]),
                "support_size": sizes[k],
                "support": _support(result.coefs.indices[part], result.coefs.data[part], feature_names),
            }
        )
    return {
        "status": result.status.name.lower(),
        "tol": _finite(result.tol),
        "n_features": result.coefs.shape[0],
        "solver": result.solver,
        "reason": result.reason,
        "conversion": result.conversion,
        "strengths": strengths,
    }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _support(
    features: NDArray[Any], values: NDArray[np.float64], feature_names: list[str] | None
) -> list[dict[str, Any]]:
    names = _names(features, feature_names)
    return [
        {"feature": name, "index": j, "coef": _finite(value)}
        for name, j, value in zip(names, features.tolist(), values.tolist(), strict=True)
    ]


def _names(features: NDArray[Any], feature_names: list[str] | None) -> list[str]:
    return [str(j) if feature_names is None else feature_names[j] for j in features.tolist()]


def _write_npz(result: Result | PathResult, stream: IO[bytes], feature_names: list[str] | None) -> None:
    _saved.save(result, stream, feature_names)


def _write_csv(result: Result, stream: IO[bytes], feature_names: list[str] | None) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["feature", "coefficient"])
    values = result.coef[result.support].tolist()
    rows.writerows(zip(_names(result.support, feature_names), values, strict=True))
    if result.intercept:
        rows.writerow(["(intercept)", float(result.intercept)])
    text.detach()


def _write_json(result: Result, stream: IO[bytes], feature_names: list[str] | None) -> None:
    _write_object(result_as_dict(result, feature_names), stream)


def _write_path_json(result: PathResult, stream: IO[bytes], feature_names: list[str] | None) -> None:
    _write_object(path_as_dict(result, feature_names), stream)


def _write_object(report: dict[str, Any], stream: IO[bytes]) -> None:
    stream.write(json.dumps(report, indent=1, allow_nan=False).encode() + b"\n")


# ---------------------------------------------------------------- recognising and opening


def _open(path: Path) -> IO[bytes]:
    """The bytes of a regular file, decompressed if its first bytes say that it is compressed."""
    if path.is_dir():
        raise FileError(f"{path}: is a directory; give one file")
    if path.exists() and not path.is_file():
        raise FileError(f"{path}: is not a regular file; save the data to a file first")
    with open(path, "rb") as stream:
        opener = compression(stream)
    opened: IO[bytes] = (opener or open)(path, "rb")
    return opened


def compression(stream: IO[bytes]) -> Any:
    """What opens the rest of a stream decompressed: `gzip.open` and its like; None where it is not compressed."""
    start = stream.tell()
    head = stream.read(8)
    stream.seek(start)
    return next((opener for magic, opener in COMPRESSIONS.items() if head.startswith(magic)), None)


def recognise(path: Path) -> str:
    """The format: by the first bytes, then by the extension, then by the first lines."""
    with _open(path) as stream:
        head = stream.read(HEAD)
        plain = isinstance(stream, io.BufferedReader)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED_SUFFIXES]
    suffix = suffixes[-1] if suffixes else ""
    if not head:
        raise FileError(f"{path}: the file is empty; write or download it again")
    binary = "npz" if head.startswith((b"PK\3\4", b"PK\5\6")) else "npy" if head.startswith(b"\x93NUMPY") else ""
    if binary and not plain:
        raise FileError(f"{path}: holds a compressed .{binary} file; decompress it first")
    if binary:
        return binary
    if head.startswith(b"%%MatrixMarket"):
        return "mtx"
    if suffix in (".npz", ".npy", ".mtx"):
        raise FileError(f"{path}: not a {suffix} file, it begins with {head[:8]!r}; write or download it again")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError(f"{path}: is UTF-16 text; save it as UTF-8")
    if b"\0" in head:
        raise FileError(f"{path}: unknown binary format, it begins with {head[:8]!r}; use {FORMATS}")
    lines = head.removeprefix(BYTE_ORDER_MARK).replace(b"\r", b"\n").split(b"\n")
    data = [line for line in lines if line.strip() and not line.lstrip().startswith(b"#")][:HEAD_LINES]
    if suffix in SVMLIGHT_SUFFIXES or any(SVMLIGHT_LINE.match(line) for line in data):
        return "svmlight"
    if suffix in (*TABLE_SUFFIXES, ".txt") or (data and re.search(rb"[\t;,]", data[0])):
        return "csv"
    raise FileError(f"{path}: the format is not recognised; use {FORMATS}")


class Place(NamedTuple):
    """Where a line of a text begins: its number, from 1, and the bytes, decompressed, that stand before it."""

    line: int = 1
    offset: int = 0


START = Place()


def _blocks(stream: IO[bytes], place: Place = START) -> Iterator[tuple[Place, bytes]]:
    r"""Blocks of whole lines, each with its place; every line ends in \n, whatever it ended in.

    place : where the stream stands, the beginning of a line.
    """
    line, before = place
    start, parts = b"", list[bytes]()
    if place == START:
        mark = stream.read(len(BYTE_ORDER_MARK))
        start = mark.removeprefix(BYTE_ORDER_MARK)
        before += len(mark) - len(start)
    read = before
    while chunk := start + stream.read(BLOCK):
        start = b""
        while chunk.endswith(b"\r") and (following := stream.read(1)):  # \r\n must not be parted
            chunk += following
        read += len(chunk)
        whole, newline, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rpartition(b"\n")
        if newline:
            yield Place(line, before), b"".join((*parts, whole, newline))
            line, before = line + whole.count(b"\n") + 1, read - len(rest)
            parts = []
        parts.append(rest)  # joined once, however long a line is
    if any(parts):
        yield Place(line, before), b"".join(parts) + b"\n"


def _words(block: bytes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where every word of whole lines starts, and how many there are on each line."""
    characters = np.frombuffer(block, dtype=np.uint8)
    word = characters > ord(" ")
    word[1:] &= characters[:-1] <= ord(" ")
    starts = np.flatnonzero(word)
    return starts, np.diff(np.searchsorted(starts, np.flatnonzero(characters == ord("\n"))), prepend=0)


# ---------------------------------------------------------------- NumPy files


def _read_npy(path: Path) -> NDArray[Any]:
    with open(path, "rb") as stream:
        return numbers(read_array(stream, path.stat().st_size, str(path)), str(path))


def _read_npz(path: Path) -> tuple[Any, NDArray[Any] | None, list[str] | None]:
    archive = Archive(path)
    with archive.zip:
        X = archive.numbers("X") if "X" in archive.keys else _read_sparse(archive)
        y = np.atleast_1d(np.squeeze(archive.numbers("y"))) if "y" in archive.keys else None
        names = _read_names(archive) if "feature_names" in archive.keys else None
    return X, y, names


def _read_sparse(archive: Archive) -> Any:
    """The layouts of `scipy.sparse.save_npz`; without an array `format`, CSR."""
    form = "csr"
    if "format" in archive.keys:
        text = archive.array("format").item()
        form = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    sizes = archive.indices("shape").tolist()
    if len(sizes) != 2 or min(sizes) < 0:
        raise FileError(f"{archive.path}: shape must be two sizes, it is {sizes}; save a matrix")
    shape = (sizes[0], sizes[1])
    if form not in ("csr", "csc", "coo", "bsr", "dia"):
        raise FileError(f"{archive.path}: unknown sparse format {form!r}; save as csr or csc")
    data = archive.numbers("data")
    dimensions = {"bsr": 3, "dia": 2}.get(form, 1)
    if data.ndim != dimensions:
        raise FileError(
            f"{archive.path}: {form} data must be {dimensions}-D, it is {data.ndim}-D; save the matrix again"
        )
    if form == "bsr" and (0 in data.shape[1:] or shape[0] % data.shape[1] or shape[1] % data.shape[2]):
        raise FileError(f"{archive.path}: blocks of {data.shape[1:]} do not fill the shape {shape}; save it as csr")
    if form in ("csr", "csc", "bsr"):
        container = {"csr": sp.csr_array, "csc": sp.csc_array, "bsr": sp.bsr_array}[form]
        indices, indptr = archive.indices("indices"), archive.indices("indptr")
        stored = min(len(indices), len(data))
        if indptr.size and (indptr[0] != 0 or indptr[-1] > stored):
            fault = f"begins with {indptr[0]}, not 0" if indptr[0] != 0 else f"ends with {indptr[-1]}, not {stored}"
            raise FileError(f"{archive.path}: indptr {fault}; it is damaged, save the matrix again")
        # the constructor compares lengths; it follows no index
        return container((data, indices, indptr), shape=shape)
    if form == "coo":
        if "coords" in archive.keys:
            coords = tuple(archive.array("coords"))
        else:
            coords = (archive.indices("row"), archive.indices("col"))
        if any(axis.dtype.kind not in "iu" for axis in coords):
            raise FileError(f"{archive.path}: coordinates must be integers; save with scipy.sparse.save_npz")
        return sp.coo_array((data, coords), shape=shape)  # checks every coordinate
    offsets = archive.indices("offsets").astype(np.int64)
    if offsets.size and (offsets.min() <= -shape[0] or offsets.max() >= shape[1]):
        raise FileError(f"{archive.path}: an offset lies outside of the shape {shape}; save the matrix again")
    return sp.dia_array((data, offsets), shape=shape)


def _read_names(archive: Archive) -> list[str]:
    """A blob of bytes or text with one name a line, or an array of strings."""
    values = archive.array("feature_names")
    if values.dtype.kind not in "SU" or values.ndim > 1:
        raise FileError(f"{archive.path}: feature_names must be text, one name a line, not {values.dtype}; save it so")
    try:
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in np.atleast_1d(values).tolist()]
    except UnicodeDecodeError as error:
        raise FileError(f"{archive.path}: feature_names is not UTF-8 at byte {error.start}; encode it again") from error
    return names if values.ndim else names[0].removesuffix("\n").split("\n")


# ---------------------------------------------------------------- Matrix Market


def _read_matrix_market(path: Path) -> Any:
    """Real entries of a matrix, by coordinates or as a dense array; a dense one in Fortran order.

    Source: Boisvert, Pozo and Remington, The Matrix Market exchange formats (NIST IR 5935, 1996). `scipy.io.mmread` is
    not used: it ends the process on some malformed files.
    """
    kind: _MarketKind | None = None
    sizes: list[int] = []
    values = array("d")
    with _open(path) as stream:
        held = path.stat().st_size * (1 if isinstance(stream, io.BufferedReader) else DEFLATE_RATIO)
        for (number, _), block in _blocks(stream):
            while block and not sizes:
                line, _, block = block.partition(b"\n")
                if kind is None:
                    kind = _market_kind(line.decode("latin-1"), path)
                elif line.strip() and not line.startswith(b"%"):
                    sizes = _market_sizes(number, line.decode("latin-1"), kind, held, path)
                number += 1
            if block and kind is not None:
                values.frombytes(_market_entries(block, number, kind, sizes, len(values) // kind.width, path).tobytes())
    if kind is None or not sizes:
        raise FileError(f"{path}: ends before the line with the sizes; it is truncated, write or download it again")
    entries = np.array(values).reshape(-1, kind.width)
    expected = kind.n_entries(sizes)
    if len(entries) != expected:
        raise FileError(
            f"{path}: holds {count(len(entries), 'value')}, {expected:,} are announced; it is truncated or damaged, "
            "write or download it again"
        )
    return kind.dense(entries[:, 0], sizes) if kind.form == "array" else kind.sparse(entries, sizes, path)


@dataclass(frozen=True)
class _MarketKind:
    """What the first line of a Matrix Market file says."""

    form: str
    field: str
    symmetry: str

    @property
    def width(self) -> int:
        """Numbers on a line of the body."""
        return (self.form == "coordinate") * 2 + (self.field != "pattern")

    @property
    def mirror(self) -> float:
        """What the other triangle is multiplied by; 0 without one."""
        return {"general": 0.0, "skew-symmetric": -1.0}.get(self.symmetry, 1.0)

    def n_entries(self, sizes: list[int]) -> int:
        """Lines of the body: of symmetric arrays the lower triangle alone, of skew-symmetric ones without diagonal."""
        if self.form == "coordinate":
            return sizes[2]
        n = sizes[0]
        return {"general": n * sizes[1], "skew-symmetric": n * (n - 1) // 2}.get(self.symmetry, n * (n + 1) // 2)

    def dense(self, values: NDArray[np.float64], sizes: list[int]) -> NDArray[np.float64]:
        """The array whose columns are listed one after the other."""
        if not self.mirror:
            return values.reshape((sizes[0], sizes[1]), order="F")
        n, found = sizes[0], np.zeros((sizes[0], sizes[0]), order="F")
        columns, rows = np.triu_indices(n, 1 if self.mirror < 0.0 else 0)
        found[columns, rows] = self.mirror * values
        found[rows, columns] = values
        return found

    def sparse(self, entries: NDArray[np.float64], sizes: list[int], path: Path) -> Any:
        """The matrix of the coordinates; duplicates add up."""
        rows, columns = (entries[:, axis].astype(np.int64) - 1 for axis in (0, 1))
        values = np.ones(len(entries)) if self.field == "pattern" else entries[:, 2]
        if self.mirror:
            off = rows != columns
            if self.mirror < 0.0 and values[~off].any():
                raise FileError(f"{path}: is said to be skew-symmetric, but its diagonal is not 0; correct it")
            values = np.concatenate([values, self.mirror * values[off]])
            rows, columns = np.concatenate([rows, columns[off]]), np.concatenate([columns, rows[off]])
        return sp.coo_array((values, (rows, columns)), shape=(sizes[0], sizes[1]))


def _market_kind(line: str, path: Path) -> _MarketKind:
    words = line.lower().split()
    choices = (
        ("%%matrixmarket",),
        ("matrix",),
        ("coordinate", "array"),
        ("real", "double", "integer", "pattern"),
        ("general", "symmetric", "skew-symmetric", "hermitian"),
    )
    wrong = [word for word, known in zip(words, choices, strict=False) if word not in known]
    if wrong or len(words) != len(choices) or words[2:4] == ["array", "pattern"]:
        raise FileError(
            f"{path}: line 1: {line[:80]!r} is no matrix of real numbers"
            + (f" ({wrong[0][:20]!r} is not known here)" if wrong else "")
            + "; it must be such as '%%MatrixMarket matrix coordinate real general'"
        )
    return _MarketKind(*words[2:])


def _market_sizes(number: int, line: str, kind: _MarketKind, held: int, path: Path) -> list[int]:
    """The sizes, which must not announce more entries than the bytes of the file can hold."""
    words = line.split()
    sizes = [int(word) for word in words if re.fullmatch("[0-9]{1,18}", word, re.ASCII)]
    if not len(words) == len(sizes) == (3 if kind.form == "coordinate" else 2):
        raise FileError(f"{path}: line {number} must hold the sizes, it is {line[:40]!r}; write or download it again")
    if kind.mirror and sizes[0] != sizes[1]:
        raise FileError(f"{path}: line {number}: a {kind.symmetry} matrix is square, not {sizes[0]:,} x {sizes[1]:,}")
    entries, shortest = kind.n_entries(sizes), 2 * kind.width  # a digit and a mark behind it
    if shortest * entries > held + shortest:  # the last line may lack its end
        raise FileError(
            f"{path}: line {number} announces {count(entries, 'value')}, more than the file can hold; "
            "it is truncated or damaged, write or download it again"
        )
    return sizes


def _market_entries(
    block: bytes, first_line: int, kind: _MarketKind, sizes: list[int], before: int, path: Path
) -> NDArray[np.float64]:
    """The numbers of some lines of the body, `before` others having been read; indices are within the sizes."""
    if b"%" in block:
        block = re.sub(rb"(?m)^%.*$", b"", block)
    starts, per_line = _words(block)
    fields, lines = block.split(), np.flatnonzero(per_line)
    surplus = before + len(lines) - kind.n_entries(sizes)
    if surplus > 0:
        number = first_line + lines[-surplus]
        raise FileError(f"{path}: line {number}: more values than the {kind.n_entries(sizes):,} announced; correct it")
    regular = b"_" not in block and len(fields) == len(starts) and bool((per_line[lines] == kind.width).all())
    if regular:
        try:
            entries = np.fromiter(map(float, fields), dtype=np.float64, count=len(fields)).reshape(-1, kind.width)
            regular = bool(np.isfinite(entries).all())
        except ValueError:
            regular = False
    if regular and kind.form == "coordinate":
        index = entries[:, :2]
        regular = bool(((index >= 1) & (index <= sizes[:2]) & (index == np.floor(index))).all())
    if not regular:
        for number, line in enumerate(block.decode("latin-1").split("\n"), first_line):
            if line.strip() and (problem := _market_problem(line.split(), kind, sizes)):
                raise FileError(f"{path}: line {number}: {problem}")
        raise FileError(
            f"{path}: lines {first_line} to {first_line + len(per_line) - 1} are not all numbers; correct them"
        )
    return entries


def _market_problem(words: list[str], kind: _MarketKind, sizes: list[int]) -> str:
    """What is wrong with one line of the body, or an empty string."""
    if len(words) != kind.width:
        return f"{count(len(words), 'number')} where {kind.width} must stand; correct it"
    for word in words:
        if not _is_number(word):
            return f"{word[:40]!r} is not a finite number; correct it"
    if kind.form == "coordinate":
        for name, word, size in zip(("row", "column"), words, sizes, strict=False):
            if not (1 <= float(word) <= size and float(word) == math.floor(float(word))):
                return f"{name} {word[:40]} is not one of 1 to {size:,}; correct it"
    return ""


# ---------------------------------------------------------------- svmlight


class SparseRows(NamedTuple):
    """Rows of svmlight text as they stand there: labels, and the pairs of all rows one after the other."""

    y: NDArray[np.float64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    counts: NDArray[np.int64]


NO_PAIR = "holds no index:value pair; it must hold lines such as '1.5 1:0.3 7:2'"


def svmlight_blocks(stream: IO[bytes], path: Path, place: Place = START) -> Iterator[tuple[Place, SparseRows]]:
    """`label index:value index:value ... # comment`, one sample a line; a pair qid:... is ignored."""
    for at, block in _blocks(stream, place):
        if b"#" in block:
            block = re.sub(rb"#[^\n]*", b"", block)
        if b"qid:" in block:
            block = re.sub(rb"(?<=[ \t])qid:\S+", b"", block)
        try:
            rows = _parse_svmlight(block)
        except ValueError:
            for number, line in enumerate(block.split(b"\n"), at.line):
                if problem := _svmlight_problem(line):
                    raise FileError(f"{path}: line {number}: {problem}") from None
            raise
        yield at, rows


def _read_svmlight(path: Path) -> tuple[Any, NDArray[np.float64]]:
    labels, values, lengths = array("d"), array("d"), array("q", [0])
    indices = array("i")  # "q", int64, from the first index on that needs it
    smallest, largest = math.inf, -1
    with _open(path) as stream:
        for _, (y, columns, entries, counts) in svmlight_blocks(stream, path):
            if columns.size:
                smallest, largest = min(smallest, int(columns.min())), max(largest, int(columns.max()))
            if largest > np.iinfo(np.int32).max and indices.typecode == "i":
                indices = array("q", indices)
            labels.frombytes(y.tobytes())
            values.frombytes(entries.tobytes())
            indices.frombytes(columns.astype(indices.typecode).tobytes())
            lengths.frombytes(counts.tobytes())
    if largest < 0:
        raise FileError(f"{path}: {NO_PAIR}")
    positions = np.frombuffer(indices, dtype=indices.typecode)
    if smallest > 0:
        positions -= 1  # counted from 1
        largest -= 1
    indptr = np.cumsum(np.frombuffer(lengths, dtype=np.int64))
    if len(values) <= np.iinfo(positions.dtype).max:
        indptr = indptr.astype(positions.dtype)  # SciPy would widen the indices to the type of indptr
    X = sp.csr_array((np.frombuffer(values), positions, indptr), shape=(len(labels), largest + 1))
    return X, np.frombuffer(labels)


def _parse_svmlight(block: bytes) -> SparseRows:
    """The rows of whole lines; ValueError if any line is malformed."""
    characters = np.frombuffer(block, dtype=np.uint8)
    starts, per_line = _words(block)
    per_line = per_line[per_line > 0]  # a blank line is no sample
    is_pair = np.ones(len(starts), dtype=bool)
    is_pair[np.cumsum(per_line) - per_line] = False
    owners = np.searchsorted(starts, np.flatnonzero(characters == ord(":")), side="right") - 1
    if b"_" in block or not np.array_equal(owners, np.flatnonzero(is_pair)):
        raise ValueError("every word but the first of a line must hold one colon")
    fields = block.replace(b":", b" ").split()
    if len(fields) != len(starts) + len(owners):
        raise ValueError("a colon must stand between two numbers")
    numbers = np.fromiter(map(float, fields), dtype=np.float64, count=len(fields))
    is_label = np.zeros(len(fields), dtype=bool)
    counts = per_line - 1
    is_label[np.cumsum(2 * counts + 1) - (2 * counts + 1)] = True
    pairs = numbers[~is_label].reshape(-1, 2)
    floats = pairs[:, 0]
    if not (np.isfinite(numbers).all() and ((floats >= 0) & (floats < EXACT) & (floats == np.floor(floats))).all()):
        raise ValueError("numbers must be finite and indices non-negative integers")
    columns = floats.astype(np.int64)
    ends = np.cumsum(counts)
    descents = np.flatnonzero(np.diff(columns) <= 0) + 1
    for row in np.unique(np.searchsorted(ends, descents, side="right")):
        inside = columns[ends[row] - counts[row] : ends[row]]
        if len(np.unique(inside)) < len(inside):
            raise ValueError("an index occurs twice in a line")
    return SparseRows(numbers[is_label], columns, pairs[:, 1], counts)


def _svmlight_problem(line: bytes) -> str:
    """What is wrong with one line, or an empty string."""
    words = line.split()
    if not words:
        return ""
    text = [word.decode("utf-8", "backslashreplace") for word in words]
    if not _is_number(text[0]):
        return f"the label {text[0]!r} is not a finite number; write one number"
    seen: set[int] = set()
    for word in text[1:]:
        index, colon, value = word.partition(":")
        if not colon or ":" in value:
            return f"{word!r} is not of the form index:value; correct it"
        if not (_is_number(index) and float(index) == math.floor(float(index)) and 0 <= float(index) < EXACT):
            return f"the index of {word!r} is not a non-negative integer; count columns from 0 or 1"
        if not _is_number(value):
            return f"the value of {word!r} is not a finite number; leave the pair out if it is missing"
        if int(float(index)) in seen:
            return f"index {index} occurs twice; give each index once"
        seen.add(int(float(index)))
    return ""


def _is_float(text: str) -> bool:
    """Whether text is a number as C writes it, nan and inf included (Python would take 1_000, too)."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _is_number(text: str) -> bool:
    return _is_float(text) and math.isfinite(float(text))


# ---------------------------------------------------------------- tables


def _delimiter(line: str) -> str:
    return next((mark for mark in "\t;" if mark in line), ",")


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _read_table(
    path: Path, target_column: str | None, *, take_target: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, list[str] | None]:
    """X, y and names; y is the named or last column, or None without `take_target`."""
    layout, table = _read_numbers(path)
    names = layout.names
    if not take_target:
        return patiently(lambda: np.asfortranarray(table), table.size), None, names
    column = layout.target(path, target_column)
    keep = [j for j in range(layout.width) if j != column]
    X = patiently(lambda: np.asfortranarray(table[:, keep]), 2 * table.size)
    return X, table[:, column].copy(), None if names is None else [names[j] for j in keep]


class TableLayout(NamedTuple):
    """What the first line of a delimited text file tells; `header` is its number where it holds names, else 0."""

    delimiter: str
    width: int
    names: list[str] | None
    header: int

    def target(self, path: Path, name: str | None) -> int:
        """The column that holds y: the one of that name, or number, or the last."""
        if self.width < 2:
            raise FileError(f"{path}: one column cannot be both X and y; {GIVE_TARGET}")
        if name is None:
            return self.width - 1
        labels = self.names if self.names is not None else [str(number) for number in range(1, self.width + 1)]
        if labels.count(name) != 1:
            problem = "occurs more than once" if name in labels else "is not in the file"
            known = ", ".join(labels[:10]) + (", ..." if self.width > 10 else "")
            raise FileError(f"{path}: the target column {name!r} {problem}; it has {known}")
        return labels.index(name)


NO_ROW = "holds no row of numbers; write or download it again"


def table_blocks(
    stream: IO[bytes], path: Path, place: Place = START, layout: TableLayout | None = None
) -> Iterator[tuple[Place, TableLayout, NDArray[np.float64]]]:
    """Rows of numbers of a delimited text file, and its layout, which the first line tells if it is not given."""
    for at, block in _blocks(stream, place):
        text = block.decode("utf-8", "surrogateescape").split("\n")
        lines = [(number, line) for number, line in enumerate(text, at.line) if line.strip(" ")]
        if lines and layout is None:
            number, line = lines[0]
            delimiter = _delimiter(line)
            cells = _cells(line, delimiter)
            is_header = not any(map(_is_float, cells))
            names = _header(cells, path, number) if is_header else None
            layout = TableLayout(delimiter, len(cells), names, number if is_header else 0)
        if lines and layout is not None and lines[0][0] == layout.header:
            del lines[0]
        if not lines or layout is None:
            continue
        try:
            rows = np.loadtxt(
                [line for _, line in lines], delimiter=layout.delimiter, quotechar='"', comments=None, ndmin=2
            )
            regular = rows.shape[1] == layout.width and bool(np.isfinite(rows).all())
        except ValueError:
            regular = False
        if not regular:
            for number, line in lines:
                if problem := _row_problem(_cells(line, layout.delimiter), layout.width, layout.names):
                    raise FileError(f"{path}: line {number}: {problem}")
            raise FileError(f"{path}: lines {lines[0][0]} to {lines[-1][0]} are not all numbers; correct them")
        yield at, layout, rows


def _read_numbers(path: Path) -> tuple[TableLayout, NDArray[np.float64]]:
    """The layout and all numbers of a delimited text file."""
    layout: TableLayout | None = None
    values = array("d")
    with _open(path) as stream:
        for _, told, rows in table_blocks(stream, path):
            layout = told
            values.frombytes(rows.tobytes())
    if layout is None or not values:
        raise FileError(f"{path}: {NO_ROW}")
    return layout, np.frombuffer(values).reshape(-1, layout.width)


def _header(cells: list[str], path: Path, number: int) -> list[str]:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        raise FileError(f"{path}: line {number}: the header is not UTF-8; save the file as UTF-8") from None
    return cells


def _row_problem(cells: list[str], width: int, names: list[str] | None) -> str:
    """What is wrong with one row, or an empty string."""
    if len(cells) != width:
        return f"{count(len(cells), 'cell')}, but {width} in the first line; correct it"
    for column, cell in enumerate(cells, 1):
        if not _is_number(cell):
            place = f"column {column}" + (f" ({names[column - 1]})" if names else "")
            shown = cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            return f"{place} is {shown!r}, not a finite number; correct it or leave the row out"
    return ""
