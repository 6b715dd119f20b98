"""Learning curves of a suite: scores of the exploring policies over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter, MaxNLocator

from benchmarks.plotting import GRID, INK, MUTED, plt
from benchmarks.suites.suite import Cell

WIDE = 4
"""Most panels in a row."""

WINDOW = 5
"""Points in a moving average: a rollout has few episodes, and some are harder than others."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def curves(
    path: Path, cells: Sequence[Cell], trainings: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Plot every learner's smoothed mean and range over training seeds and the references' scores, a panel per cell."""
    cells = [cell for cell in cells if any(cell.holds(training) for training in trainings)]
    wide = min(len(cells), WIDE)
    high = -(-len(cells) // wide)
    size = 1.5 + 4.6 * wide, 4.2 * high
    figure, panels = plt.subplots(high, wide, figsize=size, dpi=150, layout="constrained", squeeze=False)
    for axes in panels.flat[len(cells) :]:
        axes.remove()
    for axes, cell in zip(panels.flat, cells, strict=False):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, length=0)
        shown: list[float] = []
        for colour, training in zip(COLOURS, cell.trainings, strict=False):
            own = [t["curve"] for t in trainings if t["agent"] == training.label and cell.holds(t)]
            scored = [points for curve in own if (points := [p for p in curve if "score" in p])]
            if not scored:
                continue
            first, last = (min(curve[end]["steps"] for curve in scored) for end in (0, -1))
            steps = np.linspace(first, last, 50)
            scores = np.array([scores_at(steps, smoothed(curve)) for curve in scored])
            low, high, mean = (f(scores, axis=0) for f in (np.nanmin, np.nanmax, np.nanmean))
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(steps, mean, color=colour, linewidth=2.0, label=f"{training.label}, exploring")
            shown += [mean[len(steps) // 6], high.max()]
        references = [row for row in rows if cell.holds(row) and row["agent"] in cell.references]
        for name in dict.fromkeys(row["agent"] for row in references):
            level = float(np.mean([row["score"] for row in references if row["agent"] == name]))
            axes.axhline(level, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
            axes.annotate(name, (1.01, level), xycoords=("axes fraction", "data"), color=MUTED, va="center", fontsize=8)
            shown.append(level)
        low, high = min(shown), max(shown)
        axes.set(ylim=(low - 0.1 * (high - low), high + 0.1 * (high - low)), xlabel="environment steps")
        axes.set_title(cell.title.replace("`", ""), loc="left", fontsize=10, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(axis="y", color=GRID)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    panels[0][0].set_ylabel("score a slot")
    figure.savefig(path)
    plt.close(figure)


def smoothed(curve: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Steps of a curve with the moving average of its scores, over fewer points at the ends."""
    scores, half = [point["score"] for point in curve], WINDOW // 2
    means = [float(np.mean(scores[max(0, i - half) : i + half + 1])) for i in range(len(scores))]
    return [{"steps": point["steps"], "score": mean} for point, mean in zip(curve, means, strict=True)]


def scores_at(steps: np.ndarray, curve: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Interpolate the scores of a curve at `steps`, nan before its first point."""
    return np.interp(steps, [p["steps"] for p in curve], [p["score"] for p in curve], left=np.nan)
