"""Text of any size into a folder of blocks, in the memory of one block.

    text -> rows, a megabyte of text at a time -> parts of so many rows or bytes -> manifest.json

Where a part ends depends on its rows alone, so that a conversion that was broken off and resumed writes the same bytes.
What is needed to go on (the place in the text behind the last part, and what was learnt up to there) is written after
every part, whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from l1fast import io
from l1fast._files import FileError, count, explained
from l1fast._stores import (
    AGAIN,
    BLOCK_BYTES,
    ITEM,
    MANIFEST,
    PART_NAME,
    UNFINISHED,
    Manifest,
    Part,
    Record,
    as_rows,
    checksum,
    read_parts,
    read_record,
    write_part,
    write_record,
)

Callback = Callable[["ConversionState"], object]

T = TypeVar("T")

TEXTS = ("svmlight", "csv")
HEAD = 1 << 16  # bytes by which a source is known again, beside its size and time
INDEX = np.dtype(np.int32)
MOST_BYTES = 1 << 30  # of a part, so that no array of it needs 64-bit places in the archive


@dataclass(frozen=True)
class ConversionState:
    """Where a conversion stands.

    Attributes
    ----------
    bytes_read, n_bytes : int
        Of the source, as it lies on disk.
    n_samples : int
        Rows read so far.
    n_parts : int
        Parts written so far.
    """

    bytes_read: int
    n_bytes: int
    n_samples: int
    n_parts: int


def convert(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    target: str | os.PathLike[str] | None = None,
    target_column: str | None = None,
    rows_per_part: int | None = None,
    bytes_per_part: int | None = None,
    on_progress: Callback | None = None,
    resume: bool = True,
) -> Manifest:
    r"""Convert svmlight or delimited text of any size to a folder of blocks, which `open_blocks` reads.

    Parameters
    ----------
    source : str or path
        svmlight/libsvm text, .csv or .tsv, plain or compressed by gzip, bzip2 or xz; what `l1fast.io.read` takes.
    folder : str or path
        Made if it is not there. It must be empty, or hold a conversion of the same source in the same way.
    target, target_column : optional
        As in `l1fast.io.read`. A target file is read as a whole: 8 bytes a row.
    rows_per_part, bytes_per_part : int, optional
        A part ends with the row that reaches either. Default: 64 MiB of numbers and indices, and any number of rows.
        bytes_per_part is at most 2**30.
    on_progress : callable, optional
        Called with a `ConversionState` for every megabyte of text. What it raises ends the conversion, as Ctrl-C does,
        and leaves a folder with which it can go on.
    resume : bool
        Go on with what the folder holds of the same conversion; False: begin again, and replace it.

    Returns
    -------
    Manifest
        What the folder holds.

    Raises
    ------
    FileError
        The source is damaged, of another format or has changed since the conversion began; the folder cannot be written
        to, is full or holds something else. The message names the file, the line where it is known, and the cure.
    ValueError
        rows_per_part or bytes_per_part is below 1, or too large.

    Notes
    -----
    Memory: about twice the bytes of a part, and 40 MB for the text at hand, whatever the size of the source. Time: that
    of parsing, 10 to 30 MB of text a second, once; `open_blocks` and every pass read the numbers as they are.

    The columns of svmlight text count from 0 if index 0 occurs anywhere in it, and from 1 otherwise. A part is
    written as if they counted from 1 while no index 0 has occurred; the manifest tells what holds in the end.

    Examples
    --------
    >>> import pathlib, tempfile, l1fast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = pathlib.Path(folder, "data.csv")
    ...     _ = source.write_text("height,width,price\n1,2,10\n3,4,20\n")
    ...     found = l1fast.convert(source, pathlib.Path(folder, "blocks"), rows_per_part=1)
    >>> found.n_samples, found.n_features, found.feature_names, len(found.parts)
    (2, 2, ['height', 'width'], 2)
    """
    source, folder = Path(source), Path(folder)
    most_rows = None if rows_per_part is None else as_rows(rows_per_part, "rows_per_part")
    most_bytes = BLOCK_BYTES if bytes_per_part is None else as_rows(bytes_per_part, "bytes_per_part")
    if most_bytes > MOST_BYTES:
        raise ValueError(f"bytes_per_part must be at most {MOST_BYTES:,}, got {most_bytes:,}")
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be callable, got {on_progress!r}")
    with explained(source):
        kind = io.recognise(source)
        if kind not in TEXTS:
            raise FileError(
                f"{source}: is {kind}, and only svmlight text, .csv and .tsv are converted; from_npy_memmap and "
                "from_csr_parts take arrays as they are"
            )
        io.check_target_column(source, kind, target, target_column)
        task: dict[str, Any] = {"kind": kind, "rows_per_part": most_rows, "bytes_per_part": most_bytes}
        task |= {"target_column": target_column}
        task |= {"source": identity(source), "target": None if target is None else identity(Path(target))}
    done, progress = prepare(folder, task, resume)
    if done is not None:
        return done
    y = None if target is None else io.read_target(target)
    manifest = Conversion(source, folder, kind, target_column, most_rows, most_bytes, y, progress).run(on_progress)
    if identity(source) != task["source"]:
        raise FileError(f"{source}: {CHANGED}")
    manifest.write(folder)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return manifest


def identity(path: Path) -> dict[str, Any]:
    """What tells whether a file is the one it was."""
    with explained(path), open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        head = hashlib.sha256(stream.read(HEAD)).hexdigest()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "head_sha256": head}


# ---------------------------------------------------------------- rows of either kind


class SparsePiece(NamedTuple):
    """Rows whose entries are pairs of column and value, one row after the other."""

    y: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: NDArray[Any]
    counts: NDArray[np.int64]

    def sizes(self) -> NDArray[np.int64]:
        """Bytes that each row takes in a part."""
        return (ITEM + INDEX.itemsize) * (self.counts + 1)

    def cut(self, first: int, last: int) -> SparsePiece:
        """Some of the rows, as a copy that keeps nothing else alive."""
        ends = np.concatenate([[0], np.cumsum(self.counts)])
        part = slice(ends[first], ends[last])
        columns = self.columns[part]
        small = not columns.size or columns.max() <= np.iinfo(INDEX).max
        columns = columns.astype(INDEX if small else np.int64)
        return SparsePiece(self.y[first:last].copy(), self.values[part].copy(), columns, self.counts[first:last].copy())


class DensePiece(NamedTuple):
    """Rows of a table."""

    y: NDArray[np.float64]
    values: NDArray[np.float64]

    def sizes(self) -> NDArray[np.int64]:
        """Bytes that each row takes in a part."""
        return np.full(len(self.y), ITEM * (self.values.shape[1] + 1), dtype=np.int64)

    def cut(self, first: int, last: int) -> DensePiece:
        """Some of the rows, as a copy that keeps nothing else alive."""
        return DensePiece(self.y[first:last].copy(), self.values[first:last].copy())


Piece = SparsePiece | DensePiece


# ---------------------------------------------------------------- what is known behind a part


@dataclass
class Reached:
    """What a conversion knows behind the last part that was written.

    Attributes
    ----------
    place : Place
        Where a block of text begins in which, or before which, the part ends.
    skip : int
        Rows from there that are in parts already.
    n_samples : int
    smallest, largest : int
        Column numbers so far; -1 where none was seen.
    layout : TableLayout or None
        What the first line of a table tells.
    parts : list of Part
    """

    task: dict[str, Any]
    place: io.Place = io.START
    skip: int = 0
    n_samples: int = 0
    smallest: int = -1
    largest: int = -1
    layout: io.TableLayout | None = None
    parts: list[Part] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write it; the file appears whole or not at all."""
        write_record(folder / UNFINISHED, asdict(replace(self, parts=[])) | {"parts": [asdict(p) for p in self.parts]})

    @classmethod
    def read(cls, path: Path) -> Reached:
        """What an unfinished conversion has left, every value checked."""
        record = read_record(path)
        values = Record(path, record)
        given = [record.get("task"), record.get("place"), record.get("layout")]
        if not isinstance(given[0], dict) or not isinstance(given[1], list) or len(given[1]) != len(io.START):
            raise FileError(f"{path}: does not tell what is converted, and how far it is; {BEGIN_AGAIN}")
        line, offset = (Record(path, {"place": one}).integer("place") for one in given[1])
        skip, rows = values.integer("skip"), values.integer("n_samples")
        smallest, largest = (values.integer(key, -1) for key in ("smallest", "largest"))
        layout, parts = _layout(path, given[2]), list(read_parts(path, record.get("parts")))
        return cls(given[0], io.Place(line, offset), skip, rows, smallest, largest, layout, parts)


