"""Blocks of rows on disk: the answers of an X in memory, in less memory; and every way the files can be wrong.

The whole file takes about 14 s of CPU.
"""

import contextlib
import itertools
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import problems
import pytest
import referee
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged import fails
from test_generated_files import mutations

import l1fast
from l1fast import _stores
from l1fast._files import FileError

N, P = 60, 24
X, Y = problems.make(N, P)
CUTS = {"one": [0, 60], "uneven": [0, 1, 1, 7, 59, 60], "empty ends": [0, 0, 30, 60, 60]}
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on address space holds on Linux")


def judged(design, X, y, solver="cd", tol=1e-8, **options):
    """Solve on blocks; the referee sees X as it is."""
    lam = problems.strength(X, y)
    result = l1fast.solve(design, y, lam, solver=solver, tol=tol, **options)
    assert result.converged
    referee.check(result, X, y, lam, **options)
    return result


# ---------------------------------------------------------------- dense files


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "f2", "i2", "?"])
@pytest.mark.parametrize("cuts", CUTS)
def test_dense_files(tmp_path, cuts, dtype):
    held = X.astype(dtype)
    bounds = CUTS[cuts]
    for k, (first, last) in enumerate(itertools.pairwise(bounds)):
        np.save(tmp_path / f"X-{k}.npy", held[first:last])
    design = l1fast.from_npy_memmap(tmp_path, rows_per_block=17)
    assert design.shape == (N, P)
    assert design.dtype == (np.float32 if dtype == "f4" else np.float64)
    assert max(np.diff(design.starts)) <= 17
    judged(design, held.astype(float), Y, sample_weight=np.arange(N) % 3, fit_intercept=True)


@pytest.mark.parametrize("solver", ["fista", "lbfgs"])
def test_other_solvers_and_a_path(tmp_path, solver):
    np.save(tmp_path / "X.npy", X)
    design = l1fast.from_npy_memmap(tmp_path / "X.npy", rows_per_block=7)
    judged(design, X, Y, solver, tol=1e-6)
    found = l1fast.path(design, Y, n_lams=5, lam_min_ratio=0.05, tol=1e-9)
    for k, lam in enumerate(found.lams):
        judge = referee.Problem(X, Y, lam)
        excess = judge.objective(found.coef(k), 0) - judge.objective(l1fast.solve(X, Y, lam, tol=1e-12).coef, 0)
        assert excess <= 2e-9 * judge.scale()


def test_files_come_in_the_order_of_their_numbers(tmp_path):
    for k in range(12):
        np.save(tmp_path / f"part-{k}.npy", X[5 * k : 5 * k + 5])
    (tmp_path / "._part-1.npy").write_bytes(b"what some systems leave beside files")
    for paths in (tmp_path, str(tmp_path / "part-*.npy"), [tmp_path / f"part-{k}.npy" for k in range(12)]):
        design = l1fast.from_npy_memmap(paths)
        np.testing.assert_array_equal(np.vstack([design.load(k) for k in range(12)]), X)


def test_a_block_is_mapped_and_can_be_pickled(tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", X)
    monkeypatch.chdir(tmp_path)
    design = l1fast.from_npy_memmap("X.npy", rows_per_block=40)
    load = pickle.loads(pickle.dumps(design.load))
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(load(1), X[40:])
    assert not load(1).flags.writeable
    assert not load(1).flags.owndata


def test_blocks_hold_64_mebibytes(tmp_path):
    np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (3000, 2**14)).flush()  # holes, no bytes on disk
    assert np.diff(l1fast.from_npy_memmap(tmp_path / "X.npy").starts).tolist() == [1024, 1024, 952]


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (np.ones(3), "2 dimensions, this array has 1"),
        (np.ones((2, 2, 2)), "2 dimensions, this array has 3"),
        (np.asfortranarray(X), "Fortran order"),
        (X.astype(object), "pickled Python objects"),
        (X + 1j, "complex"),
        (np.array([["a"]]), "not real numbers"),
        (np.ones((0, 3)), "holds no row"),
    ],
)
def test_arrays_that_are_no_design(tmp_path, array, fragment):
    np.save(tmp_path / "bad.npy", array)
    fails(lambda: l1fast.from_npy_memmap(tmp_path / "bad.npy"), "bad.npy", fragment)


