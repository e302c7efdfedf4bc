"""Row blocks with the workers of a Dask cluster: the answers of memory, whatever dies. Budget: 75 s of CPU."""

import doctest
import json
import os
import pickle
import signal
import time
from contextlib import contextmanager

import far_blocks
import numpy as np
import pytest
import referee
from far_blocks import CUTS, Dying, Slow, block, design, target
from scipy import sparse

import l1fast
from l1fast import _block_problem, cli
from l1fast._row_blocks import RowBlocks

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

from l1fast import _dask  # noqa: E402

pytestmark = [
    pytest.mark.distributed,
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="kills processes by signals"),
]
LAM = 3.0
N_BLOCKS = len(CUTS) - 1


SMALL_AS_LARGE = {
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.bandwidth": "100kB",
    "distributed.worker.profile.enabled": False,  # for time
}
"""Dask moves the small blocks of a test no more readily than those of real data."""


@contextmanager
def cluster(n_workers=2, set_as_default=False, **options):
    """A client of a cluster of so many processes with a thread each, closed in order: nothing is left to say."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": "1GB", **options}
    with (
        dask.config.set(SMALL_AS_LARGE),
        distributed.LocalCluster(n_workers=n_workers, **options) as workers,
        distributed.Client(workers, set_as_default=set_as_default) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def two_workers():
    with cluster(set_as_default=True) as one:
        yield one


@pytest.fixture
def client(two_workers):
    """Both are there, and watched: Dask starts no worker again that dies before its nanny knows that it runs."""
    two_workers.wait_for_workers(2, timeout=60)
    while any(nanny.process.status.name != "running" for nanny in two_workers.cluster.workers.values()):
        time.sleep(0.05)
    two_workers.run(far_blocks.warm)
    return two_workers


@pytest.fixture(scope="module")
def near():
    """The same blocks one after the other, in this process."""
    return RowBlocks(block, CUTS, far_blocks.P, True)


@pytest.fixture(scope="module")
def expected(near):
    return l1fast.solve(near, target(), LAM, fit_intercept=True, n_threads=1)


def delayed_blocks(load=block):
    return [dask.delayed(load, pure=False)(k) for k in range(N_BLOCKS)]


def same(one, other):
    """Bit for bit."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("coef", "intercept", "objective", "dual_gap", "dual", "n_iter")
    )


def kill(client, address):
    """Kill a worker as the system would; returns when the scheduler knows."""
    pid = client.run(os.getpid, workers=[address])[address]
    os.kill(pid, signal.SIGKILL)
    while address in client.nthreads():
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------------------- the answers


def test_uneven_empty_int64_and_read_only_blocks(client, near, expected):
    blocks = l1fast.from_dask(delayed_blocks())
    assert (blocks.shape, blocks.sparse, blocks.recoveries) == (near.shape, True, 0)
    np.testing.assert_array_equal(blocks.starts, CUTS)
    result = l1fast.solve(blocks, target(), LAM, fit_intercept=True)
    referee.check(result, design(), target(), LAM, fit_intercept=True)
    assert result.converged
    assert result.recoveries == 0
    assert same(result, expected)
    options = {"sample_weight": np.random.default_rng(0).random(far_blocks.N), "l2": 0.1}
    result = l1fast.solve(blocks, target(), 1.0, solver="fista", tol=0.05, **options)
    referee.check(result, design(), target(), 1.0, **options)


def test_paths_and_lam_max(client, near):
    blocks, y = l1fast.from_dask(delayed_blocks()), target()
    assert l1fast.lam_max(blocks, y) == pytest.approx(l1fast.lam_max(design(), y), rel=1e-12)
    found = l1fast.path(blocks, y, n_lams=4, fit_intercept=True)
    referee.check_path(found, design(), y, fit_intercept=True)
    alike = l1fast.path(near, y, n_lams=4, fit_intercept=True, n_threads=1)
    np.testing.assert_allclose(found.coefs.toarray(), alike.coefs.toarray(), rtol=0, atol=1e-9)


def test_dask_arrays(client):
    X, y = design().toarray().astype(np.float32), target()
    lazy = da.from_array(X, chunks=(170, far_blocks.P))
    csr = lazy.map_blocks(sparse.csr_array)
    assert l1fast.from_dask(csr).sparse
    referee.check(l1fast.solve(csr, da.from_array(y, chunks=100), LAM), X, y, LAM)
    unknown = lazy[lazy[:, 0] > 0.0]  # numbers of rows that only the workers know
    assert l1fast.from_dask(unknown).shape == (np.count_nonzero(X[:, 0] > 0.0), far_blocks.P)


