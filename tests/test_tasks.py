"""Several tasks at once, against the referee of blocks, a naive solver, CVXPY and the solver of one task."""

import dataclasses
import threading
import time
import warnings

import numpy as np
import problems
import pytest
import referee_blocks
import scipy.sparse

import l1fast
from l1fast import _block_newton
from l1fast._kernels import coordinate_descent
from l1fast._tasks import TaskProblem, read_problem
from l1fast._working_set import CD

Status = l1fast.Status
FAMILY = ("l2", "fit_intercept", "penalty_weights", "sample_weight")
OPTIONS = (
    *("plain", "intercept", "l2", "sample_weight", "sample_weight+intercept", "penalty_weights"),
    *("free columns", "free columns+intercept", "free columns+l2"),
)


def make(n=40, p=60, n_tasks=3, seed=0):
    """Sparse X, whole numbers in quarters so that storages can split entries exactly, and Y."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-8, 9, (n, p)) / 4 * (rng.random((n, p)) < 0.5)
    W = np.zeros((p, n_tasks))
    W[: max(1, p // 8)] = rng.standard_normal((max(1, p // 8), n_tasks))
    return X, X @ W + 0.5 * rng.standard_normal((n, n_tasks)) + np.arange(n_tasks)


def solve(X, Y, lam, *, judge_X=None, **options):
    """`l1fast.solve_tasks`, judged, its input unchanged."""
    inputs = (X, Y, *options.values())
    before = problems.fingerprint(*inputs)
    result = l1fast.solve_tasks(X, Y, lam, **options)
    assert problems.fingerprint(*inputs) == before, "the input was changed"
    asked = {name: options[name] for name in FAMILY if name in options}
    referee_blocks.check(result, X if judge_X is None else judge_X, Y, lam, **asked)
    return result


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("shape", [(40, 60), (60, 12), (7, 30), (1, 5), (9, 1), (1, 1)])
@pytest.mark.parametrize("n_tasks", [1, 2, 5])
def test_options(option, shape, n_tasks):
    X, Y = make(*shape, n_tasks)
    options = problems.options(option, *shape)
    largest = l1fast.lam_max_tasks(X, Y, **{name: options[name] for name in options if name != "l2"})
    for ratio in (0.5, 0.05):
        result = solve(X, Y, ratio * largest or 1.0, tol=1e-9, **options)
        assert result.converged


@pytest.mark.parametrize("option", ["plain", "sample_weight+intercept", "penalty_weights", "l2"])
def test_naive_block_descent_agrees(option):
    X, Y = make(25, 8)
    options = problems.options(option, 25, 8)
    lam = 0.2 * np.linalg.norm(X.T @ Y, axis=1).max()
    W, b = referee_blocks.Problem(X, Y, lam, **options).block_descent(300)
    result = solve(X, Y, lam, tol=1e-14, **options)
    np.testing.assert_allclose(result.coef, W.astype(float), atol=1e-6)
    np.testing.assert_allclose(result.intercept, b.astype(float), atol=1e-6)


@pytest.mark.parametrize("option", ["plain", "sample_weight+intercept", "penalty_weights", "l2"])
def test_cvxpy_agrees(option):
    cvxpy = pytest.importorskip("cvxpy")
    X, Y = make(15, 20)
    options = problems.options(option, 15, 20)
    lam = 0.2 * np.linalg.norm(X.T @ Y, axis=1).max()
    truth = referee_blocks.Problem(X, Y, lam, **options)
    W, b = cvxpy.Variable((20, 3)), cvxpy.Variable((1, 3))
    constant = np.ones((15, 1)) @ b if truth.fit_intercept else 0
    root = np.sqrt(truth.s.astype(float))[:, None]
    loss = cvxpy.sum_squares(cvxpy.multiply(np.tile(root, (1, 3)), X @ W + constant - Y)) / 2
    v = truth.v.astype(float)
    ridge = cvxpy.sum_squares(cvxpy.multiply(np.tile(np.sqrt(v)[:, None], (1, 3)), W))
    penalty = lam * (v @ cvxpy.norm(W, 2, axis=1)) + float(truth.l2) / 2 * ridge
    best = cvxpy.Problem(cvxpy.Minimize(loss + penalty)).solve(solver="CLARABEL")
    result = solve(X, Y, lam, tol=1e-10, **options)
    assert abs(result.objective - best) <= 1e-6 * best


@pytest.mark.parametrize("storage", problems.STORAGES)
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_storages(storage, real):
    X, Y = make(20, 30)
    kept = problems.STORAGES[storage](X.astype(real))
    result = solve(kept, Y, 0.1 * l1fast.lam_max_tasks(X, Y), judge_X=X, tol=1e-8, fit_intercept=True)
    assert result.converged


@pytest.mark.parametrize(
    "kind", [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csr_array, scipy.sparse.csc_array]
)
@pytest.mark.parametrize("n_tasks", [2, 16, 17, 40])
def test_many_tasks(kind, n_tasks):
    X, Y = make(20, 30, n_tasks)
    assert solve(kind(X), Y, 0.2 * l1fast.lam_max_tasks(X, Y), fit_intercept=True).converged


@pytest.mark.parametrize(
    "kind", [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csr_array, scipy.sparse.csc_array]
)
def test_threads(kind):
    X, Y = make(1500, 800, 3)
    lam = 0.1 * l1fast.lam_max_tasks(X, Y, fit_intercept=True)
    results = [solve(kind(X), Y, lam, fit_intercept=True, n_threads=3, tol=1e-8) for _ in range(2)]
    assert problems.fingerprint(results[0]) == problems.fingerprint(results[1])
    assert results[0].converged


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_one_task_is_solve(fit_intercept):
    X, Y = make(n_tasks=1)
    lam = 0.1 * l1fast.lam_max(X, Y[:, 0], fit_intercept=fit_intercept)
    assert l1fast.lam_max_tasks(X, Y, fit_intercept=fit_intercept) == 10 * lam
    one = l1fast.solve(X, Y[:, 0], lam, fit_intercept=fit_intercept, solver="cd")
    all_ = solve(X, Y, lam, fit_intercept=fit_intercept)
    np.testing.assert_array_equal(all_.coef[:, 0], one.coef)
    assert all_.intercept[0] == one.intercept
    assert (all_.dual_gap, all_.n_epochs) == (one.dual_gap, one.n_epochs)


def test_equal_tasks_are_one():
    """With T copies of y, W_j = w_j (1, ..., 1) / sqrt(T)-scaled: lam sqrt(T) |w_j| for T times the loss."""
    X, Y = make(n_tasks=1)
    lam = 0.2 * l1fast.lam_max(X, Y[:, 0])
    one = l1fast.solve(X, Y[:, 0], lam, tol=1e-12)
    four = solve(X, np.repeat(Y, 4, axis=1), 2 * lam, tol=1e-12)
    np.testing.assert_allclose(four.coef, np.repeat(one.coef[:, None], 4, axis=1), atol=1e-6)


def test_rotation_of_the_tasks_rotates_the_answer():
    X, Y = make()
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    lam = 0.1 * l1fast.lam_max_tasks(X, Y)
    plain, turned = solve(X, Y, lam, tol=1e-12), solve(X, Y @ rotation, lam, tol=1e-12)
    np.testing.assert_allclose(plain.coef @ rotation, turned.coef, atol=1e-5)


def test_permutation_of_the_features():
    X, Y = make()
    order = np.random.default_rng(1).permutation(60)
    lam = 0.1 * l1fast.lam_max_tasks(X, Y)
    plain, moved = solve(X, Y, lam, tol=1e-12), solve(X[:, order], Y[:, ::-1], lam, tol=1e-12)
    np.testing.assert_allclose(plain.coef[order][:, ::-1], moved.coef, atol=1e-5)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_lam_max(fit_intercept):
    X, Y = make()
    largest = l1fast.lam_max_tasks(X, Y, fit_intercept=fit_intercept)
    for ratio in (1.0 + 1e-12, 1.5):
        assert not solve(X, Y, ratio * largest, fit_intercept=fit_intercept).coef.any()
    assert solve(X, Y, 0.99 * largest, tol=1e-10, fit_intercept=fit_intercept).coef.any()


def test_lam_max_with_free_columns():
    X, Y = make(30, 10)
    v = np.r_[0.0, 0.0, np.ones(8)]
    largest = l1fast.lam_max_tasks(X, Y, penalty_weights=v)
    fitted = X[:, :2] @ np.linalg.lstsq(X[:, :2], Y)[0]
    np.testing.assert_allclose(largest, np.linalg.norm(X[:, 2:].T @ (Y - fitted), axis=1).max(), rtol=1e-10)
    assert solve(X, Y, 1.001 * largest, penalty_weights=v).support.tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(40, 10), (10, 40)])
@pytest.mark.parametrize("l2", [0.0, 1.0])
def test_no_lam(shape, l2):
    X, Y = make(*shape)
    result = solve(X, Y, 0.0, l2=l2, tol=1e-9)
    assert result.converged
    if l2:
        ridge = np.linalg.solve(X.T @ X + l2 * np.eye(shape[1]), X.T @ Y)
        np.testing.assert_allclose(result.coef, ridge, atol=1e-3)


def test_constant_columns_and_zero_targets():
    X, Y = make(20, 6)
    X[:, 1], X[:, 2] = 3.0, 0.0
    result = solve(X, Y, 1.0, fit_intercept=True)
    assert not result.coef[1:3].any()
    Y[:, 0] = 0.0
    assert solve(X, Y, 1.0).coef[:, 0].any() == 0.0
    zero = solve(X, 0.0 * Y, 1.0)
    assert zero.converged
    assert not zero.coef.any()
    constant = solve(X, np.ones((20, 1)) * [1.0, 2.0], 1.0, fit_intercept=True)
    assert not constant.coef.any()
    np.testing.assert_allclose(constant.intercept, [1.0, 2.0])


def test_dropped_rows_do_not_matter():
    X, Y = make()
    s = np.r_[np.zeros(10), np.ones(30)]
    Y[:10] = 1e6
    whole = solve(X, Y, 2.0, sample_weight=s, fit_intercept=True, tol=1e-10)
    rest = solve(X[10:], Y[10:], 2.0, fit_intercept=True, tol=1e-10)
    np.testing.assert_allclose(whole.coef, rest.coef, atol=1e-5)


@dataclasses.dataclass(frozen=True)
class NoGram(CD):
    """All on the columns of X."""

    gram_limit: int = 0


@pytest.mark.parametrize(
    "kind", [np.asfortranarray, np.ascontiguousarray, scipy.sparse.csc_array, scipy.sparse.csr_array]
)
@pytest.mark.parametrize("option", ["plain", "sample_weight+intercept", "l2", "penalty_weights"])
def test_without_a_gram_matrix(kind, option, monkeypatch):
    monkeypatch.setattr("l1fast._tasks.CD", NoGram)
    X, Y = make(40, 25)
    lam = 0.2 * np.linalg.norm(X.T @ Y, axis=1).max()
    assert solve(kind(X), Y, lam, **problems.options(option, 40, 25)).converged


def test_hard_problem_converges():
    X, Y = problems.make(60, 200)
    Y = np.column_stack([Y, Y[::-1], np.roll(Y, 7)])
    result = solve(X, Y, 1e-3 * l1fast.lam_max_tasks(X, Y), tol=1e-10)
    assert result.converged


def test_path_is_single_solves():
    X, Y = make()
    path = l1fast.path_tasks(X, Y, n_lams=12, lam_min_ratio=0.01, tol=1e-10, fit_intercept=True)
    assert path.converged
    assert len(path) == 12
    assert path.lams[0] == l1fast.lam_max_tasks(X, Y, fit_intercept=True)
    for k, lam in enumerate(path.lams):
        one = solve(X, Y, lam, tol=1e-10, fit_intercept=True)
        np.testing.assert_allclose(path.coef(k), one.coef, atol=1e-4)
        np.testing.assert_allclose(path.intercepts[k], one.intercept, atol=1e-4)
        assert (
            abs(path.objectives[k] - one.objective)
            <= 2e-10 * referee_blocks.Problem(X, Y, lam, fit_intercept=True).scale()
        )
        np.testing.assert_array_equal(path.supports[k], np.flatnonzero(path.coef(k).any(axis=1)))
    assert path.support_sizes.tolist() == [len(support) for support in path.supports]
    assert "TaskPathResult" in repr(path)


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_path_to_no_lam_with_ridge(n_tasks):
    X, Y = make(40, 10, n_tasks)
    path = l1fast.path_tasks(X, Y, lams=[0.0, 5.0], l2_ratio=0.5, l2=0.1, tol=1e-10)
    assert path.lams.tolist() == [5.0, 0.0]
    for k, l2 in enumerate((2.6, 0.1)):
        one = solve(X, Y, path.lams[k], l2=l2, tol=1e-10)
        np.testing.assert_allclose(path.coef(k), one.coef, atol=1e-3)


def hard(**options):
    X, Y = problems.make(150, 600)
    Y = np.column_stack([Y, np.roll(Y, 3)])
    lam = 1e-3 * l1fast.lam_max_tasks(X, Y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(X, Y, lam, **({"tol": 1e-13} | options))
    assert [warning.category for warning in caught] == [l1fast.ConvergenceWarning]
    assert f"{result.dual_gap:.3e}" in str(caught[0].message)
    assert caught[0].filename == __file__
    return result


@pytest.mark.parametrize("max_iter", [0, 1, 3])
def test_iteration_limit(max_iter):
    result = hard(max_iter=max_iter)
    assert result.status is Status.ITERATION_LIMIT
    assert result.n_iter == max_iter


def test_time_limit():
    assert hard(time_limit=0.0).status is Status.TIME_LIMIT
    began = time.perf_counter()
    with pytest.warns(l1fast.ConvergenceWarning):
        path = l1fast.path_tasks(*make(), time_limit=0.0)
    assert path.status is Status.TIME_LIMIT
    assert len(path) == 1
    assert time.perf_counter() - began < 5.0


def test_callback_stops():
    states = []

    def second_time(state):
        states.append(state)
        return len(states) == 2

    result = hard(callback=second_time)
    assert result.status is Status.INTERRUPTED
    assert len(states) == 2
    assert all(type(state) is l1fast.State for state in states)
    with pytest.warns(l1fast.ConvergenceWarning):
        path = l1fast.path_tasks(*make(), on_progress=lambda state: state.index == 2)
    assert path.status is Status.INTERRUPTED
    assert len(path) == 3


def test_callback_at_no_lam_sees_all_tasks():
    X, Y = make(40, 10)
    states = []
    result = solve(X, Y, 0.0, callback=states.append)
    null = referee_blocks.Problem(X, Y, 0.0).scale()
    assert abs(states[0].objective - float(null)) <= 1e-9 * null
    objectives = [state.objective for state in states]
    assert objectives == sorted(objectives, reverse=True)
    last = 0.5 * float(Y[:, 2] @ Y[:, 2])  # the last task is seen at its start, before it is solved
    others = sum(((X @ result.coef - Y)[:, :2] ** 2).sum(axis=0)) / 2
    assert abs(objectives[-1] - (others + last)) <= 1e-5 * null
    assert all(0.0 <= state.dual_gap <= 1.0 + 1e-12 for state in states)


def test_start():
    X, Y = make()
    lam = 0.1 * l1fast.lam_max_tasks(X, Y)
    cold = solve(X, Y, lam)
    assert solve(X, Y, lam, start=cold).n_iter == 0
    assert solve(X, Y, lam, start=cold.coef).n_iter == 0
    assert solve(X, Y, lam, start=np.ones((60, 3))).converged


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"Y": np.ones(40)}, ValueError, r"Y has shape \(40,\), expected \(40, n_tasks\); one task is Y.reshape"),
        ({"Y": np.ones((39, 2))}, ValueError, r"Y has shape \(39, 2\)"),
        ({"Y": np.ones((40, 0))}, ValueError, r"Y has shape \(40, 0\)"),
        ({"Y": np.full((40, 2), np.nan)}, ValueError, r"Y\[0, 0\] is nan"),
        ({"Y": np.full((40, 2), 1j)}, ValueError, "complex"),
        ({"Y": scipy.sparse.csr_array(np.ones((40, 2)))}, TypeError, "Y is a sparse matrix"),
        ({"Y": np.full((40, 2), (1e200, 1e-200))}, ValueError, "column 1 of Y"),
        ({"X": np.full((40, 60), np.inf)}, ValueError, "X has the value inf"),
        ({"lam": -1.0}, ValueError, "lam must be"),
        ({"l2": np.nan}, ValueError, "l2 must be"),
        ({"start": np.ones((60, 2))}, ValueError, r"start has shape \(60, 2\), expected \(60, 3\)"),
        ({"start": np.full((60, 3), np.nan)}, ValueError, r"start\[0, 0\] is nan"),
        ({"sample_weight": np.zeros(40)}, ValueError, "sample_weight is 0 everywhere"),
        ({"penalty_weights": np.ones(3)}, ValueError, "penalty_weights has shape"),
        ({"callback": 3}, TypeError, "callback must be callable"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"fit_intercept": "yes"}, TypeError, "fit_intercept must be"),
    ],
)
def test_bad_input(changes, error, text):
    X, Y = make()
    arguments = {"X": X, "Y": Y, "lam": 1.0} | changes
    with pytest.raises(error, match=text):
        l1fast.solve_tasks(**arguments)


def test_no_features():
    result = solve(np.empty((5, 0)), np.ones((5, 2)), 1.0)
    assert result.coef.shape == (0, 2)


def test_solves_in_threads():
    X, Y = make()
    lam = 0.1 * l1fast.lam_max_tasks(X, Y)
    expected, found = problems.fingerprint(l1fast.solve_tasks(X, Y, lam)), []
    pool = [
        threading.Thread(target=lambda: found.append(problems.fingerprint(l1fast.solve_tasks(X, Y, lam, n_threads=1))))
        for _ in range(4)
    ]
    for one in pool:
        one.start()
    for one in pool:
        one.join()
    assert found == [expected] * 4


# The kernels against their meaning in NumPy


@pytest.mark.parametrize(
    "kind", [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csr_array, scipy.sparse.csc_array]
)
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight", "sample_weight+intercept"])
@pytest.mark.parametrize("n_tasks", [2, 3, 16, 19])
def test_gradient(kind, real, option, n_tasks):
    X, Y = make(23, 17, n_tasks)
    options = problems.options(option, 23, 17)
    weights = options.get("sample_weight")
    flag = options.get("fit_intercept", False)
    problem, _ = read_problem(kind(X.astype(real)), Y, (1.0, 0.0), flag, None, weights, 1)
    assert isinstance(problem, TaskProblem)
    truth = referee_blocks.Problem(X, Y, 1.0, **options)
    rng = np.random.default_rng(3)
    W = rng.standard_normal((17, n_tasks)) * (rng.random((17, 1)) < 0.6)
    point = problem.at(W)
    b = truth.best_intercept(W.astype(np.longdouble))
    q = -truth.s[:, None] * truth.residual(W.astype(np.longdouble), b)
    np.testing.assert_allclose(point.q, q.astype(float), atol=1e-11)
    np.testing.assert_allclose(point.g, (truth.X.T @ q).astype(float), atol=1e-10)
    error = truth.residual(W.astype(np.longdouble), b)
    np.testing.assert_allclose(point.loss, float((truth.s @ error**2).sum() / 2), rtol=1e-12)


@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_gram_descent(l2):
    """One epoch of the kernel is one of the naive solver, and its gap is the referee's."""
    X, Y = make(30, 9)
    problem, _ = read_problem(X, Y, (2.0, l2), False, None, None, 1)
    gram, room = X.T @ X, np.empty(2 * 9 + 3)
    penalties = np.array([np.ones(9), np.full(9, -np.inf), np.full(9, np.inf)])
    w, g = np.zeros(27), (-(X.T @ Y)).T.ravel().copy()
    arguments = (problem.capsule, gram, gram.diagonal().copy(), penalties, w, g)
    epochs, _, loss = coordinate_descent.gram_descent(*arguments, problem.null_loss, np.inf, 1, 3, room)
    assert epochs == 0
    epochs, _, loss = coordinate_descent.gram_descent(*arguments, loss, 1e-13 * loss, 10_000, 3, room)
    W, _ = referee_blocks.Problem(X, Y, 2.0, l2=l2).block_descent(400)
    np.testing.assert_allclose(w.reshape(3, 9).T, W.astype(float), atol=1e-6)
    np.testing.assert_allclose(g.reshape(3, 9).T, gram @ w.reshape(3, 9).T - X.T @ Y, atol=1e-9)
    np.testing.assert_allclose(loss, ((X @ w.reshape(3, 9).T - Y) ** 2).sum() / 2, rtol=1e-10)
    with pytest.raises(ValueError, match="room must have"):
        coordinate_descent.gram_descent(*arguments, loss, 0.0, 1, 3, np.empty(3))
    with pytest.raises(ValueError, match="w and g must have"):
        coordinate_descent.gram_descent(*arguments, loss, 0.0, 1, 4, room)


