"""Gap against time: one PNG a problem, a panel a strength, a peer in the rungs of its ladder.

The line of a peer goes through the rungs that no other of its rungs beats in both time and gap.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import peers
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

mpl.use("Agg")

SMALLEST = 1e-16  # a gap of zero, or below by rounding, is drawn here
MARKERS = "osD^v<>"  # 7 markers and 10 colours: no two peers look alike
DOTS_PER_INCH = 110


def draw(tables: dict[str, list[dict]], folder: Path) -> None:
    """From the rows of the JSON: every row with a peer and points, by problem; those of paths in a figure each."""
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[float, dict[str, list[tuple[float, float]]]]] = {}
    for row in (row for rows in tables.values() for row in rows if row.get("points")):
        for point in row["points"]:
            name = row.get("problem") or f"path-{point['problem']}"
            lines = figures.setdefault(name, {}).setdefault(point["r"], {})
            lines.setdefault(row["peer"], []).append((point["seconds"], max(point["gap"], SMALLEST)))
    for name, panels in figures.items():
        figure(name, panels).savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH)
        plt.close("all")


def figure(name: str, panels: dict[float, dict[str, list[tuple[float, float]]]]) -> plt.Figure:
    strengths = sorted(panels, reverse=True)
    path = name.startswith("path-")
    fig, axes = plt.subplots(
        1, len(strengths), figsize=(3 + 4.5 * len(strengths), 5.5), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, r in zip(axes[0], strengths, strict=True):
        for peer, points in panels[r].items():
            look = style(peer)
            ax.loglog(*zip(*points, strict=True), look["marker"], color=look["color"], markersize=2.5, alpha=0.35)
            ax.loglog(*zip(*unbeaten(points), strict=True), label=peer, **look)
        ax.grid(visible=True, which="major", alpha=0.3)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", labelsize="small", labelrotation=30)
        ax.set_xlabel("seconds")
        ax.set_title("whole path" if path else f"lam = {r:g} lam_max")
    axes[0, 0].set_ylabel("largest relative gap" if path else "relative gap")
    handles = {}
    for ax in axes[0]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    order = [peer for peer in peers.ALL if peer in handles]
    fig.legend([handles[peer] for peer in order], order, loc="outside right center", frameon=False)
    fig.suptitle(name.removeprefix("path-"))
    return fig


def unbeaten(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those in order of time whose gap is below every gap before."""
    best, chosen = math.inf, []
    for seconds, gap in sorted(points):
        if gap < best:
            best = gap
            chosen.append((seconds, gap))
    return chosen


def style(peer: str) -> dict:
    """The same colour and marker for a peer in every figure; l1fast in black, above the others."""
    place = list(peers.ALL).index(peer)
    look = {"marker": MARKERS[place % len(MARKERS)], "markersize": 4, "linewidth": 1.2}
    if peer in peers.OURS:
        dash = "-" if place == 0 else "--"
        return look | {"color": "black", "linewidth": 2.4, "linestyle": dash, "zorder": 3}
    colours = mpl.colormaps["tab10"].colors
    return look | {"color": colours[place % len(colours)], "linestyle": ("-", "--")[place // len(colours)]}
