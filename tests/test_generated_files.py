"""Files damaged in every way: the data that are in them, or one line that names the file; soon, and in little memory.

Three depths: any bytes; the content of an array in an archive whose checksums are right; whole arrays that do not fit.
"""

import io as streams
import re
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import test_saved
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from test_io import NAMES, X, Y, parts, savez

import l1fast
from l1fast import PathResult, Result, io

FILES = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECONDS = 2.0  # far more than a small file takes
MEMORY = 2**25  # bytes; far more than a small file takes, far less than a count that is believed
MOST_COLUMNS = 2**17
WITH_TARGET = ("own.npz", "X.svm", "X.csv", "X.tsv")
MARKS = (
    *(b"99999999999", b"18446744073709551616", b"-1", b"1e308", b"1e400", b"nan", b"inf", b"0x10", b"1_0"),
    *(b"\r", b"\r\n", b"\n", b"\0", b"\xff", b"\xc3", b'"', b"'", b":", b",", b";", b"\t", b" " * 50, b"#", b"%"),
    *(b"symmetric", b"general", b"array", b"coordinate", b"pattern", b"complex", b"skew-symmetric", b"qid:3", b"\x1a"),
)


def valid_files(folder):
    """One file of every format and layout, and of both answers, by name."""
    for form in ("csr", "coo", "dia", "bsr"):
        sp.save_npz(folder / f"{form}.npz", getattr(sp, f"{form}_array")(X), compressed=form == "csr")
    savez(folder / "own.npz", **parts())
    np.save(folder / "X.npy", X)
    scipy.io.mmwrite(folder / "coordinate.mtx", sp.coo_array(X))
    scipy.io.mmwrite(folder / "array.mtx", X)
    scipy.io.mmwrite(folder / "symmetric.mtx", sp.coo_array(X @ X.T))
    rows = [" ".join(f"{j + 1}:{value}" for j, value in enumerate(row) if value) for row in X]
    (folder / "X.svm").write_text("".join(f"{label} {row}\n" for label, row in zip(Y, rows, strict=True)))
    table = [",".join(map(str, [*row, label])) for row, label in zip(X, Y, strict=True)]
    (folder / "X.csv").write_text("\n".join([",".join([*NAMES, "y"]), *table]), encoding="utf-8")
    (folder / "X.tsv").write_text("\r\n".join(table).replace(",", "\t"), newline="")
    test_saved.answer("result").save(folder / "result.npz")
    test_saved.answer("path").save(folder / "path.npz")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@st.composite
