"""Files that may be damaged or hostile: one error for all that can be wrong, archives of arrays, writing whole or not.

Nothing is unpickled, and no count that a file announces is believed before it is held against the size of the file.
"""

from __future__ import annotations

import math
import os
import secrets
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Archive",
    "FileError",
    "Header",
    "check_output",
    "count",
    "explained",
    "numbers",
    "read_array",
    "read_header",
    "write_whole",
]

DEFLATE_RATIO = 1032  # deflate packs at most 1032 bytes into one (zlib, technical details)


class FileError(ValueError):
    """A file cannot be read or written; the message names the file, the place and the cure."""


def check_output(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> None:
    """Raise FileError if no file of these kinds could be written to this path: to be known before a long solve."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise FileError(f"{path}: unknown output format {path.suffix!r}; use one of {', '.join(suffixes)}")
    if path.is_dir():
        raise FileError(f"{path}: is a directory; give the name of a file")
    if not path.parent.is_dir():
        raise FileError(f"{path}: there is no directory {str(path.parent)!r}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"{path}: the directory {str(path.parent)!r} is not writable; choose another")


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let write fill a file beside path, and move it there when it is complete."""
    path = Path(path).resolve()  # a link keeps pointing to the file
    temporary = path.with_name(f".l1fast-{secrets.token_hex(8)}.tmp")  # no name that anyone else has, and no long one
    try:
        with open(temporary, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes the readers raise into a FileError."""
    try:
        yield
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file; check the path") from error
    except PermissionError as error:
        raise FileError(f"{path}: no permission to read it; change its mode") from error
    except MemoryError as error:
        raise FileError(f"{path}: needs more memory than there is; use a sparse format or fewer rows") from error
    except Exception as error:  # the readers beneath raise some twenty types on damaged files
        detail = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path}: damaged or not what its name says ({detail}); write or download it again") from error


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class Header(NamedTuple):
    """What stands before the numbers of a .npy file."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], end: int, where: str) -> Header:
    """The header of an array in .npy format; `end` is where the bytes held end, and it must not announce more."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise FileError(f"{where}: .npy version {version} is for arrays with named fields; save plain numbers")
    if dtype.hasobject:
        raise FileError(f"{where}: holds pickled Python objects, which are never loaded; save numbers instead")
    header = Header(shape, fortran, dtype)
    held = end - stream.tell()  # below, values of no bytes are no data either
    if min(shape, default=0) < 0 or max(header.nbytes, math.prod(shape)) > held:
        raise FileError(
            f"{where}: announces shape {shape} of {dtype}, {count(header.nbytes, 'byte')}, but holds {held:,}; "
            "it is truncated or damaged, write or download it again"
        )
    return header


def read_array(stream: IO[bytes], end: int, where: str) -> NDArray[Any]:
    """One array in .npy format, in memory of its own; `end` as in `read_header`."""
    header = read_header(stream, end, where)
    announced = header.nbytes
    content = np.empty(announced, dtype=np.uint8)  # of its own, so that the array may be written to
    filled, view = 0, content.data
    while filled < announced and (more := stream.readinto(view[filled:])):  # type: ignore[attr-defined]
        filled += more
    if filled < announced:
        raise FileError(
            f"{where}: ends after {filled:,} of {count(announced, 'byte')}; it is truncated or damaged, "
            "write or download it again"
        )
    values: NDArray[Any] = content.view(header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
    return values


def numbers(values: NDArray[Any], where: str) -> NDArray[Any]:
    """float32 stays, other real numbers become float64, in the byte order of the machine."""
    if values.dtype.kind not in "fiub":
        raise FileError(f"{where}: holds {values.dtype}, not real numbers; save float32 or float64")
    is_float32 = values.dtype.kind == "f" and values.dtype.itemsize == np.dtype(np.float32).itemsize
    return values.astype(np.float32 if is_float32 else np.float64, copy=False)


class Archive:
    """The members of an .npz file, read on demand; `cure` is what an incomplete one asks for."""

    def __init__(self, path: Path, cure: str = "save with scipy.sparse.save_npz") -> None:
        self.path = path
        self.cure = cure
        self.size = path.stat().st_size
        self.zip = zipfile.ZipFile(path)
        self.keys = {info.filename.removesuffix(".npy"): info for info in self.zip.infolist()}

    def member(self, key: str) -> tuple[zipfile.ZipInfo, str]:
        """Where the archive has an array, and what errors call it."""
        where = f"{self.path}: array {key!r}"
        if key not in self.keys:
            found = ", ".join(sorted(self.keys)) or "nothing"
            raise FileError(f"{where} is missing (found {found}); {self.cure}")
        info = self.keys[key]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(f"{where}: compression method {info.compress_type}; save with numpy.savez_compressed")
        if info.compress_size > self.size or info.file_size > DEFLATE_RATIO * (info.compress_size + 1):
            raise FileError(
                f"{where}: announces {count(info.file_size, 'byte')} in {info.compress_size:,} of a file of "
                f"{self.size:,}; the archive is damaged, write or download it again"
            )
        return info, where

    def header(self, key: str) -> Header:
        """What an array is, without reading it."""
        info, where = self.member(key)
        with self.zip.open(info) as stream:
            return read_header(stream, info.file_size, where)

    def array(self, key: str, *, verify: bool = True) -> NDArray[Any]:
        """One array, in memory of its own.

        verify : compare its checksum. Without it, what is not compressed is read as fast as a file can be.
        """
        info, where = self.member(key)
        if not verify and info.compress_type == zipfile.ZIP_STORED:
            with open(self.path, "rb") as plain:
                start = self.start(key, plain)
                plain.seek(start)
                return read_array(plain, start + info.file_size, where)
        with self.zip.open(info) as stream:
            values = read_array(stream, info.file_size, where)
            if stream.read(1):  # also what makes zipfile compare the checksum of an empty array
                raise FileError(f"{where}: goes on after its {count(values.nbytes, 'byte')}; the archive is damaged")
            return values

    def start(self, key: str, stream: IO[bytes]) -> int:
        """Where in the file, open as stream, the bytes of a member that is not compressed begin."""
        info, where = self.member(key)
        stream.seek(info.header_offset)
        local = stream.read(LOCAL_HEADER)
        start = info.header_offset + LOCAL_HEADER
        if len(local) == LOCAL_HEADER:
            start += sum(struct.unpack_from("<HH", local, LOCAL_HEADER - 4))  # the name, and what else there is
        stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & ENCRYPTED
        if not stored or not local.startswith(b"PK\3\4") or start + info.file_size > self.size:
            raise FileError(f"{where} does not lie in the file as it should; the archive is damaged, write it again")
        return start

    def numbers(self, key: str, *, verify: bool = True) -> NDArray[Any]:
        return numbers(self.array(key, verify=verify), f"{self.path}: array {key!r}")

    def indices(self, key: str, *, verify: bool = True) -> NDArray[Any]:
        values = self.array(key, verify=verify)
        if values.dtype.kind not in "iu" or values.ndim != 1:
            raise FileError(
                f"{self.path}: array {key!r} must be 1-D integers, it is {values.ndim}-D {values.dtype}; {self.cure}"
            )
        return values.astype(values.dtype.newbyteorder("="), copy=False)


LOCAL_HEADER, ENCRYPTED = 30, 1
"""Bytes before the name of a member, and the flag of one that needs a password (PKWARE, APPNOTE 4.3.7 and 4.4.4)."""
