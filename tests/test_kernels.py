"""Every private kernel against its plain NumPy meaning, in longdouble."""

import functools
import itertools

import naive
import numpy as np
import problems
import pytest
import referee
import scipy.sparse

from l1fast._kernels import check, coordinate_descent, fista, gradient, gram, newton, newton_cg

ROUNDING = 500 * np.finfo(np.float64).eps  # of sums as long as the ones here, relative to the size of their terms
GUARD = 3  # numbers after the end of every output, which must stay as they are
SHAPES = [(37, 23), (6, 50), (9, 4), (1, 1), (3, 1), (1, 7)]
SAMPLES = ("plain", "intercept", "sample_weight", "sample_weight+intercept")


def dense_storage(X, order, real, wide):
    """Values by rows or columns; wide: with NaN between the slices, as in a block of a larger array."""
    if order == "F":
        return dense_storage(X.T, "C", real, wide)[0].T, None, None, False
    held = np.full((X.shape[0], X.shape[1] + GUARD * wide), np.nan, real)
    held[:, : X.shape[1]] = X
    return held[:, : X.shape[1]], None, None, True


def sparse_storage(X, kind, real, index, start):
    """Values, indices and starts, with slack of nonsense after the last entry."""
    made = (scipy.sparse.csr_array if kind == "csr" else scipy.sparse.csc_array)(X)
    values, indices = np.append(made.data, [np.nan] * GUARD), np.append(made.indices, [-1] * GUARD)
    return values.astype(real), indices.astype(index), made.indptr.astype(start), kind == "csr"


DENSE = {
    f"{order}{'-wide' * wide}-{real}": functools.partial(dense_storage, order=order, real=real, wide=wide)
    for order, real, wide in itertools.product("CF", ("f4", "f8"), (False, True))
}
WIDTHS = [("f4", "i4", "i4"), ("f4", "i8", "i8"), ("f8", "i4", "i8"), ("f8", "i8", "i4")]  # values, indices, starts
SPARSE = {
    f"{kind}-{'-'.join(widths)}": functools.partial(
        sparse_storage, kind=kind, **dict(zip(("real", "index", "start"), widths, strict=True))
    )
    for kind, widths in itertools.product(("csr", "csc"), WIDTHS)
}
STORAGES = DENSE | SPARSE
BY_COLUMNS = [name for name in STORAGES if name.startswith(("F", "csc"))]
every_storage = pytest.mark.parametrize("storage", STORAGES)


def view_of(X, storage):
    values, indices, starts, by_rows = STORAGES[storage](X)
    view, fault, where = check.check_matrix(values, indices, starts, *X.shape, by_rows)
    assert (fault, where) == ("sound", 0)
    return view


class Case:
    """A problem as the kernels take it, and as the referee does."""

    def __init__(self, X, y, lam=1.0, storage="C-f8", **options):
        self.view, self.truth = view_of(X, storage), referee.Problem(X, y, lam, **options)
        truth, self.total = self.truth, float(self.truth.s.sum())
        exact_mean = truth.s @ truth.X / truth.s.sum() if truth.fit_intercept else np.zeros(truth.p)
        self.mean = exact_mean.astype(float) if truth.fit_intercept else None
        self.norm2 = (truth.s @ (truth.X - exact_mean) ** 2).astype(float)
        self.gram = ((truth.X - exact_mean).T @ (truth.s[:, None] * (truth.X - exact_mean))).astype(float)
        self.weights = truth.v.astype(float)
        bounded = np.isfinite([truth.lower, truth.upper]).any()
        self.lower, self.upper = (truth.lower.astype(float), truth.upper.astype(float)) if bounded else (None, None)
        self.capsule = self.packed()

    def packed(self, **changes):
        truth = self.truth
        parts = {
            "matrix": self.view,
            "y": truth.null_residual().astype(float),
            "sample_weight": None if (truth.s == 1).all() else truth.s.astype(float),
            "mean": self.mean,
            "total_weight": self.total,
            "norm2": self.norm2,
            "penalty_weight": None if (truth.v == 1).all() else self.weights,
            "lam": float(truth.lam),
            "l2": float(truth.l2),
            "lower": self.lower,
            "upper": self.upper,
            "n_threads": 1,
        }
        return check.pack_problem(*(parts | changes).values())

    def at(self, w):
        """Exact (q, g, loss) at w, and the size of what float64 rounds in each."""
        truth, w = self.truth, w.astype(np.longdouble)
        b = truth.best_intercept(w)
        error = -truth.residual(w, b)
        q = truth.s * error
        means = np.zeros(truth.p) if self.mean is None else np.abs(self.mean)
        reach = truth.s * (np.abs(truth.X) @ np.abs(w) + np.abs(truth.null_residual()) + means @ np.abs(w))
        reach = reach + truth.s * reach.sum() / truth.s.sum()
        g_reach = np.abs(truth.X).T @ reach + means * reach.sum()
        return (q, truth.X.T @ q, q @ error / 2), (reach, g_reach, reach @ (np.abs(error) + 1))

    def within(self, w):
        """w, moved into the bounds."""
        return np.clip(w, self.truth.lower, self.truth.upper).astype(float)

    def penalties(self, members):
        """The penalty of a working set as the kernels take it."""
        truth = self.truth
        return np.array([part[members] for part in (truth.v, truth.lower, truth.upper)], float)

    def state(self, w):
        """(q, g, loss) at w, rounded."""
        (q, g, loss), _ = self.at(w)
        return q.astype(float), g.astype(float), float(loss)

    def objective(self, w):
        return self.truth.objective(w.astype(np.longdouble), self.truth.best_intercept(w.astype(np.longdouble)))


def case(option="plain", shape=(37, 23), storage="C-f8", ratio=0.1, shift=0.0, **changes):
    X, y = problems.make(*shape)
    X = X + shift
    lam = problems.strength(X, y, ratio)
    return Case(X, y, **({"lam": lam, "storage": storage} | problems.options(option, *shape) | changes))


