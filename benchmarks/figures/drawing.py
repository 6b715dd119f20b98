"""Shared parts of the papers' figures: panels, line styles, points with intervals, files."""

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

REFERENCE = {"color": MUTED, "markersize": 4, "linewidth": 1.0, "linestyle": (0, (4, 3))}
"""Style of lines that the paper does not have."""


def style(index: int) -> dict[str, Any]:
    """Colour and marker of the index-th line."""
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    return {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.6}


def panels(titles: Sequence[str], caption: str, height: float = 3.1) -> tuple[Any, list[Any]]:
    """A figure with `caption` below and its panels, one per title, two in a row, all on one scale."""
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    size = 8.8 if columns > 1 else 6.0, height * rows + 0.6
    figure, grid = plt.subplots(rows, columns, figsize=size, dpi=150, layout="constrained", squeeze=False, sharey=True)
    axes = list(grid.flat)
    for unused in axes[len(titles) :]:
        unused.remove()
    for panel, title in zip(axes, titles, strict=False):
        tidy(panel)
        panel.set_title(title, loc="left", fontsize=10, color=INK)
    figure.supxlabel(caption, fontsize=8, color=INK)
    return figure, axes[: len(titles)]


def tidy(axes: Any) -> None:
    """Remove the frame's top and right, and draw a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, length=0, labelsize=8, labelleft=True)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)


def with_errors(values: Sequence[Interval]) -> tuple[np.ndarray, np.ndarray]:
    """Means (n,) of intervals and matplotlib's error bars, distances to the ends (2, n)."""
    mean = np.array([value.mean for value in values])
    return mean, np.abs(np.array([[value.low, value.high] for value in values]).T - mean)


def points(axes: Any, x: Any, values: Sequence[Interval], label: str, shift: float, **look: Any) -> None:
    """Plot means joined by a line, each with its interval, moved sideways by `shift` to keep lines apart."""
    axes.errorbar(np.asarray(x) + shift, *with_errors(values), label=label, capsize=2, elinewidth=1.0, **look)


def band(axes: Any, curve: Curve, label: str, *, count: int, index: int) -> None:
    """Plot mean and range of a curve over trainings; each of `count` lines has its markers at other places."""
    look = style(index)
    if len(curve.values) > 1:
        low, high = curve.values.min(axis=0), curve.values.max(axis=0)
        axes.fill_between(curve.episodes, low, high, color=look["color"], alpha=0.15, linewidth=0)
    every = max(1, len(curve.episodes) // 6)
    axes.plot(curve.episodes, curve.mean, label=label, markevery=(index * every // max(1, count), every), **look)


def legend(figure: Any, axes: Iterable[Any], columns: int = 4) -> None:
    """Draw one legend of the lines of some axes, above all panels."""
    known: dict[str, Any] = {}
    for panel in axes:
        known |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known, loc="outside upper left", ncols=columns, frameon=False, fontsize=8)


def save(figure: Any, folder: Path, name: str, caption: str, svg: bool = False) -> list[Path]:
    """Write NAME.png, and NAME.svg if asked for, with `caption` as metadata; equal figures give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, dict[str, Any]] = {"png": {"Software": None}} | (
        {"svg": {"Date": None, "Creator": None}} if svg else {}
    )
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        for ending, metadata in about.items():
            figure.savefig(folder / f"{name}.{ending}", metadata={"Title": name, "Description": caption, **metadata})
    plt.close(figure)
    return [folder / f"{name}.{ending}" for ending in about]
