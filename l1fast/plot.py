"""Pictures of penalties, of the walks that minimise them, of what solvers did, of paths and of cross-validation.

Every function draws into the axes it is given, or into a new figure of its own, and returns the axes; so does ``plot``
of the displays, which are objects that hold what they show. None of them shows a picture, changes a setting of
matplotlib or registers a figure with pyplot: `ax.figure.savefig("picture.png")` writes it, and axes made by
`matplotlib.pyplot.subplots` put it into a window. Colours are those of the style in use, dark ones included. Only
drawing needs matplotlib: ``pip install "l1fast[plot]"``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l1fast._displays import CVDisplay, LassoPathDisplay
from l1fast._figures import axes_of, foreground, panels_of, require_matplotlib
from l1fast._validation import as_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from l1fast import Comparison
    from l1fast.penalties import Penalty

__all__ = [
    "CVDisplay",
    "LassoPathDisplay",
    "contours",
    "convergence",
    "iterates",
    "minimisers",
    "penalties",
    "shrinkage_walk",
    "trade_off",
]

Vector = NDArray[np.float64]

HALF_GRID = 250  # points of a curve on either side of 0, which is always one of them
CONTOUR_GRID = 101  # points in each direction
LEVELS = 14
MARGIN = 0.12  # of the range shown, beyond the points in it
SHORTEST_HOP = 0.02  # of the range shown: what is shorter gets no arrow
LEGEND_WIDTH = 2.5  # inches
RING, RING_GROWTH = 5.0, 3.5  # points: diameter of the first ring, and how much larger each next one is
HOP = 0.25  # height of an arrow above its chord, in lengths of the chord
LINE_STYLES = ("-", "--", "-.", ":")  # curves that lie on each other stay visible
CORNER = (4, 20)  # rows, and letters in each, of a legend that fits a free quarter of a panel; others go beside it


def _zero_line(ax: Axes, *, vertical: bool = False) -> None:
    """A thin line at 0, behind everything."""
    (ax.axvline if vertical else ax.axhline)(0.0, color=foreground(ax), linewidth=0.8, alpha=0.5, zorder=0.5)


def _corner_legend(ax: Axes, *, grow: bool) -> None:
    """A legend in the upper left corner, or beside the axes if it is too large for that; the figure may grow for it."""
    labels = ax.get_legend_handles_labels()[1]
    rows, letters = CORNER
    if len(labels) <= rows and all(len(label) <= letters for label in labels):
        ax.legend(loc="upper left", fontsize="small")
        return
    ax.legend(loc="upper left", fontsize="small", bbox_to_anchor=(1.0, 1.0))
    figure = ax.figure
    if grow and isinstance(figure, require_matplotlib()):
        figure.set_figwidth(figure.get_figwidth() + LEGEND_WIDTH)


def _grid(low: float, high: float) -> Vector:
    """Points from low < 0 to high > 0, with 0 among them."""
    return np.concatenate((np.linspace(low, 0.0, HALF_GRID, endpoint=False), np.linspace(0.0, high, HALF_GRID + 1)))


def _label(penalty: object) -> str:
    """The name of a penalty with those of its numbers that are not the default."""
    words = []
    for field in dataclasses.fields(penalty) if dataclasses.is_dataclass(penalty) else ():
        value = getattr(penalty, field.name)
        if field.default is dataclasses.MISSING or not np.array_equal(value, field.default):
            words.append(f"{field.name}={value}")
    return type(penalty).__name__ + (f"({', '.join(words)})" if words else "")


def _values(penalty: Penalty, points: Vector) -> Vector:
    """The penalty of one coefficient at every point."""
    return np.array([penalty.value(np.array([point])) for point in points])


def _slopes(penalty: Penalty, points: Vector) -> Vector:
    """The subgradient of one coefficient at every point."""
    return np.array([penalty.subgradient(np.array([point]))[0] for point in points])


def _minima(penalty: Penalty, targets: Vector, lam: float) -> Vector:
    """The minimiser of 1/2 (w - target)^2 + lam * penalty(w) for every target."""
    return np.array([penalty.prox(np.array([target]), lam)[0] for target in targets])


def iterates(
    penalty: Penalty,
    start: ArrayLike,
    step: float,
    n_steps: int,
    *,
    lam: float = 1.0,
    gradient: Callable[[Vector], ArrayLike] | None = None,
    proximal: bool = False,
) -> Vector:
    """n_steps steps of fixed length on f(w) + lam * penalty(w), one row for each iterate.

        w_(k+1) = w_k - step * (grad f(w_k) + lam * g_k),  g_k the subgradient of least norm of the penalty at w_k
        w_(k+1) = prox_(step * lam)(w_k - step * grad f(w_k))  if proximal

    Plain NumPy, for pictures and for trying things out; it knows no stopping rule. `l1fast.solve` solves problems.

    Parameters
    ----------
    penalty : an object of `l1fast.penalties`
    start : float, or array-like of shape (n_features,)
        w_0.
    step : float
        Above 0; the walk shows what a step that is too long does.
    n_steps : int
    lam : float
        Strength of the penalty.
    gradient : callable, optional
        grad f, from w of shape (n_features,) to the same shape; f = 0 if left out.
    proximal : bool
        Proximal steps in place of (sub)gradient steps.

    Returns
    -------
    ndarray of float64, shape (n_steps + 1,) or (n_steps + 1, n_features)
        w_0, w_1, ... The shape has no features if start is a number.

    Raises
    ------
    ValueError, TypeError
        n_steps is not an integer of at least 0.

    Examples
    --------
    >>> from l1fast import penalties, plot
    >>> plot.iterates(penalties.L1(), 2.0, 0.5, 5)
    array([2. , 1.5, 1. , 0.5, 0. , 0. ])
    >>> plot.iterates(penalties.L2(), 2.0, 0.5, 5)
    array([2.    , 1.    , 0.5   , 0.25  , 0.125 , 0.0625])
    """
    w = np.array(start, dtype=np.float64)
    walk = np.empty((as_count("n_steps", n_steps) + 1, w.size))
    walk[0] = w.reshape(-1)
    for k in range(len(walk) - 1):
        w_k = walk[k]
        slope = np.zeros_like(w_k) if gradient is None else np.asarray(gradient(w_k), dtype=np.float64)
        if proximal:
            walk[k + 1] = penalty.prox(w_k - step * slope, step * lam)
        else:
            walk[k + 1] = w_k - step * (slope + lam * penalty.subgradient(w_k))
    return walk.reshape(-1, *w.shape)


def penalties(*penalties: Penalty, span: float = 2.0, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw penalties of one coefficient w, and their derivatives beside them.

    Where a penalty has a kink at 0, its derivative jumps; the thick line there is the subdifferential, the slopes of
    all lines through the kink that nowhere lie above the penalty, and the dot the one of them nearest 0.

    Parameters
    ----------
    *penalties : objects of `l1fast.penalties`
    span : float
        w runs from -span to span.
    axes : sequence of two axes, optional
        For the values and for the derivatives; a new figure if left out.

    Returns
    -------
    list of two axes
    """
    value_ax, slope_ax = panels_of(axes, 2)
    w = _grid(-span, span)
    below, above = w[w < 0.0], w[w > 0.0]
    nearest = float(np.finfo(np.float64).tiny)
    kinks = []
    for k, penalty in enumerate(penalties):
        style = LINE_STYLES[k % len(LINE_STYLES)]
        (line,) = value_ax.plot(w, _values(penalty, w), style, label=_label(penalty))
        color = line.get_color()
        at_zero = _slopes(penalty, np.array([-nearest, 0.0, nearest]))
        if penalty.smooth or at_zero[0] == at_zero[2]:
            slope_ax.plot(w, _slopes(penalty, w), style, color=color, label=_label(penalty))
            continue
        sides = np.concatenate((below, [-nearest, np.nan, nearest], above))  # the curve is broken at 0
        slopes = np.concatenate((_slopes(penalty, below), at_zero, _slopes(penalty, above)))
        slope_ax.plot(sides, slopes, style, color=color, label=_label(penalty))
        slope_ax.plot([0.0, 0.0], at_zero[[0, 2]], color=color, linewidth=5.0, alpha=0.4, solid_capstyle="butt")
        slope_ax.plot([0.0], at_zero[[1]], "o", markersize=5.0, color=color)
        kinks.append(at_zero[0])
    if kinks:
        slope_ax.annotate(
            "subdifferential\nat 0",
            xy=(0.0, 0.6 * min(kinks)),
            xytext=(0.62, 0.2),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "->", "color": foreground(slope_ax)},
        )
    for ax, name in ((value_ax, "penalty"), (slope_ax, "derivative")):
        _zero_line(ax)
        _zero_line(ax, vertical=True)
        ax.set_xlabel("w")
        ax.set_ylabel(name)
    _corner_legend(slope_ax, grow=axes is None)  # derivatives of convex functions stay out of this corner
    return [value_ax, slope_ax]


