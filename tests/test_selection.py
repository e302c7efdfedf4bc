"""The estimators that choose a model, against transcriptions of their formulas in NumPy, CVXPY and linear programs."""

import importlib
import math
import pickle
import threading
import time
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog, nnls

sklearn = pytest.importorskip("sklearn")

import l1fast  # noqa: E402
from l1fast.estimators import _stability  # noqa: E402


def planted(n=80, p=12, k=3, noise=0.5, seed=0):
    """A design, a target with k true features of coefficients 1 to 2, and the true coefficients."""
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((n, p)) + 0.5, np.zeros(p)
    w[:k] = rng.uniform(1.0, 2.0, k) * rng.choice([-1.0, 1.0], k)
    return X, X @ w + 2.0 + noise * rng.standard_normal(n), w


def weighted(n, seed=1):
    return np.random.default_rng(seed).integers(0, 4, n).astype(float)


def lasso(X, y, alpha, weight=None, factor=None, positive=False):
    """The weighted Lasso with an intercept, by CVXPY."""
    cp = pytest.importorskip("cvxpy")
    s = np.ones(len(y)) if weight is None else weight
    v = np.ones(X.shape[1]) if factor is None else factor
    w, b = cp.Variable(X.shape[1]), cp.Variable()
    loss = cp.sum_squares(cp.multiply(np.sqrt(s), X @ w + b - y)) / (2.0 * s.sum())
    constraints = [w >= 0] if positive else []
    cp.Problem(cp.Minimize(loss + alpha * (v @ cp.abs(w))), constraints).solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
    )
    return np.where(np.abs(w.value) < 1e-6, 0.0, w.value), float(b.value)


def least_squares(X, y, weight=None):
    """Weighted least squares with an intercept, of least norm."""
    s = np.ones(len(y)) if weight is None else weight
    mean_x, mean_y = np.average(X, axis=0, weights=s), np.average(y, weights=s)
    root = np.sqrt(s)
    w = np.linalg.pinv(root[:, None] * (X - mean_x)) @ (root * (y - mean_y))
    return w, mean_y - mean_x @ w


# ------------------------------------------------------------------------------------ information criteria


@pytest.mark.parametrize("criterion", ["aic", "bic"])
@pytest.mark.parametrize("noise_variance", [None, 0.3])
@pytest.mark.parametrize("positive", [False, True])
def test_criterion_of_scikit_learn(criterion, noise_variance, positive):
    from sklearn.linear_model import LassoLarsIC

    X, y, _ = planted()
    theirs = LassoLarsIC(criterion, noise_variance=noise_variance, positive=positive).fit(X, y)
    # at its knots a coefficient is just 0: a little below them the supports are sure, and the criterion nearly the same
    alphas = theirs.alphas_[theirs.alphas_ > 0.0]
    ours = l1fast.LassoIC(
        criterion, alphas=alphas * (1.0 + 1e-9), noise_variance=noise_variance, positive=positive, tol=1e-6
    ).fit(X, y)
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-8)
    np.testing.assert_allclose(ours.criterion_, theirs.criterion_[theirs.alphas_ > 0.0], rtol=1e-6)
    at = int(np.argmin(theirs.criterion_))
    if theirs.alphas_[at] > 0.0:
        assert ours.alpha_ == pytest.approx(theirs.alpha_, rel=1e-8)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


@pytest.mark.parametrize("criterion", ["aic", "bic", "ebic"])
@pytest.mark.parametrize("noise_variance", [None, 0.4, "profile"])
@pytest.mark.parametrize("weight", [None, weighted(80)], ids=["plain", "weighted"])
def test_criterion_by_its_formula(criterion, noise_variance, weight):
    X, y, _ = planted()
    p, alphas = X.shape[1], [0.7, 0.2, 0.05]
    factor = np.r_[0.0, np.linspace(0.5, 1.5, p - 1)]
    model = l1fast.LassoIC(
        criterion, gamma=0.7, alphas=alphas, noise_variance=noise_variance, penalty_factor=factor, tol=1e-6
    ).fit(X, y, weight)
    s = np.ones(len(y)) if weight is None else weight
    n = s.sum()
    w, b = least_squares(X, y, s)
    ols = s @ (y - X @ w - b) ** 2 / (n - p - 1)
    for k, alpha in enumerate(alphas):
        w, b = lasso(X, y, alpha, weight, factor)
        rss, df = s @ (y - X @ w - b) ** 2, np.count_nonzero(w)
        sigma2 = {None: ols, "profile": rss / n}.get(noise_variance, noise_variance)
        logs = s * (-0.5 * np.log(2.0 * np.pi * sigma2) - (y - X @ w - b) ** 2 / (2.0 * sigma2))
        models = math.comb(p - 1, np.count_nonzero(w[1:]))
        expected = -2.0 * logs.sum() + df * {"aic": 2.0}.get(criterion, math.log(n))
        expected += 2.0 * 0.7 * math.log(models) if criterion == "ebic" else 0.0
        assert model.df_[k] == df
        assert model.criterion_[k] == pytest.approx(expected, rel=1e-6)
    best = int(np.argmin(model.criterion_))
    assert model.alpha_ == alphas[best]
    w, b = lasso(X, y, alphas[best], weight, factor)
    np.testing.assert_allclose(model.coef_, w, atol=1e-5)
    assert model.intercept_ == pytest.approx(b, abs=1e-5)


