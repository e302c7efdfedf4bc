"""The homotopy: every breakpoint optimal, ties and dependent columns, and every option, judged by the referee."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import judged
import numpy as np
import problems
import pytest
import referee
from test_cvxpy import cvxpy_objective
from test_kernels import STORAGES, case

import l1fast
from l1fast import _homotopy, _solvers, _working_set
from l1fast._kernels import homotopy

TOL = 1e-11
SUITED = [name for name in problems.OPTIONS if not name.startswith("free") and name != "all" and "bounds" not in name]
PAST = 100_000  # more steps than any path here has


def suited(option, n, p):
    """The options of that name; those with unpenalised columns get a small weight in their place."""
    chosen = problems.options(option, n, p)
    if "penalty_weights" in chosen:
        chosen["penalty_weights"] = np.maximum(chosen["penalty_weights"], 0.05)
    return chosen


@pytest.fixture
def handed_over(monkeypatch):
    """How many times coordinate descent took over."""
    calls, run = [], _working_set.CD.run

    def counted(*arguments):
        calls.append(1)
        return run(*arguments)

    monkeypatch.setattr(_working_set.CD, "run", counted)
    return calls


# ---------------------------------------------------------------- pack


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight", "sample_weight+intercept"])
def test_pack(storage, option):
    made = case(option, storage=storage, shift=0.5)
    members, position = np.array([22, 3, 7, 0], dtype=np.intp), np.full(23, -1, dtype=np.int32)
    Z = np.full((5, 37), 1.25)
    homotopy.pack(made.capsule, members, position, Z)
    mean = np.zeros(23) if made.mean is None else made.mean
    exact = np.sqrt(made.truth.s) * (made.truth.X[:, members] - mean[members]).T
    np.testing.assert_allclose(Z[:4], exact.astype(float), rtol=1e-15, atol=1e-15)
    assert (Z[4] == 1.25).all()
    assert (position == -1).all()


def test_pack_refuses_what_does_not_fit():
    made, free = case(), np.full(23, -1, dtype=np.int32)
    for members, position, Z in (
        ([23], free, np.empty((1, 37))),
        ([-1], free, np.empty((1, 37))),
        ([2], np.zeros(23, dtype=np.int32), np.empty((1, 37))),
        ([2], free[:-1], np.empty((1, 37))),
        ([2, 3], free, np.empty((1, 37))),
        ([2], free, np.empty((1, 36))),
    ):
        with pytest.raises(ValueError, match="must"):
            homotopy.pack(made.capsule, np.array(members, dtype=np.intp), position, Z)


# ---------------------------------------------------------------- follow


class Walk:
    """A path over the rows of Z, walked as far as asked; every stop is checked."""

    def __init__(self, Z, y, floor, *, ridge=0.0, positive=False, start=None):
        self.Z, self.y, self.floor, self.positive = Z, y, floor, positive
        size, n = Z.shape
        self.ridge = np.full(size, float(ridge))
        self.w = np.zeros(size) if start is None else start.copy()
        self.c = self.slope_at(self.w)
        top = np.maximum(self.c if positive else np.abs(self.c), floor).max()
        support = np.flatnonzero(self.w)
        self.rise = top - floor
        self.sign = np.sign(self.w)
        self.rise[support] = (self.sign * self.c - floor)[support]
        self.active, self.m, self.t, self.known = np.zeros(size, dtype=np.intp), len(support), 1.0, 0
        self.active[: self.m] = support
        capacity = size if ridge else min(size, n)
        self.factor, self.room = np.empty((capacity, capacity)), np.empty((6, max(size, n)))
        self.breakpoints = []

    def slope_at(self, w):
        return self.Z @ (self.y - self.Z.T @ w) - self.ridge * w

    def go(self, steps):
        self.t, self.m, done = homotopy.follow(
            *(self.Z, self.floor, self.rise, self.ridge, self.w, self.c, self.sign, self.active, self.m, self.known),
            *(self.t, self.positive, steps, self.factor, self.room),
        )
        self.known = self.m
        self.breakpoints.append(self.t)
        self.check()
        return done

    def check(self):
        """Optimality at t, from y alone, and the invariants of the kernel."""
        bound, inside = self.floor + self.t * self.rise, self.active[: self.m]
        unit = 1e-9 * np.abs(self.slope_at(np.zeros_like(self.w))).max() + 1e-12
        exact = self.slope_at(self.w)
        assert np.abs(exact - self.c).max() <= unit
        assert np.abs(exact[inside] - self.sign[inside] * bound[inside]).max(initial=0) <= unit
        assert ((exact if self.positive else np.abs(exact)) - bound).max() <= unit
        outside = np.delete(np.arange(len(self.w)), inside)
        assert (self.w[outside] == 0).all()
        assert (self.w[inside] * self.sign[inside] >= -1e-12).all()
        assert len(set(inside)) == self.m
        G = self.Z[inside] @ self.Z[inside].T + np.diag(self.ridge[inside])
        L = np.tril(self.factor[: self.m, : self.m])
        np.testing.assert_allclose(L @ L.T, G, atol=1e-10 * np.abs(G).max(initial=0))


def naive_breakpoints(Z, y, floor):
    """Where the plain Lasso path from the largest |Zy| to floor bends, as levels; for data without ties."""
    w, level = np.zeros(len(Z)), np.abs(Z @ y).max()
    A, sign, levels, left = [], {}, [level], None
    k = int(np.abs(Z @ y).argmax())
    A, sign[k] = [k], np.sign(Z[k] @ y)
    while level > floor * (1 + 1e-12):
        s = np.array([sign[k] for k in A])
        d = np.linalg.solve(Z[A] @ Z[A].T, s)
        c, a = Z @ (y - Z.T @ w), Z @ (Z[A].T @ d)
        events = [(level - floor, "end", -1)]
        events += [(-w[k] / d[i], "drop", k) for i, k in enumerate(A) if w[k] * d[i] < 0]
        for k in set(range(len(Z))) - set(A):
            for side in (1, -1):
                speed = 1 - side * a[k]
                if speed > 1e-12 and (k, side) != left:
                    events.append(((level - side * c[k]) / speed, side, k))
        reach, what, k = min(events, key=lambda event: event[0])
        w[A] += reach * d
        level -= reach
        levels.append(level)
        left = None
        if what == "drop":
            A.remove(k)
            w[k], left = 0, (k, sign[k])
        elif what != "end":
            A.append(k)
            sign[k] = what
    return w, levels


@pytest.mark.parametrize(("size", "n"), [(5, 20), (20, 20), (60, 12), (150, 30)])
@pytest.mark.parametrize("ratio", [0.3, 0.01])
def test_the_path_is_the_naive_one(size, n, ratio):
    rng = np.random.default_rng(size)
    Z, y = rng.standard_normal((size, n)), rng.standard_normal(n)
    top = np.abs(Z @ y).max()
    walk = Walk(Z, y, np.full(size, ratio * top))
    w, levels = naive_breakpoints(Z, y, ratio * top)
    while walk.t > 0:
        assert walk.go(1) == 1
    found = ratio * top + np.array(walk.breakpoints) * (1 - ratio) * top
    assert len(found) == len(levels)
    np.testing.assert_allclose(found, levels, rtol=1e-9)
    np.testing.assert_allclose(walk.w, w, atol=1e-9 * np.abs(w).max())
    whole = Walk(Z, y, np.full(size, ratio * top))
    assert whole.go(PAST) == len(levels)
    assert (whole.w == walk.w).all()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 2.5])
@pytest.mark.parametrize(("size", "n"), [(12, 30), (60, 12), (1, 1), (1, 7), (9, 1)])
def test_every_breakpoint_is_optimal(size, n, ridge, positive):
    rng = np.random.default_rng(n)
    for _ in range(5):
        Z, y = rng.standard_normal((size, n)), rng.standard_normal(n)
        floor = 0.02 * np.abs(Z @ y).max() * (0.5 + rng.random(size))
        walk = Walk(Z, y, floor, ridge=ridge, positive=positive)
        while walk.t > 0:
            assert walk.go(1) == 1
        assert walk.t == 0


def test_columns_join_on_the_way():
    """From an optimum over some columns to that over all, whose violators begin at a bound of their own."""
    rng = np.random.default_rng(0)
    Z, y = rng.standard_normal((80, 20)), rng.standard_normal(20)
    floor = np.full(80, 0.05 * np.abs(Z @ y).max())
    first = Walk(Z[:15], y, floor[:15])
    first.go(PAST)
    second = Walk(Z, y, floor, start=np.append(first.w, np.zeros(65)))
    assert second.rise[0] < second.rise[-1]
    while second.t > 0:
        assert second.go(1) == 1
    whole = Walk(Z, y, floor)
    whole.go(PAST)
    np.testing.assert_allclose(second.w, whole.w, atol=1e-10)


@pytest.mark.parametrize("others", [lambda Z: Z, lambda Z: -Z, lambda Z: Z[::-1] + Z, lambda Z: 2 * Z, lambda Z: 0 * Z])
def test_ties_and_dependent_columns_end(others):
    rng = np.random.default_rng(1)
    for draw in (rng.standard_normal, lambda shape: rng.integers(-1, 2, shape).astype(float)):
        Z, y = draw((10, 8)), draw(8)
        Z = np.concatenate([Z, others(Z)])
        walk = Walk(Z, y, np.full(20, 0.05 * np.abs(Z @ y).max()))
        assert walk.go(500) < 500
        assert walk.t == 0


def test_follow_refuses_what_does_not_fit():
    rng = np.random.default_rng(0)
    good = Walk(rng.standard_normal((4, 6)), rng.standard_normal(6), np.ones(4))
    for name, value in (
        ("w", np.zeros(3)),
        ("floor", np.ones(5)),
        ("active", np.zeros(3, dtype=np.intp)),
        ("Z", good.Z[:3]),
        ("factor", np.empty((2, 3))),
        ("room", np.empty((5, 6))),
        ("room", np.empty((6, 5))),
        ("m", 5),
        ("m", -1),
        ("known", 1),
    ):
        walk = Walk(good.Z, good.y, good.floor)
        setattr(walk, name, value)
        with pytest.raises(ValueError, match="shape"):
            walk.go(1)
    walk = Walk(good.Z, good.y, good.floor)
    walk.m, walk.active[0] = 1, 4
    with pytest.raises(ValueError, match="not there"):
        walk.go(1)


def test_dependent_start_is_refused_not_followed():
    Z = np.ones((2, 3))
    walk = Walk(Z, np.array([1.0, 2.0, 3.0]), np.full(2, 0.1), start=np.array([0.5, 0.5]))
    t, m, steps = homotopy.follow(
        *(Z, walk.floor, walk.rise, walk.ridge, walk.w, walk.c, walk.sign, walk.active, 2, 0),
        *(1.0, False, 9, walk.factor, walk.room),
    )
    assert (t, m, steps) == (1.0, 1, 0)
    assert (walk.w == 0.5).all()


# ---------------------------------------------------------------- the solver


@pytest.mark.parametrize("option", SUITED)
@pytest.mark.parametrize("shape", [(40, 15), (15, 40), (30, 300)])
@pytest.mark.parametrize("ratio", [0.3, 0.02, 1e-4])
def test_options(option, shape, ratio, handed_over):
    X, y = problems.make(*shape, density=0.8)
    chosen = suited(option, *shape)
    lam = ratio * l1fast.lam_max(X, y, **{name: value for name, value in chosen.items() if name != "l2"})
    result = judged.solve(X, y, lam, solver="homotopy", tol=TOL, **chosen)
    assert result.converged
    assert not handed_over


@pytest.mark.parametrize("option", SUITED)
@pytest.mark.parametrize("ratio", [0.3, 0.02])
def test_cvxpy_agrees(option, ratio):
    X, y = problems.make(15, 40, density=0.8)
    chosen, lam = suited(option, 15, 40), problems.strength(X, y, ratio)
    problem = referee.Problem(X, y, lam, **chosen)
    result = judged.solve(X, y, lam, solver=l1fast.Homotopy(columns=5), tol=TOL, **chosen)
    assert result.objective == pytest.approx(cvxpy_objective(problem), rel=1e-7, abs=1e-7 * float(problem.scale()))


@pytest.mark.parametrize("storage", sorted(problems.STORAGES))
def test_storages(storage):
    X, y = problems.make(30, 100)
    stored = problems.STORAGES[storage](X)
    judged.solve(stored, y, problems.strength(X, y, 0.02), judge_X=X, solver="homotopy", tol=1e-9, fit_intercept=True)


@pytest.mark.parametrize("columns", [1, 7, 1000])
def test_few_columns_at_a_time(columns, handed_over):
    """With few columns beside the support many are missed, and join later."""
    X, y = problems.make(20, 400, density=1.0)
    for ratio in (0.1, 0.001):
        result = judged.solve(X, y, problems.strength(X, y, ratio), solver=l1fast.Homotopy(columns), tol=TOL)
        assert result.converged
    assert not handed_over


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_saturated_support(fit_intercept, handed_over):
    """As many coefficients as samples (one fewer beside an intercept): every further column is a dependent one."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((25, 500)), rng.standard_normal(25)
    result = judged.solve(
        X, y, problems.strength(X, y, 1e-5), solver=l1fast.Homotopy(1), tol=TOL, fit_intercept=fit_intercept
    )
    assert result.converged
    assert len(result.support) == 25 - fit_intercept
    assert not handed_over