def mutations(draw, content):
    """Bytes changed, cut out, cut off, doubled, or something put in."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        end = min(place + draw(st.integers(1, 40)), len(content))
        what = draw(st.sampled_from(["byte", "cut", "end", "double", "mark", "number"]))
        if what == "byte" and place < len(content):
            content[place] = draw(st.integers(0, 255))
        elif what == "cut":
            del content[place:end]
        elif what == "end":
            del content[place:]
        elif what == "double":
            content[place:place] = content[place:end]
        elif what == "mark":
            content[place:place] = draw(st.sampled_from(MARKS))
        elif what == "number" and (found := list(re.finditer(rb"\d+", content))):
            chosen = draw(st.sampled_from(found))
            content[chosen.start() : chosen.end()] = draw(st.sampled_from(MARKS[:9]))
    return bytes(content)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    return valid_files(tmp_path_factory.mktemp("valid"))


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    path = tmp_path_factory.mktemp("target") / "target.npy"
    np.save(path, Y)
    return path


ANSWERS = {"result.npz": Result, "path.npz": PathResult}


def found_in(path, name, target):
    """What a file holds; None if it is refused, in one line that names it (or the target that does not fit it)."""
    began = time.process_time()
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # zipfile: two members of one name
            if name in ANSWERS:
                return ANSWERS[name].load(path)
            return io.read(path, None if name in WITH_TARGET else target)
    except io.FileError as error:
        message = str(error)
        assert str(path) in message or str(target) in message
        assert "\n" not in message
        if path.suffix in (".mtx", ".svm", ".csv", ".tsv"):
            assert "damaged or not what its name says" not in message, "a reader beneath gave up without a line"
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY
        assert time.process_time() - began < SECONDS


def values(found):
    """What must be equal when the content is."""
    if isinstance(found, io.Dataset):
        dense = found.X.toarray() if sp.issparse(found.X) else found.X
        return dense.tolist(), found.y.tolist()
    return test_saved.bits(found)


def usable(found):
    """Sound data are solved, and indices that are not are refused there; answers hold together."""
    if isinstance(found, io.Dataset):
        assert found.y.shape == (found.X.shape[0],)
        assert found.feature_names is None or len(found.feature_names) == found.X.shape[1]
        if found.X.shape[1] > MOST_COLUMNS:
            event("too wide to solve in a test")
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
                l1fast.solve(found.X, found.y, 1.0, max_iter=3)
        except ValueError as error:
            event("refused by solve")
            assert re.search(r"\bX\b|\by\b", str(error)), str(error)
    elif isinstance(found, PathResult):
        assert found.coefs.shape == (found.coefs.shape[0], len(found))
        found.coefs.check_format(full_check=True)
    else:
        assert (found.coef.ndim, found.dual.ndim) == (1, 1)


@FILES
@given(st.data())
def test_any_bytes(tmp_path, target, valid, data):
    name = data.draw(st.sampled_from(sorted(valid)))
    path = tmp_path / f"damaged-{name}"
    path.write_bytes(data.draw(mutations(valid[name])))
    found = found_in(path, name, target)
    event(f"{name} {'refused' if found is None else 'read'}")
    if found is None:
        return
    usable(found)
    if name.endswith(".npz"):  # every array is behind a checksum
        (tmp_path / name).write_bytes(valid[name])
        assert values(found) == values(found_in(tmp_path / name, name, target))


@FILES
@given(st.data())
def test_content_behind_right_checksums(tmp_path, target, valid, data):
    name = data.draw(st.sampled_from([name for name in sorted(valid) if name.endswith(".npz")]))
    with zipfile.ZipFile(streams.BytesIO(valid[name])) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    chosen = data.draw(st.sampled_from(sorted(members)))
    members[chosen] = data.draw(mutations(members[chosen]))
    path = tmp_path / f"damaged-{name}"
    with zipfile.ZipFile(path, "w", data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    found = found_in(path, name, target)
    event(f"{name} {'refused' if found is None else 'read'}")
    if found is not None:
        usable(found)


NUMBERS = (0, 1, -1, 7, 2**31 - 1, -(2**31), 2**62, -(2**63), np.nan, np.inf, -np.inf, 1e300, 5e-324)


@st.composite
def arrays_instead(draw, array):
    """The array with an entry, its type or its length changed."""
    what = draw(st.sampled_from(["entry", "entry", "entry", "type", "length", "dimensions"]))
    if what == "entry" and array.size and array.dtype.kind in "fi":
        array = array.copy()
        value = draw(st.sampled_from([one for one in NUMBERS if array.dtype.kind == "f" or isinstance(one, int)]))
        bounds = np.iinfo(array.dtype) if array.dtype.kind == "i" else None
        array.flat[draw(st.integers(0, array.size - 1))] = (
            value if bounds is None else max(value, bounds.min) % bounds.max
        )
        return array
    if what == "type":
        kinds = ["S3"] if array.dtype.kind == "S" else ["f4", "i8", ">f8", "c16", "U5", "S3"]  # words make no numbers
        return array.astype(draw(st.sampled_from(kinds)), casting="unsafe")
    if what == "dimensions":
        return array[None]
    return np.resize(array, draw(st.integers(0, 2 * array.size + 1)))


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@FILES
@given(st.data())
def test_arrays_that_do_not_fit(tmp_path, target, valid, data):
    name = data.draw(st.sampled_from([name for name in sorted(valid) if name.endswith(".npz")]))
    with np.load(streams.BytesIO(valid[name]), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    keys = st.sets(st.sampled_from(sorted(set(arrays) - {"about", "format"})), min_size=1, max_size=2)
    for key in sorted(data.draw(keys)):  # a set has no order to repeat
        with np.errstate(invalid="ignore", over="ignore"):  # of the new values in the old type
            arrays[key] = data.draw(arrays_instead(arrays[key]))
    path = tmp_path / f"damaged-{name}"
    np.savez(path, **arrays)
    found = found_in(path, name, target)
    event(f"{name} {'refused' if found is None else 'read'}")
    if found is not None:
        usable(found)
