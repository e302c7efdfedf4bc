"""huber_descent and subgradient: the scheme step by step, where it starts, how long its steps are, what ends it."""

import math
import time
import warnings

import judged
import numpy as np
import problems
import pytest
import referee
import scipy.sparse as sp

import l1fast
from l1fast import _descent
from l1fast._kernels import gradient, gram
from l1fast._monitor import Monitor
from l1fast._smoothing import Smoothing
from l1fast._solve import make_problem, read_penalty
from l1fast._validation import as_storage

NONE = np.empty(0)
NOWHERE = np.empty((0, 0))


def quiet(*arguments, **options):
    """A judged solve whose warning is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        return judged.solve(*arguments, **options)


def packed(X, y, lam=1.0, l2=0.0, n_threads=1, **options):
    """The problem as solvers get it."""
    weights, bounds = options.get("penalty_weights"), options.get("bounds")
    penalty = read_penalty(lam, l2, weights, bounds, options.get("positive", False), X.shape[1])
    intercept, sample_weight = options.get("fit_intercept", False), options.get("sample_weight")
    return make_problem(as_storage(X), y, penalty, intercept, sample_weight, n_threads)


def monitor(**options):
    return Monitor(0.0, 1.0, time.perf_counter(), **options)


def weighted(truth):
    """sqrt(s) (X - mean) and sqrt(s) (y - mean) of a `referee.Problem`, in float64."""
    X, y, root = truth.X, truth.y, np.sqrt(truth.s)
    if truth.fit_intercept:
        X, y = X - truth.s @ X / truth.s.sum(), y - truth.s @ y / truth.s.sum()
    return (root[:, None] * X).astype(np.float64), (root * y).astype(np.float64)


# The scheme


def next_point(truth, w, k, mu, norm2):
    """One step of the text, with the weights, the l2 term and the bounds of the problem at hand."""
    width = mu / np.log2(k)
    step = 1 / (norm2 + float(truth.l2 * truth.v.max())) / np.log2(k)
    inside = np.abs(w) <= width
    slope = inside * (w / width) + ~inside * np.sign(w)
    X, y = weighted(truth)
    change = X.T @ (X @ w - y) + (truth.v * (truth.lam * slope + truth.l2 * w)).astype(np.float64)
    return np.clip(w - step * change, truth.lower.astype(np.float64), truth.upper.astype(np.float64))


STORED = {
    "C": np.array,
    "F": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "csr float32": lambda X: sp.csr_array(X.astype(np.float32)),
}


@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_every_step_is_the_text(option, storage, gram):
    """From each point to the next, also where rounding grows a hundredfold at every step: at the width of the text."""
    X, y = problems.make(40, 24)
    options = problems.options(option, *X.shape)
    lam = problems.strength(X, y, 0.3)
    settings = l1fast.HuberDescent(iterates=True, gram=gram)
    result = quiet(STORED[storage](X), y, lam, judge_X=X, solver=settings, max_iter=23, tol=0, **options)
    truth = referee.Problem(X, y, lam, **options)
    norm2 = np.linalg.norm(weighted(truth)[0], 2) ** 2
    assert result.iterates.shape == (24, 24)
    for k, (w, told) in enumerate(zip(result.iterates[:-1], result.iterates[1:], strict=True), start=2):
        wanted = next_point(truth, w, k, 0.005, norm2)
        np.testing.assert_allclose(told, wanted, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize("sorts", [True, False])
def test_every_step_is_the_text_on_sorted_rows(monkeypatch, sorts):
    """A sparse X is copied to rows in order of their length; the points do not show it."""
    monkeypatch.setattr(_descent, "SORTING_LEAST", 0 if sorts else 10**9)
    X, y = problems.make(80, 30, density=0.2)
    weight = problems.options("sample_weight", *X.shape)["sample_weight"]
    options = {"sample_weight": weight, "fit_intercept": True}
    lam = problems.strength(X, y, 0.2)
    for stored in (sp.csr_array(X), sp.csc_array(X)):
        settings = l1fast.HuberDescent(mu=0.1, iterates=True, gram=False)
        result = quiet(stored, y, lam, solver=settings, max_iter=120, tol=0, **options)
        assert ("sorted by length" in result.conversion) == sorts
        truth = referee.Problem(X, y, lam, **options)
        norm2 = np.linalg.norm(weighted(truth)[0], 2) ** 2
        for k in (2, 50, 121):
            wanted = next_point(truth, result.iterates[k - 2], k, 0.1, norm2)
            np.testing.assert_allclose(result.iterates[k - 1], wanted, atol=1e-13)


def test_iterates_end_where_the_solve_does():
    X, y = problems.make()
    lam = problems.strength(X, y)
    settings = l1fast.HuberDescent(iterates=True)
    reached = quiet(X, y, lam, solver=settings, tol=0.3)
    assert reached.converged and 0 < reached.n_iter < 1000
    assert reached.iterates.shape == (reached.n_iter + 1, 24)
    np.testing.assert_array_equal(reached.iterates[-1], reached.coef)
    start = np.linspace(-1, 1, 24)
    given = quiet(X, y, lam, solver=settings, start=start, max_iter=3)
    np.testing.assert_array_equal(given.iterates[0], start)
    assert quiet(X, y, lam, solver="huber_descent", max_iter=3).iterates is None
    assert quiet(np.zeros((5, 3)), np.ones(5), 1.0, solver=settings).iterates.shape == (1, 3)


def test_repairs_go_on_with_the_schedule(monkeypatch):
    """A solver whose own certificate was too kind is sent back: k goes on, and the points of both parts are told."""
    X, y = problems.make()
    lam = problems.strength(X, y)
    certify = _descent.Walk.certify

    def flattering(walk, smoothing, loss):
        made = certify(walk, smoothing, loss)
        return made._replace(gap=0.1 * made.gap)

    monkeypatch.setattr(_descent.Walk, "certify", flattering)
    result = quiet(X, y, lam, solver=l1fast.HuberDescent(iterates=True), tol=0.2)
    assert result.converged
    assert result.iterates.shape == (result.n_iter + 1, 24)


def test_what_cannot_be_meant_is_refused_before_any_work():
    X, y = sp.csr_array((np.ones(1), ([0], [0])), shape=(10, 100_000)), np.ones(10)
    with pytest.raises(ValueError, match="lower max_iter"):
        l1fast.solve(X, y, 0.1, solver=l1fast.HuberDescent(iterates=True))
    with pytest.raises(ValueError, match="gram=True would form 100,000 x 100,000"):
        l1fast.solve(X, y, 0.1, solver=l1fast.HuberDescent(gram=True))
    X, y = problems.make()
    with pytest.raises(ValueError, match="above 100 bytes"):
        l1fast.solve(X, y, 0.1, solver=l1fast.HuberDescent(gram=True), memory_limit=100)
    quiet(X, y, 1.0, solver="huber_descent", memory_limit=0, max_iter=20)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: l1fast.HuberDescent(mu=0.0), ValueError, "mu must be finite and above 0"),
        (lambda: l1fast.HuberDescent(mu=math.inf), ValueError, "mu"),
        (lambda: l1fast.HuberDescent(mu="wide"), TypeError, "mu must be a number"),
        (lambda: l1fast.HuberDescent(iterates=1), TypeError, "iterates"),
        (lambda: l1fast.HuberDescent(line_search="yes"), TypeError, "line_search"),
        (lambda: l1fast.HuberDescent(gram=1), ValueError, "gram"),
        (lambda: l1fast.HuberDescent(gram="always"), ValueError, "gram"),
        (lambda: l1fast.Subgradient("constant"), ValueError, "step"),
        (lambda: l1fast.Subgradient(scale=-1.0), ValueError, "scale"),
        (lambda: l1fast.Subgradient(scale=True), TypeError, "scale"),
    ],
)
def test_settings_are_checked(make, error, words):
    with pytest.raises(error, match=words):
        make()


# Where it starts, and how long its steps are


@pytest.mark.parametrize("route", ["LAPACK", "LSMR"])
@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight+intercept", "penalty_weights", "l2", "bounds"])
@pytest.mark.parametrize("shape", [(40, 15), (15, 40), (25, 25)])
def test_the_start_is_the_least_norm_fit(shape, option, route, monkeypatch):
    if route == "LSMR":
        monkeypatch.setattr(_descent, "LAPACK_WORK", 0.0)
        monkeypatch.setattr(_descent, "START_TOL", 1e-14)
    X, y = problems.make(*shape, density=1.0)
    X[:, 3] = 0.0  # a column that cannot matter
    X[:, 4] = X[:, 5]  # and a copy: the rank is deficient
    options = problems.options(option, *shape)
    for stored in (X, sp.csr_array(X), X.astype(np.float32)):
        started = quiet(stored, y, 1.0, judge_X=X, solver="huber_descent", max_iter=0, **options)
        truth = referee.Problem(X, y, 1.0, **options)
        A, target = weighted(truth)
        wanted = np.linalg.pinv(A, rcond=1e-12) @ target
        wanted = np.clip(wanted, truth.lower, truth.upper).astype(np.float64)
        np.testing.assert_allclose(started.coef, wanted, atol=1e-7 * np.abs(wanted).max())
        assert started.coef[3] == 0.0


def test_the_start_keeps_half_of_the_time(monkeypatch):
    monkeypatch.setattr(_descent, "LAPACK_WORK", 0.0)
    X, y = problems.make(400, 300, density=1.0)
    steps = []
    multiply = _descent.Problem.operator

    def slow(problem, scale, columns=None):
        operator = multiply(problem, scale, columns)

        def count(d):
            steps.append(1)
            time.sleep(0.005)
            return operator.matvec(d)

        return sp.linalg.LinearOperator(operator.shape, matvec=count, rmatvec=operator.rmatvec, dtype=float)

    monkeypatch.setattr(_descent.Problem, "operator", slow)
    result = quiet(X, y, 1.0, solver="huber_descent", time_limit=0.2, tol=0)
    assert result.status is l1fast.Status.TIME_LIMIT
    assert 2 <= len(steps) <= 25
    assert result.n_iter > 0


MATRICES = {
    "tall": lambda rng: rng.standard_normal((60, 9)),
    "wide": lambda rng: rng.standard_normal((9, 60)),
    "opposite columns": lambda rng: np.outer(rng.standard_normal(20), [1.0, -1.0, 1.0]),
    "one column": lambda rng: rng.standard_normal((20, 1)),
    "one row": lambda rng: rng.standard_normal((1, 20)),
    "equal singular values": lambda rng: np.linalg.qr(rng.standard_normal((30, 30)))[0],
    "flat spectrum": lambda rng: rng.standard_normal((80, 80)),
}


@pytest.mark.parametrize("option", ["plain", "sample_weight+intercept"])
@pytest.mark.parametrize("route", ["Gram", "rows' Gram", "ARPACK", "ARPACK on Gram"])
@pytest.mark.parametrize("name", MATRICES)
def test_the_spectral_norm_is_exact(name, route, option, monkeypatch):
    X = MATRICES[name](np.random.default_rng(3))
    n, p = X.shape
    options = problems.options(option, n, p)
    if route.startswith("ARPACK"):
        if p < 3:
            pytest.skip("ARPACK is for more columns than that")
        monkeypatch.setattr(_descent, "SMALL_GRAM", 0)
    elif (route == "Gram") is (p > n):
        pytest.skip("the other Gram matrix is smaller")
    for stored in (X, sp.csr_array(X), np.asfortranarray(X)):
        problem = packed(stored, np.arange(n) % 3.0 + 0.5, **options)
        if problem.trivial:
            continue
        whole = _descent.gram_of(problem, monitor()) if route == "ARPACK on Gram" else None
        found = _descent.norm2_of(problem, monitor(), whole)
        A, _ = weighted(referee.Problem(X, np.zeros(n), 1.0, **options))
        assert found == pytest.approx(np.linalg.norm(A, 2) ** 2, rel=1e-12)


def test_gram_only_where_it_pays():
    tall, wide = np.ones((1000, 10)), np.ones((10, 1000))
    auto = l1fast.HuberDescent()
    wants = [
        auto.wants_gram(packed(X, np.arange(len(X)) * 1.0), steps, monitor(memory_limit=limit))
        for X, steps, limit in ((tall, 100, None), (tall, 0, None), (tall, 100, 100), (wide, 100, None))
    ]
    assert wants == [True, False, False, False]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 5)), rng.standard_normal(200)
    X[:, 2] = 0.0
    runs = [
        quiet(X, y, 1.0, solver=l1fast.HuberDescent(gram=g, iterates=True), max_iter=50, tol=0) for g in (True, False)
    ]
    np.testing.assert_allclose(runs[0].iterates, runs[1].iterates, atol=1e-12)
    assert runs[0].n_passes < 10 < 50 < runs[1].n_passes
    reached = quiet(X, y, 1.0, solver=l1fast.HuberDescent(gram=True, line_search=True, mu=1e-4), tol=1e-6)
    assert reached.converged


def test_time_runs_out_before_the_first_step():
    X, y = problems.make(300, 200)
    settings = l1fast.HuberDescent(iterates=True, gram=True)
    for limit in (0.0, 1e-9):
        result = quiet(X, y, 1.0, solver=settings, time_limit=limit)
        assert result.status is l1fast.Status.TIME_LIMIT
        assert result.iterates.shape == (1, 200)


# The line search


@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("option", ["plain", "all", "bounds+l2", "sample_weight+intercept", "free columns"])
def test_the_line_search_descends(option, gram):
    """F_mu(w_k) <= F_mu(w_(k-1)) - ENOUGH g'(w_(k-1) - w_k) at mu = mu_k, at every step."""
    X, y = problems.make(50, 24)
    options, lam, mu = problems.options(option, *X.shape), problems.strength(X, y, 0.2), 0.05
    settings = l1fast.HuberDescent(mu=mu, line_search=True, iterates=True, gram=gram)
    result = quiet(X, y, lam, solver=settings, max_iter=60, tol=0, **options)
    problem = packed(X, y, lam, **options)
    points = result.iterates
    q, g = np.empty(50), np.empty(24)
    for k in range(2, len(points) + 1):
        smoothing = Smoothing("huber", mu / math.log2(k))
        after = sum(problem.smooth_gradient(smoothing, points[k - 1].copy(), q, g, problem.scratch()))
        before = sum(problem.smooth_gradient(smoothing, points[k - 2].copy(), q, g, problem.scratch()))
        assert after <= before * (1 + 1e-14) - _descent.ENOUGH * float(g @ (points[k - 2] - points[k - 1]))
    assert result.n_passes <= 5 + (4 if gram else 2.5 * len(points))


