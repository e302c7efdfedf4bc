"""What every picture needs: matplotlib or a clear word about it, axes, and the colours of the style in use.

Nothing here imports matplotlib before it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

PANEL = (5.2, 4.0)  # width and height in inches of one panel of a new figure


def require_matplotlib() -> type[Figure]:
    """The class of figures, or an ImportError that names the extra."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'l1fast.plot draws with matplotlib: pip install "l1fast[plot]" ({error})') from error
    return Figure


def panels_of(axes: Sequence[Axes] | None, n_panels: int) -> list[Axes]:
    """The axes given, or those of a new figure, which pyplot does not know, with panels side by side."""
    figure_class = require_matplotlib()
    if axes is None:
        width, height = PANEL
        figure = figure_class(figsize=(width * n_panels, height), layout="constrained")
        return list(figure.subplots(1, n_panels, squeeze=False)[0])
    if len(axes) != n_panels:
        raise ValueError(f"axes must hold {n_panels} axes, side by side, got {len(axes)}")
    return list(axes)


def axes_of(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure."""
    return panels_of(None if ax is None else [ax], 1)[0]


def foreground(ax: Axes) -> ColorType:
    """The colour of the writing on these axes, for lines that must be seen in light and dark styles."""
    return ax.xaxis.label.get_color()


def root_figure(ax: Axes) -> Figure:
    """The figure that the axes are in, themselves or as part of a subfigure."""
    figure = ax.figure
    return figure if isinstance(figure, require_matplotlib()) else figure.figure
