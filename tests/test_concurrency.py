"""Many callers at once, in threads and processes: the answers of one alone, bit for bit, and nothing shared changes."""

import concurrent.futures
import importlib
import multiprocessing
import os
import pickle
import pkgutil
import subprocess
import sys
import threading
import types

import judged
import numpy as np
import problems
import pytest
import scipy.sparse as sp

import l1fast
from l1fast import _blas
from l1fast._validation import as_design

STORED = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}
SOLVERS = ("cd", "fista", "homotopy", "irls", "lbfgs", "huber_descent", "subgradient")
AT_ONCE = 6

pytestmark = pytest.mark.filterwarnings("ignore::l1fast.ConvergenceWarning")


def folds(n):
    k = np.arange(n)
    return [(k[k % 3 != i], k[k % 3 == i]) for i in range(3)]


def jobs(X, y):
    """Calls by name, each with the bits of its answer."""
    Y, lam = np.column_stack([y, y[::-1]]), problems.strength(X if isinstance(X, np.ndarray) else X.toarray(), y, 0.05)
    strengths = [(lam * np.array([4.0, 2.0, 1.0]), np.zeros(3))]
    calls = {s: lambda s=s: problems.fingerprint(l1fast.solve(X, y, lam, solver=s, max_iter=200)) for s in SOLVERS}
    return calls | {
        "cd on columns": lambda: problems.fingerprint(l1fast.solve(X, y, lam, solver=l1fast.CD(gram_limit=0))),
        "two threads": lambda: problems.fingerprint(l1fast.solve(X, y, lam, solver="fista", n_threads=2)),
        "path": lambda: problems.fingerprint(l1fast.path(X, y, n_lams=8).coefs),
        "tasks": lambda: problems.fingerprint(l1fast.solve_tasks(X, Y, lam)),
        "cross_validate": lambda: problems.fingerprint(
            l1fast.cross_validate(X, y, folds(len(y)), strengths, n_jobs=2).errors
        ),
    }


def at_once(calls):
    """What the calls return, each from a thread of its own, all let go at the same moment."""
    gate = threading.Barrier(len(calls))

    def begin(call):
        gate.wait(60)
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


@pytest.mark.parametrize("storage", STORED)
def test_every_kind_of_call_at_once_on_one_array(storage):
    X, y = problems.make(300, 150)
    calls = jobs(STORED[storage](X), y)
    alone = {name: call() for name, call in calls.items()}
    inputs = problems.fingerprint(X, y)
    for _ in range(2):
        assert dict(zip(calls, at_once(calls.values()), strict=True)) == alone
    assert problems.fingerprint(X, y) == inputs


@pytest.mark.parametrize("storage", STORED)
def test_one_design_that_converts_itself_for_many(storage):
    """The copies that a design keeps are made by whoever comes first, and used by all."""
    X, y = problems.make(300, 150)
    lam, made = problems.strength(X, y, 0.05), STORED[storage](X)
    solvers = (l1fast.CD(gram_limit=0), "fista", "huber_descent") * 2
    alone = [problems.fingerprint(l1fast.solve(made, y, lam, solver=s, max_iter=200)) for s in solvers]
    design = as_design(made)
    calls = [lambda s=s: problems.fingerprint(l1fast.solve(design, y, lam, solver=s, max_iter=200)) for s in solvers]
    assert at_once(calls) == alone


def test_errors_in_some_threads_leave_the_others_alone():
    """... and BLAS has its threads back when the last has ended, by whatever way."""
    if not _blas.controls():
        pytest.skip("no BLAS that can be told how many threads to use")
    X, y = problems.make(200, 100)
    lam = problems.strength(X, y, 0.05)
    alone, before = problems.fingerprint(l1fast.solve(X, y, lam)), [one.get() for one in _blas.controls()]
    inside = []

    def well():
        return problems.fingerprint(l1fast.solve(X, y, lam, callback=lambda state: inside.append(_blas._holders)))

    def badly():
        with pytest.raises(ZeroDivisionError):
            l1fast.solve(X, y, lam, callback=lambda state: 1 / 0)
        with pytest.raises(ValueError, match="finite"):
            l1fast.solve(X, np.full(200, np.nan), lam)
        return alone

    for control in _blas.controls():
        control.set(2)
    try:
        for _ in range(10):
            assert all(found == alone for found in at_once([well, badly] * 4))
            assert {control.get() for control in _blas.controls()} == {2}
            assert _blas._holders == 0
    finally:
        for control, number in zip(_blas.controls(), before, strict=True):
            control.set(number)
    assert min(inside) >= 1