def test_dense_files_that_lie(tmp_path):
    np.save(tmp_path / "X.npy", X)
    whole = (tmp_path / "X.npy").read_bytes()
    for length in (0, 5, 60, 128, len(whole) - 1):
        (tmp_path / "bad.npy").write_bytes(whole[:length])
        fails(lambda: l1fast.from_npy_memmap(tmp_path / "bad.npy"), "bad.npy")
    (tmp_path / "bad.npy").write_bytes(whole + whole)
    fails(lambda: l1fast.from_npy_memmap(tmp_path / "bad.npy"), "bad.npy", f"{len(whole):,} bytes behind")
    for shape in (b"(90, 24)", b"(-1, 24)"):
        (tmp_path / "bad.npy").write_bytes(whole.replace(b"(60, 24)", shape))
        fails(lambda: l1fast.from_npy_memmap(tmp_path / "bad.npy"), "truncated or damaged")
    fails(lambda: l1fast.from_npy_memmap(tmp_path / "none.npy"), "none.npy", "no such file")
    fails(lambda: l1fast.from_npy_memmap(tmp_path / "no*.npy"), "no*.npy")
    fails(lambda: l1fast.from_npy_memmap([]), "name at least one")
    np.save(tmp_path / "narrow.npy", X[:, 1:])
    fails(lambda: l1fast.from_npy_memmap([tmp_path / "X.npy", tmp_path / "narrow.npy"]), "23 columns", "24")
    for rows in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="rows_per_block"):
            l1fast.from_npy_memmap(tmp_path / "X.npy", rows_per_block=rows)


def test_a_dense_file_that_changes_its_size_or_values(tmp_path):
    np.save(tmp_path / "X.npy", X)
    design = l1fast.from_npy_memmap(tmp_path / "X.npy", rows_per_block=20)
    np.save(tmp_path / "X.npy", X[:-1])
    fails(lambda: l1fast.solve(design, Y, 1.0), "X.npy", "cut short or changed")
    bad = X.copy()
    bad[45, 3] = np.nan
    np.save(tmp_path / "X.npy", bad)
    with pytest.raises(ValueError, match=r"block 2 of .*X\.npy.* nan in row 5, column 3"):
        l1fast.solve(design, Y, 1.0)


# ---------------------------------------------------------------- sparse parts


def save_parts(folder, matrix, bounds, compressed=False):
    for k, (first, last) in enumerate(itertools.pairwise(bounds)):
        sp.save_npz(folder / f"part-{k}.npz", matrix[first:last], compressed=compressed)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_parts(tmp_path, cuts, index, compressed):
    matrix = sp.csr_array(X.astype(np.float32) if index is np.int64 else X)
    bounds = CUTS[cuts]
    for k, (first, last) in enumerate(itertools.pairwise(bounds)):
        part = problems.with_index(matrix[first:last], index)
        parts = {"data": part.data, "indices": part.indices, "indptr": part.indptr, "shape": part.shape}
        (np.savez_compressed if compressed else np.savez)(tmp_path / f"part-{k}.npz", **parts)
    design = l1fast.from_csr_parts(tmp_path)
    assert (design.shape, design.nnz, design.dtype) == ((N, P), matrix.nnz, matrix.dtype)
    for k in [k for k in range(len(bounds) - 1) if bounds[k] < bounds[k + 1]] * 2:  # verified, then trusted
        assert design.load(k).indices.dtype == index
        np.testing.assert_array_equal(design.load(k).toarray(), X[bounds[k] : bounds[k + 1]])
    judged(pickle.loads(pickle.dumps(design)), X, Y, fit_intercept=True)


def test_what_scipy_saves(tmp_path):
    for compressed in (True, False):
        save_parts(tmp_path, sp.csr_array(X), CUTS["uneven"], compressed)
        judged(l1fast.from_csr_parts(str(tmp_path / "*.npz")), X, Y)


def spoiled(path, change):
    """An uncompressed part whose arrays were changed by a function."""
    with np.load(path) as found:
        arrays = dict(found)
    change(arrays)
    np.savez(path, **arrays)