def test_estimators(client):
    pytest.importorskip("sklearn")
    blocks, X, y = l1fast.from_dask(delayed_blocks()), design(), target()
    far = l1fast.Lasso(alpha=LAM / far_blocks.N).fit(blocks, y)
    near = l1fast.Lasso(alpha=LAM / far_blocks.N).fit(X, y)
    np.testing.assert_allclose(far.coef_, near.coef_, atol=1e-6)
    np.testing.assert_allclose(far.predict(blocks), near.predict(X), atol=1e-5)


def test_data_frames_and_bags(client):
    pd, dd, db = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe"), pytest.importorskip("dask.bag")
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.integers(0, 5, 90), rng.standard_normal((90, 3)), rng.random(90) < 0.5]).astype(float)
    frame = pd.DataFrame(X, columns=list("abcde")).astype({"a": "int16", "e": bool, "b": "float32"})
    y = rng.standard_normal(90)
    lazy = dd.from_pandas(frame, npartitions=3)
    as_read = frame.astype(float).to_numpy()
    referee.check(l1fast.solve(lazy, y, 1.0), as_read, y, 1.0)
    rows = db.from_sequence([tuple(row) for row in X.tolist()], npartitions=4)
    referee.check(l1fast.solve(rows, y, 1.0), X, y, 1.0)
    parts = db.from_sequence([sparse.csr_array(X[:40]), sparse.csr_array(X[40:60]), sparse.csr_array(X[60:])])
    assert l1fast.from_dask(parts).sparse
    referee.check(l1fast.solve(parts, y, 1.0), X, y, 1.0)
    with pytest.raises((ValueError, TypeError), match=r"block \d of a dask dataframe"):
        l1fast.from_dask(dd.from_pandas(frame.astype({"a": str}), npartitions=2))


def test_row_blocks_are_read_by_the_workers(client, near, expected):
    result = l1fast.solve(l1fast.from_dask(near), target(), LAM, fit_intercept=True)
    assert same(result, expected)
    lying = RowBlocks(block, CUTS + (CUTS > 500), far_blocks.P, True)
    with pytest.raises(ValueError, match="the files have changed"):
        l1fast.from_dask(lying)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_bit(n_workers, expected):
    with cluster(n_workers, processes=False) as one:
        blocks = l1fast.from_dask(delayed_blocks(), client=one)
        assert same(l1fast.solve(blocks, target(), LAM, fit_intercept=True), expected)


def test_a_pass_is_the_sum_of_row_blocks_bit_for_bit(client, near):
    blocks, rng = l1fast.from_dask(delayed_blocks()), np.random.default_rng(0)
    y, s, w = target(), rng.random(far_blocks.N), rng.standard_normal(7)
    arguments = (np.arange(7), w, 0.25, 1.0, 1, True)
    q, far_q = np.empty(far_blocks.N), np.empty(far_blocks.N)
    one = near.reduce(_block_problem.gradients, arguments, y, s, by_row=q)
    other = blocks.reduce(_block_problem.gradients, arguments, y, s, by_row=far_q)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(q, far_q)
    assert one[1:] == other[1:]
    y[5] += 1.0  # in place: what the workers hold is no longer y
    again = blocks.reduce(_block_problem.correlations, (1,), y, None)[0]
    np.testing.assert_allclose(again, design().T @ y, atol=1e-12)


def test_much_is_sent_in_pieces(client, near, monkeypatch):
    """pytest turns Dask's warning of large graphs into an error."""
    blocks = l1fast.from_dask([dask.delayed(np.eye)(4, 2_000_000)])
    large = np.arange(2_000_000.0)
    np.testing.assert_array_equal(blocks.reduce(_block_problem.products, (large, 1), np.empty(4), None)[0], large[:4])
    monkeypatch.setattr(_dask, "PIECE", 1000)
    blocks, s = l1fast.from_dask(delayed_blocks()), np.random.default_rng(0).random(far_blocks.N)
    arguments = (np.arange(150), np.arange(150.0), 0.25, 1.0, 1, False)
    one, other = (some.reduce(_block_problem.gradients, arguments, target(), s) for some in (near, blocks))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1:] == other[1:]


def test_blocks_tell_their_size(client):
    X = sparse.random_array((2000, 500), density=0.1, format="csr")
    held = _dask.Block(_dask.as_design(X), X.shape, "a block")
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    assert size <= dask.sizeof.sizeof(held) <= size + 2000
    again = pickle.loads(pickle.dumps(held))
    np.testing.assert_array_equal(again.X.to_array(), X.toarray())
    blocks = l1fast.from_dask(delayed_blocks())
    assert sum(blocks.sizes) == blocks.n_bytes >= sum(block(k).data.nbytes for k in range(N_BLOCKS))


