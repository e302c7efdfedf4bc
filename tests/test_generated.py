"""Generated problems of every kind: each ends right, each that is spoilt is refused, and answers follow their problem.

Laws come in two kinds. Where every operation of a solver is scaled or mirrored exactly (powers of two, signs), the
answer must follow bit for bit. Where the order of sums changes, objectives must agree within what the gaps allow.
"""

import dataclasses
import unittest.mock
import warnings

import hypothesis
import judged
import numpy as np
import problems
import pytest
import referee
import referee_blocks
import strategies

import l1fast

example, st = hypothesis.example, hypothesis.strategies
TOL = 1e-8
NIGHTLY = 10_000  # examples of all tests together
GENERATED = {}


def given(*drawn):
    """`hypothesis.given`, for a test that is repeated with many more examples at night."""

    def decorate(test):
        GENERATED[test.__name__] = hypothesis.given(*drawn)(test)
        return hypothesis.given(*drawn)(test)

    return decorate


def bits(result):
    """Every number of a result but its seconds."""
    return (*numbers(result), result.n_passes, result.solver, result.reason, result.conversion)


def numbers(result):
    """The answer and its certificate."""
    scalars = (result.intercept, result.objective, result.dual_gap, result.violation)
    words = (result.status, result.n_iter, result.n_epochs)
    return (*map(float.hex, scalars), *words, result.coef.tobytes(), result.dual.tobytes())


def solved(case, **options):
    """The judged answer to a case; it has to converge with the solvers that finish."""
    with warnings.catch_warnings():
        if not case.exact or options.get("tol", TOL) < TOL:
            warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        return judged.solve(case.X, case.y, case.lam, **(case.asked | {"tol": TOL} | options))


# ---------------------------------------------------------------- valid problems


@given(strategies.cases(), st.sampled_from([1e-3, 1e-8, 1e-13]))
def test_every_kind_of_problem_ends_right(case, tol):
    for kind in strategies.kinds(case):
        hypothesis.event(kind)
    result = solved(case, tol=tol)
    hypothesis.event(f"{case.solver} {result.status.name}")
    assert bits(solved(case, tol=tol)) == bits(result)


# ---------------------------------------------------------------- spoilt problems


def refused(words, X, y, lam, **options):
    """Assert that no solver is reached, that the message holds one of the words, and no input changes."""
    inputs = (X, y, *options.values())
    before = problems.fingerprint(*inputs)
    reached = unittest.mock.Mock(side_effect=AssertionError("a solver was reached"))
    expected = pytest.raises((ValueError, TypeError))
    with unittest.mock.patch("l1fast._solve.run_certified", reached), expected as caught:
        l1fast.solve(X, y, lam, **options)
    assert any(word in str(caught.value) for word in words), str(caught.value)
    assert problems.fingerprint(*inputs) == before, "the input was changed"


@given(strategies.cases(solvers=("auto", "fista")), st.data())
def test_every_spoilt_matrix_is_refused(case, data):
    X, words = data.draw(strategies.spoilt_matrices(case))
    if words is None:
        hypothesis.event("still sound")
        judged.quiet(X, case.y, case.lam, **case.asked)
    else:
        hypothesis.event(f"spoilt {case.layout.kind}")
        refused(words, X, case.y, case.lam, **case.asked)


@given(strategies.cases(solvers=("auto", "fista")), st.data())
def test_every_spoilt_argument_is_refused(case, data):
    name, value = data.draw(strategies.spoilt_arguments(case))
    case = case.changed(positive=False) if name == "bounds" else case
    given_now = {"lam": case.lam, **case.asked, name: value}
    refused((name,), case.X, **({"y": case.y} | given_now))


# ---------------------------------------------------------------- laws that hold bit for bit


