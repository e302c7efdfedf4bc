"""Every solver on every storage, precision and option; the referee judges each answer."""

import contextlib
import math
import warnings

import judged
import naive
import numpy as np
import problems
import pytest
import referee
import scipy.sparse

import l1fast

PRECISIONS = (np.float32, np.float64)
TOL = 1e-9


@pytest.fixture(scope="module")
def reference():
    """The small problem of most tests: X, y, lam and the coefficients that the naive twin finds."""
    X, y = problems.make()
    lam = problems.strength(X, y)
    coef, _ = naive.cyclic_cd(referee.Problem(X, y, lam), 300)
    return X, y, lam, coef.astype(np.float64)


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("storage", problems.STORAGES)
def test_storages(reference, storage, precision, solver):
    X, y, lam, coef = reference
    stored = problems.STORAGES[storage](X.astype(precision))
    result = judged.solve(stored, y, lam, judge_X=X, solver=solver, tol=TOL)
    np.testing.assert_allclose(result.coef, coef, atol=1e-4)


@pytest.mark.parametrize("storage", problems.STORAGES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_lam_max_of_storages(reference, storage, precision):
    X, y, _, _ = reference
    stored = problems.STORAGES[storage](X.astype(precision))
    before = problems.fingerprint(stored, y)
    assert l1fast.lam_max(stored, y) == pytest.approx(np.abs(X.T @ y).max(), rel=1e-13)
    assert problems.fingerprint(stored, y) == before


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("shape", [(60, 24), (24, 60)], ids=["tall", "wide"])
@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int64"])
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_options(option, storage, shape, solver):
    X, y = problems.make(*shape)
    chosen = {name: problems.read_only(np.array(value)) if isinstance(value, np.ndarray) else value
              for name, value in problems.options(option, *shape).items()}  # fmt: skip
    lam = problems.strength(X, y)
    judged.solve(problems.STORAGES[storage](X), y, lam, solver=solver, tol=TOL, **chosen)


SETTINGS = {
    "ista backtracking": lambda: l1fast.ISTA(step="backtracking"),
    "ista lipschitz": lambda: l1fast.ISTA(step="lipschitz"),
    "fista backtracking": lambda: l1fast.FISTA(step="backtracking"),
    "fista lipschitz": lambda: l1fast.FISTA(step="lipschitz"),
    "fista without restart": lambda: l1fast.FISTA(restart=False),
    "fista lipschitz without restart": lambda: l1fast.FISTA(step="lipschitz", restart=False),
    "cd": lambda: l1fast.CD(),
    "cd on columns": lambda: l1fast.CD(gram_limit=0),
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_solver_settings(reference, option, settings):
    X, y, lam, _ = reference
    judged.solve(X, y, lam, solver=SETTINGS[settings](), tol=TOL, **problems.options(option, *X.shape))


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_the_result_names_its_solver_and_the_reason(reference, solver):
    X, y, lam, _ = reference
    result = l1fast.solve(X, y, lam, solver=solver)
    assert result.solver in (*problems.SOLVERS[1:], "homotopy")
    assert result.solver == solver or solver == "auto"
    assert result.reason


@pytest.mark.parametrize("solver", ["auto", "fista", "cd"])
@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_tight_tolerance_in_both_precisions(storage, precision, solver):
    X, y = problems.make(200, 300, density=0.3)
    stored = problems.STORAGES[storage](X.astype(precision))
    judged.solve(stored, y, problems.strength(X, y), judge_X=X, solver=solver, tol=1e-10)


@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("ratio", [0.3, 0.03, 0.003])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_larger_than_one_working_set(ratio, precision, storage, fit_intercept):
    X, y = problems.make(150, 900, density=0.2)
    stored = problems.STORAGES[storage](X.astype(precision))
    judged.solve(stored, y, problems.strength(X, y, ratio), judge_X=X, tol=1e-8, fit_intercept=fit_intercept)


# Starts


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_start(reference, option, solver):
    X, y, lam, _ = reference
    chosen = problems.options(option, *X.shape) | {"solver": solver, "tol": TOL}
    cold = judged.solve(X, y, lam, **chosen)
    for start in (cold, problems.read_only(cold.coef.copy()), np.abs(np.linspace(-3, 3, X.shape[1]))):
        warm = judged.solve(X, y, lam, start=start, **chosen)
        np.testing.assert_allclose(warm.coef, cold.coef, atol=1e-4)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_a_start_at_the_optimum_saves_work(reference, solver):
    X, y, lam, _ = reference
    cold = l1fast.solve(X, y, lam, solver=solver, tol=1e-8)
    warm = l1fast.solve(X, y, lam, solver=solver, tol=1e-8, start=cold)
    assert warm.n_epochs < cold.n_epochs


# Bounds


def at_bounds(coef, bounds):
    """(how many coefficients are at a lower bound, and at an upper bound, that is not 0)."""
    return tuple(int(np.sum((coef == bound) & (coef != 0))) for bound in bounds)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("solver", [*problems.SOLVERS, "cd on columns"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ratio", [0.1, 0.01, 0.0])
def test_bounds_on_both_sides(ratio, seed, solver):
    X, y = problems.make(120, 60, seed=seed)
    bounds = problems.random_bounds(np.random.default_rng(seed), 60)
    chosen = SETTINGS[solver]() if solver in SETTINGS else solver
    lam = ratio * l1fast.lam_max(X, y, bounds=bounds)
    result = judged.solve(X, y, lam, solver=chosen, bounds=bounds, tol=TOL)
    assert result.converged
    assert min(at_bounds(result.coef, bounds)) > 0
    expected, _ = naive.cyclic_cd(referee.Problem(X, y, lam, bounds=bounds), 500)
    np.testing.assert_allclose(result.coef, expected.astype(float), atol=1e-4)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("ratio", [0.3, 0.03, 0.003])
@pytest.mark.parametrize("option", ["bounds", "bounds+l2", "free columns+bounds+intercept"])
def test_bounds_on_more_than_one_working_set(option, ratio, precision, storage):
    X, y = problems.make(150, 900, density=0.2)
    stored, chosen = problems.STORAGES[storage](X.astype(precision)), problems.options(option, *X.shape)
    assert judged.solve(stored, y, problems.strength(X, y, ratio), judge_X=X, tol=1e-8, **chosen).converged


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("option", ["plain", "intercept", "l2", "sample_weight", "penalty_weights", "free columns"])
@pytest.mark.parametrize("width", [1e2, 1e9, 1e300])
def test_bounds_out_of_reach_change_nothing(reference, width, option, solver):
    X, y, lam, _ = reference
    chosen = problems.options(option, *X.shape) | {"solver": solver, "tol": 1e-10}
    free = l1fast.solve(X, y, lam, **chosen)
    bounded = judged.solve(X, y, lam, bounds=(-width, np.full(X.shape[1], width)), **chosen)
    assert bounded.converged
    np.testing.assert_allclose(bounded.coef, free.coef, atol=1e-5)
    none = l1fast.solve(X, y, lam, bounds=(None, np.inf), **chosen)
    assert problems.fingerprint(none) == problems.fingerprint(free)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_positive_is_a_bound(reference, solver):
    X, y, lam, _ = reference
    positive = l1fast.solve(X, y, lam, positive=True, solver=solver)
    for bounds in ((0, None), (0.0, np.inf), [np.zeros(X.shape[1]), None], (-0.0, np.full(X.shape[1], np.inf))):
        assert problems.fingerprint(l1fast.solve(X, y, lam, bounds=bounds, solver=solver)) == problems.fingerprint(
            positive
        )
        assert l1fast.lam_max(X, y, bounds=bounds) == l1fast.lam_max(X, y, positive=True)


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("free", [False, True])
def test_bounds_that_leave_no_room(reference, free, solver):
    X, y, lam, _ = reference
    weights = np.zeros(X.shape[1]) if free else None
    result = judged.solve(X, y, lam, bounds=(0, 0), penalty_weights=weights, fit_intercept=True, solver=solver)
    assert result.converged
    assert not result.coef.any()
    assert l1fast.lam_max(X, y, bounds=(0, 0)) == 0


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_a_start_is_moved_into_the_bounds(reference, solver):
    X, y, lam, _ = reference
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        result = l1fast.solve(X, y, lam, bounds=(-0.25, 0.5), start=np.linspace(-3, 3, X.shape[1]), solver=solver,
                              max_iter=0, callback=lambda state: seen.append(state.objective))  # fmt: skip
    start = np.clip(np.linspace(-3, 3, X.shape[1]), -0.25, 0.5)
    assert (result.coef == start).all()
    assert seen[0] == pytest.approx(float(referee.Problem(X, y, lam).objective(start, 0)), rel=1e-12)


@pytest.mark.parametrize("bound", [1e-300, 1e-20, 1e-320])
@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_tiny_bounds(reference, bound, solver):
    X, y, lam, _ = reference
    result = judged.solve(X, y, lam, bounds=(-bound, bound), solver=solver, tol=1e-12)
    assert (np.abs(result.coef[result.coef != 0]) == bound).all()


@pytest.mark.parametrize("bound", [1e-320, 1e-20, 0.1, 1e30, 1e308])
@pytest.mark.parametrize("of_X", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_bounds_of_every_size_on_free_columns(reference, of_X, bound, solver):
    X, y, _, _ = reference
    half = np.where(np.arange(X.shape[1]) % 2 == 0, bound, np.inf)
    for weights in (np.zeros(X.shape[1]), np.arange(X.shape[1]) % 3):
        chosen = {"bounds": (0, half), "penalty_weights": weights, "solver": solver, "tol": 1e-8}
        assert judged.solve(of_X * X, y, of_X, **chosen).converged
        l1fast.lam_max(of_X * X, y, bounds=(-half, half[::-1]), penalty_weights=weights)


# Strengths


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_lam_max(reference, option, solver):
    X, y, _, _ = reference
    chosen = problems.options(option, *X.shape)
    largest = l1fast.lam_max(X, y, **{name: value for name, value in chosen.items() if name != "l2"})
    assert type(largest) is float
    assert largest == pytest.approx(float(naive.lam_max(referee.Problem(X, y, 1, **chosen))), rel=1e-9)

    penalised = chosen.get("penalty_weights", np.ones(X.shape[1])) > 0
    for lam in (largest, 1.5 * largest, 1e6 * largest):
        result = judged.solve(X, y, lam, solver=solver, tol=1e-10, **chosen)
        assert (result.coef[penalised] == 0).all()
    # at (1 - e) lam_max, zero is about e^2 from optimal: 1e-3 makes it visible above the tolerance
    result = judged.solve(X, y, (1 - 1e-3) * largest, solver=solver, tol=1e-10, **chosen)
    assert (result.coef[penalised] != 0).any()


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_no_penalty_is_least_squares(storage, solver, fit_intercept):
    X, y = problems.make(60, 8)
    result = judged.solve(problems.STORAGES[storage](X), y, 0.0, solver=solver, tol=1e-12, fit_intercept=fit_intercept)
    design = np.column_stack([X, np.ones(len(y))]) if fit_intercept else X
    expected, *_ = np.linalg.lstsq(design, y, rcond=None)
    np.testing.assert_allclose(result.coef, expected[:8], rtol=1e-4)
    np.testing.assert_allclose(result.intercept, expected[8] if fit_intercept else 0, rtol=1e-4)


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("shape", [(12, 40), (40, 12)], ids=["interpolating", "rank-deficient"])
def test_no_penalty_without_a_unique_answer(shape, solver):
    X, y = problems.make(*shape, density=1)
    X[:, -1] = X[:, 0] - X[:, 1]
    judged.solve(X, y, 0.0, solver=solver, tol=1e-8)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_ridge_alone(solver):
    X, y = problems.make()
    result = judged.solve(X, y, 0.0, l2=3.0, solver=solver, tol=1e-12)
    expected = np.linalg.solve(X.T @ X + 3 * np.eye(X.shape[1]), X.T @ y)
    np.testing.assert_allclose(result.coef, expected, atol=1e-5)


# Degenerate problems


def degenerate(name):
    """X, y and options of the problems that divide by zero in careless code."""
    X, y = problems.make(20, 6, density=1)
    zero_column, constant_column = X.copy(), X.copy()
    zero_column[:, [0, 5]] = 0
    constant_column[:, 2] = 3
    return {
        "one row": (X[:1], y[:1], {}),
        "one row, intercept": (X[:1], y[:1], {"fit_intercept": True}),
        "one column": (X[:, :1], y, {}),
        "one row and column": (X[:1, :1], y[:1], {}),
        "no columns": (X[:, :0], y, {}),
        "no columns, intercept": (X[:, :0], y, {"fit_intercept": True}),
        "much wider": (*problems.make(3, 400, density=1), {}),
        "much wider, intercept": (*problems.make(3, 400, density=1), {"fit_intercept": True}),
        "zero columns": (zero_column, y, {}),
        "zero free column": (zero_column, y, {"penalty_weights": np.arange(6.0)}),
        "constant column": (constant_column, y, {}),
        "constant column, intercept": (constant_column, y, {"fit_intercept": True}),
        "free constant column, intercept": (
            constant_column, y, {"fit_intercept": True, "penalty_weights": (np.arange(6) != 2) * 1.0},
        ),
        "duplicate columns": (np.hstack([X, X, X[:, :2]]), y, {}),
        "opposite columns": (np.hstack([X, -X]), y, {}),
        "opposite columns, positive": (np.hstack([X, -X]), y, {"positive": True}),
        "duplicate free columns": (np.hstack([X, X]), y, {"penalty_weights": (np.arange(12) % 6 > 0) * 1.0}),
        "only free columns": (X, y, {"penalty_weights": np.zeros(6)}),
        "more free columns than rows": (X[:4], y[:4], {"penalty_weights": np.zeros(6)}),
        "nearly duplicate columns": (np.hstack([X, X * (1 + 1e-6 * np.sign(X))]), y, {}),
        "zero X": (0 * X, y, {}),
        "zero X, intercept": (0 * X, y, {"fit_intercept": True}),
        "zero y": (X, 0 * y, {}),
        "zero y, intercept": (X, 0 * y, {"fit_intercept": True}),
        "zero X and y": (0 * X, 0 * y, {}),
        "constant y, intercept": (X, 0 * y + 4.25, {"fit_intercept": True}),
        "constant y not exact in binary, intercept": (X, 0 * y + 0.1, {"fit_intercept": True}),
        "constant y": (X, 0 * y + 4.25, {}),
        "y far from zero, intercept": (X, y + 1e6, {"fit_intercept": True}),
        "X far from zero, intercept": (X + 1000, y, {"fit_intercept": True}),
        "columns of many scales": (X * 10.0 ** np.arange(-4, 8, 2), y, {}),
        "negative y, positive": (np.abs(X), -np.abs(y), {"positive": True}),
        "one kept row": (X, y, {"sample_weight": (np.arange(20) == 7) * 1.0}),
        "one kept row, intercept": (X, y, {"sample_weight": (np.arange(20) == 7) * 1.0, "fit_intercept": True}),
        "weights of many scales": (X, y, {"sample_weight": 10.0 ** np.linspace(-8, 2, 20)}),
        "separate rows and columns": (np.eye(20, 6), y, {}),
    }[name]  # fmt: skip


DEGENERATE = (
    *("one row", "one row, intercept", "one column", "one row and column", "no columns", "no columns, intercept"),
    *("much wider", "much wider, intercept", "zero columns", "zero free column", "constant column"),
    *("constant column, intercept", "free constant column, intercept", "duplicate columns", "opposite columns"),
    *("opposite columns, positive", "duplicate free columns", "only free columns", "more free columns than rows"),
    *("zero X", "zero X, intercept", "zero y", "zero y, intercept", "zero X and y"),
    *("constant y, intercept", "constant y not exact in binary, intercept", "constant y"),
    *("y far from zero, intercept", "negative y, positive", "one kept row", "one kept row, intercept"),
    *("weights of many scales", "separate rows and columns"),
)
HARD_FOR_FIRST_ORDER = ("X far from zero, intercept", "columns of many scales", "nearly duplicate columns")


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("storage", ["F", "csr_array int32"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate(name, storage, solver):
    X, y, chosen = degenerate(name)
    lam = problems.strength(X, y, 0.05)
    judged.solve(problems.STORAGES[storage](X), y, lam, solver=solver, tol=1e-8, **chosen)


@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
@pytest.mark.parametrize("name", HARD_FOR_FIRST_ORDER)
@pytest.mark.parametrize("solver", ["auto", "cd"])
def test_badly_scaled(name, storage, solver):
    X, y, chosen = degenerate(name)
    lam = 0.01 * l1fast.lam_max(X, y, **chosen)
    judged.solve(problems.STORAGES[storage](X), y, lam, solver=solver, tol=1e-8, **chosen)


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["F", "csr_array int32"])
@pytest.mark.parametrize("solver", ["ista", "fista"])
def test_slow_progress_is_not_called_none(solver, storage):
    """Where only small steps are possible the gap still shrinks: rounding errors are not to blame."""
    X, y, _ = degenerate("nearly duplicate columns")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        result = judged.solve(problems.STORAGES[storage](X), y, problems.strength(X, y, 0.05), solver=solver, tol=1e-8)
    assert result.status in (l1fast.Status.CONVERGED, l1fast.Status.ITERATION_LIMIT)


@pytest.mark.parametrize("storage", ["F", "csr_array int32"])
def test_constant_target_needs_no_coefficient(storage):
    X, _ = problems.make()
    result = l1fast.solve(problems.STORAGES[storage](X), np.full(len(X), 0.1), 1e-3, fit_intercept=True)
    assert result.converged
    assert not result.coef.any()
    assert result.intercept == pytest.approx(0.1, rel=1e-15)


# Scales

SCALES = (1e-20, 1.0, 1e20)


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("storage", ["F", "csr_array int32"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("of_y", SCALES)
@pytest.mark.parametrize("of_X", SCALES)
def test_scales(reference, of_X, of_y, precision, storage, solver):
    X, y, lam, coef = reference
    stored = problems.STORAGES[storage]((X * of_X).astype(precision))
    result = judged.solve(stored, y * of_y, lam * of_X * of_y, solver=solver, tol=TOL)
    np.testing.assert_allclose(result.coef * of_X / of_y, coef, atol=1e-4)


EXTREMES = (1e-200, 1e-170, 1e-150, 1.0, 1e150, 1e200)


def extreme_solve(X, y, lam, solver, **options):
    """Solve, and either the answer is right or the refusal is explicit."""
    with contextlib.suppress(ValueError):
        judged.solve(X, y, lam, solver=solver, tol=1e-8, **options)


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp < 16384, reason="the referee needs the range of longdouble")
@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight"])
@pytest.mark.parametrize("of_y", EXTREMES)
@pytest.mark.parametrize("of_X", EXTREMES)
def test_extreme_scales(reference, of_X, of_y, option, solver):
    X, y, lam, _ = reference
    chosen = problems.options(option, *X.shape)
    lam = float(np.longdouble(lam) * of_X * of_y)
    if math.isfinite(lam):
        extreme_solve(X * of_X, y * of_y, lam, solver, **chosen)
    extreme_solve(X * of_X, y * of_y, 0.0, solver, **chosen)


@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight"])
@pytest.mark.parametrize("of_y", EXTREMES)
@pytest.mark.parametrize("of_X", EXTREMES)
def test_lam_max_at_extreme_scales(reference, of_X, of_y, option):
    X, y, _, _ = reference
    chosen = problems.options(option, *X.shape)
    with contextlib.suppress(ValueError):
        found = l1fast.lam_max(X * of_X, y * of_y, **chosen)
        assert found == pytest.approx(l1fast.lam_max(X, y, **chosen) * of_X * of_y, rel=1e-12)


@pytest.mark.parametrize("solver", ["auto", "cd"])
@pytest.mark.parametrize("scale", [1e-170, 1e-90, 1e90, 1e170])
def test_one_column_at_an_extreme_scale(reference, scale, solver):
    """An unpenalised column matters at any scale."""
    X, y, lam, _ = reference
    X, weights = X.copy(), np.ones(X.shape[1])
    X[:, 3] *= scale
    weights[3] = 0
    extreme_solve(X, y, lam, solver, penalty_weights=weights)


@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_subnormal_numbers(reference, solver):
    X, y, _, _ = reference
    extreme_solve(X * 5e-324, y, 0.0, solver)
    extreme_solve((X * 1e-45).astype(np.float32), y, 0.0, solver)
    extreme_solve(X, y * 5e-324, 0.0, solver)


# Repeatable, whatever the threads


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_repeatable_bit_for_bit(storage, solver, n_threads):
    X, y = problems.make(200, 300, density=0.3)
    stored, lam = problems.STORAGES[storage](X), problems.strength(X, y)
    first, second = (l1fast.solve(stored, y, lam, solver=solver, n_threads=n_threads) for _ in range(2))
    assert problems.fingerprint(first) == problems.fingerprint(second)
    for name in ("intercept", "objective", "dual_gap", "violation", "n_iter", "n_epochs", "status"):
        assert getattr(first, name) == getattr(second, name)


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("storage", ["C", "F", "csr_array int32", "csc_array int32"])
def test_thread_counts_agree(storage, solver):
    X, y = problems.make(300, 200, density=0.3)
    stored, lam = problems.STORAGES[storage](X), problems.strength(X, y)
    one, two = (judged.solve(stored, y, lam, solver=solver, tol=1e-12, fit_intercept=True, n_threads=n) for n in (1, 2))
    np.testing.assert_allclose(one.coef, two.coef, atol=1e-6)
    assert one.objective == pytest.approx(two.objective, rel=1e-11)


def test_float32_and_float64_answers_agree():
    X, y = problems.make(100, 150)
    lam = problems.strength(X, y)
    single, double = (l1fast.solve(X.astype(precision), y, lam, tol=1e-12) for precision in PRECISIONS)
    np.testing.assert_allclose(single.coef, double.coef, atol=1e-6)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_sparse_without_entries(kind, fit_intercept):
    empty, spare = kind((5, 3)), kind((5, 3))
    spare.data, spare.indices = np.ones(4), np.ones(4, np.int32)  # room for entries, and none in use
    for X in (empty, spare):
        assert not judged.solve(X, np.arange(5.0), 0.1, fit_intercept=fit_intercept).coef.any()


@pytest.mark.parametrize("kind", ["C", "csr"])
def test_memory_limit(kind):
    """No room for copies of X: the Gram matrix stays small, FISTA finishes, and the Result says so."""
    X, y = problems.make(200, 400, density=0.3)
    X = X if kind == "C" else scipy.sparse.csr_array(X)
    lam = 0.01 * l1fast.lam_max(X, y)
    free = judged.solve(X, y, lam, solver="cd")
    held = judged.solve(X, y, lam, solver="cd", memory_limit=20 * 30**2)
    roomy = judged.solve(X, y, lam, solver="cd", memory_limit=10**9)
    assert "memory_limit" in held.conversion
    assert free.conversion == roomy.conversion == ""
    assert np.array_equal(free.coef, roomy.coef)
    assert l1fast.CD(memory_limit=20 * 30**2).gram_limit == 30
    path = judged.path(X, y, lams=[2 * lam, lam], solver="cd", memory_limit=20 * 30**2)
    assert path.converged
    assert "memory_limit" in path.conversion
    for bad in (-1, 1.5, True, "1 GB"):
        with pytest.raises((TypeError, ValueError), match="memory_limit"):
            l1fast.solve(X, y, lam, memory_limit=bad)