BEGIN_AGAIN = "begin again with resume=False (--restart on the command line)"
CHANGED = f"has changed while it was read; {BEGIN_AGAIN}"


def _layout(path: Path, given: Any) -> io.TableLayout | None:
    if given is None:
        return None
    if isinstance(given, list) and len(given) == len(io.TableLayout._fields):
        delimiter, width, names, header = given
        named = names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names))
        whole = isinstance(width, int) and width > 0 and isinstance(header, int)
        if isinstance(delimiter, str) and len(delimiter) == 1 and whole and named:
            return io.TableLayout(delimiter, width, names, header)
    raise FileError(f"{path}: {given!r} is no layout of a table; {AGAIN}")


def prepare(folder: Path, task: dict[str, Any], resume: bool) -> tuple[Manifest | None, Reached]:
    """What the folder holds of the task, whole or begun; it is made, and cleared of what is of no use."""
    try:
        folder.mkdir(exist_ok=True)
        names = sorted(os.listdir(folder))
    except FileNotFoundError as error:
        raise FileError(f"{folder}: there is no directory {str(folder.parent)!r}; make it first") from error
    except OSError as error:
        raise FileError(f"{folder}: cannot be made or listed ({error.strerror}); choose another folder") from error
    left = [name for name in names if name.startswith(".l1fast-") and name.endswith(".tmp")]
    ours = {MANIFEST, UNFINISHED, *left, *filter(PART_NAME.fullmatch, names)}
    if foreign := [name for name in names if name not in ours]:
        raise FileError(f"{folder}: holds {foreign[0]!r}, which is no part of a conversion; give a new folder")
    kept: set[str] = set()
    done, progress = None, Reached(task)
    if resume and MANIFEST in names:
        done = Manifest.read(folder)
        _same(folder, done.source, task)
        kept = {MANIFEST, *(part.file for part in done.parts)}
        _present(folder, done.parts)
    elif resume and UNFINISHED in names:
        progress = Reached.read(folder / UNFINISHED)
        _same(folder, progress.task, task)
        kept = {UNFINISHED, *(part.file for part in progress.parts)}
        _present(folder, tuple(progress.parts))
    elif resume and (ours - set(left)) & set(names):
        raise FileError(f"{folder}: holds parts, but nothing that tells of what; {BEGIN_AGAIN}")
    stale = set(names) - kept
    if not kept:
        (folder / MANIFEST).unlink(missing_ok=True)  # first: nothing may seem whole that is not
        progress.write(folder)
        stale -= {MANIFEST, UNFINISHED}
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return done, progress


