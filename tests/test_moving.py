"""The page that leads from other packages to this one: every row of code in its tables is run, and so are its blocks.

A table of the class "conversion" names a package at the head of each column; its cells are expressions, all of which
have one answer. Those of glmnet are arguments of R, and their answers are in tests/golden/glmnet.json.
"""

import doctest
import inspect
import pickle
import re
import signal
import warnings
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from glmnet import from_glmnet, golden
from scipy import sparse

pytest.importorskip("sklearn")
from sklearn import linear_model
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

import l1fast
from l1fast import estimators

plt = pytest.importorskip("matplotlib.pyplot")
DOCS = Path(__file__).parents[1] / "docs"
AGREEMENT = 1e-7  # of coefficients and intercepts, as the page says
FINE = 1e-12  # tol of those that look at coefficients or slopes too
FINE_GAP = 1e-15  # tol of those that stop by a gap alone, which is the square of a distance; rounding may not allow it
LONG = 100_000  # steps for those that need many


@pytest.mark.parametrize("page", ["moving.rst", "estimators.rst"])
def test_blocks_of_code(page):
    failed, tried = doctest.testfile(
        str(DOCS / page), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    plt.close("all")
    assert tried > 0
    assert failed == 0


# ---------------------------------------------------------------- the tables


class Row(NamedTuple):
    """The packages at the head of a table, and the cells of one of its rows."""

    packages: tuple[str, ...]
    cells: tuple[str, ...]


def tables(kind):
    """The rows of every list-table of a class, as text; the first is the head."""
    text = (DOCS / "moving.rst").read_text(encoding="utf-8")
    for body in re.findall(rf"\.\. list-table::\n(?:   :.*\n)*   :class: {kind}\n\n((?:   .*\n)+)", text):
        yield [
            tuple(" ".join(cell.split()) for cell in re.split(r"\n     - ", row))
            for row in re.split(r"(?:^|\n)   \* - ", body.rstrip())[1:]
        ]


def rows_of(*packages):
    """The rows of all conversion tables whose first column belongs to one of some packages."""
    found = []
    for head, *rows in tables("conversion"):
        if head[0].split("(")[0] in packages:
            found += [Row(head, row) for row in rows]
    assert found
    return [pytest.param(row, id=row.cells[0].strip("`")) for row in found]


@cache
def data():
    """What the names of the page stand for."""
    rng = np.random.default_rng(7)
    n, p = 60, 12
    X = rng.standard_normal((n, p)) * rng.uniform(0.5, 2.0, p) + 0.5
    W = np.zeros((p, 2))
    W[:4], W[3, 0] = rng.standard_normal((4, 2)), -2.0
    Y = X @ W + 0.5 * rng.standard_normal((n, 2)) + [2.0, -1.0]
    s = rng.uniform(0.2, 3.0, n)
    names = {"X": X, "Y": Y, "y": Y[:, 0].copy(), "s": s, "S": s.sum(), "n": n, "a": 0.15, "r": 0.6}
    return {**names, "v": rng.uniform(0.5, 2.0, p), "alphas": np.array([0.5, 0.2, 0.1]), "folds": [*KFold(4).split(X)]}


def fine(module, names, **options):
    """Functions of a module, at fine tolerances."""
    return {name: partial(getattr(module, name), **options) for name in names}


def namespace(package):
    """The names that the cells of a package use; the test is skipped where it is not installed."""
    if package == "l1fast":
        names = ("solve", "path", "solve_tasks", "path_tasks", "cross_validate")
        return fine(l1fast, names, tol=FINE_GAP)
    if package == "l1fast.estimators":
        return fine(estimators, estimators.__all__, tol=FINE)
    if package == "sklearn.linear_model":
        names = [name for name in estimators.__all__ if hasattr(linear_model, name)]
        return fine(linear_model, names, tol=FINE, max_iter=LONG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if package == "celer":
            celer = pytest.importorskip("celer")
            found = fine(celer, ("Lasso", "ElasticNet", "celer_path"), tol=FINE_GAP)
            return {**found, "homotopy": SimpleNamespace(**fine(celer.homotopy, ["mtl_path"], tol=FINE_GAP))}
        assert package == "skglm"
        skglm = pytest.importorskip("skglm")
        from skglm import datafits, penalties, solvers

        names = ("Lasso", "WeightedLasso", "ElasticNet", "MultiTaskLasso")
        return {
            **fine(skglm, names, tol=FINE),
            **fine(skglm, ["GeneralizedLinearEstimator"]),
            **fine(datafits, ("Quadratic", "WeightedQuadratic")),
            **fine(penalties, ("L1", "L1_plus_L2", "WeightedL1")),
            **fine(solvers, ["AndersonCD"], tol=FINE),
        }


def run(package, cell, known):
    """The answer of a cell, as arrays by name."""
    code = cell.removeprefix("``").removesuffix("``")
    names = namespace(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        if not package.startswith("l1fast"):
            warnings.simplefilter("ignore")
        return arrays(eval(code, {"__builtins__": {}}, {**known, **names}))


def arrays(found):
    """Coefficients by target, feature and strength, and what else an answer has."""
    if isinstance(found, tuple):
        return {"coefs": found[1]}
    if isinstance(found, l1fast.CrossValidation):
        return {"errors": found.errors[0]}
    if isinstance(found, l1fast.TaskPathResult):
        return {"coefs": np.stack([found.coef(k).T for k in range(len(found))], axis=-1)}
    if isinstance(found, l1fast.PathResult):
        return {"coefs": found.coefs.toarray()}
    if isinstance(found, l1fast.Result):
        return {"coef": found.coef.T, "intercept": found.intercept}
    answer = {"coef": found.coef_, "intercept": found.intercept_}
    return {**answer, "errors": found.mse_path_} if hasattr(found, "mse_path_") else answer


def assert_same(one, other):
    """What two answers share is the same."""
    shared = one.keys() & other.keys()
    assert shared
    for name in shared:
        np.testing.assert_allclose(np.squeeze(one[name]), np.squeeze(other[name]), rtol=0, atol=AGREEMENT)


def assert_cells_agree(row):
    packages, (first, *others) = row
    expected = run(packages[0], first, data())
    assert len(others) == len(packages) - 1
    assert any(np.abs(values).max() > 0.1 for values in expected.values())  # there is something to agree about
    for package, cell in zip(packages[1:], others, strict=True):
        if cell != r"\-":
            assert_same(run(package, first if cell == "the same" else cell, data()), expected)


@pytest.mark.parametrize("row", rows_of("sklearn.linear_model", "l1fast.estimators"))
def test_scikit_learn(row):
    assert_cells_agree(row)


@pytest.mark.parametrize("row", rows_of("celer"))
def test_celer(row):
    assert_cells_agree(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", rows_of("skglm"))
def test_skglm(row):
    """Slow, as each of its penalties is compiled first."""
    assert_cells_agree(row)


# ---------------------------------------------------------------- glmnet


R_DEFAULTS = {"alpha": "1", "standardize": "TRUE", "intercept": "TRUE"}


def in_r(value):
    """A value as it is written in R; a vector of one number is that number, others are None."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, list):
        return f"{value[0]:g}" if set(value) == {0} else None
    return f"{value:g}"


@cache
def cases():
    """Every call of glmnet that was stored: its arguments in R, and the case."""
    found = []
    for case in golden()["cases"].values():
        found.append(({name: case[name] for name in case if name not in ("lambda", "coef", "intercept_found")}, case))
    for case in golden()["several"].values():
        extra = {"family": "mgaussian", "standardize": False, "standardize.response": False}
        found.append(({**extra, "alpha": case["alpha"]}, case))
    relaxed = golden()["relaxed"]
    found.append(({"standardize": False, "relax": True, "gamma": relaxed["gamma"]}, relaxed))
    return found


def matches(words, arguments):
    """Whether the arguments of a cell, name by name, are those of a case; a name such as a stands for any value."""
    written = {name: value if name == "family" else in_r(value) for name, value in arguments.items()}
    said = {name: value.strip('"') for name, value in (word.split("=") for word in words)}
    for name in {**written, **said, **R_DEFAULTS}:
        one, other = said.get(name, R_DEFAULTS.get(name)), written.get(name, R_DEFAULTS.get(name))
        if name not in R_DEFAULTS and (name in said) != (name in written):
            return False
        variable = one in ("a", "f", "s", "q", "low", "high")
        if (variable and other in ("0", "1")) or (not variable and one != other):
            return False
    return True


def glmnet_case(cell):
    """The one case that a cell is about."""
    found = [case for arguments, case in cases() if matches(cell.strip("`").split(", "), arguments)]
    assert len(found) == 1, cell
    return found[0]


def glmnet_names(case):
    """What the names of the page stand for in a case; sd is that of `from_glmnet`."""
    stored = golden()
    X, y, Y = (np.array(stored[name]) for name in ("X", "y", "Y"))
    s, a = np.array(stored["weights"], dtype=float), case.get("alpha", 1)
    names = {"X": X, "y": y, "Y": Y, "s": s, "S": s.sum(), "n": len(y), "g": case["lambda"], "a": a}
    if 0 < a < 1 and np.ndim(case["intercept_found"]) == 0:
        _, options = from_glmnet(case, X, y, stored["weights"])
        total = s.sum() if "weights" in case else len(y)
        names["sd"] = case["lambda"] * (1 - a) * total / options["l2"]
        names["k"] = a + (1 - a) / names["sd"]
    if a == 0:
        names["sd"] = y.std()
    for name, key in (("f", "penalty.factor"), ("low", "lower.limits"), ("high", "upper.limits"), ("q", "gamma")):
        if key in case:
            names[name] = np.array(case[key], dtype=float) if key != "gamma" else case[key]
    return names


@pytest.mark.parametrize("row", rows_of("glmnet"))
def test_glmnet(row):
    case = glmnet_case(row.cells[0])
    expected = {"coef": np.array(case["coef"]), "intercept": case.get("intercept_found")}
    if "gamma" in case:
        expected = {"coef": expected["coef"][1:], "intercept": expected["coef"][0]}
    for package, cell in zip(row.packages[1:], row.cells[1:], strict=True):
        if cell != r"\-":
            assert_same(run(package, cell, glmnet_names(case)), expected)


def test_every_value_of_glmnet_has_its_row():
    named = [id(glmnet_case(row.values[0].cells[0])) for row in rows_of("glmnet")]
    assert sorted(named) == sorted(id(case) for _, case in cases())


def test_sd_is_a_standard_deviation_of_y():
    """About the mean, about 0 without an intercept, and weighted, as the page says in words."""
    y, s = np.array(golden()["y"]), np.array(golden()["weights"])
    stored = golden()["cases"]
    assert glmnet_names(stored["elastic net"])["sd"] == pytest.approx(y.std())
    assert glmnet_names(stored["elastic net, no intercept"])["sd"] == pytest.approx(np.sqrt((y**2).mean()))
    weighted = np.sqrt(np.average((y - np.average(y, weights=s)) ** 2, weights=s))
    assert glmnet_names(stored["all"])["sd"] == pytest.approx(weighted)


@pytest.mark.parametrize("kind", ["equal", "unequal"])
def test_folds_of_glmnet(kind):
    stored, case = golden(), golden()["folds"][kind]
    foldid, X, y = np.array(case["foldid"]), np.array(stored["X"]), np.array(stored["y"])
    folds = [(np.flatnonzero(foldid != k), np.flatnonzero(foldid == k)) for k in np.unique(foldid)]
    model = l1fast.LassoCV(alphas=stored["lambdas"], cv=folds, tol=FINE).fit(X, y)
    q = np.array([len(test) for _, test in folds]) / len(y)
    cvm = model.mse_path_ @ q
    cvsd = np.sqrt((model.mse_path_ - cvm[:, None]) ** 2 @ q / (len(q) - 1))
    np.testing.assert_allclose(cvm, case["cvm"], rtol=0, atol=AGREEMENT)
    np.testing.assert_allclose(cvsd, case["cvsd"], rtol=0, atol=AGREEMENT)
    same = np.allclose(model.mse_path_.mean(axis=1), cvm, rtol=0, atol=AGREEMENT)
    assert same == np.allclose(model.mse_se_, cvsd, rtol=0, atol=AGREEMENT) == (kind == "equal")
    assert model.alpha_min_ == pytest.approx(case["lambda.min"], rel=1e-6)
    assert model.alpha_1se_ == pytest.approx(case["lambda.1se"], rel=1e-6)


def test_grids_of_glmnet():
    stored = golden()
    for kind, rows, ratio in (("tall", slice(None), 1e-4), ("wide", slice(6), 1e-2)):
        X, y, grid = np.array(stored["X"])[rows], np.array(stored["y"])[rows], stored["grids"][kind]
        assert grid["last"] / grid["first"] == pytest.approx(ratio, rel=1e-12)
        found = l1fast.path(X, y, lam_min_ratio=ratio, fit_intercept=True).lams / len(y)
        assert len(found) == grid["length"]
        assert found[[0, -1]] == pytest.approx([grid["first"], grid["last"]], rel=1e-12)
        alphas = l1fast.LassoCV(eps=ratio, cv=3).fit(X, y).alphas_
        assert alphas == pytest.approx(found, rel=1e-12)
    assert stored["grids"]["ended"]["length"] < stored["grids"]["tall"]["length"]
    assert inspect.signature(l1fast.path).parameters["lam_min_ratio"].default == 1e-3
    assert inspect.signature(l1fast.LassoCV).parameters["eps"].default == 1e-3


def test_bounds_of_zero_exclude():
    X, y, a = (data()[name] for name in ("X", "y", "a"))
    side = np.where(np.arange(X.shape[1]) == 3, 0.0, np.inf)
    bounded = estimators.Lasso(alpha=a, lower_bounds=-side, upper_bounds=side, tol=FINE).fit(X, y)
    without = estimators.Lasso(alpha=a, tol=FINE).fit(np.delete(X, 3, axis=1), y)
    assert bounded.coef_[3] == 0.0 != estimators.Lasso(alpha=a).fit(X, y).coef_[3]
    np.testing.assert_allclose(np.delete(bounded.coef_, 3), without.coef_, rtol=0, atol=AGREEMENT)


# ---------------------------------------------------------------- what the page says in words


DROP_INS = [name for name in estimators.__all__ if inspect.isclass(getattr(linear_model, name, None))]


def test_keywords_beyond_scikit_learn_are_listed():
    ((head, *rows),) = tables("keywords")
    assert head[0] == "keyword"
    listed = {}
    for names, of, _ in rows:
        listed.setdefault(of, set()).update(re.findall(r"``(\w+)``", names))
    for name in DROP_INS:
        ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (estimators, linear_model))
        expected = set(listed["all"])
        expected |= set() if name.startswith("MultiTask") else listed["one target"]
        expected |= listed["CV"] if name.endswith("CV") else set()
        assert ours.keys() - theirs.keys() == expected
        shared = [parameter for parameter in ours if parameter in theirs]
        assert {parameter: ours[parameter].default for parameter in shared} == {
            parameter: theirs[parameter].default for parameter in theirs
        }


@pytest.mark.parametrize("name", DROP_INS)
def test_attributes(name):
    X, y = data()["X"], data()["Y" if name.startswith("MultiTask") else "y"]

    def attributes(module, **options):
        model = getattr(module, name)(**options).fit(X, y)
        return {attribute for attribute in dir(model) if attribute.endswith("_") and attribute[0] != "_"}

    cross_validated = name.endswith("CV")
    beyond = {"alpha_min_", "alpha_1se_", "mse_se_"} if cross_validated else set()
    ours, theirs = attributes(estimators), attributes(linear_model)
    assert theirs <= ours
    assert ours - theirs - {"sparse_coef_"} == beyond
    if cross_validated:
        assert attributes(estimators, keep_path=True) - ours == {"coef_path_", "intercept_path_", "path_alphas_"}


@pytest.mark.parametrize(
    "options",
    [{"precompute": True}, {"selection": "random", "random_state": 3}, {"copy_X": False}],
    ids=lambda options: next(iter(options)),
)
def test_parameters_without_effect(options):
    X, y = np.asfortranarray(data()["X"]), data()["y"]
    before = X.copy()
    model = estimators.Lasso(alpha=0.1, **options).fit(X, y)
    assert np.array_equal(model.coef_, estimators.Lasso(alpha=0.1).fit(X, y).coef_)
    assert np.array_equal(X, before)


def test_a_wrong_gram_matrix_is_seen():
    X, y = data()["X"] - data()["X"].mean(axis=0), data()["y"]
    estimators.Lasso(precompute=X.T @ X).fit(X, y)
    with pytest.raises(ValueError, match="Gram matrix"):
        estimators.Lasso(precompute=X.T @ X + 1.0).fit(X, y)


def test_tol_is_in_the_unit_of_scikit_learn():
    """Without a warning the gap, in sums, is at most tol ||y - mean||^2; with one it is above."""
    X, y = hard()
    for max_iter in (1, None):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = estimators.Lasso(alpha=0.01, tol=1e-6, max_iter=max_iter).fit(X, y)
        gap, limit = model.dual_gap_ * len(y), 1e-6 * ((y - y.mean()) ** 2).sum()
        assert (gap > limit) == bool(caught) == (max_iter == 1)
        assert model.n_iter_ <= (max_iter or np.inf)
    assert gap < 1e-3 * limit  # it went on, for the sake of the coefficients


def test_the_warning_is_of_both_classes():
    X, y = hard()
    for kind in (ConvergenceWarning, l1fast.ConvergenceWarning):
        with pytest.warns(kind):
            estimators.Lasso(alpha=0.01, max_iter=1).fit(X, y)


def hard():
    """Correlated columns, more of them than samples: one outer step is not enough."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 400)) + 2.0 * rng.standard_normal((200, 1))
    return X, X[:, :30].sum(axis=1) + rng.standard_normal(200)


def test_verbose_prints_nothing(capfd):
    estimators.LassoCV(alphas=5, verbose=2).fit(data()["X"], data()["y"])
    assert capfd.readouterr() == ("", "")


def test_jobs_are_threads_and_change_nothing():
    X, y = data()["X"], data()["y"]
    alone, many = (estimators.LassoCV(n_jobs=jobs).fit(X, y) for jobs in (1, None))
    assert np.array_equal(alone.mse_path_, many.mse_path_)
    assert np.array_equal(alone.coef_, many.coef_)


@pytest.mark.parametrize("name", ["Lasso", "LassoCV"])
def test_ctrl_c(name):
    model = getattr(estimators, name)(callback=lambda state: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*hard())
    assert not hasattr(model, "coef_")


def test_weights_in_cross_validation():
    """Weights are in the fits and in the errors."""
    X, y, s, folds = (data()[name] for name in ("X", "y", "s", "folds"))
    model = estimators.LassoCV(alphas=[0.1], cv=folds, tol=FINE).fit(X, y, s)
    for error, (train, test) in zip(np.ravel(model.mse_path_), folds, strict=True):
        one = estimators.Lasso(alpha=0.1, tol=FINE).fit(X[train], y[train], s[train])
        assert error == pytest.approx(np.average((y[test] - one.predict(X[test])) ** 2, weights=s[test]), abs=AGREEMENT)


@pytest.mark.parametrize("name", [name for name in estimators.__all__ if not name.endswith("_path")])
def test_estimators_can_be_pickled(name):
    made = getattr(estimators, name)
    X, y = data()["X"], data()["Y" if name.startswith("MultiTask") else "y"]
    model = clone(made()).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert again.get_params() == model.get_params()
    use = "transform" if name == "StabilitySelection" else "predict"
    assert np.array_equal(getattr(again, use)(X), getattr(model, use)(X))


def test_answers_can_be_pickled():
    X, y, Y = (data()[name] for name in ("X", "y", "Y"))
    for answer in (l1fast.solve(X, y, 5.0), l1fast.solve_tasks(X, Y, 5.0)):
        assert np.array_equal(pickle.loads(pickle.dumps(answer)).coef, answer.coef)
    for answer in (l1fast.path(X, y, n_lams=5), l1fast.path_tasks(X, Y, n_lams=5)):
        again = pickle.loads(pickle.dumps(answer))
        assert all(np.array_equal(again.coef(k), answer.coef(k)) for k in range(5))


def test_sparse_coef():
    X, y = data()["X"], data()["y"]
    model = estimators.Lasso(alpha=0.15).fit(X, y)
    assert sparse.issparse(model.sparse_coef_)
    assert np.array_equal(model.sparse_coef_.toarray()[0], model.coef_)


def lasso_violation(X, y, w, b, a):
    """max_j dist(-gradient_j, subdifferential_j) of 1/(2n) ||y - Xw - b||^2 + a ||w||_1."""
    slope = X.T @ (y - X @ w - b) / len(y)
    return np.where(w == 0.0, np.maximum(np.abs(slope) - a, 0.0), np.abs(slope - a * np.sign(w))).max()


def objective(X, y, w, b, a):
    return ((y - X @ w - b) ** 2).sum() / (2 * len(y)) + a * np.abs(w).sum()


@pytest.mark.slow
@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_skglm_stops_by_the_violation(tol):
    (X, y), a = hard(), 0.05
    names = namespace("skglm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solver = names["AndersonCD"](tol=tol, fit_intercept=False, max_iter=500)
        model = names["GeneralizedLinearEstimator"](names["Quadratic"](), names["L1"](a), solver)
        w = model.fit(X, y).coef_
    seen = lasso_violation(X, y, w, 0.0, a)
    assert 1e-3 * tol < seen <= tol
    gap = objective(X, y, w, 0.0, a) - l1fast.solve(X, y, a * len(y), tol=FINE).objective / len(y)
    assert gap < tol * (y @ y) / len(y)  # the same tol asks for less as a gap


def test_elastic_net_of_celer_is_its_lasso_by_default():
    celer = pytest.importorskip("celer")
    for package, l1_ratio in ((celer, 1.0), (linear_model, 0.5), (estimators, 0.5)):
        assert inspect.signature(package.ElasticNet).parameters["l1_ratio"].default == l1_ratio


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_celer_stops_by_the_gap(tol):
    celer = pytest.importorskip("celer")
    (X, y), a = hard(), 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = celer.Lasso(alpha=a, tol=tol, fit_intercept=False).fit(X, y)
    best = l1fast.solve(X, y, a * len(y), tol=FINE)
    assert objective(X, y, model.coef_, 0.0, a) - best.objective / len(y) <= tol * (y @ y) / len(y)
