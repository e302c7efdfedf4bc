"""The judge, judged: true certificates pass, false ones do not, and CVXPY and the naive twins agree."""

from types import SimpleNamespace

import naive
import numpy as np
import problems
import pytest
import referee

TOL = 1e-8
NAIVE = {"ista": (naive.ista, 3000), "fista": (naive.fista, 2000), "cd": (naive.cyclic_cd, 500)}


def certificate(problem, coef, intercept):
    """What a solver would return: the residual scaled until it is feasible; for problems without free columns."""
    theta = problem.s * problem.residual(coef, intercept)
    slopes = problem.X.T @ theta
    slopes = np.where(problem.constrained(theta), np.maximum(np.abs(slopes), 1e-300), 1e-300)
    theta = theta * min(1, (problem.lam * problem.v / slopes).min())
    theta, coef, intercept = theta.astype(np.float64), coef.astype(np.float64), float(intercept)
    objective = problem.objective(coef, intercept)
    gap = (objective - problem.dual_objective(theta)) / problem.scale()
    return SimpleNamespace(
        coef=coef,
        intercept=intercept,
        objective=float(objective),
        dual_gap=float(gap),
        violation=float(problem.violation(coef, intercept)),
        dual=theta,
        lam=float(problem.lam),
        tol=TOL,
        seconds=0.0,
        converged=bool(gap <= TOL),
        status=SimpleNamespace(name="CONVERGED" if gap <= TOL else "ITERATION_LIMIT"),
        support=np.flatnonzero(coef),
    )


@pytest.mark.parametrize("solver", NAIVE)
@pytest.mark.parametrize(
    "option", [name for name in problems.OPTIONS if "free" not in name and not name.endswith("all")]
)
def test_naive_twins_reach_the_optimum(solver, option):
    X, y = problems.make()
    options = problems.options(option, *X.shape)
    lam = problems.strength(X, y)
    run, n_iter = NAIVE[solver]
    problem = referee.Problem(X, y, lam, **options)
    result = certificate(problem, *run(problem, n_iter))
    assert result.converged
    referee.check(result, X, y, lam, **options)


@pytest.mark.parametrize("option", problems.OPTIONS)
def test_naive_twins_agree(option):
    X, y = problems.make()
    problem = referee.Problem(X, y, problems.strength(X, y), **problems.options(option, *X.shape))
    answers = [run(problem, n_iter) for run, n_iter in NAIVE.values()]
    for coef, intercept in answers[1:]:
        np.testing.assert_allclose(coef, answers[0][0], atol=1e-7)
        np.testing.assert_allclose(intercept, answers[0][1], atol=1e-7)
    assert problem.violation(*answers[-1]) < 1e-10


LIES = {
    "coef": lambda result: result.coef + 1e-6,
    "intercept": lambda result: result.intercept + 1e-6,
    "objective": lambda result: result.objective * (1 + 1e-11),
    "dual_gap": lambda result: result.dual_gap - 1e-11,
    "violation": lambda result: result.violation + 1e-9,
    "dual": lambda result: result.dual * 1.0001,
    "lam": lambda result: result.lam * 1.0001,
    "tol": lambda result: np.nextafter(result.dual_gap, -np.inf),
    "support": lambda result: result.support[1:],
}


@pytest.mark.parametrize("field", LIES)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_false_certificate_is_refused(field, fit_intercept):
    X, y = problems.make()
    lam = problems.strength(X, y)
    problem = referee.Problem(X, y, lam, fit_intercept=fit_intercept)
    result = certificate(problem, *naive.cyclic_cd(problem, 30))
    assert result.converged
    referee.check(result, X, y, lam, fit_intercept=fit_intercept)
    setattr(result, field, LIES[field](result))
    with pytest.raises(AssertionError):
        referee.check(result, X, y, lam, fit_intercept=fit_intercept)


def test_duplicate_entries_add_up():
    X, _ = problems.make()
    for name, build in problems.STORAGES.items():
        assert np.array_equal(referee.dense(build(X.astype(np.float32))), X), name