@pytest.mark.parametrize("X", [[[2.0]], [[2.0, -1.0, 2.0]], [[0.0, 3.0]], [[1.0], [2.0], [4.0]]])
def test_one_sample_or_one_feature(X):
    X = np.array(X)
    y = np.arange(1.0, len(X) + 1)
    for ratio in (0.5, 0.01, 1.0):
        judged.solve(X, y, problems.strength(X, y, ratio), solver="homotopy", tol=TOL)


@pytest.mark.parametrize("seed", range(5))
def test_twins(seed, handed_over):
    """Equal, opposite, doubled and nearly equal columns, together at a saturated end."""
    rng = np.random.default_rng(seed)
    B, y = rng.standard_normal((20, 60)), rng.standard_normal(20)
    X = np.concatenate([B, -B, 2 * B, B + 1e-7 * rng.standard_normal(B.shape)], axis=1)[:, rng.permutation(240)]
    for ratio in (0.1, 0.01, 0.001):
        assert judged.solve(X, y, problems.strength(X, y, ratio), solver="homotopy", tol=1e-9).converged
    assert not handed_over


def test_a_tight_tolerance_costs_no_round():
    X, y = problems.make(40, 600, density=1.0)
    lam = problems.strength(X, y, 0.01)
    loose, tight = (l1fast.solve(X, y, lam, solver="homotopy", tol=tol) for tol in (1e-6, 1e-13))
    assert (loose.n_iter, loose.n_epochs) == (tight.n_iter, tight.n_epochs)


