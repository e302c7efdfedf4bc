"""How a solve ends, what it says about it, and what can be done with the Result."""

import copy
import dataclasses
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import warnings
import xml.etree.ElementTree

import judged
import numpy as np
import problems
import pytest

import l1fast

Status = l1fast.Status


def hard(solver, **options):
    """Solve a problem that takes ``solver`` long, to a gap out of reach; return the Result and what was warned."""
    X, y = problems.make(300, 900)
    lam = problems.strength(X, y, 1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = judged.solve(X, y, lam, solver=solver, **({"tol": 1e-13} | options))
    return result, caught


def assert_warned_once(result, caught):
    """One ConvergenceWarning, shown at the caller's line, that tells the gap, tol, the iterations and lam."""
    assert [warning.category for warning in caught] == [l1fast.ConvergenceWarning]
    assert os.path.basename(caught[0].filename) == "judged.py"
    text = str(caught[0].message)
    numbers = [float(number) for number in re.findall(r"\d+\.?\d*(?:e[+-]?\d+)?", text)]
    for name in ("dual_gap", "tol", "n_iter", "lam"):
        told = [math.isclose(number, getattr(result, name), rel_tol=0.06) for number in numbers]
        assert any(told), f"{name} = {getattr(result, name)} is not in: {text}"


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_iteration_limit(solver, max_iter):
    result, caught = hard(solver, max_iter=max_iter)
    assert result.status is Status.ITERATION_LIMIT
    assert result.n_iter == max_iter
    assert_warned_once(result, caught)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_more_iterations_do_not_end_worse(solver):
    objectives = [hard(solver, max_iter=max_iter)[0].objective for max_iter in (0, 1, 2, 4, 8)]
    if solver != "fista":  # momentum may overshoot; the others descend
        assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] < objectives[0]


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_time_limit(solver):
    result, caught = hard(solver, time_limit=1e-9)
    assert result.status is Status.TIME_LIMIT
    assert_warned_once(result, caught)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_a_gap_out_of_reach_ends_in_no_progress(solver):
    X, y = problems.make(60, 12)
    with pytest.warns(l1fast.ConvergenceWarning) as caught:
        result = judged.solve(X, y, problems.strength(X, y, 0.37), solver=solver, tol=1e-300, time_limit=60)
    assert result.status is Status.NO_PROGRESS
    assert result.dual_gap < 1e-13
    assert_warned_once(result, caught)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_no_warning_when_converged(solver):
    X, y = problems.make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = judged.solve(X, y, problems.strength(X, y), solver=solver)
    assert result.status is Status.CONVERGED
    assert result.tol == 1e-6


# The callback and the history


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_callback_sees_the_history_and_may_stop(solver):
    states = []

    def third_time(state):
        states.append(state)
        return len(states) == 3

    result, caught = hard(solver, callback=third_time, history=True)
    assert result.status is Status.INTERRUPTED
    assert_warned_once(result, caught)
    assert len(states) == 3
    assert all(type(state) is l1fast.State for state in states)
    history = result.history
    for name in ("iteration", "seconds", "objective", "dual_gap", "support_size"):
        assert getattr(history, name)[:3].tolist() == [getattr(state, name) for state in states]


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_callback_that_lets_go_on_changes_nothing(solver):
    X, y = problems.make()
    lam = problems.strength(X, y)
    plain, watched = (l1fast.solve(X, y, lam, solver=solver, callback=call) for call in (None, lambda state: None))
    assert problems.fingerprint(plain) == problems.fingerprint(watched)
    assert watched.history is None


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_callback_that_raises(solver):
    class OwnError(Exception):
        pass

    def refuse(state):
        raise OwnError(state.iteration)

    with pytest.raises(OwnError):
        hard(solver, callback=refuse)
    X, y = problems.make()
    judged.solve(X, y, problems.strength(X, y), solver=solver)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_history(solver):
    X, y = problems.make(120, 200)
    result = judged.solve(X, y, problems.strength(X, y, 0.05), solver=solver, tol=1e-8, history=True)
    history = result.history
    columns = [getattr(history, field.name) for field in dataclasses.fields(history)]
    assert {len(column) for column in columns} == {len(history)}
    assert len(history) >= 2
    assert (np.diff(history.seconds) >= 0).all()
    assert history.seconds[0] >= 0
    assert history.seconds[-1] <= result.seconds
    assert (np.diff(history.iteration) >= 0).all()
    assert history.iteration[-1] == result.n_iter
    assert (history.dual_gap[:-1] > result.tol).all()
    assert history.dual_gap[-1] == pytest.approx(result.dual_gap, rel=1e-3, abs=1e-13)
    assert history.objective[-1] == pytest.approx(result.objective, rel=1e-12)
    assert history.support_size[-1] == len(result.support)
    scale = y @ y / 2
    assert (history.objective - history.dual_gap * scale <= result.objective * (1 + 1e-12)).all()
    if solver == "ista":
        assert (np.diff(history.objective) <= 1e-12 * scale).all()


