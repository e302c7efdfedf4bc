"""Text into blocks: the numbers that `io.read` finds, in the memory of one part, whatever interrupts it.

The whole file takes about 12 s of CPU.
"""

import bz2
import contextlib
import gzip
import itertools
import json
import lzma
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import referee
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged import fails
from test_io import svmlight_texts

import l1fast
from l1fast import _convert, _stores, io

PACKS = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
QUIET = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def matrix(data):
    """All of X, densely."""
    blocks = [data.X.load(k) for k in range(data.X.n_blocks)]
    return np.vstack([block.toarray() if sp.issparse(block) else block for block in blocks])


def agrees(source, folder, **options):
    """The folder holds what `io.read` finds in the source."""
    data, expected = l1fast.open_blocks(folder), io.read(source, **options)
    dense = expected.X.toarray() if sp.issparse(expected.X) else expected.X
    np.testing.assert_array_equal(matrix(data), dense)
    np.testing.assert_array_equal(data.y, expected.y)
    assert data.feature_names == expected.feature_names
    assert data.X.sparse == sp.issparse(expected.X)
    assert data.X.nnz == (expected.X.nnz if sp.issparse(expected.X) else dense.size)
    return data


def content(folder):
    """All files of a folder but the manifest, and what the manifest says of the parts."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}
    return files, json.loads((folder / "manifest.json").read_text())


def text_of(kind, n=300, p=40, seed=0):
    """A text with comments, empty lines and ends of all kinds, or a table with a header."""
    rng = np.random.default_rng(seed)
    X = np.round(rng.standard_normal((n, p)), 3) * (rng.random((n, p)) < 0.2)
    y = np.round(X[:, :3].sum(axis=1) + rng.standard_normal(n), 3)
    ends = itertools.cycle(["\n", "\r\n", "\r", " # remark\n", "\n\n", "\n# only 7:8 a remark\r\n"])
    if kind == "svmlight":
        rows = (" ".join(f"{j + 1}:{row[j]}" for j in np.flatnonzero(row)) for row in X)
        return "".join(f"{label} {row}{end}" for label, row, end in zip(y, rows, ends, strict=False))
    header = "\n\n" + ",".join(f'"name {j}"' for j in range(p)) + ",price\n"
    ends = itertools.cycle(["\n", "\r\n", "\r", "\n\n"])
    return header + "".join(
        f"{','.join(map(str, row))},{label}{end}" for row, label, end in zip(X, y, ends, strict=False)
    )


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", ["svmlight", "csv"])
def test_what_the_reader_finds(tmp_path, kind, pack):
    source = tmp_path / f"data.{kind}"
    source.write_bytes(PACKS[pack](text_of(kind).encode()))
    manifest = l1fast.convert(source, tmp_path / "blocks", rows_per_part=70)
    assert [part.rows for part in manifest.parts] == [70, 70, 70, 70, 20]
    data = agrees(source, tmp_path / "blocks")
    expected = io.read(source)
    lam = 0.1 * l1fast.lam_max(expected.X, expected.y)
    result = l1fast.solve(data.X, data.y, lam, tol=1e-9, fit_intercept=True)
    assert result.converged
    referee.check(result, expected.X, expected.y, lam, fit_intercept=True)


@settings(QUIET, max_examples=20)
@given(text=svmlight_texts(), block=st.integers(1, 80), rows=st.integers(1, 4), size=st.integers(1, 200))
def test_any_svmlight_text(tmp_path_factory, text, block, rows, size):
    folder = tmp_path_factory.mktemp("any")
    (folder / "data.svm").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(io, "BLOCK", block)
        l1fast.convert(folder / "data.svm", folder / "a", rows_per_part=rows)
        l1fast.convert(folder / "data.svm", folder / "b", bytes_per_part=size)
    l1fast.convert(folder / "data.svm", folder / "c", rows_per_part=rows)
    agrees(folder / "data.svm", folder / "a")
    agrees(folder / "data.svm", folder / "b")
    assert content(folder / "a") == content(folder / "c")  # however the text is cut while it is read


@pytest.mark.parametrize("late", [False, True])
def test_the_first_column_is_known_at_the_end(tmp_path, late):
    """Index 0 in the last row alone: the parts before it were written as if columns counted from 1."""
    lines = ["1 1:1 3:2", "2 2:5", "3", "4 3:7", "5 0:8 1:9"]
    (tmp_path / "data.svm").write_text("\n".join(lines if late else lines[:-1]) + "\n")
    manifest = l1fast.convert(tmp_path / "data.svm", tmp_path / "blocks", rows_per_part=2)
    assert manifest.base == (0 if late else 1)
    assert [part.base for part in manifest.parts] == ([1, 1, 0] if late else [1, 1])
    agrees(tmp_path / "data.svm", tmp_path / "blocks")


def test_wide_indices(tmp_path):
    (tmp_path / "wide.svm").write_text(f"1 1:5\n2 {2**31 + 7}:6\n3 2:1\n")
    l1fast.convert(tmp_path / "wide.svm", tmp_path / "blocks", rows_per_part=1)
    data = l1fast.open_blocks(tmp_path / "blocks")
    assert data.X.shape == (3, 2**31 + 7)
    assert [data.X.load(k).indices.tolist() for k in range(3)] == [[0], [2**31 + 6], [1]]
    assert [data.X.load(k).indices.dtype.itemsize for k in range(3)] == [4, 8, 4]


def test_targets(tmp_path):
    (tmp_path / "t.csv").write_text("y,a,b\n3,1,2\n6,4,5\n")
    np.save(tmp_path / "y.npy", [7.0, 8.0])
    l1fast.convert(tmp_path / "t.csv", tmp_path / "named", target_column="y")
    agrees(tmp_path / "t.csv", tmp_path / "named", target_column="y")
    l1fast.convert(tmp_path / "t.csv", tmp_path / "filed", target=tmp_path / "y.npy", rows_per_part=1)
    assert agrees(tmp_path / "t.csv", tmp_path / "filed", target=tmp_path / "y.npy").feature_names == ["y", "a", "b"]
    np.save(tmp_path / "y.npy", [7.0])
    fails(lambda: l1fast.convert(tmp_path / "t.csv", tmp_path / "short", target=tmp_path / "y.npy"), "agree")
    np.save(tmp_path / "y.npy", [7.0, 8.0, 9.0])
    fails(lambda: l1fast.convert(tmp_path / "t.csv", tmp_path / "long", target=tmp_path / "y.npy"), "2 rows", "3")
    for options, fragment in (
        ({"target_column": "z"}, "'z' is not in the file"),
        ({"target_column": "y", "target": tmp_path / "y.npy"}, "one of them"),
        ({"target": tmp_path / "none.npy"}, "none.npy"),
    ):
        fails(lambda options=options: l1fast.convert(tmp_path / "t.csv", tmp_path / "x", **options), fragment)
    (tmp_path / "s.svm").write_text("1 1:2\n")
    fails(lambda: l1fast.convert(tmp_path / "s.svm", tmp_path / "x", target_column="y"), "target column")


# ---------------------------------------------------------------- interrupted


class Stop(BaseException):
    """What a callback may raise."""


def stops_after(calls):
    """A callback that raises at its last call of so many."""
    left = itertools.count(1)

    def call(state):
        if next(left) == calls:
            raise Stop

    return call


@pytest.mark.parametrize("pack", ["plain", "gz"])
@pytest.mark.parametrize("kind", ["svmlight", "csv"])
@pytest.mark.parametrize("options", [{"rows_per_part": 7}, {"bytes_per_part": 3000}])
def test_a_resumed_conversion_writes_the_same_bytes(tmp_path, monkeypatch, kind, pack, options):
    monkeypatch.setattr(io, "BLOCK", 1500)
    source, whole, resumed = tmp_path / f"data.{kind}", tmp_path / "whole", tmp_path / "resumed"
    source.write_bytes(PACKS[pack](text_of(kind, n=320, p=20).encode()))
    seen = []
    l1fast.convert(source, whole, on_progress=seen.append, **options)
    assert len(seen) > 5
    assert [state.n_samples for state in seen] == sorted(state.n_samples for state in seen)
    assert (seen[-1].bytes_read, seen[-1].n_samples) == (source.stat().st_size, 320)
    for block in (700, 1500, 400):
        monkeypatch.setattr(io, "BLOCK", block)
        with pytest.raises(Stop):
            l1fast.convert(source, resumed, on_progress=stops_after(3), **options)
    l1fast.convert(source, resumed, **options)
    assert content(resumed) == content(whole)
    before = content(resumed), [path.stat().st_mtime_ns for path in sorted(resumed.iterdir())]
    l1fast.convert(source, resumed, **options)  # nothing to do
    assert before == (content(resumed), [path.stat().st_mtime_ns for path in sorted(resumed.iterdir())])


@pytest.mark.parametrize("behind", [False, True])
def test_every_moment_of_an_interruption(tmp_path, monkeypatch, behind):
    """It stops before, or behind, any one of its renames: the next one ends with the same bytes."""
    source, whole = tmp_path / "data.svm", tmp_path / "whole"
    source.write_text(text_of("svmlight", n=30, p=10))
    l1fast.convert(source, whole, rows_per_part=7)
    monkeypatch.setattr(io, "BLOCK", 300)
    real, n_renames = os.replace, 12  # the first record, five parts, a record behind each, the manifest
    for moment in range(n_renames + 1):
        calls, folder = itertools.count(), tmp_path / f"stopped-{moment}"

        def replace(a, b, calls=calls, moment=moment):
            stops = next(calls) == moment
            if behind or not stops:
                real(a, b)
            if stops:
                raise Stop

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", replace)
            with pytest.raises(Stop) if moment < n_renames else contextlib.nullcontext():
                l1fast.convert(source, folder, rows_per_part=7)
        assert next(calls) == min(moment + 1, n_renames)
        l1fast.convert(source, folder, rows_per_part=7)
        assert content(folder) == content(whole)


KILLED = """
import sys
from l1fast import _convert, io
import l1fast