def test_degrees_of_freedom_are_those_of_the_definition():
    """df = sum_i cov(fit_i, y_i) / sigma2 (Efron 1986), by simulation; the mean of df_ agrees (Zou and others 2007)."""
    X, _, w = planted(n=40, p=8)
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((600, 40))
    sizes, fits = [], []
    for row in noise:
        model = l1fast.LassoIC(alphas=[0.3], noise_variance=1.0).fit(X, X @ w + row)
        sizes.append(model.df_[0] + 1.0)  # and the intercept
        fits.append(model.predict(X))
    covariance = np.sum((noise - noise.mean(axis=0)) * np.array(fits), axis=1)
    error = 4.0 * (covariance.std() + np.std(sizes)) / np.sqrt(len(noise))
    assert abs(covariance.mean() - np.mean(sizes)) < error
    assert np.mean(sizes) > 3.0


def test_no_variance_without_samples():
    X, y, _ = planted(n=12, p=12)
    with pytest.raises(ValueError, match="give noise_variance"):
        l1fast.LassoIC().fit(X, y)
    assert np.isfinite(l1fast.LassoIC(noise_variance=0.25).fit(X, y).criterion_).all()
    profile = l1fast.LassoIC("bic", noise_variance="profile", eps=1e-6).fit(X, y)
    assert np.isinf(profile.criterion_[profile.df_ + 1 >= 12]).all()
    assert (profile.df_ + 1 >= 12).any()


def test_exact_and_constant_targets():
    X, _, w = planted()
    for variance in (None, "profile"):
        model = l1fast.LassoIC("bic", noise_variance=variance).fit(X, np.ones(len(X)))
        assert not model.coef_.any()
        assert model.intercept_ == pytest.approx(1.0)
        model = l1fast.LassoIC("bic", noise_variance=variance, eps=1e-8).fit(X, X @ w)
        np.testing.assert_array_equal(np.flatnonzero(model.coef_), np.flatnonzero(w))


