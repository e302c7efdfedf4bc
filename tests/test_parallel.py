"""Threads: every part once, the same bits whoever does the work, and no harm to processes, signals and exits."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import problems
import pytest
import scipy.sparse

import l1fast
from l1fast import _blas, _threads
from l1fast._design import measure_storage, read_storage
from l1fast._kernels import check, gradient, parallel
from l1fast._monitor import Monitor
from l1fast._solve import make_problem, read_penalty
from l1fast._validation import as_design, as_thread_count
from l1fast._working_set import WorkingSet

STORED = {"C": np.array, "F": np.asfortranarray, "csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_array}
every_storage = pytest.mark.parametrize("storage", STORED)
HAS_FORK = hasattr(os, "fork")


def large(n=4000, p=400, density=1.0, seed=0):
    """A problem large enough for three threads, in any storage."""
    assert n * p >= 3 * _threads.DENSE_PER_THREAD
    assert n * p * density >= 3 * _threads.SPARSE_PER_THREAD
    return problems.make(n, p, density=density, seed=seed)


def python(code, *arguments, check=True, **environment):
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=check,
        env={name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")} | environment,
    )


# ---------------------------------------------------------------- the team


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8, 1000])
@pytest.mark.parametrize("n_parts", [1, 2, 3, 17, 1000])
def test_every_part_is_done_once(n_parts, n_threads):
    count = np.zeros(n_parts, np.int32)
    for time_ in range(1, 50):
        parallel.visit_parts(count, None, n_threads)
        assert (count == time_).all()


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_workers_that_sleep_are_woken(pause):
    """After the pause every worker sleeps; without it most of them still look for work."""
    count = np.zeros(64, np.int32)
    for time_ in range(1, 40):
        time.sleep(pause)
        parallel.visit_parts(count, None, 4)
        assert (count == time_).all()


def test_jobs_within_parts():
    count, inner = np.zeros(20, np.int32), np.zeros((20, 20), np.int32)
    for time_ in range(1, 50):
        parallel.visit_parts(count, inner, 4)
        assert (count == time_).all()
        assert (inner == time_).all()


def test_many_callers():
    counts = [np.zeros(50, np.int32) for _ in range(6)]

    def call(count):
        for _ in range(300):
            parallel.visit_parts(count, None, 3)

    callers = [threading.Thread(target=call, args=(count,)) for count in counts]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((count == 300).all() for count in counts)


def test_workers_are_started_when_needed_and_kept():
    code = """
import numpy as np
from l1fast._kernels import parallel
for n_threads in (1, 3, 2, 5):
    parallel.visit_parts(np.zeros(9, np.int32), None, n_threads)
    print(parallel.n_workers())