def units(case, a, b, c, d, signs, sign):
    """The same problem in other units: X 2^a, y 2^b, s 4^c, v 2^d, columns times +-1, y times +-1."""
    of_X, of_y, of_s, of_v = 2.0**a, 2.0**b, 4.0**c, 2.0**d
    ratio = of_y / of_X
    turned = signs * sign < 0
    lower, upper = case.limits
    bounds = np.where(turned, -upper, lower) * ratio, np.where(turned, -lower, upper) * ratio
    changes = {"bounds": bounds} if "bounds" in case.options else {}
    if case.start is not None:
        changes["start"] = case.start * signs * sign * ratio
    if "sample_weight" in case.options:
        changes["sample_weight"] = case.s * of_s
    else:
        of_s = 1.0
    if "penalty_weights" in case.options:
        changes["penalty_weights"] = case.v * of_v
    else:
        of_v = 1.0
    changes["l2"] = case.options["l2"] * of_s * of_X**2 / of_v
    lam = case.lam * of_s * of_X * of_y / of_v
    return case.changed(values=case.values * signs * of_X, y=case.y * sign * of_y, lam=lam, **changes), of_s


def in_units(solver, ratio):
    """The solver for coefficients in other units: of all settings only this width is a length among them."""
    return l1fast.HuberDescent(mu=l1fast.HuberDescent().mu * ratio) if solver == "huber_descent" else solver


LAW_KINDS = [kind for kind in (*strategies.DENSE, *strategies.SPARSE) if kind != "stride 0"]
exact_layouts = strategies.layouts(LAW_KINDS, ("f8", "f4", "g", ">f8", ">f4"))
exponents = st.integers(-60, 60)


@given(
    strategies.cases(exact_layouts, solvers=(*strategies.OFTEN, *strategies.SELDOM), reach=6),
    exponents, exponents, st.integers(-10, 10), st.integers(-10, 10), st.integers(0, 2**40), st.sampled_from([1, -1]),
)  # fmt: skip
def test_other_units_change_no_bit(case, a, b, c, d, drawn, sign):
    signs = np.where((drawn >> np.arange(case.shape[1]) % 40) & 1, -1.0, 1.0)
    if not case.exact:  # the power iteration for their first step begins at sqrt(norm2), which has no signs to turn
        signs = np.abs(signs)
    if case.option("positive", False):  # no other bounds for the homotopy
        signs, sign = np.ones(case.shape[1]), 1
    other, of_s = units(case, a, b, c, d, signs, sign)
    ratio = 2.0 ** (b - a)
    before, after = solved(case), solved(other, solver=in_units(case.solver, ratio))
    np.testing.assert_array_equal(after.coef, before.coef * signs * sign * ratio)
    assert after.intercept == before.intercept * sign * 2.0**b
    assert after.objective == before.objective * of_s * 4.0**b
    np.testing.assert_array_equal(after.dual, before.dual * sign * of_s * 2.0**b)
    assert (after.dual_gap, after.n_iter, after.n_epochs) == (before.dual_gap, before.n_iter, before.n_epochs)
    assert after.violation == before.violation * of_s * 2.0 ** (a + b)
    options = [{name: value for name, value in made.options.items() if name != "l2"} for made in (case, other)]
    largest = [l1fast.lam_max(made.X, made.y, **chosen) for made, chosen in zip((case, other), options, strict=True)]
    of_v = 2.0**d if "penalty_weights" in case.options else 1.0
    assert largest[1] == largest[0] * of_s * 2.0 ** (a + b) / of_v


def by_path(case, lams):
    lams = {"n_lams": 4, "lam_min_ratio": 0.01} if lams is None else {"lams": lams}
    found = judged.path(case.X, case.y, tol=TOL, **lams, **case.options)
    yield from ((found.lams, 1, 1), (found.coefs.toarray(), -1, 1), (found.intercepts, 0, 1), (found.objectives, 0, 2))
    yield from ((found.dual_gaps, 0, 0), (found.n_iter, 0, 0), (found.violations, 1, 1))


def by_folds(case, lams):
    n = case.shape[0]
    hypothesis.assume(n > 1 and (case.s > 0).all())
    folds = [(np.arange(n) % 2 != k, np.arange(n) % 2 == k) for k in range(2)]
    options = {name: value for name, value in case.options.items() if name != "l2"}
    lams = case.lam * np.array([2.0, 0.5]) if lams is None else lams
    strengths = [(lams, np.full(len(lams), case.options["l2"]))]
    found = l1fast.cross_validate(case.X, case.y, folds, strengths, tol=TOL, n_jobs=1, **options)
    yield from ((found.lams, 1, 1), (found.errors, 0, 2), (found.dual_gaps, 0, 0), (found.n_iter, 0, 0))


