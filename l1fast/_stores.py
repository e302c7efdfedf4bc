"""Designs on disk as blocks of rows: dense .npy files, CSR matrices in .npz parts, and folders of blocks.

    X = [X_1; X_2; ...],    X_k read, used and forgotten, for every pass over X

Values are mapped, not read, wherever they lie as the kernels need them: whatever stands in the file, they are numbers.
Indices are read into memory of their own, because they are checked before they are followed, and must not change
between the two.
"""

from __future__ import annotations

import glob
import json
import math
import mmap
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from l1fast._files import LOCAL_HEADER, Archive, FileError, count, explained, numbers, read_header, write_whole
from l1fast._row_blocks import RowBlocks
from l1fast.io import Dataset

BLOCK_BYTES = 1 << 26
"""Bytes of a block unless told otherwise: a pass over them takes some 30 ms, against 0.6 ms that a part costs beside
its numbers (measured, CSR on one core of an EPYC); and they are little beside the memory of any machine."""

MANIFEST, VERSION, FORMAT = "manifest.json", 1, "l1fast blocks"
UNFINISHED = "unfinished.json"
MANIFEST_LIMIT = 1 << 30  # bytes; ten million parts, or the names of fifty million features
CHUNK = 1 << 20  # bytes read or written at a time

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class StoredBlocks(RowBlocks):
    """Row blocks on disk; `nnz` stored entries in all, `dtype` as the blocks come."""

    nnz: int = 0
    dtype: Any = np.float64


def stored(
    load: Any, rows: Sequence[int], n_features: int, where: str, n_bytes: int, nnz: int | None, dtype: Any
) -> StoredBlocks:
    """The blocks that load(k) gives; nnz is None for dense ones."""
    starts = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]).astype(np.int64)
    n = int(starts[-1])
    if not n:
        raise FileError(f"{where}: holds no row; at least one is needed")
    entries = n * n_features if nnz is None else nnz
    return StoredBlocks(load, starts, n_features, nnz is not None, where, n_bytes, True, entries, np.dtype(dtype))


def expanded(paths: Paths, suffix: str) -> tuple[list[Path], str]:
    """The files that are meant, and a word for all: a file, a folder of them, a pattern, or a list of these.

    Files of a folder or pattern come by name, numbers in it by size: part-2 before part-10.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[Path] = []
    for one in given:
        path = Path(one).absolute()
        if path.is_dir():
            matches = [str(member) for member in path.glob(f"*{suffix}") if not member.name.startswith(".")]
        elif glob.has_magic(str(path)) and not path.exists():
            matches = glob.glob(str(path))
        else:
            matches = [str(path)]
        if not matches:
            raise FileError(f"{path}: no file {'' if path.is_dir() else 'of this name, nor '}*{suffix} there")
        found += map(Path, sorted(matches, key=_by_number))
    if not found:
        raise FileError(f"no {suffix} file is given; name at least one")
    return found, str(given[0]) if len(given) == 1 else count(len(found), f"{suffix} file")


def _by_number(name: str) -> list[Any]:
    return [int(word) if word.isdecimal() else word for word in re.split(r"(\d+)", name)]


def mapped(stream: IO[bytes], start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Numbers of a file as they lie there from `start` on; what is mapped goes with the array."""
    length = math.prod(shape) * dtype.itemsize
    if not length:
        return np.empty(shape, dtype)
    surplus = start % mmap.ALLOCATIONGRANULARITY  # a map begins at a page
    held = mmap.mmap(stream.fileno(), surplus + length, access=mmap.ACCESS_READ, offset=start - surplus)
    if hasattr(mmap, "MADV_SEQUENTIAL"):
        held.madvise(mmap.MADV_SEQUENTIAL)
    return np.frombuffer(held, dtype, math.prod(shape), surplus).reshape(shape)


# ---------------------------------------------------------------- dense files