def test_a_good_start_saves_steps_and_a_bad_one_is_handed_over(handed_over):
    X, y = problems.make(40, 200, density=1.0)
    lam = problems.strength(X, y, 0.05)
    cold = l1fast.solve(X, y, lam, solver="homotopy", tol=TOL)
    near = l1fast.solve(X, y, 1.2 * lam, solver="homotopy", tol=TOL)
    warm = judged.solve(X, y, lam, solver="homotopy", tol=TOL, start=near)
    assert warm.n_epochs < cold.n_epochs / 2
    assert not handed_over
    rng = np.random.default_rng(0)
    bad = judged.solve(X, y, lam, solver="homotopy", tol=1e-8, start=rng.standard_normal(200), history=True)
    assert bad.converged
    assert handed_over
    assert (np.diff(bad.history.iteration) > 0).all()


def test_limits(monkeypatch):
    X, y = problems.make(40, 600, density=1.0)
    lam = problems.strength(X, y, 0.001)
    with pytest.warns(l1fast.ConvergenceWarning, match="raise max_iter"):
        judged.solve(X, y, lam, solver="homotopy", max_iter=2)
    with pytest.warns(l1fast.ConvergenceWarning, match="raise time_limit"):
        judged.solve(X, y, lam, solver="homotopy", time_limit=0)
    seen = []
    with pytest.warns(l1fast.ConvergenceWarning, match="callback"):
        judged.solve(X, y, lam, solver="homotopy", callback=lambda state: seen.append(state) or len(seen) == 3)
    assert [state.iteration for state in seen] == [0, 1, 2]
    whole = judged.solve(X, y, lam, solver="homotopy", tol=TOL)
    monkeypatch.setattr(_homotopy, "PATH_AT_ONCE", 1)  # a look at the clock after every step changes nothing
    assert (judged.solve(X, y, lam, solver="homotopy", tol=TOL).coef == whole.coef).all()