def _same(folder: Path, before: dict[str, Any], task: dict[str, Any]) -> None:
    """Raise unless the folder holds the same task."""
    changed = [key for key in task if before.get(key) != task[key]]
    if changed:
        raise FileError(
            f"{folder}: holds a conversion with another {' and '.join(changed)}; give a new folder, or replace it with "
            "resume=False (--restart on the command line)"
        )


def _present(folder: Path, parts: tuple[Part, ...]) -> None:
    """Raise unless every part is there, in its size."""
    for part in parts:
        path = folder / part.file
        if not path.is_file() or path.stat().st_size != part.bytes:
            raise FileError(f"{path}: was written, and is gone or has another size now; {BEGIN_AGAIN}")


# ---------------------------------------------------------------- the conversion


def explaining(path: Path, items: Iterable[T]) -> Iterator[T]:
    """The items; what goes wrong while one is made is a FileError, what goes wrong elsewhere is not."""
    iterator = iter(items)
    while True:
        with explained(path):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


@dataclass
class Conversion:
    """One conversion on its way: rows are gathered until they fill a part, which is then written."""

    source: Path
    folder: Path
    kind: str
    target_column: str | None
    most_rows: int | None
    most_bytes: int
    target: NDArray[Any] | None
    progress: Reached
    gathered: list[Piece] = field(default_factory=list)
    rows: int = 0
    filled: int = 0

    def run(self, on_progress: Callback | None) -> Manifest:
        """Read the source to its end."""
        progress = self.progress
        with open(self.source, "rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            opener = io.compression(raw)
            with explained(self.source):
                stream: IO[bytes] = opener(raw) if opener else raw
                stream.seek(progress.place.offset)  # what is compressed is read up to there
            skip = progress.skip
            place, last = progress.place, skip
            for place, piece in explaining(self.source, self.pieces(stream)):
                if raw.tell() > size:  # one that grows as fast as it is read would have no end
                    raise FileError(f"{self.source}: {CHANGED}")
                first, last = min(skip, len(piece.y)), len(piece.y)
                skip -= first
                self.add(piece, place, first)
                if on_progress is not None:
                    state = (min(raw.tell(), size), size, progress.n_samples + self.rows, len(progress.parts))
                    on_progress(ConversionState(*state))
        if self.rows:
            self.write(place, last)
        return self.manifest()

    def pieces(self, stream: IO[bytes]) -> Iterator[tuple[io.Place, Piece]]:
        """The rows of the source from the place reached, block by block of text."""
        progress, source = self.progress, self.source
        if self.kind == "svmlight":
            for place, rows in io.svmlight_blocks(stream, source, progress.place):
                yield place, SparsePiece(rows.y, rows.values, rows.columns, rows.counts)
            return
        for place, layout, table in io.table_blocks(stream, source, progress.place, progress.layout):
            progress.layout = layout
            if self.target is None:
                column = layout.target(source, self.target_column)
                yield place, DensePiece(table[:, column], np.delete(table, column, axis=1))
            else:
                yield place, DensePiece(np.empty(len(table)), table)

    def add(self, piece: Piece, place: io.Place, first: int) -> None:
        """Gather the rows of a piece from `first` on, and write the parts that they fill."""
        if isinstance(piece, SparsePiece) and piece.columns.size:
            io.check_length(self.source, int(piece.columns.max()) + 1)
        ends = np.cumsum(piece.sizes())
        while first < len(piece.y):
            before = int(ends[first - 1]) if first else 0
            full = int(np.searchsorted(ends, self.most_bytes - self.filled + before)) + 1
            if self.most_rows is not None:
                full = min(full, first + self.most_rows - self.rows)
            last = min(full, len(piece.y))
            self.gathered.append(piece.cut(first, last))
            self.rows, self.filled = self.rows + last - first, self.filled + int(ends[last - 1]) - before
            first = last
            if last == full:
                self.write(place, last)

    def write(self, place: io.Place, skip: int) -> None:
        """Write what is gathered as a part, and that it is done.

        place, skip : where the next row comes from.
        """
        progress, pieces = self.progress, self.gathered
        first, last = progress.n_samples, progress.n_samples + self.rows
        if self.target is None:
            y = np.concatenate([piece.y for piece in pieces])
        elif len(self.target) < last:
            raise FileError(f"{self.source}: has more rows than the target file, {len(self.target):,}; they must agree")
        else:
            y = self.target[first:last].astype(np.float64)
        values = np.concatenate([piece.values for piece in pieces])
        entries, base = values.size, 0
        if self.kind == "svmlight":
            columns = np.concatenate([piece.columns for piece in pieces if isinstance(piece, SparsePiece)])
            counts = np.concatenate([piece.counts for piece in pieces if isinstance(piece, SparsePiece)])
            if columns.size:
                least = int(columns.min())
                progress.smallest = least if progress.smallest < 0 else min(progress.smallest, least)
                progress.largest = max(progress.largest, int(columns.max()))
            base = int(progress.smallest > 0)
            columns -= base
            starts = np.concatenate([[0], np.cumsum(counts)]).astype(columns.dtype)
            shape = np.array([self.rows, max(progress.largest + 1 - base, 0)], dtype=np.int64)
            arrays = {"data": values, "indices": columns, "indptr": starts, "shape": shape, "format": np.bytes_(b"csr")}
        else:
            arrays = {"X": values}
        file = f"part-{len(progress.parts):06d}.npz"
        path = self.folder / file
        pieces.clear()
        write_part(path, {key: np.asanyarray(array) for key, array in arrays.items()} | {"y": y})
        progress.parts.append(Part(file, self.rows, entries, path.stat().st_size, checksum(path), base))
        progress.n_samples, self.rows, self.filled = last, 0, 0
        progress.place, progress.skip = place, skip
        progress.write(self.folder)

    def manifest(self) -> Manifest:
        """What the folder holds, once all parts are written."""
        progress, names, base = self.progress, None, 0
        n = progress.n_samples
        if self.kind == "svmlight":
            if progress.largest < 0:
                raise FileError(f"{self.source}: {io.NO_PAIR}")
            base = int(progress.smallest > 0)
            width = progress.largest + 1 - base
        else:
            if progress.layout is None or not n:
                raise FileError(f"{self.source}: {io.NO_ROW}")
            layout = progress.layout
            own = [] if self.target is not None else [layout.target(self.source, self.target_column)]
            names = layout.names and [name for j, name in enumerate(layout.names) if j not in own]
            width = layout.width - len(own)
        if self.target is not None and len(self.target) != n:
            raise FileError(
                f"{self.source}: has {count(n, 'row')}, the target file {len(self.target):,}; they must agree"
            )
        entries, parts = sum(part.entries for part in progress.parts), tuple(progress.parts)
        sparse = self.kind == "svmlight"
        return Manifest(n, width, entries, "float64", sparse, base, names, parts, progress.task)
