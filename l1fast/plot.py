"""Pictures of penalties, of the walks that minimise them, and of what solvers did.

Every function draws into the axes it is given, or into a new figure of its own, and returns the axes. No function shows
a picture, changes a setting of matplotlib or registers a figure with pyplot: `ax.figure.savefig("picture.png")`
writes it, and axes made by `matplotlib.pyplot.subplots` put it into a window. Colours are those of the style in use, dark ones
included. Only drawing needs matplotlib: ``pip install "l1fast[plot]"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

__all__: list[str] = []

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