io.BLOCK = 4096
def tell(state):
    print(state.n_parts, flush=True)
l1fast.convert(sys.argv[1], sys.argv[2], rows_per_part=50, on_progress=tell)
"""


@POSIX
def test_killed_and_resumed(tmp_path):
    source = tmp_path / "data.svm"
    source.write_text(text_of("svmlight", n=4000, p=60))
    l1fast.convert(source, tmp_path / "whole", rows_per_part=50)
    folder = tmp_path / "killed"
    for parts in (3, 40):
        command = [sys.executable, "-P", "-c", KILLED, str(source), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while int(process.stdout.readline()) < parts:
                pass
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        fails(lambda: l1fast.open_blocks(folder), "has not ended")
        assert len(list(folder.glob("part-*.npz"))) >= parts
    (folder / ".l1fast-0123456789abcdef.tmp").write_bytes(b"half a part")
    seen = []
    l1fast.convert(source, folder, rows_per_part=50, on_progress=seen.append)
    assert seen[0].n_parts >= 40  # it went on, it did not begin again
    assert content(folder) == content(tmp_path / "whole")


def begun(tmp_path):
    """A conversion that was broken off after some parts."""
    source, folder = tmp_path / "data.csv", tmp_path / "begun"
    source.write_text(text_of("csv", n=100, p=5))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(io, "BLOCK", 500)
        with pytest.raises(Stop):
            l1fast.convert(source, folder, rows_per_part=7, on_progress=stops_after(5))
    assert len(list(folder.glob("part-*.npz"))) > 2
    return source, folder


def test_another_source_or_other_options_do_not_go_on(tmp_path):
    source, folder = begun(tmp_path)

    def go_on(**options):
        return l1fast.convert(source, folder, **({"rows_per_part": 7} | options))

    fails(lambda: go_on(rows_per_part=8), "another rows_per_part", "resume=False")
    fails(lambda: go_on(bytes_per_part=99), "another bytes_per_part")
    fails(lambda: go_on(target_column="price"), "another target_column")
    whole = source.read_text()
    source.write_text(whole + "1,2,3,4,5,6\n")
    fails(go_on, "another source")
    go_on(resume=False)
    agrees(source, folder)
    source.write_text(whole)
    fails(go_on, "another source")
    go_on(resume=False, rows_per_part=90)
    agrees(source, folder)
    assert len(list(folder.glob("part-*"))) == 2  # nothing of the one before is left


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "data.svm").write_text("1 1:2\n")
    for resume in (True, False):
        fails(lambda resume=resume: l1fast.convert(tmp_path / "data.svm", tmp_path, resume=resume), "'data.svm'")
    assert os.listdir(tmp_path) == ["data.svm"]
    fails(lambda: l1fast.convert(tmp_path / "data.svm", tmp_path / "data.svm"), "data.svm")
    fails(lambda: l1fast.convert(tmp_path / "data.svm", tmp_path / "a" / "b"), "make it first")
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost/part-000000.npz").write_bytes(b"")
    fails(lambda: l1fast.convert(tmp_path / "data.svm", tmp_path / "lost"), "nothing that tells")
    l1fast.convert(tmp_path / "data.svm", tmp_path / "lost", resume=False)
    agrees(tmp_path / "data.svm", tmp_path / "lost")


def test_parts_that_were_lost_before_it_goes_on(tmp_path):
    source, folder = begun(tmp_path)
    part = folder / "part-000001.npz"
    whole = part.read_bytes()
    part.unlink()
    fails(lambda: l1fast.convert(source, folder, rows_per_part=7), "part-000001.npz", "resume=False")
    part.write_bytes(whole[:-1])
    fails(lambda: l1fast.convert(source, folder, rows_per_part=7), "part-000001.npz")
    part.write_bytes(whole)
    l1fast.convert(source, folder, rows_per_part=7)
    agrees(source, folder)
    part.unlink()
    fails(lambda: l1fast.convert(source, folder, rows_per_part=7), "part-000001.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"task": None},
        {"place": 7},
        {"place": [1]},
        {"place": [1, -1]},
        {"place": ["1", 0]},
        {"skip": -1},
        {"skip": 1.5},
        {"n_samples": "7"},
        {"largest": -2},
        {"layout": [1, 2]},
        {"layout": ["", 6, None, 0]},
        {"layout": [",", 0, None, 0]},
        {"layout": [",", 6, [7], 0]},
        {"parts": 7},
        {"parts": [{"file": "../part-000000.npz"}]},
    ],
)
def test_a_damaged_record_of_what_is_done(tmp_path, change):
    source, folder = begun(tmp_path)
    path = folder / "unfinished.json"
    record = json.loads(path.read_text()) | change
    path.write_text(json.dumps(record))
    fails(lambda: l1fast.convert(source, folder, rows_per_part=7), "begun")
    path.write_text("{")
    fails(lambda: l1fast.convert(source, folder, rows_per_part=7), "unfinished.json")
    l1fast.convert(source, folder, rows_per_part=7, resume=False)
    agrees(source, folder)


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="no limits on files")
def test_a_full_disk_leaves_what_can_go_on(tmp_path, monkeypatch):
    source, folder = tmp_path / "data.svm", tmp_path / "blocks"
    source.write_text(text_of("svmlight", n=100, p=10))
    real, calls = os.fsync, itertools.count()

    def full(descriptor):
        if next(calls) >= 9:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        fails(lambda: l1fast.convert(source, folder, rows_per_part=7), "No space left on device")
    assert not list(folder.glob(".*"))
    assert 2 < len(list(folder.glob("part-*"))) < 12
    l1fast.convert(source, folder, rows_per_part=7)
    agrees(source, folder)


LIMITED = """
import resource, sys
import l1fast

