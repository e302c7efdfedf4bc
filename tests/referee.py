"""The judge of every answer: the problem in plain NumPy, without a line of the package.

    F(w, b)  = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper
    D(theta) = y'theta - 1/2 sum_i theta_i^2 / s_i - sum_j h_j(x_j'theta)

where h_j is the conjugate of the penalty. For c >= 0 it is u e - l2 v_j u^2 / 2 with e = (c - lam v_j)_+ and the u that
makes it largest, min(e / (l2 v_j), upper_j); without l2 v_j > 0 and without an upper bound it is the constraint e = 0.
For c < 0 the same with -c and -lower_j. With an intercept, sum(theta) = 0. F >= D always.

Everything is computed in longdouble, so that an error found here is the package's and not the judge's.
"""

import copy

import numpy as np

UNIT = np.finfo(np.float64).eps
LARGEST = np.finfo(np.float64).max
LEAST_NORMAL = np.finfo(np.float64).smallest_normal
SMALLEST = np.finfo(np.float64).smallest_subnormal
ROUNDINGS = 4  # rounding errors allowed to each term of a float64 sum, in the classical bound n_terms * eps
BISECTIONS = 70  # halves an interval down to the precision of longdouble


def dense(X, dtype=np.longdouble):
    """X as a dense array of ``dtype``; duplicate entries add up in it, what lies beyond the last entry is not read."""
    form = getattr(X, "format", None)
    if form in ("csr", "csc", "bsr"):
        height, width = X.blocksize if form == "bsr" else (1, 1)
        shape = (X.shape[0] // height, X.shape[1] // width, height, width)
        held = np.zeros(shape if form != "csc" else (shape[1], shape[0], 1, 1), dtype)
        stored = slice(X.indptr[-1])
        slices = np.repeat(np.arange(len(held)), np.diff(X.indptr))
        np.add.at(held, (slices, X.indices[stored]), X.data[stored].astype(dtype).reshape(-1, height, width))
        held = held.swapaxes(1, 2).reshape(X.shape if form != "csc" else X.shape[::-1])
        return held.T if form == "csc" else held
    if form == "coo":
        held = np.zeros(X.shape, dtype)
        np.add.at(held, (X.row, X.col), X.data.astype(dtype))
        return held
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X).astype(dtype)


def orthogonal(vector, basis):
    """What is left of a vector after its projections on an orthonormal basis: twice, against rounding."""
    for _ in range(2):
        for one in basis:
            vector = vector - (one @ vector) * one
    return vector


