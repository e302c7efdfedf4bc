"""Reading data sets: every format as it should be, and every way a file can be wrong."""

import bz2
import gzip
import io as streams
import json
import lzma
import os
import pickle
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import l1fast
from l1fast import io

N, P = 6, 8
rng = np.random.default_rng(7)
X = np.round(8 * rng.standard_normal((N, P))) / 8 * (rng.random((N, P)) < 0.5)  # exact in float32
X[0, 0] = X[-1, -1] = 1.0
Y = rng.standard_normal(N)
NAMES = ["alpha", "bêta", "gamma delta", "", "e", "f", "g", "h"]


def fails(path, *fragments, **options):
    """Reading must end in a FileError of one line that names the file and holds all fragments."""
    with pytest.raises(io.FileError) as caught:
        io.read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(fragment in message for fragment in fragments), message
    return message


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "target.npy"
    np.save(path, Y)
    return path


def savez(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def parts(matrix=None, **changes):
    """The arrays of a CSR file, with changes; None drops an array."""
    matrix = sp.csr_array(X.astype(np.float32)) if matrix is None else matrix
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(matrix.shape)}
    arrays |= {"y": Y, "feature_names": "\n".join(NAMES).encode()} | changes
    return {key: value for key, value in arrays.items() if value is not None}


# ---------------------------------------------------------------- npz


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_matrices_saved_by_scipy(tmp_path, target, form, kind, dtype):
    path = tmp_path / "X.npz"
    sp.save_npz(path, getattr(sp, f"{form}_{kind}")(X.astype(dtype)))
    data = io.read(path, target)
    assert data.X.dtype == dtype
    np.testing.assert_array_equal(data.X.toarray(), X)
    np.testing.assert_array_equal(data.y, Y)
    assert (data.feature_names, data.source, data.format) == (None, str(path), "npz")
    assert data.X.format == {"coo": "csc", "dia": "csc"}.get(form, form)


def test_own_layout_with_target_and_names(tmp_path):
    data = io.read(savez(tmp_path / "own.npz", **parts(y=Y.astype(np.float32))))
    assert (data.X.format, data.X.dtype, data.y.dtype) == ("csr", np.float32, np.float32)
    np.testing.assert_array_equal(data.X.toarray(), X)
    assert data.feature_names == NAMES


@pytest.mark.parametrize(
    "names",
    ["\n".join(NAMES).encode() + b"\n", "\n".join(NAMES), np.array(NAMES), np.array([name.encode() for name in NAMES])],
    ids=["bytes", "text", "array of text", "array of bytes"],
)
def test_forms_of_names(tmp_path, names):
    assert io.read(savez(tmp_path / "own.npz", **parts(feature_names=names))).feature_names == NAMES


def test_dense_matrix_in_an_archive(tmp_path):
    data = io.read(savez(tmp_path / "dense.npz", X=X.astype(np.float32), y=Y))
    assert data.X.dtype == np.float32
    np.testing.assert_array_equal(data.X, X)


def test_a_target_file_takes_precedence(tmp_path):
    np.save(tmp_path / "other.npy", Y + 1)
    data = io.read(savez(tmp_path / "own.npz", **parts()), tmp_path / "other.npy")
    np.testing.assert_array_equal(data.y, Y + 1)