def test_block_newton_solves_the_smooth_part():
    """From near the optimum with the right support, a few steps without descent reach it."""
    X, Y = make(40, 6)
    lam = 0.05 * l1fast.lam_max_tasks(X, Y)
    best = l1fast.solve_tasks(X, Y, lam, tol=1e-14)
    assert len(best.support) == 6
    W = best.coef + 0.01
    gram, w, g = X.T @ X, W.T.copy(), (X.T @ (X @ W - Y)).T.copy()
    loss, damping = ((X @ W - Y) ** 2).sum() / 2, 1e-8
    for _ in range(12):
        loss, damping = _block_newton.step(gram, np.full(6, lam), np.zeros(6), w, g, loss, damping)
    np.testing.assert_allclose(w.T, best.coef, atol=1e-6)
    np.testing.assert_allclose(g.T, X.T @ (X @ w.T - Y), atol=1e-8)
    np.testing.assert_allclose(loss, ((X @ w.T - Y) ** 2).sum() / 2, rtol=1e-10)


def test_an_answer_is_saved_and_loaded(tmp_path):
    rng = np.random.default_rng(0)
    result = l1fast.solve_tasks(
        rng.standard_normal((30, 8)), rng.standard_normal((30, 3)), 5.0, fit_intercept=True, tol=1e-9
    )
    result.save(tmp_path / "answer.npz")
    loaded = l1fast.TaskResult.load(tmp_path / "answer.npz")
    for name in ("coef", "intercept", "dual", "objective", "dual_gap", "status", "reason"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(result, name))
    with pytest.raises(ValueError, match="TaskResult"):
        l1fast.Result.load(tmp_path / "answer.npz")
