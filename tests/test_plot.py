"""Pictures show the numbers they stand for, change nothing but their axes, and the examples tell the truth."""

import doctest
import io
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l1fast import penalties, plot

EXAMPLES = Path(__file__).parents[1] / "examples"
L1, L2 = penalties.L1(), penalties.L2()


@pytest.fixture
def plt():
    """Pyplot without a window; its figures are closed afterwards."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture
def axes(plt):
    """Makes axes side by side, in a figure that pyplot does not know."""
    from matplotlib.figure import Figure

    return lambda n=1: list(Figure(layout="constrained").subplots(1, n, squeeze=False)[0])


def drawn(ax):
    """Lines of more than two points, the curves, as (x, y)."""
    return [line.get_data() for line in ax.lines if len(line.get_xdata()) > 2]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def soft(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0)


# --- walks ---


def test_docstrings():
    failed, tried = doctest.testmod(plot)
    assert tried > 0
    assert failed == 0


def test_l1_reaches_zero_in_ten_steps():
    expected = [5.0, 4.5, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(plot.iterates(L1, 5.0, 0.5, 12), expected)
    np.testing.assert_array_equal(plot.iterates(L1, -5.0, 0.5, 12), -np.array(expected))


def test_l2_halves_for_ever():
    walk = plot.iterates(L2, 5.0, 0.5, 1200)
    np.testing.assert_array_equal(walk[:1075], np.ldexp(5.0, -np.arange(1075)))
    smallest = np.nextafter(0.0, 1.0)  # half of it rounds to 0, so that it stays
    np.testing.assert_array_equal(walk[1080:], smallest)


@given(st.floats(0.01, 100.0), st.floats(0.01, 2.5))
def test_l2_multiplies(start, step):
    k = np.arange(21)
    walk = plot.iterates(L2, start, step, 20)
    np.testing.assert_allclose(walk, start * (1.0 - step) ** k, rtol=1e-9, atol=1e-12 * start)
    divided = plot.iterates(L2, start, step, 20, proximal=True)
    np.testing.assert_allclose(divided, start / (1.0 + step) ** k, rtol=1e-9)


@given(st.floats(-100.0, 100.0), st.floats(0.5, 50.0))
def test_proximal_steps_of_l1_end_at_zero(start, step):
    n_steps = int(abs(start) / step) + 2
    walk = plot.iterates(L1, start, step, n_steps, proximal=True)
    assert walk[0] == start
    assert walk[-1] == 0.0
    assert np.all(np.abs(np.diff(walk)) <= step * (1.0 + 1e-12))
    assert np.all(walk * np.sign(start) >= 0.0)


@pytest.mark.parametrize("proximal", [False, True])
def test_walks_of_many_coefficients(proximal):
    rng = np.random.default_rng(0)
    X, y, start = rng.standard_normal((6, 4)), rng.standard_normal(6), rng.standard_normal(4)
    step, lam = 0.05, 0.7
    kept = start.copy()
    walk = plot.iterates(
        L1, start, step, 30, lam=lam, gradient=lambda w: (X.T @ (X @ w - y)).tolist(), proximal=proximal
    )
    assert walk.shape == (31, 4)
    np.testing.assert_array_equal(start, kept)
    w = start.copy()
    for row in walk:
        np.testing.assert_allclose(row, w, rtol=1e-12, atol=1e-14)
        slope = X.T @ (X @ w - y)
        w = soft(w - step * slope, step * lam) if proximal else w - step * (slope + lam * np.sign(w))


def test_shapes_of_walks():
    assert plot.iterates(L2, 3, 0.5, 0).tolist() == [3.0]
    assert plot.iterates(L2, [3], 0.5, 1).tolist() == [[3.0], [1.5]]
    with pytest.raises(ValueError, match="n_steps must be at least 0, got -1"):
        plot.iterates(L2, 3.0, 0.5, -1)
    with pytest.raises(TypeError, match="n_steps must be an integer"):
        plot.iterates(L2, 3.0, 0.5, 1.5)


# --- drawings ---


def test_penalties_and_derivatives(axes):
    given_axes = axes(2)
    huber, net = penalties.Huber(0.5), penalties.ElasticNet(l1=2.0, l2=0.5)
    value_ax, slope_ax = plot.penalties(L1, L2, huber, net, span=3.0, axes=given_axes)
    assert [value_ax, slope_ax] == given_axes
    values = [
        np.abs,
        lambda w: w * w / 2,
        lambda w: np.where(np.abs(w) <= 0.5, w * w, np.abs(w) - 0.25),
        lambda w: 2 * np.abs(w) + w * w / 4,
    ]
    slopes = [np.sign, lambda w: w, lambda w: np.clip(2 * w, -1, 1), lambda w: 2 * np.sign(w) + w / 2]
    for lines, formulas in ((drawn(value_ax), values), (drawn(slope_ax), slopes)):
        assert len(lines) == len(formulas)
        for (w, heights), formula in zip(lines, formulas, strict=True):
            assert np.nanmin(w) == -3.0 and np.nanmax(w) == 3.0
            here = ~np.isnan(w)
            np.testing.assert_allclose(heights[here], formula(w[here]), rtol=1e-12, atol=1e-12)
    assert legend(slope_ax) == ["L1", "L2", "Huber(mu=0.5)", "ElasticNet(l1=2.0, l2=0.5)"]


def test_the_jump_and_the_subdifferential(axes):
    _, ax = plot.penalties(L1, penalties.ElasticNet(l1=2.0), axes=axes(2))
    for w, _ in drawn(ax):
        (jump,) = np.flatnonzero(np.isnan(w))  # the curve is broken, not led through 0
        assert 0.0 < -w[jump - 1] < 1e-300 and 0.0 < w[jump + 1] < 1e-300
    short = [line.get_data() for line in ax.lines if len(line.get_xdata()) <= 2]
    segments = [list(y) for x, y in short if list(x) == [0.0, 0.0] and list(y) != [0, 1]]  # but for the line at w = 0
    dots = [list(y) for x, y in short if list(x) == [0.0]]
    assert segments == [[-1.0, 1.0], [-2.0, 2.0]]
    assert dots == [[0.0], [0.0]]
    assert [text.get_text() for text in ax.texts] == ["subdifferential\nat 0"]
    _, smooth = plot.penalties(L2, axes=axes(2))
    assert not smooth.texts
    assert not np.isnan(drawn(smooth)[0][0]).any()
    _, free = plot.penalties(penalties.L1(weights=[0.0]), axes=axes(2))
    assert not free.texts


@pytest.mark.parametrize(
    ("arguments", "expected", "title"),
    [
        ((L1, 5.0, 0.5, 12), [*np.arange(5.0, -0.1, -0.5), 0.0, 0.0], "L1\nstep 0.5: exactly 0 from step 10 on"),
        ((L2, 4.0, 0.5, 3), [4.0, 2.0, 1.0, 0.5], "L2\nstep 0.5: 0.5 after 3 steps"),
        ((L2, 4.0, 1.0, 2), [4.0, 0.0, 0.0], "L2\nstep 1: exactly 0 from step 1 on"),
        ((L2, 4.0, 2.0, 2), [4.0, -4.0, 4.0], "L2\nstep 2: 4 after 2 steps"),
        ((L1, 0.0, 0.5, 2), [0.0, 0.0, 0.0], "L1\nstep 0.5: exactly 0 from step 0 on"),
    ],
)
def test_shrinkage_walk(axes, arguments, expected, title):
    (ax,) = axes()
    assert plot.shrinkage_walk(*arguments, ax=ax) is ax
    formula = np.abs if arguments[0] is L1 else lambda w: w * w / 2
    (w, heights), (walk, at_walk) = drawn(ax)
    np.testing.assert_allclose(heights, formula(w), rtol=1e-12)
    np.testing.assert_array_equal(walk, expected)
    np.testing.assert_allclose(at_walk, formula(walk), rtol=1e-12)
    assert w.min() < min(expected) and w.max() > max(expected)
    assert ax.get_title() == title


def test_shrinkage_walk_with_a_target(axes):
    (ax,) = axes()
    plot.shrinkage_walk(L1, 2.0, 0.5, 5, lam=0.5, target=1.0, proximal=True, ax=ax)
    (w, heights), (walk, _) = drawn(ax)
    np.testing.assert_allclose(heights, (w - 1.0) ** 2 / 2 + np.abs(w) / 2, rtol=1e-12)
    np.testing.assert_array_equal(walk, 0.5 + 1.5 * 0.5 ** np.arange(6))  # u = (w + 1) / 2, less 1/4: to 1/2, halving
    assert ax.get_title() == "L1, target 1\nproximal step 0.5: 0.5469 after 5 steps"


@pytest.mark.parametrize(
    ("penalty", "formula", "minimum"),
    [
        (L1, np.abs, lambda a, lam: soft(a, lam)),
        (L2, lambda w: w * w / 2, lambda a, lam: a / (1 + lam)),
        (penalties.ElasticNet(), lambda w: np.abs(w) + w * w / 2, lambda a, lam: soft(a, lam) / (1 + lam)),
    ],
)
@pytest.mark.parametrize("target", [1.5, -0.75, 0.0])
def test_trade_off(axes, penalty, formula, minimum, target):
    (ax,) = axes()
    lams = [0.0, 0.25, 1.0, 4.0]
    assert plot.trade_off(penalty, target, lams, ax=ax) is ax
    marks = [line.get_data() for line in ax.lines if line.get_marker() == "o"]
    assert len(marks) == len(lams)
    for lam, (w, heights), (at, height) in zip(lams, drawn(ax), marks, strict=True):
        np.testing.assert_allclose(heights, (w - target) ** 2 / 2 + lam * formula(w), rtol=1e-12, atol=1e-12)
        assert at[0] == pytest.approx(minimum(target, lam), rel=1e-12)
        assert height[0] <= heights.min() + 1e-12
    assert [label.partition(":")[0] for label in legend(ax)] == [f"lam = {lam:g}" for lam in lams]


def test_minimisers(axes):
    (ax,) = axes()
    assert plot.minimisers(L1, L2, penalties.Huber(0.25), lam=0.5, span=2.0, ax=ax) is ax
    formulas = [
        lambda a: soft(a, 0.5),
        lambda a: a / 1.5,
        lambda a: np.where(np.abs(a) <= 0.75, a / 3, a - 0.5 * np.sign(a)),
        lambda a: a,
    ]
    for (targets, found), formula in zip(drawn(ax), formulas, strict=True):
        assert targets[0] == -2.0 and targets[-1] == 2.0 and 0.0 in targets
        np.testing.assert_allclose(found, formula(targets), rtol=1e-12, atol=1e-15)
    flat = drawn(ax)[0]
    np.testing.assert_array_equal(flat[1][np.abs(flat[0]) <= 0.5], 0.0)
    assert legend(ax) == ["L1", "L2", "Huber(mu=0.25)", "no penalty"]


def test_contours(axes):
    (ax,) = axes()
    walk = [[2.0, 1.0], [1.0, -0.5], [0.25, 0.0]]
    assert plot.contours(lambda w: float(w @ w), {"walk": walk, "rest": np.zeros((3, 2))}, ax=ax) is ax
    (x, y), (still, _) = drawn(ax)
    np.testing.assert_array_equal(np.column_stack((x, y)), walk)
    np.testing.assert_array_equal(still, 0.0)
    (levels,) = ax.collections
    for path, level in zip(levels.get_paths(), levels.levels, strict=True):
        if len(path.vertices):  # points on a level line are where the objective is that high
            np.testing.assert_allclose((path.vertices**2).sum(axis=1), level, atol=2e-3)
    assert ax.get_xlim()[0] < 0.0 < 2.0 < ax.get_xlim()[1]
    plot.contours(lambda w: float(w @ w), {}, limits=((-1.0, 2.0), (-3.0, 4.0)), ax=ax)
    assert ax.get_xlim() == (-1.0, 2.0) and ax.get_ylim() == (-3.0, 4.0)
    with pytest.raises(ValueError, match=r"walk 'flat' must have shape \(n_iterates, 2\), got \(3,\)"):
        plot.contours(lambda w: 0.0, {"flat": [1.0, 2.0, 3.0]}, ax=ax)


def pictures():
    """One of each kind, in figures of their own."""
    return [
        plot.penalties(L1, L2)[0],
        plot.penalties(*[penalties.Huber(mu) for mu in (0.1, 0.2, 0.3, 0.4, 0.5)])[0],
        plot.shrinkage_walk(penalties.PowerNorm(0.25, separable=True), target=0.25, proximal=True),
        plot.trade_off(L2),
        plot.minimisers(L1, L2),
        plot.contours(lambda w: float(np.abs(w).sum()), {"walk": [[1.0, 1.0], [0.0, 1.0]]}),
    ]


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_nothing_but_the_axes_changes(plt, monkeypatch, style):
    monkeypatch.setattr(plt, "show", lambda *_: pytest.fail("a library shows nothing"))
    with plt.style.context(style):
        mine, (ax, _) = plt.subplots(1, 2)
        before, backend = plt.rcParams.copy(), plt.get_backend()
        figures = [ax.figure for ax in pictures()]
        assert plt.rcParams == before
        assert plt.get_backend() == backend
        assert plt.get_fignums() == [mine.number]
        assert plt.gca() is not ax  # the current axes stay the last ones made
        assert len(set(map(id, figures))) == len(figures)
        for figure in figures:
            figure.savefig(io.BytesIO(), dpi=100)  # a warning is an error
            for drawing in figure.axes:
                assert not drawing.get_title() or assert_within(drawing, drawing.title)
                assert_legend_is_clear(drawing)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_colours_are_seen_on_the_background(plt, style):
    from matplotlib.colors import to_rgb

    with plt.style.context(style):
        for ax in pictures():
            background = np.array(to_rgb(ax.get_facecolor()))
            for line in ax.lines:
                assert np.abs(np.array(to_rgb(line.get_color())) - background).max() > 0.3


def test_wrong_axes(axes):
    with pytest.raises(ValueError, match="axes must hold 2 axes, side by side, got 1"):
        plot.penalties(L1, axes=axes(1))


# --- without matplotlib ---


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.penalties(L1),
        lambda: plot.shrinkage_walk(L1),
        lambda: plot.trade_off(L1),
        lambda: plot.minimisers(L1),
        lambda: plot.contours(lambda w: 0.0, {}),
    ],
    ids=["penalties", "shrinkage_walk", "trade_off", "minimisers", "contours"],
)
def test_missing_matplotlib(monkeypatch, draw):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'matplotlib: pip install "l1fast\[plot\]"'):
        draw()


def test_importing_needs_no_matplotlib():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import l1fast.plot\nfrom l1fast import penalties, plot\nprint(*plot.iterates(penalties.L1(), 1.0, 0.5, 3))"
    )
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["1.0", "0.5", "0.0", "0.0"]


# --- examples ---


@pytest.fixture
def example(plt, monkeypatch, capsys):
    """Runs an example and gives the variables it leaves behind."""
    monkeypatch.setattr(plt, "show", lambda: None)

    def run(name):
        scope = runpy.run_path(str(EXAMPLES / f"plot_{name}.py"))
        assert capsys.readouterr().out
        figures = [plt.figure(number) for number in plt.get_fignums()]
        assert figures
        for figure in figures:
            figure.canvas.draw()
            for ax in figure.axes:
                assert not ax.get_title() or assert_within(ax, ax.title)
                assert_legend_is_clear(ax)
        return scope

    return run


def assert_within(ax, artist):
    """It is not cut off at the edge of the picture; its extent."""
    box, picture = artist.get_window_extent(), ax.figure.bbox
    assert picture.x0 <= box.x0 and box.x1 <= picture.x1 and picture.y0 <= box.y0 and box.y1 <= picture.y1
    return box


def assert_legend_is_clear(ax):
    """A legend lies within the picture, and no curve runs through it."""
    if ax.get_legend() is None:
        return
    box = assert_within(ax, ax.get_legend())
    for x, y in drawn(ax):
        points = ax.transData.transform(np.column_stack((x, y)))
        inside = (points > (box.x0, box.y0)).all(axis=1) & (points < (box.x1, box.y1)).all(axis=1)
        seen = ax.bbox.contains
        assert not any(seen(*point) for point in points[inside])


def test_every_example_is_tested():
    names = {path.stem.removeprefix("plot_") for path in EXAMPLES.glob("plot_*.py")}
    assert names >= {"penalties", "shrinkage_walk", "trade_off", "proximal_walk"}
    files = (Path(__file__).with_name(f"test_{part}.py") for part in ("plot", "displays"))
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    assert all(f'example("{name}")' in source for name in names)


def test_example_selection(example):
    pytest.importorskip("sklearn")
    found = example("selection")
    right, wrong, error = found["right"], found["wrong"], found["error"]
    assert right["CV, minimum"] == 10
    assert wrong["CV, minimum"] > 2 * wrong["CV, 1 SE"]  # prediction takes noise along
    assert error["CV, minimum"] < error["CV, 1 SE"]
    assert wrong["EBIC"] < wrong["BIC"]
    assert wrong["Relaxed"] < wrong["CV, 1 SE"]
    assert found["models"]["Relaxed"].phi_ == 0.0
    assert (right["Stability"], wrong["Stability"]) == (6, 0)
    assert min(error.values()) > 1.0  # the variance of the noise
    stable = found["stable"]
    assert 0.5 < stable.expected_false_positives_ <= 1.0
    assert stable.expected_false_positives_unimodal_ < 0.6 * stable.expected_false_positives_


def test_example_penalties(example):
    found = example("penalties")
    np.testing.assert_array_equal(found["pull_l1"], [-1, -1, -1, 0, 1, 1, 1])
    np.testing.assert_array_equal(found["pull_l2"], [-3, -1, -0.001, 0, 0.001, 1, 3])
    w = np.linspace(-2.0, 2.0, 401)
    size = np.abs(w)
    expected = {
        "Huber, mu = 0.5": np.where(size <= 0.5, size**2, size - 0.25) - size,
        "PseudoHuber, eps = 0.5": np.sqrt(w**2 + 0.25) - size,
        "QuadraticBound, gamma = 1": (size - 1.0) ** 2 / 2,
        "PowerNorm, eps = 0.25": size**1.25 - size,
    }
    assert found["gaps"].keys() == expected.keys() == found["bounds"].keys()
    for name, gap in expected.items():
        np.testing.assert_allclose(found["gaps"][name], gap, atol=1e-12)
        below, above = found["bounds"][name]
        assert (-below, above) == pytest.approx((min(gap.min(), 0.0), gap.max()), abs=1e-6)  # nowhere more, and reached
    np.testing.assert_allclose(found["errors"], [0.5, 0.05, 0.005, 0.0005], rtol=1e-12)
    np.testing.assert_allclose(found["curvatures"], [1.0, 10.0, 100.0, 1000.0], rtol=1e-12)


def test_example_shrinkage_walk(example):
    found = example("shrinkage_walk")
    np.testing.assert_array_equal(found["walk_l1"], [5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0])
    np.testing.assert_array_equal(found["walk_l2"], 5.0 / 2.0 ** np.arange(11))
    np.testing.assert_array_equal(found["forever"][:1001], np.ldexp(5.0, -np.arange(1001)))
    assert found["forever"][-1] == np.nextafter(0.0, 1.0) > 0.0
    np.testing.assert_array_equal(found["one"], [5, 0, 0, 0])
    np.testing.assert_array_equal(found["overshooting"], 5.0 * (-0.5) ** np.arange(11))
    np.testing.assert_array_equal(found["swinging"], 5.0 * (-1.0) ** np.arange(11))
    np.testing.assert_array_equal(found["growing"], [5, -7.5, 11.25, -16.875, 25.3125])
    down = [5, 4.25, 3.5, 2.75, 2, 1.25, 0.5]
    np.testing.assert_array_equal(found["missing"], [*down, -0.25, 0.5, -0.25, 0.5, -0.25, 0.5])
    np.testing.assert_array_equal(found["landing"], [*down, 0, 0, 0, 0, 0, 0])
    assert np.all(found["rounded"] != 0.0)
    assert np.abs(found["rounded"]).min() < 1e-13  # a rounding error, not 0
    assert np.abs(found["rounded"][-2:]).max() == pytest.approx(0.1)
    np.testing.assert_array_equal(found["rounded_proximal"][52:], 0.0)
    np.testing.assert_allclose(found["divided"], 5.0 / 1001.0 ** np.arange(11), rtol=1e-12)


def test_example_trade_off(example):
    found = example("trade_off")
    assert found["minima_l1"] == [0.5, 0.0, 0.0]
    np.testing.assert_allclose(found["minima_l2"], [2 / 3, 1 / 2, 1 / 3], rtol=1e-15)
    # w -> w/2 - 1/8 above 0 and w/2 + 7/8 below it: a round of -7/60, 49/60, 17/60, 1/60
    np.testing.assert_allclose(found["going_round"][-5:-1] * 60, [-7, 49, 17, 1], atol=2e-3)
    np.testing.assert_array_equal(found["landing"], [2, 0.875, 0.3125, 0.03125, *[0.0] * 17])
    np.testing.assert_array_equal(found["shrunk"], [2.0, *[0.375] * 20])
    np.testing.assert_allclose(found["lasso"], [2, 0, 0, -1, 0, 0], atol=1e-6)
    assert np.flatnonzero(found["lasso"]).tolist() == [0, 3]
    np.testing.assert_allclose(found["ridge"], [1.5, -0.125, 0.5, -1, 0.25, 0], atol=1e-6)
    assert np.flatnonzero(found["ridge"]).tolist() == [0, 1, 2, 3, 4]


def test_example_proximal_walk(example):
    found = example("proximal_walk")
    np.testing.assert_allclose(found["solution"].coef, [1.0, 0.0], atol=1e-6)
    assert found["solution"].coef[1] == 0.0
    assert found["solution"].objective == pytest.approx(49 / 32)
    gram, target = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([3.0, 1.25])

    def repeat(move, n_steps):
        points = [np.array([-1.0, 1.5])]
        for _ in range(n_steps):
            points.append(move(points[-1], gram @ points[-1] - target))
        return np.array(points)

    expected = {
        "subgradient": repeat(lambda w, g: w - (g + np.sign(w)) / 3, 60),
        "Huber gradient": repeat(lambda w, g: w - (g + np.clip(w / 0.1, -1, 1)) / 13, 300),
        "proximal": repeat(lambda w, g: soft(w - g / 3, 1 / 3), 60),
    }
    walks = found["walks"]
    assert walks.keys() == expected.keys()
    for name, walk in expected.items():
        np.testing.assert_allclose(walks[name], walk, atol=1e-9)
    proximal = walks["proximal"]
    assert np.all(proximal[1:4, 1] != 0.0) and np.all(proximal[4:, 1] == 0.0)
    np.testing.assert_allclose(proximal[-1], [1.0, 0.0], atol=1e-12)
    second = walks["subgradient"][-20:, 1]
    assert np.all(second[1:] * second[:-1] < 0.0)  # the sign changes with every step
    near = 0.25 / (1.5 + 10.0)
    np.testing.assert_allclose(walks["Huber gradient"][-1], [1.0 - near / 2, near], rtol=1e-9)
    w = np.array([1.0 - near / 2, near])
    height = 0.5 * w @ gram @ w - target @ w + np.abs(w).sum() + 0.5 * (1.0 + 4.0 + 0.0625) - 49 / 32
    assert found["errors"]["Huber gradient"] == pytest.approx(height)
    assert abs(found["errors"]["proximal"]) < 1e-14
    assert found["errors"]["subgradient"] > 0.1
