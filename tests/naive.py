"""The algorithms as the papers write them, in NumPy loops: slow, short, and easy to believe.

Each takes a `referee.Problem` and returns (coef, intercept). The intercept is eliminated: it is the best one at every
iterate, which leaves a least-squares problem in w alone.
"""

import numpy as np


def soft_threshold(x, threshold):
    """prox of threshold |.|: sign(x) (|x| - threshold)_+."""
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def _prox(problem, x, step):
    """argmin_w 1/2 (w - x)^2 + step v (lam |w| + l2/2 w^2), within the bounds."""
    shrunk = soft_threshold(x, step * problem.lam * problem.v) / (1 + step * problem.l2 * problem.v)
    return np.clip(shrunk, problem.lower, problem.upper)


def _loss_gradient(problem, coef):
    residual = problem.residual(coef, problem.best_intercept(coef))
    return -problem.X.T @ (problem.s * residual)


def _lipschitz_step(problem):
    """1 / ||X' S X||_2, or any step when X is zero."""
    largest = np.linalg.norm((np.sqrt(problem.s)[:, None] * problem.X).astype(np.float64), 2) if problem.p else 0.0
    return 1 / largest**2 if largest > 0 else 1.0


def ista(problem, n_iter):
    """Proximal gradient with a fixed step."""
    coef, step = np.zeros(problem.p, problem.X.dtype), _lipschitz_step(problem)
    for _ in range(n_iter):
        coef = _prox(problem, coef - step * _loss_gradient(problem, coef), step)
    return coef, problem.best_intercept(coef)


def fista(problem, n_iter):
    """Beck and Teboulle (2009), without restart."""
    coef, step = np.zeros(problem.p, problem.X.dtype), _lipschitz_step(problem)
    ahead, t = coef, 1.0
    for _ in range(n_iter):
        previous, coef = coef, _prox(problem, ahead - step * _loss_gradient(problem, ahead), step)
        t_previous, t = t, (1 + np.sqrt(1 + 4 * t**2)) / 2
        ahead = coef + (t_previous - 1) / t * (coef - previous)
    return coef, problem.best_intercept(coef)


def cyclic_cd(problem, n_epochs):
    """Exact minimisation over one coefficient at a time, in order."""
    X, s = problem.X, problem.s
    if problem.fit_intercept:
        X = X - s @ X / s.sum()
    coef = np.zeros(problem.p, X.dtype)
    residual = problem.residual(coef, problem.best_intercept(coef))
    norms2 = s @ X**2
    for _ in range(n_epochs):
        for j in np.flatnonzero(norms2 > 0):
            old = coef[j]
            target = old + X[:, j] @ (s * residual) / norms2[j]
            new = soft_threshold(target, problem.lam * problem.v[j] / norms2[j])
            new /= 1 + problem.l2 * problem.v[j] / norms2[j]
            coef[j] = min(max(new, problem.lower[j]), problem.upper[j])
            residual -= (coef[j] - old) * X[:, j]
    return coef, problem.best_intercept(coef)


def lam_max(problem, n_epochs=2000):
    """The smallest lam that leaves every penalised coefficient at zero."""
    free = problem.v == 0
    coef = np.zeros(problem.p, problem.X.dtype)
    coef[free], intercept = cyclic_cd(problem.columns(free), n_epochs)
    slopes = -problem.gradient(coef, intercept) / np.where(free, 1, problem.v)
    room = np.where(slopes > 0, problem.upper > 0, problem.lower < 0)
    return np.abs(slopes)[~free & room].max(initial=0)
