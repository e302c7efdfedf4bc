"""The methods that smooth the L1 norm, bound it or follow a subgradient: each against mathematics, and with CVXPY."""

import signal

import cvxpy as cp
import judged
import numpy as np
import problems
import pytest
import referee
import scipy.sparse as sp

import l1fast
from l1fast import penalties

SMOOTH = (l1fast.Gradient, l1fast.AcceleratedGradient, l1fast.LBFGS)
METHODS = ("gradient", "accelerated_gradient", "lbfgs", "irls", "huber_descent", "subgradient")
UNBOUNDED = ("irls",)  # these refuse bounds
MOST = 30  # iterations where only the honesty of the answer is judged
Status = l1fast.Status


# Every storage and option: the referee confirms gap, objective and violation of whatever point was reached.


@pytest.mark.parametrize("storage", problems.STORAGES)
@pytest.mark.parametrize("method", METHODS)
def test_every_storage(method, storage):
    X, y = problems.make()
    lam, plain = problems.strength(X, y), judged.quiet(*problems.make(), 5.0, solver=method, max_iter=MOST)
    result = judged.quiet(problems.STORAGES[storage](X), y, lam, judge_X=X, solver=method, max_iter=MOST)
    assert result.dual_gap < 0.5
    assert result.coef.shape == plain.coef.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_both_precisions_pose_the_same_problem(method, dtype):
    X, y = problems.make()
    lam = problems.strength(X, y)
    single, double = (
        judged.quiet(X.astype(kind), y, lam, solver=method, max_iter=MOST) for kind in (np.float32, dtype)
    )
    np.testing.assert_allclose(single.coef, double.coef, atol=1e-7 * np.abs(double.coef).max())


@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_every_option(method, option):
    X, y = problems.make()
    options = problems.options(option, *X.shape)
    lam = problems.strength(X, y)
    if method in UNBOUNDED and ("bounds" in options or "positive" in options):
        with pytest.raises(ValueError, match="cd"):
            l1fast.solve(X, y, lam, solver=method, **options)
        return
    start = judged.quiet(X, y, lam, solver=method, max_iter=0, **options)
    result = judged.quiet(X, y, lam, solver=method, max_iter=200, tol=1e-3, **options)
    assert result.dual_gap <= start.dual_gap
    polished = judged.solve(X, y, lam, solver=method, max_iter=50, polish=True, tol=1e-10, **options)
    assert polished.converged


# Agreement with CVXPY


def small(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = X @ (rng.standard_normal(p) * (rng.random(p) < 0.4)) + 0.3 * rng.standard_normal(n)
    return X, y, 0.2 * float(np.abs(X.T @ y).max())


def cvxpy_optimum(X, y, lam, term):
    """(least 1/2 ||Xw - y||^2 + lam term(w), a minimiser)."""
    w = cp.Variable(X.shape[1])
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X @ w - y) / 2 + lam * term(w)))
    problem.solve(solver=cp.CLARABEL)
    return problem.value, w.value


STAND_INS = {
    "huber": (penalties.Huber(0.2), lambda w: cp.sum(cp.huber(w, 0.2)) / (2 * 0.2)),
    "pseudo-huber": (
        penalties.PseudoHuber(0.1),
        lambda w: cp.sum(cp.norm(cp.vstack([w, np.full(w.size, 0.1)]), axis=0)),
    ),
    "quadratic": (penalties.QuadraticBound(3.0), lambda w: cp.sum_squares(w) * 1.5 + w.size / 6),
    "l2": (penalties.L2(), lambda w: cp.sum_squares(w) / 2),
    "power norm": (penalties.PowerNorm(0.5), lambda w: cp.pnorm(w, 1.5)),
    "power": (penalties.PowerNorm(0.5, separable=True), lambda w: cp.sum(cp.power(cp.abs(w), 1.5))),
}


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
@pytest.mark.parametrize("continuation", [True, False])
@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize("solver", SMOOTH, ids=lambda kind: kind.name)
def test_smooth_penalties_of_their_own(solver, name, continuation, shape):
    """The minimiser of the smoothed problem, whose true objective is within the proven error of the true optimum."""
    X, y, lam = small(*shape)
    penalty, term = STAND_INS[name]
    if solver is l1fast.Gradient and name.startswith("power"):
        pytest.skip("infinitely steep at 0: too slow without momentum")
    least, _ = cvxpy_optimum(X, y, lam, term)
    result = judged.quiet(X, y, lam, solver=solver(penalty, continuation=continuation), tol=1e-9, time_limit=20)
    value = 0.5 * np.sum((X @ result.coef - y) ** 2) + lam * penalty.value(result.coef)
    assert abs(value - least) <= 2e-7 * float(y @ y)
    assert result.status is Status.SMOOTHED or (solver is l1fast.LBFGS and name.startswith("power"))
    true_least, _ = cvxpy_optimum(X, y, lam, cp.norm1)
    error = lam * penalty.smoothing_error(X.shape[1])
    if np.isfinite(error):
        assert result.objective - true_least <= error + 1e-7 * float(y @ y)


