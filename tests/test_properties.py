"""Random problems: what CVXPY finds, and how answers must follow when the problem is changed."""

import functools
import warnings

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import judged
import naive
import numpy as np
import problems
import pytest
import referee
import scipy.sparse

import l1fast

TOL = 1e-10


def cvxpy_objective(problem):
    """The smallest F, by an interior-point method that shares nothing with this package."""
    cvxpy = pytest.importorskip("cvxpy")
    X, y, s, v = (np.asarray(value, dtype=np.float64) for value in (problem.X, problem.y, problem.s, problem.v))
    w, b = cvxpy.Variable(problem.p), cvxpy.Variable() if problem.fit_intercept else 0.0
    loss = cvxpy.sum_squares(cvxpy.multiply(np.sqrt(s), X @ w + b - y)) / 2
    penalty = float(problem.lam) * v @ cvxpy.abs(w) + float(problem.l2) / 2 * v @ cvxpy.square(w)
    below, above = np.flatnonzero(np.isfinite(problem.lower)), np.flatnonzero(np.isfinite(problem.upper))
    constraints = [w[below] >= problem.lower[below].astype(float)] if below.size else []
    constraints += [w[above] <= problem.upper[above].astype(float)] if above.size else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notices of its own dependencies
        accuracy = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-11)
        return cvxpy.Problem(cvxpy.Minimize(loss + penalty), constraints).solve(solver="CLARABEL", **accuracy)


@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("shape", [(40, 15), (15, 40)], ids=["tall", "wide"])
@pytest.mark.parametrize("ratio", [0.3, 0.02])
def test_cvxpy_agrees(ratio, shape, option):
    X, y = problems.make(*shape, density=0.8)
    chosen, lam = problems.options(option, *shape), problems.strength(X, y, ratio)
    problem = referee.Problem(X, y, lam, **chosen)
    expected = cvxpy_objective(problem)
    for solver in problems.SOLVERS:
        result = judged.solve(X, y, lam, solver=solver, tol=1e-9, **chosen)
        assert result.objective == pytest.approx(expected, rel=1e-7, abs=1e-7 * float(problem.scale()))


@pytest.mark.parametrize("option", problems.OPTIONS)
def test_cvxpy_agrees_with_the_naive_twin(option):
    X, y = problems.make(30, 12, density=0.8)
    problem = referee.Problem(X, y, problems.strength(X, y, 0.05), **problems.options(option, *X.shape))
    objective = float(problem.objective(*naive.cyclic_cd(problem, 500)))
    assert objective == pytest.approx(cvxpy_objective(problem), rel=1e-7, abs=1e-7 * float(problem.scale()))


# Random problems. Small integers make zero, equal, opposite and dependent columns common.

sizes = st.integers(1, 9)
room = st.sampled_from([0.0, 0.125, 1.0, 50.0, np.inf])
elements = st.one_of(st.integers(-3, 3).map(float), st.floats(-10, 10, width=32).filter(lambda x: abs(x) > 1e-3))


@st.composite
def random_problems(draw):
    """(X, y, lam, options), with lam a fraction of the largest useful one and every option on or off."""
    n, p = draw(sizes), draw(sizes)
    X, y = draw(hnp.arrays(np.float64, (n, p), elements=elements)), draw(hnp.arrays(np.float64, n, elements=elements))
    chosen = {"fit_intercept": draw(st.booleans())}
    if draw(st.booleans()):
        chosen["bounds"] = (
            -draw(hnp.arrays(np.float64, p, elements=room)),
            draw(hnp.arrays(np.float64, p, elements=room)),
        )
    elif draw(st.booleans()):
        chosen["positive"] = True
    if draw(st.booleans()):
        chosen["sample_weight"] = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])))
        hypothesis.assume(chosen["sample_weight"].any())
    if draw(st.booleans()):
        chosen["penalty_weights"] = draw(hnp.arrays(np.float64, p, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])))
    lam = draw(st.sampled_from([0.02, 0.1, 0.5, 0.99, 1.0, 2.0])) * (l1fast.lam_max(X, y, **chosen) or 1.0)
    return X, y, lam, chosen | {"l2": draw(st.sampled_from([0.0, 0.5]))}


@hypothesis.given(random_problems(), st.sampled_from(sorted(problems.STORAGES)))
def test_random_problems(problem, storage):
    X, y, lam, chosen = problem
    judged.solve(problems.STORAGES[storage](X), y, lam, judge_X=X, tol=1e-8, **chosen)


@hypothesis.given(random_problems())
def test_solvers_agree_on_random_problems(problem):
    X, y, lam, chosen = problem
    scale = float(referee.Problem(X, y, lam, **chosen).scale())
    objectives = [judged.solve(X, y, lam, solver=solver, tol=1e-8, **chosen).objective for solver in ("cd", "fista")]
    assert abs(objectives[0] - objectives[1]) <= 2e-8 * scale


