"""Supports too large for a Gram matrix: the kernels of Newton steps by conjugate gradients, and all that uses them."""

import dataclasses
import signal
import time
import warnings

import judged
import numpy as np
import problems
import pytest
import referee
import scipy.sparse

import l1fast
from l1fast import Status
from l1fast._design import read_storage
from l1fast._kernels import newton_cg
from l1fast._solve import make_problem, read_penalty
from l1fast._working_set import PRODUCTS_AT_ONCE, Columns, WorkingSet, on_rows, without_twins, worst

NO_GRAM = l1fast.CD(gram_limit=0)
SAMPLES = ("plain", "intercept", "sample_weight", "sample_weight+intercept")
STORED = {
    "C": np.array,
    "F": np.asfortranarray,
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_array,
    "F float32": lambda X: np.asfortranarray(X, np.float32),
    "csc float32": lambda X: scipy.sparse.csc_array(X, dtype=np.float32),
    "csr wide": lambda X: problems.with_index(scipy.sparse.csr_array(X), np.int64),
    "csc wide": lambda X: problems.with_index(scipy.sparse.csc_array(X), np.int64),
    "csr mixed": lambda X: problems.with_index(scipy.sparse.csr_array(X), np.int32, np.int64),
    "csc mixed": lambda X: problems.with_index(scipy.sparse.csc_array(X), np.int64, np.int32),
}
SPARSE = [name for name in STORED if name.startswith("cs")]
BY_COLUMNS = [name for name in STORED if name.startswith(("F", "csc"))]


def made(X, y, lam, storage="F", n_threads=1, **options):
    """The problem as solvers take it, and as the referee does."""
    family = {"l2": 0.0, "penalty_weights": None, "bounds": None, "positive": False}
    penalty = read_penalty(lam, *({**family, **options}[name] for name in family), X.shape[1])
    rest = (options.get("fit_intercept", False), options.get("sample_weight"), n_threads)
    problem = make_problem(read_storage(STORED[storage](X)), y, penalty, *rest)
    return problem, referee.Problem(X, y, lam, **options)


def case(option, storage="F", n=40, p=24, ratio=0.1, **settings):
    X, y = problems.make(n, p)
    return made(X, y, problems.strength(X, y, ratio), storage, **problems.options(option, n, p), **settings)


def centred(truth):
    return truth.X - truth.s @ truth.X / truth.s.sum() if truth.fit_intercept else truth.X


def near(actual, exact, size, unit=1e-13):
    assert np.abs(actual - exact).max(initial=0) <= unit * size, (actual, exact)


# ---------------------------------------------------------------- columns copied to rows


@pytest.mark.parametrize("storage", SPARSE)
@pytest.mark.parametrize("features", [[], [3], [7, 0, 23, 5], range(24)], ids=len)
def test_rows_of_some_columns(storage, features):
    problem, truth = case("plain", storage)
    n, p = problem.shape
    features = np.array(features, np.intp)
    position = np.full(p, -1, np.int32)
    position[features] = np.arange(len(features))
    row_size = np.full(n, -1, np.int32)
    newton_cg.count_rows(problem.capsule, features, position, row_size)
    np.testing.assert_array_equal(row_size, np.count_nonzero(truth.X[:, features], axis=1))

    order = np.random.default_rng(1).permutation(n)  # the rows may be put anywhere
    starts = np.append(0, np.cumsum(row_size[order]))
    cursor = np.empty(n, np.int64)
    cursor[order] = starts[:-1]
    indices, values = np.full(starts[-1] + 2, -9, np.int32), np.full(starts[-1] + 2, 0.5, problem.design.entries.dtype)
    newton_cg.fill_rows(problem.capsule, features, position, cursor, indices, values)
    np.testing.assert_array_equal(cursor[order], starts[1:])
    assert (indices[-2:] == -9).all() and (values[-2:] == 0.5).all()
    rows = scipy.sparse.csr_array((values[:-2], indices[:-2], starts), (n, len(features)))
    np.testing.assert_array_equal(rows.toarray(), truth.X[order][:, features].astype(float))


