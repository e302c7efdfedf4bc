"""Displays show the numbers they hold, names lie on nothing, and nothing outside their axes changes."""

import copy
import doctest
import pickle
import runpy
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

import l1fast

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of a backend
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402

from l1fast import _artists, _displays  # noqa: E402
from l1fast._progress import Progress  # noqa: E402
from l1fast.plot import CVDisplay, LassoPathDisplay  # noqa: E402

SIZES = [(3.0, 2.2), (5.2, 4.0), (12.0, 7.0), (3.4, 6.0)]
STYLES = ["default", "dark_background"]
NAMES = ["a", "a name", "a long name of a feature, too long", "$x_1$", "_hidden", *(f"column {j}" for j in range(35))]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def path():
    """40 features, of which most come in, many with coefficients that are nearly the same at the weak end."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 40))
    truth = np.concatenate((np.repeat([3.0, 2.9, -2.0], 4), np.zeros(28)))
    return l1fast.path(X, X @ truth + rng.standard_normal(60), n_lams=30)


@pytest.fixture(scope="module")
def errors():
    """Errors of 5 folds, smallest at some strength inside, as columns."""
    rng = np.random.default_rng(1)
    strengths = np.geomspace(2.0, 0.01, 25)
    curve = 1.0 + np.log(strengths / 0.1)[:, None] ** 2 / 10.0
    return strengths, curve * (1.0 + 0.1 * rng.standard_normal(5)) + 0.02 * rng.standard_normal((25, 5))


def drawn(figure):
    """The Agg renderer after a drawing."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def overlaps(boxes, slack=0.0):
    return [pair for pair in combinations(boxes, 2) if min(overlap(*pair)) > slack]


def overlap(one, other):
    """Width and height of what two boxes share."""
    return min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)


def assert_inside(box, figure):
    assert box.x0 >= -0.5 and box.y0 >= -0.5
    assert box.x1 <= figure.bbox.x1 + 0.5 and box.y1 <= figure.bbox.y1 + 0.5