def point(p, seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(p) * (rng.random(p) < density)


def guarded(n):
    return np.full(n + GUARD, 1.25)


SOLVED = {}


def solved(truth, n_epochs=3000):
    """The solution by the naive twin, computed once for equal problems."""
    parts = [np.asarray(part, float).tobytes() for part in (truth.X, truth.y, truth.s, truth.v, truth.lam, truth.l2)]
    key = (*parts, truth.lower.tobytes(), truth.upper.tobytes(), truth.fit_intercept, n_epochs)
    if key not in SOLVED:
        SOLVED[key] = naive.cyclic_cd(truth, n_epochs)[0]
    return SOLVED[key]


def unguarded(array):
    assert (array[-GUARD:] == 1.25).all(), "written beyond the end"
    return array[:-GUARD]


def near(actual, exact, size):
    np.testing.assert_array_less(np.abs(actual - exact), ROUNDING * size + 1e-300)


# ---------------------------------------------------------------- gradient


@every_storage
@pytest.mark.parametrize("option", SAMPLES)
def test_gradient(storage, option):
    for shape, density in [(SHAPES[0], 0.0), (SHAPES[0], 1.0), *((shape, 0.3) for shape in SHAPES)]:
        if shape[0] <= 3 and "weight" in option:
            continue  # the weights may all be 0
        made = case(option, shape, storage)
        w = point(shape[1], density=density)
        exact, sizes = made.at(w)
        q, g = guarded(shape[0]), guarded(shape[1])
        loss = gradient.gradient(made.capsule, w, q, g, np.empty(0))
        for actual, wanted, size in zip((unguarded(q), unguarded(g), loss), exact, sizes, strict=True):
            near(actual, wanted, size)


@every_storage
def test_apply_and_correlate(storage):
    for n, p in SHAPES:
        X, y = problems.make(n, p)
        w, Xw, Xty = point(p), guarded(n), guarded(p)
        gradient.apply(view_of(X, storage), w, Xw, np.empty(0), 1)
        gradient.correlate(view_of(X, storage), y, Xty, np.empty(0), 1)
        near(unguarded(Xw), referee.dense(X) @ w, np.abs(X) @ np.abs(w))
        near(unguarded(Xty), referee.dense(X).T @ y, np.abs(X).T @ np.abs(y))


@every_storage
@pytest.mark.parametrize("offset", [0.0, 2.0**17], ids=["", "offset"])
@pytest.mark.parametrize("option", SAMPLES)
def test_column_norms2(storage, offset, option):
    """Every term is >= 0, so that a relative error of a few roundings is all that is due, wherever the column lies."""
    X, y = problems.make(37, 23)
    X[:, ::2] += offset  # every other column has no zeros
    truth = referee.Problem(X, y, 1.0, **problems.options(option, *X.shape))
    mean = (truth.s @ truth.X / truth.s.sum()).astype(float) if truth.fit_intercept else None
    weight = truth.s.astype(float) if "weight" in option else None
    out, scratch = guarded(23), guarded(2 * 23)
    gradient.column_norms2(view_of(X, storage), weight, mean, float(truth.s.sum()), out, scratch, 1)
    unguarded(scratch)
    exact = truth.s @ (truth.X - (0 if mean is None else mean)) ** 2
    near(unguarded(out), exact, exact)


@every_storage
def test_nothing_to_sweep(storage):
    # an empty array of NumPy has strides of 0: along the longer side it is not contiguous
    for shape in {"C": ((4, 0), (0, 1)), "F": ((0, 4), (1, 0))}.get(storage[0], ((0, 4), (4, 0), (0, 0))):
        view = view_of(np.zeros(shape), storage)
        for n_threads in (1, 3):
            out, scratch = guarded(shape[1]), guarded(2 * shape[1])
            gradient.column_norms2(view, None, None, shape[0], out, scratch, n_threads)
            assert not unguarded(out).any()
            gradient.correlate(view, np.ones(shape[0]), out, scratch, n_threads)
            assert not unguarded(out).any()
            gradient.apply(view, np.ones(shape[1]), out := guarded(shape[0]), scratch, n_threads)
            assert not unguarded(out).any()


# ---------------------------------------------------------------- certificate


def certified(made, w):
    """The certificate of w, each number compared with the referee's; returns (gap, scale)."""
    truth = made.truth
    _, g, loss = made.state(w)
    objective, gap, scale, violation = gradient.certify(made.capsule, w, g, loss)
    wide, b = w.astype(np.longdouble), truth.best_intercept(w.astype(np.longdouble))
    theta = -np.longdouble(scale) * made.at(w)[0][0]
    in_primal, in_gap, in_slopes, in_gradient = (100 * part for part in truth.round_off(wide, b, theta))
    assert abs(objective - truth.objective(wide, b)) <= in_primal
    assert abs(violation - truth.violation(wide, b)) <= in_gradient.max(initial=0)
    free = (truth.lam + truth.l2) * truth.v == 0
    assert (truth.infeasibility(theta)[~free] <= in_slopes[~free]).all(), "theta is not feasible"
    # an unpenalised column without a bound asks for c = 0; in place of the constraint the gap counts |c w| +
    # c^2 / (2 norm2), and may do so where the bound is not reached
    c, norm2 = truth.X.T @ theta, np.where(made.norm2 > 0, made.norm2, np.inf)
    lacking = np.abs(c * w) + c**2 / (2 * norm2)
    reach = truth.reach(theta)
    exact = truth.objective(wide, b) - truth.dual_objective(theta) + (c * w + lacking)[free & np.isinf(reach)].sum()
    loose = free & np.isfinite(reach) & (reach != 0) & (reach != np.sign(c) * w)
    wider = exact + (lacking + c * w - np.abs(c) * np.where(loose, reach, 0))[loose].sum()
    assert min(abs(gap - exact), abs(gap - wider)) <= in_gap + ROUNDING * lacking[free].sum()
    assert gap >= 0
    return gap, scale


def points(made, best):
    """Zero, the best, too short, far beyond, on the wrong side, anywhere."""
    p = made.truth.p
    held = (np.zeros(p), best, 0.5 * best, 3 * best, -best, point(p), 1e-3 * point(p, 1))
    return [made.within(w) for w in held]


@pytest.mark.parametrize("strength", [0.0, 1e-3, 0.1, 2.0])
@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("shape", [(37, 23), (12, 20)], ids=["tall", "wide"])
def test_certify(shape, option, strength):
    made = case(option, shape, ratio=strength or 1.0, **({} if strength else {"lam": 0.0}))
    best = solved(made.truth, 30).astype(float)
    for w in points(made, best):
        certified(made, w)


@pytest.mark.parametrize("positive", [False, True])
def test_certify_takes_the_best_scale(positive):
    """Without l2 and unpenalised columns, no other feasible multiple of the residual gives a larger dual value."""
    made = case(positive=positive)
    truth = made.truth
    best = solved(truth, 30).astype(float)
    clamped = set()
    for w in points(made, best):
        _, scale = certified(made, w)
        q = made.at(w)[0][0]
        feasible = [t for t in scale + np.linspace(-1, 1, 2001) if truth.excess(-t * q).max() == 0]
        value = truth.dual_objective(-scale * q)
        assert max(truth.dual_objective(-t * q) for t in feasible) <= value + 1e-12 * abs(value)
        best_scale = truth.y @ -q / (q @ q)
        clamped.add(int(np.sign(best_scale - scale)) if abs(best_scale - scale) > 1e-9 else 0)
    assert 1 in clamped


@pytest.mark.parametrize("positive", [False, True])
def test_certify_clamps_below(positive):
    """Past y the residual points away from y: the best multiple of it is negative, and infeasible like a large one."""
    y = np.array([4.0, 1.0])
    made, w = Case(np.eye(2), y, 0.1, positive=positive), 1.125 * y
    truth, q = made.truth, made.at(w)[0][0]
    unclamped = truth.y @ -q / (q @ q)
    assert truth.objective(w, 0) < truth.dual_objective(-unclamped * q), "this gap would be negative"
    gap, scale = certified(made, w)
    assert scale == pytest.approx(-0.1 / 0.5, rel=1e-15)
    assert unclamped < scale < 0 < gap


@pytest.mark.thinned(4)
@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("shape", [(37, 23), (12, 20)], ids=["tall", "wide"])
def test_certify_closes_the_gap_at_the_optimum(shape, option):
    made = case(option, shape)
    gap, _ = certified(made, solved(made.truth).astype(float))
    assert gap <= 1e-10 * made.truth.scale()


@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight", "penalty_weights", "l2", "free columns"])
@pytest.mark.parametrize("width", [10.0, 1e6, 1e30])
def test_certify_is_not_spoilt_by_bounds_far_away(width, option):
    made, bounded = case(option), case(option, bounds=(-width, width))
    for w in points(made, solved(made.truth, 30).astype(float)):
        _, g, loss = made.state(w)
        unbounded = gradient.certify(made.capsule, w, g, loss)
        found = gradient.certify(bounded.capsule, w, g, loss)
        assert found[1] <= unbounded[1] + 1e-15 * made.truth.scale()  # summed in another order
        assert (found[0], found[3]) == pytest.approx((unbounded[0], unbounded[3]), rel=1e-12)


# ---------------------------------------------------------------- gram


def set_and_position(p, seed=0, size=None, steps=()):
    """Features by chance, ascending between the steps, and where each stands."""
    chosen = np.random.default_rng(seed).permutation(p)[:size].astype(np.intp)
    for first, last in itertools.pairwise((0, *steps, len(chosen))):
        chosen[first:last].sort()
    position = np.full(p, -1, np.int32)
    position[chosen] = np.arange(len(chosen))
    return chosen, position


@pytest.mark.parametrize(
    ("storage", "precision"), [*itertools.product(STORAGES, ["f8"]), *itertools.product(DENSE, ["f4"])]
)
@pytest.mark.parametrize("option", SAMPLES)
@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_gram_grows(storage, option, batch, precision):
    """batch : capacity of a chunk of CSC rows, or rows of a dense panel. precision : of the dense products."""
    for shape in ((37, 23), (6, 50)):
        made = case(option, shape, storage)
        steps = (3, 3, 4, 15, shape[1])
        chosen, _ = set_and_position(shape[1], steps=steps)
        whole = made.gram[np.ix_(chosen, chosen)]
        size = np.sqrt(np.outer(*[made.truth.s @ made.truth.X[:, chosen] ** 2] * 2))
        held, known = np.full((shape[1] + 2, shape[1] + 3), 1.25), 0
        for step in steps:
            members, before = chosen[:step], held[:known, :known].copy()
            if storage in SPARSE:
                position = np.full(shape[1], -1, np.int32)
                position[members] = np.arange(step)
                gram.extend_sparse(made.capsule, members, known, held, position, np.empty(shape[0] + 1, "i4"), batch)
            else:
                panel, part = np.empty(batch * step, precision), np.empty((step - known) * step, precision)
                middle = shape[0] // 2
                gram.extend_dense(made.capsule, members, known, held, panel, part, batch, 0, middle)
                gram.extend_dense(made.capsule, members, known, held, panel, part, batch, middle, shape[0])
            rounding = size if precision == "f8" else size * 2.0**29
            near(held[:step, :step], whole[:step, :step], rounding[:step, :step])
            assert (held[:known, :known] == before).all(), "what was known has changed"
            assert (held[step:] == 1.25).all() and (held[:, step:] == 1.25).all(), "written beyond the end"
            known = step


def test_panel_rows():
    assert gram.panel_rows(10**6, 0) == 131072
    assert gram.panel_rows(10**6, 10**6) == 64
    assert gram.panel_rows(100, 10) == 100


# ---------------------------------------------------------------- coordinate descent


@pytest.mark.parametrize("option", problems.OPTIONS)
def test_scores(option):
    made = case(option, storage="csc-f8-i4-i8")
    truth, p = made.truth, made.truth.p
    made.norm2[5] = 0.0  # the kernels' word for a column that cannot matter
    for w in points(made, point(p, 3)):
        inside, out = np.zeros(p, np.uint8), np.full(p, np.nan)
        inside[::4] = 1
        _, g, _ = made.state(w)
        count = coordinate_descent.scores(made.capsule, w, g, inside, out)
        exact = np.zeros(p)
        for j in np.flatnonzero((inside == 0) & (made.norm2 > 0)):
            part = truth.columns([j])
            part.y = truth.y - truth.X @ np.where(np.arange(p) == j, 0, w)  # the problem in w_j alone
            violation = part.violation(w[[j]], truth.best_intercept(w))
            exact[j] = 0 if violation < 1e-13 else violation**2 / made.norm2[j]
        np.testing.assert_allclose(out, exact, rtol=1e-9, atol=1e-20)
        assert count == np.count_nonzero(out)


class Part:
    """The problem restricted to some columns, the other coefficients held at w."""

    def __init__(self, made, members, w):
        self.made, self.members, self.w = made, members, w
        self.truth = made.truth.columns(members)
        self.truth.y = made.truth.y - made.truth.X @ self.joined(np.zeros(len(members)))
        self.best = solved(self.truth)
        self.penalties, self.norm2 = made.penalties(members), made.norm2[members]
        self.gram = np.ascontiguousarray(made.gram[np.ix_(members, members)])

    def joined(self, w_set):
        w = self.w.copy()
        w[self.members] = w_set
        return w

    def objective(self, w_set):
        return self.truth.objective(w_set, self.truth.best_intercept(w_set))

    def gap_to_best(self, w_set):
        return float(self.objective(w_set) - self.objective(self.best))


def part_of(option, storage="C-f8", shape=(37, 23), **changes):
    """A case and its part, with coefficients outside the working set, and some inside where the solution has none."""
    made = case(option, shape, storage, **changes)
    members, _ = set_and_position(shape[1], size=14)
    return Part(made, members, made.within(point(shape[1], 4)))


@pytest.mark.thinned(4)
@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("ratio", [0.02, 0.3])
def test_gram_descent(option, ratio):
    part = part_of(option, ratio=ratio)
    made, members = part.made, part.members
    w, (_, g, loss) = part.w[members], made.state(part.w)
    g, scale, objective = g[members], float(made.truth.scale()), part.objective(part.w[members])
    for _ in range(3):
        epochs, gap, loss = coordinate_descent.gram_descent(
            made.capsule, part.gram, part.norm2, part.penalties, w, g, loss, 0.0, 1
        )
        assert epochs >= 1 or gap == 0.0
        (_, exact_g, exact_loss), (_, g_size, loss_size) = made.at(part.joined(w))
        near(g, exact_g[members], 10 * g_size[members])
        near(loss, exact_loss, 10 * loss_size)
        before, objective = objective, part.objective(w)
        assert objective <= before * (1 + 1e-15)
    target = 1e-10 * scale
    epochs, gap, loss = coordinate_descent.gram_descent(
        made.capsule, part.gram, part.norm2, part.penalties, w, g, loss, target, 5000
    )
    assert gap <= target
    assert -1e-14 * scale <= part.gap_to_best(w) <= 1.001 * target
    assert (w == made.within(part.joined(w))[members]).all()


@pytest.mark.thinned(4)
@pytest.mark.parametrize("storage", BY_COLUMNS)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_column_descent(storage, option):
    part = part_of(option, storage, shift=2.0 if option == "all" or "intercept" in option else 0.0)
    made, members = part.made, part.members
    w, q, scale = part.w.copy(), made.state(part.w)[0], float(made.truth.scale())
    outside = np.delete(w, members)
    room = [np.empty(len(members)) for _ in range(2)]

    def descend(target, max_epochs):
        return coordinate_descent.column_descent(
            made.capsule, members, w, q, target, max_epochs, *room, part.norm2, part.penalties
        )

    objective = part.objective(w[members])
    for _ in range(3):
        epochs, gap = descend(0.0, 1)
        assert epochs >= 1 or gap == 0.0
        (exact_q, _, _), (q_size, _, _) = made.at(w)
        near(q, exact_q, 10 * q_size)
        before, objective = objective, part.objective(w[members])
        assert objective <= before * (1 + 1e-15)
    target = 1e-10 * scale
    _, gap = descend(target, 5000)
    assert gap <= target
    assert -1e-14 * scale <= part.gap_to_best(w[members]) <= 1.001 * target
    assert (np.delete(w, members) == outside).all()
    near(q, made.at(w)[0][0], 10 * made.at(w)[1][0])


def test_descent_on_nothing():
    made, none = case(storage="F-f8"), np.empty(0)
    assert coordinate_descent.gram_descent(
        made.capsule, np.empty((0, 0)), none, np.empty((3, 0)), none, none, 2.5, 0.0, 9
    ) == (0, 0.0, 2.5)
    w, q = np.zeros(23), np.zeros(37)
    rest = none, none, none, np.empty((3, 0))
    assert coordinate_descent.column_descent(made.capsule, none.astype(np.intp), w, q, 0.0, 9, *rest) == (0, 0.0)


# ---------------------------------------------------------------- newton


def newton_step(part, w, g, loss, damping):
    """One step, in place; returns (loss, damping)."""
    size = len(w)
    room = np.empty(size**2), np.empty(size), np.empty(size), np.empty(size, np.intp)
    return newton.step(part.made.capsule, part.gram, part.penalties, w, g, loss, damping, *room)


def step_from(part, w, damping=0.0):
    """One checked step from w (not changed): consistent, not uphill; returns the new w and damping."""
    start, (_, g, loss) = part.objective(w), part.made.state(part.joined(w))
    w, g = w.copy(), g[part.members]
    loss, damping = newton_step(part, w, g, loss, damping)
    (_, exact_g, exact_loss), (_, g_size, loss_size) = part.made.at(part.joined(w))
    near(g, exact_g[part.members], 100 * g_size[part.members])
    near(loss, exact_loss, 100 * loss_size)
    assert part.objective(w) <= start * (1 + 1e-13)
    assert (part.truth.lower <= w).all() and (w <= part.truth.upper).all()
    return w, damping


@pytest.mark.thinned(3)
@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("ratio", [0.02, 0.3])
def test_newton_never_climbs(option, ratio):
    part = part_of(option, ratio=ratio)
    for seed in range(10):
        w, damping = point(len(part.members), seed), 1e-2
        w = np.clip(w, part.truth.lower, part.truth.upper).astype(float)
        for _ in range(6):
            before, (w, damping) = w, step_from(part, w, damping)
            penalised = part.truth.v > 0
            held = (before == part.truth.lower) | (before == part.truth.upper)
            assert (w == before)[held].all(), "a coefficient left its bound"
            assert (w * before >= 0)[penalised].all(), "a penalised coefficient crossed zero"
            assert (w[(before == 0) & penalised] == 0).all(), "a penalised coefficient came in"
            assert 0 < damping <= 1


@pytest.mark.thinned(3)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_newton_lands_on_the_optimum(option):
    """With the signs of the solution the quadratic is the objective, and its minimiser is one step away."""
    part = part_of(option, ratio=0.02)
    best = part.best.astype(float)
    assert np.count_nonzero(best) >= 3
    held = (best == part.truth.lower) | (best == part.truth.upper)
    start = best * np.where(held, 1.0, np.random.default_rng(0).uniform(0.5, 2.0, len(best)))
    start = np.where(held, best, np.clip(start, 0.999 * part.truth.lower, 0.999 * part.truth.upper)).astype(float)
    w, damping = step_from(part, start)
    np.testing.assert_allclose(w, best, rtol=1e-9, atol=1e-12)
    assert damping == 1e-12  # the least: the whole step was made


def identity_part(w, z, lam, **options):
    """min 1/2 |w - z|^2 + lam |w|_1, all of it the working set."""
    made = Case(np.eye(len(z)), np.array(z), lam, **options)
    return Part(made, np.arange(len(z)), np.array(w))


def test_newton_freezes_at_zero():
    part = identity_part([-1.0, 3.0, 2.0], [0.25, 5.0, 2.0], 0.5)
    w, _ = step_from(part, part.w)
    assert w[0] == 0.0
    np.testing.assert_allclose(w[1:], [4.5, 1.5], rtol=1e-15)


@pytest.mark.parametrize("positive", [False, True])
def test_newton_freezes_all_that_reach_zero_together(positive):
    sign = -1.0 if not positive else 1.0
    part = identity_part([sign * 0.25] * 2, [sign * 0.25] * 2 if not positive else [-3.0] * 2, 1.0, positive=positive)
    w, _ = step_from(part, part.w)
    assert not w.any()


def test_newton_freezes_at_bounds():
    part = identity_part([0.5, -0.5, 1.0, 2.0], [9.0, -9.0, 1.5, 9.0], 0.25, bounds=([-9, -1, -9, -9], [1, 9, 9, 2]))
    w, damping = step_from(part, part.w, 0.5)
    assert (w[:2] == [1.0, -1.0]).all(), "stopped on the way"
    assert 1.0 < w[2] < 1.25, "the others go on"
    assert w[3] == 2.0, "stays where it is"
    assert damping < 0.5


@pytest.mark.parametrize("bound", [1.0 / 3.0, 0.1, 1e-17, 1e-320, 1e17 / 3.0])
def test_newton_never_passes_a_bound_by_rounding(bound):
    for start in (np.nextafter(bound, 0), 0.3 * bound, 1e-3 * bound):
        for z in (bound, np.nextafter(bound, np.inf), 7.0 * bound):
            part = identity_part([start, -start], [z, -z], 0.0, bounds=(-bound, bound))
            w, _ = step_from(part, part.w)
            assert abs(w).max() <= bound


def test_newton_ends_when_the_way_to_zero_underflows():
    part = identity_part([5e-324], [-30.0], 1.0)
    assert not step_from(part, part.w)[0].any()


@pytest.mark.parametrize(
    "twins",
    [
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param(0.0, marks=pytest.mark.nightly),
        pytest.param(1e-6, marks=pytest.mark.nightly),
    ],
)
def test_newton_on_a_large_system(twins):
    """Factored in float32 where that leads on: steps reach the optimum; columns much alike fall back on float64."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 160))
    if twins is not None:
        X[:, 80:] = X[:, :80] + twins * rng.standard_normal((200, 80))
    w = rng.uniform(0.5, 1.0, 160)
    made = Case(X, X @ w, 1e-9)
    part = Part(made, np.arange(160), np.ones(160))
    w, damping = np.ones(160), 1e-2
    values = [float(made.truth.objective(w, 0.0))]
    for _ in range(8):
        w, damping = step_from(part, w, damping)
        values.append(float(made.truth.objective(w, 0.0)))
    assert (np.diff(values) <= 1e-12 * values[0]).all()
    assert values[-1] <= 1e-8 * values[0]


def test_newton_without_support_stays():
    part = part_of("l2")
    w = np.zeros(len(part.members))
    assert newton_step(part, w, np.ones(len(w)), 2.5, 0.125) == (2.5, 0.125)
    assert not w.any()


# ---------------------------------------------------------------- fista


def transcription(made, w, lipschitz, n_iter, accelerate):
    """Beck and Teboulle (2009) from w: the iterates 0..n_iter."""
    truth = made.truth
    w = w_old = w.astype(np.longdouble)
    t, beta, iterates = 1.0, 0.0, [w]
    for _ in range(n_iter):
        v = w + beta * (w - w_old)
        slope = truth.X.T @ (-truth.s * truth.residual(v, truth.best_intercept(v)))
        shrunk = naive.soft_threshold(v - slope / lipschitz, truth.lam * truth.v / lipschitz)
        w, w_old = np.clip(shrunk / (1 + truth.l2 * truth.v / lipschitz), truth.lower, truth.upper), w
        t, t_old = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        beta = (t_old - 1) / t if accelerate else 0.0
        iterates.append(w)
    return iterates


def iterate(made, w, lipschitz, bound, *, accelerate, n_iter, restart=False, adapt=False, stop=None):
    """Run the kernel; returns (iterations, last iterate, [(iteration, objective, gap, w), ...])."""
    n, p = made.truth.n, made.truth.p
    vectors, q, seen = np.full((6, p), np.nan), np.empty(n), []
    vectors[0] = w

    def look(iteration, objective, gap, iterate, gradient):
        assert np.array(gradient) == pytest.approx(made.state(np.array(iterate))[1], rel=1e-9, abs=1e-9)
        seen.append((iteration, objective, gap, np.array(iterate)))
        return stop is not None and stop(gap)

    done = fista.iterate(
        made.capsule, vectors, q, np.empty(0), lipschitz, bound, accelerate, restart, adapt, n_iter, 1, look
    )
    return done, vectors[0], seen


@pytest.mark.thinned(3)
@pytest.mark.parametrize("accelerate", [False, True], ids=["ista", "fista"])
@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("storage", ["C-f8", "F-f4", "csr-f4-i4-i4", "csc-f8-i8-i4"])
def test_iterates(storage, option, accelerate):
    made = case(option, storage=storage)
    lipschitz = float(np.linalg.norm(made.gram, 2))
    w = made.within(point(23, 2))
    wanted = transcription(made, w, lipschitz, 12, accelerate)
    done, last, seen = iterate(made, w, lipschitz, 2 * lipschitz, accelerate=accelerate, n_iter=12)
    assert done == 12
    assert [iteration for iteration, *_ in seen] == list(range(13))
    for (_, objective, gap, actual), exact in zip(seen, wanted, strict=True):
        np.testing.assert_allclose(actual, exact.astype(float), rtol=1e-11, atol=1e-12)
        assert objective == pytest.approx(float(made.objective(exact)), rel=1e-12)
        assert gap >= objective - float(made.objective(solved(made.truth, 300))) - 1e-12 * objective
    assert last.tobytes() == seen[-1][3].tobytes()


@pytest.mark.parametrize("accelerate", [False, True], ids=["ista", "fista"])
@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_iterate_mends_a_step_that_is_too_long(accelerate, adapt, restart):
    made = case("all")
    bound, target = float(made.norm2.sum()), 1e-9 * float(made.truth.scale())
    done, last, seen = iterate(
        made,
        np.zeros(23),
        1e-3 * bound,
        bound,
        accelerate=accelerate,
        restart=restart,
        adapt=adapt,
        n_iter=20_000,
        stop=lambda gap: gap <= target,
    )
    assert done < 20_000
    assert made.objective(last) - made.objective(solved(made.truth)) <= target
    assert seen[-1][0] == done


def test_iterate_stops_when_told():
    made = case()
    bound = float(made.norm2.sum())
    start = point(23)
    assert iterate(made, start, bound, bound, accelerate=True, n_iter=9, stop=lambda gap: True)[0] == 0
    done, last, seen = iterate(made, start, bound, bound, accelerate=True, n_iter=0)
    assert (done, len(seen)) == (0, 1)
    assert (last == start).all()

    def fail(*_):
        raise RuntimeError("from the check")

    vectors = np.zeros((6, 23))
    with pytest.raises(RuntimeError, match="from the check"):
        fista.iterate(made.capsule, vectors, np.empty(37), np.empty(0), bound, bound, True, True, True, 9, 1, fail)


# ---------------------------------------------------------------- check


def checked(values, indices, starts, shape, by_rows=True, real="f8", index="i4", start="i4"):
    view, fault, where = check.check_matrix(
        np.array(values, real), np.array(indices, index), np.array(starts, start), *shape, by_rows
    )
    assert (view is not None) == (fault == "sound")
    assert fault in check.FAULTS
    return fault, where


FAULTY = {
    "first start": ([1.0, 2.0], [0, 1], [1, 1, 2], ("first_start", 0)),
    "negative first start": ([1.0, 2.0], [0, 1], [-1, 1, 2], ("first_start", 0)),
    "decreasing": ([1.0, 2.0], [0, 1], [0, 2, 1], ("decreasing_start", 1)),
    "decreasing below zero": ([1.0, 2.0], [0, 1], [0, -(2**31), 2], ("decreasing_start", 0)),
    "beyond the entries": ([1.0, 2.0], [0, 1], [0, 1, 3], ("last_start", 2)),
    "beyond the values": ([1.0], [0, 1], [0, 1, 2], ("last_start", 2)),
    "beyond the indices": ([1.0, 2.0], [0], [0, 1, 2], ("last_start", 2)),
    "far beyond": ([1.0, 2.0], [0, 1], [0, 1, 2**31 - 1], ("last_start", 2)),
    "negative index": ([1.0, 2.0], [0, -1], [0, 1, 2], ("index_range", 1)),
    "least index": ([1.0, 2.0], [-(2**31), 1], [0, 1, 2], ("index_range", 0)),
    "index at the length": ([1.0, 2.0], [2, 3], [0, 1, 2], ("index_range", 1)),
    "nan": ([1.0, np.nan], [0, 1], [0, 1, 2], ("not_finite", 1)),
    "inf": ([np.inf, 1.0], [0, 1], [0, 1, 2], ("not_finite", 0)),
    "-inf": ([1.0, -np.inf], [0, 1], [0, 0, 2], ("not_finite", 1)),
    "index before value": ([np.nan, 1.0], [0, 9], [0, 1, 2], ("index_range", 1)),
    "unsorted": ([1.0, 2.0], [1, 0], [0, 2, 2], ("not_canonical", 0)),
    "repeated": ([1.0, 2.0], [1, 1], [0, 0, 2], ("not_canonical", 0)),
    "unsorted before a descent between slices": ([1.0] * 3, [2, 1, 0], [0, 2, 3], ("not_canonical", 0)),
    "unsorted after a descent between slices": ([1.0] * 3, [2, 1, 0], [0, 1, 3], ("not_canonical", 0)),
}


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("name", FAULTY)
def test_faults(name, by_rows):
    values, indices, starts, expected = FAULTY[name]
    shape = (2, 3) if by_rows else (3, 2)
    for real, index, start in WIDTHS:
        assert checked(values, indices, starts, shape, by_rows, real, index, start) == expected


@every_storage
@pytest.mark.parametrize("weighted", [False, True])
def test_moments(storage, weighted):
    """The check sums up the columns on its way, in blocks of slices; more than one block here."""
    rng = np.random.default_rng(4)
    for shape in ((1500, 31), (3, 4001), (5, 1)):
        X = (rng.random(shape) * (rng.random(shape) < 0.5)).astype("f4").astype("f8")
        s, v = (rng.random(shape[0]) if weighted else None), rng.standard_normal(shape[0])
        values, indices, starts, by_rows = STORAGES[storage](X)
        weight = np.ones(shape[0]) if s is None else s
        for width in (2, 4 if indices is not None else 3):
            room = np.full((shape[1], width) if indices is not None else (width, shape[1]), np.nan)
            _, fault, _ = check.check_matrix(values, indices, starts, *shape, by_rows, s, v, room)
            assert fault == "sound"
            square, product, *total = (room.T if indices is not None else room)[:3]
            near(square, weight @ X**2, weight @ X**2)
            near(product, v @ X, np.abs(v) @ np.abs(X))
            if width > 2:
                near(total[0], weight @ X, weight @ np.abs(X))


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("name", FAULTY)
def test_faults_are_found_before_anything_is_summed(name, by_rows):
    values, indices, starts, expected = FAULTY[name]
    shape = (2, 3) if by_rows else (3, 2)
    parts = np.array(values), np.array(indices, "i4"), np.array(starts, "i4")
    found = check.check_matrix(*parts, *shape, by_rows, None, np.ones(shape[0]), np.empty((shape[1], 4)))
    assert found[1:] == expected


@pytest.mark.parametrize("order", "CF")
def test_a_large_square_is_not_a_fault(order):
    """Sums that overflow do not prove an infinite entry."""
    X = np.full((5, 3), 1e200, order=order)
    room = np.empty((3, 3))
    assert check.check_matrix(X, None, None, 5, 3, order == "C", None, np.ones(5), room)[1] == "sound"
    X[2, 1] = np.nan
    assert check.check_matrix(X, None, None, 5, 3, order == "C", None, np.ones(5), room)[1:] == ("not_finite", 7)


def test_moments_need_their_room():
    X = np.ones((4, 3))
    for room in (np.empty((3, 2)), np.empty((4, 3)), np.empty((2, 4))):
        with pytest.raises(ValueError, match="moments must be"):
            check.check_matrix(X, None, None, 4, 3, True, None, np.ones(4), room)
    for s, v in ((np.ones(3), np.ones(4)), (None, np.ones(5))):
        with pytest.raises(ValueError, match="expected 4 numbers"):
            check.check_matrix(X, None, None, 4, 3, True, s, v, np.empty((3, 3)))


def test_every_fault_has_a_test():
    assert {"sound", *(expected[0] for *_, expected in FAULTY.values())} == set(check.FAULTS)


def test_wide_indices_do_not_wrap():
    for index, start in itertools.product([2**32, 2**32 + 1, -(2**63), 2**63 - 1], ["i4", "i8"]):
        assert checked([1.0, 2.0], [0, index], [0, 1, 2], (2, 3), index="i8", start=start) == ("index_range", 1)
    for last in (2**32 + 2, 2**63 - 1):
        assert checked([1.0, 2.0], [0, 1], [0, 1, last], (2, 3), start="i8") == ("last_start", 2)
    assert checked([1.0], [2**31 - 1], [0, 1], (1, 2**31)) == ("sound", 0)
    assert checked([1.0], [2**40], [0, 1], (1, 2**40 + 1), index="i8") == ("sound", 0)
    assert checked([1.0], [-1], [0, 1], (1, 2**33)) == ("index_range", 0)


def test_canonical_across_slices():
    """Every way to cut every index sequence of five entries into four slices, empty ones included."""
    sequences = [*itertools.product(range(3), repeat=5)]
    cuts = [(0, *cut, 5) for cut in itertools.combinations_with_replacement(range(6), 3)]
    for indices in sequences[::5]:
        for starts in cuts:
            rising = all((np.diff(indices[a:b]) > 0).all() for a, b in itertools.pairwise(starts))
            fault, _ = checked([1.0] * 5, indices, starts, (4, 3))
            assert fault == ("sound" if rising else "not_canonical"), (indices, starts)


@pytest.mark.parametrize("place", range(0, 75, 7))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("storage", DENSE)
def test_dense_values_that_are_not_finite(storage, bad, place):
    X = np.ones((15, 5))
    by_rows = storage.startswith("C")
    k, i = divmod(place, 5 if by_rows else 15)
    X[(k, i) if by_rows else (i, k)] = bad
    values, _, _, by_rows = STORAGES[storage](X)
    assert check.check_matrix(values, None, None, 15, 5, by_rows) == (None, "not_finite", place)


def test_all_finite():
    for n in (0, 1, 15, 16, 17, 40):
        assert check.all_finite(np.full(n, 1e308))
        for at, bad in itertools.product(range(n), (np.nan, np.inf, -np.inf)):
            assert not check.all_finite(np.where(np.arange(n) == at, bad, -1e308))


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        (("f8", "i4", "i4", 2, 3), None),
        (("f8", "i4", "i4", 3, 3), ValueError),
        (("f8", "i4", "i4", 1, 3), ValueError),
        (("f2", "i4", "i4", 2, 3), TypeError),
        (("i8", "i4", "i4", 2, 3), TypeError),
        (("c16", "i4", "i4", 2, 3), TypeError),
        ((">f8", "i4", "i4", 2, 3), TypeError),
        (("f8", "u4", "i4", 2, 3), TypeError),
        (("f8", "i2", "i4", 2, 3), TypeError),
        (("f8", "i4", "f8", 2, 3), TypeError),
        (("f8", "i4", ">i8", 2, 3), TypeError),
    ],
)
def test_types_and_lengths_of_storage(parts, error):
    real, index, start, *shape = parts
    arrays = np.ones(2, real), np.array([0, 1], index), np.array([0, 1, 2], start)
    if error is None:
        assert check.check_matrix(*arrays, *shape, True)[1] == "sound"
    else:
        with pytest.raises(error):
            check.check_matrix(*arrays, *shape, True)


def test_storage_with_holes_is_refused():
    values, indices, starts = np.ones(4), np.array([0, 0, 1, 1], "i4"), np.array([0, 0, 1, 1, 2, 2], "i4")
    for parts in (
        (values[::2], indices[:2], starts[::2]),
        (values[:2], indices[::2], starts[::2].copy()),
        (values[:2], indices[::2].copy(), starts[::2]),
    ):
        with pytest.raises(ValueError, match="contiguous"):
            check.check_matrix(*parts, 2, 3, True)
    for by_rows, X in ((True, np.ones((3, 4), order="F")), (False, np.ones((3, 4))), (True, np.ones((3, 8))[:, ::2])):
        with pytest.raises(ValueError, match="contiguous"):
            check.check_matrix(X, None, None, 3, 4, by_rows)
    with pytest.raises(ValueError, match="shape"):
        check.check_matrix(np.ones((3, 4)), None, None, 4, 3, True)


def test_read_only_storage_will_do():
    for storage in STORAGES:
        parts = STORAGES[storage](problems.make(6, 4)[0])
        for part in parts[:3]:
            if part is not None:
                part.flags.writeable = False
        assert check.check_matrix(*parts[:3], 6, 4, parts[3])[1] == "sound"


def test_capsules_keep_their_arrays():
    made = case("sample_weight+intercept", storage="csr-f8-i4-i8")
    w, q, g = point(23), np.empty(37), np.empty(23)
    exact, capsule = made.at(w)[0][0], made.packed()
    made.view = made.norm2 = made.mean = made.capsule = None
    made = np.random.default_rng(0).random(100_000)  # what was let go of is overwritten
    gradient.gradient(capsule, w, q, g, np.empty(0))
    np.testing.assert_allclose(q, exact.astype(float), rtol=1e-12)


@pytest.mark.parametrize("name", ["y", "sample_weight", "mean", "norm2", "penalty_weight", "lower", "upper"])
@pytest.mark.parametrize("change", [-1, 1])
def test_problems_of_wrong_length_are_refused(name, change):
    made = case("sample_weight+intercept", bounds=(-1.0, 1.0))
    length = (37 if name in ("y", "sample_weight") else 23) + change
    with pytest.raises(ValueError, match=f"got {length}"):
        made.packed(**{name: np.ones(length)})


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_bounds_come_in_pairs(name):
    with pytest.raises(ValueError, match="together"):
        case(bounds=(-1.0, 1.0)).packed(**{name: None})


# Kernel calls: lists of arguments, each array with its lengths. Shortening any one of them must be refused.


def row_places(made, members):
    """Where each row begins among the entries of the members' columns, and room for those alone."""
    counts = np.count_nonzero(made.truth.X[:, members], axis=1)
    return np.append(0, counts.cumsum())[:-1].astype(np.int64), np.empty(counts.sum(), "i4"), np.empty(counts.sum())


WHOLE_SETS = ("extend_sparse", "extend_dense", "count_rows", "fill_rows")  # fewer features are another working set
FREE_LENGTHS = {("cg_solve", 2), *((name, 1) for name in WHOLE_SETS)}  # name, place of the argument


def calls():
    dense, sparse = case(shape=(6, 4), storage="F-f8"), case(shape=(6, 4), storage="csc-f8-i4-i8")
    n, p, size = 6, 4, 3
    members, position = set_and_position(p, size=size)
    rows = np.outer([1.0, -9.0, 9.0], np.ones(size))

    def number(*shape):
        return np.ones(shape)

    return {
        "gradient": (gradient.gradient, [dense.capsule, number(p), number(n), number(p), np.empty(0)]),
        "certify": (gradient.certify, [dense.capsule, number(p), number(p), 1.0]),
        "apply": (gradient.apply, [dense.view, number(p), number(n), np.empty(0), 2]),
        "correlate": (gradient.correlate, [dense.view, number(n), number(p), np.empty(0), 2]),
        "column_norms2": (
            gradient.column_norms2,
            [dense.view, number(n), number(p), 6.0, number(p), number(2 * p), 2],
        ),
        "scores": (
            coordinate_descent.scores,
            [dense.capsule, number(p), number(p), np.zeros(p, np.uint8), number(p)],
        ),
        "gram_descent": (
            coordinate_descent.gram_descent,
            [dense.capsule, np.eye(size), number(size), rows, number(size), number(size), 1.0, 0.0, 1],
        ),
        "column_descent": (
            coordinate_descent.column_descent,
            [dense.capsule, members, number(p), number(n), 0.0, 1, *(number(size) for _ in range(3)), rows],
        ),
        "extend_sparse": (
            gram.extend_sparse,
            [sparse.capsule, members, 0, number(size, size), position, np.empty(n + 1, "i4"), 2],
        ),
        "extend_dense": (
            gram.extend_dense,
            [dense.capsule, members, 0, number(size, size), number(2 * size), number(size * size), 2, 0, n],
        ),
        "newton": (
            newton.step,
            [
                *(dense.capsule, np.eye(size), rows, number(size), number(size), 1.0, 0.0),
                *(number(size**2), number(size), number(size), np.empty(size, np.intp)),
            ],
        ),
        "count_rows": (newton_cg.count_rows, [sparse.capsule, members, position, np.empty(n, "i4")]),
        "fill_rows": (
            newton_cg.fill_rows,
            [sparse.capsule, members, position, *row_places(sparse, members)],
        ),
        "cg_solve": (
            newton_cg.solve,
            [
                *(dense.capsule, members, np.arange(size), *(number(size) for _ in range(5))),
                *(number(size), number(n), 1.0, 0.0, 2),
            ],
        ),
        "cg_gradient": (newton_cg.gradient, [dense.capsule, members, number(n), number(size)]),
        "walk": (
            newton_cg.walk,
            [
                *(dense.capsule, members, -number(size), np.array([2, 0]), np.zeros(2)),
                *(2 * number(p), number(n), number(n)),
            ],
        ),
        "iterate": (
            fista.iterate,
            [
                *(dense.capsule, number(6, p), number(n), np.empty(0), 9.0, 9.0),
                *(True, True, True, 2, 1, lambda *_: False),
            ],
        ),
    }


@pytest.mark.parametrize("name", calls())
def test_short_arrays_are_refused(name):
    kernel, arguments = calls()[name]

    def call(at, argument):
        changed = [*arguments[:at], argument, *arguments[at + 1 :]]
        kernel(*(value.copy() if isinstance(value, np.ndarray) else value for value in changed))

    call(0, arguments[0])
    for at, argument in enumerate(arguments):
        if not isinstance(argument, np.ndarray) or (name, at) in FREE_LENGTHS:
            continue
        for axis in range(argument.ndim if argument.size else 0):
            with pytest.raises(ValueError):
                call(at, np.ascontiguousarray(np.delete(argument, -1, axis)))


@pytest.mark.parametrize("name", calls())
def test_only_the_right_capsules_are_taken(name):
    kernel, arguments = calls()[name]
    made = case(shape=(6, 4))
    other = made.capsule if name in ("apply", "correlate", "column_norms2") else made.view
    for wrong in (other, None, np.ones(4), object()):
        with pytest.raises(ValueError):
            kernel(wrong, *arguments[1:])
    with pytest.raises(ValueError):
        made.packed(matrix=made.capsule)


@pytest.mark.parametrize("name", ["column_descent", "cg_solve", "cg_gradient", "walk", *WHOLE_SETS])
@pytest.mark.parametrize("feature", [-1, 4, 2**40])
def test_working_sets_outside_x_are_refused(name, feature):
    kernel, arguments = calls()[name]
    members = arguments[1].copy()
    members[1] = feature
    with pytest.raises(ValueError, match=r"feature|disagree"):
        kernel(arguments[0], members, *arguments[2:])


def test_kernels_refuse_the_wrong_storage():
    made = calls()
    dense, sparse = made["extend_dense"][1], made["extend_sparse"][1]
    with pytest.raises(ValueError, match="X must be dense"):
        gram.extend_dense(sparse[0], *dense[1:])
    with pytest.raises(ValueError, match="X must be sparse"):
        gram.extend_sparse(dense[0], *sparse[1:])
    for name in ("count_rows", "fill_rows"):
        with pytest.raises(ValueError, match="X must be sparse"):
            made[name][0](dense[0], *made[name][1][1:])
    by_rows = case(shape=(6, 4), storage="csr-f8-i4-i8").capsule
    for name in ("column_descent", "cg_gradient", "walk"):
        with pytest.raises(ValueError, match="stored by columns"):
            made[name][0](by_rows, *made[name][1][1:])
    for storage in ("C-f8", "csr-f8-i8-i4", "csr-f8-i4-i8"):  # the last has more features than places
        made["cg_solve"][1][-4] = np.empty(0)
        with pytest.raises(ValueError, match="X by rows"):
            made["cg_solve"][0](case(shape=(6, 4), storage=storage).capsule, *made["cg_solve"][1][1:])