class Problem:
    """One member of the problem family; the options are those of ``l1fast.solve``."""

    def __init__(
        self,
        X,
        y,
        lam,
        *,
        l2=0.0,
        fit_intercept=False,
        penalty_weights=None,
        sample_weight=None,
        positive=False,
        bounds=None,
        dtype=np.longdouble,
    ):
        self.X = dense(X, dtype)
        self.y = np.asarray(y).astype(dtype).reshape(-1)
        self.n, self.p = self.X.shape
        self.lam, self.l2 = dtype(lam), dtype(l2)
        self.s = np.ones(self.n, dtype) if sample_weight is None else np.asarray(sample_weight).astype(dtype)
        self.v = np.ones(self.p, dtype) if penalty_weights is None else np.asarray(penalty_weights).astype(dtype)
        self.fit_intercept = fit_intercept
        lower, upper = (0, None) if positive else bounds or (None, None)
        self.lower = np.full(self.p, -np.inf if lower is None else lower, dtype)
        self.upper = np.full(self.p, np.inf if upper is None else upper, dtype)

    def columns(self, kept):
        """The same problem over some of the features."""
        part = copy.copy(self)
        part.X, part.v, part.lower, part.upper = self.X[:, kept], self.v[kept], self.lower[kept], self.upper[kept]
        part.p = part.X.shape[1]
        return part

    def best_intercept(self, coef):
        """The b that minimises F(coef, b): the weighted mean of y - Xw."""
        return self.s @ (self.y - self.X @ coef) / self.s.sum() if self.fit_intercept else self.y.dtype.type(0)

    def residual(self, coef, intercept):
        """y - Xw - b."""
        return self.y - self.X @ coef - intercept

    def objective(self, coef, intercept):
        """F(w, b)."""
        loss = self.s @ self.residual(coef, intercept) ** 2 / 2
        return loss + self.v @ (self.lam * np.abs(coef) + self.l2 / 2 * coef**2)

    def null_residual(self):
        """y - b0, where b0 is the best constant."""
        return self.y - self.best_intercept(np.zeros(self.p, self.X.dtype))

    def null_norm(self):
        """||y - b0|| in the metric s, with float64's rounding of y. A projection errs relative to it, in every row."""
        return np.sqrt(self.s @ (np.abs(self.null_residual()) + UNIT * np.abs(self.y)) ** 2)

    def scale(self):
        """F(0, b0)."""
        return self.s @ self.null_residual() ** 2 / 2

    def gradient(self, coef, intercept):
        """Of the smooth part: -X'(s * residual) + l2 v w."""
        return -self.X.T @ (self.s * self.residual(coef, intercept)) + self.l2 * self.v * coef

    def violation(self, coef, intercept):
        """max_j dist(-gradient_j, subdifferential_j)."""
        descent, strength = -self.gradient(coef, intercept), self.lam * self.v
        most = np.where(coef == self.upper, np.inf, np.where(coef < 0, -strength, strength))
        least = np.where(coef == self.lower, -np.inf, np.where(coef > 0, strength, -strength))
        return np.maximum(np.maximum(descent - most, least - descent), 0).max(initial=0)

    def reach(self, theta):
        """How far w_j may go in the direction of x_j'theta."""
        return np.where(self.X.T @ theta > 0, self.upper, -self.lower)

    def excess(self, theta):
        """(|x_j'theta| - lam v_j)_+."""
        return np.maximum(np.abs(self.X.T @ theta) - self.lam * self.v, 0)

    def constrained(self, theta):
        """The columns whose excess must be 0: neither l2 nor a bound makes their conjugate finite."""
        return np.isinf(self.reach(theta)) & (self.l2 * self.v == 0)

    def infeasibility(self, theta):
        """The excess where there must be none, for every column."""
        return np.where(self.constrained(theta), self.excess(theta), 0)

    def maximisers(self, theta):
        """The size of the u behind every h_j; 0 for constrained columns."""
        curvature, u = self.l2 * self.v, self.reach(theta)
        unclipped = np.divide(self.excess(theta), curvature, out=np.full(self.p, np.inf, u.dtype), where=curvature > 0)
        u = np.where(self.excess(theta) > 0, np.minimum(u, unclipped), 0)
        return np.where(self.constrained(theta), 0, u)

    def dual_objective(self, theta):
        """D(theta), the constraints aside. sum(theta) = 0 lets y be centred first, against cancellation."""
        kept, u = self.s > 0, self.maximisers(theta)
        value = self.null_residual() @ theta - (theta[kept] ** 2 / self.s[kept]).sum() / 2
        return value - (u * self.excess(theta) - self.l2 * self.v * u**2 / 2).sum()

    def fitted_residual(self, coef):
        """s times the residual where intercept and unpenalised columns, if inside their bounds, fit the rest of w."""
        root = np.sqrt(self.s)
        near = UNIT * np.abs(coef).max(initial=0)  # a bound that rounding missed counts as reached
        inside = (coef - self.lower > near) & (self.upper - coef > near)
        free = self.X[:, (self.lam * self.v == 0) & (self.l2 * self.v == 0) & inside]
        columns = [np.ones(self.n, self.X.dtype)] * self.fit_intercept + list(free.T)
        basis, residual = [], root * self.residual(coef, 0)
        for column in columns:
            column = root * column
            left = orthogonal(column, basis)
            if left @ left > (ROUNDINGS * UNIT) ** 2 * (column @ column):
                basis.append(left / np.sqrt(left @ left))
        return root * orthogonal(residual, basis)

    def best_dual_point(self, coef, allowed=0):
        """theta = t rho with the t that makes D largest, rho the fitted residual.

        D is concave in t, and D' = y'rho - t sum_i rho_i^2 / s_i - sum_j |x_j'rho| u_j(t), found 0 by bisection.
        allowed : excess that a constrained column may have, for each.
        """
        rho = self.fitted_residual(coef)
        kept, slopes = self.s > 0, self.X.T @ rho
        first, second = self.null_residual() @ rho, (rho[kept] ** 2 / self.s[kept]).sum()
        if second == 0:
            return rho
        penalised = self.lam * self.v > 0
        limits = (self.lam * self.v + allowed) / np.maximum(np.abs(slopes), SMALLEST)
        limits[~(self.constrained(rho) & penalised)] = np.inf
        low, high = self.X.dtype.type(0), min(limits.min(initial=np.inf), 2 * abs(first) / second)
        if self.finite_conjugates():
            line = copy.copy(self)
            line.X = slopes[None, :]  # so that line.X.T @ [t] = X.T @ (t rho)
            for _ in range(BISECTIONS):
                t = (low + high) / 2
                rising = first - t * second > np.abs(slopes) @ line.maximisers(np.array([t]))
                low, high = (t, high) if rising else (low, t)
            return low * rho
        return min(max(first / second, low), high) * rho

    def gap(self, coef, intercept, allowed=0):
        """F - D at the best dual point; D = 0, that of theta = 0, if unpenalised columns cannot be fitted."""
        theta = self.best_dual_point(coef, allowed)
        free = (self.lam * self.v == 0) & (self.l2 * self.v == 0)
        unfit = self.infeasibility(theta)[free] > self.round_off(coef, intercept, theta)[2][free]
        return self.objective(coef, intercept) - (0 if unfit.any() else self.dual_objective(theta))

    def finite_conjugates(self):
        """Whether any column may have an excess at a price."""
        return bool((self.l2 * self.v > 0).any() or np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    def round_off(self, coef, intercept, theta):
        """What float64 can err by: (in F, in F - D, in x_j'theta for every j, in -gradient for every j)."""
        unit = ROUNDINGS * UNIT * (self.n + self.p + 1)
        absX, w, t = np.abs(self.X), np.abs(coef), np.abs(theta)
        reach = np.abs(self.y) + absX @ w + abs(intercept)
        residual = np.abs(self.residual(coef, intercept)) + unit * reach
        centred = np.abs(self.null_residual())
        in_slopes = unit * (absX.T @ t + np.sqrt(self.s @ absX**2) * self.null_norm())
        in_primal = unit * (self.s @ (residual * reach) + self.v @ (self.lam * w + self.l2 * w**2))
        kept = self.s > 0
        rounded = np.abs(self.X.T @ theta) - self.lam * self.v > -in_slopes  # may have an excess in float64
        bound = np.where(rounded & ~self.constrained(theta) & (self.l2 * self.v == 0), self.reach(theta), 0)
        pull = w + np.maximum(self.maximisers(theta), bound)
        in_dual = unit * (centred @ t + (t[kept] ** 2 / self.s[kept]).sum()) + pull @ in_slopes
        in_gradient = unit * (absX.T @ (self.s * reach) + (self.lam + self.l2 * w) * self.v)
        underflow = unit / UNIT * SMALLEST * (1 + w.max(initial=0) + t.max(initial=0))
        return in_primal + underflow, in_primal + in_dual + underflow, in_slopes + underflow, in_gradient + underflow


def agrees(told, exact, error):
    """Whether a float64 tells an exact number of longdouble up to an error: as inf only what is beyond float64."""
    return exact + error >= LARGEST if told == np.inf else abs(told - exact) <= error


def check(result, X, y, lam, **options):
    """Assert that the certificate of ``result`` is true, and that a claim of convergence is backed by it."""
    problem = Problem(X, y, lam, **options)
    for array, length in ((result.coef, problem.p), (result.dual, problem.n)):
        assert array.shape == (length,)
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    for number in (result.intercept, result.objective, result.dual_gap, result.violation, result.seconds):
        assert type(number) is float, type(number)
        assert not np.isnan(number)
    assert np.isfinite([result.intercept, result.dual_gap, result.seconds]).all()

    coef, theta = result.coef.astype(problem.X.dtype), result.dual.astype(problem.X.dtype)
    intercept, scale = problem.X.dtype.type(result.intercept), problem.scale()
    in_primal, in_gap, in_slopes, in_gradient = problem.round_off(coef, intercept, theta)

    assert (problem.lower <= coef).all() and (coef <= problem.upper).all()
    if problem.fit_intercept:
        unit = ROUNDINGS * UNIT * (problem.n + problem.p + 1)
        reach = np.abs(problem.y) + np.abs(problem.X) @ np.abs(coef)
        assert abs(intercept - problem.best_intercept(coef)) <= unit * (problem.s @ reach) / problem.s.sum()
        size = np.abs(theta).sum() + np.sqrt(problem.s.sum()) * problem.null_norm()
        assert abs(theta.sum()) <= unit * size, "the dual point does not sum to zero"
    else:
        assert result.intercept == 0.0

    objective = problem.objective(coef, intercept)
    assert agrees(result.objective, objective, in_primal), (result.objective, objective)

    assert (theta[problem.s == 0] == 0).all()  # 1/s_i = inf there: a dropped row has no say
    beyond = problem.infeasibility(theta) - in_slopes
    assert beyond.max(initial=0) <= 0, f"the dual point breaks the constraint of column {beyond.argmax()}"
    gap = objective - problem.dual_objective(theta)
    assert abs(gap - result.dual_gap * scale) <= in_gap, (float(gap / scale), result.dual_gap)

    violation = problem.violation(coef, intercept)
    assert agrees(result.violation, violation, in_gradient.max(initial=0)), (result.violation, float(violation))

    assert result.lam == float(lam)
    assert result.converged == (result.status.name == "CONVERGED")
    if result.converged:
        assert result.dual_gap <= result.tol
    assert np.array_equal(result.support, np.flatnonzero(result.coef))


def check_path(result, X, y, *, l2=0.0, l2_ratio=0.0, slack=0.0, **options):
    """Assert that every number of a path is true and every gap that it claims is one.

    A path hands out no dual points: the gap at each strength is made here, from the residual of its coefficients.
    slack : part of tol by which gaps may be overstated and objectives be off, for what a path counts for its rounding.
    """
    count, p = len(result), result.coefs.shape[0]
    assert type(result.coefs).__name__ == "csc_array"
    assert result.coefs.shape == (p, count)
    assert result.coefs.dtype == np.float64
    assert result.coefs.has_canonical_format and (result.coefs.data != 0).all()
    for name in ("lams", "intercepts", "objectives", "dual_gaps", "violations", "deviance_explained", "seconds"):
        array = getattr(result, name)
        assert (array.shape, array.dtype) == ((count,), np.float64), name
        kept = array[~np.isposinf(array)] if name in ("objectives", "violations") else array  # `agrees` judges these
        assert np.isfinite(kept).all(), name
    assert (result.n_iter.shape, result.n_iter.dtype) == ((count,), np.int64)
    assert (result.n_iter >= 0).all()
    assert (np.diff(result.lams) <= 0).all()
    assert (np.diff(result.seconds) >= 0).all()
    assert result.converged == (result.status.name == "CONVERGED")
    if result.converged:
        assert (result.dual_gaps <= result.tol).all()
    supports, dense_coefs = result.supports, result.coefs.toarray()
    assert len(supports) == count
    for k, lam in enumerate(result.lams.tolist()):
        coef64 = result.coef(k)
        np.testing.assert_array_equal(coef64, dense_coefs[:, k])
        np.testing.assert_array_equal(supports[k], np.flatnonzero(coef64))
        assert result.df[k] == np.count_nonzero(coef64)
        problem = Problem(X, y, lam, l2=l2 + l2_ratio * lam, **options)
        assert problem.p == p
        _check_strength(problem, result, k, coef64.astype(problem.X.dtype), slack * result.tol * problem.scale())


def _check_strength(problem, result, k, coef, allowed):
    """The part of `check_path` for one strength. allowed : absolute."""
    where, scale = f"strength {k}: {float(problem.lam)!r}", problem.scale()
    intercept, theta = problem.X.dtype.type(result.intercepts[k]), problem.best_dual_point(coef)
    in_primal, in_gap, in_slopes, in_gradient = problem.round_off(coef, intercept, theta)
    assert (problem.lower <= coef).all() and (coef <= problem.upper).all(), where
    if problem.fit_intercept:
        unit = ROUNDINGS * UNIT * (problem.n + problem.p + 1)
        reach = np.abs(problem.y) + np.abs(problem.X) @ np.abs(coef)
        assert abs(intercept - problem.best_intercept(coef)) <= unit * (problem.s @ reach) / problem.s.sum(), where
    else:
        assert intercept == 0, where
    objective, unit_scale = problem.objective(coef, intercept), scale or 1
    assert agrees(result.objectives[k], objective, in_primal + allowed), (where, result.objectives[k], objective)

    strict, rounded = (problem.gap(coef, intercept, excess) for excess in (0, in_slopes))
    claimed = result.dual_gaps[k] * unit_scale
    assert claimed >= rounded - in_gap, (where, "true gap", float(rounded / unit_scale), "claimed", result.dual_gaps[k])
    free = (problem.lam * problem.v == 0) & (problem.l2 * problem.v == 0)
    if not problem.finite_conjugates() and not (allowed and free.any()):
        assert claimed <= strict + in_gap + allowed, (where, float(strict / unit_scale), result.dual_gaps[k])

    violation = problem.violation(coef, intercept)
    told = result.violations[k]
    assert agrees(told, violation, in_gradient.max(initial=0)), (where, told, float(violation))
    loss, null = problem.s @ problem.residual(coef, intercept) ** 2 / 2, scale
    explained = 1 - loss / null if null > 0 else 0
    assert abs(result.deviance_explained[k] - explained) <= (in_primal + allowed) / unit_scale + 4 * UNIT, where