@dataclass(frozen=True)
class DenseFile:
    """An array in C order in a file: where its numbers begin, and how many bytes the file has."""

    path: Path
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    size: int

    @classmethod
    def of(cls, path: Path) -> DenseFile:
        """What the header says, held against the size of the file."""
        with explained(path), open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            header = read_header(stream, size, str(path))
            start = stream.tell()
        shape = header.shape
        if len(shape) != 2:
            raise FileError(f"{path}: X must have 2 dimensions, this array has {len(shape)}; save it as a matrix")
        if header.fortran:
            raise FileError(
                f"{path}: is in Fortran order, whose rows are scattered over the file; save it in C order "
                "(numpy.lib.format.open_memmap writes a large one part by part)"
            )
        if start + header.nbytes != size:
            raise FileError(
                f"{path}: goes on for {count(size - start - header.nbytes, 'byte')} behind the array of shape {shape} "
                "that it announces; it is damaged, or holds several arrays: save each in a file"
            )
        with explained(path):
            numbers(np.empty(0, header.dtype), str(path))
        return cls(path, start, header.dtype, (shape[0], shape[1]), size)

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Some rows, mapped; as float64 unless they are float32."""
        path, p = self.path, self.shape[1]
        with explained(path), open(path, "rb") as stream:
            _unchanged(path, os.fstat(stream.fileno()).st_size, self.size)
            values = mapped(stream, self.start + first * p * self.dtype.itemsize, self.dtype, (last - first, p))
            return numbers(values, str(path))


def _unchanged(path: Path, size: int, before: int) -> None:
    if size != before:
        raise FileError(
            f"{path}: has {count(size, 'byte')}, it must have {before:,}; it was cut short or changed, write it again"
        )


@dataclass(frozen=True)
class DenseRows:
    """load(k) for rows of dense files; block k is rows firsts[k].. of files[owners[k]]."""

    files: tuple[DenseFile, ...]
    owners: NDArray[np.int64]
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __call__(self, k: int) -> NDArray[Any]:
        first = int(self.firsts[k])
        rows: NDArray[Any] = self.files[self.owners[k]].rows(first, first + int(self.counts[k]))
        return rows


def from_npy_memmap(paths: Paths, *, rows_per_block: int | None = None) -> StoredBlocks:
    """X from dense .npy files that stay on disk, mapped a block of rows at a time.

    `solve`, `path` and `lam_max` take what is returned in place of an array.

    Parameters
    ----------
    paths : str or path, or several
        A .npy file in C order, a folder of them, a pattern such as ``"X-*.npy"``, or a list of these, stacked by rows.
        Files of a folder or pattern come by name, numbers in it by size (X-2 before X-10). float32 and float64 are read
        in place; other real numbers (integers, booleans, float16, other byte orders) are converted for each block.
    rows_per_block : int, optional
        Default: as many as 64 MiB hold.

    Returns
    -------
    RowBlocks
        Has `shape`, `n_blocks` and `n_bytes`. It can be pickled; no file stays open.

    Raises
    ------
    FileError
        A file is missing, damaged, shorter or longer than its header says, in Fortran order, not of 2 dimensions or
        not of real numbers, or the files differ in their number of columns. The message names the file and the cure.
    ValueError
        rows_per_block is below 1.

    Notes
    -----
    Memory: one block of address space for each pass, and what `solve` itself needs. The operating system keeps what
    was read as long as it has room. A file that another process cuts short *during* a pass ends the process (SIGBUS).

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile, l1fast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "X.npy")
    ...     np.save(path, np.eye(4, 3))
    ...     X = l1fast.from_npy_memmap(path, rows_per_block=2)
    ...     l1fast.solve(X, [3.0, 0.5, -2.0, 1.0], lam=1.0).coef
    array([ 2.,  0., -1.])
    """
    files, where = expanded(paths, ".npy")
    held = [DenseFile.of(path) for path in files]
    p = held[0].shape[1]
    owners: list[int] = []
    firsts: list[int] = []
    counts: list[int] = []
    for owner, one in enumerate(held):
        if one.shape[1] != p:
            raise FileError(
                f"{one.path}: has {count(one.shape[1], 'column')}, {held[0].path} has {p:,}; they must agree"
            )
        width = p * max(one.dtype.itemsize, np.dtype(np.float32).itemsize if one.dtype.kind == "f" else ITEM)
        step = max(1, BLOCK_BYTES // max(width, 1)) if rows_per_block is None else as_rows(rows_per_block)
        for first in range(0, one.shape[0], step):
            owners.append(owner)
            firsts.append(first)
            counts.append(min(step, one.shape[0] - first))
    load = DenseRows(tuple(held), *(np.array(part, dtype=np.int64) for part in (owners, firsts, counts)))
    single = all(numbers(np.empty(0, one.dtype), where).dtype == np.float32 for one in held)
    return stored(load, counts, p, where, sum(one.size for one in held), None, np.float32 if single else np.float64)


ITEM = np.dtype(np.float64).itemsize


def as_rows(value: Any, name: str = "rows_per_block") -> int:
    """A number of rows, or bytes: an integer above 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return int(value)