parallel.visit_parts(np.zeros(9, np.int32), None, 10**6)
print(parallel.n_workers())
"""
    assert python(code).stdout.split() == ["0", "2", "2", "4", "8"]


# ---------------------------------------------------------------- passes over X in several parts


@every_storage
@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
@pytest.mark.parametrize("shape", [(25_000, 70), (500, 3200)])
def test_passes_in_parts(storage, shape, fit_intercept):
    X, y = large(*shape, density=0.3)
    weight = np.random.default_rng(1).random(shape[0])
    total, mean = weight.sum(), weight @ X / weight.sum() if fit_intercept else None
    centre = np.zeros(shape[1]) if mean is None else mean
    w = np.random.default_rng(2).standard_normal(shape[1])
    w[1::3] = 0.0
    y_centred = y - (weight @ y / total if fit_intercept else 0.0)
    q_exact = weight * ((X - centre) @ w - y_centred)
    exact = {
        "q": q_exact,
        "g": (X - centre).T @ q_exact,
        "loss": 0.5 * q_exact @ ((X - centre) @ w - y_centred),
        "Xw": X @ w,
        "Xty": X.T @ y,
        "norm2": weight @ (X - centre) ** 2,
    }
    design = as_design(STORED[storage](X))
    if design.sparse:
        assert gradient.scratch_size(design.view, 3) > gradient.scratch_size(design.view, 2) > 0
    for n_threads in (1, 2, 3, 7):
        runs = []
        for _ in range(3):
            held = np.full(gradient.scratch_size(design.view, n_threads) + 1, 1.25)
            scratch, norm_scratch = held[:-1], np.full(2 * (shape[1] + len(held) - 1) + 1, 1.25)
            norm2, Xw, Xty, q, g = (np.empty(shape[k]) for k in (1, 0, 1, 0, 1))
            gradient.column_norms2(design.view, weight, mean, total, norm2, norm_scratch[:-1], n_threads)
            gradient.apply(design.view, w, Xw, scratch, n_threads)
            gradient.correlate(design.view, y, Xty, scratch, n_threads)
            arguments = (design.view, y_centred, weight, mean, total, norm2, None, 1.0, 0.0, None, None, n_threads)
            loss = np.float64(gradient.gradient(check.pack_problem(*arguments), w, q, g, scratch))
            assert held[-1] == norm_scratch[-1] == 1.25
            runs.append({"q": q, "g": g, "loss": loss, "Xw": Xw, "Xty": Xty, "norm2": norm2})
        for name, value in exact.items():
            np.testing.assert_allclose(runs[0][name], value, atol=1e-11 * np.abs(value).max(), err_msg=name)
            assert len({run[name].tobytes() for run in runs}) == 1, f"other bits in {name}"


@every_storage
def test_moments_in_parts(storage):
    """The sums that the check makes on its way: right, and the same bits at every call with as many threads."""
    X, y = large(density=0.5)
    parts = read_storage(STORED[storage](X))
    weight = np.linspace(0.0, 1.0, len(y))
    exact = weight @ X**2, y @ X, weight @ X
    for n_threads in (1, 2, 3, 8):
        runs = [measure_storage(parts, weight, y, True, n_threads) for _ in range(3)]
        for _, fault, _, moments in runs:
            assert fault == "sound"
            for actual, value in zip(moments, exact, strict=True):
                np.testing.assert_allclose(actual, value, atol=1e-11 * np.abs(value).max())
        assert len({b"".join(moment.tobytes() for moment in run[3]) for run in runs}) == 1


@every_storage
def test_gram_in_parts(storage):
    """The Gram matrix of a growing working set: right, and the same bits at every call with as many threads."""
    X, y = large(density=0.5)
    weight, members = np.linspace(0.5, 1.0, len(y)), np.sort(np.random.default_rng(0).permutation(X.shape[1])[:300])
    centred = X[:, members] - weight @ X[:, members] / weight.sum()
    exact = centred.T @ (weight[:, None] * centred)
    for n_threads in (1, 2, 3, 8):
        runs = []
        for _ in range(2):
            storage_of_x = read_storage(STORED[storage](X))
            penalty = read_penalty(1.0, 0.0, None, None, False, X.shape[1])
            problem = make_problem(storage_of_x, y, penalty, True, weight, n_threads)
            working = WorkingSet(problem, exact=True)
            for part in (members[:40], members[40:]):
                working.add(part)
                assert working.complete_gram(Monitor(0.0, 1.0, time.perf_counter()))
            assert np.array_equal(working.members, members)
            runs.append(working.gram[:300, :300].copy())
        np.testing.assert_allclose(runs[0], exact, atol=1e-11 * exact.max())
        assert runs[0].tobytes() == runs[1].tobytes()


@every_storage
def test_scratch_that_is_too_short_is_refused(storage):
    X, y = large(density=0.5)
    design = as_design(STORED[storage](X))
    need = gradient.scratch_size(design.view, 3)
    if storage == "F":
        assert need == 0
        return
    with pytest.raises(ValueError, match="scratch"):
        gradient.apply(design.view, np.zeros(X.shape[1]), np.zeros(X.shape[0]), np.zeros(need - 1), 3)
    with pytest.raises(ValueError, match="scratch"):
        gradient.correlate(design.view, y, np.zeros(X.shape[1]), np.zeros(need - 1), 3)


@every_storage
def test_faults_are_found_by_any_thread(storage):
    X, _ = large(density=0.5)
    made = STORED[storage](X)
    parts = (made.data, made.indices, made.indptr) if scipy.sparse.issparse(made) else (made, None, None)
    values = parts[0].ravel(order="K")

    def found(n_threads):
        return check.check_matrix(*parts, *X.shape, storage in ("C", "csr"), n_threads=n_threads)[1:]

    assert found(1) == found(4) == ("sound", 0)
    for place in np.linspace(0, values.size - 1, 9).astype(int):
        before, values[place] = values[place], np.nan
        assert found(1) == found(4) == ("not_finite", place)
        values[place] = before
    if parts[1] is not None:
        indices = parts[1]
        for place in np.linspace(0, values.size - 1, 9).astype(int):
            before, indices[place] = indices[place], 2**30
            assert found(1) == found(4) == ("index_range", place)
            indices[place] = before
        for place in range(1, values.size, 1000):
            before, indices[place] = indices[place], indices[place - 1]
            assert found(1) == found(4)
            indices[place] = before
        assert found(4) == ("sound", 0)


# ---------------------------------------------------------------- solves


def busy(stop):
    """Solve again and again, with the team when it is free."""
    X, y = large(seed=5)
    while not stop.is_set():
        l1fast.solve(X, y, problems.strength(X, y), solver="fista", n_threads=2)


@pytest.mark.parametrize("solver", ["fista", "cd"])
@every_storage
def test_same_bits_whatever_else_runs(storage, solver):
    X, y = large(density=0.7)
    X, lam = STORED[storage](X), problems.strength(X, y, 0.01)

    def solve():
        return l1fast.solve(X, y, lam, solver=solver, fit_intercept=True, n_threads=3)

    alone, stop = solve(), threading.Event()
    assert parallel.n_workers() >= 2
    other = threading.Thread(target=busy, args=(stop,))
    other.start()
    try:
        for _ in range(20):
            again = solve()
            assert problems.fingerprint(again) == problems.fingerprint(alone)
            assert (again.dual_gap, again.intercept, again.n_iter) == (alone.dual_gap, alone.intercept, alone.n_iter)
    finally:
        stop.set()
        other.join()


def test_solves_at_once():
    X, y = large()
    lam, results = problems.strength(X, y, 0.01), []

    def solve():
        results.append(problems.fingerprint(l1fast.solve(X, y, lam, solver="fista", n_threads=3)))

    solvers = [threading.Thread(target=solve) for _ in range(6)]
    for solver in solvers:
        solver.start()
    for solver in solvers:
        solver.join()
    assert len(results) == 6
    assert all(result == results[0] for result in results)


SOLVE = """
import os, signal, sys, threading
import numpy as np
import l1fast
from l1fast._kernels import parallel

