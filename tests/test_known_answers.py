"""Answers known from elsewhere: certified by NIST, in closed form, published, or computed by other programs.

    minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper

What float64 can reach is part of the known answer. At lam = 0, rounding every entry of X and y alone moves w by up to

    eps (|X^+| (|X| |w| + |y|) + |(X'X)^-1| |X|' |r|)

to first order, entry by entry, with r = y - Xw (Bjorck, BIT 1991): no solver can promise more digits.
"""

import itertools
import math
import warnings
from fractions import Fraction
from functools import cache

import judged
import nist
import numpy as np
import pytest
import referee
from glmnet import from_glmnet, golden

import l1fast
from l1fast import Status

EPS = np.finfo(np.float64).eps
EXACT_TOL = 1e-13  # relative gap that every solver below reaches on well-conditioned problems


def solve(*arguments, **options):
    """A judged solve, to rounding; whether it says so is asserted apart."""
    return judged.quiet(*arguments, **options)


def nearest(gap, scale, curvature):
    """How far w can be from the minimiser, in any coefficient: curvature/2 ||w - w*||^2 <= F(w) - F* <= gap * scale."""
    return math.sqrt(2 * (gap + EPS) * scale / curvature)


# ---------------------------------------------------------------- NIST, linear regression at lam = 0


DIGITS = {  # reached in the worst coefficient, measured and rounded down by half a digit or more
    "Norris": 11.5,
    "Pontius": 11.5,
    "NoInt1": 15.0,
    "NoInt2": 15.0,
    "Filip": 6.5,
    "Longley": 10.5,
    "Wampler1": 9.0,
    "Wampler2": 12.0,
    "Wampler3": 9.0,
    "Wampler4": 7.0,
    "Wampler5": 5.5,
}
MOST_DIGITS = -math.log10(EPS)
CERTIFIED_DIGITS = 14  # NIST certifies 15, the last one rounded


def digits(found, expected):
    """The number of digits in which the worst of the coefficients agrees: - log10 of its relative error."""
    worst = max(abs((Fraction(one) - other) / other) for one, other in zip(found, expected, strict=True))
    return -math.log10(worst) if worst > Fraction(EPS) else MOST_DIGITS


@cache
def reference(name):
    """X and y in float64, their exact least-squares solution and that of the decimals."""
    problem = nist.PROBLEMS[name]
    X, y = np.array(problem.X, dtype=np.float64), np.array(problem.y, dtype=np.float64)
    one = [Fraction(1)] * problem.intercept
    decimals = nist.least_squares([one + row for row in problem.X], problem.y)
    rounded = nist.least_squares([[*one, *map(Fraction, row)] for row in X.tolist()], [*map(Fraction, y.tolist())])
    return X, y, rounded, decimals


def attainable(name):
    """The digits of the worst coefficient that rounding of X and y leaves, by the bound above."""
    X, y, exact, _ = reference(name)
    one = [Fraction(1)] * nist.PROBLEMS[name].intercept
    rows = [[*one, *map(Fraction, row)] for row in X.tolist()]
    r = [
        Fraction(v) - sum(a * b for a, b in zip(row, exact, strict=True))
        for row, v in zip(rows, y.tolist(), strict=True)
    ]
    design = np.array(rows, dtype=np.float64)
    norms = np.linalg.norm(design, axis=0)
    design, w = design / norms, norms * np.array(exact, dtype=np.float64)
    inverse = np.linalg.pinv(design, rcond=EPS / 10)  # Filip has a condition number of 5e9: nothing is cut off
    moved = np.abs(inverse) @ (np.abs(design) @ np.abs(w) + np.abs(y))
    moved += np.abs(inverse @ inverse.T) @ (np.abs(design).T @ np.abs(np.array(r, dtype=np.float64)))
    return min(-math.log10(EPS * (moved / np.abs(w)).max()), MOST_DIGITS)


def suboptimality(X, y, result, exact, intercept):
    """(F(w, b) - F*) / F(0, b0) in rational arithmetic."""

    def loss(coef, b):
        rows = zip(X.tolist(), y.tolist(), strict=True)
        fits = ((sum(Fraction(x) * w for x, w in zip(row, coef, strict=True)) + b, Fraction(v)) for row, v in rows)
        return sum((fit - value) ** 2 for fit, value in fits) / 2

    best = loss(exact[1:], exact[0]) if intercept else loss(exact, Fraction(0))
    mean = sum(map(Fraction, y.tolist())) / len(y) if intercept else Fraction(0)
    null = loss([Fraction(0)] * X.shape[1], mean)
    return float((loss([*map(Fraction, result.coef.tolist())], Fraction(result.intercept)) - best) / null)


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_the_data_of_nist_have_the_certified_coefficients(name):
    assert digits(nist.PROBLEMS[name].certified, reference(name)[3]) > CERTIFIED_DIGITS


