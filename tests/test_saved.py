"""Answers saved to files: they come back bit for bit, or a clear error says what is wrong with the file."""

import dataclasses
import inspect
import io as streams
import json
import os
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import l1fast
from l1fast import History, PathResult, Result, Status, _saved, io

SECONDS = 2.0  # far more than any small file takes, far less than a hang
FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = ("result", "path")
STEP = 7  # prime, so that no part of a repeated structure is left out always

rng = np.random.default_rng(11)
X, Y = rng.standard_normal((12, 7)), rng.standard_normal(12)


def answer(kind):
    """A Result with history and iterates, or a PathResult."""
    if kind == "path":
        return l1fast.path(X, Y, n_lams=5, fit_intercept=True, tol=1e-9)
    solver = l1fast.HuberDescent(iterates=True)
    return l1fast.solve(X, Y, 0.5, solver=solver, history=True, fit_intercept=True, tol=0.3)


def bits(value):
    """What must be the same before and after: type, dtype, shape and bytes, down to the sign of zero and of NaN."""
    if dataclasses.is_dataclass(value):
        return [(one.name, bits(getattr(value, one.name))) for one in dataclasses.fields(value)]
    if sp.issparse(value):
        return type(value), value.shape, [bits(part) for part in (value.data, value.indices, value.indptr)]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return (type(value), struct.pack("<d", value)) if isinstance(value, float) else (type(value), value)


def same(one, other):
    return type(one) is type(other) and bits(one) == bits(other)


def fails(cls, path, *fragments):
    """Loading must end, soon, in a FileError of one line that names the file and holds all fragments."""
    began = time.perf_counter()
    with pytest.raises(io.FileError) as caught:
        cls.load(path)
    assert time.perf_counter() - began < SECONDS
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert str(path) in message
    assert "\n" not in message
    assert all(fragment in message for fragment in fragments), message


def members(path):
    """The arrays of a file by name."""
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def changed(path, text=None, **changes):
    """The file with other arrays, None to drop one, and with other entries in its JSON part."""
    kept = members(path)
    if text is not None:
        about = json.loads(kept["about"].item()) | text
        kept["about"] = np.bytes_(json.dumps({key: value for key, value in about.items() if value is not None}))
    kept = {key: value for key, value in (kept | changes).items() if value is not None}
    path = path.with_name("changed.npz")
    np.savez(path, **kept)
    return path


@pytest.fixture
def saved(tmp_path):
    """Files of both kinds, and the answers in them."""
    made = {}
    for kind in KINDS:
        one = answer(kind)
        one.save(tmp_path / f"{kind}.npz")
        made[kind] = (tmp_path / f"{kind}.npz", one)
    return made


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("kind", KINDS)
def test_answers_come_back(saved, kind):
    path, one = saved[kind]
    back = type(one).load(path)
    assert same(one, back)
    assert repr(one) == repr(back)
    back.save(path)
    assert same(one, type(one).load(str(path)))


def test_what_comes_back_is_used_as_before(saved):
    path, one = saved["result"]
    back = Result.load(path)
    assert back.status is Status.CONVERGED
    assert back.history.seconds.flags.writeable
    assert l1fast.solve(X, Y, 0.5, start=back, fit_intercept=True, tol=0.3).n_iter == 0
    np.testing.assert_array_equal(back.support, one.support)
    path, one = saved["path"]
    back = PathResult.load(path)
    for k in range(len(one)):
        np.testing.assert_array_equal(back.coef(k), one.coef(k))
    np.testing.assert_array_equal(back.df, one.df)


FLOATS = st.floats(allow_subnormal=True)
COUNTS = st.integers(0, 2**63 - 1)
TEXT = st.text(max_size=20)


def of_floats(*shape):
    return arrays.arrays(np.float64, shape, elements=FLOATS)


@st.composite
def histories(draw):
    n = draw(st.integers(0, 4))
    whole = arrays.arrays(np.int64, n)
    numbers = {"seconds", "objective", "dual_gap", "passes"}
    return History(**{f.name: draw(of_floats(n) if f.name in numbers else whole) for f in dataclasses.fields(History)})