def test_types_that_solvers_do_not_take_are_converted(tmp_path):
    matrix = sp.csr_array(X)
    for data in (matrix.data.astype(np.int8), matrix.data.astype(">f4"), matrix.data.astype(np.float16)):
        read = io.read(savez(tmp_path / "own.npz", **parts(data=data, indices=matrix.indices.astype(">i8"))))
        assert read.X.dtype == (np.float32 if data.dtype == ">f4" else np.float64)
        np.testing.assert_array_equal(read.X.data, data)
        assert read.X.indices.dtype.isnative


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"data": None}, "'data' is missing"),
        ({"indices": None}, "'indices' is missing"),
        ({"indptr": None}, "'indptr' is missing"),
        ({"shape": None}, "'shape' is missing"),
        ({"y": None}, "--target FILE"),
        ({"shape": np.array([N])}, "two sizes"),
        ({"shape": np.array([N, P, 1])}, "two sizes"),
        ({"shape": np.array([-N, P])}, "two sizes"),
        ({"shape": np.array([N, P], dtype=float)}, "integers"),
        ({"shape": np.array([10**15, P])}, ""),
        ({"data": np.ones((3, 3))}, "1-D"),
        ({"data": np.ones(3, dtype=complex)}, "not real numbers"),
        ({"data": np.array(["a", "b"])}, "not real numbers"),
        ({"data": np.ones(3)}, ""),
        ({"indices": np.ones(3)}, "integers"),
        ({"indices": np.ones((3, 1), dtype=int)}, "2-D"),
        ({"indptr": np.zeros(N, dtype=int)}, ""),
        ({"indptr": np.zeros(N + 1)}, "integers"),
        ({"y": Y[1:]}, "(5,)"),
        ({"y": np.ones((2, 3))}, "(2, 3)"),
        ({"y": np.array(["a"] * N)}, "not real numbers"),
        ({"feature_names": b"a\nb"}, "2 feature names"),
        ({"feature_names": b"\xff\n" * P}, "UTF-8"),
        ({"feature_names": np.arange(P)}, "must be text"),
        ({"format": b"lil"}, "'lil'"),
        ({"format": b"coo"}, "'row' is missing"),
        ({"format": b"dia"}, "2-D"),
        ({"format": b"bsr"}, "3-D"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_incomplete_archives(tmp_path, changes, fragment):
    path = savez(tmp_path / "bad.npz", **parts(**changes))
    fails(path, str(path), fragment)


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ("coo", {"row": np.array([N]), "col": np.array([0])}),
        ("coo", {"row": np.array([-1]), "col": np.array([0])}),
        ("coo", {"row": np.array([0.0]), "col": np.array([0.0])}),
        ("coo", {"coords": np.array([[0.5], [1.5]])}),
        ("dia", {"data": np.ones((1, P)), "offsets": np.array([P])}),
        ("dia", {"data": np.ones((1, P)), "offsets": np.array([-(2**40)])}),
    ],
)
def test_coordinates_outside_of_the_matrix(tmp_path, form, changes):
    arrays = {"format": form.encode(), "shape": np.array([N, P]), "data": np.ones(1), "y": Y} | changes
    fails(savez(tmp_path / "bad.npz", **arrays), "bad.npz")


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("index", [P, -1, 2**31 - 1, -(2**31)])
def test_malformed_indices_reach_the_solver_which_refuses_them(tmp_path, form, index):
    matrix = sp.csr_array(X) if form == "csr" else sp.csc_array(X)
    matrix.indices[2] = index
    data = io.read(savez(tmp_path / "bad.npz", **parts(matrix, format=form.encode())))
    with pytest.raises(ValueError, match=str(index)):
        l1fast.solve(data.X, data.y, 0.1)


@pytest.mark.parametrize("block", [(4, 3), (0, 1), (1, 0), (N + 1, P)])
def test_blocks_that_do_not_fill_the_matrix(tmp_path, block):
    arrays = {"data": np.ones((1, *block)), "indices": np.array([0]), "indptr": np.array([0, 1])}
    path = savez(tmp_path / "bad.npz", format=b"bsr", shape=np.array([N, P]), y=Y, **arrays)
    fails(path, "do not fill the shape")


def test_malformed_blocks_reach_the_solver_which_refuses_them(tmp_path):
    matrix = sp.bsr_array(X, blocksize=(2, 2))
    matrix.indices[-1] = 77
    path = savez(tmp_path / "bad.npz", **parts(matrix, format=b"bsr"))
    with pytest.raises(ValueError, match="77"):
        l1fast.solve(io.read(path).X, Y, 0.1)


