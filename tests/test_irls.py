"""Iteratively reweighted least squares: its systems, its steps, and every option, judged by the referee."""

import itertools
import math
import signal
import warnings

import hypothesis
import hypothesis.strategies as st
import judged
import numpy as np
import problems
import pytest
import referee
import scipy.sparse
from test_cvxpy import cvxpy_objective
from test_large_support import centred, made

import l1fast
from l1fast import _irls
from l1fast._monitor import Monitor

Status = l1fast.Status
TOL = 1e-9
SUITED = [name for name in problems.OPTIONS if "bounds" not in name and "positive" not in name and name != "all"]
ALL = {"l2": 2.5, "fit_intercept": True}  # beside both kinds of weights
INNER = ("cholesky", "cg", "auto")
SHAPES = {"tall": (60, 24), "wide": (24, 60)}
FEW_STORAGES = ["C", "F", "csr_array int32", "csc_array int64"]
PACKED = ["C", "F", "csr", "csc wide"]


def suited(option, n, p):
    """The options of that name, or all that irls takes at once."""
    if option == "all but bounds":
        weights = ("sample_weight", "free columns")
        return {name: value for some in weights for name, value in problems.options(some, n, p).items()} | ALL
    return problems.options(option, n, p)


OPTIONS = [*SUITED, "all but bounds"]


def prepared(option, n, p, ratio=0.1, storage="F"):
    """The problem as a solver takes it, and as the referee does."""
    X, y = problems.make(n, p)
    return made(X, y, problems.strength(X, y, ratio), storage, **suited(option, n, p))


class Recorder(Monitor):
    """A Monitor that keeps every iterate it is shown, with its objective and gap."""

    def __call__(self, iteration, objective, gap, w):
        self.seen = [*getattr(self, "seen", []), (w.copy(), objective, gap)]
        return super().__call__(iteration, objective, gap, w)


def iterates(problem, settings, max_iter, start=None):
    """Every iterate, the start first."""
    monitor = Recorder(0.0, problem.scale, 0.0)
    w = np.zeros(problem.shape[1]) if start is None else start
    settings.run(problem, w, max_iter, monitor)
    return [w for w, _, _ in monitor.seen]


def smoothed(truth, w, floor):
    """F_floor: F with Huber's function in place of |.|."""
    size = np.abs(w)
    huber = np.where(size <= floor, size**2 / (2 * floor), size - floor / 2)
    return truth.objective(w, truth.best_intercept(w)) + truth.lam * (truth.v @ (huber - size))


def matrix(truth, h):
    """X'SX + diag(h), X centred, and X'S y."""
    X = centred(truth).astype(float)
    s, y = truth.s.astype(float), truth.null_residual().astype(float)
    return X.T @ (s[:, None] * X) + np.diag(h), X.T @ (s * y)


def curvatures(truth, w, floor):
    """h of a step from w."""
    return (truth.v * (truth.lam / np.maximum(np.abs(w), floor) + truth.l2)).astype(float)


@pytest.fixture
def few(monkeypatch):
    """Tell columns that count from the others however few there are."""
    monkeypatch.setattr(_irls, "FEW_COLUMNS", 0)


# ---------------------------------------------------------------- the answers


@pytest.mark.thinned(3)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("storage", FEW_STORAGES)
@pytest.mark.parametrize("inner", INNER[:2])
@pytest.mark.parametrize("shape", SHAPES)
def test_options(few, option, storage, inner, shape):
    X, y = problems.make(*SHAPES[shape])
    chosen = suited(option, *SHAPES[shape])
    stored, lam = problems.STORAGES[storage](X), problems.strength(X, y)
    result = judged.solve(stored, y, lam, solver=l1fast.IRLS(inner), tol=TOL, **chosen)
    assert result.converged
    assert result.solver == "irls"


