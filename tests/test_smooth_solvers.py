"""gradient, accelerated_gradient and lbfgs: the accuracy they promise, their stages, and how they end.

What they share with the other methods is in test_methods.
"""

import functools
import subprocess
import sys
import warnings

import cvxpy as cp
import judged
import numpy as np
import problems
import pytest
import referee

import l1fast
from l1fast import penalties

Status = l1fast.Status
SOLVERS = {"gradient": l1fast.Gradient, "accelerated_gradient": l1fast.AcceleratedGradient, "lbfgs": l1fast.LBFGS}
REACHED = {"gradient": 1e-3, "accelerated_gradient": 1e-6, "lbfgs": 1e-12}  # on small problems, in a moment
every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_option = pytest.mark.parametrize("option", problems.OPTIONS)
LONG = np.longdouble


def quiet(*arguments, **options):
    """A judged solve whose warning is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        return judged.solve(*arguments, **options)


# ---------------------------------------------------------------- names reach tol


@pytest.mark.thinned(3)
@every_solver
@every_option
@pytest.mark.parametrize("shape", [(60, 24), (24, 60)], ids=["tall", "wide"])
def test_options(option, shape, solver):
    X, y = problems.make(*shape)
    for storage in ("C", "csc_array int64"):
        stored = problems.STORAGES[storage](X)
        judged.solve(
            stored, y, problems.strength(X, y), solver=solver, tol=REACHED[solver], **problems.options(option, *shape)
        )


@pytest.mark.thinned(3)
@every_solver
@pytest.mark.parametrize("storage", problems.STORAGES)
def test_storages(storage, solver):
    X, y = problems.make()
    lam = problems.strength(X, y)
    for precision in (np.float32, np.float64):
        stored = problems.STORAGES[storage](X.astype(precision))
        judged.solve(stored, y, lam, judge_X=X, solver=solver, tol=REACHED[solver], fit_intercept=True)


SETTINGS = {
    "gradient": [
        {"penalty": penalty, "step": step}
        for penalty in ("huber", "pseudo_huber")
        for step in ("backtracking", "lipschitz")
    ],
    "accelerated_gradient": [
        {"penalty": penalty, "step": step, "restart": restart, "continuation": continuation}
        for penalty in ("huber", "pseudo_huber")
        for step in ("backtracking", "lipschitz")
        for restart in (True, False)
        for continuation in (True, False)
    ],
    "lbfgs": [
        {"penalty": penalty, "continuation": continuation, "memory": memory}
        for penalty in ("huber", "pseudo_huber")
        for continuation in (True, False)
        for memory in (1, 5, 40)
    ],
}
COARSE = {"gradient": 1e-2, "accelerated_gradient": 1e-3, "lbfgs": 1e-8}


@pytest.mark.parametrize(
    ("solver", "settings"),
    [(name, settings) for name in SETTINGS for settings in SETTINGS[name]],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value,
)
def test_settings(solver, settings):
    X, y = problems.make()
    for option in ("plain", "all", "bounds+all", "free columns+intercept"):
        chosen = problems.options(option, *X.shape)
        lam = problems.strength(X, y)
        judged.solve(X, y, lam, solver=SOLVERS[solver](**settings), tol=COARSE[solver], **chosen)


@every_solver
def test_a_start_near_the_solution_saves_work(solver):
    """The stages that such a start is past are left out: they would lead away from it."""
    X, y = problems.make(40, 80)
    for option in ("plain", "free columns"):
        lam, chosen = problems.strength(X, y), problems.options(option, *X.shape)
        there = l1fast.solve(X, y, lam, solver="cd", tol=1e-13, **chosen).coef
        assert judged.solve(X, y, lam, solver=solver, start=there, **chosen).n_iter == 0
        near = there + 1e-7 * np.random.default_rng(0).standard_normal(80)
        cold, warm = (
            quiet(X, y, lam, solver=solver, start=start, tol=REACHED[solver], history=True, max_iter=20_000, **chosen)
            for start in (None, near)
        )
        assert warm.n_iter < cold.n_iter
        assert warm.history.dual_gap.max() <= 100 * warm.history.dual_gap[0]


@every_solver
def test_without_lam_it_is_least_squares_or_ridge(solver):
    """No smoothing then, whatever the penalty: the gap decides."""
    X, y = problems.make(60, 12)
    for penalty in ("huber", penalties.Huber(3.0), penalties.PowerNorm(0.5)):
        settings = SOLVERS[solver](penalty)
        ridge = judged.solve(X, y, 0.0, l2=3.0, solver=settings, tol=1e-10)
        np.testing.assert_allclose(ridge.coef, np.linalg.solve(X.T @ X + 3 * np.eye(12), X.T @ y), atol=1e-4)
        judged.solve(X, y, 0.0, solver=settings, tol=1e-10)
        judged.solve(X, y, 1.0, penalty_weights=np.zeros(12), solver=settings, tol=1e-10)


@every_solver
@pytest.mark.parametrize("bound", [1e-9, 1e300])
def test_bounds_of_every_size(bound, solver):
    X, y = problems.make()
    result = judged.solve(X, y, problems.strength(X, y), bounds=(-bound, bound), solver=solver, tol=1e-3)
    assert np.abs(result.coef).max() <= bound


@every_solver
@pytest.mark.parametrize("of_y", [-1, 0, 1])
@pytest.mark.parametrize("of_X", [-1, 0, 1])
def test_scales(of_X, of_y, solver):
    """The loop of the first two squares lengths of w, which SciPy is told in units of their own."""
    size = 1e90 if solver == "lbfgs" else 1e60
    of_X, of_y = size**of_X, size**of_y
    X, y = problems.make()
    lam = problems.strength(X, y)
    for option in ("intercept", "bounds+all") if of_X == of_y == 1.0 else ("intercept",):
        judged.solve(
            *(X * of_X, y * of_y, lam * of_X * of_y),
            **{"solver": solver, "tol": REACHED[solver]} | problems.options(option, *X.shape),
        )


# ---------------------------------------------------------------- a penalty of one's own


OWN = {
    "huber": lambda width: penalties.Huber(width),
    "huber, offset": lambda width: penalties.Huber(width, offset=True),
    "pseudo_huber": lambda width: penalties.PseudoHuber(width),
    "quadratic bound": lambda width: penalties.QuadraticBound(1 / width),
}


def smooth_slope(penalty, w):
    """phi'(w) in longdouble."""
    if isinstance(penalty, penalties.Huber):
        return np.clip(w / LONG(penalty.mu), -1, 1)
    if isinstance(penalty, penalties.PseudoHuber):
        return w / np.hypot(w, LONG(penalty.eps))
    return w * LONG(penalty.gamma)