@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_the_floors_are_what_conditioning_allows(name):
    """Within a digit of what rounding X and y costs in any case: no floor rests on luck, none is a low bar."""
    assert attainable(name) - 1.0 <= DIGITS[name] <= attainable(name) + 1.0


@pytest.mark.parametrize("solver", ["auto", "cd"])
@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_nist_to_the_digits_of_float64(name, solver):
    X, y, exact, decimals = reference(name)
    intercept = nist.PROBLEMS[name].intercept
    with pytest.warns(l1fast.ConvergenceWarning, match="rounding"):
        result = l1fast.solve(X, y, 0.0, fit_intercept=intercept, solver=solver, tol=0.0)
    found = [result.intercept] * intercept + result.coef.tolist()
    assert digits(found, exact) >= DIGITS[name]
    lost = digits([*map(float, exact)], decimals)  # by rounding the decimals of X and y to float64
    assert digits(found, decimals) >= min(DIGITS[name], lost - 0.5)
    assert result.status is Status.NO_PROGRESS
    assert suboptimality(X, y, result, exact, intercept) <= result.dual_gap + 64 * EPS


@pytest.mark.parametrize("name", [name for name in nist.PROBLEMS if nist.PROBLEMS[name].intercept])
def test_nist_with_the_intercept_as_a_column(name):
    """Without centring the condition number is that of the whole design; no more than two digits may go with it."""
    X, y, exact, _ = reference(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        result = l1fast.solve(np.column_stack([np.ones(len(y)), X]), y, 0.0, tol=0.0)
    assert digits(result.coef.tolist(), exact) >= DIGITS[name] - 2.0
    assert not result.converged


@pytest.mark.parametrize("solver", ["auto", "cd", "fista", "irls"])
@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_a_gap_out_of_reach_is_reported_as_such(name, solver):
    """Every claim is held against the exact optimum; Filip, with a condition number of 5e9, is beyond 1e-10."""
    X, y, exact, _ = reference(name)
    intercept, tol = nist.PROBLEMS[name].intercept, 1e-10
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = l1fast.solve(X, y, 0.0, fit_intercept=intercept, solver=solver, tol=tol)
    true = suboptimality(X, y, result, exact, intercept)
    assert -EPS <= true <= result.dual_gap + 64 * EPS
    assert result.converged == (result.dual_gap <= tol) == (not caught)
    assert result.converged or (name == "Filip" and result.status in (Status.NO_PROGRESS, Status.ITERATION_LIMIT))


# ---------------------------------------------------------------- closed forms


SOLVERS = ("auto", "cd", "fista", "ista")
HADAMARD = np.array([[1.0]])
for _ in range(3):
    HADAMARD = np.kron(HADAMARD, [[1.0, 1.0], [1.0, -1.0]])
ORTHOGONAL = HADAMARD[:, 1:] * [1.0, 2.0, 0.5, 1.0, 4.0, 1.0, 0.25]  # every column sums to 0
TARGET = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, -6.0])
V = np.array([1.0, 0.5, 0.0, 2.0, 1.0, 0.25, 3.0])


