"""The estimators for users of scikit-learn: its rules, and the mathematics of its units and of what goes beyond."""

import inspect
import itertools
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("sklearn")
from sklearn import linear_model, set_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import l1fast
from l1fast.estimators import _base

SINGLE = (l1fast.Lasso, l1fast.ElasticNet)
SINGLE_CV = (l1fast.LassoCV, l1fast.ElasticNetCV)
TASKS = (l1fast.MultiTaskLasso, l1fast.MultiTaskElasticNet)
TASKS_CV = (l1fast.MultiTaskLassoCV, l1fast.MultiTaskElasticNetCV)
ALL = (*SINGLE, *SINGLE_CV, *TASKS, *TASKS_CV)
TIGHT = 1e-9


@parametrize_with_checks(
    [*(kind() for kind in (*SINGLE, *TASKS)), *(kind(alphas=10, cv=3) for kind in (*SINGLE_CV, *TASKS_CV))]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def make(n=60, p=8, seed=0, targets=None, offset=3.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.geomspace(0.1, 10.0, p) + offset
    w = np.zeros((p, targets or 1))
    w[: p // 2] = rng.standard_normal((p // 2, targets or 1)) / np.geomspace(0.1, 10.0, p)[: p // 2, None]
    y = X @ w + 0.5 * rng.standard_normal((n, targets or 1)) + 2.0
    return X, y if targets else y[:, 0], rng.uniform(0.2, 3.0, n)


def objective(X, y, w, b, alpha, l1_ratio=1.0, s=None, v=1.0):
    """The objective of the docstrings, written down once more."""
    s = np.ones(len(y)) if s is None else s
    penalty = v * (l1_ratio * np.abs(w) + 0.5 * (1.0 - l1_ratio) * w**2)
    return s @ (y - X @ w - b) ** 2 / (2.0 * s.sum()) + alpha * penalty.sum()


def violation(X, y, w, b, alpha, l1_ratio=1.0, s=None, v=1.0):
    """max_j dist(-gradient_j, subdifferential_j) in the units of the estimators, and the slope of the intercept."""
    s = np.ones(len(y)) if s is None else s
    residual = s * (y - X @ w - b) / s.sum()
    strength = alpha * v * np.ones(len(w))
    c = X.T @ residual - strength * (1.0 - l1_ratio) * w
    off = np.where(w != 0.0, np.abs(c - strength * l1_ratio * np.sign(w)), np.abs(c) - strength * l1_ratio)
    return max(off.max(initial=0.0), 0.0), abs(residual.sum())


# ------------------------------------------------------------------------------------------- scikit-learn's face


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_parameters_are_scikit_learns_and_then_ours_by_keyword(kind):
    theirs = list(inspect.signature(getattr(linear_model, kind.__name__)).parameters.values())
    own = list(inspect.signature(kind).parameters.values())
    gone = {"n_alphas", "alphas"} if any(one.name == "n_alphas" for one in theirs) else set()
    theirs = [one for one in theirs if one.name not in gone]
    first = [one for one in own if one.name not in gone][: len(theirs)]
    assert [(one.name, one.default, one.kind) for one in first] == [(one.name, one.default, one.kind) for one in theirs]
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in own[len(theirs) :])


@pytest.mark.parametrize("name", ["lasso_path", "enet_path"])
def test_parameters_of_the_paths(name):
    theirs = inspect.signature(getattr(linear_model, name)).parameters
    assert set(theirs) == set(inspect.signature(getattr(l1fast, name)).parameters)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_fitted_attributes_are_scikit_learns(kind):
    X, y, _ = make(30, 4, targets=2 if kind in (*TASKS, *TASKS_CV) else None)
    theirs = getattr(linear_model, kind.__name__)()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X, y)
    own = kind().fit(X, y)
    public = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert public <= {*vars(own)}
    for name in public:
        assert np.shape(getattr(own, name)) == np.shape(getattr(theirs, name)), name
    again = pickle.loads(pickle.dumps(own))
    np.testing.assert_array_equal(again.predict(X), own.predict(X))
    assert clone(own).get_params() == own.get_params()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_docstrings_name_every_parameter(kind):
    for parameter in inspect.signature(kind).parameters:
        assert parameter in kind.__doc__
    assert "\n{" not in kind.__doc__
    assert "Examples" in kind.__doc__


@pytest.mark.parametrize("kind", SINGLE, ids=lambda kind: kind.__name__)
def test_same_answer_as_scikit_learn(kind):
    X, y, s = make()
    for alpha, weight, positive in itertools.product((0.01, 0.3), (None, s), (False, True)):
        options = {"alpha": alpha, "positive": positive}
        own = kind(**options, tol=1e-7).fit(X, y, sample_weight=weight)
        theirs = getattr(linear_model, kind.__name__)(**options, tol=1e-12, max_iter=100_000)
        theirs.fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(own.coef_, theirs.coef_, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(own.intercept_, theirs.intercept_, rtol=1e-5)


# ------------------------------------------------------------------------------------------------ the mathematics


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_optimum_in_the_units_of_alpha(weighted, l1_ratio, fit_intercept):
    X, y, s = make()
    weight = s if weighted else None
    model = l1fast.ElasticNet(0.2, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=TIGHT)
    model.fit(X, y, sample_weight=weight)
    off, slope = violation(X, y, model.coef_, model.intercept_, 0.2, l1_ratio, weight)
    assert off < 1e-7
    assert slope < 1e-9 if fit_intercept else model.intercept_ == 0.0


def test_dual_gap_bounds_the_distance_to_the_optimum():
    X, y, s = make(100, 40)
    best = l1fast.ElasticNet(0.05, tol=1e-10).fit(X, y, sample_weight=s)
    least = objective(X, y, best.coef_, best.intercept_, 0.05, 0.5, s)
    for tol in (0.3, 1e-1, 1e-2):
        model = l1fast.ElasticNet(0.05, tol=tol, max_iter=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y, sample_weight=s)
        excess = objective(X, y, model.coef_, model.intercept_, 0.05, 0.5, s) - least
        assert excess <= model.dual_gap_ * (1.0 + 1e-9) + 1e-12


@pytest.mark.parametrize("kind", [*SINGLE, *TASKS], ids=lambda kind: kind.__name__)
def test_weights_equal_repeats(kind):
    X, y, _ = make(targets=2 if kind in TASKS else None)
    times = np.random.default_rng(1).integers(0, 4, len(X))
    weighted = kind(0.1, tol=TIGHT).fit(X, y, sample_weight=times.astype(float))
    repeated = kind(0.1, tol=TIGHT).fit(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-6)


@pytest.mark.parametrize("kind", SINGLE, ids=lambda kind: kind.__name__)
def test_penalty_factor(kind):
    X, y, s = make()
    v = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0, 1.0])
    l1_ratio = 1.0 if kind is l1fast.Lasso else 0.5
    model = kind(0.3, penalty_factor=v, tol=TIGHT).fit(X, y, sample_weight=s)
    assert violation(X, y, model.coef_, model.intercept_, 0.3, l1_ratio, s, v)[0] < 1e-7
    huge = kind(1e3, penalty_factor=v, tol=TIGHT).fit(X, y)  # the unpenalised columns are fitted by least squares
    free = v == 0.0
    wanted = linear_model.LinearRegression().fit(X[:, free], y)
    np.testing.assert_allclose(huge.coef_[free], wanted.coef_, rtol=1e-2 if l1_ratio < 1.0 else 1e-6)
    if l1_ratio == 1.0:
        assert not huge.coef_[~free].any()