def test_the_line_search_ends_below_the_scheme():
    X, y = problems.make(120, 80)
    lam = problems.strength(X, y)
    plain, searched = (
        quiet(X, y, lam, solver=l1fast.HuberDescent(line_search=search), max_iter=1000, tol=0)
        for search in (False, True)
    )
    assert searched.objective < plain.objective


# The subgradient method


def test_diminishing_steps_are_the_formula(monkeypatch):
    """w_(k+1) = P(w_k - scale s_k / (||s_k|| sqrt(k + 1))), every point seen through the certificates."""
    monkeypatch.setattr(_descent, "CHECK_EVERY", 1)
    seen = []
    certify = _descent.Walk.certify
    monkeypatch.setattr(
        _descent.Walk, "certify", lambda walk, *rest: seen.append(walk.w.copy()) or certify(walk, *rest)
    )
    X, y = problems.make(40, 24)
    options, lam = problems.options("bounds+l2", *X.shape), problems.strength(X, y)
    quiet(X, y, lam, solver=l1fast.Subgradient("diminishing", scale=0.7), max_iter=30, tol=0, **options)
    truth = referee.Problem(X, y, lam, **options)
    w = np.zeros(24)
    assert len(seen) == 31
    for k, told in enumerate(seen):
        np.testing.assert_allclose(told, w, atol=1e-12)
        s = (truth.gradient(told, 0) + truth.v * truth.lam * np.sign(told)).astype(np.float64)
        w = told - 0.7 * s / (np.linalg.norm(s) * np.sqrt(k + 1))
        w = np.clip(w, truth.lower.astype(np.float64), truth.upper.astype(np.float64))