class Trap:
    """Unpickling this makes a directory."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_unpickled(tmp_path, target):
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    for key in ("data", "y", "feature_names", "shape"):
        fails(savez(tmp_path / "trap.npz", **parts(**{key: trap})), "pickled")
    np.save(tmp_path / "trap.npy", trap)
    fails(tmp_path / "trap.npy", "pickled", target=target)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(trap))
    fails(tmp_path / "bare.npy", "not a .npy file", target=target)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(trap))  # the trap works
    assert (tmp_path / "sprung").exists()


def test_truncated_archives(tmp_path):
    whole = savez(tmp_path / "whole.npz", **parts()).read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        fails(tmp_path / "cut.npz", "cut.npz")


def header(shape, descr="<f8"):
    stream = streams.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(10**9, 10**6), (10**30,), (2**63, 2), (-3, 4)])
def test_counts_beyond_the_size_of_the_file(tmp_path, target, shape):
    (tmp_path / "huge.npy").write_bytes(header(shape) + bytes(64))
    fails(tmp_path / "huge.npy", "truncated or damaged", target=target)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("X.npy", header(shape) + bytes(64))
        archive.writestr("y.npy", header((0,)))
    fails(tmp_path / "huge.npz", "'X'", "truncated or damaged")


def test_an_archive_that_unpacks_to_more_than_deflate_can_hold(tmp_path):
    path = savez(tmp_path / "lie.npz", **parts())
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\1\2")
    content[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")  # the uncompressed size of the first member
    path.write_bytes(content)
    fails(path, "'data'", "2,147,483,648 bytes")


def test_foreign_compression(tmp_path):
    with zipfile.ZipFile(tmp_path / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("X.npy", header((0,)))
    fails(tmp_path / "lzma.npz", "compression")


# ---------------------------------------------------------------- npy and target files


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("dtype", "read_as"), [("f4", "f4"), ("f8", "f8"), (">f4", "f4"), ("i8", "f8"), ("?", "f8"), ("f2", "f8")]
)
def test_dense_arrays(tmp_path, target, dtype, read_as, order):
    held = np.asarray(X.astype(dtype), order=order)
    np.save(tmp_path / "X.npy", held)
    data = io.read(tmp_path / "X.npy", target)
    assert data.X.dtype == read_as
    assert data.X.flags.f_contiguous == (order == "F")
    np.testing.assert_array_equal(data.X, held)


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (np.ones(3), "2 dimensions"),
        (np.ones((2, 2, 2)), "2 dimensions"),
        (np.ones((2, 2), dtype=complex), "complex"),
        (np.array([["a"]]), "not real numbers"),
        (np.zeros((2, 2), dtype=[("a", float)]), "not real numbers"),
        (np.zeros((2, 2), dtype=[("\u00e2\u02dc", float)]), "named fields"),
        (np.ones((N + 1, 2)), "7 rows"),
    ],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0:UserWarning")
def test_arrays_that_are_no_design(tmp_path, target, array, fragment):
    np.save(tmp_path / "X.npy", array)
    fails(tmp_path / "X.npy", fragment, target=target)


def test_truncated_array(tmp_path, target):
    np.save(tmp_path / "X.npy", X)
    whole = (tmp_path / "X.npy").read_bytes()
    for length in (0, 3, 7, 9, 60, len(whole) - 1):
        (tmp_path / "cut.npy").write_bytes(whole[:length])
        fails(tmp_path / "cut.npy", "cut.npy", target=target)


def write_target(path, kind):
    values = np.array2string(Y, separator="\n", threshold=N, floatmode="unique")[1:-1].replace(" ", "") + "\n"
    if kind == "npy":
        np.save(path, Y)
    elif kind == "npy column":
        np.save(path, Y[:, None])
    elif kind == "text":
        path.write_text(values)
    elif kind == "text with header":
        path.write_text("price\n" + values)
    elif kind == "mtx dense":
        scipy.io.mmwrite(path, Y[:, None], precision=17)
    elif kind == "mtx sparse":
        scipy.io.mmwrite(path, sp.coo_array(Y[:, None]), precision=17)
    else:
        savez(path, y=Y, X=Y[:, None])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("y.npy", "npy"),
        ("y.npy", "npy column"),
        ("y.csv", "text"),
        ("y.csv", "text with header"),
        ("y.txt", "text"),
        ("y.mtx", "mtx dense"),
        ("y.mtx", "mtx sparse"),
        ("y.npz", "npz"),
    ],
)
def test_target_files(tmp_path, name, kind):
    np.save(tmp_path / "X.npy", X)
    write_target(tmp_path / name, kind)
    data = io.read(tmp_path / "X.npy", tmp_path / name)
    np.testing.assert_array_equal(data.y, Y)


def test_wrong_target_files(tmp_path):
    np.save(tmp_path / "X.npy", X)

    def fails_with(name, *fragments):
        fails(tmp_path / "X.npy", name, *fragments, target=tmp_path / name)

    fails(tmp_path / "X.npy", "X.npy", "--target FILE")
    fails_with("missing.npy", "no such file")
    np.save(tmp_path / "two.npy", np.ones((N, 2)))
    fails_with("two.npy", "more than one column")
    (tmp_path / "two.csv").write_text("1,2\n" * N)
    fails_with("two.csv", "more than one column")
    np.save(tmp_path / "short.npy", Y[:-1])
    fails_with("short.npy", "(5,)", "6 rows")
    (tmp_path / "words.csv").write_text("price\n1\nhigh\n")
    fails_with("words.csv", "line 3", "'high'")
    (tmp_path / "y.svm").write_text("1 1:2\n")
    fails_with("y.svm", "no target file")
    savez(tmp_path / "no_y.npz", X=X)
    fails_with("no_y.npz", "no array y")


# ---------------------------------------------------------------- Matrix Market


@pytest.mark.parametrize("suffix", [".mtx", ".mtx.gz"])
def test_matrix_market(tmp_path, target, suffix):
    stream = streams.BytesIO()
    scipy.io.mmwrite(stream, sp.coo_array(X), comment="one\ntwo")
    path = tmp_path / f"X{suffix}"
    path.write_bytes(gzip.compress(stream.getvalue()) if suffix.endswith("gz") else stream.getvalue())
    data = io.read(path, target)
    assert (data.format, data.X.format, data.X.dtype) == ("mtx", "csc", np.float64)
    np.testing.assert_array_equal(data.X.toarray(), X)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("array real general\n2 2\n1\n2\n3\n4\n", [[1, 3], [2, 4]]),
        ("array integer general\n2 2\n1\n2\n3\n4", [[1, 3], [2, 4]]),
        ("array real symmetric\n2 2\n1\n2\n3\n", [[1, 2], [2, 3]]),
        ("array real skew-symmetric\n2 2\n5\n", [[0, -5], [5, 0]]),
        ("coordinate pattern general\n2 2 2\n1 1\n2 1\n", [[1, 0], [1, 0]]),
        ("coordinate real symmetric\n2 2 2\n1 1 3\n2 1 4\n", [[3, 4], [4, 0]]),
        ("coordinate integer general\r\n%remark\r\n2 2 1\r\n1 2 3\r\n", [[0, 3], [0, 0]]),
        ("coordinate real general\n2 2 2\n1 1 3\n1 1 4\n", [[7, 0], [0, 0]]),
        ("coordinate real general\n2 2 0\n", [[0, 0], [0, 0]]),
        ("coordinate real general\n2 2 2\n1 1 3\n%between\n\n \r2\t2  4e0", [[3, 0], [0, 4]]),
        ("coordinate real skew-symmetric\n2 2 1\n2 1 3\n", [[0, -3], [3, 0]]),
        ("coordinate pattern symmetric\n2 2 1\n2 1\n", [[0, 1], [1, 0]]),
        ("array double Hermitian\n2 2\n1\n2\n3\n", [[1, 2], [2, 3]]),
    ],
)
def test_kinds_of_matrix_market(tmp_path, text, expected):
    (tmp_path / "X.mtx").write_text("%%MatrixMarket matrix " + text, newline="")
    (tmp_path / "y.txt").write_text("1\n2\n")
    found = io.read(tmp_path / "X.mtx", tmp_path / "y.txt").X
    np.testing.assert_array_equal(found.toarray() if sp.issparse(found) else found, expected)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("coordinate real general\n6 8 3\n1 1 2\n", "holds 1 value, 3 are announced"),
        ("coordinate real general\n6 8 1\n7 1 2\n", "line 3: row 7 is not one of 1 to 6"),
        ("coordinate real general\n6 8 1\n0 1 2\n", "line 3: row 0"),
        ("coordinate real general\n6 8 1\n1 1 x\n", "line 3: 'x' is not a finite number"),
        ("coordinate real general\n6 8 1\n1 1 2\n\n2 2 2\n", "line 5: more values than the 1 announced"),
        ("coordinate real general\n1000000 1000000 1000000000000\n1 1 2\n", "line 2 announces 1,000,000,000,000"),
        ("array real general\n1000000 1000000\n1\n", "line 2 announces"),
        ("array real symmetric\n1000000 1000000\n1\n", "line 2 announces"),
        ("coordinate real general\n%\n\n6 eight 3\n", "line 4 must hold the sizes"),
        ("coordinate real general\n-6 8 3\n", "sizes"),
        ("coordinate real general\n6 8\n", "sizes"),
        ("coordinate real general\n", "sizes"),
        ("coordinate complex general\n6 8 1\n1 1 2 3\n", "complex"),
        ("coordinate real wrong\n6 8 1\n1 1 2\n", "'wrong' is not known here"),
        ("coordinate real\n6 8 1\n1 1 2\n", "line 1"),
        ("array pattern general\n6 8\n", "line 1"),
        ("coordinate real general\n6 8 1\n1 9 2\n", "line 3: column 9 is not one of 1 to 8"),
        ("coordinate real general\n6 8 1\n1.5 1 2\n", "line 3: row 1.5"),
        ("coordinate real general\n6 8 1\n1 1\n", "line 3: 2 numbers where 3 must stand"),
        ("coordinate real general\n6 8 1\n1 1 nan\n", "line 3: 'nan' is not a finite number"),
        ("coordinate real general\n6 8 1\n1 1 1e999\n", "line 3"),
        ("coordinate real symmetric\n6 8 1\n1 1 2\n", "line 2: a symmetric matrix is square"),
        ("coordinate real skew-symmetric\n6 6 1\n1 1 2\n", "skew-symmetric, but its diagonal is not 0"),
        ("coordinate real general\n6 99999999999999999999 1\n1 1 2\n", "sizes"),
        ("coordinate real general\n6 999999999999999 1\n1 1 2\n", "a side of 999,999,999,999,999"),
        ("matrix array real general\n", "line 1"),
        ("coordinate real general\n6 8 1\n1 1 2\0\n", "line 3"),
        ("coordinate real general\n6 8 1\n1 1 \xe9\n", "line 3"),
    ],
)
def test_damaged_matrix_market(tmp_path, target, text, fragment):
    for suffix, pack in ((".mtx", bytes), (".mtx.gz", gzip.compress)):
        path = tmp_path / f"X{suffix}"
        path.write_bytes(pack(b"%%MatrixMarket matrix " + text.encode()))
        fails(path, path.name, fragment, target=target)


@pytest.mark.parametrize("block", [1, 5, 1 << 20])
@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("kind", ["coordinate", "array"])
def test_matrix_market_as_scipy_writes_it(tmp_path, monkeypatch, kind, symmetry, block):
    monkeypatch.setattr(io, "BLOCK", block)
    square = X[:, :N]
    square = {"general": square, "symmetric": square + square.T, "skew-symmetric": square - square.T}[symmetry]
    stream = streams.BytesIO()
    scipy.io.mmwrite(stream, sp.coo_array(square) if kind == "coordinate" else square, symmetry=symmetry)
    (tmp_path / "X.mtx").write_bytes(stream.getvalue())
    np.save(tmp_path / "y.npy", Y)
    found = io.read(tmp_path / "X.mtx", tmp_path / "y.npy").X
    np.testing.assert_array_equal(found.toarray() if kind == "coordinate" else found, square)


# ---------------------------------------------------------------- svmlight


def naive_svmlight(text):
    """The dense X and y of svmlight text, a line at a time."""
    rows, labels = [], []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        words = line.partition("#")[0].split()
        if words:
            pairs = [word.split(":") for word in words[1:] if not word.startswith("qid:")]
            rows.append({int(index): float(value) for index, value in pairs})
            labels.append(float(words[0]))
    base = min(1, *(index for row in rows for index in row), 1)
    dense = np.zeros((len(rows), 1 - base + max(index for row in rows for index in row)))
    for i, row in enumerate(rows):
        for index, value in row.items():
            dense[i, index - base] = value
    return dense, np.array(labels)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-99, 99).map(str)
GAPS = st.sampled_from([" ", "  ", "\t"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", " \n", " # a:b 1_0 remark\n", "\n\n", "\n# only a remark\r\n"])


@st.composite
def svmlight_texts(draw):
    lowest = draw(st.integers(0, 2))
    text = draw(st.sampled_from(["", "\ufeff", "# about\n", "\n"]))
    for number in range(draw(st.integers(1, 6))):
        indices = draw(st.lists(st.integers(lowest, 12), unique=True, max_size=5, min_size=number == 0))
        query = draw(st.sampled_from(["", " qid:3"]))
        pairs = [f"{draw(GAPS)}{index}:{draw(NUMBERS)}" for index in indices]
        text += draw(NUMBERS) + query + "".join(pairs) + draw(ENDS)
    return text[:-1] if draw(st.booleans()) else text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(text=svmlight_texts(), block=st.integers(1, 80))
def test_svmlight(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(io, "BLOCK", block)
    (tmp_path / "data.svm").write_bytes(text.encode())
    data = io.read(tmp_path / "data.svm")
    dense, labels = naive_svmlight(text.removeprefix("\ufeff"))
    np.testing.assert_array_equal(data.X.toarray(), dense)
    np.testing.assert_array_equal(data.y, labels)
    assert (data.format, data.X.dtype, data.X.indices.dtype) == ("svmlight", np.float64, np.int32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=st.text(alphabet="01 :.#\n\r-e_x\tq", min_size=1), block=st.integers(1, 20))
def test_any_text_is_read_as_the_naive_reader_does_or_refused(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(io, "BLOCK", block)
    (tmp_path / "data.svm").write_bytes(text.encode())
    try:
        data = io.read(tmp_path / "data.svm")
    except io.FileError as error:
        assert "data.svm" in str(error)
    else:
        dense, labels = naive_svmlight(text)
        np.testing.assert_array_equal(data.X.toarray(), dense)
        np.testing.assert_array_equal(data.y, labels)


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.bz2", bz2.compress), ("a.xz", lzma.compress)])
def test_compressed_svmlight_without_a_telling_name(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(b"# remark\n1.5 2:3\n-1 1:4 # x\n"))
    data = io.read(tmp_path / name)
    np.testing.assert_array_equal(data.X.toarray(), [[0, 3], [4, 0]])
    np.testing.assert_array_equal(data.y, [1.5, -1])


def test_wide_indices_are_kept(tmp_path):
    (tmp_path / "wide.svm").write_text(f"1 1:5\n2 {2**31 + 7}:6\n")
    data = io.read(tmp_path / "wide.svm")
    assert data.X.shape == (2, 2**31 + 7)
    np.testing.assert_array_equal(data.X.indices, [0, 2**31 + 6])


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("x 1:2", "the label 'x'"),
        ("1,2 1:2", "the label '1,2'"),
        ("nan 1:2", "the label 'nan'"),
        ("1 1", "'1' is not of the form index:value"),
        ("1 1:2:3", "'1:2:3' is not of the form"),
        ("1 1:2 3 4:5:6", "'3' is not of the form"),
        ("1 :2", "the index of ':2'"),
        ("1 2:", "the value of '2:'"),
        ("1 -1:2", "the index of '-1:2'"),
        ("1 1.5:2", "the index of '1.5:2'"),
        ("1 nan:2", "the index of 'nan:2'"),
        ("1 99999999999999999999:2", "the index of"),
        ("1 1:x", "the value of '1:x'"),
        ("1 1:nan", "the value of '1:nan'"),
        ("1 1:1e999", "the value of '1:1e999'"),
        ("1 1:1_0", "the value of '1:1_0'"),
        ("1 3:1 2:1 3:2", "index 3 occurs twice"),
        ("1 1:é", "the value of '1:é'"),
        ("1:2", "the label '1:2'"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_malformed_svmlight_lines(tmp_path, monkeypatch, line, fragment, block):
    monkeypatch.setattr(io, "BLOCK", block)
    (tmp_path / "bad.svm").write_text(f"# about\r\n1 1:2\r\n\n{line}\n2 1:1\n", newline="")
    fails(tmp_path / "bad.svm", "bad.svm: line 4: ", fragment)


@pytest.mark.parametrize("text", ["# nothing\n", "1\n2\n", "\n\n"])
def test_svmlight_without_features(tmp_path, text):
    (tmp_path / "bare.svm").write_text(text)
    fails(tmp_path / "bare.svm", "no index:value pair")


def test_svmlight_takes_little_memory_beyond_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(io, "BLOCK", 1 << 15)
    line = "1.25 " + " ".join(f"{j}:0.{j}" for j in range(1, 60)) + "\n"
    (tmp_path / "long.svm").write_text(line * 4000)
    tracemalloc.start()
    try:
        data = io.read(tmp_path / "long.svm")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = sum(array.nbytes for array in (data.X.data, data.X.indices, data.X.indptr, data.y))
    assert peak < 1.3 * held + 40 * io.BLOCK


@pytest.mark.parametrize("form", ["coo", "dia"])
def test_few_entries_in_many_columns_take_little_memory(tmp_path, form):
    X = sp.coo_array(([1.0, 2.0], ([0, 2], [1, 3])), shape=(3, 2**24))
    sp.save_npz(tmp_path / "wide.npz", getattr(X, f"to{form}")())
    np.save(tmp_path / "y.npy", np.ones(3))
    tracemalloc.start()
    try:
        data = io.read(tmp_path / "wide.npz", tmp_path / "y.npy")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert (data.X != X).nnz == 0


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a,b,y\n1,2,3\n4,5,6\n"),
        ("t.csv", "\ufeffa,b,y\r\n1,2,3\r\n4,5,6\r\n"),
        ("t.csv", "a,b,y\r1,2,3\r4,5,6"),
        ("t.csv", "a,b,y\n1,2,3\r\n\n4,5,6\n\n"),
        ("t.csv", '"a","b",y\n"1", 2 ,3\n4,"5",6\n'),
        ("t.csv", "a;b;y\n1;2;3\n4;5;6\n"),
        ("t.tsv", "a\tb\ty\n1\t2\t3\n4\t5\t6\n"),
        ("t.dat", "a,b,y\n+1,2e0,3.\n4,.5e1,6\n"),
    ],
)
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_tables(tmp_path, monkeypatch, name, text, block):
    monkeypatch.setattr(io, "BLOCK", block)
    (tmp_path / name).write_bytes(text.encode())
    data = io.read(tmp_path / name)
    np.testing.assert_array_equal(data.X, [[1, 2], [4, 5]])
    np.testing.assert_array_equal(data.y, [3, 6])
    assert data.feature_names == ["a", "b"]
    assert data.format == "csv"
    assert data.X.flags.f_contiguous


def test_target_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("y,a,b\n3,1,2\n6,4,5\n")
    data = io.read(path, target_column="y")
    np.testing.assert_array_equal(data.X, [[1, 2], [4, 5]])
    np.testing.assert_array_equal(data.y, [3, 6])
    assert data.feature_names == ["a", "b"]
    fails(path, "'z' is not in the file", "y, a, b", target_column="z")

    (tmp_path / "y.txt").write_text("7\n8\n")
    data = io.read(path, tmp_path / "y.txt")
    assert (data.X.shape, data.feature_names) == ((2, 3), ["y", "a", "b"])
    np.testing.assert_array_equal(data.y, [7, 8])
    fails(path, "one of them", target=tmp_path / "y.txt", target_column="y")

    path.write_text("3,1,2\n6,4,5\n")
    data = io.read(path, target_column="1")
    np.testing.assert_array_equal(data.y, [3, 6])
    assert data.feature_names is None
    np.testing.assert_array_equal(io.read(path).y, [2, 5])

    path.write_text("a,a,b\n3,1,2\n")
    fails(path, "more than once", target_column="a")
    np.save(tmp_path / "X.npy", X)
    fails(tmp_path / "X.npy", "target column", target_column="a")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(NUMBERS, min_size=n, max_size=n), min_size=1)),
    block=st.integers(1, 60),
)
def test_tables_keep_every_digit(tmp_path, monkeypatch, table, block):
    monkeypatch.setattr(io, "BLOCK", block)
    (tmp_path / "t.csv").write_text("\n".join(map(",".join, table)))
    data = io.read(tmp_path / "t.csv")
    expected = np.array([[float(cell) for cell in row] for row in table])
    np.testing.assert_array_equal(np.column_stack([data.X, data.y]), expected)


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"a,b\n1,2\n3,x\n", ["line 3", "column 2 (b)", "'x'"]),
        (b"1,2\n3,\n", ["line 2", "column 2", "''"]),
        (b"1,2\nnan,3\n", ["line 2", "column 1", "'nan'"]),
        (b"nan,nan\n1,2\n", ["line 1", "column 1", "'nan'"]),
        (b"1,2\n3,1e999\n", ["line 2", "'1e999'"]),
        (b"1,2\n3,1_0\n", ["line 2", "'1_0'"]),
        (b"1,b,3\n1,2,3\n", ["line 1", "column 2", "'b'"]),
        (b"a,b\n1,2,3\n", ["line 2", "3 cells, but 2"]),
        (b"a,b,c\n1,2,3\n1,2\n", ["line 3", "2 cells, but 3"]),
        (b"a,b\r\n\r\n1,2\r\n\r\n1\r\n", ["line 5", "1 cell, but 2"]),
        (b"1,2\n3,\xff\n", ["line 2", "column 2", "\\xff"]),
        (b"1;2\n3;4,5\n", ["line 2", "'4,5'"]),
        (b"\xff,b\n1,2\n", ["line 1", "UTF-8"]),
        ("a,b\n1,2\n".encode("utf-16"), ["UTF-16"]),
        (b"a,b\n", ["no row of numbers"]),
        (b"\n\n", ["no row of numbers"]),
        (b"1\n2\n", ["one column", "--target FILE"]),
        (b"a,b\n1,\x002\n", ["binary"]),
        (b"", ["empty"]),
    ],
)
def test_malformed_tables(tmp_path, content, fragments):
    (tmp_path / "bad.csv").write_bytes(content)
    fails(tmp_path / "bad.csv", "bad.csv", *fragments)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.text(alphabet='01,;\n\r.-e_x"\t ', min_size=1), st.integers(1, 20))
def test_any_table_is_read_or_refused(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(io, "BLOCK", block)
    (tmp_path / "any.csv").write_bytes(text.encode())
    try:
        data = io.read(tmp_path / "any.csv")
    except io.FileError as error:
        assert "any.csv" in str(error)
    else:
        assert np.isfinite(data.X).all()
        assert data.y.shape == (len(data.X),)


# ---------------------------------------------------------------- any file


def test_content_comes_before_the_name(tmp_path, target):
    savez(tmp_path / "own.npz", **parts()).rename(tmp_path / "own.csv")
    assert io.read(tmp_path / "own.csv").format == "npz"
    with open(tmp_path / "X.txt", "wb") as stream:
        np.save(stream, X)
    assert io.read(tmp_path / "X.txt", target).format == "npy"
    (tmp_path / "data.txt").write_text("1 1:2 3:4\n")
    assert io.read(tmp_path / "data.txt").format == "svmlight"


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".mtx"])
def test_wrong_magic(tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"1,2\n3,4\n")
    fails(path, f"not a {suffix} file", "1,2")


def test_files_that_are_none(tmp_path):
    fails(tmp_path / "missing.npz", "missing.npz: no such file")
    fails(tmp_path, "is a directory")
    (tmp_path / "noise.dat").write_bytes(bytes(range(256)))
    fails(tmp_path / "noise.dat", "unknown binary format")
    (tmp_path / "prose.dat").write_text("once upon a time\n")
    fails(tmp_path / "prose.dat", "not recognised", ".npz")
    fails("with\0null.npz", "damaged")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.svm")
    fails(tmp_path / "pipe.svm", "not a regular file")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_truncated_compression(tmp_path, pack):
    lines = "".join(f"{value} 1:{value}\n" for value in np.random.default_rng(0).standard_normal(500))
    whole = pack(lines.encode())
    for length in (20, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.svm.gz").write_bytes(whole[:length])
        fails(tmp_path / "cut.svm.gz", "cut.svm.gz")


def test_compressed_binary_files(tmp_path):
    whole = savez(tmp_path / "own.npz", **parts()).read_bytes()
    (tmp_path / "own.npz.gz").write_bytes(gzip.compress(whole))
    fails(tmp_path / "own.npz.gz", "decompress it first")


def test_a_long_line_takes_time_in_proportion(monkeypatch):
    """Blocks are joined once, when their line ends: with the line growing block by block this took minutes."""
    monkeypatch.setattr(io, "BLOCK", 64)
    content = b"1" * 8_000_000
    began = time.perf_counter()
    assert list(io._blocks(streams.BytesIO(content))) == [((1, 0), content + b"\n")]
    assert time.perf_counter() - began < 10.0


# ---------------------------------------------------------------- results


@pytest.fixture(scope="module")
def result():
    found = l1fast.solve(X, Y, 0.05, fit_intercept=True)
    assert 0 < len(found.support) < P
    return found


def test_result_as_npz(tmp_path, result):
    path = tmp_path / "out.npz"
    io.write_result(result, path, NAMES)
    with np.load(path, allow_pickle=False) as found:
        np.testing.assert_array_equal(found["coef"], result.coef)
        assert found["feature_names"].item().decode().split("\n") == NAMES
        for key in ("intercept", "objective", "dual_gap", "violation", "lam", "tol", "n_iter"):
            assert found[key].item() == getattr(result, key)
        about = json.loads(found["about"].item())
        assert (about["status"], about["solver"], about["reason"]) == ("converged", result.solver, result.reason)


@pytest.mark.parametrize("names", [None, NAMES])
def test_result_as_csv(tmp_path, result, names):
    io.write_result(result, tmp_path / "out.csv", names)
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()]
    labels = names or [str(j) for j in range(P)]
    assert rows[0] == ["feature", "coefficient"]
    assert rows[1:-1] == [[labels[j], repr(float(result.coef[j]))] for j in result.support]
    assert rows[-1] == ["(intercept)", repr(result.intercept)]


def test_result_as_json(tmp_path, result):
    io.write_result(result, tmp_path / "out.json", NAMES)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["objective"] == result.objective
    assert [(one["feature"], one["index"], one["coef"]) for one in found["support"]] == [
        (NAMES[j], j, result.coef[j]) for j in result.support
    ]


def test_a_result_is_written_whole_or_not_at_all(tmp_path, monkeypatch, result):
    path = tmp_path / "out.csv"
    path.write_text("before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(io.FileError, match="No space left"):
            io.write_result(result, path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["out.csv"]
    io.write_result(result, path)
    assert path.read_text().startswith("feature")
    assert os.listdir(tmp_path) == ["out.csv"]


def test_places_where_no_result_can_go(tmp_path, result):
    for name, fragment in (("out.txt", "unknown output format"), ("none/out.csv", "there is no directory")):
        with pytest.raises(io.FileError, match=fragment):
            io.write_result(result, tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(io.FileError, match="is a directory"):
        io.write_result(result, tmp_path / "folder.csv")