def put(key, place, value):
    def change(arrays):
        arrays[key][place] = value

    return change


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (put("indices", 3, P), "24"),
        (put("indices", 3, -1), "-1"),
        (put("indices", -1, 2**31 - 1), "2147483647"),
        (put("indptr", 2, 2**31 - 1), "indptr"),
        (put("indptr", 0, 1), "begins with 1"),
        (put("indptr", -1, 10**6), "only"),
        (put("data", 0, np.inf), "inf"),
    ],
)
def test_malformed_indices_are_found_on_every_read(tmp_path, change, fragment):
    """Also where the checksums of the archive are right, and the part was sound before."""
    save_parts(tmp_path, sp.csr_array(X), [0, 20, 60])
    spoiled(tmp_path / "part-1.npz", change)
    with pytest.raises(ValueError, match=rf"block 1 of .*{fragment}"):
        l1fast.solve(l1fast.from_csr_parts(tmp_path), Y, 1.0)
    save_parts(tmp_path, sp.csr_array(X), [0, 20, 60])
    design = l1fast.from_csr_parts(tmp_path)
    judged(design, X, Y)
    status = os.stat(tmp_path / "part-1.npz")
    spoiled(tmp_path / "part-1.npz", change)
    if os.stat(tmp_path / "part-1.npz").st_size == status.st_size:
        os.utime(tmp_path / "part-1.npz", ns=(status.st_atime_ns, status.st_mtime_ns))  # as if nothing had happened
        with pytest.raises(ValueError, match=rf"block 1 of .*{fragment}"):
            l1fast.solve(design, Y, 1.0)


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda arrays: arrays.pop("indices"), "'indices' is missing"),
        (lambda arrays: arrays.pop("shape"), "'shape' is missing"),
        (lambda arrays: arrays.update(format=b"csc"), "csc"),
        (lambda arrays: arrays.update(shape=np.array([20])), "two sizes"),
        (lambda arrays: arrays.update(shape=np.array([21, P])), "21 rows need (22,)"),
        (lambda arrays: arrays.update(shape=np.array([20, P + 1])), "25 columns"),
        (lambda arrays: arrays.update(data=np.ones((3, 3))), "1-D"),
        (lambda arrays: arrays.update(data=np.array(["a"])), "not real numbers"),
        (lambda arrays: arrays.update(data=np.array([None])), "pickled"),
    ],
)
def test_archives_that_are_no_parts(tmp_path, change, fragment):
    save_parts(tmp_path, sp.csr_array(X), [0, 20, 40, 60])
    spoiled(tmp_path / "part-1.npz", change)
    fails(lambda: l1fast.from_csr_parts(tmp_path), "part-1.npz", fragment)


@pytest.mark.parametrize(
    "change", [lambda a: a.update(data=a["data"][:-1]), lambda a: a.update(indices=a["indices"] / 2)]
)
def test_arrays_of_a_part_that_do_not_fit(tmp_path, change):
    save_parts(tmp_path, sp.csr_array(X), [0, 20, 60])
    spoiled(tmp_path / "part-1.npz", change)
    with pytest.raises(ValueError, match=r"part-1\.npz|block 1 of"):
        l1fast.solve(l1fast.from_csr_parts(tmp_path), Y, 1.0)


def test_damaged_archives(tmp_path):
    save_parts(tmp_path, sp.csr_array(X), [0, 60])
    path = tmp_path / "part-0.npz"
    whole = path.read_bytes()
    design = l1fast.from_csr_parts(path)
    for length in range(0, len(whole), 1013):
        path.write_bytes(whole[:length])
        fails(lambda: l1fast.from_csr_parts(path), "part-0.npz")
        fails(lambda: design.load(0), "part-0.npz")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    path.write_bytes(damaged)
    fails(lambda: l1fast.from_csr_parts(path).load(0), "part-0.npz")
    local = whole.index(b"PK\3\4", 1)
    path.write_bytes(whole)
    design.load(0)
    status = os.stat(path)
    path.write_bytes(whole[:local] + b"XX" + whole[local + 2 :])  # the header of a member
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    fails(lambda: design.load(0), "part-0.npz", "damaged")
    fails(lambda: l1fast.from_csr_parts(tmp_path / "none.npz"), "no such file")


# ---------------------------------------------------------------- folders of blocks