@pytest.mark.parametrize("mu", [1.0, 0.1])
@pytest.mark.parametrize("solver", SMOOTH, ids=lambda kind: kind.name)
def test_the_gap_at_a_huber_minimiser(solver, mu):
    """lam sum |w| (1 - min(1, |w| / mu)), from w alone: the dual point there needs no scaling."""
    X, y, lam = small(40, 15)
    result = judged.quiet(X, y, lam, solver=solver(penalties.Huber(mu)), tol=1e-10)
    size = np.abs(result.coef)
    expected = lam * np.sum(size * (1 - np.minimum(1, size / mu))) / (0.5 * y @ y)
    assert result.dual_gap <= expected + 1e-8  # a scaled dual point may do better
    assert expected <= lam * mu * len(size) / 4 / (0.5 * y @ y)


REACHED = {"gradient": 1e-4, "accelerated_gradient": 1e-6, "lbfgs": 1e-8, "irls": 1e-9, "subgradient": 3e-2}


@pytest.mark.parametrize("shape", [(60, 20), (25, 50)])
@pytest.mark.parametrize("method", REACHED)
def test_names_reach_a_small_gap(method, shape):
    X, y, lam = small(*shape)
    least, _ = cvxpy_optimum(X, y, lam, cp.norm1)
    result = judged.solve(X, y, lam, solver=method, tol=REACHED[method], time_limit=30)
    assert result.converged
    assert -1e-7 * least <= result.objective - least <= result.dual_gap * 0.5 * (y @ y) + 1e-7 * least


def test_the_line_search_of_huber_descent():
    """After many steps the true objective is within the Huber error of the last width."""
    X, y, lam = small(40, 15)
    least, _ = cvxpy_optimum(X, y, lam, cp.norm1)
    N, mu = 3000, 0.05
    result = judged.quiet(X, y, lam, solver=l1fast.HuberDescent(mu=mu, line_search=True), max_iter=N, tol=1e-12)
    assert result.objective - least <= lam * 15 * mu / np.log2(N + 1) / 2


# The scheme of the Huber descent, literally


def transcription(X, y, lam, mu, n_steps):
    """vX = pinv(mA) vB; k = 2 ..: vX -= stepSize (mAA vX - vAb + lambda HuberLossGrad(vX, mu))."""
    AA, Ab = X.T @ X, X.T @ y
    x = np.linalg.pinv(X) @ y
    step_base = 1 / np.linalg.norm(X, 2) ** 2
    iterates = [x]
    for k in range(2, n_steps + 2):
        width, step = mu / np.log2(k), step_base / np.log2(k)
        inside = np.abs(x) <= width
        slope = inside * (x / width) + ~inside * np.sign(x)
        x = x - step * (AA @ x - Ab + lam * slope)
        iterates.append(x)
    return np.array(iterates)


MATRICES = {
    "tall": lambda rng: rng.standard_normal((60, 15)),
    "wide": lambda rng: rng.standard_normal((20, 45)),
    "square": lambda rng: rng.standard_normal((25, 25)) + 3 * np.eye(25),
    "rank-deficient": lambda rng: rng.standard_normal((40, 6)) @ rng.standard_normal((6, 20)),
    "sparse": lambda rng: rng.standard_normal((80, 30)) * (rng.random((80, 30)) < 0.15),
}


