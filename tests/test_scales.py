"""Problems at the ends of float64: each is solved right, or refused with the value and the cure.

The judge of such an answer looks at it in units near 1, where nothing underflows in its own tolerances: X = 2^x X',
y = 2^y y', s = 2^s s' make w = 2^(y-x) w', and every factor is exact.
"""

import contextlib
import dataclasses
import warnings

import numpy as np
import problems
import pytest
import referee

import l1fast

CARRIED = "float64 cannot carry"
STORAGES = ("C", "F", "csr_array int32", "csc_array int64")
QUICK = ("cd", "homotopy", "fista", "irls", "lbfgs")
SLOW = {"ista": 300, "accelerated_gradient": 300, "gradient": 100, "huber_descent": 100, "subgradient": 100}
LIMITS = {**dict.fromkeys(QUICK), **SLOW}
DECIMAL = (1e-300, 1e-200, 1e-150, 1e-20, 1.0, 1e20, 1e150, 1e200, 1e300)


@pytest.fixture(autouse=True)
def no_convergence_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)  # its status is judged
        yield


@pytest.fixture(scope="module")
def small():
    """X with zeros, y, and a lam in the middle of the path."""
    X, y = problems.make(30, 12, density=0.7)
    return X, y, 0.1 * l1fast.lam_max(X, y)


def exponent(values):
    """The x for which 2^-x values are near 1."""
    values = np.abs(np.asarray(values, dtype=np.longdouble))
    return int(np.frexp(values.max())[1]) if values.any() else 0


def exact(values, shift):
    """values * 2^shift in longdouble."""
    return np.ldexp(np.asarray(values, dtype=np.longdouble), shift)


def to_float64(values, shift):
    """values * 2^shift, which must be float64 numbers: none is lost."""
    made = exact(values, shift).astype(np.float64)
    assert np.isfinite(made).all()
    return made if np.ndim(values) else float(made)


def check(result, X, y, lam, *, l2=0.0, sample_weight=None, penalty_weights=None, bounds=None, **options):
    """`referee.check` in units near 1; and whether what left float64 says so."""
    X = referee.dense(X)
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
    of_v = 0 if penalty_weights is None else exponent(penalty_weights)
    of_s = exponent(weights)
    root = np.sqrt(exact(weights, -of_s))
    of_X, of_y = exponent(X * root[:, None]), exponent(y * root)
    of_w, of_slope, of_F = of_y - of_X, of_X + of_y + of_s, 2 * of_y + of_s
    options |= {"l2": exact(l2, of_v - 2 * of_X - of_s)}
    options["sample_weight"] = exact(weights, -of_s)
    if penalty_weights is not None:
        options["penalty_weights"] = exact(penalty_weights, -of_v)
    if bounds is not None:
        options["bounds"] = tuple(None if side is None else exact(side, -of_w) for side in bounds)
    inside_lam = exact(lam, of_v - of_slope)
    inside = referee.Problem(exact(X, -of_X), exact(y, -of_y), inside_lam, **options)
    coef, intercept = exact(result.coef, -of_w), exact(result.intercept, -of_y)
    objective, violation = inside.objective(coef, intercept), inside.violation(coef, intercept)
    for value, truth, shift in ((result.objective, objective, of_F), (result.violation, violation, of_slope)):
        true = exact(truth, shift)
        if truth > 1e-10:  # else it is all rounding
            assert value == np.inf if true > np.longdouble(referee.LARGEST) else np.isfinite(value)
            assert value >= referee.LEAST_NORMAL or true < 2 * referee.LEAST_NORMAL

    def told(value, truth, shift):
        """A number of the result in units near 1; what was judged above where it has not all its digits."""
        return float(exact(value, -shift) if referee.LEAST_NORMAL < value < np.inf else truth)

    judged = dataclasses.replace(
        result,
        coef=to_float64(result.coef, -of_w),
        intercept=to_float64(result.intercept, -of_y),
        dual=to_float64(result.dual, -of_y - of_s),
        objective=told(result.objective, objective, of_F),
        violation=told(result.violation, violation, of_slope),
        lam=float(inside_lam),
    )
    assert result.lam == lam
    referee.check(judged, exact(X, -of_X), exact(y, -of_y), inside_lam, **options)