@pytest.mark.parametrize("kind", SINGLE, ids=lambda kind: kind.__name__)
def test_bounds(kind):
    X, y, _ = make()
    free = kind(0.01, tol=TIGHT).fit(X, y)
    lower, upper = -0.5 * np.abs(free.coef_), np.inf
    model = kind(0.01, lower_bounds=lower, upper_bounds=upper, tol=TIGHT).fit(X, y)
    l1_ratio = 1.0 if kind is l1fast.Lasso else 0.5
    w, b = model.coef_, model.intercept_
    assert np.all(w >= lower)
    assert np.any(w == lower)
    c = X.T @ (y - X @ w - b) / len(y) - 0.01 * (1.0 - l1_ratio) * w
    inside = w > lower
    off = np.where(w != 0.0, np.abs(c - 0.01 * l1_ratio * np.sign(w)), np.maximum(np.abs(c) - 0.01 * l1_ratio, 0.0))
    assert off[inside].max() < 1e-7
    assert np.all(c[~inside] <= -0.01 * l1_ratio + 1e-7)  # held by the bound: it would go further down
    one = kind(0.01, positive=True, tol=TIGHT).fit(X, y)
    other = kind(0.01, lower_bounds=0.0, tol=TIGHT).fit(X, y)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="positive=True means lower_bounds=0"):
        kind(positive=True, lower_bounds=-1.0).fit(X, y)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix, sparse.csc_array], ids=["dense", "csr", "csc"])