@pytest.mark.parametrize("kind", ["C", "F", "float32", "csr", "csc"])
@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("name", MATRICES)
def test_huber_descent_is_the_scheme(name, gram, kind):
    rng = np.random.default_rng(5)
    X = np.round(64 * MATRICES[name](rng)) / 64 if name != "rank-deficient" else MATRICES[name](rng)
    if kind == "float32":
        if name == "rank-deficient":
            pytest.skip("rounding would change the rank")
        X = X.astype(np.float32)
    y = rng.standard_normal(len(X))
    dense = X.astype(np.float64)
    lam, mu = 0.05 * float(np.abs(dense.T @ y).max()), 0.5
    stored = {"F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}.get(kind, np.array)(X)
    settings = l1fast.HuberDescent(mu=mu, iterates=True, gram=gram)
    result = judged.quiet(stored, y, lam, solver=settings, max_iter=200, tol=0)
    wanted = transcription(dense, y, lam, mu, 200)
    assert result.iterates.shape == wanted.shape == (201, X.shape[1])
    np.testing.assert_allclose(result.iterates, wanted, atol=1e-10 * np.abs(wanted).max())
    gaps = [float(referee.Problem(dense, y, lam).gap(row, 0.0)) for row in wanted[::50]]
    assert result.dual_gap * 0.5 * (y @ y) <= min(gaps) * (1 + 1e-9)


def test_the_default_width_of_the_text():
    assert l1fast.HuberDescent().mu == 0.005


# How they end


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_iter", [0, 1, 2, 7])
def test_iteration_limit(method, max_iter):
    X, y = problems.make(100, 300)
    result = judged.quiet(
        X, y, problems.strength(X, y, 1e-2), solver=method, max_iter=max_iter, tol=1e-12, history=True
    )
    assert result.status is Status.ITERATION_LIMIT
    assert result.n_iter == max_iter
    assert result.history.iteration[-1] == max_iter
    assert (np.diff(result.history.passes) >= 0).all()
    assert result.n_passes >= result.history.passes[-1]


@pytest.mark.parametrize("method", METHODS)
def test_time_limit(method):
    X, y = problems.make(300, 900)
    with pytest.warns(l1fast.ConvergenceWarning, match="time_limit"):
        result = judged.solve(X, y, problems.strength(X, y, 1e-3), solver=method, time_limit=0.05, tol=1e-14)
    assert result.status is Status.TIME_LIMIT
    assert result.seconds < 2.0


@pytest.mark.parametrize("method", METHODS)
def test_callback_stops_and_raises(method):
    X, y = problems.make(100, 300)
    lam = problems.strength(X, y, 1e-2)
    result = judged.quiet(X, y, lam, solver=method, tol=1e-13, callback=lambda state: state.passes > 8)
    assert result.status is Status.INTERRUPTED

    def broken(state):
        raise RuntimeError("from the callback")

    with pytest.raises(RuntimeError, match="from the callback"):
        l1fast.solve(X, y, lam, solver=method, callback=broken)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("method", METHODS)
def test_keyboard_interrupt(method):
    X, y = problems.make(1000, 4000)
    lam = problems.strength(X, y, 1e-4)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            l1fast.solve(X, y, lam, solver=method, tol=0, max_iter=10**9, time_limit=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("method", METHODS)
def test_same_bits(method):
    X, y = problems.make(300, 200)
    first, second = (judged.quiet(X, y, 3.0, solver=method, max_iter=50, tol=1e-14, n_threads=2) for _ in range(2))
    assert problems.fingerprint(first) == problems.fingerprint(second)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_fit(method):
    X, y = problems.make()
    for target, lam in ((np.zeros(60), 1.0), (y, 1.01 * problems.strength(X, y, 1.0))):
        result = judged.quiet(X, target, lam, solver=method, tol=1e-2)
        assert np.isfinite(result.coef).all()
        assert result.dual_gap <= 1.0
    assert judged.solve(np.zeros((5, 3)), np.ones(5), 1.0, solver=method).converged


@pytest.mark.parametrize("solver", SMOOTH, ids=lambda kind: kind.name)
def test_wrong_penalties_are_refused(solver):
    with pytest.raises(ValueError, match="'hubr'"):
        solver("hubr")
    with pytest.raises(TypeError, match="no gradient"):
        solver(penalties.L1())
    with pytest.raises(TypeError, match="penalty"):
        solver(3.0)
    with pytest.raises(ValueError, match="penalty_weights"):
        solver(penalties.Huber(0.1, weights=[1.0, 2.0]))
