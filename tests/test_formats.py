"""Parquet, Zarr and AnnData as blocks of rows: the answers of an X in memory, and every way the files can be wrong.

The whole file takes about 6 s of CPU.
"""

import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import problems
import pytest
import referee
import scipy.sparse as sp
from judged import fails

import l1fast
from l1fast import _formats

N, P = 60, 24
X, Y = problems.make(N, P)
NAMES = [f"x{j}" for j in range(P)]


def judged(design, X, y):
    """Solve on blocks, twice over a pickle; the referee sees X as it is."""
    lam = problems.strength(X, y)
    result = l1fast.solve(pickle.loads(pickle.dumps(design)), y, lam, tol=1e-8, fit_intercept=True)
    assert result.converged
    referee.check(result, X, y, lam, fit_intercept=True)


def test_blocks_hold_what_they_may(monkeypatch):
    monkeypatch.setattr(_formats, "BLOCK_BYTES", 10)
    rng = np.random.default_rng(0)
    assert _formats.cuts(np.zeros(0, np.int64), None) == [0]
    for most in (None, 1, 3):
        sizes = rng.integers(0, 13, 200)
        ends = _formats.cuts(sizes, most)
        assert (ends[0], ends[-1]) == (0, 200)
        for first, last in itertools.pairwise(ends):
            assert last - first <= (most or 200)
            assert sizes[first:last].sum() <= 10 or last == first + 1
            full = last == 200 or last - first == most
            assert full or sizes[first : last + 1].sum() > 10


# ---------------------------------------------------------------- Parquet


@pytest.fixture
def write_parquet():
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def write(path, array=X, names=NAMES, **options):
        pq.write_table(pa.table([pa.array(column) for column in array.T], names=names), path, **options)
        return path

    return write


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, bool])
def test_parquet(tmp_path, monkeypatch, write_parquet, dtype):
    held = X.astype(dtype)
    for k, rows in enumerate((slice(0, 25), slice(25, 25), slice(25, 60))):
        write_parquet(tmp_path / f"part-{k}.parquet", held[rows], row_group_size=10)
    design = l1fast.from_parquet(tmp_path)
    assert (design.shape, design.dtype) == ((N, P), np.float32 if dtype is np.float32 else np.float64)
    judged(design, held.astype(float), Y)
    monkeypatch.setattr(_formats, "BLOCK_BYTES", 20 * P * design.dtype.itemsize)
    design = l1fast.from_parquet(tmp_path)
    assert [rows for rows in np.diff(design.starts) if rows] == [20, 5, 20, 15]
    judged(design, held.astype(float), Y)


def test_columns_of_parquet(tmp_path, write_parquet):
    path = write_parquet(tmp_path / "X.parquet", np.column_stack([Y, X]), ["y", *NAMES])
    chosen = [17, 3, 4]
    design = l1fast.from_parquet(path, columns=[NAMES[j] for j in chosen])
    np.testing.assert_array_equal(design.load(0), X[:, chosen])
    fails(lambda: l1fast.from_parquet(path, columns=["x3", "z"]), "'z' is not in the file", "y, x0")


def test_parquet_that_is_no_design(tmp_path, write_parquet):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({"a": [1.0, None, 3.0], "b": ["x", "y", "z"]}), path)
    fails(lambda: l1fast.from_parquet(path), "'b' is of string")
    fails(lambda: l1fast.solve(l1fast.from_parquet(path, columns=["a"]), Y[:3], 1.0), "'a' has 1 null value")
    pq.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), path)
    fails(lambda: l1fast.from_parquet(path), "more than once")
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    fails(lambda: l1fast.from_parquet(path), "holds no row")
    pq.write_table(pa.table({"a": [1.0, np.inf]}), path)
    with pytest.raises(ValueError, match=r"block 0 of .*bad\.parquet.*inf in row 1"):
        l1fast.solve(l1fast.from_parquet(path), Y[:2], 1.0)
    whole = write_parquet(tmp_path / "whole.parquet").read_bytes()
    for length in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        fails(lambda: l1fast.from_parquet(path), "bad.parquet")
    fails(lambda: l1fast.from_parquet(tmp_path / "none.parquet"), "no such file")


# ---------------------------------------------------------------- AnnData and Zarr