def test_features_named_twice_are_refused():
    problem, _ = case("plain", "csc")
    position = np.full(24, -1, np.int32)
    position[[2, 5]] = [0, 1]
    row_size = np.empty(40, np.int32)
    newton_cg.count_rows(problem.capsule, np.array([2, 5]), position, row_size)
    for wrong in ([2, 2], [5, 2], [2, 6]):
        with pytest.raises(ValueError, match="disagree"):
            newton_cg.count_rows(problem.capsule, np.array(wrong), position, row_size)


# ---------------------------------------------------------------- conjugate gradients


class System:
    """(X_S's X_S + shift) d = right-hand side at the places that move, as the kernel takes it."""

    def __init__(self, problem, features, moving, shift, right):
        rows = problem.design.sparse
        self.capsule = on_rows(problem, features) if rows else problem.capsule
        self.columns = np.arange(len(features)) if rows else features
        self.moving, self.shift, self.diagonal = moving, shift, problem.norm2[features] + shift
        self.product = np.empty(newton_cg.product_size(self.capsule, len(features)))
        self.image = np.empty(0 if rows else problem.shape[0])
        self.d, self.r = np.zeros(len(features)), np.zeros(len(features))
        self.r[moving] = right[moving]
        self.p = self.r / self.diagonal
        self.rz, self.steps = float(self.r @ self.p), 0

    def solve(self, target=0.0, most=1000):
        state = (self.d, self.r, self.p, self.product, self.image, self.rz, target, most)
        steps, self.rz = newton_cg.solve(self.capsule, self.columns, self.moving, self.shift, self.diagonal, *state)
        self.steps += steps
        return steps


def system(option, storage, seed=0, n_threads=1, n=40, p=24, size=15, l2=0.0):
    problem, truth = case(option, storage, n, p, n_threads=n_threads)
    problem, rng = problem.by_columns(), np.random.default_rng(seed)
    features = rng.permutation(p)[:size].astype(np.intp)
    moving = np.flatnonzero(rng.random(size) < 0.8)
    shift, right = l2 + 0.01 * problem.norm2[features], rng.standard_normal(size)
    X = centred(truth)[:, features[moving]]
    exact = np.zeros(size)
    hessian = (X.T @ (truth.s[:, None] * X)).astype(float) + np.diag(shift[moving])
    exact[moving] = np.linalg.solve(hessian, right[moving])
    return lambda: System(problem, features, moving, shift, right), exact


@pytest.mark.parametrize("storage", [*SPARSE, "F", "F float32"])
@pytest.mark.parametrize("option", SAMPLES)
def test_conjugate_gradients_solve_the_system(option, storage):
    start, exact = system(option, storage, l2=0.25)
    part = start()
    begin = part.rz
    assert 0 < part.solve(1e-26 * begin) < 60
    assert part.rz <= 1e-26 * begin
    near(part.d, exact, np.abs(exact).max(), 1e-11)
    assert part.solve(part.rz) == 0  # the target is reached: nothing moves

    again = start()
    again.solve(1e-26 * begin)
    np.testing.assert_array_equal(again.d, part.d)

    pieces = start()
    while pieces.solve(1e-26 * begin, most=3) == 3:
        pass
    assert pieces.steps == part.steps
    np.testing.assert_array_equal(pieces.d, part.d)


@pytest.mark.parametrize("storage", ["csr", "F"])
def test_conjugate_gradients_find_the_best_in_each_krylov_space(storage):
    """k steps minimise the quadratic over the span of P^-1 r, .., (P^-1 H)^(k-1) P^-1 r, P the diagonal."""
    start, _ = system("sample_weight+intercept", storage)
    _, truth = case("sample_weight+intercept", storage)
    part = start()
    features = np.random.default_rng(0).permutation(24)[:15][part.moving]
    X = centred(truth)[:, features]
    hessian = (X.T @ (truth.s[:, None] * X)).astype(float) + np.diag(part.shift[part.moving])
    right, inverse = part.r[part.moving].copy(), 1 / part.diagonal[part.moving]
    basis = np.empty((len(right), 0))
    for _ in range(4):
        newest = inverse * (hessian @ basis[:, -1] if basis.size else right)
        basis = np.linalg.qr(np.column_stack([basis, newest]))[0]
        part.solve(0.0, 1)
        best = basis @ np.linalg.solve(basis.T @ hessian @ basis, basis.T @ right)
        near(part.d[part.moving], best, np.abs(best).max(), 1e-10)