def shrinkage_walk(
    penalty: Penalty,
    start: float = 5.0,
    step: float = 0.5,
    n_steps: int = 10,
    *,
    lam: float = 1.0,
    target: float | None = None,
    proximal: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how (sub)gradient or proximal steps walk down a penalty of one coefficient.

    The curve is lam * penalty(w), with 1/2 (w - target)^2 added if there is a target. The points are those of
    `iterates`; the title tells where the walk ends, and from which step on it is exactly 0.

    Parameters
    ----------
    penalty : an object of `l1fast.penalties`
    start, step, n_steps, lam, proximal
        As in `iterates`.
    target : float, optional
        What the data ask for.
    ax : axes, optional
        A new figure if left out.

    Returns
    -------
    axes
    """
    ax = axes_of(ax)
    gradient = None if target is None else lambda w: w - target
    walk = iterates(penalty, start, step, n_steps, lam=lam, gradient=gradient, proximal=proximal)

    def objective(points: Vector) -> Vector:
        loss = 0.0 if target is None else 0.5 * (points - target) ** 2
        return np.asarray(lam * _values(penalty, points) + loss)

    low, high = min(walk.min(), 0.0), max(walk.max(), 0.0)
    reach = (high - low) or 1.0
    margin = MARGIN * reach
    w = _grid(low - margin, high + margin)
    heights = objective(walk)
    ax.plot(w, objective(w), label=_label(penalty))
    (points,) = ax.plot(walk, heights, "o", markersize=5.0, label="iterates")
    for k in np.flatnonzero(np.abs(np.diff(walk)) > SHORTEST_HOP * reach):
        ax.annotate(
            "",
            xy=(walk[k + 1], heights[k + 1]),
            xytext=(walk[k], heights[k]),
            arrowprops={
                "arrowstyle": "->",
                "color": points.get_color(),
                "connectionstyle": f"arc3,rad={HOP if walk[k + 1] < walk[k] else -HOP}",  # above the curve
            },
        )
    _zero_line(ax, vertical=True)
    ax.set_xlabel("w")
    ax.set_ylabel("penalty" if target is None else "objective")
    data = "" if target is None else f", target {target:g}"
    steps = f"{'proximal ' * proximal}step {step:g}"
    ax.set_title(f"{_label(penalty)}{data}\n{steps}: {_ending(walk)}", fontsize="medium")
    return ax


def _ending(walk: Vector) -> str:
    """Where a walk of one coefficient ends, in words."""
    moving = np.flatnonzero(walk)
    first_zero = moving[-1] + 1 if moving.size else 0
    if first_zero < len(walk):
        return f"exactly 0 from step {first_zero} on"
    return f"{walk[-1]:.4g} after {len(walk) - 1} steps"


def trade_off(
    penalty: Penalty,
    target: float = 1.0,
    lams: Sequence[float] = (0.0, 0.5, 1.0, 2.0),
    *,
    span: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw 1/2 (w - target)^2 + lam * penalty(w) for several lam, with the minimiser of each, prox_lam(target).

    Parameters
    ----------
    penalty : an object of `l1fast.penalties`
    target : float
        What the data ask for.
    lams : sequence of float
        Strengths of the penalty.
    span : float, optional
        w runs from -span to span; 1.5 times the target, and at least 1, if left out.
    ax : axes, optional
        A new figure if left out.

    Returns
    -------
    axes
    """
    ax = axes_of(ax)
    span = max(1.5 * abs(target), 1.0) if span is None else span
    w = _grid(-span, span)
    values = _values(penalty, w)
    for k, lam in enumerate(lams):
        (minimum,) = _minima(penalty, np.array([target]), lam) if lam > 0.0 else (target,)
        (line,) = ax.plot(w, 0.5 * (w - target) ** 2 + lam * values, label=f"lam = {lam:g}: minimum at {minimum:.4g}")
        height = 0.5 * (minimum - target) ** 2 + lam * penalty.value(np.array([minimum]))
        size = RING + RING_GROWTH * k  # rings around each other where minima meet
        ax.plot(
            [minimum], [height], "o", markersize=size, fillstyle="none", markeredgewidth=2.0, color=line.get_color()
        )
    _zero_line(ax, vertical=True)
    ax.set_xlabel("w")
    ax.set_ylabel("objective")
    ax.set_title(f"1/2 (w - {target:g})\N{SUPERSCRIPT TWO} + lam {_label(penalty)}")
    ax.legend()
    return ax


def minimisers(*penalties: Penalty, lam: float = 1.0, span: float = 3.0, ax: Axes | None = None) -> Axes:
    """Draw the minimiser of 1/2 (w - target)^2 + lam * penalty(w), prox_lam(target), against the target.

    Parameters
    ----------
    *penalties : objects of `l1fast.penalties`
    lam : float
        Strength of the penalty.
    span : float
        The target runs from -span to span.
    ax : axes, optional
        A new figure if left out.

    Returns
    -------
    axes
    """
    own_figure = ax is None
    ax = axes_of(ax)
    targets = _grid(-span, span)
    for k, penalty in enumerate(penalties):
        style = LINE_STYLES[k % len(LINE_STYLES)]
        ax.plot(targets, _minima(penalty, targets, lam), style, label=_label(penalty))
    ax.plot(targets, targets, color=foreground(ax), linewidth=0.8, alpha=0.6, label="no penalty")
    _zero_line(ax)
    _zero_line(ax, vertical=True)
    ax.set_xlabel("target")
    ax.set_ylabel(f"minimiser, lam = {lam:g}")
    _corner_legend(ax, grow=own_figure)  # what lies between 0 and the target stays out of this corner
    return ax


def contours(
    objective: Callable[[Vector], float],
    walks: Mapping[str, ArrayLike],
    *,
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the level lines of an objective of two coefficients, and walks across them.

    Parameters
    ----------
    objective : callable
        From w of shape (2,) to a float.
    walks : mapping of str to array-like of shape (n_iterates, 2)
        Iterates and their name: those of `iterates`, or of a solver.
    limits : ((low, high), (low, high)), optional
        What to show of the first and of the second coefficient; all walks and 0 if left out.
    ax : axes, optional
        A new figure if left out.

    Returns
    -------
    axes
    """
    ax = axes_of(ax)
    paths = {name: np.asarray(walk, dtype=np.float64) for name, walk in walks.items()}
    for name, path in paths.items():
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(f"walk {name!r} must have shape (n_iterates, 2), got {path.shape}")
    if limits is None:
        points = np.concatenate([np.zeros((1, 2)), *paths.values()])
        lows, highs = points.min(axis=0), points.max(axis=0)
        margins = MARGIN * np.where(highs > lows, highs - lows, 1.0)
        limits = ((lows[0] - margins[0], highs[0] + margins[0]), (lows[1] - margins[1], highs[1] + margins[1]))
    first, second = (np.linspace(low, high, CONTOUR_GRID) for low, high in limits)
    heights = np.array([[objective(np.array([x, y])) for x in first] for y in second])
    lowest, highest = heights.min(), heights.max()
    levels = lowest + (highest - lowest) * np.linspace(0.0, 1.0, LEVELS + 1)[1:] ** 2  # even rings on a quadratic
    ax.contour(first, second, heights, levels=levels, colors=[foreground(ax)], linewidths=0.7, alpha=0.35)
    _zero_line(ax)
    _zero_line(ax, vertical=True)
    for name, path in paths.items():
        ax.plot(path[:, 0], path[:, 1], "o-", markersize=3.5, linewidth=1.2, label=name)
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])
    ax.set_xlabel("first coefficient")
    ax.set_ylabel("second coefficient")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=max(len(paths), 1), frameon=False)
    return ax


# ---------------------------------------------------------------- what solvers did

UNITS = {"seconds": "seconds", "passes": "passes over X"}
MARKERS = "osD^vP*XHp<>d8h"  # more than there are solvers; told apart where colours are not
LEAST_GAP = float(np.finfo(np.float64).eps)  # a gap of 0 has no place on a logarithmic axis


def convergence(
    comparison: Comparison, *, against: Literal["seconds", "passes"] | None = None, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """The best gap so far of every solver of a `Comparison`, against time and against passes over X.

    Parameters
    ----------
    comparison : Comparison
    against : {"seconds", "passes"}, optional
        One panel in place of the two.
    axes : sequence of Axes, optional
        As many as there are panels. Default: those of a new figure.

    Returns
    -------
    list of Axes

    Notes
    -----
    A line falls where a check saw a smaller gap, small markers show where it passed the levels of the comparison, and
    it ends with the certified gap of the answer: in a filled marker where that is at most tol, else in an open one.
    The legend beside the last panel has the fastest solver first; colours follow the order of ``comparison.rows``.
    """
    if against is not None and against not in UNITS:
        raise ValueError(f"against is {against!r}; choose 'seconds', 'passes' or None for both")
    units = list(UNITS) if against is None else [against]
    panels = panels_of(axes, len(units))
    looks = {row.name: (f"C{k}", MARKERS[k % len(MARKERS)]) for k, row in enumerate(comparison.rows)}
    for ax, unit in zip(panels, units, strict=True):
        for row in (row for row in comparison.ranked if row.result is not None):
            curve, (colour, marker) = row.curve, looks[row.name]
            amount, gap = getattr(curve, unit), np.maximum(curve.dual_gap, LEAST_GAP)
            there = np.searchsorted(curve.seconds, [one for one in row.seconds_to if one is not None])
            done = row.status == "converged"
            style: dict[str, Any] = {"color": colour, "marker": marker, "lw": 1.6}
            end = {"markersize": 7, "markerfacecolor": colour if done else "none"}
            ax.plot(amount, gap, drawstyle="steps-post", markersize=4, markevery=there.tolist(), **style)
            ax.plot(amount[-1:], gap[-1:], zorder=3, **style | end | {"linestyle": ""})
            ax.plot([], [], label=row.name if done else f"{row.name} (short of tol)", **style | end)
        ax.set(xscale="log", yscale="log", xlabel=UNITS[unit])
        if comparison.tol > 0.0:
            ax.axhline(comparison.tol, color=foreground(ax), lw=0.8, ls="--", zorder=1)
            ax.annotate(
                "tol", (0, comparison.tol), (2, 2), xycoords=("axes fraction", "data"), textcoords="offset points"
            )
    panels[0].set_ylabel("relative duality gap")
    panels[-1].legend(loc="upper left", fontsize="small", bbox_to_anchor=(1.0, 1.0))
    figure = panels[-1].figure
    if axes is None and isinstance(figure, require_matplotlib()):
        figure.set_figwidth(figure.get_figwidth() + LEGEND_WIDTH)
    return panels