def test_a_path_without_end_is_handed_over(monkeypatch, handed_over):
    X, y = problems.make(40, 600, density=1.0)
    monkeypatch.setattr(_homotopy, "MOST_STEPS", 0.5)
    assert judged.solve(X, y, problems.strength(X, y, 0.01), solver="homotopy", tol=1e-8).converged
    assert handed_over


def test_what_it_does_not_do_is_said():
    X, y = problems.make()
    weights = np.ones(24)
    weights[3] = 0.0
    for lam, chosen in (
        (0.0, {}),
        (1.0, {"penalty_weights": weights}),
        (1.0, {"bounds": (-0.5, 0.5)}),
        (1.0, {"bounds": (0.0, 3.0)}),
        (1.0, {"bounds": (np.where(weights == 0.0, -np.inf, 0.0), None)}),
    ):
        with pytest.raises(ValueError, match="ask for solver='cd'"):
            l1fast.solve(X, y, lam, solver="homotopy", **chosen)
        assert l1fast.solve(X, y, lam, **chosen).solver == "cd"
    for limit in (-1, 2.5):
        with pytest.raises(ValueError, match="memory_limit must be"):
            l1fast.Homotopy(memory_limit=limit)
    for columns in (0, 2.5, "many"):
        with pytest.raises(ValueError, match="columns must be"):
            l1fast.Homotopy(columns)