def full(state):
    if state.n_parts == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
try:
    l1fast.convert(sys.argv[1], sys.argv[2], rows_per_part=20, on_progress=full)
except l1fast.io.FileError as error:
    print(error)
"""


@POSIX
def test_a_write_that_the_system_refuses(tmp_path):
    """A limit on the size of files makes write() itself fail, as a full disk does."""
    source, folder = tmp_path / "data.svm", tmp_path / "blocks"
    source.write_text(text_of("svmlight", n=100, p=10))
    script = "import l1fast.io; l1fast.io.BLOCK = 200\n" + LIMITED
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(source), str(folder)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "File too large" in done.stdout
    assert not list(folder.glob(".*"))
    l1fast.convert(source, folder, rows_per_part=20)
    agrees(source, folder)


def test_a_callback_that_raises_is_not_mistaken_for_a_damaged_file(tmp_path):
    (tmp_path / "data.svm").write_text("1 1:2\n")

    def call(state):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        l1fast.convert(tmp_path / "data.svm", tmp_path / "blocks", on_progress=call)


def test_a_source_that_changes_while_it_is_read(tmp_path):
    source = tmp_path / "data.svm"
    source.write_text("1 1:2\n")

    def call(state):
        with open(source, "a") as stream:
            stream.write("2 1:3\n")

    fails(lambda: l1fast.convert(source, tmp_path / "blocks", on_progress=call), "changed while it was read")


# ---------------------------------------------------------------- malformed sources


@pytest.mark.parametrize(
    ("name", "text", "fragment"),
    [
        ("bad.svm", "1 1:2\n\n2 1:x\n", "line 3: the value of '1:x'"),
        ("bad.svm", "1 1:2\n2 5\n", "line 2"),
        ("bad.svm", "1\n2\n", "no index:value pair"),
        ("bad.svm", "1 999999999999999:1\n", "a side of"),
        ("bad.csv", "a,b\n1,2\n3,four\n", "line 3: column 2 (b)"),
        ("bad.csv", "1,2\n3\n", "line 2"),
        ("bad.csv", "a,b\n", "no row of numbers"),
        ("bad.csv", "1\n2\n", "one column"),
        ("bad.csv", "", "empty"),
    ],
)
@pytest.mark.parametrize("rows", [1, None])
def test_malformed_text(tmp_path, name, text, fragment, rows):
    (tmp_path / name).write_text(text)
    fails(lambda: l1fast.convert(tmp_path / name, tmp_path / "blocks", rows_per_part=rows), name, fragment)
    if (tmp_path / "blocks").exists():
        fails(lambda: l1fast.open_blocks(tmp_path / "blocks"), "has not ended")


def test_sources_that_are_not_text(tmp_path):
    np.save(tmp_path / "X.npy", np.eye(3))
    fails(lambda: l1fast.convert(tmp_path / "X.npy", tmp_path / "blocks"), "is npy", "from_npy_memmap")
    fails(lambda: l1fast.convert(tmp_path / "none.svm", tmp_path / "blocks"), "no such file")
    (tmp_path / "cut.svm.gz").write_bytes(gzip.compress(text_of("svmlight").encode())[:-30])
    fails(lambda: l1fast.convert(tmp_path / "cut.svm.gz", tmp_path / "blocks", rows_per_part=9), "cut.svm.gz")
    assert not (tmp_path / "blocks/manifest.json").exists()
    (tmp_path / "fine.svm").write_text("1 1:2\n")
    for options in ({"rows_per_part": 0}, {"rows_per_part": 1.5}, {"bytes_per_part": 0}, {"bytes_per_part": 2**40}):
        with pytest.raises(ValueError, match="_per_part must be"):
            l1fast.convert(tmp_path / "fine.svm", tmp_path / "blocks", **options)
    with pytest.raises(TypeError, match="on_progress"):
        l1fast.convert(tmp_path / "fine.svm", tmp_path / "blocks", on_progress=7)


# ---------------------------------------------------------------- memory


PEAK = """
import resource, sys
import l1fast