def written(axis):
    """Boxes of the labels of the ticks that are on an axis."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [label.get_window_extent() for tick in ticks for label in (tick.label1, tick.label2) if label.get_visible()]


# --- the layout of names ---


@given(st.lists(st.floats(-10.0, 110.0), min_size=1, max_size=8), st.floats(0.1, 14.0))
def test_spread_is_optimal(wanted, gap):
    wanted = np.array(wanted)
    heights = _artists.spread(wanted, gap, 0.0, 100.0)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(heights[order]) >= gap - 1e-9).all()
    assert heights.min() >= -1e-9 and heights.max() <= 100.0 + 1e-9
    n = len(wanted)
    steps = np.eye(n)[1:] - np.eye(n)[:-1]
    limits = [LinearConstraint(np.eye(n), 0.0, 100.0)]
    if n > 1:
        limits.append(LinearConstraint(steps, gap, np.inf))
    found = minimize(
        lambda h: ((h - wanted[order]) ** 2).sum(),
        np.linspace(0.0, 100.0, n),
        jac=lambda h: 2.0 * (h - wanted[order]),
        method="SLSQP",
        constraints=limits,
    )
    assert ((heights - wanted) ** 2).sum() <= found.fun + 1e-5 * (1.0 + found.fun)


def test_names_that_do_not_touch_stay():
    np.testing.assert_array_equal(_artists.spread(np.array([50.0, 10.0, 30.0]), 5.0, 0.0, 100.0), [50.0, 10.0, 30.0])
    np.testing.assert_allclose(_artists.spread(np.array([50.0, 50.0]), 10.0, 0.0, 100.0), [45.0, 55.0])
    np.testing.assert_allclose(_artists.spread(np.array([0.0, 0.0]), 10.0, 0.0, 100.0), [0.0, 10.0])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", SIZES)
def test_names_lie_on_nothing(path, size, style):
    with plt.style.context(style):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        marks = {"minimum": path.lams[-1], "1-SE": path.lams[20]}
        display = LassoPathDisplay.from_path(path, feature_names=NAMES, marks=marks, ax=ax, n_named=25)
        renderer = drawn(figure)
        names = [text for text in display.labels_.texts if text.get_visible()]
        boxes = [text.get_window_extent(renderer) for text in names]
        marked = [text.get_window_extent(renderer) for text in ax.texts]
        assert len(names) >= 5 and len(marked) == 2
        assert not overlaps([*boxes, *marked])
        assert not overlaps(written(ax.xaxis)) and not overlaps(written(ax.yaxis))
        assert not overlaps(written(display.support_axis_.xaxis))
        assert len(written(ax.xaxis)) >= 2 and len(written(display.support_axis_.xaxis)) >= 2
        for box in (*boxes, *marked, ax.get_tightbbox(renderer)):
            assert_inside(box, figure)
        for box in boxes:
            assert box.x0 > ax.bbox.x1
        for text in (*names, *ax.texts):
            assert matplotlib.colors.same_color(text.get_color(), matplotlib.rcParams["text.color"])


def test_names_keep_their_places_after_a_change_of_size(path):
    display = LassoPathDisplay.from_path(path, feature_names=NAMES, n_named=20)
    for size, dpi in (((3, 2), 50), ((9, 6), 200)):
        display.figure_.set_size_inches(size)
        display.figure_.set_dpi(dpi)
        renderer = drawn(display.figure_)
        shown = [text for text in display.labels_.texts if text.get_visible()]
        assert shown[0] is display.labels_.texts[0]  # the most important ones stay
        assert not overlaps([text.get_window_extent(renderer) for text in shown])
    assert len(shown) == 20


# --- paths ---


def test_a_path_is_drawn_as_it_is(path):
    display = LassoPathDisplay.from_path(path, feature_names=NAMES, n_named=7)
    coefs = path.coefs.toarray()
    order = np.argsort(-np.abs(coefs[:, -1]), kind="stable")
    assert [line.get_label() for line in display.lines_] == [NAMES[j] for j in order[:7]]
    assert [text.get_text() for text in display.labels_.texts] == [_artists.shortened(NAMES[j]) for j in order[:7]]
    for j, line in zip(order, display.lines_, strict=False):
        x, y = line.get_data()
        np.testing.assert_array_equal(x, path.lams)
        hidden = np.isnan(y)
        np.testing.assert_array_equal(y[~hidden], coefs[j, ~hidden])
        assert not coefs[j, hidden].any()
    others = [segment[:, 1] for segment in display.rest_.get_segments()]
    assert len(others) == np.count_nonzero(coefs.any(axis=1)) - 7
    np.testing.assert_allclose(sorted(y[-1] for y in others), sorted(coefs[order[7 : 7 + len(others)], -1]))
    np.testing.assert_array_equal(display.support_sizes, path.df)
    top = display.support_axis_
    for place, label in zip(top.get_xticks(), top.get_xticklabels(), strict=True):
        assert int(label.get_text()) == path.df[np.abs(path.lams - place).argmin()]
    assert display.ax_.get_xlim() == (path.lams[0], path.lams[-1])
    low, high = display.ax_.get_ylim()
    assert low <= coefs.min() and coefs.max() <= high


def test_against_the_norm_and_the_deviance(path):
    coefs = path.coefs.toarray()
    for against, expected in (("l1_norm", np.abs(coefs).sum(axis=0)), ("deviance", path.deviance_explained)):
        display = LassoPathDisplay.from_path(path, against=against, marks={"here": path.lams[10]})
        np.testing.assert_allclose(display.lines_[0].get_xdata(), expected)
        np.testing.assert_allclose(display.marks_["here"].get_xdata(), expected[10])
    with pytest.raises(ValueError, match="against is 'time'; choose one of 'strength', 'l1_norm', 'deviance'"):
        LassoPathDisplay.from_path(path, against="time")
    with pytest.raises(ValueError, match="needs the deviance"):
        LassoPathDisplay(path.lams, path.coefs).plot(against="deviance")


def test_marks_and_strengths_of_0():
    coefs = np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 0.0, -1.0, -2.0]])
    order = [2, 0, 3, 1]
    display = LassoPathDisplay(
        np.array([4.0, 2.0, 1.0, 0.0])[order], coefs[:, order], marks={"one": 2.0}, strength_name="alpha"
    )
    ax = display.plot()
    np.testing.assert_array_equal(display.strengths, [4.0, 2.0, 1.0])
    np.testing.assert_array_equal(display.coefs.toarray(), coefs[:, :3])
    np.testing.assert_array_equal(display.marks_["one"].get_xdata(), 2.0)
    assert ax.get_xlabel() == "alpha, from strong to weak"
    assert display.lines_[0].get_label() == "feature 0"


def test_paths_with_little_in_them():
    nothing = LassoPathDisplay([1.0, 0.5], sp.csc_array((3, 2)))
    drawn(nothing.plot().figure)
    assert nothing.lines_ == [] and nothing.labels_ is None and nothing.rest_ is None
    one = LassoPathDisplay([1.0], [[2.0]])
    drawn(one.plot().figure)
    drawn(LassoPathDisplay([1.0, 0.5], np.ones((3, 2))).plot(n_named=0).figure)


def test_wrong_numbers():
    with pytest.raises(ValueError, match=r"one column for each of the 2 strengths, got shape \(3, 4\)"):
        LassoPathDisplay([1.0, 0.5], np.ones((3, 4)))
    with pytest.raises(ValueError, match="must have 3 names, one for each coefficient, got 1"):
        LassoPathDisplay([1.0, 0.5], np.ones((3, 2)), feature_names=["a"])
    with pytest.raises(ValueError, match="no strength is above 0"):
        LassoPathDisplay([0.0], np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"must be above 0, got -1\.0"):
        LassoPathDisplay([1.0], np.ones((3, 1)), marks={"bad": -1})
    with pytest.raises(ValueError, match=r"a row for each of the 2 strengths and a column for each fold.*\(2,\)"):
        CVDisplay([1.0, 0.5], [1.0, 2.0])


# --- cross-validation ---


def test_cross_validation_is_drawn_as_it_is(errors):
    strengths, table = errors
    display = CVDisplay(strengths, table, one_se=strengths[5], support_sizes=np.arange(25))
    ax = display.plot()
    mean = np.array([sum(row) / 5 for row in table])
    error = np.array([np.sqrt(sum((row - m) ** 2) / 4 / 5) for row, m in zip(table, mean, strict=True)])
    np.testing.assert_allclose(display.line_.get_data(), (strengths, mean))
    assert len(display.fold_lines_) == 5
    for line, fold in zip(display.fold_lines_, table.T, strict=True):
        np.testing.assert_array_equal(line.get_data(), (strengths, fold))
    (band,) = display.band_.get_paths()
    for x, low, high in zip(strengths, mean - error, mean + error, strict=True):
        edge = band.vertices[np.isclose(band.vertices[:, 0], x), 1]
        assert (edge.min(), edge.max()) == pytest.approx((low, high))
    best = mean.argmin()
    for name, k in (("minimum", best), ("1-SE", 5)):
        np.testing.assert_allclose(np.ravel(display.marks_[name].get_data()), (strengths[k], mean[k]))
        np.testing.assert_allclose(display.mark_lines_[name].get_xdata(), strengths[k])
    words = " ".join(text.get_text() for text in display.legend_.get_texts()).replace("\n", ", ")
    assert f"minimum: alpha {strengths[best]:.3g}, error {mean[best]:.4g}, {best} features" in words
    assert f"1-SE: alpha {strengths[5]:.3g}, error {mean[5]:.4g}, 5 features" in words
    assert ax.get_xlim() == (strengths[0], strengths[-1])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", SIZES)
def test_the_legend_covers_no_curve(errors, size, style):
    strengths, table = errors
    with plt.style.context(style):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        display = CVDisplay(strengths, table, one_se=strengths[5], support_sizes=np.arange(25))
        display.plot(ax)
        renderer = drawn(figure)
        box = display.legend_.get_window_extent(renderer)
        assert_inside(box, figure)
        for line in (display.line_, *display.fold_lines_):
            points = ax.transData.transform(np.column_stack(line.get_data()))
            x = np.linspace(points[0, 0], points[-1, 0], 500)
            y = np.interp(x, *points.T)
            assert not any(box.contains(*point) for point in zip(x, y, strict=True))
        assert not overlaps(written(ax.xaxis)) and not overlaps(written(ax.yaxis))
        assert not overlaps(written(display.support_axis_.xaxis))
        assert_inside(ax.get_tightbbox(renderer), figure)


def test_given_means_and_a_single_fold():
    display = CVDisplay([1.0, 2.0], [[3.0, 5.0], [1.0, 9.0]], means=[4.5, 3.0], standard_errors=[0.5, 0.25])
    display.plot()
    np.testing.assert_array_equal(display.means, [3.0, 4.5])
    np.testing.assert_array_equal(display.standard_errors, [0.25, 0.5])
    assert display.minimum == 0 and list(display.marks_) == ["minimum"] and display.support_axis_ is None
    single = CVDisplay([1.0, 2.0], [[3.0], [5.0]])
    single.plot()
    assert single.band_ is None and single.line_.get_label() == "mean of 1 folds"


def test_a_cross_validation_of_the_core(capsys):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 8))
    y = X[:, 0] - X[:, 1] + rng.standard_normal(60)
    sides = np.arange(60) < 25  # folds of 25 and 35
    folds = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in (sides, ~sides)]
    lams = l1fast.lam_max(X, y) * np.geomspace(1.0, 0.01, 12)
    with Progress(lines=True) as progress:
        found = l1fast.cross_validate(X, y, folds, [(lams, 0.0 * lams), (lams, lams)], tol=1e-10, on_progress=progress)
    assert progress.steps == 2 * 2 * 12
    assert capsys.readouterr().err.startswith("fold ")
    for sequence, ridge in enumerate((0.0, 1.0)):
        display = CVDisplay.from_cv(found, sequence, one_se=lams[3])
        expected = []
        for k, lam in enumerate(lams):
            errors = []
            for train, test in folds:
                share = len(train) / 60.0
                w = l1fast.solve(X[train], y[train], lam * share, l2=ridge * lam * share, tol=1e-10).coef
                errors.append(((y[test] - X[test] @ w) ** 2).mean())
            np.testing.assert_allclose(display.errors[k], errors, rtol=1e-4)
            expected.append((25.0 * errors[0] + 35.0 * errors[1]) / 60.0)
        np.testing.assert_allclose(display.line_.get_ydata(), expected, rtol=1e-4)
        assert display.ax_.get_xlabel() == "lam, from strong to weak" and display.one_se == 3


# --- estimators ---


@pytest.fixture(scope="module")
def table():
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(5)
    X = pandas.DataFrame(rng.standard_normal((80, 6)), columns=[f"name {j}" for j in range(6)])
    return X, X.to_numpy() @ [3.0, 0.0, -2.0, 0.0, 1.0, 0.0] + rng.standard_normal(80)


def test_estimators(table):
    from sklearn.linear_model import lasso_path

    from l1fast import estimators

    X, y = table
    fitted = estimators.LassoCV(cv=4, tol=1e-8).fit(X, y)
    display = LassoPathDisplay.from_estimator(fitted, X, y)
    assert set(display.feature_names) == set(X.columns)
    centred = X.to_numpy() - X.to_numpy().mean(axis=0)
    coefs = lasso_path(centred, y - y.mean(), alphas=fitted.alphas_, tol=1e-10)[1]
    np.testing.assert_allclose(display.coefs.toarray(), coefs, atol=1e-4)
    assert display.marks == {"minimum": fitted.alpha_min_, "1-SE": fitted.alpha_1se_}
    cv = CVDisplay.from_estimator(fitted, X, y)
    np.testing.assert_array_equal(cv.errors, fitted.mse_path_)
    np.testing.assert_array_equal(cv.standard_errors, fitted.mse_se_)
    np.testing.assert_array_equal(cv.support_sizes, np.count_nonzero(display.coefs.toarray(), axis=0))
    assert cv.strengths[cv.minimum] == fitted.alpha_min_ and cv.strengths[cv.one_se] == fitted.alpha_1se_
    assert CVDisplay.from_estimator(fitted).support_sizes is None
    with pytest.raises(ValueError, match="LassoCV has kept no path"):
        LassoPathDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="Lasso has no mse_path_"):
        CVDisplay.from_estimator(estimators.Lasso().fit(X, y))
    plain = LassoPathDisplay.from_estimator(estimators.Lasso(), X, y)
    assert plain.coefs.shape == (6, 100) and plain.feature_names == list(X.columns)


def test_an_estimator_that_keeps_its_path(table):
    from l1fast import estimators

    X, y = table
    fitted = estimators.ElasticNetCV(l1_ratio=[0.2, 0.9], keep_path=True, cv=3, alphas=20).fit(X, y)
    display = LassoPathDisplay.from_estimator(fitted)
    np.testing.assert_array_equal(display.coefs.toarray(), fitted.coef_path_)
    at = [0.2, 0.9].index(fitted.l1_ratio_)
    cv = CVDisplay.from_estimator(fitted)
    np.testing.assert_array_equal(cv.strengths, fitted.alphas_[at])
    np.testing.assert_array_equal(cv.errors, fitted.mse_path_[at])
    np.testing.assert_array_equal(cv.support_sizes, np.count_nonzero(fitted.coef_path_, axis=0))


# --- examples ---


@pytest.fixture
def example(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    return lambda name: runpy.run_path(str(Path(__file__).parents[1] / "examples" / f"plot_{name}.py"))


def test_example_lasso_path(example, capsys):
    found = example("lasso_path")
    X, y, path, names = (found[name] for name in ("X", "y", "path", "names"))
    assert path.converged
    centred = y.astype(np.float64) - y.mean(dtype=np.float64)
    pull = np.abs(X.T.astype(np.float64) @ centred)
    assert found["early"][0] == pull.argmax() and path.lams[0] == pytest.approx(pull.max(), rel=1e-6)
    residual = y[:, None] - X @ path.coefs.toarray()[:, [found["half"] - 1, found["half"], -1]]
    explained = 1.0 - residual.var(axis=0) / centred.var()
    assert explained[0] < explained[2] / 2.0 <= explained[1]
    printed = capsys.readouterr().out
    assert "largest relative gap below tol: True" in printed
    assert f"explained there: {explained[2]:.3f}" in printed
    assert path.df[found["half"]] < path.df[-1] / 10.0  # "less than a tenth"
    counts = np.bincount(X.indices, minlength=X.shape[1])
    assert np.median(counts[found["early"]]) > np.median(counts[found["large"]])  # "in more packages"
    assert len(np.intersect1d(found["early"], found["large"])) == 3
    assert len(names) == X.shape[1]


def test_example_cross_validation(example, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    from sklearn.linear_model import Lasso, lasso_path
    from sklearn.model_selection import KFold

    found = example("cross_validation")
    X, y, model, display = found["X"].to_numpy(), found["y"].to_numpy(), found["model"], found["display"]
    errors = []
    for train, test in KFold(10).split(X):
        centre, level = X[train].mean(axis=0), y[train].mean()
        coefs = lasso_path(X[train] - centre, y[train] - level, alphas=display.strengths, tol=1e-8, max_iter=100_000)[1]
        errors.append((((X[test] - centre) @ coefs + level - y[test][:, None]) ** 2).mean(axis=0))
    errors = np.array(errors).T
    mean, error = errors.mean(axis=1), errors.std(axis=1, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(display.means, mean, rtol=1e-4)
    np.testing.assert_allclose(display.standard_errors, error, rtol=1e-3)
    best = mean.argmin()
    simple = np.flatnonzero(mean <= mean[best] + error[best])[0]
    assert (display.minimum, display.one_se) == (best, simple)
    for k in (best, simple):
        support = np.flatnonzero(Lasso(display.strengths[k], tol=1e-10, max_iter=100_000).fit(X, y).coef_)
        assert display.support_sizes[k] == len(support)
    assert len(found["full"] - found["kept"]) == 3 and found["kept"] < found["full"]
    printed = capsys.readouterr().out
    assert f"alpha {model.alpha_min_:.4f}, error {mean[best]:.1f}" in printed
    assert f"standard error at the minimum: {error[best]:.1f}" in printed


# --- manners ---


def test_nothing_else_changes(path, errors):
    before = dict(matplotlib.rcParams)
    figure, ax = plt.subplots()
    open_before = plt.get_fignums()
    assert LassoPathDisplay(path.lams, path.coefs).plot(ax) is ax
    assert CVDisplay(*errors).plot().figure is not figure
    LassoPathDisplay.from_path(path)
    assert plt.get_fignums() == open_before
    assert dict(matplotlib.rcParams) == before
    assert figure.get_size_inches().tolist() == list(matplotlib.rcParams["figure.figsize"])


def test_copies(path, errors):
    for display in (LassoPathDisplay.from_path(path, marks={"here": path.lams[3]}), CVDisplay(*errors, one_se=0.5)):
        display.plot()
        for again in (pickle.loads(pickle.dumps(display)), copy.deepcopy(display)):
            drawn(again.figure_)
            np.testing.assert_array_equal(again.strengths, display.strengths)


def test_subfigures(path, errors):
    figure = plt.figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    display = LassoPathDisplay(path.lams, path.coefs, feature_names=NAMES)
    display.plot(left.subplots())
    CVDisplay(*errors).plot(right.subplots())
    renderer = drawn(figure)
    for text in display.labels_.texts:
        assert_inside(text.get_window_extent(renderer), left)


def test_no_window(path, monkeypatch):
    def shown(*_, **__):
        raise AssertionError("a window")

    monkeypatch.setattr(plt, "show", shown)
    monkeypatch.setattr(matplotlib.figure.Figure, "show", shown)
    LassoPathDisplay.from_path(path)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files(path, errors, ending, tmp_path):
    for display in (LassoPathDisplay.from_path(path, feature_names=NAMES), CVDisplay(*errors)):
        figure = display.plot().figure
        figure.savefig(tmp_path / f"picture.{ending}", bbox_inches="tight")
        assert (tmp_path / f"picture.{ending}").stat().st_size > 1000


def test_without_matplotlib():
    code = """