@every_solver
@every_option
@pytest.mark.parametrize("name", OWN)
def test_the_minimiser_of_ones_own_penalty(name, option, solver):
    """Its gradient vanishes where no bound holds it, in longdouble; the gap is what the smoothing costs."""
    penalty = OWN[name](0.1)
    X, y = problems.make(60, 24)
    chosen, lam = problems.options(option, *X.shape), problems.strength(X, y)
    for continuation in (True, False):
        settings = SOLVERS[solver](penalty, continuation=continuation)
        result = quiet(X, y, lam, solver=settings, tol=1e-10, **chosen)
        assert result.status is Status.SMOOTHED
        truth, w = referee.Problem(X, y, lam, **chosen), result.coef.astype(LONG)
        left = truth.gradient(w, truth.best_intercept(w)) + lam * truth.v * smooth_slope(penalty, w)
        held = ((w <= truth.lower) & (left > 0)) | ((w >= truth.upper) & (left < 0))
        assert np.abs(np.where(held, 0, left)).max() <= 1e-6 * lam
        if "bounds" not in chosen and "positive" not in chosen and "free" not in option and name != "quadratic bound":
            cost = lam * (truth.v * np.abs(w) * (1 - np.abs(smooth_slope(penalty, w)))).sum() / truth.scale()
            assert result.dual_gap <= cost * (1 + 1e-5)  # less, where a longer dual point is feasible
            if np.abs(smooth_slope(penalty, w)).max() == 1 and truth.l2 == 0:
                assert result.dual_gap >= cost * (1 - 1e-5)


def cvxpy_optimum(problem, term):
    """The least objective of a referee's problem with term(w, v) for the L1 norm, and its w."""
    w, b = cp.Variable(problem.p), cp.Variable() if problem.fit_intercept else 0.0
    X, y, s, v = (np.asarray(part, float) for part in (problem.X, problem.y, problem.s, problem.v))
    loss = cp.sum_squares(cp.multiply(np.sqrt(s), X @ w + b - y)) / 2
    ridge = float(problem.l2) / 2 * cp.sum_squares(cp.multiply(np.sqrt(v), w))
    bounds = [w[j] >= float(low) for j, low in enumerate(problem.lower) if np.isfinite(low)]
    bounds += [w[j] <= float(high) for j, high in enumerate(problem.upper) if np.isfinite(high)]
    made = cp.Problem(cp.Minimize(loss + float(problem.lam) * term(w, v) + ridge), bounds)
    made.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return made.value, w.value