@pytest.mark.parametrize("storage", ["csr", "F"])
def test_conjugate_gradients_end_in_a_null_space(storage):
    """Of two equal columns the difference has no curvature; a right-hand side there has no solution."""
    ones = (np.arange(40) % 10 == 0).astype(float)
    problem, _ = made(np.column_stack([ones, ones]), np.arange(40.0), 1.0, storage)
    part = System(problem, np.arange(2), np.arange(2), np.zeros(2), np.array([1.0, -1.0]))
    assert part.solve() == 1
    assert part.rz == 0.0
    assert np.isfinite(part.d).all()


def test_threads_share_the_rows():
    systems = [system("sample_weight+intercept", "csr", n_threads=n, n=3000, p=120, size=80)[0] for n in (1, 4)]
    problem, _ = case("plain", "csc", 3000, 120)
    threaded = dataclasses.replace(problem, n_threads=4)
    assert newton_cg.product_size(on_rows(problem, np.arange(80)), 80) == 80
    assert newton_cg.product_size(on_rows(threaded, np.arange(80)), 80) == 4 * 80
    answers = []
    for start in systems:
        runs = [start(), start()]
        for part in runs:
            part.solve(1e-20 * part.rz)
        np.testing.assert_array_equal(runs[0].d, runs[1].d)
        answers.append(runs[0].d)
    near(answers[1], answers[0], np.abs(answers[0]).max(), 1e-9)


# ---------------------------------------------------------------- gradient and walk


def exact_q(truth, w):
    """s (Xw + b - y) at the best b."""
    w = w.astype(np.longdouble)
    return -truth.s * truth.residual(w, truth.best_intercept(w))


@pytest.mark.parametrize("storage", BY_COLUMNS)
@pytest.mark.parametrize("option", SAMPLES)
def test_gradient_of_some_features(storage, option):
    problem, truth = case(option, storage)
    features = np.array([5, 0, 23, 7])
    q, g = np.random.default_rng(0).standard_normal(40), np.empty(4)
    newton_cg.gradient(problem.capsule, features, q, g)
    near(g, centred(truth)[:, features].T @ q, 40.0)


def search(truth, w, features, d, order, stop):
    """The walk's twin: (way, w there, stops) of the first minimum, from three values of F on every piece of the way."""
    w, d, t, stopped = w.astype(np.longdouble), d.astype(np.longdouble), np.longdouble(0), 0
    d = d.copy()

    def value(at):
        return truth.objective(at, truth.best_intercept(at))

    def ahead(length):
        moved = w.copy()
        moved[features] += length * d
        return moved

    while True:
        k = order[stopped] if stopped < len(order) else None
        end = min((np.longdouble(stop[stopped]) - w[features[k]]) / d[k] + t, 1) if k is not None else np.longdouble(1)
        length = end - t
        low, middle, high = value(w), value(ahead(length / 2)), value(ahead(length))
        bend = 2 * (low - 2 * middle + high)  # F = low + slope x + bend x^2, x = part of this piece
        slope = high - low - bend
        least = 0 if slope >= 0 else min(1, -slope / (2 * bend)) if bend > 0 else 1
        w = ahead(least * length)
        t += least * length
        if least < 1 or k is None:
            return t, w, stopped
        w[features[k]], d[k] = stop[stopped], 0
        stopped += 1


def breaks(problem, features, w, d):
    """(order, stop) of a walk, as the definition of a stop says."""
    weights = np.ones(problem.shape[1]) if problem.penalty.weights is None else problem.penalty.weights
    lower, upper = problem.penalty.bounds(features)
    v = problem.penalty.lam * weights[features]
    stop = np.where((v > 0) & (w[features] * d < 0), 0.0, np.where(d > 0, upper, lower))
    way = np.divide(stop - w[features], d, out=np.full(len(d), np.inf), where=d != 0)
    order = np.argsort(way, kind="stable")[: np.count_nonzero(way < 1)]
    return order, stop[order]


