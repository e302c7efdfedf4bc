"""An interior-point method that shares nothing with this package finds the same objective."""

import warnings

import judged
import naive
import numpy as np
import problems
import pytest
import referee


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
