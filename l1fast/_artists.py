"""Names at the ends of lines, pushed apart as little as it takes for none to lie on another; ticks that have room.

minimise over heights h:   sum_k (h_k - wanted_k)^2   with h_(k+1) - h_k >= gap,   low <= h_k <= high

The heights less k times the gap must not fall, so that the minimiser is an isotonic regression; with the two ends it
is the same one cut off there. The layout is made anew in every drawing: a name keeps its place when axes are resized,
zoomed or written to a file of another resolution. This module imports matplotlib; `l1fast.plot` imports it to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import Locator, MaxNLocator
from matplotlib.transforms import Bbox, IdentityTransform
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Vector = NDArray[np.float64]

NEAR, STEM, FAR = 2.0, 12.0, 15.0  # points from the edge of the axes: begin and end of the stem, begin of the name
POINTS = 72.0  # in an inch
TICK_ROOM = 0.55  # inches from one tick to the next
SPACING = 1.08  # lines of text, from one name to the next
LONGEST_NAME = 24  # letters; the rest of a longer one is left out


def spread(wanted: Vector, gap: float, low: float, high: float) -> Vector:
    """The heights nearest to those wanted that are at least gap apart and between low and high.

    For heights that fit: (len(wanted) - 1) * gap <= high - low.
    """
    order = np.argsort(wanted, kind="stable")
    shifts = gap * np.arange(len(wanted))
    level = isotonic_regression(wanted[order] - shifts).x
    heights = np.empty(len(wanted))
    heights[order] = np.clip(level, low, high - shifts[-1]) + shifts
    return heights


def shortened(name: str) -> str:
    """The name on one line, at most as long as there is room for."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


class EndLabels(Artist):
    """Names right of the axes, each joined by a stem in the colour of its line to the height where that ends.

    Parameters
    ----------
    ax : axes
    ends : sequence of float
        Where the lines end, in data.
    names : sequence of str
        In falling order of importance: where there is no room for all, the first ones are shown.
    colors : sequence of colours
    fontsize : font size

    Attributes
    ----------
    texts : list of Text
    stems : list of Line2D
    """

    def __init__(
        self, ax: Axes, ends: Sequence[float], names: Sequence[str], colors: Sequence[Any], fontsize: str | float
    ) -> None:
        super().__init__()
        self.set_clip_on(False)
        self.set_zorder(4.0)
        ax.add_artist(self)
        self.ends = np.asarray(ends, dtype=np.float64)
        pixels = IdentityTransform()
        ink: Any = ax.xaxis.label.get_color()
        self.texts = [
            Text(0, 0, shortened(name), color=ink, fontsize=fontsize, va="center", parse_math=False) for name in names
        ]
        self.stems = [Line2D([], [], color=color, linewidth=1.2, solid_capstyle="butt") for color in colors]
        for child in (*self.texts, *self.stems):
            child.set_transform(pixels)
            child.set_clip_on(False)
            child.set_figure(ax.figure)

    def place(self, renderer: Any) -> list[Artist]:
        """Put every name in its place, and return what is to be drawn."""
        axes = self.axes
        if axes is None or not self.texts:
            return []
        edge, low, high = axes.bbox.x1, axes.bbox.y0, axes.bbox.y1
        heights = [text.get_window_extent(renderer).height for text in self.texts]
        gap = SPACING * max(heights)
        n = min(len(self.texts), 1 + int((high - low) / gap)) if gap > 0.0 else len(self.texts)
        points = np.column_stack((np.zeros(n), self.ends[:n]))
        ends = np.clip(axes.transData.transform(points)[:, 1], low, high)
        unit = axes.figure.dpi / POINTS
        for text, stem, end, height in zip(self.texts, self.stems, ends, spread(ends, gap, low, high), strict=False):
            text.set_position((edge + FAR * unit, height))
            stem.set_data([edge + NEAR * unit, edge + STEM * unit], [end, height])
        for k, child in enumerate(self.texts):
            child.set_visible(k < n)
        return [*self.stems[:n], *self.texts[:n]]

    def width(self) -> float:
        """How much room they take, in inches."""
        return float(self.get_window_extent().width / self.axes.figure.dpi) if self.axes is not None else 0.0

    def draw(self, renderer: Any) -> None:
        """Draw names and stems."""
        if self.get_visible():
            for child in self.place(renderer):
                child.draw(renderer)
        self.stale = False

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box around all of it, in pixels."""
        boxes = [child.get_window_extent(renderer) for child in self.place(renderer)]
        return Bbox.union(boxes) if boxes else Bbox.null()

    def get_tightbbox(self, renderer: Any = None) -> Bbox:
        """The same: nothing of it is cut off at the axes."""
        return self.get_window_extent(renderer)


class StrengthTicks(Locator):
    """Major ticks of a logarithmic axis: at 1, 2 and 5 in each decade, or at powers of ten, as there is room."""

    def __call__(self) -> list[float]:
        """Ticks for what is in view."""
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Ticks in a range."""
        low, high = sorted((vmin, vmax))
        axes = getattr(self.axis, "axes", None)
        if axes is None or not 0.0 < low < high:
            return []
        width, decades = axes.bbox.width / axes.figure.dpi, math.log10(high / low)
        if width * math.log10(2.0) >= TICK_ROOM * decades:
            found = multiples(low, high, (1, 2, 5))
        else:
            powers = multiples(low, high, (1,))
            found = powers[:: max(1, math.ceil(len(powers) * TICK_ROOM / width))] if width > 0.0 else powers
        if len(found) < 2:
            found = multiples(low, high, range(1, 10))
            found = [found[0], found[-1]] if len(found) > 1 else []
        if not found:
            found = [value for value in MaxNLocator(3).tick_values(low, high) if low <= value <= high]
        return found


def multiples(low: float, high: float, digits: Sequence[int]) -> list[float]:
    """The digits times powers of ten that are in a range."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = (float(f"{digit}e{power}") for power in powers for digit in digits)
    return [value for value in values if low <= value <= high]