@st.composite
def results(draw):
    """Any values that the types allow, whether a solve makes them or not."""
    n, p = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    layout = draw(st.sampled_from(["C", "F"]))
    return Result(
        coef=draw(of_floats(p)),
        dual=draw(of_floats(n)),
        iterates=draw(st.none() | of_floats(3, p).map(lambda found: np.array(found, order=layout))),
        history=draw(st.none() | histories()),
        status=draw(st.sampled_from(Status)),
        **{name: draw(FLOATS) for name in ("intercept", "objective", "dual_gap", "violation", "n_passes", "seconds")},
        **{name: draw(FLOATS) for name in ("lam", "tol")},
        **{name: draw(COUNTS) for name in ("n_iter", "n_epochs")},
        **{name: draw(TEXT) for name in ("solver", "reason", "conversion")},
    )


@st.composite
def path_results(draw):
    n_lams, p = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    index = draw(st.sampled_from([np.int32, np.int64]))
    stored = draw(arrays.arrays(bool, (p, n_lams)))
    indices = np.concatenate([*map(np.flatnonzero, stored.T), []]).astype(index)
    starts = np.cumsum([0, *stored.sum(axis=0)]).astype(index)
    numbers = ("lams", "intercepts", "objectives", "dual_gaps", "violations", "deviance_explained", "seconds")
    return PathResult(
        coefs=sp.csc_array((draw(of_floats(len(indices))), indices, starts), shape=(p, n_lams)),
        n_iter=draw(arrays.arrays(np.int64, n_lams)),
        status=draw(st.sampled_from(Status)),
        tol=draw(FLOATS),
        **{name: draw(of_floats(n_lams)) for name in numbers},
        **{name: draw(TEXT) for name in ("solver", "reason", "conversion")},
    )


@FILES
@given(results() | path_results())
def test_any_answer_comes_back_bit_for_bit(tmp_path, one):
    one.save(tmp_path / "any.npz")
    assert same(one, type(one).load(tmp_path / "any.npz"))


@pytest.mark.parametrize("cls", [Result, PathResult, History])
def test_every_array_has_a_shape_to_be_held_against(cls):
    kinds = {name: kind for name, kind, _ in _saved._fields(cls)}
    expected = {name for name, kind in kinds.items() if kind in (np.float64, np.int64, sp.csc_array)}
    assert set(cls._shapes) == expected


def test_other_readers(saved):
    path, one = saved["result"]
    found = members(path)
    for name in ("coef", "dual", "intercept", "objective", "dual_gap", "lam"):
        np.testing.assert_array_equal(found[name], getattr(one, name))
    np.testing.assert_array_equal(found["history.dual_gap"], one.history.dual_gap)
    about = json.loads(found["about"].item())
    assert (about["class"], about["status"], about["reason"]) == ("Result", "converged", one.reason)
    path, one = saved["path"]
    assert bits(sp.load_npz(path)) == bits(one.coefs)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_command_line_writes_can_be_loaded(tmp_path, kind):
    one = answer(kind)
    write = {"result": io.write_result, "path": io.write_path}[kind]
    write(one, tmp_path / "out.npz", [f"name {j}" for j in range(7)])
    assert same(one, type(one).load(tmp_path / "out.npz"))


def test_an_old_file_without_a_new_field_with_a_default(saved):
    path, one = saved["result"]
    listed = json.loads(members(path)["about"].item())["fields"]
    listed.remove("conversion")
    back = Result.load(changed(path, {"fields": listed, "conversion": None}))
    assert same(dataclasses.replace(one, conversion=""), back)


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_file_is_replaced_whole_or_not_at_all(saved, monkeypatch, moment, error):
    path, one = saved["result"]
    before, names = path.read_bytes(), sorted(os.listdir(path.parent))

    def fail(*_, **__):
        raise error

    target, name = {"write": (zipfile.ZipFile, "close")}.get(moment, (os, moment))
    expected = io.FileError if isinstance(error, OSError) else type(error)
    with monkeypatch.context() as patched:
        patched.setattr(target, name, fail)
        if moment == "write":
            patched.setattr(zipfile.ZipFile, "__del__", lambda _: None)
        with pytest.raises(expected):
            one.save(path)
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == names