def tasks_of(case):
    options = {name: value for name, value in case.options.items() if name not in ("bounds", "positive")}
    return np.column_stack([case.y, case.y[::-1], 0 * case.y]), options


def by_tasks(case, lams):
    Y, options = tasks_of(case)
    found = l1fast.solve_tasks(case.X, Y, case.lam, tol=TOL, **options)
    referee_blocks.check(found, case.X, Y, case.lam, **options)
    yield from ((found.coef, -1, 1), (found.intercept, 0, 1), (found.objective, 0, 2), (found.dual, 0, 1))
    yield from ((found.dual_gap, 0, 0), (found.n_iter, 0, 0), (found.violation, 1, 1))


def by_path_of_tasks(case, lams):
    Y, options = tasks_of(case)
    lams = {"n_lams": 4, "lam_min_ratio": 0.01} if lams is None else {"lams": lams}
    found = l1fast.path_tasks(case.X, Y, tol=TOL, **lams, **options)
    yield from ((found.lams, 1, 1), (np.vstack(found.values), -1, 1), (np.concatenate(found.supports), 0, 0))
    yield from ((found.objectives, 0, 2), (found.dual_gaps, 0, 0), (found.n_iter, 0, 0), (found.violations, 1, 1))


def by_estimator(case, lams):
    pytest.importorskip("sklearn")
    weight = case.options.get("sample_weight")
    hypothesis.assume(case.lam > 0 and case.layout.kind not in ("list", "object"))
    model = l1fast.Lasso(case.lam / case.s.sum(), fit_intercept=case.options["fit_intercept"], tol=TOL)
    model.fit(case.X, case.y, sample_weight=weight)
    yield from ((model.coef_, -1, 1), (model.intercept_, 0, 1), (model.n_iter_, 0, 0), (model.predict(case.X), 0, 1))


ASKED = (by_path, by_folds, by_tasks, by_path_of_tasks, by_estimator)
other_cases = strategies.cases(
    strategies.layouts(LAW_KINDS, ("f8", "f4", "g", ">f8", ">f4")),
    solvers=("auto",),
    shapes=strategies.shapes.filter(lambda shape: shape[1] > 0),
)


@given(other_cases, st.sampled_from(ASKED), st.sampled_from(["one by one", "its own"]), exponents, exponents)
def test_other_units_change_no_bit_of_what_is_built_on_solve(case, ask, choice, a, b):
    hypothesis.event(ask.__name__)
    other, _ = units(case, a, b, 0, 0, np.ones(case.shape[1]), 1)
    lams = None if choice == "its own" else case.lam * np.array([2.0, 1.0, 0.3, 0.0])
    scaled = None if lams is None else lams * 2.0 ** (a + b)
    for (before, of_X, of_y), (after, _, _) in zip(ask(case, lams), ask(other, scaled), strict=True):
        np.testing.assert_array_equal(after, before * 2.0 ** (of_X * a + of_y * b))


CANONICAL = [form for form in strategies.SPARSE if form[:3] in ("csr", "csc", "coo", "bsr")]


@given(
    strategies.cases(strategies.layouts(CANONICAL, strategies.REAL)),
    st.booleans(),
    st.sampled_from(["halves", "overshoot"]),
)
def test_entries_split_in_parts_change_no_bit(case, unsorted, split):
    """The parts add up without rounding, to the same sorted matrix."""
    layout = dataclasses.replace(case.layout, zeros=False, split="", unsorted=False)
    whole = case.changed(layout=layout)
    parts = case.changed(layout=dataclasses.replace(layout, split=split, unsorted=unsorted))
    assert numbers(solved(parts)) == numbers(solved(whole))


# ---------------------------------------------------------------- laws that hold within the gaps


def permuted_columns(case, rng):
    order = rng.permutation(case.shape[1])
    lower, upper = case.limits
    changes = {"penalty_weights": case.v[order], "bounds": (lower[order], upper[order])}
    if case.start is not None:
        changes["start"] = case.start[order]
    return case, case.changed(values=case.values[:, order], **changes), np.arange(case.shape[0])