rng = np.random.default_rng(0)
X, y = rng.standard_normal((4000, 400)), rng.standard_normal(4000)
solve = lambda: l1fast.solve(X, y, 20.0, solver="fista", n_threads=3).coef.tobytes()
before = solve()
assert parallel.n_workers() >= 2
"""

FORK = """
assert np.count_nonzero(np.frombuffer(before))
stop = threading.Event()
def others():
    while not stop.is_set():
        solve()
if sys.argv[1] == "while solving":
    threading.Thread(target=others).start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        none = parallel.n_workers() == 0
        os._exit(0 if none and solve() == before and parallel.n_workers() >= 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert solve() == before
stop.set()
"""


@pytest.mark.skipif(not HAS_FORK, reason="needs fork")
@pytest.mark.parametrize("when", ["while idle", "while solving"])
def test_a_forked_child_makes_its_own_team(when):
    python("import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + SOLVE + FORK, when)


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "os._exit(0)",
        "threading.Thread(target=lambda: [solve() for _ in range(10**6)], daemon=True).start()",
        "import atexit; atexit.register(solve)",
    ],
    ids=["end", "exit", "_exit", "daemon thread solving", "solve at exit"],
)
def test_exit_with_live_workers(end):
    done = python(SOLVE + end)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


INTERRUPT = """
import warnings
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
try:
    while True:  # a solve may end before the signal comes
        l1fast.solve(X, y, 20.0, solver=sys.argv[1], tol=0, n_threads=3, max_iter=10**9, time_limit=60,
                     callback=lambda state: False)
except KeyboardInterrupt:
    sys.exit(0 if solve() == before else 1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_reaches_python_not_a_worker():
    assert python(SOLVE + INTERRUPT, "fista", check=False).returncode == 0


# ---------------------------------------------------------------- how many threads


@pytest.fixture
def environment(monkeypatch):
    for name in ("L1FAST_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_thread_count_by_environment(environment):
    assert as_thread_count(None) == _threads.usable_cores() >= 1
    for value, expected in {"3": 3, "4,2": 4, " 5 ": 5}.items():
        environment.setenv("OMP_NUM_THREADS", value)
        assert as_thread_count(None) == expected
    for value in ("", "0", "-1", "many", "²"):
        environment.setenv("OMP_NUM_THREADS", value)
        assert as_thread_count(None) == _threads.usable_cores()
    environment.setenv("OMP_NUM_THREADS", "3")
    environment.setenv("L1FAST_NUM_THREADS", " 6 ")
    assert as_thread_count(None) == 6
    assert as_thread_count(2) == 2
    environment.setenv("L1FAST_NUM_THREADS", "")
    assert as_thread_count(None) == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_l1fast_num_threads_must_make_sense(environment, value):
    environment.setenv("L1FAST_NUM_THREADS", value)
    with pytest.raises(ValueError, match="L1FAST_NUM_THREADS"):
        l1fast.solve(np.eye(2), [1.0, 2.0], 0.1)


@pytest.mark.parametrize("sparse", [False, True])
def test_threads_that_do_not_pay_are_not_used(sparse):
    each = _threads.SPARSE_PER_THREAD if sparse else _threads.DENSE_PER_THREAD
    counts = [_threads.worthwhile(4, n, sparse) for n in (0, each, 2 * each, 3 * each - 1, 100 * each)]
    assert counts == [1, 1, 2, 2, 4]


def test_one_thread_outside_the_main_thread(environment):
    counts = []
    other = threading.Thread(target=lambda: counts.append(as_thread_count(None)))
    other.start()
    other.join()
    environment.setenv("L1FAST_NUM_THREADS", "3")
    other = threading.Thread(target=lambda: counts.append(as_thread_count(None)))
    other.start()
    other.join()
    assert counts == [1, 3]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_one_thread_in_a_child_of_multiprocessing(environment, method):
    assert as_thread_count(None) == _threads.usable_cores()
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(as_thread_count, (None,)) == 1


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_one_thread_under_joblib(environment, backend):
    joblib = pytest.importorskip("joblib")
    counts = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(as_thread_count)(None) for _ in range(2))
    assert all(count <= max(1, _threads.usable_cores() // 2) for count in counts)


def test_multiprocessing_is_not_imported_for_it():
    code = "import sys, l1fast; l1fast.solve([[1.0]], [1.0], 0.1); assert 'multiprocessing' not in sys.modules"
    python(code)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, 5),
        ({"cpu.max": "nonsense"}, 5),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 5),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({}, 5),
    ],
)
def test_quota_of_a_container(monkeypatch, tmp_path, files, cores):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(_threads, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(5)), raising=False)
    _threads._quota.cache_clear()
    try:
        assert _threads.usable_cores() == cores
    finally:
        _threads._quota.cache_clear()