@pytest.mark.parametrize("kind", [*SINGLE, *TASKS], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standardize_equals_scaled_columns(kind, storage, fit_intercept):
    X, y, s = make(targets=2 if kind in TASKS else None)
    X[np.abs(X - 3.0) < 0.1] = 0.0
    mean = np.average(X, axis=0, weights=s) if fit_intercept else 0.0
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=s))
    v = np.linspace(0.5, 2.0, X.shape[1])
    options = {"alpha": 0.1, "tol": TIGHT, "penalty_factor": v, "fit_intercept": fit_intercept}
    if kind in SINGLE:
        options["upper_bounds"] = 0.5
    model = kind(**options, standardize=True).fit(storage(X), y, sample_weight=s)
    if kind in SINGLE:
        options["upper_bounds"] = 0.5 * scale
    wanted = kind(**options).fit(X / scale, y, sample_weight=s)
    np.testing.assert_allclose(model.coef_ * scale, wanted.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.intercept_, wanted.intercept_, rtol=1e-6, atol=1e-9)


def test_standardize_leaves_constant_columns_alone():
    X, y, _ = make()
    X[:, 3] = 7.0
    model = l1fast.Lasso(0.1, standardize=True).fit(X, y)
    assert model.coef_[3] == 0.0
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("storage", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array], ids=["csr", "csc", "coo"])
def test_sparse_with_intercept(kind, storage):
    X, y, s = make(targets=2 if kind in (*TASKS, *TASKS_CV) else None)
    X[np.random.default_rng(5).uniform(size=X.shape) < 0.6] = 0.0
    dense, thin = kind(tol=1e-7).fit(X, y, sample_weight=s), kind(tol=1e-7).fit(storage(X), y, sample_weight=s)
    np.testing.assert_allclose(thin.coef_, dense.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(thin.intercept_, dense.intercept_, rtol=1e-5)
    np.testing.assert_allclose(thin.predict(storage(X)), dense.predict(X), rtol=1e-5)


def test_warm_start_of_another_shape_is_an_error():
    X, y, _ = make()
    model = l1fast.Lasso(0.1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start=True, but coef_ of the last fit"):
        model.fit(X[:, :5], y)
    assert model.fit(X, y).n_iter_ <= 1


@pytest.mark.parametrize("kind", SINGLE, ids=lambda kind: kind.__name__)
def test_several_targets_are_fitted_one_by_one(kind):
    X, y, _ = make(targets=3)
    model = kind(0.1).fit(X, y)
    assert model.coef_.shape == (3, X.shape[1])
    assert model.sparse_coef_.shape == (3, X.shape[1])
    for k in range(3):
        np.testing.assert_array_equal(model.coef_[k], kind(0.1).fit(X, y[:, k]).coef_)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_tasks_at_the_optimum(l1_ratio):
    X, y, s = make(targets=3)
    alpha = 0.3
    model = l1fast.MultiTaskElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-7).fit(X, y, sample_weight=s)
    W = model.coef_.T
    residual = s[:, None] * (y - X @ W - model.intercept_) / s.sum()
    c = X.T @ residual - alpha * (1.0 - l1_ratio) * W
    norms = np.linalg.norm(W, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        off = np.linalg.norm(np.where(norms > 0.0, c - alpha * l1_ratio * W / norms, 0.0), axis=1)
    assert off.max() < 1e-5
    assert np.all(np.linalg.norm(c[norms[:, 0] == 0.0], axis=1) <= alpha * l1_ratio + 1e-9)
    assert (norms > 0.0).any()


def test_paths_are_fits_without_an_intercept():
    X, y, _ = make()
    for l1_ratio in (1.0, 0.5, 0.0):
        alphas, coefs, gaps, steps = l1fast.enet_path(
            X, y, l1_ratio=l1_ratio, alphas=[0.1, 1.0, 0.01], tol=TIGHT, return_n_iter=True
        )
        np.testing.assert_array_equal(alphas, [1.0, 0.1, 0.01])
        assert len(steps) == 3
        assert gaps.max() < 1e-9
        for k, alpha in enumerate(alphas):
            assert violation(X, y, coefs[:, k], 0.0, alpha, l1_ratio)[0] < 1e-6
    alphas, coefs, _ = l1fast.lasso_path(X, y, alphas=7, eps=0.01)
    assert not coefs[:, 0].any()
    np.testing.assert_allclose(alphas, np.geomspace(np.abs(X.T @ y).max() / len(y), 0.01 * alphas[0], 7))


# ------------------------------------------------------------------------------------------------ cross-validation


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"penalty_factor": np.linspace(0.0, 2.0, 8)},
        {"upper_bounds": 0.3},
        {"standardize": True},
        {"positive": True},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_errors_are_those_of_single_fits(options, weighted, l1_ratio):
    X, y, s = make()
    weight = s if weighted else None
    alphas = [0.5, 0.05, 0.005]
    folds = list(KFold(3).split(X))
    model = l1fast.ElasticNetCV(l1_ratio=l1_ratio, alphas=alphas, cv=folds, tol=1e-7, **options)
    model.fit(X, y, sample_weight=weight)
    wanted = np.empty((3, 3))
    for (row, alpha), (column, (train, test)) in itertools.product(enumerate(alphas), enumerate(folds)):
        one = l1fast.ElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-7, **options)
        one.fit(X[train], y[train], sample_weight=None if weight is None else weight[train])
        error = (one.predict(X[test]) - y[test]) ** 2
        wanted[row, column] = np.average(error, weights=None if weight is None else weight[test])
    np.testing.assert_allclose(model.mse_path_, wanted, rtol=1e-5)
    assert model.alpha_ == alphas[wanted.mean(axis=1).argmin()]
    np.testing.assert_allclose(model.mse_se_, wanted.std(axis=1, ddof=1) / np.sqrt(3), rtol=1e-4)


