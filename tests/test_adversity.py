"""Problems that broke an earlier state of the solvers: each must end right, and not claim more than is true."""

import warnings

import judged
import numpy as np
import problems
import pytest
from scipy.optimize import nnls

import l1fast


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def alike(seed, n, p, apart):
    """Columns that differ by `apart` from one column, some with the sign turned."""
    rng = np.random.default_rng(seed)
    X = rng.choice([-1.0, 1.0], p) * rng.standard_normal((n, 1)) + apart * rng.standard_normal((n, p))
    return X, rng.standard_normal(n)


@pytest.mark.parametrize("seed", range(12))
def test_non_negative_least_squares_on_columns_much_alike(seed):
    X, y = alike(seed, 20, 6, 1e-5)
    result = judged.solve(X, y, 0.0, positive=True)
    residual = nnls(X, y)[1]
    assert result.objective == pytest.approx(0.5 * residual**2, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_free_columns_much_alike_beside_penalised_ones(seed):
    X, y = alike(seed, 20, 6, 1e-6)
    X = np.c_[X, normal(seed + 100, 20, 2)]
    for positive in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", l1fast.ConvergenceWarning)  # the last digits may be out of reach
            result = judged.solve(X, y, 0.1, positive=positive, penalty_weights=np.r_[np.zeros(6), 1.0, 1.0])
        assert result.dual_gap < 1e-4


def test_a_free_column_that_is_nearly_constant():
    X, y = np.array([[9.0], [9.03125], [9.0]]), [1.0, 0.0, 0.0]
    for solver in ("cd", "fista"):
        chosen = {"fit_intercept": True, "sample_weight": [1.0, 0.5, 0.5], "penalty_weights": [0.0]}
        assert judged.solve(X, y, 0.02, solver=solver, tol=1e-8, **chosen).converged


def test_continuation_without_a_gram_matrix():
    X, y = normal(0, 200, 1000), normal(1, 200)
    result = judged.solve(X, y, 0.02 * l1fast.lam_max(X, y), solver=l1fast.CD(gram_limit=100))
    assert result.n_iter < 100
    assert "F order" in result.conversion


def test_one_row_and_more_columns_than_a_gram_matrix_takes():
    assert judged.solve(normal(0, 1, 3000), [1.0], 0.0).converged


@pytest.mark.parametrize("apart", [1e-3, 1e-6])
@pytest.mark.parametrize("ratio", [1e-1, 1e-3, 1e-5])
@pytest.mark.parametrize("sign", [1, -1])
def test_nearly_equal_and_opposite_columns(sign, ratio, apart):
    X, y = normal(2, 30, 20), normal(3, 30)
    X[:, 10:] = sign * X[:, :10] + apart * X[:, 10:]
    assert judged.solve(X, y, ratio * l1fast.lam_max(X, y), tol=1e-8).n_epochs < 1000


@pytest.mark.parametrize("offset", [1e2, 1e3, 1e4])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_offsets(fit_intercept, offset):
    X, y = normal(4, 30, 20) + offset, normal(5, 30)
    lam = 1e-4 * l1fast.lam_max(X, y, fit_intercept=fit_intercept)
    assert judged.solve(X, y, lam, tol=1e-8, fit_intercept=fit_intercept).n_epochs < 1000


def test_more_features_than_samples_and_hardly_a_penalty():
    X, y = normal(6, 5, 9), normal(7, 5)
    X[:, 1:8] = X[:, :1] + 1e-4 * X[:, 1:8]
    assert judged.solve(X, y, 1e-7 * l1fast.lam_max(X, y)).n_epochs < 10_000


def test_least_squares_on_two_columns_almost_the_same():
    a, y = normal(8, 60, 1), normal(9, 60)
    assert judged.solve(a + 1e-9 * normal(10, 60, 2), y, 0.0).converged


def test_an_l2_term_that_underflows_counts_as_none():
    X, y, small = normal(11, 30, 10), normal(12, 30), np.full(10, 1e-130)
    with_l2 = l1fast.solve(X, y, 1e129, l2=1e-200, penalty_weights=small)
    assert with_l2.objective == pytest.approx(l1fast.solve(X, y, 0.1).objective, rel=1e-6)


@pytest.mark.parametrize("size", [1e200, 1e308])
def test_a_start_out_of_this_world(size):
    X, y = normal(13, 30, 10), normal(14, 30)
    result = l1fast.solve(X, y, 0.1, start=np.full(10, size), fit_intercept=True)
    assert result.objective == pytest.approx(l1fast.solve(X, y, 0.1, fit_intercept=True).objective, rel=2e-6)


@pytest.mark.parametrize("solver", ["cd", "fista", "ista"])
def test_a_start_on_a_column_that_is_empty(solver):
    X, y = normal(15, 30, 10), normal(16, 30)
    X[:, 0] = 0.0
    assert judged.solve(X, y, 0.5, solver=solver, start=np.ones(10)).coef[0] == 0
    assert judged.solve(np.zeros((5, 2)), np.arange(5.0), 1.0, solver=solver, start=[1.0, 1.0]).n_iter == 0


def test_scores_of_tiny_problems_do_not_vanish():
    X, y = normal(17, 30, 10), normal(18, 30)
    expected = l1fast.solve(X, y, 0.1 * l1fast.lam_max(X, y))
    scaled = l1fast.solve(X * 1e-95, y * 1e-95, 0.1 * l1fast.lam_max(X * 1e-95, y * 1e-95))
    assert scaled.converged
    assert scaled.objective == pytest.approx(expected.objective * 1e-190, rel=2e-6)


def test_a_column_constant_up_to_rounding_has_no_say_beside_an_intercept():
    X, y = normal(19, 30, 11), normal(20, 30)
    X[:, 0] = 1e6
    assert l1fast.lam_max(X[:, :1], y, fit_intercept=True) == 0
    assert judged.solve(X, y, 1e-12, fit_intercept=True).coef[0] == 0


def test_fista_stops_where_every_step_is_tried_twice():
    X, y = problems.make(12, 7, density=0.7)
    X *= 10.0 ** np.linspace(-8, 8, 7)
    result = judged.solve(X, y, 0.1 * l1fast.lam_max(X, y), solver="fista", max_iter=10**9, time_limit=20.0)
    assert result.converged
    assert result.n_iter < 1000


def test_any_max_iter():
    X, y = normal(21, 30, 10), normal(22, 30)
    assert l1fast.solve(X, y, 0.1, solver="fista", max_iter=10**30).converged


def test_time_limit_while_the_gram_matrix_is_made():
    X, y = normal(23, 20000, 1200), normal(24, 20000)
    with pytest.warns(l1fast.ConvergenceWarning, match="time_limit"):
        result = l1fast.solve(X, y, 1.0, start=np.ones(1200), time_limit=0.01)
    assert result.status is l1fast.Status.TIME_LIMIT
    assert result.n_epochs == 0


def test_a_callback_that_spoils_the_target_does_not_reach_the_solve():
    X, y = normal(25, 60, 30), normal(26, 60)
    expected = l1fast.solve(X, y, 1.0).objective

    def spoil(state):
        y[:] = np.nan

    assert l1fast.solve(X, y, 1.0, callback=spoil).objective == expected


@pytest.mark.parametrize("seed", [23, 33, 36, 37])
@pytest.mark.parametrize("solver", ["subgradient", "ista"])
def test_a_residual_that_is_rounding_makes_no_dual_point(solver, seed):
    """Free columns fit y: what the fit leaves of a far start is noise, and was scaled up to a dual point."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(-24, 25, (4, 9)) / 8, rng.integers(-24, 25, 4) / 8
    options = {"penalty_weights": np.r_[np.zeros(5), np.ones(4)], "start": 3 * rng.standard_normal(9)}
    judged.quiet(X, y, 1.0, solver=solver, max_iter=3, fit_intercept=True, **options)


def test_free_columns_within_bounds_know_no_units():
    """The tolerance of the bounded least squares is absolute."""
    X, y, bound = normal(40, 6, 8), normal(41, 6), np.full(8, 0.1)
    options = {"penalty_weights": np.r_[np.zeros(4), np.ones(4)], "tol": 1e-12, "solver": "cd"}
    expected = judged.quiet(X, y, 0.1, bounds=(-bound, bound), **options)
    for unit in (2.0**-60, 2.0**60):
        found = judged.quiet(X, unit * y, 0.1 * unit, bounds=(-unit * bound, unit * bound), **options)
        np.testing.assert_array_equal(found.coef, unit * expected.coef)