def test_places_where_nothing_can_be_written(tmp_path, saved):
    one = saved["result"][1]
    for name, fragment in (("out", "use one of .npz"), ("out.csv", ".npz"), ("none/out.npz", "no directory")):
        with pytest.raises(io.FileError, match=fragment):
            one.save(tmp_path / name)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(io.FileError, match="is a directory"):
        one.save(tmp_path / "folder.npz")
    one.save(tmp_path / f"{'n' * 251}.npz")  # the longest name there can be


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"coef": np.zeros(7, np.float32)}, "Result.coef must hold float64"),
        ({"coef": np.zeros((7, 1))}, r"Result.coef must have the dimensions \(n_features\)"),
        ({"coef": list(range(7))}, "Result.coef must hold float64, it is list"),
        ({"iterates": np.zeros((3, 6))}, "n_features is 7 elsewhere"),
        ({"coef": np.array([None] * 7)}, "float64"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, changes, fragment):
    one = dataclasses.replace(answer("result"), **changes)
    with pytest.raises(io.FileError, match=fragment):
        one.save(tmp_path / "odd.npz")
    assert not os.listdir(tmp_path)


# ---------------------------------------------------------------- files that are wrong


def test_files_that_are_none_of_ours(tmp_path, saved):
    fails(Result, tmp_path / "none.npz", "no such file")
    fails(Result, tmp_path)
    for name, content in (("empty.npz", b""), ("text.npz", b"a,b\n1,2\n"), ("array.npz", b"\x93NUMPY\1\0")):
        (tmp_path / name).write_bytes(content)
        fails(Result, tmp_path / name, "not an .npz file", "Result.save")
    np.savez(tmp_path / "other.npz", X=X, y=Y)
    fails(Result, tmp_path / "other.npz", "'about' is missing", "found X, y")
    fails(Result, saved["path"][0], "holds a 'PathResult', not a Result")
    fails(PathResult, saved["result"][0], "holds a 'Result', not a PathResult")


def test_a_newer_layout(saved):
    path = changed(saved["result"][0], {"version": _saved.VERSION + 1, "written_by": "l1fast 9.0"})
    fails(Result, path, "written by 'l1fast 9.0'", "newer", "update l1fast")


@pytest.mark.parametrize(
    "text",
    [{"version": value} for value in (None, 0, -1, 1.0, "1", True, [1])]
    + [{"class": value} for value in (None, 1, "result", ["Result"])]
    + [{"fields": value} for value in (None, "coef", 3, {}, [])]
    + [{"status": value} for value in (None, "", "CONVERGED", "done", 1, ["converged"], {})]
    + [{"solver": value} for value in (None, 1, ["cd"])],
    ids=str,
)
def test_wrong_text(saved, text):
    fails(Result, changed(saved["result"][0], text))


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 10**5, b'{"version": 1' + b"0" * 5000 + b"}", b'{"version": NaN}'],
    ids=lambda content: repr(content[:12]),
)
def test_text_that_is_no_json_object(saved, content):
    fails(Result, changed(saved["result"][0], about=np.bytes_(content)))


@pytest.mark.parametrize("about", [np.zeros(3), np.array("{}"), np.array([b"{}", b"{}"])], ids=repr)
def test_text_of_another_type(saved, about):
    fails(Result, changed(saved["result"][0], about=about), "'about' must be bytes")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_members(saved, kind):
    path, one = saved[kind]
    for name in set(members(path)) - {"format", "_is_array"}:  # those are for scipy.sparse.load_npz
        fails(type(one), changed(path, **{name: None}), f"{name!r} is missing")


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_another_type_or_shape(saved, kind):
    path, one = saved[kind]
    for name, value in members(path).items():
        if name in ("format", "_is_array", "about"):
            continue
        for other in (value.astype(np.float32), value.astype(str), value[None], value.astype(complex)):
            fails(type(one), changed(path, **{name: other}))
        if value.ndim and name not in ("dual", "iterates", "history.seconds"):
            assert value.size
            fails(type(one), changed(path, **{name: np.concatenate([value, value[-1:]])}))