@pytest.mark.thinned(3)
@pytest.mark.parametrize("storage", problems.STORAGES)
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_storages(storage, precision):
    X, y = problems.make(30, 100)
    stored = problems.STORAGES[storage](X.astype(precision))
    for inner in INNER[:2]:
        solver = l1fast.IRLS(inner)
        result = judged.solve(stored, y, problems.strength(X, y, 0.05), judge_X=X, solver=solver, tol=TOL)
        assert result.converged


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("ratio", [0.3, 0.02])
def test_cvxpy_agrees(option, ratio):
    X, y = problems.make(15, 40, density=0.8)
    chosen, lam = suited(option, 15, 40), problems.strength(X, y, ratio)
    problem = referee.Problem(X, y, lam, **chosen)
    result = judged.solve(X, y, lam, solver="irls", tol=1e-10, **chosen)
    scale = float(problem.scale())
    assert result.objective == pytest.approx(cvxpy_objective(problem), rel=1e-7, abs=1e-7 * scale)


@pytest.mark.parametrize("option", ["plain", "intercept", "penalty_weights", "free columns", "l2", "all but bounds"])
@pytest.mark.parametrize("floor", [0.3, 1e-2, 1e-5])
def test_a_fixed_floor_errs_by_what_is_proven(option, floor):
    """F at the minimiser of F_floor is at most lam sum_j v_j floor/2 above the least F."""
    X, y = problems.make(40, 15, density=0.8)
    chosen, lam = suited(option, 40, 15), problems.strength(X, y)
    truth = referee.Problem(X, y, lam, **chosen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        solver = l1fast.IRLS(floor=floor, continuation=False)
        result = judged.solve(X, y, lam, solver=solver, tol=1e-14, time_limit=30, **chosen)
    assert result.status in (Status.NO_PROGRESS, Status.CONVERGED)
    least, scale = cvxpy_objective(truth), float(truth.scale())
    assert -1e-9 * scale <= result.objective - least <= lam * float(truth.v.sum()) * floor / 2 + 1e-9 * scale
    if option in ("plain", "intercept", "penalty_weights"):
        size = np.abs(result.coef)
        expected = lam * float(truth.v @ (size * (1 - np.minimum(1, size / floor))))
        assert result.dual_gap * scale == pytest.approx(expected, rel=1e-5, abs=1e-10 * scale)


@pytest.mark.parametrize("settings", [{}, {"inner": "cg"}, {"conjugate": False}, {"floor": 1e-13}])
def test_tight_gaps_are_in_reach(settings):
    X, y = problems.make(80, 30, density=0.6)
    result = judged.solve(X, y, problems.strength(X, y, 0.05), solver=l1fast.IRLS(**settings), tol=1e-12)
    assert result.converged


def test_without_continuation_the_floor_is_what_tol_asks_for():
    X, y = problems.make(60, 24)
    result = judged.solve(X, y, problems.strength(X, y), solver=l1fast.IRLS(continuation=False), tol=1e-6)
    assert result.converged


def test_wide_and_large_enough_for_every_way():
    """More columns than are solved for together at once: what does not count is left out, later most of it."""
    X, y = problems.make(60, 900, density=0.3)
    lam = 0.02 * l1fast.lam_max(X, y, fit_intercept=True)
    for stored in (X, np.asfortranarray(X), scipy.sparse.csr_array(X), scipy.sparse.csc_array(X)):
        for inner in INNER:
            assert judged.solve(stored, y, lam, solver=l1fast.IRLS(inner), tol=1e-8, fit_intercept=True).converged


# ---------------------------------------------------------------- the steps


@pytest.mark.parametrize("option", ["plain", "penalty_weights", "free columns", "all but bounds"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("inner", INNER)
def test_the_textbook_agrees(option, shape, inner):
    """Twenty steps of a loop in NumPy with the same fixed floor."""
    problem, truth = prepared(option, *SHAPES[shape])
    floor = 1e-3
    settings = l1fast.IRLS(inner, floor, continuation=False, conjugate=False, accuracy=1e-13)
    w, steps = np.zeros(problem.shape[1]), iterates(problem, settings, 20)
    assert len(steps) == 21
    for step in steps[1:]:
        w = np.linalg.solve(*matrix(truth, curvatures(truth, w, floor)))
        np.testing.assert_allclose(step, w, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("conjugate", [False, True])
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("option", ["plain", "free columns", "all but bounds"])
@pytest.mark.parametrize("accuracy", [0.9, 1e-3])
def test_no_step_raises_what_it_bounds(few, conjugate, inner, option, accuracy):
    """Whatever the inner solver, its accuracy, the columns left out, and the start."""
    problem, truth = prepared(option, 30, 80, 0.03)
    start = np.random.default_rng(0).standard_normal(80)
    for floor, w in itertools.product((1.0, 1e-2, 1e-6), (None, start)):
        solver = l1fast.IRLS(inner, floor, continuation=False, conjugate=conjugate, accuracy=accuracy)
        values = [float(smoothed(truth, w, floor)) for w in iterates(problem, solver, 30, w)]
        rounding = 1e-13 * (float(truth.scale()) + values[0])
        assert (np.diff(values) <= rounding).all()
        assert values[-1] < values[0]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("storage", PACKED)
@pytest.mark.parametrize("shape", SHAPES)
def test_systems(option, storage, shape):
    """Every way solves (X'SX + diag(h)) d = r; the residual is made in NumPy."""
    problem, truth = prepared(option, *SHAPES[shape], storage=storage)
    p = problem.shape[1]
    rng = np.random.default_rng(1)
    w = rng.standard_normal(p) * 10.0 ** rng.integers(-6, 1, p)
    h = curvatures(truth, w, 1e-8)
    M, _ = matrix(truth, h)
    r = M @ rng.standard_normal(p)
    counted = np.arange(p)
    system = _irls.System(problem, l1fast.IRLS(accuracy=1e-14), Monitor(0.0, 1.0, 0.0))
    ways = {"gram": system.by_gram, "cg": system.by_products}
    if h.all():
        ways["dual"] = system.by_dual
    size = 1.0 / np.sqrt(np.diag(M))
    for name, way in ways.items():
        d = way(counted, h, r)
        assert np.abs(size * (M @ d - r)).max() <= 1e-8 * np.abs(size * r).max(), name


@pytest.mark.parametrize("storage", PACKED)
@pytest.mark.parametrize("option", ["plain", "all but bounds"])
def test_systems_of_some_columns(storage, option, monkeypatch):
    """The sets change, grow, and shrink; panels and copies are made for them."""
    problem, truth = prepared(option, 40, 60, storage=storage)
    p = problem.shape[1]
    monkeypatch.setattr(_irls, "PANEL", 200)
    monkeypatch.setattr(_irls, "FEW_COLUMNS", 0)
    monitor, rng = Monitor(0.0, 1.0, 0.0), np.random.default_rng(2)
    system = _irls.System(problem, l1fast.IRLS(accuracy=1e-14), monitor)
    h = 10.0 ** rng.uniform(-2, 4, p)
    M, _ = matrix(truth, h)
    held = []
    for count in (5, 9, 20, 3, 60, 20, 2, 40, 1):
        counted = np.sort(rng.choice(p, count, replace=False))
        r = rng.standard_normal(count)
        exact = np.linalg.solve(M[np.ix_(counted, counted)], r)
        for way in (system.by_gram, system.by_products, system.by_dual):
            np.testing.assert_allclose(way(counted, h[counted], r), exact, rtol=1e-7, atol=1e-9 * np.abs(exact).max())
        held.append(len(system.working.members))
    assert held[3] < held[2]  # made anew
    assert held[4:] == [60] * 5  # nothing new
    d = rng.standard_normal(p)
    np.testing.assert_allclose(system.multiply(d), (M - np.diag(h)) @ d, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("option", ["plain", "all but bounds"])
def test_what_does_not_count_is_bounded(option):
    """diag(e) - X'SX is positive semidefinite, and by no more than its margin."""
    problem, truth = prepared(option, 60, 300, storage="csr wide")
    system = _irls.System(problem, l1fast.IRLS(), Monitor(0.0, 1.0, 0.0))
    M, _ = matrix(truth, np.zeros(300))
    scale = 1.0 / np.sqrt(system.most)
    largest = np.linalg.eigvalsh(scale[:, None] * M * scale)[-1]
    assert 0.5 < largest < 1.0


def test_a_step_of_both_kinds_of_columns(few):
    """Those that count are solved for exactly, the others go (h + e)^-1 r."""
    problem, truth = prepared("sample_weight+intercept", 30, 80)
    system = _irls.System(problem, l1fast.IRLS(), Monitor(0.0, 1.0, 0.0))
    rng = np.random.default_rng(3)
    h, r = system.most * 10.0 ** rng.uniform(-3, 3, 80), rng.standard_normal(80)
    counted = h < system.most
    assert 10 < counted.sum() < 70
    M, _ = matrix(truth, h)
    d = system.solve(h, r)
    np.testing.assert_allclose(d[~counted], (r / (h + system.most))[~counted], rtol=1e-14)
    exact = np.linalg.solve(M[np.ix_(counted, counted)], r[counted])
    np.testing.assert_allclose(d[counted], exact, rtol=1e-9, atol=1e-12)


def test_ways():
    """Small factors for few columns or samples, conjugate gradients for the rest; no 1/h without a penalty."""

    def way(shape, inner="auto", free=False, memory_limit=None):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
        weights = (np.arange(shape[1]) >= free) * 1.0
        problem, _ = made(X, y, 1.0, penalty_weights=weights)
        system = _irls.System(problem, l1fast.IRLS(inner, memory_limit=memory_limit), Monitor(0.0, 1.0, 0.0))
        return system.way(np.arange(shape[1]), weights)

    assert way((300, 40)) == "gram"
    assert way((20, 400)) == "dual"
    assert way((150, 290)) == "cg"
    assert way((150, 290), "cholesky") == "gram"
    assert way((150, 290), "cg") == way((300, 40), "cg") == "cg"
    assert way((20, 400), free=True) == "cg"
    assert way((20, 400), "cholesky", free=True) == "gram"
    assert way((300, 40), memory_limit=1000) == way((20, 400), memory_limit=1000) == "cg"
    assert way((20, 400), memory_limit=10**6) == "dual"


def test_singular_matrices_are_not_factored():
    ones = np.ones((3, 3))
    assert _irls.positive_solve(ones.copy(), np.zeros(3), np.ones(3)) is None
    assert _irls.positive_solve(-ones, np.zeros(3), np.ones(3)) is None
    np.testing.assert_allclose(_irls.positive_solve(ones.copy(), np.ones(3), np.ones(3)), np.full(3, 0.25))


@hypothesis.given(st.integers(0, 10**6))
def test_lowest_point_of_a_line(seed):
    """Against brute force over the kinks and what lies between them."""
    rng = np.random.default_rng(seed)
    p, floor = int(rng.integers(1, 8)), float(10.0 ** rng.integers(-6, 2))
    A, y = rng.standard_normal((4, p)), rng.standard_normal(4)
    w, l1, l2 = rng.standard_normal(p), rng.random(p) * (rng.random(p) < 0.8), rng.random(p) * (rng.random(p) < 0.5)

    def value(t):
        u = w + t * direction
        size = np.abs(u)
        huber = np.where(size <= floor, size**2 / (2 * floor), size - floor / 2)
        return 0.5 * np.sum((A @ u - y) ** 2) + l1 @ huber + l2 @ u**2 / 2

    slope = A.T @ (A @ w - y) + l1 * np.clip(w / floor, -1, 1) + l2 * w
    direction = -slope * rng.random(p)
    descent, curvature = float((A.T @ (A @ w - y)) @ direction), float(np.sum((A @ direction) ** 2))
    t = _irls.lowest(w, direction, l1, l2, floor, descent, curvature)
    assert math.isfinite(t) and t >= 0
    drop = value(0.0) - value(t)
    assert drop >= -1e-14 * value(0.0)
    others = np.concatenate([np.linspace(0, 4 * t + 1e-3, 400), -w / np.where(direction == 0, 1, direction)])
    best = min(value(u) for u in others[others >= 0])
    assert value(t) <= best + 1e-3 * (value(0.0) - best) + 1e-13 * value(0.0)


def test_uphill_lines_are_not_followed():
    assert _irls.lowest(np.ones(2), np.ones(2), np.ones(2), np.zeros(2), 0.1, 1.0, 1.0) == 0.0


def test_conjugate_directions_need_fewer_steps():
    X, y = problems.make(60, 150, density=1.0)
    lam = problems.strength(X, y, 0.05)
    turned, textbook = (l1fast.solve(X, y, lam, solver=l1fast.IRLS(conjugate=c), tol=1e-6) for c in (True, False))
    assert turned.converged and textbook.converged
    assert 3 * turned.n_iter < textbook.n_iter


# ---------------------------------------------------------------- what it is told, and what it tells


@pytest.mark.parametrize("lam", [0.0, 1e-9])
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("shape", [(60, 8), (12, 40), (40, 12)])
def test_no_penalty(lam, inner, shape):
    """Also where the answer is not unique: the last column is made of two others."""
    X, y = problems.make(*shape, density=1)
    if shape != (60, 8):
        X[:, -1] = X[:, 0] - X[:, 1]
    for chosen in ({}, {"l2": 3.0}, {"fit_intercept": True}):
        result = judged.solve(X, y, lam, solver=l1fast.IRLS(inner), tol=1e-10, **chosen)
        assert result.converged
        if chosen == {"l2": 3.0} and not lam:
            expected = np.linalg.solve(X.T @ X + 3 * np.eye(shape[1]), X.T @ y)
            np.testing.assert_allclose(result.coef, expected, atol=1e-5)


@pytest.mark.parametrize("inner", INNER)
def test_largest_strength(inner):
    """At lam_max the start is the answer, a hair below it is not: 0 is no trap."""
    X, y = problems.make(40, 30)
    largest = l1fast.lam_max(X, y)
    at, below = (judged.solve(X, y, lam, solver=l1fast.IRLS(inner), tol=1e-10) for lam in (largest, 0.999 * largest))
    assert not at.coef.any()
    assert at.n_iter == 0
    assert below.converged
    assert below.coef.any()


@pytest.mark.parametrize("chosen", [{"positive": True}, {"bounds": (-1.0, 1.0)}, {"bounds": (None, np.ones(24))}])
def test_bounds_are_refused(chosen):
    X, y = problems.make()
    with pytest.raises(ValueError, match=r"irls has no bounds .* solver='cd' or solver='fista'"):
        l1fast.solve(X, y, 1.0, solver="irls", **chosen)
    assert judged.solve(X, y, 1.0, solver="irls", bounds=(None, np.inf)).converged


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inner": "lu"}, "inner must be 'auto', 'cholesky' or 'cg', got 'lu'"),
        ({"floor": 0.0}, "floor must be a number above 0, or None, got 0.0"),
        ({"floor": math.nan}, "floor must be"),
        ({"floor": math.inf}, "floor must be"),
        ({"accuracy": 0.0}, "accuracy must lie between 0 and 1, got 0.0"),
        ({"accuracy": 1.0}, "accuracy must"),
        ({"memory_limit": -1}, "memory_limit must be"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        l1fast.IRLS(**settings)


@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_iteration_limit(max_iter):
    X, y = problems.make()
    with pytest.warns(l1fast.ConvergenceWarning, match="raise max_iter"):
        result = judged.solve(X, y, problems.strength(X, y), solver="irls", max_iter=max_iter, tol=1e-12)
    assert result.status is Status.ITERATION_LIMIT
    assert result.n_iter == max_iter


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("storage", FEW_STORAGES)
def test_time_limit(inner, storage):
    """At the start, and in the middle of a system that is far from solved."""
    X, y = problems.make(300, 900)
    stored, lam = problems.STORAGES[storage](X), problems.strength(X, y, 1e-3)
    for limit in (1e-9, 0.05):
        solver = l1fast.IRLS(inner, accuracy=1e-15)
        with pytest.warns(l1fast.ConvergenceWarning, match="raise time_limit"):
            result = judged.solve(stored, y, lam, solver=solver, tol=1e-14, time_limit=limit)
        assert result.status is Status.TIME_LIMIT


@pytest.mark.parametrize("conjugate", [True, False])
def test_no_progress(conjugate):
    X, y = problems.make(60, 12)
    solver = l1fast.IRLS(conjugate=conjugate)
    with pytest.warns(l1fast.ConvergenceWarning, match="larger tol"):
        result = judged.solve(X, y, problems.strength(X, y, 0.37), solver=solver, tol=1e-300, time_limit=60)
    assert result.status is Status.NO_PROGRESS
    assert result.dual_gap < 1e-13


def test_history_and_passes():
    X, y = problems.make(120, 200)
    lam = problems.strength(X, y, 0.05)
    result = judged.solve(X, y, lam, solver=l1fast.IRLS("cg"), tol=1e-8, history=True)
    history = result.history
    assert history.iteration.tolist() == list(range(result.n_iter + 1))
    assert (history.dual_gap[:-1] > result.tol).all()
    assert history.objective[-1] == pytest.approx(result.objective, rel=1e-12)
    assert (np.diff(history.passes) > 0).all()  # a read of X at least for the product of every step
    assert result.n_passes >= result.n_iter
    assert result.n_epochs > result.n_iter
    tall = l1fast.solve(*problems.make(300, 20), lam, solver="irls", tol=1e-8)
    assert tall.n_passes < tall.n_iter  # the Gram matrix of all columns is known: X is hardly read


def test_gradients_kept_up_to_date(monkeypatch):
    """The objective and gap of every step are those of its w, however long X was not read."""
    problem, truth = prepared("all but bounds", 60, 24)
    monkeypatch.setattr(_irls, "REFRESH", 10**9)
    monitor = Recorder(0.0, problem.scale, 0.0)
    l1fast.IRLS().run(problem, np.zeros(24), 60, monitor)
    for w, objective, gap in monitor.seen:
        point = problem.at(w)
        certificate = problem.certify(w, point.g, point.loss)
        assert objective == pytest.approx(float(truth.objective(w, truth.best_intercept(w))), rel=1e-11)
        assert gap == pytest.approx(certificate.gap, rel=1e-5, abs=1e-11 * problem.scale)


def test_start():
    X, y = problems.make(60, 150, density=1.0)
    lam = problems.strength(X, y, 0.05)
    cold = judged.solve(X, y, lam, solver="irls", tol=TOL)
    for start in (cold, np.random.default_rng(0).standard_normal(150), np.full(150, 1e-12)):
        warm = judged.solve(X, y, lam, solver="irls", tol=TOL, start=start)
        np.testing.assert_allclose(warm.coef, cold.coef, atol=1e-4)
    again = l1fast.solve(X, y, lam, solver="irls", tol=TOL, start=cold)
    assert again.n_iter == 0


@pytest.mark.parametrize("storage", ["C", "csr_array int32"])
def test_memory_limit(storage):
    """No room for factors or copies: conjugate gradients on X itself, and the same answer."""
    X, y = problems.make(200, 400, density=0.3)
    X = problems.STORAGES[storage](X)
    lam = 0.02 * l1fast.lam_max(X, y)
    free = judged.solve(X, y, lam, solver=l1fast.IRLS("cholesky"), tol=TOL)
    held = judged.solve(X, y, lam, solver=l1fast.IRLS("cholesky"), tol=TOL, memory_limit=100)
    assert free.converged and held.converged
    assert free.n_epochs == free.n_iter
    assert held.n_epochs > held.n_iter
    np.testing.assert_allclose(held.coef, free.coef, atol=1e-4)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("of_X", [1e-20, 1e20])
@pytest.mark.parametrize("of_y", [1e-20, 1e20])
def test_scales(few, inner, of_X, of_y):
    X, y = problems.make()
    lam = problems.strength(X, y)
    plain = l1fast.solve(X, y, lam, solver="irls", tol=TOL)
    result = judged.solve(X * of_X, y * of_y, lam * of_X * of_y, solver=l1fast.IRLS(inner), tol=TOL)
    assert result.converged
    np.testing.assert_allclose(result.coef * of_X / of_y, plain.coef, atol=1e-4)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("inner", INNER)
def test_keyboard_interrupt(inner):
    X, y = problems.make(300, 900)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            l1fast.solve(X, y, problems.strength(X, y, 1e-4), solver=l1fast.IRLS(inner), tol=0, time_limit=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("storage", FEW_STORAGES)
def test_repeatable_and_the_same_with_more_threads(storage, inner):
    X, y = problems.make(200, 300, density=0.3)
    stored, lam = problems.STORAGES[storage](X), problems.strength(X, y)
    solver = l1fast.IRLS(inner)
    first, second = (l1fast.solve(stored, y, lam, solver=solver, n_threads=1) for _ in range(2))
    assert problems.fingerprint(first) == problems.fingerprint(second)
    more = judged.solve(stored, y, lam, solver=solver, tol=1e-10, n_threads=2)
    np.testing.assert_allclose(more.coef, first.coef, atol=1e-3)


def test_a_path():
    X, y = problems.make(60, 80, density=1.0)
    asked, auto = (judged.path(X, y, n_lams=6, tol=1e-8, solver=solver) for solver in ("irls", "auto"))
    assert asked.converged
    np.testing.assert_allclose(asked.objectives, auto.objectives, rtol=1e-6)


@st.composite
def random_problems(draw):
    """(X, y, lam, options, settings); small integers make ties and dependent columns common."""
    n, p = draw(st.integers(1, 9)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    X, y = rng.integers(-3, 4, (n, p)) * rng.choice([1.0, 0.3]), rng.standard_normal(n)
    if draw(st.booleans()):
        X = np.concatenate([X, draw(st.sampled_from([1.0, -1.0, 2.0])) * X], axis=1)
    chosen = {"fit_intercept": draw(st.booleans()), "l2": draw(st.sampled_from([0.0, 0.5]))}
    if draw(st.booleans()):
        chosen["sample_weight"] = rng.choice([0.0, 0.5, 1.0, 3.0], n)
        hypothesis.assume(chosen["sample_weight"].any())
    if draw(st.booleans()):
        chosen["penalty_weights"] = rng.choice([0.25, 1.0, 3.0], X.shape[1])
    lam = draw(st.sampled_from([0.02, 0.1, 0.5, 0.99, 2.0]))
    lam *= l1fast.lam_max(X, y, **{name: value for name, value in chosen.items() if name != "l2"}) or 1.0
    return X, y, lam, chosen, l1fast.IRLS(draw(st.sampled_from(INNER)))


@hypothesis.given(random_problems())
def test_random_problems(problem):
    X, y, lam, chosen, settings = problem
    assert judged.solve(X, y, lam, solver=settings, tol=1e-8, **chosen).converged
