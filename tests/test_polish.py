"""polish=True: any solver, finished exactly on the support it shows; and the passes and copies of long solves."""

import judged
import numpy as np
import problems
import pytest
import scipy.sparse as sp

import l1fast
from l1fast._penalties import ElasticNet
from l1fast._solve import make_problem
from l1fast._validation import as_storage

ROUGH = ("ista", "fista", "gradient", "accelerated_gradient")


@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("solver", ROUGH)
def test_polished_answers_are_exact(solver, option):
    X, y = problems.make()
    options = problems.options(option, *X.shape)
    lam = problems.strength(X, y)
    polished = judged.solve(X, y, lam, solver=solver, tol=1e-11, polish=True, **options)
    direct = judged.solve(X, y, lam, solver="cd", tol=1e-11, **options)
    assert polished.converged
    assert polished.solver == solver
    assert "polished" in polished.reason
    np.testing.assert_allclose(polished.coef, direct.coef, atol=1e-4 * np.abs(direct.coef).max())
    np.testing.assert_array_equal(polished.support, direct.support)


@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int64"])
def test_smoothed_solutions_get_their_zeros(storage):
    X, y = problems.make(80, 160)
    lam = problems.strength(X, y, 0.2)
    X = problems.STORAGES[storage](X)
    plain = judged.solve(X, y, lam, solver="accelerated_gradient", tol=1e-4)
    polished = judged.solve(X, y, lam, solver="accelerated_gradient", tol=1e-10, polish=True)
    assert len(plain.support) == 160
    assert len(polished.support) < 80
    assert plain.dual_gap > polished.dual_gap
    assert polished.n_iter > plain.n_iter


@pytest.mark.parametrize("max_iter", [0, 1, 7])
@pytest.mark.parametrize("solver", ROUGH)
def test_a_polish_mends_a_bad_start(solver, max_iter):
    X, y = problems.make(300, 900)
    result = judged.solve(X, y, problems.strength(X, y, 1e-2), solver=solver, max_iter=max_iter, polish=True, tol=1e-9)
    assert result.converged
    assert result.n_iter > max_iter


def test_what_is_exact_is_not_polished():
    X, y = problems.make()
    lam = problems.strength(X, y)
    for solver in ("cd", "homotopy"):
        plain, polished = (judged.solve(X, y, lam, solver=solver, polish=polish) for polish in (False, True))
        assert problems.fingerprint(plain) == problems.fingerprint(polished)
        assert plain.reason == polished.reason


def test_a_callback_stops_before_the_polish():
    X, y = problems.make(300, 900)
    stop = {"callback": lambda state: state.iteration >= 3, "polish": True, "tol": 1e-10}
    result = judged.quiet(X, y, problems.strength(X, y, 1e-3), solver="ista", **stop)
    assert result.status is l1fast.Status.INTERRUPTED


def test_no_time_is_left_for_a_polish():
    X, y = problems.make(300, 900)
    result = judged.quiet(X, y, problems.strength(X, y, 1e-3), solver="ista", polish=True, time_limit=1e-9, tol=1e-10)
    assert result.status is l1fast.Status.TIME_LIMIT


def test_half_of_the_time_is_the_polish_s():
    X, y = problems.make(100, 400)
    lam, limits = problems.strength(X, y, 1e-3), {"time_limit": 3.0, "tol": 1e-9, "max_iter": 10**9, "history": True}
    result = judged.solve(X, y, lam, solver="subgradient", polish=True, **limits)  # slow: far above 1e-4 by then
    assert result.converged
    seconds = result.history.seconds[result.history.dual_gap > 1e-4]
    assert 0.4 * 3.0 < seconds.max() < 0.8 * 3.0  # half of it, and what a few steps of the polish take


def test_history_runs_through_the_polish():
    X, y = problems.make(300, 900)
    lam = problems.strength(X, y, 1e-2)
    result = judged.solve(X, y, lam, solver="fista", polish=True, tol=1e-10, history=True)
    history = result.history
    assert (np.diff(history.iteration) >= 0).all()
    assert (np.diff(history.seconds) >= 0.0).all()
    assert (np.diff(history.passes) >= 0.0).all()
    assert history.passes[-1] <= result.n_passes
    assert history.iteration[-1] == result.n_iter


# Rows sorted by length


def uneven(n=900, p=300, seed=0):
    """A sparse problem whose rows have many lengths, in no order."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n, p), density=0.05, format="csr", rng=rng)
    y = X @ (rng.standard_normal(p) * (rng.random(p) < 0.2)) + 0.1 * rng.standard_normal(n)
    return X, y


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("option", ["plain", "all", "sample_weight+intercept"])
@pytest.mark.parametrize("solver", ROUGH)
def test_long_solves_sort_the_rows(solver, option, kind):
    X, y = uneven()
    lam, options = problems.strength(X, y, 1e-3), problems.options(option, *X.shape)
    X = X.asformat(kind)
    result = judged.quiet(X, y, lam, solver=solver, tol=0, max_iter=120, **options)
    assert "sorted by length" in result.conversion
    dense = judged.quiet(X.toarray(), y, lam, solver=solver, tol=0, max_iter=120, **options)
    assert dense.conversion == ""
    np.testing.assert_allclose(result.coef, dense.coef, atol=1e-6 * np.abs(dense.coef).max())
    held = judged.quiet(X, y, lam, solver=solver, tol=0, max_iter=120, memory_limit=1000, **options)
    assert held.conversion == ""


def test_sorted_rows_repeat_bit_for_bit():
    X, y = uneven()
    lam = problems.strength(X, y, 0.001)
    first, second = (judged.quiet(X, y, lam, solver="fista", tol=1e-14, max_iter=200, n_threads=2) for _ in range(2))
    assert problems.fingerprint(first) == problems.fingerprint(second)


@pytest.mark.parametrize("length", [*range(1, 19), 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_equal_length(length, dtype):
    """As of one-hot data: the loops made for each length, against plain NumPy."""
    n, p = 60, 50
    rng = np.random.default_rng(length)
    index = np.concatenate([rng.permutation(p)[:length] for _ in range(n)])
    X = sp.csr_array((rng.standard_normal(n * length).astype(dtype), index, length * np.arange(n + 1)), shape=(n, p))
    y, w, weight = rng.standard_normal(n), rng.standard_normal(p), rng.random(n)
    problem = make_problem(as_storage(X), y, ElasticNet(1.0), False, weight, 1)
    assert problem.by_length is problem
    point, dense = problem.at(w), X.toarray().astype(float)
    q = weight * (dense @ w - y)
    np.testing.assert_allclose(point.q, q, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(point.g, dense.T @ q, rtol=1e-12, atol=1e-11)
    assert point.loss == pytest.approx(q @ (dense @ w - y) / 2, rel=1e-12)