def inside(truth, w):
    """w away from its bounds, and 0 where there is no room."""
    low, high = np.maximum(0.9 * truth.lower, -3), np.minimum(0.9 * truth.upper, 3)
    return np.clip(w, low, high).astype(float)


@pytest.mark.parametrize("storage", BY_COLUMNS)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_walk_ends_at_the_first_minimum(storage, option):
    problem, truth = case(option, storage)
    n, p = problem.shape
    seen = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        w = inside(truth, rng.standard_normal(p) * (rng.random(p) < 0.7))
        free = problem.penalty.unpenalised(p)
        features = np.union1d(np.flatnonzero(w), free[(truth.lower[free] < 0) & (truth.upper[free] > 0)])
        features = rng.permutation(features).astype(np.intp)
        q = exact_q(truth, w)
        X = centred(truth)[:, features]
        v = truth.v[features]
        slope = (X.T @ q + v * (truth.lam * np.sign(w[features]) + truth.l2 * w[features])).astype(float)
        hessian = (X.T @ (truth.s[:, None] * X)).astype(float) + np.diag(0.1 + (truth.l2 * v).astype(float))
        d = -np.linalg.solve(hessian, slope) * 10.0 ** rng.uniform(-3, 1.5)
        d[rng.random(len(d)) < 0.1] = 0.0
        order, stop = breaks(problem, features, w, d)
        way, wanted, stopped = search(truth, w, features, d, order, stop)
        moved, q, image = w.copy(), q.astype(float), np.full(n, np.nan)
        gone, count = newton_cg.walk(problem.capsule, features, d, order, stop, moved, q, image)
        seen |= {"stop"} if count else {"none"}
        seen |= {"whole"} if gone == 1.0 else {"short"}
        assert count == stopped
        assert abs(gone - way) <= 1e-9 or count == np.count_nonzero(d)  # with nothing left that moves, as you like
        near(moved, wanted, 1 + np.abs(d).max(), 1e-9)
        np.testing.assert_array_equal(moved[features[order[:count]]], stop[:count])
        rest = np.setdiff1d(np.arange(p), features)
        np.testing.assert_array_equal(moved[rest], w[rest])
        near(q, exact_q(truth, moved), np.abs(truth.y).max() + np.abs(d).max() * p, 1e-12)
        assert (truth.lower <= moved).all() and (moved <= truth.upper).all()
    assert {"stop", "none", "whole", "short"} <= seen


def test_walk_does_not_go_uphill():
    problem, truth = case("plain")
    w = np.linspace(-1, 1, 24)
    q = exact_q(truth, w).astype(float)
    slope = (truth.X.T @ q + truth.lam * np.sign(w)).astype(float)
    moved, same = w.copy(), q.copy()
    uphill = (problem.capsule, np.arange(24), slope, np.empty(0, np.intp), np.empty(0), moved, same, np.empty(40))
    assert newton_cg.walk(*uphill) == (0.0, 0)
    np.testing.assert_array_equal(moved, w)
    np.testing.assert_array_equal(same, q)


def test_walk_stops_all_that_reach_zero_together():
    problem, truth = case("plain", ratio=10.0)  # so strong that everything goes to 0
    w = np.linspace(0.5, 1, 24)
    q, features = exact_q(truth, w).astype(float), np.arange(24)
    assert newton_cg.walk(problem.capsule, features, -2 * w, features, np.zeros(24), w, q, np.empty(40)) == (0.5, 24)
    assert (w == 0).all()
    near(q, -truth.y, np.abs(truth.y).max())


# ---------------------------------------------------------------- what comes in