# ---------------------------------------------------------------- sparse parts


@dataclass(frozen=True)
class Part:
    """A block of rows in an .npz file.

    Attributes
    ----------
    file : str
    rows : int
    entries : int
        That are stored.
    bytes : int
        Of the file.
    crc32 : int
        Of the bytes of the file; -1 where it is not known, and the archive's own checksums serve.
    base : int
        What has been taken from the column numbers of the source, 0 or 1.
    """

    file: str
    rows: int
    entries: int
    bytes: int
    crc32: int = -1
    base: int = 0


@dataclass(frozen=True)
class Parts:
    """load(k) for .npz parts: CSR, or dense with an array X.

    The content of a part is held against its checksum when it is read first, and whenever the file has changed since.
    """

    folder: Path
    parts: tuple[Part, ...]
    n_features: int
    sparse: bool
    base: int = 0
    sound: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __call__(self, k: int) -> Any:
        part = self.parts[k]
        path = self.folder / part.file
        with explained(path):
            status = os.stat(path)
            _unchanged(path, status.st_size, part.bytes)
            known = self.sound.get(k) == (status.st_size, status.st_mtime_ns)
            if not known and part.crc32 >= 0 and checksum(path) != part.crc32:
                raise FileError(f"{path}: its bytes are not those that were written; it is damaged, write it again")
            archive = Archive(path)
            with archive.zip:
                made = self.read(archive, part, verify=not known and part.crc32 < 0)
            self.sound[k] = (status.st_size, status.st_mtime_ns)
            return made

    def read(self, archive: Archive, part: Part, *, verify: bool) -> Any:
        """The matrix; its indices are checked by whoever takes it."""
        values = read_values(archive, "data" if self.sparse else "X", verify=verify)
        shape = (part.rows, self.n_features)
        if not self.sparse:
            if values.shape != shape:
                raise FileError(f"{archive.path}: X has shape {values.shape}, expected {shape}; write it again")
            return values
        indices, indptr = (archive.indices(key, verify=verify) for key in ("indices", "indptr"))
        if len(indptr) != part.rows + 1 or values.ndim != 1:
            raise FileError(
                f"{archive.path}: {values.ndim}-D data and {len(indptr):,} row starts do not make "
                f"{count(part.rows, 'row')}; write it again"
            )
        if shift := part.base - self.base:
            indices += shift
        made = sparse.csr_array(shape, dtype=values.dtype)
        made.data, made.indices, made.indptr = values, indices, indptr  # the constructor would look through all of them
        return made