@hypothesis.given(random_problems())
def test_lam_max_on_random_problems(problem):
    X, y, _, chosen = problem
    options = {name: value for name, value in chosen.items() if name != "l2"}
    largest = l1fast.lam_max(X, y, **options)
    assert largest >= 0
    hypothesis.assume(largest > 0)  # at lam = 0 nothing is penalised, and the answer need not be unique
    penalised = chosen.get("penalty_weights", np.ones(X.shape[1])) > 0
    assert not judged.solve(X, y, largest, tol=1e-8, **chosen).coef[penalised].any()


class Changed:
    """A problem and its answer, with `solve` for a changed problem whose answer must follow."""

    def __init__(self, problem, seed):
        self.X, self.y, self.lam, self.chosen = problem
        self.n, self.p = self.X.shape
        self.rng = np.random.default_rng(seed)

    @functools.cached_property
    def before(self):
        return self.solve()

    @functools.cached_property
    def scale(self):
        return float(referee.Problem(self.X, self.y, self.lam, **self.chosen).scale())

    def solve(self, X=None, y=None, lam=None, **changes):
        X, y, lam = (self.X if X is None else X), (self.y if y is None else y), self.lam if lam is None else lam
        return judged.solve(X, y, lam, tol=TOL, **(self.chosen | changes))

    def option(self, name, default):
        return self.chosen.get(name, default)

    def bounded(self, change):
        """The options with ``change`` made to the vectors of lower and upper bounds."""
        lower, upper = (0.0, np.inf) if self.option("positive", False) else self.option("bounds", (-np.inf, np.inf))
        return {"positive": False, "bounds": change(np.full(self.p, lower), np.full(self.p, upper))}

    def assert_same_objective(self, after, factor=1.0):
        assert abs(after.objective / factor - self.before.objective) <= 2 * TOL * self.scale + 1e-300