@pytest.mark.parametrize("step", ["polyak", "diminishing"])
@pytest.mark.parametrize("option", ["plain", "intercept", "l2", "penalty_weights", "bounds", "sample_weight"])
def test_subgradient_comes_near(option, step):
    X, y = problems.make(80, 30)
    options, lam = problems.options(option, *X.shape), problems.strength(X, y, 0.2)
    best = judged.solve(X, y, lam, tol=1e-12, **options).objective
    result = quiet(X, y, lam, solver=l1fast.Subgradient(step), max_iter=3000, tol=1e-4, history=True, **options)
    scale = float(referee.Problem(X, y, lam, **options).scale())
    assert result.dual_gap < (3e-3 if step == "polyak" else 3e-2)
    lower = result.history.objective - result.history.dual_gap * scale
    assert (lower <= best + 1e-10 * scale).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_polyak_needs_no_good_scale(scale):
    """The level recovers from a length that is a hundred times too long or too short."""
    X, y = problems.make(80, 30)
    lam = problems.strength(X, y, 0.2)
    result = quiet(X, y, lam, solver=l1fast.Subgradient(scale=scale), max_iter=5000, tol=1e-3)
    assert result.dual_gap < 1e-2


def test_the_level_never_falls_below_the_bound():
    level = _descent.Level(scale=1.0, bound=2.0)
    assert level.way(10.0, 4.0) == (10.0 - 6.0) / 4.0  # half of the way to the bound
    assert level.way(9.0, 2.0) == (9.0 - 6.0) / 2.0  # no record yet: it took delta / 2
    assert level.delta == 4.0
    assert level.way(9.0, 1.0) == 9.0 - 7.0  # the squares are above 1: the level was too low, delta halves
    assert (level.record, level.delta, level.squares) == (9.0, 2.0, 4.0)
    assert level.way(7.5, 1.0) == 2.0  # a record: delta stays
    assert level.record == 7.5
    level.bound = 7.0
    assert level.way(7.4, 0.5) == pytest.approx((7.4 - 7.0) / 0.5)
    assert level.way(6.9, 0.5) == 0.0  # rounding below the bound