# ----------------------------------------------------------------------------------------- adaptive weights


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("initial", ["ols", "ridge", "lasso", "array"])
def test_adaptive_weights_by_their_formula(gamma, initial):
    X, y, _ = planted(n=60, p=8)
    p, s = 8, weighted(60)
    factor = np.linspace(0.5, 1.5, p)
    given = np.linspace(-1.0, 1.0, p) if initial == "array" else initial
    model = l1fast.AdaptiveLasso(0.02, gamma=gamma, initial=given, weight_eps=0.01, penalty_factor=factor, tol=1e-6)
    model.fit(X, y, s)
    if initial == "ols":
        w0 = least_squares(X, y, s)[0]
    elif initial == "lasso":
        w0 = lasso(X, y, 0.02, s, factor)[0]
    elif initial == "ridge":
        centred = X - np.average(X, axis=0, weights=s)
        gram = centred.T @ (s[:, None] * centred)
        ridge = 0.1 * np.trace(gram) / min(s.sum(), p)
        w0 = np.linalg.solve(gram + ridge * np.diag(factor), centred.T @ (s * (y - np.average(y, weights=s))))
    else:
        w0 = given
    np.testing.assert_allclose(model.initial_coef_, w0, atol=2e-6)
    weights = factor / (np.abs(w0) + 0.01 * np.abs(w0).max()) ** gamma
    w, b = lasso(X, y, 0.02, s, weights)
    np.testing.assert_allclose(model.coef_, w, atol=2e-5)
    assert model.intercept_ == pytest.approx(b, abs=2e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("initial", ["ridge", "lasso", "array"])
def test_reweighting_never_raises_its_objective(gamma, initial):
    X, y, _ = planted(n=50, p=30, noise=2.0)
    s, factor = weighted(50), np.linspace(0.5, 1.5, 30)
    given = np.random.default_rng(5).standard_normal(30) if initial == "array" else initial
    settings = {"alpha": 0.2, "gamma": gamma, "initial": given, "penalty_factor": factor, "tol": 1e-6}
    model = l1fast.AdaptiveLasso(n_reweights=6, **settings).fit(X, y, s)
    eps = model.eps_

    def objective(w):
        r = y - X @ w
        r = r - np.average(r, weights=s)
        phi = np.log(np.abs(w) + eps) if gamma == 1.0 else (np.abs(w) + eps) ** (1.0 - gamma) / (1.0 - gamma)
        return s @ r**2 / (2.0 * s.sum()) + 0.2 * factor @ phi

    values = [objective(model.initial_coef_)]
    values += [objective(l1fast.AdaptiveLasso(n_reweights=k, **settings).fit(X, y, s).coef_) for k in range(1, 7)]
    np.testing.assert_allclose(model.objectives_, values, rtol=1e-8)
    assert np.all(np.diff(values) <= 1e-9 * np.abs(values[0]))
    assert values[1] < values[0]


@pytest.mark.parametrize("standardize", [False, True])
def test_adaptive_cross_validation_by_hand(standardize):
    """Weights from the training samples of each fold; errors on its test samples."""
    from sklearn.model_selection import KFold

    X, y, _ = planted(n=45, p=6, noise=1.5)
    s, alphas = weighted(45), [0.5, 0.1, 0.01]
    model = l1fast.AdaptiveLassoCV(alphas=alphas, cv=KFold(3), tol=1e-6, standardize=standardize, n_jobs=2).fit(X, y, s)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        for k, alpha in enumerate(alphas):
            one = l1fast.AdaptiveLasso(alpha, tol=1e-6, standardize=standardize).fit(X[train], y[train], s[train])
            error = np.average((y[test] - one.predict(X[test])) ** 2, weights=s[test])
            assert model.mse_path_[k, fold] == pytest.approx(error, rel=1e-5)
    assert model.alpha_ == alphas[int(np.argmin(model.mse_path_.mean(axis=1)))]
    np.testing.assert_allclose(
        model.coef_,
        l1fast.AdaptiveLasso(model.alpha_, tol=1e-6, standardize=standardize).fit(X, y, s).coef_,
        atol=1e-6,
    )


def test_adaptive_refusals():
    X, y, _ = planted(n=10, p=12)
    with pytest.raises(ValueError, match="initial='ridge'"):
        l1fast.AdaptiveLasso(initial="ols").fit(X, y)
    with pytest.raises(ValueError, match="initial has shape"):
        l1fast.AdaptiveLasso(initial=[1.0]).fit(X, y)
    flat = l1fast.AdaptiveLasso().fit(X, np.ones(10))
    assert flat.eps_ == 1.0
    assert not flat.coef_.any()


# ------------------------------------------------------------------------------------------------- relaxing


@pytest.mark.parametrize("phi", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weight", [None, weighted(80)], ids=["plain", "weighted"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_relaxed_blend_by_its_formula(phi, weight, container):
    X, y, _ = planted()
    factor = np.ones(12)
    factor[11] = 0.0
    model = l1fast.RelaxedLasso(0.3, phi=phi, penalty_factor=factor, tol=1e-6).fit(container(X), y, weight)
    shrunk, b = lasso(X, y, 0.3, weight, factor)
    support = np.flatnonzero((shrunk != 0.0) | (factor == 0.0))
    free = np.zeros(12)
    free[support], c = least_squares(X[:, support], y, weight)
    np.testing.assert_allclose(model.coef_, phi * shrunk + (1.0 - phi) * free, atol=2e-6)
    assert model.intercept_ == pytest.approx(phi * b + (1.0 - phi) * c, abs=5e-6)
    assert 0 < len(support) < 12


def test_relaxed_least_norm():
    """Repeated columns, all unpenalised and so all in the support: the answer of least norm shares among them."""
    X, y, _ = planted(p=3)
    twice = np.hstack([X, X[:, :1]])
    model = l1fast.RelaxedLasso(0.1, penalty_factor=np.zeros(4)).fit(twice, y)
    w, _ = least_squares(twice, y)
    np.testing.assert_allclose(model.coef_, w, atol=1e-9)
    assert model.coef_[0] == pytest.approx(model.coef_[3], abs=1e-9)
    wide = np.random.default_rng(0).standard_normal((6, 20))
    model = l1fast.RelaxedLasso(0.1, penalty_factor=np.zeros(20)).fit(wide, y[:6])
    np.testing.assert_allclose(model.coef_, least_squares(wide, y[:6])[0], atol=1e-9)
    np.testing.assert_allclose(model.predict(wide), y[:6])


def test_refit_of_nearly_dependent_columns():
    """As good as an orthogonal factorisation, on both sides of the change between the two ways."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6))
    y = X @ np.ones(6) + 0.1 * rng.standard_normal(50)
    for distance in (1.0, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        near = X.copy()
        near[:, 5] = near[:, 4] + distance * X[:, 5]
        model = l1fast.RelaxedLasso(0.0001, penalty_factor=np.zeros(6)).fit(near, y)
        w, _ = least_squares(near, y)
        np.testing.assert_allclose(model.coef_, w, atol=1e-6 * np.abs(w).max() / distance)


def test_relaxed_positive():
    """Least squares with w >= 0 on the support: by NNLS."""
    rng = np.random.default_rng(2)
    common = rng.standard_normal((60, 1))
    X = common + 0.3 * rng.standard_normal((60, 6))
    y = X @ np.array([1.0, 0.8, 0.6, -0.5, 0.0, 0.0]) + 0.1 * rng.standard_normal(60)
    factor = np.zeros(6)  # all in the support, so that some would be negative
    model = l1fast.RelaxedLasso(0.1, positive=True, penalty_factor=factor).fit(X, y)
    expected, _ = nnls(X - X.mean(axis=0), y - y.mean())
    assert (least_squares(X, y)[0] < 0.0).any()
    np.testing.assert_allclose(model.coef_, expected, atol=1e-6)


@pytest.mark.parametrize("standardize", [False, True])
def test_relaxed_cross_validation_by_hand(standardize):
    from sklearn.model_selection import KFold

    X, y, _ = planted(n=45, p=20, noise=1.5)
    s, alphas, phis = weighted(45), [0.8, 0.3, 0.1], [1.0, 0.4, 0.0]
    model = l1fast.RelaxedLassoCV(
        alphas=alphas, phis=phis[::-1], cv=KFold(3), tol=1e-6, standardize=standardize, n_jobs=2
    ).fit(X, y, s)
    assert model.mse_path_.shape == (3, 3, 3)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        for k, alpha in enumerate(alphas):
            for at, phi in enumerate(phis):
                one = l1fast.RelaxedLasso(alpha, phi=phi, tol=1e-6, standardize=standardize).fit(
                    X[train], y[train], s[train]
                )
                error = np.average((y[test] - one.predict(X[test])) ** 2, weights=s[test])
                assert model.mse_path_[k, at, fold] == pytest.approx(error, rel=1e-6)
    best, at = np.unravel_index(np.argmin(model.mse_path_.mean(axis=2)), (3, 3))
    assert (model.alpha_, model.phi_) == (alphas[best], phis[at])
    again = l1fast.RelaxedLasso(model.alpha_, phi=model.phi_, tol=1e-6, standardize=standardize).fit(X, y, s)
    np.testing.assert_allclose(model.coef_, again.coef_, atol=1e-8)


# ------------------------------------------------------------------------------------------------ stability


def test_scores_by_counting():
    """The halves that are drawn, fitted one by one as samples of their own."""
    X, y, _ = planted(n=41, p=10, noise=2.0)
    s = np.where(np.arange(41) % 5, 1.5, 0.0)
    model = l1fast.StabilitySelection(n_subsamples=4, alphas=[1.0, 0.4, 0.1], random_state=3, tol=1e-6).fit(X, y, s)
    counts, union, rows = np.zeros((10, 3)), np.zeros(3), []
    random = np.random.RandomState(3)
    for _ in range(4):
        order = random.permutation(np.flatnonzero(s))
        random.randint(np.iinfo(np.int32).max, size=2)
        for part in (order[:16], order[16:32]):
            rows.append(part)
            seen = np.zeros(10, dtype=bool)
            for k, alpha in enumerate(model.alphas_):
                active = lasso(X[part], y[part], alpha)[0] != 0.0
                counts[:, k] += active
                seen |= active
                union[k] += seen.sum()
    np.testing.assert_allclose(model.stability_scores_, counts / 8)
    np.testing.assert_allclose(model.n_selected_path_, union / 8)
    assert all(not set(first) & set(second) for first, second in zip(rows[::2], rows[1::2], strict=True))
    q = model.n_selected_path_[-1]
    assert model.expected_false_positives_ == pytest.approx(min(10.0, q**2 / ((2 * 0.6 - 1) * 10)))
    np.testing.assert_array_equal(model.get_support(), (counts / 8).max(axis=1) >= 0.6)
    np.testing.assert_array_equal(model.transform(X), X[:, model.get_support()])


def test_scores_do_not_depend_on_threads_or_storage():
    X, y, _ = planted(n=60, p=40, noise=2.0)
    found = [
        l1fast.StabilitySelection(n_subsamples=6, weakness=0.5, random_state=7, n_jobs=jobs).fit(made(X), y)
        for jobs, made in ((1, np.asarray), (3, np.asarray), (-1, np.asarray), (2, sparse.csr_array))
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.stability_scores_, found[0].stability_scores_)
    plain = l1fast.StabilitySelection(n_subsamples=6, random_state=7).fit(X, y)
    assert (plain.stability_scores_ != found[0].stability_scores_).any()


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["complementary", "half"])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_on_noise(sampling, seed):
    """On pure noise every selected feature is a false positive, and all are alike: the mean is below the bound."""
    rng = np.random.default_rng(seed)
    false, bounds, sharper = [], [], []
    for _ in range(12):
        X, y = rng.standard_normal((40, 60)), rng.standard_normal(40)
        model = l1fast.StabilitySelection(
            sampling=sampling, n_subsamples=25, alphas=8, max_false_positives=2.0, threshold=0.7, random_state=seed
        ).fit(X, y)
        false.append(model.get_support().sum())
        bounds.append(model.expected_false_positives_)
        sharper.append(model.expected_false_positives_unimodal_)
    assert np.mean(bounds) <= 2.0
    assert np.mean(bounds) > 0.5  # it does not hold because A is empty
    assert np.mean(false) <= np.mean(bounds)
    if sampling == "complementary":
        assert np.all(np.array(sharper) < np.array(bounds))
        assert np.mean(false) <= np.mean(sharper)
    else:
        assert np.isnan(sharper).all()


@pytest.mark.parametrize("seed", range(3))
def test_planted_support_is_found(seed):
    X, y, w = planted(n=100, p=150, k=4, noise=0.5, seed=seed)
    model = l1fast.StabilitySelection(n_subsamples=20, max_false_positives=1.0, random_state=0).fit(X, y)
    chosen = model.get_support()
    assert chosen[w != 0.0].all()
    assert np.count_nonzero(chosen[w == 0.0]) <= 1
    assert model.expected_false_positives_ <= 1.0
    used = model.n_alphas_used_
    longer = model.n_selected_path_[used] ** 2 / (0.2 * 150)
    assert longer > 1.0  # A could not be longer


def largest_tail(n_pairs, least, mean):
    """max P(Z >= least) over unimodal Z on 0, 1/B, ..., 1 with E Z <= mean: a linear program for each mode."""
    z = np.arange(n_pairs + 1) / n_pairs
    best = 0.0
    for mode in range(n_pairs + 1):
        steps = np.zeros((n_pairs, n_pairs + 1))
        for k in range(n_pairs):  # rising up to the mode, falling after it
            steps[k, k : k + 2] = [1.0, -1.0] if k < mode else [-1.0, 1.0]
        found = linprog(
            -(z >= least - 1e-9).astype(float),
            A_ub=np.vstack([steps, z]),
            b_ub=np.r_[np.zeros(n_pairs), mean],
            A_eq=np.ones((1, n_pairs + 1)),
            b_eq=[1.0],
        )
        if found.status == 0:
            best = max(best, -found.fun)
    return best


@pytest.mark.parametrize("threshold", [0.6, 0.7, 0.75, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("theta", [0.02, 0.1, 0.2])
def test_unimodal_bound_against_linear_programs(threshold, theta):
    """P(share of both halves >= 2 t - 1) <= C theta^2 for every unimodal share with mean theta^2: C is no smaller."""
    n_pairs, p = 10, 100
    bound = _stability.unimodal_false_positives(theta * p, p, threshold, n_pairs) / p
    worst = largest_tail(n_pairs, 2.0 * threshold - 1.0, theta**2)
    assert worst <= bound * (1.0 + 1e-9)
    if theta == 0.02:
        assert worst >= 0.8 * bound  # and not much larger than it must be
    assert bound < _stability.false_positives(theta * p, p, threshold) / p


def test_unimodal_bound_says_where_it_does_not_hold():
    bound = _stability.unimodal_false_positives
    assert math.isnan(bound(60.0, 100, 0.9, 50))  # theta above 1 / sqrt(3)
    assert math.isnan(bound(5.0, 100, 0.505, 50))  # a threshold too near to 1/2
    assert bound(5.0, 100, 0.6, 50) == pytest.approx(25.0 / 100 / (2 * (2 * 0.6 - 1 - 0.01)))
    assert bound(5.0, 100, 0.9, 50) == pytest.approx(25.0 / 100 * 4 * (1 - 0.9 + 0.01) / (1 + 0.02))
    assert bound(5.0, 100, 0.601, 50) == bound(5.0, 100, 0.61, 50)  # shares are multiples of 1 / 100


def test_unpenalised_features_are_not_counted():
    X, y, _ = planted(n=50, p=10)
    factor = np.r_[np.zeros(2), np.ones(8)]
    model = l1fast.StabilitySelection(n_subsamples=5, alphas=[0.3], penalty_factor=factor, random_state=0).fit(X, y)
    assert (model.stability_scores_[:2] == 1.0).all()
    assert model.n_selected_path_[0] == pytest.approx(model.stability_scores_[2:].sum())


# --------------------------------------------------------------------------------------------- all of them

ALL = {
    "ic": l1fast.LassoIC("bic", noise_variance="profile", alphas=20, eps=0.01),
    "adaptive": l1fast.AdaptiveLasso(0.1),
    "reweighted": l1fast.AdaptiveLasso(0.1, n_reweights=3, initial="lasso"),
    "adaptive_cv": l1fast.AdaptiveLassoCV(alphas=8, cv=3),
    "relaxed": l1fast.RelaxedLasso(0.2, phi=0.3),
    "relaxed_cv": l1fast.RelaxedLassoCV(alphas=8, cv=3, eps=0.05),
    "stability": l1fast.StabilitySelection(n_subsamples=5, alphas=5, random_state=0),
}


def answer(model):
    return getattr(model, "coef_", getattr(model, "stability_scores_", None))


@pytest.mark.parametrize("name", ALL)
def test_storage_dtype_clone_and_pickle(name):
    from sklearn.base import clone

    X, y, _ = planted(n=60, p=15)
    dense = clone(ALL[name]).set_params(tol=1e-6).fit(X, y)
    for made in (sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix):
        other = clone(ALL[name]).set_params(tol=1e-6).fit(made(X), y)
        np.testing.assert_allclose(answer(other), answer(dense), atol=1e-5)
    again = pickle.loads(pickle.dumps(dense))
    np.testing.assert_array_equal(answer(again), answer(dense))
    single = clone(ALL[name]).fit(X.astype(np.float32), y)
    if hasattr(single, "coef_"):
        assert single.coef_.dtype == np.float32
    positive = clone(ALL[name]).set_params(positive=True, standardize=True, fit_intercept=False).fit(X, y)
    assert (answer(positive) >= 0.0).all()


@pytest.mark.parametrize("name", ALL)
def test_weights_of_zero_drop_rows(name):
    from sklearn.base import clone

    X, y, _ = planted(n=60, p=15)
    keep = np.arange(60) % 4 != 0
    settings = {"tol": 1e-6}
    if "cv" in ALL[name].get_params():
        folds = [(np.arange(20, 60), np.arange(20)), (np.arange(40), np.arange(40, 60))]
        settings["cv"] = folds
    zeroed = clone(ALL[name]).set_params(**settings).fit(X, y, keep.astype(float))
    if "cv" in settings:
        place = np.cumsum(keep) - 1
        settings["cv"] = [tuple(place[side[keep[side]]] for side in fold) for fold in folds]
    dropped = clone(ALL[name]).set_params(**settings).fit(X[keep], y[keep])
    np.testing.assert_allclose(answer(zeroed), answer(dropped), atol=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_standardize_is_fitting_scaled_columns(name):
    from sklearn.base import clone

    X, y, _ = planted(n=60, p=15)
    scale = np.exp(np.linspace(-1.0, 1.0, 15))
    if "cv" in ALL[name].get_params():
        pytest.skip("every fold has its own scales: see the tests of cross-validation by hand")
    ours = clone(ALL[name]).set_params(tol=1e-6, standardize=True).fit(X * scale, y)
    made = clone(ALL[name]).set_params(tol=1e-6).fit(X / X.std(axis=0), y)
    factor = scale * X.std(axis=0) if hasattr(ours, "coef_") else 1.0
    np.testing.assert_allclose(answer(ours) * factor, answer(made), atol=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_feature_names(name):
    pd = pytest.importorskip("pandas")
    from sklearn.base import clone

    X, y, _ = planted(n=60, p=5)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = clone(ALL[name]).fit(frame, y)
    assert list(model.feature_names_in_) == list("abcde")
    if name == "stability":
        assert list(model.get_feature_names_out()) == list(np.array(list("abcde"))[model.get_support()])


@pytest.mark.parametrize("name", ALL)
def test_time_limit(name):
    from sklearn.base import clone

    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 600))
    y = X @ (rng.standard_normal(600) * 0.1) + rng.standard_normal(300)
    model = clone(ALL[name]).set_params(time_limit=0.0, tol=1e-6)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        began = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - began
    assert seconds < 10.0
    assert seen
    assert all(issubclass(one.category, l1fast.ConvergenceWarning) for one in seen)
    assert np.isfinite(answer(model)).all()
    if name == "stability":
        assert model.n_subsamples_ == 0
        assert not model.get_support().any()


@pytest.mark.parametrize("name", ALL)
def test_parameters_are_checked(name):
    from sklearn.base import clone

    X, y, _ = planted(n=30, p=5)
    wrong = {"tol": -1.0, "fit_intercept": "yes", "max_iter": 0, "time_limit": "soon"}
    for key in ("alpha", "phi", "eps", "gamma", "threshold", "weakness", "weight_eps"):
        if key in ALL[name].get_params():
            wrong[key] = -0.5
    for key, value in wrong.items():
        with pytest.raises(ValueError, match=key):
            clone(ALL[name]).set_params(**{key: value}).fit(X, y)


def test_fits_in_many_threads():
    X, y, _ = planted(n=60, p=30)
    first = l1fast.RelaxedLassoCV(alphas=8, cv=3, eps=0.05).fit(X, y).coef_
    found = [None] * 4

    def work(k):
        found[k] = l1fast.RelaxedLassoCV(alphas=8, cv=3, eps=0.05, n_jobs=2).fit(X, y).coef_

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        np.testing.assert_allclose(one, first, atol=1e-6)


CHECKED = [
    # 27 samples (in total weight) of 30 features is what one check fits: a variance cannot be estimated from that
    l1fast.LassoIC(noise_variance=1.0, alphas=10, tol=1e-6),
    l1fast.LassoIC("ebic", noise_variance="profile", alphas=10, tol=1e-6),
    l1fast.AdaptiveLasso(tol=1e-6),
    l1fast.AdaptiveLasso(initial="lasso", n_reweights=3, tol=1e-6),
    l1fast.AdaptiveLassoCV(alphas=5, cv=3, tol=1e-6),
    l1fast.RelaxedLasso(tol=1e-6),
    l1fast.RelaxedLassoCV(alphas=5, eps=0.1, cv=3, tol=1e-6),
    # rows are drawn, and a row of weight 2 is not two rows: only a strict selection agrees on them
    l1fast.StabilitySelection(n_subsamples=10, alphas=5, threshold=0.9, max_false_positives=0.1),
]


def checks():
    from sklearn.utils.estimator_checks import parametrize_with_checks

    return parametrize_with_checks(CHECKED)


@pytest.mark.filterwarnings("ignore:No features were selected")  # a strict selection on noise, said by SelectorMixin
@checks()
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["_adaptive", "_information", "_relaxed", "_stability"])
def test_docstrings(name):
    import doctest

    failed, tried = doctest.testmod(importlib.import_module(f"l1fast.estimators.{name}"))
    assert tried > 0
    assert failed == 0