def test_auto_chooses_it_for_few_samples():
    n = _solvers.FEW_SAMPLES
    X, y = problems.make(n + 1, 30)
    for kept, chosen, expected in (
        (n, {}, "homotopy"),
        (n + 1, {}, "cd"),
        (n, {"l2": 1.0}, "cd"),
        (n, {"start": np.zeros(30)}, "cd"),
        (n, {"bounds": (0, None)}, "homotopy"),
        (n, {"positive": True, "fit_intercept": True}, "homotopy"),
    ):
        result = l1fast.solve(X[:kept], y[:kept], 5.0, **chosen)
        assert result.solver == expected
        assert f"{kept} x 30" in result.reason


def test_memory_limit(handed_over):
    """What the path needs, to the byte; with less, coordinate descent finishes within the limit."""
    X, y = problems.make(20, 60, density=1.0)
    lam, needed = problems.strength(X, y, 0.01), 8 * (60 * 20 + 2 * 20**2)
    assert judged.solve(X, y, lam, tol=TOL, memory_limit=needed).solver == "homotopy"
    assert not handed_over
    assert judged.solve(X, y, lam, tol=1e-8, memory_limit=needed - 1).converged
    assert handed_over


def test_a_path_keeps_to_coordinate_descent():
    """Which carries its Gram matrix from strength to strength; asked for by name, the homotopy walks it too."""
    X, y = problems.make(20, 60, density=1.0)
    auto, asked = (l1fast.path(X, y, n_lams=8, tol=TOL, solver=solver) for solver in ("auto", "homotopy"))
    assert (auto.solver, asked.solver) == ("cd", "homotopy")
    assert auto.converged
    assert asked.converged
    np.testing.assert_allclose(asked.objectives, auto.objectives, rtol=1e-9)


elements = st.one_of(st.integers(-2, 2).map(float), st.floats(-5, 5, width=32).filter(lambda x: abs(x) > 1e-3))


@st.composite
def random_problems(draw):
    """(X, y, ratio of lam to its largest useful value, options, columns); small integers make ties common."""
    n, p = draw(st.integers(1, 9)), draw(st.integers(1, 14))
    X, y = draw(hnp.arrays(np.float64, (n, p), elements=elements)), draw(hnp.arrays(np.float64, n, elements=elements))
    if draw(st.booleans()):
        X = np.concatenate([X, draw(st.sampled_from([1.0, -1.0, 2.0])) * X], axis=1)
    chosen = {"fit_intercept": draw(st.booleans()), "positive": draw(st.booleans())}
    if draw(st.booleans()):
        chosen["sample_weight"] = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])))
        hypothesis.assume(chosen["sample_weight"].any())
    if draw(st.booleans()):
        weights = hnp.arrays(np.float64, X.shape[1], elements=st.sampled_from([0.25, 1.0, 3.0]))
        chosen["penalty_weights"] = draw(weights)
    lam = draw(st.sampled_from([1e-3, 0.02, 0.1, 0.5, 0.99, 2.0])) * (l1fast.lam_max(X, y, **chosen) or 1.0)
    return X, y, lam, chosen | {"l2": draw(st.sampled_from([0.0, 0.5]))}, draw(st.sampled_from([1, 3, 100]))


@hypothesis.given(random_problems())
def test_random_problems(problem):
    X, y, lam, chosen, columns = problem
    result = judged.solve(X, y, lam, solver=l1fast.Homotopy(columns), tol=1e-9, **chosen)
    assert result.converged