def permuted_rows(case, rng):
    order = rng.permutation(case.shape[0])
    other = case.changed(values=case.values[order], y=case.y[order], sample_weight=case.s[order])
    return case, other, np.argsort(order)


def repeated_rows(case, rng):
    """A row twice is the row with twice the weight."""
    n = case.shape[0]
    times = rng.integers(1, 4, n)
    order = np.repeat(np.arange(n), times)
    other = case.changed(values=case.values[order], y=case.y[order], sample_weight=case.s[order])
    return case.changed(sample_weight=case.s * times), other, np.cumsum(times) - 1


def dropped_rows(case, rng):
    """Rows of weight 0 might as well not be there."""
    n = case.shape[0]
    more = rng.integers(1, 4)
    values = np.vstack([case.values, case.values[rng.integers(0, n, more)] + 1.5])
    other = case.changed(
        values=values, y=np.append(case.y, np.full(more, -1e3)), sample_weight=np.append(case.s, np.zeros(more))
    )
    return case, other, np.arange(n)


def another_storage(case, rng):
    kind, dtype = rng.choice(LAW_KINDS), rng.choice(["f8", ">f8", "g"])
    other = strategies.possible(dataclasses.replace(case.layout, kind=str(kind), dtype=str(dtype)))
    return case, case.changed(layout=other), np.arange(case.shape[0])


def another_column_of_zeros(case, rng):
    j, (lower, upper) = rng.integers(case.shape[1] + 1), case.limits
    least = 0.0 if case.option("positive", False) else -np.inf if case.solver == "homotopy" else -1.0
    changes = {
        "penalty_weights": np.insert(case.v, j, 1.0 if case.solver == "homotopy" else rng.choice([0.0, 1.0])),
        "bounds": (np.insert(lower, j, least), np.insert(upper, j, np.inf)),
    }
    if case.start is not None:
        changes["start"] = np.insert(case.start, j, 3.0)
    return case, case.changed(values=np.insert(case.values, j, 0.0, axis=1), **changes), np.arange(case.shape[0])


def weights_as_column_scales(case, rng):
    """With w_j = u_j / 2 the column is halved and the weight of its penalty too; l2 would be quartered."""
    scale = 2.0 ** rng.integers(-1, 2, case.shape[1])
    lower, upper = case.limits
    changes = {"penalty_weights": case.v * scale, "bounds": (lower / scale, upper / scale)}
    if case.start is not None:
        changes["start"] = case.start / scale
    one = case.changed(l2=0.0)
    return one, one.changed(values=case.values * scale, **changes), np.arange(case.shape[0])


def shifted_target(case, rng):
    """The intercept takes up what is added to y."""
    one = case.changed(fit_intercept=True)
    return one, one.changed(y=case.y + rng.integers(-100, 101)), np.arange(case.shape[0])


LAWS = (
    *(permuted_columns, permuted_rows, repeated_rows, dropped_rows, another_storage, another_column_of_zeros),
    *(weights_as_column_scales, shifted_target),
)


def slack(case, result):
    """How far the objective may be above the optimum by its own certificate, and what rounding adds; absolute."""
    truth = case.truth
    coef, theta = result.coef.astype(truth.X.dtype), result.dual.astype(truth.X.dtype)
    return result.dual_gap * truth.scale() + truth.round_off(coef, result.intercept, theta)[1]


def fitted(case, result):
    return case.truth.X @ result.coef.astype(np.longdouble) + result.intercept


def assert_same_answer(one, before, other, after, rows):
    """Objectives as near as the gaps say, and fitted values too: half their squared distance to the best is a gap.

    rows : of the other X, where the rows of the one are. A shift of y shifts the fitted values.
    """
    allowed = slack(one, before), slack(other, after)
    assert abs(before.objective - after.objective) <= max(allowed), (before.objective, after.objective, allowed)
    apart = fitted(other, after)[rows] - fitted(one, before) - (other.y[rows] - one.y)
    distance = np.sqrt(one.s @ apart**2)
    rounding = 1e-15 * len(one.y) * np.abs(one.y).max(initial=0)
    assert distance <= np.sqrt(2 * allowed[0]) + np.sqrt(2 * allowed[1]) + rounding, float(distance)