def test_worst_takes_the_largest_and_the_first_of_equals():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        score = np.floor(rng.exponential(3, 40))
        positive = np.count_nonzero(score)
        for room in (1, positive // 2, positive):
            wanted = np.sort(np.lexsort((np.arange(40), -score))[:room])
            np.testing.assert_array_equal(worst(score, room), wanted)


@pytest.mark.parametrize("storage", ["C", "F", "csr", "csc"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_only_copies_look_the_same(storage, fit_intercept):
    """The columns of the identity have equal norms, and equal slopes for y = 1."""
    X = np.column_stack([np.eye(16), -np.eye(16), np.eye(16)])
    problem, _ = made(X, np.arange(16.0), 0.1, storage, fit_intercept=fit_intercept)
    looks = WorkingSet(problem).looks()
    every, none = np.arange(48), np.empty(0, np.intp)
    np.testing.assert_array_equal(without_twins(every, none, looks), np.arange(16))
    np.testing.assert_array_equal(without_twins(every, np.array([3, 20]), looks), np.setdiff1d(np.arange(16), [3, 4]))
    np.testing.assert_array_equal(without_twins(np.array([19, 35]), np.array([3]), looks), none)


@pytest.mark.parametrize("storage", ["F", "csr"])
def test_copies_stay_out(storage):
    X, y = problems.make(60, 50)
    X = np.column_stack([X, -X, X])
    for ratio in (0.1, 0.003):
        result = judged.solve(STORED[storage](X), y, problems.strength(X, y, ratio), tol=1e-10, solver=NO_GRAM)
        assert result.converged
        assert len(np.unique(result.support % 50)) == len(result.support) > 10


def test_what_is_taken_for_a_copy_comes_in_later(monkeypatch):
    monkeypatch.setattr(WorkingSet, "looks", lambda self: np.ones(self.problem.shape[1], complex))
    X, y = problems.make(60, 50)
    result = judged.solve(X, y, problems.strength(X, y, 0.003), tol=1e-10, solver=NO_GRAM)
    assert result.converged
    assert len(result.support) > 10


@pytest.mark.parametrize("storage", ["F", "csr"])
@pytest.mark.parametrize("solver", [NO_GRAM, l1fast.CD(gram_limit=20)], ids=str)
def test_different_columns_with_equal_slopes_come_in_together(storage, solver):
    X, y = np.eye(90), np.where(np.arange(90) % 2, -1.0, 1.0)
    result = judged.solve(STORED[storage](X), y, 0.25, solver=solver)
    assert result.converged
    assert result.n_iter <= 4
    np.testing.assert_allclose(result.coef, 0.75 * y, rtol=1e-6)


# ---------------------------------------------------------------- the engine


def solved(X, y, lam, tol, **options):
    """Judged, and converged but where float64 ends: then the gap is at its rounding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        result = judged.solve(X, y, lam, tol=tol, **({"solver": NO_GRAM, "time_limit": 60} | options))
    if not result.converged:
        family = {name: value for name, value in options.items() if name not in ("solver", "start", "n_threads")}
        truth = referee.Problem(X, y, lam, **family)
        coef, theta = (part.astype(np.longdouble) for part in (result.coef, result.dual))
        in_gap = truth.round_off(coef, np.longdouble(result.intercept), theta)[1]
        assert result.status is Status.NO_PROGRESS
        assert result.dual_gap * truth.scale() <= in_gap
    return result


@pytest.mark.parametrize("storage", ["C", "F float32", "csr", "csc wide"])
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_all_options_without_a_gram_matrix(option, storage):
    for n, p in ((60, 24), (30, 80)):
        X, y = problems.make(n, p)
        for ratio, tol in ((0.1, 1e-6), (0.1, 1e-10), (0.002, 1e-6), (0.002, 1e-10)):
            options = problems.options(option, n, p)
            assert solved(STORED[storage](X), y, problems.strength(X, y, ratio), tol, **options).converged


@pytest.mark.parametrize("storage", ["F", "csr"])
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_all_options_across_the_limit(option, storage):
    X, y = problems.make(50, 90)
    for limit in (1, 8, 25):
        options = problems.options(option, 50, 90) | {"solver": l1fast.CD(gram_limit=limit)}
        assert solved(STORED[storage](X), y, problems.strength(X, y, 0.01), 1e-9, **options).converged


def test_the_large_engine_takes_newton_steps(monkeypatch):
    sizes = []
    newton = Columns.newton

    def watched(self, problem, support, *rest):
        sizes.append(len(support))
        return newton(self, problem, support, *rest)

    monkeypatch.setattr(Columns, "newton", watched)
    X, y = problems.make(80, 120)
    for storage, limit in (("F", 0), ("csr", 30)):
        result = solved(STORED[storage](X), y, problems.strength(X, y, 1e-3), 1e-10, solver=l1fast.CD(gram_limit=limit))
        assert len(result.support) > 50
        assert max(sizes) > 30
        sizes.clear()


def test_conjugate_gradients_pause_where_a_coefficient_has_to_stop(monkeypatch):
    """No call makes more products than at once, and none follows one that ends beyond a zero."""
    solve, passed = newton_cg.solve, []

    def watched(capsule, columns, moving, shift, diagonal, d, r, *rest):
        new = not d.any()
        assert new or not passed[-1]
        steps, rz = solve(capsule, columns, moving, shift, diagonal, d, r, *rest)
        assert steps <= rest[-1] <= PRODUCTS_AT_ONCE
        passed.append(bool((point[0][columns] * (point[0][columns] + d) < 0).any()))
        return steps, rz

    def seen(self, problem, support, penalties, w, *rest):
        point[:] = [w]
        return newton(self, problem, support, penalties, w, *rest)

    newton, point = Columns.newton, []
    monkeypatch.setattr(Columns, "newton", seen)
    monkeypatch.setattr(newton_cg, "solve", watched)
    X, y = problems.make(200, 300, density=1.0)
    result = solved(np.asfortranarray(X), y, problems.strength(X, y, 1e-3), 1e-8)
    assert result.converged
    assert any(passed)
    assert not all(passed)


def near_copies(X, rng, size):
    return np.column_stack([X, X * (1 + size * rng.standard_normal(X.shape))])


HARD = {
    "copies": lambda X, rng: np.column_stack([X, X]),
    "flipped": lambda X, rng: np.column_stack([X, -X]),
    "near copies": lambda X, rng: near_copies(X, rng, 1e-6),
    "near flipped": lambda X, rng: near_copies(X, rng, 1e-6) * np.repeat([1, -1], X.shape[1]),
    "scales": lambda X, rng: X * 10.0 ** rng.uniform(-4, 4, X.shape[1]),
    "low rank": lambda X, rng: X[:, :5] @ rng.standard_normal((5, X.shape[1])),
}


@pytest.mark.parametrize("storage", ["F", "csc", "csr"])
@pytest.mark.parametrize("kind", HARD)
def test_hard_columns(kind, storage):
    X, y = problems.make(60, 50)
    X = HARD[kind](X, np.random.default_rng(5))
    for ratio in (0.1, 0.003):
        lam = problems.strength(X, y, ratio)
        for intercept in (False, True):
            assert solved(STORED[storage](X), y, lam, 1e-6, fit_intercept=intercept).converged
            if not kind.startswith("near"):  # without a Gram matrix these end between 1e-6 and 1e-10, and say so
                solved(STORED[storage](X), y, lam, 1e-10, fit_intercept=intercept)


@pytest.mark.parametrize("storage", ["F", "csr"])
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_offsets_with_intercept(storage, offset):
    X, y = problems.make(60, 50)
    lam = problems.strength(X - X.mean(0), y - y.mean(), 0.01)
    shifted = X + offset * np.random.default_rng(2).integers(-2, 3, 50)
    solved(STORED[storage](shifted), y + offset, lam, 1e-6, fit_intercept=True)
    assert solved(STORED[storage](X), y + offset, lam, 1e-6, fit_intercept=True).converged


@pytest.mark.parametrize("storage", ["F", "csr"])
def test_saturated(storage):
    X, y = problems.make(40, 160)
    for lam in (problems.strength(X, y, 1e-5), 0.0):
        result = solved(STORED[storage](X), y, lam, 1e-6)
        assert result.converged
        assert len(result.support) >= 40


@pytest.mark.parametrize("storage", ["F", "csr"])
@pytest.mark.parametrize("option", ["plain", "bounds+all"])
def test_starts(storage, option):
    X, y = problems.make(60, 80)
    lam, options = problems.strength(X, y, 0.01), problems.options(option, 60, 80)
    cold = solved(STORED[storage](X), y, lam, 1e-10, **options)
    warm = solved(STORED[storage](X), y, lam, 1e-10, start=cold, **options)
    assert warm.n_iter <= 1
    far = np.clip(np.random.default_rng(0).standard_normal(80) * 10, *options.get("bounds", (-np.inf, np.inf)))
    other = solved(STORED[storage](X), y, lam, 1e-10, start=far, **options)
    assert other.objective == pytest.approx(cold.objective, rel=1e-9)


def long_solve(**options):
    X, y = problems.make(700, 1500, density=0.2)
    lam = problems.strength(X, y, 1e-4)
    return l1fast.solve(
        scipy.sparse.csr_array(X), y, lam, **({"solver": NO_GRAM, "tol": 0, "max_iter": 10**9} | options)
    )


def test_time_limit():
    began = time.perf_counter()
    with pytest.warns(l1fast.ConvergenceWarning):
        result = long_solve(time_limit=0.1)
    assert result.status is Status.TIME_LIMIT
    assert time.perf_counter() - began < 2


def test_callback_stops():
    seen = []
    with pytest.warns(l1fast.ConvergenceWarning):
        result = long_solve(callback=lambda state: seen.append(state.support_size) or seen[-1] > 300)
    assert result.status is Status.INTERRUPTED
    assert len(result.support) > 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("n_threads", [1, 3])
def test_keyboard_interrupt(n_threads):
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            long_solve(n_threads=n_threads, time_limit=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_threads_agree():
    X, y = problems.make(3000, 400, density=0.3)
    X, lam = scipy.sparse.csr_array(X), problems.strength(X, y, 0.001)
    results = [l1fast.solve(X, y, lam, solver=NO_GRAM, tol=1e-10, n_threads=n) for n in (1, 4, 4)]
    assert all(result.converged for result in results)
    np.testing.assert_array_equal(results[1].coef, results[2].coef)
    np.testing.assert_allclose(results[1].coef, results[0].coef, atol=1e-4)


# ---------------------------------------------------------------- paths


def check_path(path, X, y, options):
    """Every F is the referee's, and no further above the smallest known one than its gap says."""
    assert path.converged
    coefs = path.coefs.toarray()
    for k, lam in enumerate(path.lams):
        truth = referee.Problem(X, y, lam, **options)
        w, b = coefs[:, k].astype(np.longdouble), np.longdouble(path.intercepts[k])
        alone = judged.solve(X, y, lam, tol=1e-10, **options)
        in_primal = truth.round_off(w, b, alone.dual.astype(np.longdouble))[0]
        assert abs(path.objectives[k] - truth.objective(w, b)) <= in_primal
        assert path.dual_gaps[k] <= path.tol
        assert alone.converged
        assert abs(path.objectives[k] - alone.objective) <= (path.dual_gaps[k] + 1e-10) * truth.scale() + in_primal


@pytest.mark.parametrize("storage", ["F", "csr"])
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_paths_across_the_limit(option, storage):
    X, y = problems.make(40, 60)
    options, lams = problems.options(option, 40, 60), problems.strength(X, y, 0.8) * 10.0 ** -np.linspace(0, 4, 6)
    path = l1fast.path(STORED[storage](X), y, lams=lams, solver=l1fast.CD(gram_limit=20), tol=1e-8, **options)
    assert len(path) == len(lams)
    check_path(path, X, y, options)
    if option == "plain":
        sizes = np.count_nonzero(path.coefs.toarray(), axis=0)
        assert min(sizes) < 20 < max(sizes)


@pytest.mark.parametrize("limit", [0, 20])
@pytest.mark.parametrize("storage", ["F", "csr"])
def test_path_with_copies_across_the_limit(storage, limit):
    X, y = problems.make(60, 50)
    X = np.column_stack([X, -X, X])
    settings = {"n_lams": 12, "lam_min_ratio": 1e-4, "solver": l1fast.CD(gram_limit=limit)}
    check_path(l1fast.path(STORED[storage](X), y, **settings), X, y, {})