changed = st.builds(Changed, random_problems(), st.integers(0, 99))
metamorphic = hypothesis.settings(max_examples=max(10, hypothesis.settings.default.max_examples // 2))


@metamorphic
@hypothesis.given(changed)
def test_order_of_rows_and_columns_does_not_matter(case):
    rows, columns = case.rng.permutation(case.n), case.rng.permutation(case.p)
    after = case.solve(
        case.X[rows][:, columns],
        case.y[rows],
        sample_weight=case.option("sample_weight", np.ones(case.n))[rows],
        penalty_weights=case.option("penalty_weights", np.ones(case.p))[columns],
        **case.bounded(lambda lower, upper: (lower[columns], upper[columns])),
    )
    case.assert_same_objective(after)


@metamorphic
@hypothesis.given(changed)
def test_a_repeated_row_weighs_double(case):
    row = case.rng.integers(case.n)
    weight = case.option("sample_weight", np.ones(case.n))
    hypothesis.assume(weight.any())
    repeated = case.solve(
        np.vstack([case.X, case.X[row]]), np.append(case.y, case.y[row]), sample_weight=np.append(weight, weight[row])
    )
    weight = weight.copy()
    weight[row] *= 2
    doubled = case.solve(sample_weight=weight)
    scale = float(referee.Problem(case.X, case.y, case.lam, **case.chosen | {"sample_weight": weight}).scale())
    assert abs(repeated.objective - doubled.objective) <= 2 * TOL * scale


@metamorphic
@hypothesis.given(changed)
def test_a_dropped_row_has_no_say(case):
    weight = np.append(case.option("sample_weight", np.ones(case.n)), 0)
    after = case.solve(np.vstack([case.X, np.full(case.p, 1e3)]), np.append(case.y, -1e3), sample_weight=weight)
    case.assert_same_objective(after)


@metamorphic
@hypothesis.given(changed)
def test_a_zero_column_gets_nothing(case):
    j = case.rng.integers(case.p + 1)
    weights = np.insert(case.option("penalty_weights", np.ones(case.p)), j, case.rng.integers(3))
    bounds = case.bounded(lambda lower, upper: (np.insert(lower, j, -1.0), np.insert(upper, j, np.inf)))
    after = case.solve(np.insert(case.X, j, 0, axis=1), penalty_weights=weights, **bounds)
    case.assert_same_objective(after)
    assert after.coef[j] == 0


@metamorphic
@hypothesis.given(changed, st.integers(-30, 30), st.integers(-30, 30))
def test_powers_of_two_only_change_the_units(case, of_X, of_y):
    a, b = 2.0**of_X, 2.0**of_y
    bounds = case.bounded(lambda lower, upper: (lower * b / a, upper * b / a))
    after = case.solve(case.X * a, case.y * b, case.lam * a * b, l2=case.chosen["l2"] * a**2, **bounds)
    case.assert_same_objective(after, b**2)


@metamorphic
@hypothesis.given(changed)
def test_a_sign_flip_flips_the_coefficients_and_swaps_their_bounds(case):
    signs = case.rng.choice([-1.0, 1.0], case.p)
    for X, y, turned in ((case.X * signs, case.y, signs < 0), (case.X, -case.y, np.full(case.p, True))):
        bounds = case.bounded(lambda low, up, turned=turned: (np.where(turned, -up, low), np.where(turned, -low, up)))
        case.assert_same_objective(case.solve(X, y, **bounds))


@metamorphic
@hypothesis.given(changed)
def test_bounds_the_answer_does_not_touch_have_no_say(case):
    """By convexity: the part s of the way to a better answer beyond them keeps them, and gains s times as much."""
    w = case.before.coef
    lower, upper = case.bounded(lambda *bounds: bounds)["bounds"]
    after = case.solve(positive=False, bounds=(np.where(w > lower, -np.inf, lower), np.where(w < upper, np.inf, upper)))
    way = after.coef - w
    room = np.where(way > 0, upper - w, w - lower)
    part = np.divide(room, np.abs(way), out=np.ones(case.p), where=way != 0).min(initial=1)
    lost = case.before.objective - after.objective
    assert -TOL * case.scale - 1e-300 <= lost <= 2 * TOL * case.scale / part + 1e-300


@metamorphic
@hypothesis.given(changed)
def test_bounds_only_raise_the_objective(case):
    after = case.solve(**case.bounded(lambda lower, upper: (np.maximum(lower, -0.25), np.minimum(upper, 0.5))))
    assert after.objective >= case.before.objective - TOL * case.scale - 1e-300


@metamorphic
@hypothesis.given(changed)
def test_a_column_at_its_bound_shifts_the_target(case):
    """What it contributes could as well be subtracted from y."""
    tight = case.bounded(lambda lower, upper: (np.maximum(lower, -0.25), np.minimum(upper, 0.5)))
    lower, upper = tight["bounds"]
    before = case.solve(**tight)
    held = (before.coef == lower) | (before.coef == upper)
    rest = case.chosen | {"positive": False, "bounds": (np.where(held, 0, lower), np.where(held, 0, upper))}
    shift = case.X[:, held] @ before.coef[held]
    after = l1fast.solve(case.X, case.y - shift, case.lam, tol=TOL, **rest)
    truth = referee.Problem(case.X, case.y, case.lam, **case.chosen)
    fixed = float(truth.v[held] @ (truth.lam * np.abs(before.coef[held]) + truth.l2 / 2 * before.coef[held] ** 2))
    shifted = referee.Problem(case.X, case.y - shift, case.lam, **rest)
    assert after.objective + fixed <= before.objective + TOL * float(shifted.scale()) + 1e-14 * case.scale + 1e-300
    assert before.objective <= after.objective + fixed + TOL * case.scale + 1e-14 * case.scale + 1e-300


@metamorphic
@hypothesis.given(changed, st.integers(-100, 100))
def test_the_intercept_takes_up_a_shift(case, shift):
    before, after = case.solve(fit_intercept=True), case.solve(y=case.y + shift, fit_intercept=True)
    assert abs(after.objective - before.objective) <= 2 * TOL * case.scale + 1e-300


@metamorphic
@hypothesis.given(changed)
def test_penalty_weights_are_column_scales(case):
    weights = case.option("penalty_weights", np.full(case.p, 2.0))
    weights = np.where(weights > 0, weights, 1.0)
    weighted = case.solve(penalty_weights=weights, l2=0.0)
    bounds = case.bounded(lambda lower, upper: (lower * weights, upper * weights))
    scaled = case.solve(case.X / weights, penalty_weights=None, l2=0.0, **bounds)
    assert abs(weighted.objective - scaled.objective) <= 2 * TOL * case.scale + 1e-300


@hypothesis.given(random_problems(), st.data())
def test_any_spoilt_sparse_matrix_is_refused(problem, data):
    """Random values written over the structure: either it is still valid, or it is refused."""
    X, y, lam, chosen = problem
    A = data.draw(st.sampled_from([scipy.sparse.csr_array, scipy.sparse.csc_array]))(X)
    problems.with_index(A, *data.draw(st.tuples(*[st.sampled_from([np.int32, np.int64])] * 2)))
    name = data.draw(st.sampled_from(["indices", "indptr"]))
    array = getattr(A, name)
    hypothesis.assume(array.size)
    bounds = np.iinfo(array.dtype)
    value = data.draw(st.one_of(st.integers(-2, 100), st.sampled_from([bounds.min, bounds.max, 2**28])))
    array[data.draw(st.integers(0, array.size - 1))] = value
    inner = A.shape[1] if A.format == "csr" else A.shape[0]
    starts = A.indptr.tolist()
    valid = starts[0] == 0 and starts == sorted(starts) and starts[-1] <= len(A.data)
    valid = valid and all(0 <= index < inner for index in A.indices[: starts[-1]].tolist())
    if valid:
        judged.solve(A, y, 1.0, **chosen)
    else:
        with pytest.raises(ValueError, match=r"indices|indptr"):
            l1fast.solve(A, y, lam, **chosen)