def test_blocks_stay_where_they_are(client):
    load = Slow(far_blocks.block_of_numbers, 0.2)
    blocks = l1fast.from_dask([dask.delayed(load)(k, columns=1000) for k in range(6)])
    l1fast.solve(blocks, np.random.default_rng(0).standard_normal(2400), 60.0)
    holders = client.who_has(list(blocks.held))
    assert {len(addresses) for addresses in holders.values()} == {1}
    assert len({address for addresses in holders.values() for address in addresses}) == 2


def test_names_of_tasks_tell_pass_and_stage(client):
    blocks, seen = l1fast.from_dask(delayed_blocks()), []
    submit = blocks.client.get
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.client, "get", lambda graph, keys, **how: seen.extend(graph) or submit(graph, keys, **how))
        l1fast.solve(blocks, target(), LAM)
    names = {dask.utils.key_split(key) for key in seen}
    assert {"l1fast_statistics", "l1fast_gradients", "l1fast_grams", "l1fast_sum_of_gradients"} <= names
    assert any("-pass3-" in key[0] for key in seen)


# ------------------------------------------------------------------------------------------------------- what is wrong


def test_chunks_over_columns(client):
    with pytest.raises(ValueError, match=r"3 chunks along its 150 columns.*rechunk\(\{1: -1\}\)"):
        l1fast.solve(da.ones((100, 150), chunks=(50, 50)), np.ones(100), 1.0)


def spoilt(k):
    made = np.eye(3)
    made[1, 2] = np.nan if k == 1 else 0.0
    return made


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (list, TypeError, "X is an empty list"),
        (lambda: [np.eye(2)], TypeError, "entry 0 of X is a ndarray; give a list of delayed blocks"),
        (lambda: np.eye(2), TypeError, "X is a ndarray; from_dask takes"),
        (lambda: da.ones(4), ValueError, "must be two-dimensional"),
        (
            lambda: [dask.delayed(np.ones)((2, k + 3)) for k in range(2)],
            ValueError,
            "block 1 .* has 4 columns, block 0",
        ),
        (lambda: [dask.delayed(np.ones)((0, 3))], ValueError, r"shape \(0, 3\): at least one row"),
        (lambda: [dask.delayed(np.eye)(3), dask.delayed(sparse.eye_array)(3)], ValueError, "not both sparse"),
        (
            lambda: [dask.delayed(np.full)((2, 2), np.nan)],
            ValueError,
            "block 0 of a list of tasks: X has the value nan",
        ),
    ],
)
def test_what_is_no_design(client, make, error, words):
    with pytest.raises(error, match=words):
        l1fast.from_dask(make())


def test_y_of_another_length(client):
    with pytest.raises(ValueError, match="y has shape"):
        l1fast.solve(l1fast.from_dask(delayed_blocks()), np.ones(3), 1.0)


def test_the_examples_of_the_docstrings(client):
    failed, tried = doctest.testmod(_dask)
    assert tried > 0
    assert not failed


# --------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def folder(tmp_path):
    rows = np.column_stack([design()[:300, :20].toarray(), target()[:300]])
    np.savetxt(tmp_path / "small.csv", rows, fmt="%.17g", delimiter=",", header=",".join("abcdefghijklmnopqrstu"))
    command = ["convert", str(tmp_path / "small.csv"), str(tmp_path / "blocks"), "--rows", "90", "--quiet"]
    assert cli.main(command) == 0
    return tmp_path / "blocks"


def test_the_command_line(client, folder, tmp_path, capsys):
    def told(verb, *more):
        assert cli.main([verb, str(folder), "--json", *more]) == 0
        return json.loads(capsys.readouterr().out)

    here = told("solve", "--threads", "1")
    there = told("solve", "--dask", client.scheduler.address, "--resume", str(tmp_path / "way.npz"))
    assert here["support"] == there["support"]
    assert here["dual_gap"] == there["dual_gap"]
    assert (tmp_path / "way.npz").exists()
    assert told("path", "--n-lams", "3", "--workers", "1")["lam_max"] == pytest.approx(here["lam_max"])


def test_the_command_line_refuses(folder, capsys, monkeypatch):
    monkeypatch.setattr(_dask, "CONNECT", 0.5)
    for options, words in (
        (["--dask", "tcp://127.0.0.1:1"], "no Dask scheduler answers at 'tcp://127.0.0.1:1'"),
        (["--dask", "tcp://127.0.0.1:1", "--workers", "2"], "give one of them"),
    ):
        assert cli.main(["solve", str(folder), *options]) == 2
        assert words in capsys.readouterr().err
    assert cli.main(["solve", str(folder.with_name("small.csv")), "--workers", "1"]) == 2
    assert "l1fast convert makes one" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- stopping on the way