law_cases = strategies.cases(strategies.layouts(LAW_KINDS, ("f8", "f4")), reach=6)


@given(law_cases, st.sampled_from(LAWS), st.integers(0, 99))
def test_answers_follow_within_their_gaps(case, law, seed):
    hypothesis.event(law.__name__)
    one, other, rows = law(case, np.random.default_rng(seed))
    before, after = solved(one), solved(other)
    assert_same_answer(one, before, other, after, rows)
    if law is another_column_of_zeros:
        assert (after.coef[~referee.dense(other.X).any(axis=0)] == 0).all()


# ---------------------------------------------------------------- bounds, strengths, and sequences of problems


@given(law_cases)
def test_the_largest_strength_leaves_nothing(case):
    options = {name: value for name, value in case.options.items() if name != "l2"}
    largest = l1fast.lam_max(case.X, case.y, **options)
    assert largest >= 0
    hypothesis.assume(largest > 0)  # at lam = 0 nothing is penalised, and the answer need not be unique
    assert not solved(case.changed(lam=largest, solver="auto", start=None)).coef[case.v > 0].any()


@given(law_cases)
def test_bounds_the_answer_does_not_touch_have_no_say(case):
    """By convexity: the part s of the way to a better answer beyond them keeps them, and gains s times as much."""
    case = case.changed(solver="auto")
    lower, upper = case.limits
    before = solved(case)
    w = before.coef
    wide = case.changed(bounds=(np.where(w > lower, -np.inf, lower), np.where(w < upper, np.inf, upper)))
    after = solved(wide)
    way = after.coef - w
    room = np.where(way > 0, upper - w, w - lower)
    part = np.divide(room, np.abs(way), out=np.ones(len(w)), where=way != 0).min(initial=1)
    lost = before.objective - after.objective
    assert -slack(wide, after) <= lost
    assert part * lost <= slack(case, before) + slack(wide, after)


@given(law_cases)
def test_bounds_only_raise_the_objective(case):
    lower, upper = case.limits
    before, tight = solved(case), case.changed(bounds=(np.maximum(lower, -0.25), np.minimum(upper, 0.5)))
    tight = tight.changed(solver="auto" if case.solver in ("homotopy", "irls") else case.solver)
    assert solved(tight).objective >= before.objective - slack(case, before)


@given(law_cases)
def test_a_column_at_its_bound_shifts_the_target(case):
    """What it contributes could as well be subtracted from y."""
    lower, upper = case.limits
    lower, upper = np.maximum(lower, -0.25), np.minimum(upper, 0.5)
    tight = case.changed(solver="auto", bounds=(lower, upper))
    before = solved(tight)
    held = (before.coef == lower) | (before.coef == upper)
    w = np.where(held, before.coef, 0.0)
    rest = tight.changed(y=case.y - (case.truth.X @ w).astype(float), start=None)
    rest = rest.changed(bounds=(np.where(held, 0.0, lower), np.where(held, 0.0, upper)))
    after = judged.quiet(rest.X, rest.y, rest.lam, **(rest.asked | {"tol": TOL}))
    fixed = float(case.truth.v @ (case.lam * np.abs(w) + case.options["l2"] / 2 * w**2))
    allowed = slack(tight, before) + slack(rest, after)
    assert abs(after.objective + fixed - before.objective) <= allowed


def changed_strength(case, rng):
    return case.changed(lam=case.lam * float(rng.choice([0.01, 0.3, 1.0, 3.0])))


def changed_ridge(case, rng):
    return case.changed(l2=0.0 if case.solver == "homotopy" else float(rng.choice([0.0, 0.1, 2.0])))


def changed_sample_weights(case, rng):
    weight = rng.choice(strategies.WEIGHTS, case.shape[0])
    return case.changed(sample_weight=weight if weight.any() else None)


def changed_penalty_weights(case, rng):
    return case.changed(penalty_weights=rng.choice(strategies.WEIGHTS, case.shape[1]))


def changed_bounds(case, rng):
    return case.changed(
        bounds=(-rng.choice(strategies.ROOM, case.shape[1]), rng.choice(strategies.ROOM, case.shape[1]))
    )