def write_group(root, key, matrix, **changes):
    """The layout of AnnData: a CSR group, or an array. Changes replace an array, the shape or the encoding."""
    if isinstance(matrix, np.ndarray):
        write_array(root, key, matrix)
        return
    group = root.create_group(key)
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape}
    parts |= {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"} | changes
    for name, value in parts.items():
        if name in ("data", "indices", "indptr"):
            if value is not None:
                write_array(group, name, np.asarray(value))
        else:
            group.attrs[name] = list(value) if name == "shape" else value


def write_array(group, name, values):
    if hasattr(group, "create_array"):
        group.create_array(name, data=values, chunks=tuple(max(1, size // 3) for size in values.shape))
    else:
        group.create_dataset(name, data=values)


@pytest.fixture(params=["h5py", "zarr"])
def write(request, tmp_path):
    """A function that writes X and a layer to an AnnData file or folder."""
    library = pytest.importorskip(request.param)

    def write(matrix, layer=None, **changes):
        if request.param == "h5py":
            path = tmp_path / "data.h5ad"
            with library.File(path, "w") as root:
                write_group(root, "X", matrix, **changes)
                if layer is not None:
                    write_group(root, "layers/counts", layer)
        else:
            path = tmp_path / "data.zarr"
            root = library.open_group(str(path), mode="w")
            write_group(root, "X", matrix, **changes)
            if layer is not None:
                write_group(root, "layers/counts", layer)
        return path

    return write


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_anndata(write, monkeypatch, index, dtype):
    held = X.astype(dtype)
    path = write(problems.with_index(sp.csr_array(held), index), held)
    for layer, sparse in ((None, True), ("counts", False)):
        for rows in (None, 7):
            design = l1fast.from_anndata(path, layer, rows_per_block=rows)
            assert (design.shape, design.sparse) == ((N, P), sparse)
            assert design.dtype == (np.float32 if dtype is np.float32 else np.float64)
            judged(design, held.astype(float), Y)
    monkeypatch.setattr(_formats, "BLOCK_BYTES", 1000)
    for layer in (None, "counts"):
        design = l1fast.from_anndata(path, layer)
        assert design.n_blocks > 2
        judged(design, held.astype(float), Y)
    fails(lambda: l1fast.from_anndata(path, "none"), "no 'layers/none'")


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"encoding-type": "csc_matrix"}, "csc_matrix"),
        ({"indices": None}, "indices"),
        ({"indptr": np.arange(5)}, "do not fit"),
        ({"indptr": np.full(N + 1, 3)}, "rise from 0"),
        ({"indptr": np.zeros(N + 1)}, "lists of integers"),
        ({"indices": np.zeros((3, 3), int)}, "lists of integers"),
        ({"data": np.ones(7)}, "7 values"),
        ({"data": np.ones(7, complex)}, "not real numbers"),
        ({"shape": (N,)}, "do not fit"),
        ({"shape": (N + 1, P)}, "do not fit"),
    ],
)
def test_groups_that_are_no_design(write, changes, fragment):
    path = write(sp.csr_array(X), **changes)
    fails(lambda: l1fast.from_anndata(path), path.name, fragment)


@pytest.mark.parametrize("index", [P, -1, 2**31 - 1])
def test_indices_are_checked_when_they_are_read(write, index):
    matrix = sp.csr_array(X)
    matrix.indices[-1] = index
    design = l1fast.from_anndata(write(matrix), rows_per_block=20)
    with pytest.raises(ValueError, match=f"block 2 of .*{index}"):
        l1fast.solve(design, Y, 1.0)


def test_arrays_that_are_no_design(write):
    for array, fragment in ((np.ones(3), "2 dimensions"), (np.ones((2, 2, 2)), "2 dimensions"), (X + 1j, "complex")):
        path = write(array)
        fails(lambda path=path: l1fast.from_anndata(path), fragment)


def test_files_that_are_none(tmp_path):
    pytest.importorskip("h5py")
    fails(lambda: l1fast.from_anndata(tmp_path / "none.h5ad"), "no such file")
    fails(lambda: l1fast.from_zarr(tmp_path / "none.zarr"), "no such folder")
    (tmp_path / "noise.h5ad").write_bytes(bytes(range(256)))
    fails(lambda: l1fast.from_anndata(tmp_path / "noise.h5ad"), "noise.h5ad")


def test_a_dense_zarr_array(tmp_path):
    zarr = pytest.importorskip("zarr")
    held = zarr.create_array(str(tmp_path / "X.zarr"), shape=X.shape, dtype="f4", chunks=(9, 5))
    held[:] = X
    design = l1fast.from_zarr(tmp_path / "X.zarr")
    assert design.n_blocks == 1
    judged(design, X, Y)
    fails(lambda: l1fast.from_zarr(tmp_path / "X.zarr", "a"), "X.zarr")
    (tmp_path / "X.zarr" / "zarr.json").write_text("{")
    fails(lambda: design.load(0), "X.zarr")


class Trap:
    """Unpickling this makes a directory."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        import os

        return os.mkdir, (self.path,)


@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_nothing_is_unpickled(tmp_path, place):
    zarr = pytest.importorskip("zarr")
    path, sprung = tmp_path / "trap.zarr", tmp_path / "sprung"
    held = zarr.create_array(str(path), shape=(4, 2), dtype="f8", chunks=(4, 2), zarr_format=2, compressors=None)
    held[:] = 1.0
    about = json.loads((path / ".zarray").read_text())
    about[place] = [{"id": "pickle", "protocol": 5}] if place == "filters" else {"id": "pickle", "protocol": 5}
    (path / ".zarray").write_text(json.dumps(about))
    (path / "0.0").write_bytes(pickle.dumps(Trap(sprung)))
    fails(lambda: l1fast.from_zarr(path), "trap.zarr")
    assert not sprung.exists()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore")
def test_what_anndata_writes(tmp_path, suffix):
    anndata = pytest.importorskip("anndata")
    held = anndata.AnnData(sp.csr_array(X))
    held.layers["counts"] = X
    getattr(held, f"write_{suffix}")(tmp_path / f"data.{suffix}")
    for layer in (None, "counts"):
        judged(l1fast.from_anndata(tmp_path / f"data.{suffix}", layer), X, Y)


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [
        ("pyarrow", "from_parquet('x.parquet')", "parquet"),
        ("h5py", "from_anndata('x.h5ad')", "anndata"),
        ("zarr", "from_zarr('.')", "zarr"),
        ("zarr", "from_anndata('.')", "zarr"),
    ],
)
def test_without_the_library(tmp_path, module, call, extra):
    (tmp_path / "x.h5ad").write_bytes(b"")
    code = f"""if True:
        import sys
        sys.modules[{module!r}] = None
        import l1fast
        try:
            l1fast.{call}
        except ImportError as error:
            assert "l1fast[{extra}]" in str(error), error
        else:
            raise AssertionError("no error")
    """
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60, cwd=tmp_path)
