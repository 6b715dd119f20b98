"""What the papers' figures have in common: panels, lines that colour and marker tell apart, and files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.figures.grid import Curve
from benchmarks.plotting import GRID, INK, MUTED, plt
from benchmarks.statistics import Interval
from benchmarks.suites.curves import COLOURS

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def style(index: int) -> dict[str, Any]:
    """Colour and marker of the index-th line."""
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    return {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.6}


REFERENCE = {"color": MUTED, "markersize": 4, "linewidth": 1.0, "linestyle": (0, (4, 3))}
"""Of lines that the paper has not."""


def panels(titles: Sequence[str], caption: str, *, columns: int = 2, height: float = 3.1) -> tuple[Any, list[Any]]:
    """A figure with one panel a title, all of one scale, and the axes in order; `caption` stands below."""
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    width = 4.4 * columns if columns > 1 else 6.0
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height * rows + 0.6), dpi=150, layout="constrained", squeeze=False, sharey=True
    )
    axes = list(grid.flat)
    for unused in axes[len(titles) :]:
        unused.remove()
    for panel, title in zip(axes, titles, strict=False):
        tidy(panel)
        panel.set_title(title, loc="left", fontsize=10, color=INK)
    figure.supxlabel(caption, fontsize=8, color=INK)
    return figure, axes[: len(titles)]


def tidy(axes: Any) -> None:
    """The look of an axes: no frame on top and right, a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, length=0, labelsize=8, labelleft=True)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)


def points(axes: Any, x: Any, values: Sequence[Interval], label: str, shift: float, **look: Any) -> None:
    """Means joined by a line, each with its interval; `shift` moves it sideways, clear of other lines."""
    mean = np.array([value.mean for value in values])
    spread = np.abs(np.array([[value.low, value.high] for value in values]).T - mean)
    axes.errorbar(np.asarray(x) + shift, mean, spread, label=label, capsize=2, elinewidth=1.0, **look)


def band(axes: Any, curve: Curve, label: str, *, count: int, index: int) -> None:
    """Mean of a curve over trainings, and their range; marked some times, each line at places of its own."""
    look = style(index)
    if len(curve.values) > 1:
        low, high = curve.values.min(axis=0), curve.values.max(axis=0)
        axes.fill_between(curve.episodes, low, high, color=look["color"], alpha=0.15, linewidth=0)
    every = max(1, len(curve.episodes) // 6)
    start = index * every // max(1, count)
    axes.plot(curve.episodes, curve.mean, label=label, markevery=(start, every), **look)


def legend(figure: Any, axes: Iterable[Any], columns: int = 4) -> None:
    """One legend of the lines of some axes, above all panels."""
    known: dict[str, Any] = {}
    for panel in axes:
        known |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known, loc="outside upper left", ncols=columns, frameon=False, fontsize=8)


def save(figure: Any, folder: Path, name: str, caption: str, svg: bool = False) -> list[Path]:
    """Write NAME.png, and NAME.svg if asked for, the same bytes for the same figure; `caption` goes into both."""
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, dict[str, Any]] = {"png": {"Title": name, "Description": caption, "Software": None}}
    if svg:
        about["svg"] = {"Title": name, "Description": caption, "Date": None, "Creator": None}
    written = []
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        for ending, metadata in about.items():
            written.append(folder / f"{name}.{ending}")
            figure.savefig(written[-1], metadata=metadata)
    plt.close(figure)
    return written