def test_numbers_in_another_byte_order(saved):
    path, one = saved["result"]
    swapped = {
        name: value.astype(value.dtype.newbyteorder()) for name, value in members(path).items() if name != "about"
    }
    assert same(one, Result.load(changed(path, **swapped)))


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [
        ("indptr", [0, 2, 1, 3, 3, 3], "'indptr' must rise"),
        ("indptr", [1, 1, 1, 1, 1, 1], "'indptr' must rise"),
        ("indptr", [0, 0, 0, 0, 0, 9], "'indptr' must rise"),
        ("indptr", [0, 2**31 - 1, -1, 3, 3, 3], "'indptr' must rise"),
        ("indices", [0, 7, 1], "'indices' must lie within"),
        ("indices", [-1, 0, 1], "'indices' must lie within"),
        ("indices", [1, 1, 1], "'indices' must ascend"),
        ("indices", [0, 1], "do not fit together"),
        ("shape", [7, 4], "do not fit together"),
        ("shape", [7], "do not fit together"),
        ("shape", [-7, 5], "do not fit together"),
        ("shape", [], "do not fit together"),
    ],
)
def test_malformed_coefficients(saved, name, value, fragment):
    path = saved["path"][0]
    whole = {"data": np.ones(3), "indices": [0, 1, 0], "indptr": [0, 2, 3, 3, 3, 3], "shape": [7, 5]}
    whole = {key: np.array(part, dtype=float if key == "data" else np.int64) for key, part in whole.items()}
    assert PathResult.load(changed(path, **whole)).df.tolist() == [2, 1, 0, 0, 0]
    fails(PathResult, changed(path, **(whole | {name: np.array(value, dtype=np.int64)})), fragment)


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_unpickled(saved, tmp_path, kind):
    path, one = saved[kind]
    for name in set(members(path)) - {"format", "_is_array"}:
        trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
        fails(type(one), changed(path, **{name: trap}), "pickled")
    assert not (tmp_path / "sprung").exists()
    assert "pickle" not in inspect.getsource(_saved).replace("allow_pickle=False", "").replace("without pickle", "")


def header(shape, descr="<f8"):
    stream = streams.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("shape", "descr"), [((10**15,), "<f8"), ((2**62, 8), "<f8"), ((10**15,), "|S0"), ((-1,), "<f8"), ((3,), "<f8")]
)
def test_counts_beyond_the_size_of_the_file(saved, tmp_path, shape, descr, method):
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(saved["result"][0]) as whole, zipfile.ZipFile(path, "w", method) as archive:
        for info in whole.infolist():
            content = header(shape, descr) + bytes(16) if info.filename == "coef.npy" else whole.read(info)
            archive.writestr(info.filename, content)
    tracemalloc.start()
    fails(Result, path, "'coef'", "truncated or damaged")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_more_bytes_than_an_array_announces(saved, tmp_path):
    with zipfile.ZipFile(saved["result"][0]) as whole, zipfile.ZipFile(tmp_path / "long.npz", "w") as archive:
        for info in whole.infolist():
            archive.writestr(info.filename, whole.read(info) + bytes(8) * (info.filename == "coef.npy"))
    fails(Result, tmp_path / "long.npz", "'coef'", "goes on after")


def test_a_matrix_of_more_rows_than_any_memory_holds(saved):
    """Rows are a name for indices here: nothing of their number is allocated."""
    path = saved["path"][0]
    shape = np.array([2**62, 5])
    back = PathResult.load(changed(path, shape=shape, **{k: members(path)[k] for k in ("data", "indices", "indptr")}))
    assert back.coefs.shape == (2**62, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_anywhere(saved, tmp_path, kind):
    path, one = saved[kind]
    whole, cut = path.read_bytes(), tmp_path / "cut.npz"
    ends = {0, 1, 3, 4, len(whole) - 1, *range(0, len(whole), STEP)}
    for mark in (b"PK\3\4", b"PK\1\2", b"PK\5\6"):  # where members, their list and the end of the archive begin
        start = -1
        while (start := whole.find(mark, start + 1)) >= 0:
            ends |= {start - 1, start, start + 1, start + 4, start + 30} & set(range(len(whole)))
    for end in sorted(ends):
        cut.write_bytes(whole[:end])
        fails(type(one), cut)
