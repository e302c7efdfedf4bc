"""Solves on row blocks that stop and go on: the same answer, no pass twice, and no file of another problem."""

import json

import numpy as np
import pytest
import referee
from scipy import sparse

import l1fast
from l1fast import _checkpoint, io
from l1fast._row_blocks import RowBlocks

N, P, LAM = 240, 90, 2.0


def data(seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((N, P), density=0.3, rng=rng, format="csr")
    return X, X @ (3.0 * (np.arange(P) < 10)) + rng.standard_normal(N)


def row_blocks(X, size=70, read=None):
    starts = np.unique(np.append(np.arange(0, N, size), N))

    def load(k):
        if read is not None:
            read.append(k)
        return X[starts[k] : starts[k + 1]]

    return RowBlocks(load, starts, P, True, "a test")


def stop_at(iteration):
    return lambda state: state.iteration >= iteration


def interrupted(path, X, y, **options):
    """A solve that stops after its first outer step."""
    with pytest.warns(l1fast.ConvergenceWarning):
        result = l1fast.solve(row_blocks(X), y, LAM, resume=path, callback=stop_at(1), **options)
    assert path.exists()
    return result


@pytest.mark.parametrize(
    "options",
    [{}, {"fit_intercept": True, "sample_weight": np.arange(N) % 3 + 0.5}, {"l2": 0.5, "bounds": (0.0, [2.5] * P)}],
    ids=["plain", "intercept", "bounds"],
)
def test_a_solve_goes_on(tmp_path, options):
    (X, y), path, read = data(), tmp_path / "standing.npz", []
    whole = l1fast.solve(row_blocks(X), y, LAM, tol=1e-9, **options)
    interrupted(path, X, y, tol=1e-9, **options)
    result = l1fast.solve(row_blocks(X, read=read), y, LAM, tol=1e-9, resume=path, **options)
    referee.check(result, X, y, LAM, **options)
    assert result.converged
    np.testing.assert_allclose(result.coef, whole.coef, rtol=0.0, atol=1e-7)
    assert result.n_passes == len(read) / 4 < whole.n_passes
    assert "resumed from standing.npz" in result.reason
    again, read[:] = l1fast.solve(row_blocks(X, read=read), y, LAM, tol=1e-9, resume=path, **options), []
    assert again.n_passes == 1.0
    assert again.n_iter == 0


def test_every_outer_step_is_written_down(tmp_path, monkeypatch):
    X, y = data()
    written = []
    monkeypatch.setattr(_checkpoint, "write_whole", lambda path, write: written.append(path))
    result = l1fast.solve(row_blocks(X), y, LAM, resume=tmp_path / "a.npz")
    assert len(written) == result.n_iter > 0


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    (X, y), path = data(), tmp_path / "a.npz"
    interrupted(path, X, y)
    before = path.read_bytes()

    def full(stream, **parts):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_checkpoint.np, "savez", full)
    with pytest.raises(io.FileError, match="No space left"):
        l1fast.solve(row_blocks(X), y, LAM, tol=1e-12, resume=path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"lam": 2.5}, "lam was 2.0, and is 2.5"),
        ({"l2": 0.1}, "l2 was 0.0"),
        ({"fit_intercept": True}, "fit_intercept was False"),
        ({"positive": True}, "the lower bounds was none"),
        ({"penalty_weights": np.full(P, 2.0)}, "penalty_weights was none"),
        ({"sample_weight": np.full(N, 2.0)}, "sample_weight was none"),
        ({"y": np.arange(N)}, "y was "),
        ({"X": row_blocks(data()[0], size=50)}, "the division into blocks was "),
    ],
)
def test_another_problem_is_refused(tmp_path, options, name):
    (X, y), path = data(), tmp_path / "a.npz"
    interrupted(path, X, y)
    before = path.read_bytes()
    given = {"X": row_blocks(X), "y": y, "lam": LAM} | options
    with pytest.raises(ValueError, match=f"a.npz: is of another problem: {name}"):
        l1fast.solve(**given, resume=path)
    assert path.read_bytes() == before


def test_blocks_that_changed_are_refused(tmp_path):
    (X, y), path = data(), tmp_path / "a.npz"
    interrupted(path, X, y)
    other = X.copy()
    other.data *= 1.01
    with pytest.raises(ValueError, match=r"does not fit X: column \d+ has changed"):
        l1fast.solve(row_blocks(other), y, LAM, resume=path)


def test_solves_without_a_checkpoint(tmp_path):
    (X, y), path = data(), tmp_path / "a.npz"
    for given, words in (
        ({"X": X}, "X is in memory"),
        ({"solver": "fista"}, "solver='cd'"),
        ({"start": np.zeros(P)}, "start does too"),
        ({"resume": tmp_path / "a.txt"}, "unknown output format"),
        ({"resume": tmp_path / "none" / "a.npz"}, "there is no directory"),
    ):
        with pytest.raises(ValueError, match=words):
            l1fast.solve(**{"X": row_blocks(X), "y": y, "lam": LAM, "resume": path} | given)
    result = l1fast.solve(row_blocks(X), np.zeros(N), LAM, resume=path)  # nothing to fit, and nothing written
    assert result.converged
    assert not path.exists()


def changed(path, **parts):
    with np.load(path) as file:
        held = dict(file) | parts
    np.savez(path, **{name: value for name, value in held.items() if value is not None})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"gram": None}, "'gram' is missing"),
        ({"members": np.array([3, 3])}, "do not fit together"),
        ({"support": np.array([P])}, "do not fit together"),
        ({"norm2": np.full(P, np.nan)}, "not finite"),
        ({"mean": np.zeros(P + 1)}, "do not fit together"),
        ({"values": np.array([None], dtype=object)}, "pickled"),
        ({"about": np.bytes_(json.dumps({"version": 99, "problem": {}}).encode())}, "no checkpoint"),
        ({"about": np.bytes_(b"[")}, "damaged"),
    ],
)
def test_damaged_files(tmp_path, parts, words):
    (X, y), path = data(), tmp_path / "a.npz"
    interrupted(path, X, y)
    changed(path, **parts)
    with pytest.raises(io.FileError, match=words):
        l1fast.solve(row_blocks(X), y, LAM, resume=path)


def test_files_that_are_none(tmp_path):
    (X, y), path = data(), tmp_path / "a.npz"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(io.FileError, match="damaged"):
        l1fast.solve(row_blocks(X), y, LAM, resume=path)
    l1fast.solve(X, y, LAM).save(path)
    with pytest.raises(io.FileError, match="it is no checkpoint"):
        l1fast.solve(row_blocks(X), y, LAM, resume=path)