def read_values(archive: Archive, key: str, *, verify: bool) -> NDArray[Any]:
    """Numbers of an archive: mapped where they lie as kernels take them, else read."""
    info, where = archive.member(key)
    if not verify and info.compress_type == zipfile.ZIP_STORED:
        with open(archive.path, "rb") as stream:
            start = archive.start(key, stream)
            stream.seek(start)
            header = read_header(stream, start + info.file_size, where)
            start = stream.tell()
            if start % header.dtype.itemsize == 0 and not (header.fortran and len(header.shape) > 1):
                return numbers(mapped(stream, start, header.dtype, header.shape), where)
    return archive.numbers(key, verify=verify)


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def from_csr_parts(paths: Paths) -> StoredBlocks:
    """X from sparse matrices in .npz files that stay on disk, one file a block of rows.

    `solve`, `path` and `lam_max` take what is returned in place of a sparse matrix.

    Parameters
    ----------
    paths : str or path, or several
        .npz files of `scipy.sparse.save_npz` in CSR format, or with arrays data, indices, indptr and shape; a folder of
        them, a pattern, or a list of these, stacked by rows in the order of `from_npy_memmap`. All have the same number
        of columns; rows may be of any number, also none. ``save_npz(..., compressed=False)`` makes files that are
        read some thirty times as fast (measured).

    Returns
    -------
    RowBlocks
        As of `from_npy_memmap`.

    Raises
    ------
    FileError
        A file is missing, damaged, not CSR, or its number of columns differs. Malformed indices are found when the
        block is read: a ValueError that names the block.

    Notes
    -----
    Memory: one part at a time. Each part is held against its checksums when it is read first; its indices are
    checked every time. Large archives cost one look each when this is called.

    Examples
    --------
    >>> import pathlib, scipy.sparse, tempfile, l1fast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for k in range(2):
    ...         path = pathlib.Path(folder, f"part-{k}.npz")
    ...         scipy.sparse.save_npz(path, scipy.sparse.eye_array(2, 3, k=k, format="csr"), compressed=False)
    ...     X = l1fast.from_csr_parts(folder)
    ...     l1fast.solve(X, [3.0, 0.5, 1.0, -2.0], lam=1.0).coef.round(6)
    array([ 2.  ,  0.25, -1.  ])
    """
    files, where = expanded(paths, ".npz")
    looked = [_look(path) for path in files]
    p = looked[0][1]
    for (part, width, _), path in zip(looked, files, strict=True):
        if width != p:
            raise FileError(f"{path}: has {count(width, 'column')}, {files[0]} has {p:,}; they must agree")
        assert part.file == str(path)
    parts = tuple(part for part, _, _ in looked)
    dtype = np.result_type(*(dtype for _, _, dtype in looked))
    load = Parts(Path(), parts, p, sparse=True)
    n_bytes, nnz = sum(part.bytes for part in parts), sum(part.entries for part in parts)
    return stored(load, [part.rows for part in parts], p, where, n_bytes, nnz, dtype)


def _look(path: Path) -> tuple[Part, int, np.dtype[Any]]:
    """A part of CSR format, its width and the type of its values, from its headers."""
    with explained(path):
        size, archive = path.stat().st_size, Archive(path)
        with archive.zip:
            if "format" in archive.keys:
                form = archive.array("format").item()
                form = form.decode("latin-1") if isinstance(form, bytes) else str(form)
                if form != "csr":
                    raise FileError(f"{path}: holds a {form} matrix; save it as csr, whose rows lie together")
            sizes = archive.indices("shape").tolist()
            if len(sizes) != 2 or min(sizes) < 0:
                raise FileError(f"{path}: shape must be two sizes, it is {sizes}; save a matrix")
            headers = {key: archive.header(key) for key in ("data", "indices", "indptr")}
            if headers["indptr"].shape != (sizes[0] + 1,):
                raise FileError(
                    f"{path}: indptr has shape {headers['indptr'].shape}, {count(sizes[0], 'row')} need "
                    f"({sizes[0] + 1},); save the matrix again"
                )
            if len(headers["data"].shape) != 1:
                raise FileError(f"{path}: csr data must be 1-D, it is {len(headers['data'].shape)}-D; save it again")
            dtype = numbers(np.empty(0, headers["data"].dtype), f"{path}: array 'data'").dtype
    return Part(str(path), sizes[0], headers["data"].shape[0], size), sizes[1], dtype


# ---------------------------------------------------------------- folders of blocks


