"""Ctrl-C, time limits, callbacks that raise and memory that runs out: prompt, clean, and nothing changed afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import problems
import pytest
import scipy.sparse as sp

import l1fast
from l1fast import _patience
from l1fast._patience import OutOfTime, patiently, until

POSIX = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
SLACK = 2.0  # seconds that a busy machine may take on top of what is promised
SOLVERS = (
    *("cd", "fista", "ista", "homotopy", "irls", "lbfgs", "accelerated_gradient", "gradient", "huber_descent"),
    *("subgradient",),
)


# ---------------------------------------------------------------- long calls


@pytest.fixture
def all_long(monkeypatch):
    """Every call that may be long is made in a thread, however short it is."""
    monkeypatch.setattr(_patience, "LONG", 0)


def test_a_long_call_returns_and_raises(all_long):
    callers = []

    def work():
        callers.append(threading.current_thread())
        return 7

    assert patiently(work, 1.0) == 7
    assert callers[0] is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0, 1.0)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        patiently(lambda: np.ones(1) / np.zeros(1), 1.0)


def test_a_short_call_is_just_called():
    assert patiently(threading.current_thread, _patience.LONG - 1) is threading.current_thread()
    assert patiently(threading.current_thread, _patience.LONG) is not threading.current_thread()


def test_without_threads_a_long_call_is_just_called(all_long, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert patiently(threading.current_thread, 1.0) is threading.current_thread()


def test_a_long_call_is_given_up_when_the_time_is_over(all_long):
    goes_on, ended = threading.Event(), threading.Event()

    def work():
        goes_on.wait(30)
        ended.set()

    deadline = time.perf_counter() + 0.05
    with until(lambda: time.perf_counter() > deadline):
        with pytest.raises(OutOfTime):
            patiently(work, 1.0)
        with until(None):
            _patience.look()  # the limit within holds
        with pytest.raises(OutOfTime):
            _patience.look()
    _patience.look()
    assert not ended.is_set()
    goes_on.set()
    assert ended.wait(30)


def test_another_thread_waits_for_a_long_call_only_under_a_limit(all_long):
    seen = []

    def other():
        seen.append(patiently(threading.current_thread, 1.0) is threading.current_thread())
        with until(lambda: False):
            seen.append(patiently(threading.current_thread, 1.0) is threading.current_thread())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [True, False]


STORED = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}


@pytest.mark.parametrize("solver", [*SOLVERS, "cd on columns"])
@pytest.mark.parametrize("storage", STORED)
def test_the_same_bits_with_and_without_threads_for_long_calls(storage, solver, monkeypatch):
    X, y = problems.make(60, 90, seed=3)
    v = np.where(np.arange(90) % 30 == 7, 0.0, 1.0) if solver not in ("homotopy", "irls") else None
    chosen = l1fast.CD(gram_limit=0) if solver == "cd on columns" else solver
    X, options = STORED[storage](X), {"solver": chosen, "penalty_weights": v, "max_iter": 300, "tol": 1e-8}

    def answer():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
            result = l1fast.solve(X, y, 2.0, time_limit=120, **options)
        return problems.fingerprint(result), result.n_iter, result.status

    before = answer()
    monkeypatch.setattr(_patience, "LONG", 0)
    assert answer() == before


@pytest.mark.parametrize("form", ["coo", "dok", "lil", "bsr", "dia"])
def test_converted_matrices_are_the_same(form, all_long, monkeypatch):
    X, y = problems.make(60, 24)
    monkeypatch.setattr("l1fast._validation.GATHERED", 7)
    plain = l1fast.solve(sp.csr_array(X), y, 2.0)
    found = l1fast.solve(sp.csr_array(X).asformat(form), y, 2.0)
    np.testing.assert_allclose(found.coef, plain.coef, rtol=1e-12, atol=1e-14)  # zeros may be stored, or not
    objects = l1fast.solve(X.astype(object), y, 2.0)
    np.testing.assert_array_equal(objects.coef, l1fast.solve(X, y, 2.0).coef)


# ---------------------------------------------------------------- Ctrl-C


def small():
    """The bits of a few answers, and what they rest on."""
    X, y = problems.make()
    answers = [l1fast.solve(X, y, 2.0, solver=solver, n_threads=2) for solver in ("cd", "fista", "irls")]
    return problems.fingerprint(*answers, *l1fast.path(X, y, n_lams=5).coefs.T)


def again_and_again(call):
    """A call may end before the signal comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            call()