TERMS = {  # CVXPY's huber(u, M) is u^2 up to M, and 2 M |u| - M^2 beyond
    "huber": lambda width: lambda w, v: v @ cp.huber(w, width) / (2 * width),
    "pseudo_huber": lambda width: lambda w, v: v @ cp.norm(cp.vstack([w, np.full(w.size, width)]), 2, axis=0),
}
AGREED = ("plain", "intercept", "sample_weight", "free columns+l2", "bounds", "all")


@functools.cache
def optima(option, name, width):
    X, y = problems.make(30, 16)
    lam, chosen = problems.strength(X, y), problems.options(option, *X.shape)
    problem = referee.Problem(X, y, lam, **chosen)
    smooth, w = cvxpy_optimum(problem, TERMS[name](width))
    true, _ = cvxpy_optimum(problem, lambda w, v: v @ cp.abs(w))
    return X, y, lam, chosen, problem, smooth, w, true


@every_solver
@pytest.mark.parametrize("option", AGREED)
@pytest.mark.parametrize("name", TERMS)
def test_agreement_with_cvxpy(name, option, solver):
    """The smoothed optimum to 1e-6, and the true one within what the smoothing is proven to cost."""
    width = 0.05
    X, y, lam, chosen, problem, smooth, exact, true = optima(option, name, width)
    penalty = OWN[name](width)
    result = quiet(X, y, lam, solver=SOLVERS[solver](penalty), tol=1e-9, **chosen)
    w, v = result.coef, problem.v.astype(float)
    weighted = type(penalty)(width, weights=v)
    value = problem.objective(w.astype(LONG), problem.best_intercept(w.astype(LONG)))  # with |.|
    value = float(value) + lam * (weighted.value(w) - v @ np.abs(w))
    assert value == pytest.approx(smooth, rel=1e-6)
    np.testing.assert_allclose(w, exact, atol=2e-3)
    error = lam * (weighted.smoothing_error(len(w)))
    assert -1e-6 * true <= result.objective - true <= error + 1e-6 * true
    assert error <= lam * v.sum() * width


@every_solver
@pytest.mark.parametrize("name", ["huber", "pseudo_huber"])
def test_continuation_off_is_proven_to_reach_tol(name, solver):
    """One width from the beginning, narrow enough."""
    X, y = problems.make(40, 15)
    tol = {"gradient": 3e-2, "accelerated_gradient": 1e-3, "lbfgs": 1e-9}[solver]
    judged.solve(X, y, problems.strength(X, y), solver=SOLVERS[solver](name, continuation=False), tol=tol)


@pytest.mark.parametrize("solver", ["gradient", "accelerated_gradient"])
@pytest.mark.parametrize("n_iter", [0, 1, 7, 40])
def test_the_textbook_step_descends_as_promised(solver, n_iter):
    """F_s - min F_s <= L |w*|^2 / 2k, and 2 L |w*|^2 / (k + 1)^2 with momentum, for the L that cannot be too small."""
    X, y = problems.make(60, 24)
    lam, mu = problems.strength(X, y), 0.2
    truth = referee.Problem(X, y, lam)
    settings = SOLVERS[solver](penalties.Huber(mu), False, step="lipschitz", restart=False)
    smooth, exact = cvxpy_optimum(truth, TERMS["huber"](mu))
    w = quiet(X, y, lam, solver=settings, max_iter=n_iter, tol=1e-14).coef
    value = 0.5 * np.sum((X @ w - y) ** 2) + lam * penalties.Huber(mu).value(w)
    L = np.linalg.norm(X, 2) ** 2 + lam / mu
    if n_iter:
        rate = 2 * L / (n_iter + 1) ** 2 if solver == "accelerated_gradient" else L / (2 * n_iter)
        assert value - smooth <= rate * (exact @ exact) + 1e-8 * smooth
    else:
        assert not w.any()


def test_plain_descent_is_that_of_numpy():
    """With the true L both take the same steps, to what the power iteration leaves of it."""
    X, y = problems.make(60, 10)
    lam, mu = problems.strength(X, y), 0.3
    L = np.linalg.norm(X, 2) ** 2 + lam / mu
    w, objectives = np.zeros(10), []
    for _ in range(300):
        objectives.append(0.5 * np.sum((X @ w - y) ** 2) + lam * np.abs(w).sum())
        w = w - (X.T @ (X @ w - y) + lam * np.clip(w / mu, -1, 1)) / L
    settings = l1fast.Gradient(penalties.Huber(mu), False, step="lipschitz")
    result = quiet(X, y, lam, solver=settings, max_iter=299, tol=0.0, history=True)
    np.testing.assert_allclose(result.history.objective, np.array(objectives)[result.history.iteration], rtol=2e-2)
    assert result.history.objective[-1] == pytest.approx(objectives[-1], rel=1e-6)