l1fast.convert(sys.argv[1], sys.argv[2], bytes_per_part=2**20)
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["svmlight", pytest.param("csv", marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_source(tmp_path, kind):
    """Four times the text and no more memory, but for what the allocator makes of it: a few parts of 1 MB."""
    peaks = []
    lines = text_of(kind, n=3000, p=60).strip().replace("\r\n", "\n").replace("\r", "\n")
    header, _, rows = lines.partition("\n") if kind == "csv" else ("1 1:1", "", lines)
    for copies in (8, 32):
        source = tmp_path / f"{copies}.{kind}"
        source.write_text(header + "\n" + (rows + "\n") * copies)
        command = [sys.executable, "-P", "-c", PEAK, str(source), str(tmp_path / f"blocks-{copies}")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        peaks.append(1024 * int(done.stdout))
    size = sum(path.stat().st_size for path in (tmp_path / "blocks-32").glob("*.npz"))
    assert size > 8 * 2**20
    assert peaks[1] - peaks[0] < 6 * 2**20 < size / 2
    manifest = _stores.Manifest.read(tmp_path / "blocks-32")
    sizes = [part.bytes for part in manifest.parts]
    assert max(sizes) < 1.02 * 2**20
    assert min(sizes[:-1]) > 0.98 * 2**20


def test_time_is_that_of_the_text(tmp_path, monkeypatch):
    """Many parts to a block of text cost no more than their files: rows are not copied again for each."""
    source = tmp_path / "data.svm"
    source.write_text("".join(f"{i} {1 + i % 50}:1\n" for i in range(20_000)))
    monkeypatch.setattr(_convert, "write_part", lambda path, arrays: path.write_bytes(b""))
    monkeypatch.setattr(_convert.Reached, "write", lambda *_: None)
    began = time.process_time()
    l1fast.convert(source, tmp_path / "blocks", rows_per_part=10)
    assert time.process_time() - began < 5.0