def test_the_average_is_certified_without_reading_X(monkeypatch):
    """Its residual and gradient are the averages of the points': the same certificate as from X."""
    monkeypatch.setattr(_descent, "CHECK_EVERY", 1)
    made = []
    add = _descent.Average.add
    monkeypatch.setattr(
        _descent.Average, "add", lambda average: made.append((average.w.copy(), add(average), average)) or made[-1][1]
    )
    X, y = problems.make(40, 24)
    options, lam = problems.options("sample_weight+intercept", *X.shape), problems.strength(X, y)
    quiet(X, y, lam, solver="subgradient", max_iter=25, tol=0, **options)
    problem = packed(X, y, lam, **options)
    average = made[-1][2]
    point = problem.at(average.w)
    fresh = problem.certify(point.w, point.g, point.loss)
    assert made[-1][1] == pytest.approx(fresh, rel=1e-9)


@pytest.mark.parametrize("solver", ["huber_descent", "subgradient"])
def test_stuck_is_told(solver):
    """At an optimum in the corner of its bounds not a bit changes, and the gap asked for is below rounding."""
    X, y = np.eye(3), np.full(3, 0.1) * np.array([1.0, 2.0, 3.0])
    result = quiet(X, y, 1e-3, solver=solver, bounds=(-0.0, 1e-5), tol=0, start=np.full(3, 1e-5))
    assert result.status in (l1fast.Status.NO_PROGRESS, l1fast.Status.CONVERGED)
    assert result.n_iter <= 100