@every_solver
@pytest.mark.parametrize("separable", [True, False])
def test_powers_descend(separable, solver):
    """Slow, and steep at 0, but downhill, honest and free of warnings."""
    X, y = problems.make(40, 15)
    lam, power = problems.strength(X, y), penalties.PowerNorm(0.3, separable)
    for option in ("plain", "bounds+all", "free columns+intercept"):
        chosen = problems.options(option, *X.shape)
        result = quiet(X, y, lam, solver=SOLVERS[solver](power), max_iter=300, **chosen)
        truth = referee.Problem(X, y, lam, **chosen)
        assert result.objective < 0.99 * float(truth.scale())


# ---------------------------------------------------------------- how they end


@every_solver
@pytest.mark.parametrize("max_iter", [0, 1, 49, 50, 51, 137])
def test_max_iter_is_exact(max_iter, solver):
    """Over stages, calls of SciPy and whatever else."""
    X, y = problems.make(100, 300)
    states = []
    result = quiet(
        *(X, y, problems.strength(X, y, 1e-2)),
        solver=solver,
        max_iter=max_iter,
        tol=1e-13,
        history=True,
        callback=states.append,
    )
    assert result.status is Status.ITERATION_LIMIT
    assert result.n_iter == max_iter == result.history.iteration[-1]
    assert result.n_epochs >= max_iter
    assert len(states) == len(result.history)
    assert result.n_passes >= result.n_epochs + 2  # the check and the certificate
    assert (np.diff(result.history.iteration) >= 0).all()
    assert (np.diff(result.history.passes) >= 0).all()


def test_lbfgs_sees_every_iterate_once():
    X, y = problems.make(100, 300)
    result = judged.solve(X, y, problems.strength(X, y, 1e-2), solver="lbfgs", tol=1e-9, history=True)
    assert result.history.iteration.tolist() == list(range(result.n_iter + 1))
    assert result.history.dual_gap[-1] == pytest.approx(result.dual_gap, rel=1e-3, abs=1e-13)
    assert result.history.objective[-1] == pytest.approx(result.objective, rel=1e-12)
    assert result.n_epochs <= 2 * result.n_iter + 20


@pytest.mark.parametrize("penalty", ["huber", "pseudo_huber"])
def test_a_gap_out_of_reach_ends_in_no_progress(penalty):
    X, y = problems.make(60, 12)
    lam = problems.strength(X, y, 0.37)
    with pytest.warns(l1fast.ConvergenceWarning, match="rounding"):
        result = judged.solve(X, y, lam, solver=l1fast.LBFGS(penalty), tol=1e-300, time_limit=60)
    assert result.status is Status.NO_PROGRESS
    assert result.dual_gap < 1e-12


@every_solver
def test_what_a_smoothing_leaves_is_said(solver):
    X, y = problems.make()
    with pytest.warns(l1fast.ConvergenceWarning, match="smoothing keeps the gap above tol; narrow the penalty"):
        result = judged.solve(X, y, problems.strength(X, y), solver=SOLVERS[solver](penalties.Huber(1.0)))
    assert result.status is Status.SMOOTHED
    polished = judged.solve(X, y, problems.strength(X, y), solver=SOLVERS[solver](penalties.Huber(1.0)), polish=True)
    assert polished.converged


@every_solver
def test_a_narrow_penalty_of_ones_own_converges(solver):
    X, y = problems.make()
    lam = problems.strength(X, y)
    assert judged.solve(X, y, lam, solver=SOLVERS[solver](penalties.Huber(1e-4)), tol=1e-2).status is Status.CONVERGED


@pytest.mark.parametrize("memory", [0, -1, 1.5, "10", None])
def test_bad_memory_is_refused(memory):
    with pytest.raises(ValueError, match="memory"):
        l1fast.LBFGS(memory=memory)


def test_scipy_optimize_is_imported_when_needed():
    code = "import sys, l1fast; l1fast.LBFGS(); assert 'scipy.optimize' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_lbfgs_leaves_errstate_and_start_alone():
    X, y = problems.make()
    start = np.full(24, 0.25)
    with np.errstate(all="raise"):
        judged.solve(X, y, problems.strength(X, y), solver="lbfgs", start=start, bounds=(-1.0, 1e300))
    assert (start == 0.25).all()
