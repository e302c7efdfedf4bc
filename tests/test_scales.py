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
    for told, truth, shift in ((result.objective, objective, of_F), (result.violation, violation, of_slope)):
        true = exact(truth, shift)
        assert told == np.inf if true > np.longdouble(referee.LARGEST) else np.isfinite(told)
    known = all(0.0 < abs(one) < np.inf for one in (result.objective, result.violation))
    judged = dataclasses.replace(
        result,
        coef=to_float64(result.coef, -of_w),
        intercept=to_float64(result.intercept, -of_y),
        dual=to_float64(result.dual, -of_y - of_s),
        objective=float(exact(result.objective, -of_F)) if known else float(objective),
        violation=float(exact(result.violation, -of_slope)) if known else float(violation),
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