# The kernels


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("option", ["plain", "bounds+all"])
def test_descend_is_steps_and_sweeps(option, n_threads):
    X, y = problems.make(40, 24)
    options = problems.options(option, *X.shape)
    whole = X - np.average(X, axis=0, weights=options["sample_weight"]) if "sample_weight" in options else X
    s = options.get("sample_weight", np.ones(40))
    G = np.ascontiguousarray(whole.T @ (s[:, None] * whole))
    for stored in (X, sp.csr_array(X), sp.csc_array(X)):
        problem = packed(stored, y, 2.0, n_threads=n_threads, **options)
        rng = np.random.default_rng(1)
        w, q, g, scratch = np.zeros(24), np.empty(40), rng.standard_normal(24), problem.scratch()
        widths, steps, kept = np.array([0.3, 0.2, 0.1]), np.array([0.01, 0.02, 0.005]), np.full((3, 24), np.nan)
        point, slope, rows = w.copy(), g.copy(), []
        for width, step in zip(widths, steps, strict=True):
            point = problem.penalty.within(point - step * slope)
            rows.append(point)
            loss, penalty = problem.smooth_gradient(Smoothing("huber", width), point, q, slope, scratch)
        on_gram, g_gram, kept_gram = w.copy(), g.copy(), kept.copy()
        told = gradient.descend(problem.capsule, 1, widths, NONE, steps, w, q, g, scratch, kept)
        assert told == pytest.approx((loss, penalty), rel=1e-12)
        np.testing.assert_allclose(kept, rows, atol=1e-14)
        np.testing.assert_allclose(w, point, atol=1e-14)
        np.testing.assert_allclose(g, slope, atol=1e-12)
        told = gram.descend(problem.capsule, G, problem.product, 1, widths, NONE, steps, on_gram, g_gram, kept_gram)
        assert (told[0] + problem.datafit.null_loss, told[1]) == pytest.approx((loss, penalty), rel=1e-10)
        np.testing.assert_allclose(kept_gram, rows, atol=1e-12)
        np.testing.assert_allclose(g_gram, slope, atol=1e-10)