@pytest.fixture
def folder(tmp_path):
    """A folder of six parts of the problem, with its manifest as a dictionary that can be changed and written."""
    rows = [" ".join(f"{j + 1}:{value!r}" for j, value in enumerate(row.tolist()) if value) for row in X]
    rows[0] = f"{P}:0 " + rows[0] if f"{P}:" not in rows[0] else rows[0]
    (tmp_path / "X.svm").write_text("".join(f"{label!r} {row}\n" for label, row in zip(Y.tolist(), rows, strict=True)))
    l1fast.convert(tmp_path / "X.svm", tmp_path / "blocks", rows_per_part=10)
    return tmp_path / "blocks"


def test_a_folder(folder):
    data = l1fast.open_blocks(folder)
    assert (data.X.shape, data.X.n_blocks, data.format, data.feature_names) == ((N, P), 6, "blocks", None)
    assert data.X.n_bytes == sum(path.stat().st_size for path in folder.glob("*.npz"))
    np.testing.assert_array_equal(data.y, Y)
    for _ in range(2):
        np.testing.assert_array_equal(np.vstack([data.X.load(k).toarray() for k in range(6)]), X)
    block = data.X.load(3)
    assert not block.data.flags.owndata  # mapped
    assert block.data.flags.aligned
    assert block.indices.flags.writeable  # in memory of their own
    judged(data.X, X, Y)


def test_a_moved_folder(folder, monkeypatch):
    moved = folder.with_name("moved")
    folder.rename(moved)
    monkeypatch.chdir(moved.parent)
    data = l1fast.open_blocks("moved")
    monkeypatch.chdir("/")
    judged(data.X, X, data.y)


def change(folder, **values):
    """Values of the manifest; a key with a part's number is of that part. None drops one."""
    path = folder / "manifest.json"
    record = json.loads(path.read_text())
    for key, value in values.items():
        name, _, k = key.partition("__")
        holder = record["parts"][int(k)] if k else record
        holder[name] = value
        if value is None:
            del holder[name]
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("values", "fragment"),
    [
        ({"format": "zip"}, "is no manifest"),
        ({"version": 2}, "version 2"),
        ({"n_samples": None}, "n_samples must be an integer"),
        ({"n_samples": 61}, "61"),
        ({"n_samples": -1}, "n_samples"),
        ({"n_samples": True}, "n_samples"),
        ({"n_features": "24"}, "n_features"),
        ({"n_features": 2**80}, "n_features"),
        ({"n_entries": 3}, "n_entries is 3, but the parts hold"),
        ({"dtype": "int8"}, "'int8'"),
        ({"sparse": 1}, "sparse"),
        ({"base": 2}, "base"),
        ({"feature_names": ["a"]}, "1 feature name"),
        ({"feature_names": "a"}, "list of text"),
        ({"parts": {}}, "parts must be a list"),
        ({"parts": [7]}, "parts must be a list"),
        ({"file__2": "../../secret.npz"}, "secret"),
        ({"file__2": "/etc/passwd"}, "passwd"),
        ({"file__2": None}, "None is not the name of a part"),
        ({"rows__2": 11}, "60"),
        ({"rows__2": 11, "rows__3": 9}, "10"),
        ({"bytes__2": 5}, "part-000002.npz"),
        ({"bytes__2": None}, "bytes must be"),
        ({"crc32__2": -1}, "crc32"),
        ({"crc32__2": 1}, "are not those that were written"),
        ({"base__2": 3}, "base"),
        ({"base__2": 0}, "below base"),
        ({"n_features": 5}, "5 columns"),
    ],
)
def test_wrong_values_in_the_manifest(folder, values, fragment):
    change(folder, **values)

    def use():
        data = l1fast.open_blocks(folder)
        return [l1fast.solve(data.X, data.y, 1.0) for _ in range(2)]

    with pytest.raises(ValueError) as caught:
        use()
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "manifest.json" in str(caught.value) or "part-" in str(caught.value) or "block " in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 10**5, b'{"format": "l1fast blocks"}'])
def test_a_manifest_that_is_none(folder, content):
    (folder / "manifest.json").write_bytes(content)
    fails(lambda: l1fast.open_blocks(folder), "manifest.json")