import sys
sys.modules["matplotlib"] = None
from l1fast.plot import CVDisplay, LassoPathDisplay
for display in (LassoPathDisplay([1.0], [[1.0]]), CVDisplay([1.0], [[1.0]])):
    try:
        display.plot()
    except ImportError as error:
        print(error)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.count('pip install "l1fast[plot]"') == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.0123"),
        (-1.5, "\N{MINUS SIGN}1.5"),
        (0.0, "0"),
        (12345.0, "12300"),
        (1.234e-7, r"$1.23\times10^{-7}$"),
        (5e12, r"$5\times10^{12}$"),
    ],
)
def test_numbers(value, text):
    assert _displays.number(value) == text


def test_ticks():
    assert [_displays.tick(value) for value in (1e-6, 1e-3, 0.5, 20.0, 1e7)] == [
        *("$10^{-6}$", "0.001", "0.5", "20", "$10^{7}$")
    ]


@pytest.mark.parametrize("width", [2.0, 5.0, 12.0])
@pytest.mark.parametrize("ratio", [1.05, 1.5, 4.0, 30.0, 1e3, 1e6, 1e12])
def test_ticks_have_room(width, ratio):
    figure, ax = plt.subplots(figsize=(width, 3.0), layout="constrained")
    _displays.strength_axis(ax, np.geomspace(3.3, 3.3 / ratio, 9), "alpha")
    drawn(figure)
    boxes = written(ax.xaxis)
    assert len(boxes) >= 2 - (ratio < 2.0)
    assert not overlaps(boxes)


def test_docstrings():
    failed, tried = doctest.testmod(_displays)
    assert tried > 0
    assert failed == 0