def interrupt(call, after):
    """Interrupt a call after so many seconds; returns the seconds that it took to end."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    before = threading.active_count()
    began = time.perf_counter()
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        with pytest.raises(KeyboardInterrupt):
            again_and_again(call)
        took = time.perf_counter() - began - after
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    ends = time.perf_counter() + 30
    while threading.active_count() > before and time.perf_counter() < ends:
        time.sleep(0.01)
    assert threading.active_count() <= before, "a thread goes on"
    return took


@pytest.fixture(scope="module")
def wide():
    """A problem whose working sets, Gram matrices, factors and paths take a while."""
    return problems.make(700, 2500, density=1.0)


@pytest.fixture(scope="module")
def tall():
    """A sparse problem with many rows."""
    rng = np.random.default_rng(0)
    X = sp.random_array((40_000, 3_000), density=0.01, random_state=rng, format="csr")
    return X, X[:, :30].sum(axis=1) + rng.standard_normal(40_000)


ENDLESS = {"tol": 0.0, "max_iter": 10**9, "time_limit": 60.0}


def folds(n, count=3):
    k = np.arange(n)
    return [(k[k % count != i], k[k % count == i]) for i in range(count)]


def phases():
    """Calls that do not end soon, by name: (wide, tall) -> call."""

    def solving(solver, lam, which=0, storage=None, **more):
        def call(*given):
            X, y = given[which]
            X = X if storage is None else storage(X)
            return lambda: l1fast.solve(X, y, lam, solver=solver, **(ENDLESS | more))

        return call

    cv_strengths = [(100.0 * 0.9 ** np.arange(60), np.zeros(60))]
    free = np.where(np.arange(2500) < 600, 0.0, 1.0)
    found = {f"wide {solver}": solving(solver, 1.0) for solver in SOLVERS}
    found |= {f"tall {solver}": solving(solver, 1e-3, which=1) for solver in ("cd", "irls", "fista", "lbfgs")}
    return found | {
        "columns": solving(l1fast.CD(gram_limit=0), 1.0),
        "columns of csc": solving(l1fast.CD(gram_limit=0), 1e-3, which=1, storage=sp.csc_array),
        "irls cg": solving(l1fast.IRLS(inner="cg"), 1.0),
        "irls cholesky": solving(l1fast.IRLS(inner="cholesky"), 1.0),
        "polish": solving("fista", 1.0, polish=True),
        "free columns": solving("cd", 1.0, penalty_weights=free),
        "free columns within bounds": solving("cd", 1.0, penalty_weights=free, bounds=(-1e-3, 1e-3)),
        "least-norm start": solving("huber_descent", 1.0, max_iter=1),
        "path": lambda wide, tall: lambda: l1fast.path(*wide, tol=0.0, time_limit=60.0),
        "tasks": lambda wide, tall: (
            lambda: l1fast.solve_tasks(wide[0], np.outer(wide[1], np.arange(1, 9)), 5.0, tol=0.0, time_limit=60.0)
        ),
        "cross_validate": lambda wide, tall: (
            lambda: l1fast.cross_validate(*wide, folds(700), cv_strengths, tol=0.0, n_jobs=2)
        ),
        "compare": lambda wide, tall: lambda: l1fast.compare(*wide, 1.0, solvers=["cd", "gradient"], time_limit=20.0),
    }


PHASES = phases()


@POSIX
@pytest.mark.parametrize("name", PHASES)
def test_ctrl_c(name, wide, tall):
    before, call = small(), PHASES[name](wide, tall)
    for after in (0.02, 0.2):
        assert interrupt(call, after) < SLACK
        assert small() == before


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["F order", "float", "backwards", "coo", "dok", "lil", "unsorted", "objects", "many free"]
)
def test_ctrl_c_while_a_large_matrix_is_converted(what):
    """One call of NumPy, SciPy or a kernel takes the best part of a second here."""
    rng = np.random.default_rng(0)
    n, p = 20_000, 1_500
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    S = sp.random_array((n, p), density=0.06, random_state=rng, format="coo")
    v, most = None, {}
    if what == "F order":
        most = {"solver": l1fast.CD(gram_limit=0), "tol": 0.0}
    elif what == "float":
        X = (8 * X).astype(np.int32)
    elif what == "backwards":
        X = X[::-1, ::-1]
    elif what in ("coo", "dok", "lil"):
        X = S.asformat(what)
    elif what == "unsorted":
        X = S.tocsr()
        X.indices = np.ascontiguousarray(X.indices[::-1])  # each a column of X still
    elif what == "objects":
        X = X[:, :100].astype(object)
    else:
        v = np.where(np.arange(p) < 800, 0.0, 1.0)
    before = small()
    for after in (0.05, 0.3):
        assert interrupt(lambda: l1fast.solve(X, y, 1.0, penalty_weights=v, time_limit=60, **most), after) < SLACK
    assert small() == before


@POSIX
@pytest.mark.slow
def test_ctrl_c_while_a_large_file_is_read(tmp_path):
    from l1fast import io

    line = " ".join(f"{j}:{j / 7:.6f}" for j in range(1, 60))
    path = tmp_path / "large.svm"
    with open(path, "w") as stream:
        stream.writelines(f"{i % 2} {line}\n" for i in range(60_000))
    for after in (0.05, 0.5):
        assert interrupt(lambda: io.read(path), after) < SLACK
    assert io.read(path).X.shape == (60_000, 59)


@POSIX
def test_ctrl_c_while_a_result_is_saved(tmp_path):
    """The old file stays as it was, and nothing is left beside it."""
    X, y = problems.make()
    result, path = l1fast.solve(X, y, 2.0), tmp_path / "result.npz"
    result.save(path)
    before = path.read_bytes()
    large = l1fast.solve(np.ones((2, 3_000_000)), [1.0, 2.0], 0.1)
    interrupt(lambda: large.save(path), 0.01)
    assert path.read_bytes() == before or l1fast.Result.load(path).coef.shape == large.coef.shape
    assert os.listdir(tmp_path) == ["result.npz"]


# ---------------------------------------------------------------- time limits


LIMIT = 0.25


def limited(wide, tall):
    """Calls under the limit that would take longer, by name."""
    free = np.where(np.arange(2500) < 600, 0.0, 1.0)
    endless = {"tol": 0.0, "max_iter": 10**9, "time_limit": LIMIT}
    calls = {f"wide {s}": (l1fast.solve, (*wide, 1.0), {"solver": s, **endless}) for s in SOLVERS}
    calls |= {f"tall {s}": (l1fast.solve, (*tall, 1e-3), {"solver": s, **endless}) for s in ("cd", "irls", "fista")}
    Y = np.outer(wide[1], np.arange(1, 9)) + np.random.default_rng(0).standard_normal((700, 8))
    return calls | {
        "columns": (l1fast.solve, (*wide, 1.0), {"solver": l1fast.CD(gram_limit=0), **endless}),
        "free columns": (l1fast.solve, (*wide, 1.0), {"penalty_weights": free, **endless}),
        "polish": (l1fast.solve, (*wide, 1.0), {"solver": "gradient", "polish": True, **endless}),
        "path": (l1fast.path, wide, {"tol": 1e-12, "time_limit": LIMIT}),
        "tasks": (l1fast.solve_tasks, (wide[0], Y, 5.0), endless),
        "path of tasks": (l1fast.path_tasks, (wide[0], Y), {"tol": 1e-12, "time_limit": LIMIT}),
        "cross_validate": (
            l1fast.cross_validate,
            (*wide, folds(700), [(100.0 * 0.9 ** np.arange(60), np.zeros(60))]),
            {"tol": 1e-12, "time_limit": LIMIT, "n_jobs": 2},
        ),
    }


LIMITED = tuple(limited((np.empty((700, 0)), np.empty(700)), (None, None)))


@pytest.mark.parametrize("name", LIMITED)
def test_time_limit(name, wide, tall):
    function, arguments, options = limited(wide, tall)[name]
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*arguments, **options)
    took = time.perf_counter() - began
    assert took < max(1.1 * LIMIT, LIMIT + 0.05) + SLACK
    assert result.status is l1fast.Status.TIME_LIMIT
    assert [one.category for one in caught] == [l1fast.ConvergenceWarning]
    assert "time" in str(caught[0].message)
    if isinstance(result, l1fast.Result) and name != "tasks":
        check_gap(*arguments[:3], result, options.get("penalty_weights"))


def check_gap(X, y, lam, result, v):
    """The gap and objective told are those of coef and dual, from the definitions."""
    v = np.ones(X.shape[1]) if v is None else v
    residual = y - X @ result.coef
    objective = 0.5 * residual @ residual + lam * v @ np.abs(result.coef)
    assert result.objective == pytest.approx(objective, rel=1e-9)
    dual = 0.5 * y @ y - 0.5 * (y - result.dual) @ (y - result.dual)
    assert result.dual_gap == pytest.approx((objective - dual) / (0.5 * y @ y), rel=1e-6, abs=1e-12)
    slack = 1e-9 * np.sqrt((X * X).sum(axis=0)) * np.sqrt(y @ y)
    assert (np.abs(X.T @ result.dual) <= lam * v * (1 + 1e-9) + slack).all()


def test_time_limit_of_estimators(wide):
    pytest.importorskip("sklearn")
    X, y = wide
    for estimator in (
        l1fast.Lasso(alpha=1e-4, tol=1e-14, time_limit=LIMIT),
        l1fast.LassoCV(tol=1e-12, time_limit=4 * LIMIT, alphas=60),
    ):
        began = time.perf_counter()
        with pytest.warns(l1fast.ConvergenceWarning, match="time"):
            estimator.fit(X, y)
        assert time.perf_counter() - began < 1.1 * estimator.time_limit + 0.05 + SLACK
        assert np.isfinite(estimator.coef_).all()


def test_a_long_call_out_of_time_ends_with_the_best_iterate(all_long, wide):
    """Calls that are given up, at every moment of a solve: what is returned is certified all the same."""
    X, y = wide
    for limit in (0.0, 0.01, 0.03, 0.1, 0.3):
        for solver in (l1fast.CD(gram_limit=0), "cd", "homotopy", "irls", "huber_descent"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
                result = l1fast.solve(X, y, 1.0, solver=solver, tol=0.0, time_limit=limit)
            check_gap(X, y, 1.0, result, None)


# ---------------------------------------------------------------- callbacks that raise


class OwnError(Exception):
    """Raised by a callback."""


def raising(number):
    """A callback that raises when it is called for the time of that number."""
    calls = []

    def callback(*state):
        calls.append(state)
        if len(calls) == number:
            raise OwnError(number)

    return callback


def test_callbacks_that_raise():
    X, y = problems.make(120, 60)
    Y = np.column_stack([y, y[::-1]])
    strengths = [(np.array([5.0, 2.0, 1.0]), np.zeros(3))]
    calls = {
        "solve": lambda call: l1fast.solve(X, y, 1.0, callback=call, tol=1e-12),
        "polish": lambda call: l1fast.solve(X, y, 1.0, solver="gradient", polish=True, callback=call),
        "tasks": lambda call: l1fast.solve_tasks(X, Y, 1.0, callback=call, tol=1e-12),
        "tasks at lam = 0": lambda call: l1fast.solve_tasks(X, Y, 0.0, callback=call, tol=1e-12),
        "path": lambda call: l1fast.path(X, y, on_progress=call),
        "path of tasks": lambda call: l1fast.path_tasks(X, Y, on_progress=call),
        "compare": lambda call: l1fast.compare(X, y, 1.0, solvers=["cd", "fista"], on_progress=call),
        "cross_validate": lambda call: l1fast.cross_validate(X, y, folds(120), strengths, on_progress=call, n_jobs=2),
    }
    before, threads = small(), threading.active_count()
    for name, call in calls.items():
        for number in (1, 2) if name in ("path", "path of tasks", "compare", "cross_validate") else (1,):
            with pytest.raises(OwnError, match=str(number)):
                call(raising(number))
            assert threading.active_count() == threads, name
    assert small() == before


def test_callbacks_of_estimators_that_raise():
    pytest.importorskip("sklearn")
    X, y = problems.make(120, 60)
    for kind, options in ((l1fast.Lasso, {"alpha": 0.01}), (l1fast.LassoCV, {"n_jobs": 2, "cv": 3})):
        estimator = kind(**options, callback=raising(1))
        with pytest.raises(OwnError):
            estimator.fit(X, y)
        assert not hasattr(estimator, "coef_")
        assert np.array_equal(estimator.set_params(callback=None).fit(X, y).coef_, kind(**options).fit(X, y).coef_)


# ---------------------------------------------------------------- memory


MEMORY = """
import resource, sys, warnings
import numpy as np, scipy.sparse as sp
import l1fast
warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((1000, 2000)), rng.standard_normal(1000)
S = sp.random_array((20_000, 4_000), density=0.02, random_state=rng, format="csr")
s = rng.standard_normal(20_000)
k = np.arange(1000)
folds = [(k[k % 2 == i], k[k % 2 != i]) for i in range(2)]
def small():
    return b"".join(l1fast.solve(X[:60, :40], y[:60], 2.0, solver=n).coef.tobytes() for n in ("cd", "fista", "irls"))