def test_folders_that_are_none(folder, tmp_path):
    fails(lambda: l1fast.open_blocks(tmp_path / "none"), "no such folder")
    fails(lambda: l1fast.open_blocks(tmp_path / "X.svm"), "no such folder")
    fails(lambda: l1fast.open_blocks(tmp_path), "holds no manifest.json")
    (folder / "manifest.json").rename(folder / "unfinished.json")
    fails(lambda: l1fast.open_blocks(folder), "has not ended")


def test_parts_that_are_missing_cut_or_exchanged(folder):
    part = folder / "part-000002.npz"
    whole = part.read_bytes()
    data = l1fast.open_blocks(folder)
    part.unlink()
    fails(lambda: l1fast.open_blocks(folder), "part-000002.npz", "no such file")
    fails(lambda: l1fast.solve(data.X, data.y, 1.0), "part-000002.npz", "no such file")
    part.write_bytes(whole[:-1])
    fails(lambda: l1fast.open_blocks(folder), "part-000002.npz", "cut short")
    fails(lambda: l1fast.solve(data.X, data.y, 1.0), "part-000002.npz", "cut short")
    for place in range(40, len(whole), 499):
        damaged = bytearray(whole)
        damaged[place] ^= 255
        part.write_bytes(damaged)
        fails(lambda: data.X.load(2), "part-000002.npz")
    other = np.zeros(len(whole), np.uint8).tobytes()
    part.write_bytes(other)
    fails(lambda: l1fast.open_blocks(folder), "part-000002.npz")
    part.write_bytes(whole)
    judged(data.X, X, Y)


def test_a_part_that_changes_between_two_passes_is_checked_again(folder):
    data = l1fast.open_blocks(folder)
    judged(data.X, X, Y)
    part = folder / "part-000002.npz"
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)
    os.utime(part, ns=(1, 1))
    fails(lambda: l1fast.solve(data.X, data.y, 1.0), "part-000002.npz", "not those that were written")


def test_parts_can_be_read_by_scipy_and_are_aligned(folder):
    found = sp.load_npz(folder / "part-000001.npz")
    np.testing.assert_array_equal(found.toarray(), X[10:20, : found.shape[1]])
    part = folder / "part-000001.npz"
    with zipfile.ZipFile(part) as archive, open(part, "rb") as stream:
        assert archive.testzip() is None
        for info in archive.infolist():
            stream.seek(info.header_offset + 26)
            start = info.header_offset + 30 + sum(np.frombuffer(stream.read(4), "<u2").tolist())
            assert start % _stores.ALIGNMENT == 0


# ---------------------------------------------------------------- files damaged at random


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a dense file, of parts of both kinds, and of a folder's manifest and one part; and that folder."""
    place = tmp_path_factory.mktemp("sound")
    np.save(place / "X.npy", X)
    matrix = sp.csr_array(X)
    sp.save_npz(place / "stored.npz", matrix, compressed=False)
    sp.save_npz(place / "packed.npz", matrix)
    rows = (" ".join(f"{j + 1}:{value!r}" for j, value in enumerate(row.tolist())) for row in X)
    (place / "X.svm").write_text("".join(f"{label!r} {row}\n" for label, row in zip(Y.tolist(), rows, strict=True)))
    l1fast.convert(place / "X.svm", place / "blocks", rows_per_part=30)
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*.n*") if path.is_file()} | {
        "blocks/manifest.json": (place / "blocks/manifest.json").read_bytes()
    }