def solved(X, y, lam, *, judge_X=None, **options):
    """A judged result, or None where it was refused with the value and the cure."""
    told = {name: options[name] for name in options if name not in ("solver", "max_iter", "tol", "start")}
    before = problems.fingerprint(X, y)
    try:
        result = l1fast.solve(X, y, lam, **options)
    except ValueError as error:
        assert CARRIED in str(error) or "overflows float64" in str(error), error
        assert any(cure in str(error) for cure in ("multiply", "divide", "rescale", "make X", "lower", "set it to 0"))
        assert any(digit in str(error) for digit in "0123456789")
        return None
    assert problems.fingerprint(X, y) == before
    check(result, X if judge_X is None else judge_X, y, lam, **told)
    return result


# ------------------------------------------------------------------------------------------------------- one scale


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("of_y", DECIMAL)
@pytest.mark.parametrize("of_X", DECIMAL)
def test_every_scale_and_storage(small, of_X, of_y, storage):
    X, y, lam = small
    X, y = X * of_X, y * of_y
    lam = float(np.longdouble(lam) * of_X * of_y)
    for strength, intercept in ((lam, False), (lam, True), (0.0, False)):
        if np.isfinite(strength):
            result = solved(problems.STORAGES[storage](X), y, strength, fit_intercept=intercept)
            assert (result is not None and result.converged) or not 1e-305 < np.longdouble(of_y) / of_X < 1e305


POWERS = ((900, 0), (-900, 0), (0, 900), (0, -900), (900, 90), (-90, -900), (450, 450), (-500, -500), (200, -200))


@pytest.mark.parametrize("solver", LIMITS)
@pytest.mark.parametrize("options", [{}, {"fit_intercept": True, "l2": 0.5}], ids=["plain", "intercept, l2"])
def test_powers_of_two_change_no_bit(small, solver, options):
    """With X 2^a and y 2^b: w 2^(b-a), the same gap and the same steps. Widths given are in units of w."""
    X, y, lam = small
    if solver == "homotopy":
        options = options | {"l2": 0.0}
    options = {"max_iter": LIMITS[solver], "tol": 1e-9} | options
    plain = l1fast.solve(X, y, lam, solver=solver, **options)
    of_l2 = options.get("l2", 0.0)
    for a, b in POWERS:
        if of_l2 and abs(a) > 500:  # l2 2^2a is no float64 number
            continue
        if abs(b - a) > 1000 and solver == "huber_descent":  # nor is mu
            continue
        chosen = l1fast.HuberDescent(mu=np.ldexp(0.005, b - a)) if solver == "huber_descent" else solver
        options["l2"] = np.ldexp(of_l2, 2 * a)
        one = l1fast.solve(np.ldexp(X, a), np.ldexp(y, b), np.ldexp(lam, a + b), solver=chosen, **options)
        np.testing.assert_array_equal(one.coef, np.ldexp(plain.coef, b - a), err_msg=f"{a}, {b}")
        np.testing.assert_array_equal(one.dual, np.ldexp(plain.dual, b))
        assert one.intercept == np.ldexp(plain.intercept, b)
        assert (one.dual_gap, one.n_iter, one.n_epochs) == (plain.dual_gap, plain.n_iter, plain.n_epochs)
        assert (one.status, one.lam) == (plain.status, np.ldexp(lam, a + b))


@pytest.mark.parametrize(
    "solver",
    [
        *(l1fast.HuberDescent(mu=1e-3), l1fast.HuberDescent(mu=1e-3, line_search=True, iterates=True)),
        *(l1fast.LBFGS(l1fast.penalties.PseudoHuber(1e-3)), l1fast.LBFGS(l1fast.penalties.PowerNorm(1e-2))),
        *(l1fast.AcceleratedGradient(l1fast.penalties.Huber(1e-3)), l1fast.Subgradient(scale=2.0)),
        *(l1fast.LBFGS(l1fast.penalties.QuadraticBound(3.0)), l1fast.Gradient(l1fast.penalties.L2())),
        l1fast.IRLS(floor=1e-6, continuation=False),
    ],
    ids=repr,
)
def test_widths_given_are_in_units_of_the_coefficients(small, solver):
    """y times 2^600, X times 2^600: the same coefficients, with the same widths."""
    X, y, lam = small
    plain, one = (
        l1fast.solve(np.ldexp(X, k), np.ldexp(y, k), np.ldexp(lam, 2 * k), solver=solver, max_iter=50, tol=1e-12)
        for k in (0, 505)
    )
    np.testing.assert_array_equal(one.coef, plain.coef)
    if plain.iterates is not None:
        np.testing.assert_array_equal(one.iterates, plain.iterates)