def test_ctrl_c(client, monkeypatch):
    blocks = l1fast.from_dask(delayed_blocks())
    monkeypatch.setattr(_block_problem, "gradients", Slow(_block_problem.gradients, 1.0))
    moments = []

    def begin(state):
        signal.setitimer(signal.ITIMER_REAL, 0.5)

    def interrupt(number, frame):
        moments.append(time.monotonic())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            l1fast.solve(blocks, target(), LAM, callback=begin)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - moments[0] < 2.0
    deadline = time.monotonic() + 20.0
    while any(client.processing().values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(client.processing().values())


def test_a_time_limit_ends_a_gram_pass(client, monkeypatch):
    blocks = l1fast.from_dask(delayed_blocks())
    monkeypatch.setattr(_block_problem, "grams", Slow(_block_problem.grams, 3.0))
    with pytest.warns(l1fast.ConvergenceWarning):
        result = l1fast.solve(blocks, target(), LAM, time_limit=1.0)
    assert result.status is l1fast.Status.TIME_LIMIT


# -------------------------------------------------------------------------------------------------- deaths and losses


@pytest.mark.parametrize("stage", ["load", "gradients", "grams"])
def test_a_death(client, expected, stage, tmp_path, monkeypatch):
    flag = tmp_path / "died"
    if stage == "load":
        blocks = l1fast.from_dask(RowBlocks(Dying(block, flag, 4), CUTS, far_blocks.P, True))
        assert blocks.recoveries >= 1
    else:
        blocks = l1fast.from_dask(delayed_blocks(Slow(block, 0.1)))  # so that both workers come to have some
        monkeypatch.setattr(_block_problem, stage, Dying(getattr(_block_problem, stage), flag, 4))
    result = l1fast.solve(blocks, target(), LAM, fit_intercept=True)
    assert flag.exists()
    assert same(result, expected)
    if stage != "load":
        assert result.recoveries >= 1
        assert "loaded anew" in repr(result)


def test_scattered_data_are_lost_for_good(client):
    address = next(iter(client.nthreads()))
    blocks = l1fast.from_dask(client.scatter([design()[:600], design()[600:]], workers=[address]))
    kill(client, address)
    with pytest.raises(RuntimeError, match=r"block 0 of a list of tasks \(600 rows in .* bytes\).*client\.scatter"):
        l1fast.solve(blocks, target(), LAM)


def test_a_scheduler_that_starts_anew_and_a_solve_that_goes_on(expected, tmp_path):
    path = tmp_path / "standing.npz"
    options = {"fit_intercept": True, "resume": path}
    with cluster(1) as one:

        def restart(state):
            if state.iteration == 1:
                one.restart(timeout=60)

        blocks = l1fast.from_dask(delayed_blocks(), client=one)
        with pytest.raises(RuntimeError, match=r"closed or restarted.*resume=PATH"):
            l1fast.solve(blocks, target(), LAM, callback=restart, **options)
        assert path.exists()
        result = l1fast.solve(l1fast.from_dask(delayed_blocks(), client=one), target(), LAM, **options)
    referee.check(result, design(), target(), LAM, fit_intercept=True)
    assert result.converged
    assert result.n_passes < expected.n_passes
    assert "resumed" in result.reason


def test_a_scheduler_that_is_closed():
    with cluster(1, processes=False) as one:
        blocks = l1fast.from_dask(delayed_blocks(), client=one)
        with pytest.raises(RuntimeError, match="resume=PATH"):
            l1fast.solve(blocks, target(), LAM, callback=lambda state: one.cluster.close() if state.iteration else None)


def test_a_worker_short_of_memory():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster(1, memory_limit="320MB") as one,
    ):
        blocks = l1fast.from_dask([dask.delayed(far_blocks.block_of_numbers)(k) for k in range(16)], client=one)
        assert blocks.n_bytes > 0.6 * 320e6  # what Dask keeps in memory at most
        y = np.random.default_rng(0).standard_normal(16 * 400)
        result = l1fast.solve(blocks, y, 60.0)
        near = RowBlocks(far_blocks.block_of_numbers, blocks.starts, 4000, False)
        assert same(result, l1fast.solve(near, y, 60.0, n_threads=1))
        assert result.recoveries == 0
        del blocks
        with pytest.raises(RuntimeError, match=r"block 1 of a list of tasks killed 1 workers.*fewer rows"):
            l1fast.from_dask([dask.delayed(far_blocks.heavy)(k, 600_000_000) for k in range(3)], client=one)