@pytest.mark.parametrize(
    "name", ["X.npy", "stored.npz", "packed.npz", "blocks/manifest.json", "blocks/part-000001.npz"]
)
@pytest.mark.filterwarnings("ignore::l1fast.ConvergenceWarning")  # a number may have become 1e+100
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=st.data())
def test_damaged_at_random(tmp_path, sound, name, source):
    """The process lives; what comes is one line that names the file or block, or numbers that are those of the file."""
    (tmp_path / "blocks").mkdir(exist_ok=True)
    for one, content in sound.items():
        (tmp_path / one).write_bytes(content)
    (tmp_path / name).write_bytes(source.draw(mutations(sound[name])))
    y = Y
    try:
        if name == "X.npy":
            design = l1fast.from_npy_memmap(tmp_path / name, rows_per_block=25)
        elif name.startswith("blocks"):
            data = l1fast.open_blocks(tmp_path / "blocks")
            design, y = data.X, data.y
        else:
            design = l1fast.from_csr_parts(tmp_path / name)
        first = [design.load(k) for k in range(design.n_blocks)]
        again = [design.load(k) for k in range(design.n_blocks)]
        for one, other in zip(first, again, strict=True):
            if sp.issparse(one):
                assert np.array_equal(one.data, other.data, equal_nan=True)
                assert np.array_equal(one.indices, other.indices)
            else:
                assert np.array_equal(one, other, equal_nan=True)
        l1fast.solve(design, y[: design.shape[0]] if len(y) >= design.shape[0] else np.ones(design.shape[0]), 1.0)
    except (ValueError, TypeError) as error:
        assert "\n" not in str(error), error
        assert any(word in str(error) for word in (name.rpartition("/")[2], "block ", "the entries of X")), error
    if name.startswith("blocks/part"):  # its checksum is in the manifest: nothing but its own bytes is taken
        fine = (tmp_path / name).read_bytes() == sound[name]
        with contextlib.nullcontext() if fine else pytest.raises(FileError):
            l1fast.open_blocks(tmp_path / "blocks").X.load(1)


# ---------------------------------------------------------------- in less memory than X


LIMITED = """
import resource, sys
import numpy as np
import l1fast

folder, kind, room = sys.argv[1], sys.argv[2], int(sys.argv[3])
y, small = np.load(f"{folder}/y.npy"), np.random.default_rng(0).standard_normal((99, 30))
resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))  # so that BLAS takes its buffers
l1fast.solve(l1fast.RowBlocks(lambda k: small, np.array([0, 99]), 30, False), small[:, 0], 1.0)  # loads all modules
in_use = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (in_use + room, in_use + room))
try:
    np.empty(int(sys.argv[4]), np.uint8)
    raise SystemExit("the limit does not hold: there is room for all of X")
except MemoryError:
    pass
if kind == "npy":
    X = l1fast.from_npy_memmap(f"{folder}/X.npy", rows_per_block=10_000)
else:
    X = l1fast.from_csr_parts(f"{folder}/parts")
result = l1fast.solve(X, y, 0.1 * l1fast.lam_max(X, y))
assert result.converged, result
np.save(f"{folder}/coef.npy", result.coef)
"""


@LINUX
@pytest.mark.parametrize("kind", ["npy", pytest.param("csr", marks=pytest.mark.slow)])
def test_less_address_space_than_data(tmp_path, kind):
    """160 MB of X or more; 25 MB remain beside the 71 MB that must be left for OpenBLAS."""
    rng = np.random.default_rng(0)
    block, n, p = 10_000, 200_000, 100
    part = np.where(rng.random((block, p)) < 0.7, rng.standard_normal((block, p)), 0)
    sizes, noise = 1 + np.arange(n // block) / 10, rng.standard_normal(n)
    y = np.concatenate([size * part[:, :3].sum(axis=1) for size in sizes]) + noise
    np.save(tmp_path / "y.npy", y)
    if kind == "npy":
        held = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float64, (n, p))
        for k, size in enumerate(sizes):
            held[block * k : block * (k + 1)] = size * part
        del held
        n_bytes = (tmp_path / "X.npy").stat().st_size
    else:
        (tmp_path / "parts").mkdir()
        for k, size in enumerate(sizes):
            sp.save_npz(tmp_path / f"parts/{k}.npz", sp.csr_array(size * part), compressed=False)
        n_bytes = sum(path.stat().st_size for path in (tmp_path / "parts").iterdir())
    room = 96 * 10**6
    assert n_bytes > 1.6 * room
    (tmp_path / "limited.py").write_text(LIMITED)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "L1FAST_NUM_THREADS": "1"}
    command = [sys.executable, "-P", tmp_path / "limited.py", tmp_path, kind, room, n_bytes]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    X = np.vstack([size * part for size in sizes])
    judge = referee.Problem(X, y, 0.1 * abs(X.T @ y).max(), dtype=np.float64)
    optimum = l1fast.solve(X, y, float(judge.lam), tol=1e-10)
    assert judge.objective(np.load(tmp_path / "coef.npy"), 0) <= optimum.objective + 1.1e-6 * judge.scale()