@pytest.mark.parametrize("sample_weight", [False, True])
def test_same_choice_as_a_grid_search(sample_weight):
    X, y, s = make(80, 12)
    grid = {"alpha": np.geomspace(1e-3, 1.0, 6), "l1_ratio": [0.2, 0.9]}
    fit = {"sample_weight": s} if sample_weight else {}
    search = GridSearchCV(l1fast.ElasticNet(), grid, cv=4, scoring="neg_mean_squared_error").fit(X, y, **fit)
    own = l1fast.ElasticNetCV(alphas=grid["alpha"], l1_ratio=grid["l1_ratio"], cv=4).fit(X, y, **fit)
    assert (own.alpha_, own.l1_ratio_) == (search.best_params_["alpha"], search.best_params_["l1_ratio"])
    np.testing.assert_allclose(own.coef_, search.best_estimator_.coef_, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", [*SINGLE_CV, *TASKS_CV], ids=lambda kind: kind.__name__)
def test_the_number_of_jobs_changes_nothing(kind):
    X, y, s = make(targets=2 if kind in TASKS_CV else None)
    one, two = (kind(alphas=10, cv=3, n_jobs=jobs).fit(X, y, sample_weight=s) for jobs in (1, 2))
    np.testing.assert_array_equal(one.mse_path_, two.mse_path_)
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_selection_rules():
    X, y, _ = make(40, 8)
    model = l1fast.LassoCV(alphas=30, cv=5, selection_rule="1se").fit(X, y)
    mean, best = model.mse_path_.mean(axis=1), 0
    for k in range(30):
        best = k if mean[k] < mean[best] else best
    spread = np.sqrt(((model.mse_path_[best] - mean[best]) ** 2).sum() / 4 / 5)
    wanted = max(model.alphas_[k] for k in range(30) if mean[k] <= mean[best] + spread)
    assert model.alpha_ == model.alpha_1se_ == wanted
    assert model.alpha_min_ == model.alphas_[best]
    assert l1fast.LassoCV(alphas=30, cv=5).fit(X, y).alpha_ == model.alpha_min_
    seen = {}

    def median(alphas, mse_path):
        seen["shapes"] = alphas.shape, mse_path.shape
        return int(np.median(mse_path, axis=1).argmin())

    chosen = l1fast.LassoCV(alphas=30, cv=5, selection_rule=median).fit(X, y)
    assert seen["shapes"] == ((30,), (30, 5))
    assert chosen.alpha_ == chosen.alphas_[np.median(model.mse_path_, axis=1).argmin()]
    with pytest.raises(ValueError, match="selection_rule returned 99"):
        l1fast.LassoCV(alphas=30, cv=5, selection_rule=lambda alphas, errors: 99).fit(X, y)


@pytest.mark.parametrize("kind", [l1fast.LassoCV, l1fast.MultiTaskLassoCV], ids=lambda kind: kind.__name__)
def test_keep_path(kind):
    X, y, _ = make(targets=2 if kind in TASKS_CV else None)
    model = kind(alphas=6, cv=3, tol=1e-6, keep_path=True).fit(X, y)
    at = list(model.path_alphas_).index(model.alpha_)
    np.testing.assert_allclose(model.coef_path_[..., at], model.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.intercept_path_[..., at], model.intercept_, rtol=1e-5)
    assert not hasattr(kind(alphas=3, cv=3).fit(X, y), "coef_path_")


def test_groups_reach_the_splitter():
    X, y, _ = make()
    groups = np.arange(len(y)) % 4
    set_config(enable_metadata_routing=True)
    try:
        splitter = GroupKFold(4).set_split_request(groups=True)
        routed = l1fast.LassoCV(alphas=5, cv=splitter).fit(X, y, groups=groups)
    finally:
        set_config(enable_metadata_routing=False)
    direct = l1fast.LassoCV(alphas=5, cv=list(GroupKFold(4).split(X, y, groups))).fit(X, y)
    np.testing.assert_array_equal(routed.mse_path_, direct.mse_path_)


def test_limits_and_callbacks():
    X, y, _ = make(200, 50)
    with pytest.warns(ConvergenceWarning, match=r"time_limit was reached .* alphas were not tried"):
        model = l1fast.LassoCV(time_limit=0.0).fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert np.isnan(model.mse_path_).any()
    with pytest.raises(ValueError, match="before one alpha was done on all folds"):
        model._settle_errors(np.full((1, 100, 5), np.nan), [1.0], [model.alphas_])
    states = []
    l1fast.Lasso(0.01, callback=states.append).fit(X, y)
    assert states
    assert all(isinstance(state, l1fast.State) for state in states)
    states.clear()
    l1fast.LassoCV(alphas=4, cv=3, callback=states.append).fit(X, y)
    assert sum(isinstance(state, l1fast.CVState) for state in states) == 12
    with pytest.warns(ConvergenceWarning, match="Objective did not converge") as caught:
        l1fast.ElasticNet(1e-6, max_iter=1, tol=1e-12).fit(X[:40], y[:40])
    assert issubclass(caught[0].category, l1fast.ConvergenceWarning)


# ------------------------------------------------------------------------------------------------- data and errors


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_float32_stays_float32(kind):
    X, y, _ = make(targets=2 if kind in (*TASKS, *TASKS_CV) else None)
    model = kind().fit(X.astype(np.float32), y.astype(np.float32))
    wide = kind().fit(X, y)
    assert model.coef_.dtype == np.float32
    assert np.asarray(model.intercept_).dtype == np.float32
    assert wide.coef_.dtype == np.float64
    assert model.predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(model.predict(X), wide.predict(X), rtol=1e-2)


def test_frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X, y, _ = make()
    names = [f"x{j}" for j in range(X.shape[1])]
    wanted = l1fast.LassoCV(alphas=5).fit(X, y)
    for frame in (pandas.DataFrame(X, columns=names), polars.DataFrame(X, schema=names)):
        model = l1fast.LassoCV(alphas=5).fit(frame, y)
        assert model.feature_names_in_.tolist() == names
        np.testing.assert_allclose(model.coef_, wanted.coef_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(model.predict(frame), wanted.predict(X), rtol=1e-6)
    X[X < 3.0] = 0.0
    thin = pandas.DataFrame.sparse.from_spmatrix(sparse.csr_array(X), columns=names)
    model = l1fast.Lasso(0.1).fit(thin, y)
    np.testing.assert_allclose(model.coef_, l1fast.Lasso(0.1).fit(X, y).coef_, rtol=1e-4, atol=1e-6)
    assert model.feature_names_in_.tolist() == names


def test_in_a_pipeline():
    X, y, _ = make()
    pipe = make_pipeline(StandardScaler(), l1fast.LassoCV(cv=3)).set_output(transform="pandas").fit(X, y)
    assert pipe.score(X, y) > 0.5


def test_inputs_are_not_changed():
    X, y, s = make()
    kept = X.copy(), y.copy(), s.copy()
    for kind in (l1fast.Lasso, l1fast.LassoCV):
        kind(copy_X=False, standardize=True).fit(np.asfortranarray(X), y, sample_weight=s)
        kind(copy_X=False).fit(X, y, sample_weight=s)
    for now, before in zip((X, y, s), kept, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": -1.0}, "The 'alpha' parameter of Lasso must be a float in the range .0"),
        ({"alpha": "1"}, "The 'alpha' parameter of Lasso"),
        ({"alpha": np.nan}, "The 'alpha' parameter of Lasso"),
        ({"tol": -1e-4}, "The 'tol' parameter"),
        ({"max_iter": 0}, "The 'max_iter' parameter"),
        ({"selection": "best"}, "The 'selection' parameter .* among {'cyclic', 'random'}"),
        ({"fit_intercept": 1}, "The 'fit_intercept' parameter"),
        ({"callback": 3}, "The 'callback' parameter"),
        ({"penalty_factor": [1.0, 2.0]}, r"penalty_factor has shape \(2,\), expected \(8,\)"),
        ({"penalty_factor": [-1.0] * 8}, r"penalty_factor\[0\] is -1.0"),
        ({"upper_bounds": -1.0}, "must be >= 0"),
        ({"precompute": np.eye(3)}, r"precompute has shape \(3, 3\)"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_clear_errors(options, words):
    X, y, _ = make()
    with pytest.raises(ValueError, match=words):
        l1fast.Lasso(**options).fit(X, y)


def test_errors_of_data():
    X, y, s = make()
    for bad, words in ((np.nan, "NaN"), (np.inf, "infinity")):
        broken = X.copy()
        broken[3, 1] = bad
        for kind, storage in itertools.product((l1fast.Lasso, l1fast.LassoCV), (np.asarray, sparse.csr_array)):
            with pytest.raises(ValueError, match=words):
                kind().fit(storage(broken), y)
    with pytest.raises(ValueError, match=r"sample_weight\.shape"):
        l1fast.Lasso().fit(X, y, sample_weight=s[:-1])
    with pytest.raises(ValueError, match="at least one non-zero"):
        l1fast.Lasso().fit(X, y, sample_weight=0.0 * s)
    with pytest.raises(ValueError, match="use MultiTaskLassoCV"):
        l1fast.LassoCV().fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match="use LassoCV"):
        l1fast.MultiTaskLassoCV().fit(X, y)
    with pytest.raises(ValueError, match="not supported for l1_ratio=0"):
        l1fast.ElasticNetCV(l1_ratio=0.0).fit(X, y)
    assert issubclass(_base.InvalidParameterError, ValueError)
    assert issubclass(_base.InvalidParameterError, TypeError)


def test_verbose_shows_a_bar_only_on_a_terminal(capsys):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20))
    y = X[:, 0] + rng.standard_normal(60)
    quiet, told = (l1fast.LassoCV(cv=3, verbose=verbose).fit(X, y) for verbose in (False, True))
    np.testing.assert_array_equal(quiet.coef_, told.coef_)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "bsr_array", "coo_array"])
def test_predictions_follow_no_index_unseen(form):
    """SciPy's product ended the process."""
    X, y, *_ = make()
    model = l1fast.Lasso(0.1).fit(X, y)
    expected = model.predict(X)
    A = getattr(sparse, form)(X)
    np.testing.assert_allclose(model.predict(A), expected, rtol=1e-12)
    if form in ("csr_array", "csc_matrix"):  # room behind the last entry is not read
        A.data, A.indices = np.append(A.data, np.nan), np.append(A.indices, A.indices[-1])
        np.testing.assert_allclose(model.predict(A), expected, rtol=1e-12)
    (A.row if form == "coo_array" else A.indices)[3] = 2**28
    with pytest.raises(ValueError, match="rebuild the matrix"):
        model.predict(A)