@pytest.mark.parametrize(("a", "b"), [(-600, 0), (0, -600), (-600, -300)])
def test_widths_given_beside_extreme_coefficients(small, a, b):
    X, y, lam = small
    for kind, settings in ((l1fast.penalties.Huber, l1fast.Gradient), (l1fast.penalties.PseudoHuber, l1fast.LBFGS)):
        plain, one = (
            l1fast.solve(
                np.ldexp(X, i), np.ldexp(y, j), np.ldexp(lam, i + j), solver=settings(kind(np.ldexp(1e-3, j - i)))
            )
            for i, j in ((0, 0), (a, b))
        )
        np.testing.assert_array_equal(np.ldexp(one.coef, a - b), plain.coef)


def test_a_width_without_a_like_in_other_units(small):
    X, y, lam = small
    with pytest.raises(ValueError, match="rescale X or y"):
        l1fast.solve(X, y * 1e200, lam, solver=l1fast.LBFGS(l1fast.penalties.PowerNorm(1e-2, separable=True)))


@pytest.mark.parametrize("solver", LIMITS)
@pytest.mark.parametrize(("of_X", "of_y"), [(1e-150, 1e150), (1e150, 1e-150), (1e-300, 1e-300), (1e200, 1e100)])
def test_every_solver(small, solver, of_X, of_y):
    X, y, lam = small
    lam = float(np.longdouble(lam) * of_X * of_y) or 5e-324
    result = solved(X * of_X, y * of_y, lam, solver=solver, max_iter=LIMITS[solver], fit_intercept=True)
    if lam > 5e-324:
        assert result is not None
        assert result.converged or solver in SLOW


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("of_X", [1e-45, 1e-38, 1e-20, 1e36])
@pytest.mark.parametrize("of_y", [1e-200, 1.0, 1e200])
def test_float32(small, of_X, of_y, storage):
    """Squares of float32 never leave float64: X is used as it is, in its own precision."""
    X, y, _ = small
    X = problems.STORAGES[storage]((10.0 * X * of_X).astype(np.float32))
    lam = 0.1 * l1fast.lam_max(X, y * of_y)
    result = solved(X, y * of_y, lam, fit_intercept=True)
    assert result is not None
    assert result.converged
    assert "X copied" not in result.conversion


# ------------------------------------------------------------------------------------------------- uneven scales


@pytest.mark.parametrize("solver", ["cd", "homotopy"])
@pytest.mark.parametrize("of_X", [1e-200, 1e-100, 1.0, 1e100, 1e200])
@pytest.mark.parametrize("orders", [8, 40])
def test_columns_of_mixed_scales(small, orders, of_X, solver):
    """Each column as strongly penalised as its size asks for."""
    X, y, lam = small
    sizes = 10.0 ** np.linspace(-orders, orders, X.shape[1])
    result = solved(X * sizes * of_X, y, lam * of_X, penalty_weights=sizes, solver="cd")
    assert result is not None
    assert result.converged
    result = solved(X * sizes * of_X, y, lam * of_X * sizes.min(), solver=solver, tol=1e-4)
    assert result is not None
    assert result.converged or orders > 8  # rounding of the largest column against lam for the smallest one


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_column_too_faint_beside_the_others(small, storage, fit_intercept):
    """A penalty that keeps it at 0 solves the problem; else it is refused by name."""
    X, y, lam = small
    X = X.copy()
    X[:, 3] *= 1e-100
    X[:, 5] *= 1e100
    stored = problems.STORAGES[storage](X)
    weights = np.where(np.arange(12) == 5, 1e100, 1.0)
    result = solved(stored, y, lam, fit_intercept=fit_intercept, penalty_weights=weights)
    assert result is not None
    assert result.coef[3] == 0.0
    assert result.converged
    for weak in ({"lam": 1e-110}, {"lam": lam, "penalty_weights": np.where(np.arange(12) == 3, 0.0, 1.0)}):
        with pytest.raises(ValueError, match=r"column 3 of X reaches \d\S*e-100, .* multiply it"):
            l1fast.solve(stored, y, **weak, fit_intercept=fit_intercept)
    with pytest.raises(ValueError, match="column 3 of X reaches"):
        l1fast.path(stored, y, lams=[lam, 1e-110], fit_intercept=fit_intercept)
    with pytest.raises(ValueError, match="column 3 of X reaches"):
        l1fast.path(stored, y, lam_min_ratio=1e-250, fit_intercept=fit_intercept)
    X[:, 5] *= 1e100
    with pytest.raises(ValueError, match=r"column 0 of X reaches \d\S*, .* multiply it"):
        l1fast.solve(problems.STORAGES[storage](X), y, lam, fit_intercept=fit_intercept)