@dataclass(frozen=True)
class Manifest:
    """What a folder of blocks holds: the content of its manifest.json.

    Attributes
    ----------
    n_samples, n_features, n_entries : int
        Rows and columns of X, and its stored entries.
    dtype : str
        Of the values.
    sparse : bool
        Whether parts are CSR.
    base : int
        What is taken from the column numbers of the source, 0 or 1: they count from there.
    feature_names : list of str, or None
    parts : tuple of Part
    source : dict
        What was converted, and how.
    """

    n_samples: int
    n_features: int
    n_entries: int
    dtype: str
    sparse: bool
    base: int
    feature_names: list[str] | None
    parts: tuple[Part, ...]
    source: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write manifest.json; it appears whole or not at all."""
        write_record(folder / MANIFEST, {"format": FORMAT, "version": VERSION} | asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder, every value checked."""
        path = folder / MANIFEST
        record = read_record(path)
        if record.get("format") != FORMAT:
            raise FileError(f"{path}: is no manifest of {FORMAT}; give the folder that l1fast convert wrote")
        if record.get("version") != VERSION:
            raise FileError(
                f"{path}: has version {record.get('version')!r}, this l1fast reads {VERSION}; update l1fast"
            )
        numbers_of = Record(path, record)
        n, p, entries = (numbers_of.integer(key) for key in ("n_samples", "n_features", "n_entries"))
        names = record.get("feature_names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise FileError(f"{path}: feature_names must be a list of text; {AGAIN}")
        if names is not None and len(names) != p:
            raise FileError(f"{path}: {count(len(names), 'feature name')} for {count(p, 'column')}; {AGAIN}")
        if record.get("dtype") not in ("float32", "float64") or not isinstance(record.get("sparse"), bool):
            raise FileError(
                f"{path}: dtype {record.get('dtype')!r}, sparse {record.get('sparse')!r} are not known; {AGAIN}"
            )
        parts, base = read_parts(path, record.get("parts")), numbers_of.integer("base", most=1)
        for key, told, found in (
            ("n_samples", n, sum(part.rows for part in parts)),
            ("n_entries", entries, sum(part.entries for part in parts)),
        ):
            if told != found:
                raise FileError(f"{path}: {key} is {told:,}, but the parts hold {found:,}; {AGAIN}")
        if any(part.base < base for part in parts):
            raise FileError(f"{path}: a part counts its columns from below base {base}; {AGAIN}")
        source = record.get("source")
        found_source = source if isinstance(source, dict) else {}
        return cls(n, p, entries, record["dtype"], record["sparse"], base, names, parts, found_source)


AGAIN = "it is damaged, convert the source again"


@dataclass(frozen=True)
class Record:
    """An object of a JSON file whose values are not believed."""

    path: Path
    values: dict[str, Any]

    def integer(self, key: str, least: int = 0, most: int = np.iinfo(np.int64).max) -> int:
        """An integer within bounds."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise FileError(f"{self.path}: {key} must be an integer of {least} to {most}, it is {value!r}; {AGAIN}")
        return value


def read_parts(path: Path, given: Any) -> tuple[Part, ...]:
    """The parts listed in a record."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise FileError(f"{path}: parts must be a list of objects; {AGAIN}")
    made = []
    for one in given:
        file, values = one.get("file"), Record(path, one)
        if not isinstance(file, str) or not PART_NAME.fullmatch(file):
            raise FileError(f"{path}: {file!r} is not the name of a part; {AGAIN}")
        rows, entries, size = (values.integer(key) for key in ("rows", "entries", "bytes"))
        crc32, base = values.integer("crc32", most=2**32 - 1), values.integer("base", most=1)
        made.append(Part(file, rows, entries, size, crc32, base))
    return tuple(made)


PART_NAME = re.compile(r"part-[0-9]{6,18}\.npz")


def read_record(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    with explained(path):
        if path.stat().st_size > MANIFEST_LIMIT:
            raise FileError(f"{path}: has more than {MANIFEST_LIMIT:,} bytes; {AGAIN}")
        try:
            record = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise FileError(f"{path}: is not JSON ({error}); {AGAIN}") from error
    if not isinstance(record, dict):
        raise FileError(f"{path}: must be a JSON object; {AGAIN}")
    return record


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON file; it appears whole or not at all."""
    write_whole(path, lambda stream: stream.write(json.dumps(record, indent=0, allow_nan=False).encode() + b"\n"))


def write_part(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays as an .npz file; the same arrays make the same bytes, and the numbers of each are aligned."""

    def write(stream: IO[bytes]) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for key, values in arrays.items():
                header = BytesIO()
                np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
                member = zipfile.ZipInfo(f"{key}.npy", FIRST_OF_DOS)
                member.create_system = UNIX
                member.file_size = len(header.getvalue()) + values.nbytes
                start = stream.tell() + LOCAL_HEADER + len(member.filename) + EXTRA_HEADER
                surplus = -start % ALIGNMENT  # a header is a multiple of it
                member.extra = struct.pack("<HH", PADDING, surplus) + bytes(surplus)
                with archive.open(member, "w") as content:
                    content.write(header.getvalue())
                    held = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
                    for first in range(0, len(held), CHUNK):  # Ctrl-C is heeded between two of them
                        content.write(held[first : first + CHUNK])

    write_whole(path, write)


FIRST_OF_DOS = (1980, 1, 1, 0, 0, 0)
UNIX, EXTRA_HEADER = 3, 4  # a system of origin, and the bytes before the content of an extra field (APPNOTE 4.5.1)
PADDING = 0xD935  # the kind of extra field that aligns what follows (Android's zipalign)
ALIGNMENT = 64  # bytes; of headers of .npy files, and of a line of cache


def open_blocks(folder: str | os.PathLike[str]) -> Dataset:
    r"""X, y and feature names of a folder of blocks that `convert` wrote; X stays there and is read block by block.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    Dataset
        ``X`` is what `solve`, `path` and `lam_max` take in place of an array; ``y`` an array of n_samples
        numbers, ``feature_names`` a list or None.

    Raises
    ------
    FileError
        There is no such folder, its conversion has not ended, its manifest is damaged, or a part is missing, damaged
        or not of the size that was written. The message names the file and the cure.

    Notes
    -----
    Memory: y, and one part at a time in a pass. The bytes of a part are held against the checksum in the manifest when
    it is read first, and whenever its file has changed; indices are checked every time.

    Examples
    --------
    >>> import pathlib, tempfile, l1fast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = pathlib.Path(folder, "data.svm")
    ...     _ = source.write_text("3 1:1\n0.5 2:1\n-2 3:1\n1\n")
    ...     _ = l1fast.convert(source, pathlib.Path(folder, "blocks"), rows_per_part=3)
    ...     data = l1fast.open_blocks(pathlib.Path(folder, "blocks"))
    ...     l1fast.solve(data.X, data.y, lam=1.0).coef
    array([ 2.,  0., -1.])
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise FileError(f"{folder}: there is no such folder; check the path")
    if not (folder / MANIFEST).exists():
        if (folder / UNFINISHED).exists():
            raise FileError(f"{folder}: its conversion has not ended; convert the source again to go on with it")
        raise FileError(f"{folder}: holds no {MANIFEST}; give a folder that l1fast convert wrote")
    manifest = Manifest.read(folder)
    y = np.empty(manifest.n_samples)
    first = 0
    for part in manifest.parts:
        path = folder / part.file
        with explained(path):
            _unchanged(path, path.stat().st_size, part.bytes)
            archive = Archive(path, "convert the source again")
            with archive.zip:
                found = archive.numbers("y")
        if found.shape != (part.rows,):
            raise FileError(f"{path}: y has shape {found.shape}, the manifest says {count(part.rows, 'row')}; {AGAIN}")
        y[first : first + part.rows] = found
        first += part.rows
    load = Parts(folder, manifest.parts, manifest.n_features, manifest.sparse, manifest.base)
    n_bytes, entries = sum(part.bytes for part in manifest.parts), manifest.n_entries if manifest.sparse else None
    rows = [part.rows for part in manifest.parts]
    X = stored(load, rows, manifest.n_features, str(folder), n_bytes, entries, manifest.dtype)
    return Dataset(X, y, manifest.feature_names, str(folder), "blocks")