def states():
    """What the modules of the package hold in their plain variables, as bytes."""
    found = {}
    for info in pkgutil.walk_packages(l1fast.__path__, "l1fast."):
        if info.name.endswith(("__main__", "_artists")) or ".estimators" in info.name:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            kinds = (types.ModuleType, types.FunctionType, type, types.BuiltinFunctionType)
            if name.startswith("__") or isinstance(value, kinds):
                continue
            if isinstance(value, (list, dict, set, bytearray, np.ndarray, int, float, str)):
                found[info.name, name] = repr(value)
    return found


def test_nothing_is_kept_in_the_modules():
    X, y = problems.make(300, 150)
    calls = list(jobs(X, y).values())
    at_once(calls)  # what is only known at first use: the way to set the threads of BLAS
    before = states()
    assert len(before) > 100
    at_once(calls)
    after = states()
    changed = {key for key in before if before[key] != after[key]}
    assert changed == set()


# ---------------------------------------------------------------- processes


METHODS = [name for name in multiprocessing.get_all_start_methods() if name != "fork"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_pool_of_processes(method):
    here = [judged.bits(seed, 2) for seed in range(4)]
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        assert list(pool.map(judged.bits, range(4), [2] * 4)) == here


FORK = """
import concurrent.futures, os, signal, sys, warnings
import numpy as np
import l1fast
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((4000, 400)), rng.standard_normal(4000)
k = np.arange(4000)
folds = [(k[k % 2 == i], k[k % 2 != i]) for i in range(2)]

def bits(n):
    solved = [l1fast.solve(X, y, 20.0, solver=s, n_threads=n).coef.tobytes() for s in ("cd", "fista", "irls")]
    found = l1fast.cross_validate(X, y, folds, [(np.array([60.0, 30.0]), np.zeros(2))], n_jobs=n)
    return b"".join([*solved, found.errors.tobytes()])

before = {n: bits(n) for n in (1, 2)}
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    assert list(pool.map(bits, (1, 2))) == [before[1], before[2]]
for _ in range(3):
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        os._exit(0 if all(bits(n) == before[n] for n in (2, 1)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert bits(2) == before[2]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_solves_in_threads():
    subprocess.run([sys.executable, "-P", "-c", FORK], check=True, timeout=200)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_grid_search_by_joblib(backend):
    joblib = pytest.importorskip("joblib")
    selection = pytest.importorskip("sklearn.model_selection")
    X, y = problems.make(150, 60)
    grid = {"alpha": [0.5, 0.1, 0.02], "fit_intercept": [True, False]}

    def scores(n_jobs):
        search = selection.GridSearchCV(l1fast.Lasso(), grid, cv=3, n_jobs=n_jobs)
        return search.fit(X, y).cv_results_["mean_test_score"].tobytes()

    alone = scores(1)
    with joblib.parallel_backend(backend):
        assert scores(2) == alone


def test_estimators_at_once():
    pytest.importorskip("sklearn")
    X, y = problems.make(150, 60)
    estimators = [
        l1fast.Lasso(alpha=0.02),
        l1fast.ElasticNet(alpha=0.02),
        l1fast.LassoCV(cv=3, alphas=10),
        l1fast.LassoIC(),
    ]

    def call(estimator):
        return lambda: problems.fingerprint(estimator.fit(X, y).coef_)

    alone = [call(one)() for one in estimators]
    copies = [pickle.loads(pickle.dumps(one)) for one in estimators]
    assert at_once([call(one) for one in copies]) == alone
