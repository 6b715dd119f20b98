"""SVG plots of a report, narrow enough for a phone: scores, their spread over episodes, and learning curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.ticker import EngFormatter, MaxNLocator

from benchmarks.figures.drawing import style, tidy
from benchmarks.plotting import ACCENT, GRID, INK, MUTED, plt
from benchmarks.statistics import Interval
from benchmarks.suites.curves import scores_at, smoothed

WIDTH = 4.2
"""Width in inches that a phone shows without shrinking letters."""


def svg(figure: Any, name: str) -> bytes:
    """Render a figure as SVG with selectable text; equal figures have equal bytes."""
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    plt.close(figure)
    return file.getvalue()


def _lines(agents: Sequence[str]) -> tuple[Any, Any]:
    """Axes with one row per agent, the first on top."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.28 * len(agents)), layout="constrained")
    tidy(axes)
    axes.grid(False, axis="y")
    axes.grid(axis="x", color=GRID)
    axes.set(yticks=range(len(agents)), ylim=(len(agents) - 0.4, -0.6))
    axes.set_yticklabels(agents)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure, axes


def _least(values: Sequence[float]) -> float:
    """Lowest value that is drawn to scale; those far below are printed as numbers, so that the rest keeps its scale."""
    best, low = max(values), float(np.quantile(values, 0.25))
    return min(value for value in values if value >= best - 3.0 * (best - low))


def _limit(axes: Any, low: float, high: float) -> None:
    room = 0.06 * (high - low or 1.0)
    axes.set_xlim(low - room, high + room)


def _below(axes: Any, y: int, value: float) -> None:
    """Print a value at the left edge of the axes."""
    axes.annotate(f"◂ {value:.4f}", (0, y), (2, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=8)


def scores(found: Mapping[str, Interval], learned: Sequence[str], bound: float | None) -> Any:
    """Plot mean scores with intervals, best on top; learners in colour, a bound as a dashed line."""
    figure, axes = _lines(list(found))
    worst = _least([value.mean for value in found.values()])
    shown = [value for value in found.values() if value.mean >= worst]
    high = max(value.high for value in shown)
    _limit(axes, min(value.low for value in shown), high if bound is None else max(high, bound))
    for y, (agent, value) in enumerate(found.items()):
        colour = ACCENT if agent in learned else INK
        if value.mean < worst:
            _below(axes, y, value.mean)
            continue
        axes.plot([value.low, value.high], [y, y], color=colour, linewidth=2.0, solid_capstyle="round")
        axes.plot(value.mean, y, "o", color=colour, markersize=5)
    if bound is not None:
        axes.axvline(bound, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_xlabel("score a slot", fontsize=9)
    return figure


def spread(found: Mapping[str, np.ndarray], learned: Sequence[str]) -> Any:
    """Plot the spread of episode scores: middle half as a box, nine tenths as whiskers, the median as a line."""
    figure, axes = _lines(list(found))
    medians = [float(np.median(values)) for values in found.values()]
    worst = _least(medians)
    shown = [values for values, median in zip(found.values(), medians, strict=True) if median >= worst]
    _limit(axes, min(np.quantile(v, 0.05) for v in shown), max(np.quantile(v, 0.95) for v in shown))
    for y, (agent, values) in enumerate(found.items()):
        colour = ACCENT if agent in learned else INK
        if medians[y] < worst:
            _below(axes, y, medians[y])
            continue
        ends = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        axes.plot(ends[[0, 4]], [y, y], color=colour, linewidth=1.0)
        axes.barh(y, ends[3] - ends[1], 0.5, ends[1], color=colour, alpha=0.3, linewidth=0)
        axes.plot([ends[2]] * 2, [y - 0.3, y + 0.3], color=colour, linewidth=2.0)
    axes.set_xlabel("score of an episode", fontsize=9)
    return figure


def curves(found: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], levels: Mapping[str, float]) -> Any:
    """Plot scores of exploring learners over their steps, mean and range over trainings, with heuristics' levels."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9), layout="constrained")
    tidy(axes)
    shown = list(levels.values())
    for index, (agent, trainings) in enumerate(found.items()):
        steps = np.linspace(max(c[0]["steps"] for c in trainings), min(c[-1]["steps"] for c in trainings), 40)
        values = np.array([scores_at(steps, smoothed(curve)) for curve in trainings])
        look = style(index)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(steps, values.mean(axis=0), label=agent, markevery=(2 * index, 8), **look)
        shown += [float(values.mean(axis=0)[len(steps) // 6]), float(values.max())]
    low, high = min(shown), max(shown)
    room = 0.1 * (high - low or 1.0)
    placed = low - room
    for name, level in sorted(levels.items(), key=lambda item: item[1]):
        axes.axhline(level, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        placed = max(level, placed + 0.055 * (high - low + 2.0 * room))  # names one above the other
        axes.annotate(name, (0.0, placed), (3, 2), ("axes fraction", "data"), "offset points", fontsize=7)
    axes.set(ylim=(low - room, high + room))
    axes.set_xlabel("environment steps", fontsize=9)
    axes.set_ylabel("score a slot, exploring", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    return figure
