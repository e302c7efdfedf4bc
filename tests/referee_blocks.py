"""The judge of answers for several tasks: the block problem in plain NumPy, without a line of the package.

    F(W, b)  = 1/2 sum_i s_i ||x_i'W + b - y_i||^2 + sum_j v_j (lam ||W_j|| + l2/2 ||W_j||^2)
    D(theta) = <Y, theta> - 1/2 sum_i ||theta_i||^2 / s_i - sum_j h_j(||theta'x_j||)

h_j(c) = (c - lam v_j)_+^2 / (2 l2 v_j); without l2 v_j it is the constraint c <= lam v_j. With an intercept each column
of theta sums to 0. Everything is computed in longdouble.
"""

import numpy as np
import referee

UNIT = np.finfo(np.float64).eps


class Problem:
    """One member of the family; the options are those of ``l1fast.solve_tasks``."""

    def __init__(self, X, Y, lam, *, l2=0.0, fit_intercept=False, penalty_weights=None, sample_weight=None):
        real = np.longdouble
        self.X, self.Y = referee.dense(X, real), np.asarray(Y).astype(real)
        self.n, self.p = self.X.shape
        self.n_tasks = self.Y.shape[1]
        self.lam, self.l2, self.fit_intercept = real(lam), real(l2), fit_intercept
        self.s = np.ones(self.n, real) if sample_weight is None else np.asarray(sample_weight).astype(real)
        self.v = np.ones(self.p, real) if penalty_weights is None else np.asarray(penalty_weights).astype(real)

    def best_intercept(self, W):
        residual = self.Y - self.X @ W
        return self.s @ residual / self.s.sum() if self.fit_intercept else np.zeros(self.n_tasks, self.Y.dtype)

    def residual(self, W, b):
        return self.Y - self.X @ W - b

    def norms(self, W):
        return np.sqrt((W**2).sum(axis=1))

    def objective(self, W, b):
        size = self.norms(W)
        loss = (self.s @ self.residual(W, b) ** 2).sum() / 2
        return loss + self.v @ (self.lam * size + self.l2 / 2 * size**2)

    def scale(self):
        zero = np.zeros((self.p, self.n_tasks), self.X.dtype)
        return self.objective(zero, self.best_intercept(zero))

    def gradient(self, W, b):
        """Of the datafit."""
        return -self.X.T @ (self.s[:, None] * self.residual(W, b))

    def violation(self, W, b):
        """max_j dist(-gradient_j, subdifferential_j)."""
        descent = -self.gradient(W, b) - (self.l2 * self.v)[:, None] * W
        size, strength = self.norms(W), self.lam * self.v
        unit = np.divide(W, size[:, None], out=np.zeros_like(W), where=size[:, None] > 0)
        away = self.norms(descent - strength[:, None] * unit)
        return np.where(size > 0, away, np.maximum(self.norms(descent) - strength, 0)).max(initial=0)

    def excess(self, theta):
        return np.maximum(self.norms(self.X.T @ theta) - self.lam * self.v, 0)

    def dual_objective(self, theta):
        """D(theta), the constraints aside."""
        zero = np.zeros((self.p, self.n_tasks), self.X.dtype)
        kept, curvature = self.s > 0, self.l2 * self.v
        value = (self.residual(zero, self.best_intercept(zero)) * theta).sum()
        value -= (theta[kept] ** 2 / self.s[kept, None]).sum() / 2
        excess = self.excess(theta)
        return value - (excess[curvature > 0] ** 2 / (2 * curvature[curvature > 0])).sum()

    def block_descent(self, n_epochs):
        """Exact minimisation over one row at a time, in order: a naive solver. Returns (W, b)."""
        X = self.X - self.s @ self.X / self.s.sum() if self.fit_intercept else self.X
        W = np.zeros((self.p, self.n_tasks), X.dtype)
        residual, norms2 = self.residual(W, self.best_intercept(W)), self.s @ X**2
        for _ in range(n_epochs):
            for j in np.flatnonzero(norms2 > 0):
                z = norms2[j] * W[j] + X[:, j] @ (self.s[:, None] * residual)
                length = np.sqrt(z @ z)
                shrink = max(1 - self.lam * self.v[j] / length, 0) if length > 0 else 0
                new = shrink * z / (norms2[j] + self.l2 * self.v[j])
                residual -= np.outer(X[:, j], new - W[j])
                W[j] = new
        return W, self.best_intercept(W)