@pytest.mark.parametrize("of_X", [1e-250, 1e-30, 1.0, 1e250])
@pytest.mark.parametrize("storage", STORAGES)
def test_an_empty_or_constant_column_is_not_faint(small, storage, of_X):
    X, y, _ = small
    X = X.copy()
    X[:, 2] = 0.0
    X[:, 3] = 0.3
    X[:, 4] *= 1e200
    X[:, 5:] *= 1e150
    result = solved(problems.STORAGES[storage](X[:, :4] * of_X), y, 0.0, fit_intercept=True)
    assert result is not None
    assert result.converged
    assert not result.coef[2:].any()


@pytest.mark.parametrize("of_X", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("size", [5e-324, 1e-310])
def test_subnormal_entries(small, size, of_X):
    """Among others they have no say; alone they are scaled up exactly, and y among them is refused."""
    X, y, lam = small
    mixed = X * of_X
    mixed[::3, ::2] = size
    assert solved(mixed, y, lam * of_X).converged
    tiny = np.rint(100.0 * X) * size
    result = solved(tiny, y * 1e-100, float(np.longdouble(size) * lam * 1e-100) or 5e-324)
    assert result is None or result.converged
    result = solved(tiny, y * 1e-280, 0.0)
    assert result.converged
    assert np.abs(result.coef).max() > 1e20
    with pytest.raises(ValueError, match=r"entries of y reach \S+, .* multiply y and lam"):
        l1fast.solve(X, np.rint(y) * size, 0.0)


# ------------------------------------------------------------------------------------- strengths, weights, bounds


@pytest.mark.parametrize("of_y", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("of_X", [1e-200, 1.0, 1e200])
def test_lam_from_the_smallest_to_the_largest_number(small, of_X, of_y):
    X, y, _ = small
    X, y = X * of_X, y * of_y
    for lam in (5e-324, 1e-310, 1e-200, 1e200, 1.7e308):
        result = solved(X, y, lam, max_iter=200)
        if result is not None and np.longdouble(lam) > 1e4 * np.longdouble(of_X) * of_y:
            assert result.converged
            assert not result.coef.any()


def test_l2_from_the_smallest_to_the_largest_number(small):
    X, y, lam = small
    for l2 in (5e-324, 1e-200, 1e200, 1e308):
        solved(X, y, lam, l2=l2)
        solved(X * 1e-200, y, lam * 1e-200, l2=l2)
        solved(X * 1e200, y, lam * 1e200, l2=l2)
    result = solved(X * 1e150, y, lam * 1e150, l2=1e300)
    assert result is not None
    assert result.converged
    with pytest.raises(ValueError, match=r"l2 is 1e\+308, .* lower l2 or rescale X"):
        l1fast.solve(X * 1e-200, y, lam * 1e-200, l2=1e308)


@pytest.mark.parametrize("of_y", [1e-100, 1.0, 1e100])
@pytest.mark.parametrize("of_s", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_scales_of_sample_weights(small, fit_intercept, of_s, of_y):
    X, y, lam = small
    s = of_s * np.linspace(0.5, 2.0, len(y))
    strength = float(np.longdouble(lam) * of_s * of_y)
    if np.isfinite(strength) and strength > 1e-305:
        result = solved(X, y * of_y, strength, sample_weight=s, fit_intercept=fit_intercept)
        assert (result is not None and result.converged) or abs(np.log10(of_s) + np.log10(of_y)) > 300


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("huge", [1e150, 1e200, 1.7e308])
@pytest.mark.parametrize("of_y", [1e-200, 1.0])
def test_what_has_no_weight_may_be_as_large_as_it_likes(small, of_y, huge, storage):
    X, y, lam = small
    X, y, s = X.copy(), y * of_y, np.ones(len(y))
    s[[3, 17]] = 0.0
    kept = s > 0.0
    expected = l1fast.solve(X[kept], y[kept], lam * of_y, fit_intercept=True, tol=1e-10)
    X[3], y[17] = X[3] / np.abs(X[3]).max() * huge, huge
    options = {"sample_weight": s, "fit_intercept": True, "tol": 1e-10}
    for solver in ("cd", "fista"):
        result = l1fast.solve(problems.STORAGES[storage](X), y, lam * of_y, solver=solver, **options)
        assert result.converged
        np.testing.assert_allclose(result.coef, expected.coef, rtol=1e-3, atol=1e-4 * np.abs(expected.coef).max())


def test_sample_weights_that_differ_by_more_than_float64_carries(small):
    X, y, lam = small
    s = np.ones(len(y)) * 1e300
    s[4] = 1e-10
    with pytest.raises(ValueError, match=r"sample_weight\[4\] is 1e-10, .* beside 1e\+300; set it to 0"):
        l1fast.solve(X, y, lam, sample_weight=s)


@pytest.mark.parametrize("of_v", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("of_y", [1e-200, 1.0, 1e200])
def test_scales_of_penalty_weights(small, of_y, of_v):
    X, y, lam = small
    v = np.linspace(0.5, 2.0, X.shape[1])
    v[4] = 0.0
    strength = float(np.longdouble(lam) * of_y / of_v)
    if 1e-305 < strength < np.inf and strength * v.max() * of_v < np.inf:
        result = solved(X, y * of_y, strength, penalty_weights=of_v * v)
        assert result is not None
        assert result.converged
        with contextlib.suppress(ValueError):
            found = l1fast.lam_max(X, y * of_y, penalty_weights=of_v * v)
            exactly = np.longdouble(l1fast.lam_max(X, y, penalty_weights=v)) * of_y / of_v
            assert found == pytest.approx(float(exactly), rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [(600, 0), (0, 600), (-500, -500), (505, 505)])
def test_bounds_and_starts_scale(small, a, b):
    X, y, lam = small
    bounds = (-0.1, np.where(np.arange(12) % 2, np.inf, 0.2))
    start = np.linspace(-1.0, 1.0, 12)
    plain = l1fast.solve(X, y, lam, bounds=bounds, start=start)
    moved = tuple(np.ldexp(side, b - a) for side in bounds)
    X, y, lam, start = np.ldexp(X, a), np.ldexp(y, b), np.ldexp(lam, a + b), np.ldexp(start, b - a)
    one = solved(X, y, lam, bounds=moved, start=start)
    np.testing.assert_array_equal(one.coef, np.ldexp(plain.coef, b - a))
    assert one.n_iter == plain.n_iter
    assert solved(X, y, lam, bounds=moved, start=one).n_iter <= 1
    for size in (1e-320, 1e308):
        assert solved(X, y, lam, start=np.full(12, size)).converged
        assert solved(X, y, lam, bounds=(-size, size)).converged


# ------------------------------------------------------------------------------------------------- what is refused


def test_coefficients_beyond_float64(small):
    X, y, lam = small
    with pytest.raises(ValueError, match=r"coefficient of column \d+ is about 1e400, .* make X larger"):
        l1fast.solve(X * 1e-200, y * 1e200, lam)
    with pytest.raises(ValueError, match=r"coefficient of column \d+ is about 1e-\d+, .* make X smaller"):
        l1fast.solve(X * 1e200, y * 1e-200, lam)
    assert not l1fast.solve(X * 1e200, y * 1e-200, 1e3 * lam).coef.any()
    with pytest.raises(ValueError, match=r"lam_max is about 1e4\d\d, .* rescale"):
        l1fast.lam_max(X * 1e200, y * 1e200)
    with pytest.raises(ValueError, match=r"lam_max is about 1e-3\d\d, .* rescale"):
        l1fast.lam_max(X * 1e-200, y * 1e-200)


def test_dual_points_beyond_float64(small):
    X, y, _ = small
    with pytest.raises(ValueError, match=r"the dual point overflows float64, .* divide y and lam"):
        l1fast.solve(X * 1e150, y * 1e200, 0.0, sample_weight=np.full(len(y), 1e200))


def test_an_objective_beyond_float64_is_told_as_such(small):
    """States and histories too; the gap is relative and stays what it is."""
    X, y, lam = small
    for of_y, told in ((1e200, np.inf), (1e-200, 0.0), (1e100, None)):
        seen = []
        result = l1fast.solve(X, y * of_y, lam * of_y, history=True, callback=seen.append)
        history = result.history
        assert (history.objective[-1] == result.objective == told) or (told is None and np.isfinite(result.objective))
        assert history.dual_gap[-1] == pytest.approx(result.dual_gap, rel=0.1, abs=1e-12)
        assert [state.objective for state in seen] == history.objective.tolist()[: len(seen)]
        assert "scaled to keep squares within float64" in result.conversion


def test_nothing_is_said_or_copied_within_range(small):
    X, y, lam = small
    for of_X in (1e-40, 1e-8, 1.0, 1e8, 1e40):
        result = l1fast.solve(X * of_X, y, lam * of_X)
        assert result.conversion == ""


# ------------------------------------------------------------------------------------------------- the other doors


@pytest.mark.parametrize(("a", "b"), [(900, 0), (-900, 0), (0, 900), (0, -900), (500, 500), (-500, -500)])
def test_paths(small, a, b):
    X, y, _ = small
    for options in ({}, {"fit_intercept": True, "l2_ratio": 0.0}):
        plain = l1fast.path(X, y, n_lams=10, **options)
        one = l1fast.path(np.ldexp(X, a), np.ldexp(y, b), n_lams=10, **options)
        np.testing.assert_array_equal(one.lams, np.ldexp(plain.lams, a + b))
        np.testing.assert_array_equal(one.coefs.toarray(), np.ldexp(plain.coefs.toarray(), b - a))
        np.testing.assert_array_equal(one.intercepts, np.ldexp(plain.intercepts, b))
        np.testing.assert_array_equal(one.dual_gaps, plain.dual_gaps)
        np.testing.assert_array_equal(one.deviance_explained, plain.deviance_explained)
        np.testing.assert_array_equal(one.n_iter, plain.n_iter)
        assert one.converged
    states = []
    lams = one.lams[[2, 7]]
    again = l1fast.path(np.ldexp(X, a), np.ldexp(y, b), lams=lams, on_progress=lambda state: states.append(state))
    np.testing.assert_array_equal(again.lams, lams)
    assert [state.lam for state in states] == lams.tolist()


def test_a_compressed_path(small):
    X, y = problems.make(200, 8)
    plain, one = (l1fast.path(np.ldexp(X, a), y, n_lams=20) for a in (0, 800))
    assert "compressed" in one.reason
    np.testing.assert_array_equal(one.coefs.toarray(), np.ldexp(plain.coefs.toarray(), -800))


@pytest.mark.parametrize(("a", "b"), [(900, 0), (-900, 0), (0, 900), (0, -900), (500, 500), (-500, -500)])
@pytest.mark.parametrize("lam", [0.5, 0.0])
def test_tasks(small, lam, a, b):
    X, y, _ = small
    Y = np.c_[y, y[::-1], 1e-3 * X[:, 0]]
    scaled, targets = np.ldexp(X, a), np.ldexp(Y, b)
    plain, one = (
        l1fast.solve_tasks(*data, fit_intercept=True) for data in ((X, Y, lam), (scaled, targets, np.ldexp(lam, a + b)))
    )
    np.testing.assert_array_equal(one.coef, np.ldexp(plain.coef, b - a))
    np.testing.assert_array_equal(one.intercept, np.ldexp(plain.intercept, b))
    np.testing.assert_array_equal(one.dual, np.ldexp(plain.dual, b))
    assert (one.dual_gap, one.n_iter, one.status) == (plain.dual_gap, plain.n_iter, plain.status)
    assert one.lam == np.ldexp(lam, a + b)
    assert l1fast.lam_max_tasks(scaled, targets) == np.ldexp(l1fast.lam_max_tasks(X, Y), a + b)
    if lam:
        paths = l1fast.path_tasks(X, Y, n_lams=5), l1fast.path_tasks(scaled, targets, n_lams=5)
        np.testing.assert_array_equal(paths[1].coef(4), np.ldexp(paths[0].coef(4), b - a))
        np.testing.assert_array_equal(paths[1].dual_gaps, paths[0].dual_gaps)


def test_a_task_too_faint_beside_the_others(small):
    X, y, _ = small
    for large, tiny in ((1e200, 1e-200), (1e200, 1e60), (1.0, 1e-120)):
        for t, Y in ((1, np.c_[y * large, y * tiny]), (0, np.c_[y * tiny, y * large])):
            with pytest.raises(ValueError, match=rf"column {t} of Y reach \d\S*, whose .* cannot carry .* rescale it"):
                l1fast.solve_tasks(X, Y, 1.0)


@pytest.mark.parametrize(("a", "b"), [(900, 0), (0, 900), (0, -900), (-500, -500)])
def test_comparisons(small, a, b):
    X, y, lam = small
    plain, one = (
        l1fast.compare(np.ldexp(X, i), np.ldexp(y, j), np.ldexp(lam, i + j), solvers=["cd", "fista"], time_limit=5.0)
        for i, j in ((0, 0), (a, b))
    )
    for row, expected in zip(one, plain, strict=True):
        assert (row.dual_gap, row.nonzeros, row.recall) == (expected.dual_gap, expected.nonzeros, expected.recall)
        assert row.excess == pytest.approx(expected.excess, abs=1e-12)


def test_cross_validation_refuses(small):
    X, y, lam = small
    folds = [(np.arange(10, 30), np.arange(10)), (np.arange(20), np.arange(20, 30))]
    for of_X, of_y in ((1e200, 1.0), (1.0, 1e-200)):
        with pytest.raises(ValueError, match=rf"{CARRIED}; rescale them"):
            l1fast.cross_validate(X * of_X, y * of_y, folds, [([lam], [0.0])])


def test_estimators_refuse(small):
    """They divide squares by the number of samples, and speak as scikit-learn does of entries as large."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    assert linear_model
    X, y, _ = small
    for of_X, of_y in ((1e200, 1.0), (1.0, 1e-200)):
        for estimator in (l1fast.Lasso(alpha=0.1), l1fast.ElasticNet(alpha=0.1), l1fast.LassoCV(cv=3)):
            with pytest.raises(ValueError, match=rf"entries of [Xy] reach \d\S*, whose squares {CARRIED}; rescale"):
                estimator.fit(X * of_X, y * of_y)
    fitted = l1fast.Lasso(alpha=1e80).fit(X * 1e40, y * 1e40)
    assert np.isfinite(fitted.coef_).all()


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_mean_that_overflows(small, fit_intercept):
    """y is not constant because the sum of s y is infinite."""
    X, y, lam = small
    s = np.full(len(y), 1e150)
    result = solved(X * 1e-60, y * 1e-10, lam * 1e80, sample_weight=s, fit_intercept=fit_intercept)
    assert result.coef.any()
    with pytest.raises(ValueError, match=r"overflows float64, .* divide y and lam"):
        l1fast.solve(X * 1e-20, y * 1e270, 0.0, sample_weight=s, fit_intercept=fit_intercept)


@pytest.mark.parametrize("solver", LIMITS)
def test_a_start_from_far_away(small, solver):
    """Near 0 in direction, so that y is not drowned."""
    X, y, lam = small
    for of_y in (1e-200, 1.0):
        for size in (1e150, 1e300):
            result = solved(
                X,
                y * of_y,
                lam * of_y,
                solver=solver,
                start=np.full(12, size),
                max_iter=LIMITS[solver],
                l2=0.1 * (solver != "homotopy"),
            )
            assert result is not None
            assert result.converged or solver in (*SLOW, "irls")


def test_nothing_but_what_has_no_weight():
    """y and X are 0 where they count: there is no scale to find, whatever the dropped rows hold."""
    X, y = np.array([[0.0, 0.0], [0.0, -3.0]]), np.array([0.0, 5.0])
    for storage in STORAGES:
        result = l1fast.solve(problems.STORAGES[storage](X), y, 0.0, l2=0.5, sample_weight=[1.0, 0.0])
        assert result.converged
        assert not result.coef.any()