# The Result


@pytest.fixture
def result():
    X, y = problems.make()
    return l1fast.solve(X, y, problems.strength(X, y), history=True, fit_intercept=True)


def test_printed_forms(result):
    for printed in (repr(result), result._repr_html_()):
        assert "converged" in printed
        assert f"{result.dual_gap:.2e}" in printed
        assert f"{len(result.support)} of {len(result.coef)} features" in printed
        assert result.solver in printed
    awkward = dataclasses.replace(result, reason="p < n & <script>", conversion="copied")
    assert "copied" in repr(awkward)
    table = xml.etree.ElementTree.fromstring(awkward._repr_html_())
    assert "p < n & <script>" in "".join(table.itertext())


@pytest.mark.parametrize("duplicate", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy])
def test_pickle_and_copy(result, duplicate):
    twin = duplicate(result)
    assert type(twin) is type(result)
    for field in dataclasses.fields(result):
        if field.name != "history":
            np.testing.assert_array_equal(getattr(twin, field.name), getattr(result, field.name))
    for field in dataclasses.fields(result.history):
        np.testing.assert_array_equal(getattr(twin.history, field.name), getattr(result.history, field.name))
    assert repr(twin) == repr(result)


@pytest.mark.parametrize("settings", [l1fast.ISTA, l1fast.FISTA, l1fast.CD])
def test_settings_are_values(settings):
    assert settings() == pickle.loads(pickle.dumps(settings())) == copy.deepcopy(settings())
    assert hash(settings()) == hash(settings())
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().step = "other"


def test_result_is_frozen(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.coef = None


# Interrupts, threads and processes


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("storage", ["F", "csr_array int32"])
def test_keyboard_interrupt(storage, n_threads, solver):
    """The interrupt arrives while the kernel runs: without a check for signals, the time limit ends the solve."""
    X, y = problems.make(1000, 4000)
    X, lam = problems.STORAGES[storage](X), problems.strength(X, y, 1e-4)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            l1fast.solve(X, y, lam, solver=solver, tol=0, n_threads=n_threads, max_iter=10**9, time_limit=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    X, y = problems.make()
    judged.solve(X, y, problems.strength(X, y), solver=solver, n_threads=n_threads)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_many_solves_at_once(solver):
    X, y = problems.make(100, 150)
    lam = problems.strength(X, y)
    alone = l1fast.solve(X, y, lam, solver=solver, n_threads=1)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(l1fast.solve(X, y, lam, solver=solver, n_threads=1)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(problems.fingerprint(result) == problems.fingerprint(alone) for result in results)


FORK = """
import os, sys
import numpy as np
import l1fast

rng = np.random.default_rng(0)
X, y = rng.standard_normal((300, 400)), rng.standard_normal(300)
solve = lambda: l1fast.solve(X, y, 5.0, solver=sys.argv[1], n_threads=2).coef.tobytes()
before = solve()
child = os.fork()
if child == 0:
    os._exit(0 if solve() == before else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_fork_after_a_solve(solver):
    subprocess.run([sys.executable, "-P", "-c", FORK, solver], check=True, timeout=60)


FLOATS = """
import numpy as np
import l1fast

tiny = np.array([5e-324, 1e-310])
before = tiny * 1.0
X = np.eye(50)
l1fast.solve(X, np.arange(50.0), 0.1)
assert (tiny * 1.0 == before).all() and (before > 0).all()
with np.errstate(all="raise"):
    l1fast.solve(X, np.arange(50.0), 0.1)
"""


def test_floating_point_state_is_left_alone():
    subprocess.run([sys.executable, "-P", "-c", FLOATS], check=True, timeout=60)
