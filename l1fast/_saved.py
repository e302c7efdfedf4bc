"""Answers as files that come back exactly as they were: a frozen dataclass as an .npz file, read without pickle.

A field is saved by its type: numbers and arrays bit for bit as members of its name (those of a dataclass within as
"field.name", a sparse matrix as the members that `scipy.sparse.load_npz` asks for), enums by name and text as JSON in
the member "about", with the class, the version of this layout and the fields that are there. So a new field needs no
line here. What is read is held against the types of the fields and against their shapes, as the class states them.
"""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from l1fast._files import Archive, FileError, explained

__all__ = ["Saveable", "load", "save"]

VERSION = 1
"""Of the layout. It rises when an older l1fast could not read a file; a new field with a default is no reason to."""

SPARSE_PARTS = ("data", "indices", "indptr", "shape", "format", "_is_array")


class Saveable(Protocol):
    """A dataclass that can be saved.

    Attributes
    ----------
    _shapes : dict of str to tuple of str
        For every array field the names of its dimensions; dimensions of one name agree.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    _shapes: ClassVar[dict[str, tuple[str, ...]]]


T = TypeVar("T", bound=Saveable)


# ---------------------------------------------------------------- writing


def save(answer: Saveable, stream: IO[bytes], feature_names: list[str] | None = None) -> None:
    """Write an answer; with feature_names, bytes with one name a line, for other readers."""
    members: dict[str, Any] = {}
    about: dict[str, Any] = {
        "class": type(answer).__name__,
        "version": VERSION,
        "written_by": _writer(),
        "fields": [],
    }
    _pack(answer, "", members, about)
    members["about"] = np.bytes_(json.dumps(about).encode())
    if feature_names is not None:
        members["feature_names"] = np.bytes_("\n".join(feature_names).encode())
    np.savez_compressed(stream, allow_pickle=False, **members)


def _pack(answer: Saveable, prefix: str, members: dict[str, Any], about: dict[str, Any]) -> None:
    """Add the fields of answer to the arrays and the text."""
    sizes: dict[str, int] = {}
    for name, kind, _ in _fields(type(answer)):
        value, key = getattr(answer, name), prefix + name
        if value is None:
            continue
        about["fields"].append(key)
        if is_dataclass(kind):
            _pack(value, f"{key}.", members, about)
        elif issubclass(kind, enum.Enum):
            about[key] = value.name.lower()
        elif kind is str:
            about[key] = str(value)
        elif kind in (int, float):
            members[key] = np.array(value, dtype=np.int64 if kind is int else np.float64)
        else:
            _check_array(value, kind, answer._shapes[name], sizes, f"{type(answer).__name__}.{name}")
            if kind is sp.csc_array:
                members |= {part: getattr(value, part) for part in SPARSE_PARTS[:4]}
                members |= {"format": np.bytes_(b"csc"), "_is_array": True}
            else:
                members[key] = value


def _writer() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"l1fast {version('l1fast')}"
    except PackageNotFoundError:
        return "l1fast"


# ---------------------------------------------------------------- the types of the fields


def _fields(cls: type) -> Iterator[tuple[str, Any, bool]]:
    """Name, type and whether it has no default, of every field; the type of an array is that of its entries."""
    hints = get_type_hints(cls)
    for one in fields(cls):
        kind, choices = hints[one.name], get_args(hints[one.name])
        if get_origin(kind) is types.UnionType and type(None) in choices:
            (kind,) = (choice for choice in choices if choice is not type(None))
        if get_origin(kind) is NDArray:  # an alias by itself since NumPy 2.5
            kind = get_args(kind)[0]
        elif get_origin(kind) is np.ndarray:  # NDArray[float64] is ndarray[shape, dtype[float64]]
            kind = get_args(get_args(kind)[1])[0]
        elif kind is Any:  # SciPy has no types of its own
            kind = sp.csc_array
        yield one.name, kind, one.default is MISSING


def _check_array(value: Any, kind: Any, shape: tuple[str, ...], sizes: dict[str, int], where: str) -> None:
    """Raise unless the dtype, the number of dimensions and their sizes are what they should be."""
    container: Any = sp.csc_array if kind is sp.csc_array else np.ndarray
    entries: Any = np.float64 if kind is sp.csc_array else kind
    if not isinstance(value, container) or value.dtype != entries:
        found = f"{type(value).__name__} of {getattr(value, 'dtype', 'no dtype')}"
        raise FileError(f"{where} must hold {entries.__name__}, it is {found}")
    if value.ndim != len(shape):
        raise FileError(f"{where} must have the dimensions ({', '.join(shape)}), its shape is {value.shape}")
    for name, size in zip(shape, value.shape, strict=True):
        if sizes.setdefault(name, size) != size:
            raise FileError(f"{where} has shape {value.shape}, but {name} is {sizes[name]:,} elsewhere")


# ---------------------------------------------------------------- reading


def load(cls: type[T], path: Path) -> T:
    """The answer of class cls in a file that `save` wrote; FileError for any other."""
    with explained(path):
        cure = f"only files written by {cls.__name__}.save, or by the command line as .npz, can be loaded"
        with open(path, "rb") as stream:
            head = stream.read(len(ZIP_MAGIC))
        if head != ZIP_MAGIC:
            raise FileError(f"{path}: not an .npz file, it begins with {head!r}; {cure}")
        archive = Archive(path, cure)
        with archive.zip:
            about = _read_about(archive, cls)
            return _unpack(cls, "", archive, about)


ZIP_MAGIC = b"PK\3\4"


def _read_about(archive: Archive, cls: type) -> dict[str, Any]:
    """The JSON part, of this class and a version that can be read."""
    where, content = f"{archive.path}: array 'about'", archive.array("about")
    if content.dtype.kind != "S" or content.ndim:
        raise FileError(f"{where} must be bytes, it is {content.ndim}-D {content.dtype}; {archive.cure}")
    about: Any = json.loads(content.item())
    about = about if isinstance(about, dict) else {}
    version = about.get("version")
    if not (isinstance(version, int) and not isinstance(version, bool) and version > 0):
        raise FileError(f"{where} states no version; {archive.cure}")
    if version > VERSION:
        writer = about.get("written_by")
        raise FileError(
            f"{archive.path}: layout {version}, written by {writer!r}, is newer than {VERSION}, the newest that this "
            "l1fast reads; update l1fast"
        )
    if about.get("class") != cls.__name__:
        raise FileError(f"{archive.path}: holds a {about.get('class')!r}, not a {cls.__name__}; load it as what it is")
    if not isinstance(about.get("fields"), list):
        raise FileError(f"{where} does not list the fields; {archive.cure}")
    found: dict[str, Any] = about
    return found


def _unpack(cls: type[T], prefix: str, archive: Archive, about: dict[str, Any]) -> T:
    """The fields of cls from the arrays and the text."""
    values: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for name, kind, required in _fields(cls):
        key = prefix + name
        where = f"{archive.path}: {key}"
        if key not in about["fields"]:
            if required:
                raise FileError(f"{where} is missing; {archive.cure}")
        elif is_dataclass(kind):
            inner: Any = kind
            values[name] = _unpack(inner, f"{key}.", archive, about)
        elif issubclass(kind, enum.Enum):
            choices = {member.name.lower(): member for member in kind}
            if about.get(key) not in choices:
                raise FileError(f"{where} is {about.get(key)!r}, none of {', '.join(choices)}; write the file again")
            values[name] = choices[about[key]]
        elif kind is str:
            if not isinstance(about.get(key), str):
                raise FileError(f"{where} must be text, it is {about.get(key)!r}; write the file again")
            values[name] = about[key]
        elif kind in (int, float):
            number = _native(archive.array(key))
            if number.dtype != (np.int64 if kind is int else np.float64) or number.ndim:
                raise FileError(f"{where} must be one {kind.__name__}, it is {number.ndim}-D {number.dtype}")
            values[name] = number.item()
        else:
            value = _read_csc(archive) if kind is sp.csc_array else _native(archive.array(key))
            _check_array(value, kind, cls._shapes[name], sizes, where)
            values[name] = value
    return cls(**values)


def _native(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In the byte order of the machine."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _read_csc(archive: Archive) -> Any:
    """A CSC matrix whose columns are strictly ascending, none of whose indices lies outside."""
    data, indices, starts = _native(archive.array("data")), archive.indices("indices"), archive.indices("indptr")
    shape = archive.indices("shape").astype(object)  # integers of Python, which do not overflow
    if len(shape) != 2 or shape.min() < 0 or len(starts) != shape[1] + 1 or data.shape != indices.shape:
        raise FileError(f"{archive.path}: the parts of a {tuple(shape)} matrix do not fit together; write it again")
    if starts[0] != 0 or starts[-1] != len(indices) or (starts[1:] < starts[:-1]).any():
        raise FileError(f"{archive.path}: 'indptr' must rise from 0 to {len(indices):,}; write the file again")
    if indices.size and (indices.min() < 0 or indices.max() >= shape[0]):
        raise FileError(f"{archive.path}: 'indices' must lie within 0 and {shape[0]:,}; write the file again")
    falls = np.flatnonzero(indices[1:] <= indices[:-1]) + 1
    if not np.isin(falls, starts).all():
        raise FileError(f"{archive.path}: 'indices' must ascend within every column; write the file again")
    return sp.csc_array((data, indices, starts), shape=tuple(shape))