def check(result, X, Y, lam, **options):
    """Assert that the certificate of a TaskResult is true, and that a claim of convergence is backed by it."""
    problem = Problem(X, Y, lam, **options)
    p, n, n_tasks = problem.p, problem.n, problem.n_tasks
    for array, shape in ((result.coef, (p, n_tasks)), (result.intercept, (n_tasks,)), (result.dual, (n, n_tasks))):
        assert array.shape == shape
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    for number in (result.objective, result.dual_gap, result.violation, result.seconds):
        assert type(number) is float
        assert not np.isnan(number)
    assert np.isfinite([result.dual_gap, result.seconds]).all()
    W, b, theta = (part.astype(problem.X.dtype) for part in (result.coef, result.intercept, result.dual))
    unit = 4 * UNIT * (n + p + n_tasks + 1)
    reach = np.abs(problem.Y) + np.abs(problem.X) @ np.abs(W) + np.abs(b)
    residual = np.abs(problem.residual(W, b)) + unit * reach
    in_primal = unit * ((problem.s @ (residual * reach)).sum() + problem.objective(W, b))
    assert np.abs(b - problem.best_intercept(W)).max() <= unit * reach.max() * n
    objective = problem.objective(W, b)
    assert referee.agrees(result.objective, objective, in_primal + referee.SMALLEST)

    assert (theta[problem.s == 0] == 0).all()
    size = np.sqrt((problem.Y**2 * problem.s[:, None]).sum())
    columns = np.sqrt(problem.s @ problem.X**2)
    in_slopes = unit * (columns * size + problem.norms(np.abs(problem.X.T) @ np.abs(theta)))
    if problem.fit_intercept:
        assert np.abs(theta.sum(axis=0)).max() <= unit * (np.abs(theta).sum() + np.sqrt(problem.s.sum()) * size)
    constrained = problem.l2 * problem.v == 0
    beyond = np.where(constrained, problem.excess(theta) - in_slopes, 0)
    assert beyond.max(initial=0) <= 0, f"the dual point breaks the constraint of column {beyond.argmax()}"
    gap, scale = objective - problem.dual_objective(theta), problem.scale()
    slack = problem.norms(W) @ in_slopes + unit * (np.abs(problem.Y) * np.abs(theta)).sum()
    slack += (problem.excess(theta) / np.where(constrained, 1, problem.l2 * problem.v) * in_slopes)[~constrained].sum()
    assert abs(gap - result.dual_gap * (scale or 1)) <= 2 * in_primal + slack, (
        float(gap / (scale or 1)),
        result.dual_gap,
    )
    in_gradient = np.sqrt(n_tasks) * unit * (np.abs(problem.X.T) @ (problem.s[:, None] * reach)).max(initial=0)
    in_gradient += unit * (problem.lam * problem.v).max(initial=0)
    in_gradient += unit * problem.l2 * (problem.v @ np.abs(W)).sum()
    violation = problem.violation(W, b)
    assert result.violation >= violation - in_gradient, (result.violation, float(violation))
    if problem.lam > 0:  # without lam the tasks are solved apart, and their largest violations combined
        assert referee.agrees(result.violation, violation, in_gradient), (result.violation, float(violation))
    assert result.lam == float(lam)
    assert result.converged == (result.status.name == "CONVERGED")
    if result.converged:
        assert result.dual_gap <= result.tol
    assert np.array_equal(result.support, np.flatnonzero(result.coef.any(axis=1)))