def soft(c, strength):
    return np.sign(c) * np.maximum(np.abs(c) - strength, 0.0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("l2", [0.0, 3.0])
@pytest.mark.parametrize("lam", [0.0, 2.0, 9.0])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fit_intercept": True},
        {"penalty_weights": V},
        {"positive": True},
        {"bounds": (-0.25, 0.5)},
        {"bounds": (-0.25, None), "penalty_weights": V, "fit_intercept": True},
        {"sample_weight": np.full(8, 2.0), "penalty_weights": V},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_orthogonal_columns(options, lam, l2, solver):
    """w_j = soft(x_j'y, lam v_j) / (||x_j||^2 + l2 v_j), moved into its bounds."""
    v, s = options.get("penalty_weights", np.ones(7)), options.get("sample_weight", np.ones(8))[0]
    result = solve(ORTHOGONAL, TARGET, lam, l2=l2, solver=solver, tol=EXACT_TOL, **options)
    curvature = s * (ORTHOGONAL**2).sum(axis=0) + l2 * v
    c = s * ORTHOGONAL.T @ TARGET
    expected = soft(c, lam * v) / curvature
    lower, upper = (0.0, None) if options.get("positive") else options.get("bounds", (None, None))
    expected = np.clip(expected, lower, upper) if (lower, upper) != (None, None) else expected
    assert result.converged
    near = nearest(EXACT_TOL, s * TARGET @ TARGET / 2, curvature.min())
    np.testing.assert_allclose(result.coef, expected, rtol=0, atol=near)
    assert result.intercept == pytest.approx(TARGET.mean() if options.get("fit_intercept") else 0.0, abs=1e-12)
    tied = np.abs(np.abs(c) - lam * v) < 1e-12  # there rounding decides
    assert (result.coef[(expected == 0.0) & ~tied] == 0.0).all()  # other zeros are exact


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.999, 1.001])
def test_one_feature(ratio, intercept, solver):
    """w = soft(sum_i s_i x_i y_i, lam) / (sum_i s_i x_i^2 + l2), with x and y centred if there is an intercept."""
    x, s = np.array([1.0, 2.0, 4.0, -3.0, 0.5, 0.0, 7.0, 1.5]), np.array([1.0, 0.0, 2.0, 1.0, 0.5, 3.0, 1.0, 1.0])
    means = [np.average(values, weights=s) if intercept else 0.0 for values in (x, TARGET)]
    xc, yc = x - means[0], TARGET - means[1]
    c, curvature = s @ (xc * yc), s @ xc**2 + 1.5
    lam = ratio * abs(c)
    options = {"l2": 1.5, "sample_weight": s, "fit_intercept": intercept}
    result = solve(x[:, None], TARGET, lam, solver=solver, tol=EXACT_TOL, **options)
    expected = soft(c, lam) / curvature
    near = nearest(EXACT_TOL, s @ yc**2 / 2, curvature)
    assert result.coef[0] == pytest.approx(expected, rel=0, abs=near)
    assert (result.coef[0] == 0.0) == (ratio > 1.0)
    assert result.intercept == pytest.approx(means[1] - means[0] * expected, abs=1e-13 + near * abs(means[0]))
    assert l1fast.lam_max(x[:, None], TARGET, sample_weight=s, fit_intercept=intercept) == pytest.approx(
        abs(c), rel=1e-13
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("y", [-3.0, 2.0])
def test_one_sample(y, solver):
    """All goes to the feature with the largest |x_j| / v_j: x_j w_j = y - sign(y) lam v_j / |x_j|."""
    x, v, lam = np.array([[1.0, -4.0, 2.0, 3.0]]), np.array([1.0, 2.0, 0.5, 3.0]), 1.0
    result = solve(x, [y], lam, penalty_weights=v, solver=solver, tol=EXACT_TOL)
    expected = np.zeros(4)
    expected[2] = (y - np.sign(y) * lam * v[2] / x[0, 2]) / x[0, 2]
    assert result.converged
    np.testing.assert_allclose(result.coef, expected, rtol=0, atol=1e-6)
    assert result.support.tolist() == [2]
    with_b = solve(x, [y], lam, penalty_weights=v, solver=solver, fit_intercept=True)
    assert (with_b.coef == 0.0).all() and with_b.intercept == y


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("copies", [2, 5])
def test_identical_columns(copies, solver):
    """Without l2 their sum is determined, with it each of them; where weights differ, the cheapest column takes all."""
    x = HADAMARD[:, 3] * 2.0
    X, c, norm2, lam = np.column_stack([x] * copies), x @ TARGET, x @ x, 3.0
    near = nearest(EXACT_TOL, TARGET @ TARGET / 2, norm2)
    alone = solve(X, TARGET, lam, solver=solver, tol=EXACT_TOL)
    assert alone.coef.sum() == pytest.approx(soft(c, lam) / norm2, rel=0, abs=near)
    assert (np.sign(alone.coef) * np.sign(c) >= 0).all()
    shared = solve(X, TARGET, lam, l2=2.0, solver=solver, tol=EXACT_TOL)
    near = nearest(EXACT_TOL, TARGET @ TARGET / 2, 2.0)
    np.testing.assert_allclose(shared.coef, soft(c, lam) / (copies * norm2 + 2.0), rtol=0, atol=near)
    v = np.arange(copies, 0.0, -1.0)
    cheapest = solve(X, TARGET, lam, penalty_weights=v, solver=solver, tol=EXACT_TOL)
    assert cheapest.coef[-1] == pytest.approx(soft(c, lam) / norm2, abs=1e-6)
    assert np.abs(cheapest.coef[:-1]).max() <= EXACT_TOL * TARGET @ TARGET / (lam * (v[-2] - v[-1])) + 1e-14


# ---------------------------------------------------------------- an exact path, and what was published of it


def eliminate(matrix, right):
    """Solve a small system in the precision of its entries, by Gauss with pivoting."""
    system = np.column_stack([matrix, right])
    n = len(system)
    for j in range(n):
        pivot = j + int(np.abs(system[j:, j]).argmax())
        system[[j, pivot]] = system[[pivot, j]]
        system[j] /= system[j, j]
        others = np.arange(n) != j
        system[others] -= np.outer(system[others, j], system[j])
    return system[:, -1]


def lasso_path(gram, moments):
    """The knots of the Lasso path from lam_max to 0: (lam, w there, the move made: j joins, ~j leaves).

    Between knots w moves along inv(X_A'X_A) sign_A as lam falls (Osborne, Presnell and Turlach, IMA Journal of
    Numerical Analysis 2000; Efron, Hastie, Johnstone and Tibshirani, Ann. Statist. 2004). No ties are expected.
    """
    p = len(moments)
    w, active = np.zeros(p, np.longdouble), [int(np.abs(moments).argmax())]
    lam, knots = np.abs(moments).max(), []
    knots.append((lam, w.copy(), active[0]))
    last = active[0]
    while True:
        c = moments - gram @ w
        signs = np.sign(w[active])
        signs[[k for k, j in enumerate(active) if w[j] == 0]] = [np.sign(c[j]) for j in active if w[j] == 0]
        direction = np.zeros(p, np.longdouble)
        direction[active] = eliminate(gram[np.ix_(active, active)], signs)
        slope = gram @ direction
        steps = [(lam, None)]
        for j in range(p):
            if j in active:
                if direction[j] * w[j] < 0:
                    steps.append((-w[j] / direction[j], ~j))
            elif j != last:
                steps += [((lam - c[j]) / (1 - slope[j]), j)] if slope[j] != 1 else []
                steps += [((lam + c[j]) / (1 + slope[j]), j)] if slope[j] != -1 else []
            else:  # just left: it cannot return at once on the same side
                joining = (lam + c[j]) / (1 + slope[j]) if c[j] > 0 else (lam - c[j]) / (1 - slope[j])
                steps.append((joining, j))
        step, move = min((one for one in steps if one[0] > 0), key=lambda one: one[0])
        w = w + step * direction
        lam = lam - step
        if move is None:
            knots.append((np.longdouble(0), w, None))
            return knots
        if move >= 0:
            active.append(move)
            last = -1
        else:
            active.remove(~move)
            w[~move] = 0
            last = ~move
        knots.append((lam, w.copy(), move))


def between(knots, lam):
    """w at lam: linear between the knots."""
    for (high, w_high, _), (low, w_low, _) in itertools.pairwise(knots):
        if low <= lam <= high:
            return w_low + (w_high - w_low) * (lam - low) / (high - low)
    return np.zeros_like(knots[0][1])


@cache
def diabetes():
    """Standardised X, y, and the exact path of the Lasso with an intercept."""
    data = pytest.importorskip("sklearn.datasets").load_diabetes(scaled=True)
    X, y = data.data.astype(np.longdouble), data.target.astype(np.longdouble)
    X, y = X - X.mean(axis=0), y - y.mean()
    return data.data, data.target, lasso_path(X.T @ X, X.T @ y)


# Efron et al. (2004): bmi, ltg, map, hdl, sex, glu, tc, tch, ldl, age; then hdl leaves and comes back. The names here
# are those of scikit-learn's columns.
PUBLISHED_MOVES = ["bmi", "s5", "bp", "s3", "sex", "s6", "s1", "s4", "s2", "age", "-s3", "s3"]
COLUMNS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def test_the_exact_diabetes_path_is_the_published_one():
    moves = [COLUMNS[move] if move >= 0 else f"-{COLUMNS[~move]}" for _, _, move in diabetes()[2][:-1]]
    assert moves == PUBLISHED_MOVES


def test_the_exact_path_satisfies_the_optimality_conditions():
    X, y, knots = diabetes()
    X, y = X.astype(np.longdouble), y.astype(np.longdouble)
    for lam, w, _ in knots:
        c = (X - X.mean(axis=0)).T @ (y - y.mean() - (X - X.mean(axis=0)) @ w)
        np.testing.assert_allclose(np.abs(c[w != 0]), lam, rtol=0, atol=1e-9)
        assert np.abs(c).max() <= lam + 1e-9


@pytest.mark.parametrize("solver", ["auto", "cd", "fista", "homotopy"])
def test_diabetes_path(solver):
    X, y, knots = diabetes()
    breakpoints = [float(lam) for lam, _, _ in knots]
    assert l1fast.lam_max(X, y, fit_intercept=True) == pytest.approx(breakpoints[0], rel=1e-12)
    lams = [*breakpoints[:-1], *[math.sqrt(high * max(low, 1e-3)) for high, low in itertools.pairwise(breakpoints)]]
    found = judged.path(X, y, lams=lams, fit_intercept=True, tol=EXACT_TOL, solver=solver)
    curvature = np.linalg.eigvalsh((X - X.mean(axis=0)).T @ (X - X.mean(axis=0))).min()
    near = nearest(EXACT_TOL, ((y - y.mean()) ** 2).sum() / 2, curvature)
    assert near < 0.01  # of coefficients in the hundreds
    for k, lam in enumerate(found.lams):
        expected = between(knots, np.longdouble(lam)).astype(float)
        np.testing.assert_allclose(found.coef(k), expected, rtol=0, atol=near)
        if lam not in breakpoints:
            assert found.supports[k].tolist() == np.flatnonzero(expected).tolist()


def test_diabetes_variables_enter_and_leave_at_the_breakpoints():
    X, y, knots = diabetes()
    for lam, _, move in knots[:-1]:
        j = move if move >= 0 else ~move
        inside = [
            j in l1fast.solve(X, y, float(lam) * factor, fit_intercept=True, tol=1e-13).support
            for factor in (1 + 1e-4, 1 - 1e-4)
        ]
        assert inside == ([False, True] if move >= 0 else [True, False]), (COLUMNS[j], lam)


# Tibshirani (JRSS B, 1996), Table 1: the Lasso at s = 0.44 on the standardised prostate data
PUBLISHED_PROSTATE = {"lcavol": 0.56, "lweight": 0.10, "svi": 0.16}


def test_prostate():
    """The data enter by X'X and X'y, which is all that the coefficients depend on: X is a Cholesky factor here."""
    data = golden()["prostate"]
    gram, moments = np.array(data["gram"]), np.array(data["moments"])
    np.testing.assert_allclose(np.diag(gram), data["n"] - 1, rtol=1e-12)  # standardised
    factor = np.linalg.cholesky(gram).T
    y = np.linalg.solve(factor.T, moments)
    knots = lasso_path(gram.astype(np.longdouble), moments.astype(np.longdouble))
    budget = data["bound"] * np.abs(knots[-1][1]).sum()
    sizes = [np.abs(w).sum() for _, w, _ in knots]  # rise from knot to knot
    k = next(k for k, size in enumerate(sizes) if size > budget)
    share = (budget - sizes[k - 1]) / (sizes[k] - sizes[k - 1])
    lam = float(knots[k - 1][0] + share * (knots[k][0] - knots[k - 1][0]))
    result = solve(factor, y, lam, tol=EXACT_TOL)
    assert result.converged
    np.testing.assert_allclose(result.coef, data["coef"][1:], rtol=0, atol=1e-7)  # of l1ce
    found = {name: round(value, 2) for name, value in zip(data["names"], result.coef, strict=True) if value}
    assert found == PUBLISHED_PROSTATE
    assert round(data["mean"], 2) == 2.48  # the published intercept: the predictors are centred


# ---------------------------------------------------------------- glmnet


@pytest.mark.parametrize("solver", ["auto", "cd", "fista"])
@pytest.mark.parametrize("name", golden()["cases"])
def test_glmnet(name, solver):
    data = golden()
    case, X, y = data["cases"][name], np.array(data["X"]), np.array(data["y"])
    scales, options = from_glmnet(case, X, y, data["weights"])
    lam = options.pop("lam")
    result = solve(X / scales, y, lam, solver=solver, tol=1e-15, **options)
    problem = referee.Problem(X / scales, y, lam, dtype=np.float64, **options)
    centred = problem.X - (problem.s @ problem.X / problem.s.sum() if problem.fit_intercept else 0.0)
    hessian = centred.T @ (problem.s[:, None] * centred) + problem.l2 * np.diag(problem.v)
    near = nearest(result.dual_gap, problem.scale(), np.linalg.eigvalsh(hessian).min())
    assert near < 1e-6
    np.testing.assert_allclose(result.coef, case["coef"] * scales, rtol=0, atol=near + GLMNET_ERROR)
    assert result.intercept == pytest.approx(case["intercept_found"], abs=8 * near + GLMNET_ERROR)
    assert np.array_equal(result.coef == 0.0, np.array(case["coef"]) == 0.0)


GLMNET_ERROR = 1e-8
"""At thresh = 1e-22 glmnet stops when a round moves the fit by 1e-11 of y; columns 0 and 7 are so much alike that many
rounds are left then."""