# ---------------------------------------------------------------- BLAS


@pytest.fixture
def blas():
    """The thread counts of BLAS, set to 2 for the test."""
    if not _blas.controls():
        pytest.skip("no BLAS that can be told how many threads to use")
    before = [control.get() for control in _blas.controls()]
    for control in _blas.controls():
        control.set(2)
    yield lambda: {control.get() for control in _blas.controls()}
    for control, number in zip(_blas.controls(), before, strict=True):
        control.set(number)


def test_blas_is_found_in_wheels():
    if "openblas" not in np.show_config("dicts")["Build Dependencies"]["blas"]["name"]:
        pytest.skip("NumPy has another BLAS")
    assert _blas.controls()


def test_blas_has_one_thread_during_a_solve(blas):
    X, y = problems.make()
    seen = []
    assert blas() == {2}
    l1fast.solve(X, y, problems.strength(X, y), solver="cd", callback=lambda state: seen.append(blas()))
    assert seen
    assert all(counts == {1} for counts in seen)
    assert blas() == {2}


def test_blas_is_given_back_after_an_error(blas):
    X, y = problems.make()
    with pytest.raises(ZeroDivisionError):
        l1fast.solve(X, y, problems.strength(X, y), callback=lambda state: 1 / 0)
    assert blas() == {2}


def test_blas_is_given_back_by_the_last_of_several(blas):
    with _blas.one_thread():
        with _blas.one_thread():
            assert blas() == {1}
        assert blas() == {1}
    assert blas() == {2}


@pytest.mark.skipif(not HAS_FORK, reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_blas_of_a_forked_child(blas):
    with _blas.one_thread():
        child = os.fork()
        if child == 0:
            os._exit(0 if blas() == {2} and _blas._holders == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert blas() == {1}