def changed_target(case, rng):
    return case.changed(y=case.y + rng.integers(-2, 3, case.shape[0]))


def changed_rows(case, rng):
    kept = np.sort(rng.choice(case.shape[0], rng.integers(1, case.shape[0] + 1), replace=False))
    hypothesis.assume(case.s[kept].any())
    return case.changed(values=case.values[kept], y=case.y[kept], sample_weight=case.s[kept])


def changed_columns(case, rng):
    """One more, or one less: a start of the old length must be refused."""
    n, p = case.shape
    lower, upper = case.limits
    if p > 1 and rng.integers(2):
        parts = case.values[:, 1:], case.v[1:], (lower[1:], upper[1:])
    else:
        column = rng.integers(-8, 9, (n, 1)) / 8
        parts = np.hstack([column, case.values]), np.append(1.0, case.v), (np.append(-1, lower), np.append(1, upper))
    return case.changed(values=parts[0], penalty_weights=parts[1], bounds=parts[2])


def changed_solver(case, rng):
    return case.changed(solver=str(rng.choice(["auto", "cd", "fista"])))


CHANGES = (
    *(changed_strength, changed_ridge, changed_sample_weights, changed_penalty_weights, changed_bounds),
    *(changed_target, changed_rows, changed_columns, changed_solver),
)


@given(
    strategies.cases(strategies.layouts(LAW_KINDS, ("f8", "f4")), solvers=("auto", "cd", "fista"), reach=2),
    st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_any_sequence_of_warm_starts(case, changes, seed):
    """An answer is a start for any problem of as many columns, and refused by any other."""
    rng, case = np.random.default_rng(seed), case.changed(start=None)
    last = solved(case)
    for change in changes:
        hypothesis.event(change.__name__)
        case = change(case, rng)
        if len(last.coef) != case.shape[1]:
            refused(("start",), case.X, case.y, case.lam, **case.asked, start=last)
            last = None
        cold, warm = solved(case), solved(case.changed(start=last))
        assert_same_answer(case, cold, case, warm, np.arange(case.shape[0]))
        last = warm


# ---------------------------------------------------------------- how far the strategies reach, and more of them


STORED = {
    *(f"storage {kind}" for kind in strategies.DENSE + strategies.SPARSE),
    *(f"dtype {dtype}" for dtype in strategies.REAL + strategies.WHOLE),
    *(f"index {one} in {other}" for one in strategies.INDEX for other in strategies.INDEX),
}
POSED = {
    *(f"solver {name}" for name in strategies.OFTEN + strategies.SELDOM),
    *(f"shape {name}" for name in ("no column", "one row", "one column", "wide", "tall")),
    *("unsorted", "repeated entries", "explicit zeros", "room behind the entries", "empty row", "empty column"),
    *("constant column", "columns alike", "mixed scales", "y zero", "y constant", "y varied"),
    *("lam zero", "lam above 0"),
    *(f"option {name}" for name in ("l2", "fit_intercept", "sample_weight", "penalty_weights", "bounds", "positive")),
    *("option zeros among sample_weight", "option zeros among penalty_weights", "start", "no start"),
}
DRAWS, ROUNDS = 150, 6  # two to four rounds are needed, by seed


@pytest.mark.parametrize(
    ("strategy", "look", "wanted"),
    [(strategies.ANY, strategies.ways, STORED), (strategies.cases(), strategies.kinds, POSED)],
    ids=["storage", "problem"],
)
def test_the_strategies_reach_every_kind(strategy, look, wanted):
    seen = set()
    drawn = hypothesis.settings(max_examples=DRAWS, database=None, phases=[hypothesis.Phase.generate])
    for seed in range(ROUNDS):
        hypothesis.seed(seed)(drawn(hypothesis.given(made=strategy)(lambda made: seen.update(look(made)))))()
        if seen >= wanted:
            break
    assert seen >= wanted, wanted - seen


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", GENERATED)
def test_many_more(name):
    """The same tests with NIGHTLY examples in all, new ones every night."""
    examples = NIGHTLY // len(GENERATED)
    hypothesis.settings(max_examples=examples, derandomize=False, print_blob=True)(GENERATED[name])()