calls = {
    "dense": [lambda n=n: l1fast.solve(X, y, 1.0, solver=n, time_limit=1) for n in ("cd", "irls", "homotopy")],
    "sparse": [lambda n=n: l1fast.solve(S, s, 1.0, solver=n, time_limit=1) for n in ("cd", "irls", "fista")],
    "others": [
        lambda: l1fast.solve_tasks(X, np.column_stack([y, -y, y[::-1]]), 1.0, time_limit=1),
        lambda: l1fast.path(S, s, time_limit=1),
        lambda: l1fast.cross_validate(X, y, folds, [(50 * 0.8 ** np.arange(9), np.zeros(9))], n_jobs=2, time_limit=1),
    ],
}[sys.argv[1]]
before = small()
for call in calls:
    for megabytes in (0, 80, 100, 140, 200):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 10**6, -1))
        try:
            call()
            print("solved")
        except MemoryError as error:
            print("refused:", error)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        assert small() == before
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and limits of memory")
@pytest.mark.parametrize("what", ["dense", "sparse", "others"])
def test_memory_that_runs_out(what):
    """At any place: MemoryError that says what is needed, no crash, and the process goes on."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", MEMORY, what], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 15
    refused = [line for line in lines if line != "solved"]
    assert refused
    assert all("bytes" in line or "allocate" in line for line in refused), refused


def test_a_copy_without_room_says_what_would_do(monkeypatch):
    X, y = problems.make(40, 60)

    def refuse(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("l1fast._design.np.asfortranarray", refuse)
    with pytest.raises(MemoryError, match=r"F order needs 19,200 bytes.*memory_limit.*fista"):
        l1fast.solve(X, y, 1.0, solver=l1fast.CD(gram_limit=0))
    monkeypatch.undo()
    monkeypatch.setattr("l1fast._working_set.np.empty", refuse)
    with pytest.raises(MemoryError):
        l1fast.solve(X, y, 1.0, solver="cd")
    monkeypatch.undo()
    assert l1fast.solve(X, y, 1.0, solver="cd").converged