def test_descend_refuses_wrong_shapes():
    X, y = problems.make(10, 4)
    problem, p = packed(X, y), 4
    one, w, q, g, scratch = np.ones(1), np.zeros(p), np.zeros(10), np.zeros(p), problem.scratch()
    G, c = np.eye(p), np.zeros(p)
    for wrong in (
        lambda: gradient.descend(problem.capsule, 9, one, NONE, one, w, q, g, scratch, NOWHERE),
        lambda: gradient.descend(problem.capsule, 1, NONE, NONE, one, w, q, g, scratch, NOWHERE),
        lambda: gradient.descend(problem.capsule, 1, one, NONE, one, w[:2].copy(), q, g, scratch, NOWHERE),
        lambda: gradient.descend(problem.capsule, 1, one, NONE, one, w, q[:2].copy(), g, scratch, NOWHERE),
        lambda: gradient.descend(problem.capsule, 1, one, NONE, one, w, q, g, scratch, np.empty((1, 3))),
        lambda: gradient.descend(problem.capsule, 1, one, NONE, np.ones(2), w, q, g, scratch, np.empty((1, p))),
        lambda: gram.descend(problem.capsule, G[:2], c, 1, one, NONE, one, w, g, NOWHERE),
        lambda: gram.descend(problem.capsule, G, c[:2].copy(), 1, one, NONE, one, w, g, NOWHERE),
        lambda: gram.descend(problem.capsule, G, c, 1, NONE, NONE, one, w, g, NOWHERE),
        lambda: gram.descend(problem.capsule, G, c, 1, one, NONE, one, w, g, np.empty((1, 3))),
    ):
        with pytest.raises(ValueError, match=r"must|smoothing"):
            wrong()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("weighted_rows", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_runs_of_rows_of_every_length(index, dtype, weighted_rows, n_threads):
    """Rows of 0 to 40 entries, in runs of 1 to 12, sorted or not: q, g and the loss are those of the dense matrix."""
    rng = np.random.default_rng(7)
    lengths = np.repeat(np.arange(41), 1 + np.arange(41) * 5 % 12)
    p = 60
    indices = np.concatenate([np.sort(rng.choice(p, length, replace=False)) for length in lengths])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.standard_normal(len(indices)).astype(dtype)
    X = problems.with_index(sp.csr_array((values, indices, starts), shape=(len(lengths), p)), index)
    y, w = rng.standard_normal(len(lengths)), rng.standard_normal(p)
    weight = rng.random(len(lengths)) if weighted_rows else None
    shuffled = rng.permutation(len(lengths))
    for order in (np.arange(len(lengths)), shuffled):
        A, s = X[order].toarray().astype(np.float64), np.ones(len(y)) if weight is None else weight[order]
        problem = packed(X[order], y[order], sample_weight=None if weight is None else s, n_threads=n_threads)
        point = problem.at(w)
        q = s * (A @ w - y[order])
        np.testing.assert_allclose(point.q, q, atol=1e-12)
        np.testing.assert_allclose(point.g, A.T @ q, atol=1e-11)
        assert point.loss == pytest.approx(0.5 * q @ (A @ w - y[order]), rel=1e-12)


@pytest.mark.parametrize("n", [1, 3, 4, 127, 128, 129, 300])
@pytest.mark.parametrize("kind", ["abs", "huber", "pseudo_huber", "quadratic", "power"])
def test_slopes_of_every_length(kind, n):
    """Blocks and what is left behind them: the slope is the difference quotient of the value, and the value a sum."""
    rng = np.random.default_rng(n)
    w, weights = rng.standard_normal(n), rng.random(n)
    weights[0] = 0.0
    problem = packed(np.ones((2, n)), np.array([1.0, 2.0]), 1.5, l2=0.25, penalty_weights=weights)
    smoothing, h = Smoothing(kind, 0.5), 1e-6
    out, ahead, behind = (np.empty(n) for _ in range(3))
    value = problem.slopes(smoothing, w, out)
    terms = []
    for j in range(n):
        alone = np.zeros(n)
        alone[j] = w[j]
        terms.append(problem.slopes(smoothing, alone, ahead) - problem.slopes(smoothing, np.zeros(n), behind))
        if j % 17 == 0:
            up, down = w.copy(), w.copy()
            up[j], down[j] = w[j] + h, w[j] - h
            quotient = (problem.slopes(smoothing, up, ahead) - problem.slopes(smoothing, down, behind)) / (2 * h)
            assert out[j] == pytest.approx(quotient, abs=1e-6)
    nothing = problem.slopes(smoothing, np.zeros(n), behind)
    assert value == pytest.approx(math.fsum(terms) + nothing, rel=1e-11)


@pytest.mark.parametrize("n", [1, 5, 128, 131, 700])
def test_certificate_of_the_plain_penalty(n):
    """Gap, objective and violation of lam ||w||_1 from dense and sparse w, against the referee."""
    rng = np.random.default_rng(n)
    X, y = rng.standard_normal((30, n)), rng.standard_normal(30)
    lam = 0.3 * float(np.abs(X.T @ y).max())
    problem, truth = packed(X, y, lam), referee.Problem(X, y, lam)
    for share in (0.0, 0.2, 1.0):
        w = 0.1 * rng.standard_normal(n) * (rng.random(n) < share)
        point = problem.at(w)
        made = problem.certify(w, point.g, point.loss)
        scale = float(truth.scale())
        assert made.objective == pytest.approx(float(truth.objective(w, 0)), rel=1e-13)
        assert made.gap == pytest.approx(float(truth.gap(w, 0)), rel=1e-11, abs=1e-13 * scale)
        assert made.violation == pytest.approx(float(truth.violation(w, 0)), rel=1e-11, abs=1e-12)
