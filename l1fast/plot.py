"""Pictures of penalties, of the walks that minimise them, and of what solvers did.

Every function draws into the axes it is given, or into a new figure of its own, and returns the axes. No function shows
a picture, changes a setting of matplotlib or registers a figure with pyplot: `ax.figure.savefig("picture.png")`
writes it, and axes made by `matplotlib.pyplot.subplots` put it into a window. Colours are those of the style in use, dark ones
included. Only drawing needs matplotlib: ``pip install "l1fast[plot]"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

    from l1fast import Comparison

__all__ = ["convergence"]

PANEL = (5.2, 4.0)  # width and height in inches of one panel of a new figure


def _require_matplotlib() -> type[Figure]:
    """The class of figures, or an ImportError that names the extra."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'l1fast.plot draws with matplotlib: pip install "l1fast[plot]" ({error})') from error
    return Figure


def _panels(axes: Sequence[Axes] | None, n_panels: int) -> list[Axes]:
    """The axes given, or those of a new figure with panels side by side."""
    figure = _require_matplotlib()
    if axes is None:
        width, height = PANEL
        made = figure(figsize=(width * n_panels, height), layout="constrained").subplots(1, n_panels, squeeze=False)
        return list(made[0])
    if len(axes) != n_panels:
        raise ValueError(f"axes must hold {n_panels} axes, side by side, got {len(axes)}")
    return list(axes)


def _axes(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure."""
    return _panels(None if ax is None else [ax], 1)[0]


def _foreground(ax: Axes) -> ColorType:
    """The colour of the writing on these axes, for lines that must be seen in light and dark styles."""
    return ax.xaxis.label.get_color()


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
    panels = _panels(axes, len(units))
    looks = {row.name: (f"C{k}", MARKERS[k % len(MARKERS)]) for k, row in enumerate(comparison.rows)}
    for ax, unit in zip(panels, units, strict=True):
        for row in (row for row in comparison.ranked if row.result is not None):
            curve, (colour, marker) = row.curve, looks[row.name]
            amount, gap = getattr(curve, unit), np.maximum(curve.dual_gap, LEAST_GAP)
            there = np.searchsorted(amount, [one for one in getattr(row, f"{unit}_to") if one is not None])
            done = row.status == "converged"
            style: dict[str, Any] = {"color": colour, "marker": marker, "lw": 1.6}
            end = {"markersize": 7, "markerfacecolor": colour if done else "none"}
            ax.plot(amount, gap, drawstyle="steps-post", markersize=4, markevery=there.tolist(), **style)
            ax.plot(amount[-1:], gap[-1:], zorder=3, **style | end | {"linestyle": ""})
            ax.plot([], [], label=row.name if done else f"{row.name} (short of tol)", **style | end)
        ax.set(xscale="log", yscale="log", xlabel=UNITS[unit])
        if comparison.tol > 0.0:
            ax.axhline(comparison.tol, color=_foreground(ax), lw=0.8, ls="--", zorder=1)
            ax.annotate(
                "tol", (0, comparison.tol), (2, 2), xycoords=("axes fraction", "data"), textcoords="offset points"
            )
    panels[0].set_ylabel("relative duality gap")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
    return panels
