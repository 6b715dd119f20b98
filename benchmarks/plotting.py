"""Plots of rows: the comparison of agents and the learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.env_settings import Column

matplotlib.use("Agg")
from matplotlib import pyplot as plt

INK, ACCENT, MUTED, GRID = "#22303c", "#0072b2", "#8a96a3", "#e3e7eb"


def new_axes(width: float, height: float, title: str) -> tuple[Any, Any]:
    """A figure with one axes, without a frame on top and right."""
    figure, axes = plt.subplots(figsize=(width, height), dpi=150, layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, length=0)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    return figure, axes


def save(figure: Any, path: Path, **settings: Any) -> None:
    """Save a figure and close it."""
    figure.savefig(path, **settings)
    plt.close(figure)


def comparison(
    path: Path,
    ranking: Sequence[Mapping[str, Any]],
    title: str,
    figures: Sequence[Column],
    bound: tuple[float, str] | None = None,
    learned: Sequence[str] = ("ppo",),
) -> None:
    """Plot every agent's score with its interval, best on top; figures on the right, and a bound with its name."""
    lines = list(reversed(ranking))
    figure, axes = new_axes(9.0, 0.6 + 0.45 * len(lines), title)
    worst = min(line["score"].low for line in lines if line["agent"] != "random")
    best = max([line["score"].high for line in lines] + ([bound[0]] if bound else []))
    left = worst - 0.15 * (best - worst)
    columns = [(shown.short, [format(line[shown.column], shown.spec) for line in lines]) for shown in figures]
    if "gap_to_bound" in lines[0]:
        columns.insert(0, ("to bound", [f"{line['gap_to_bound'].mean:.2f}" for line in lines]))
    for i, (head, texts) in enumerate(columns):
        right = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center", "fontsize": 9}
        axes.annotate(head, (1.09 + 0.09 * i, len(lines) - 0.45), color=MUTED, **right)
        for y, text in enumerate(texts):
            axes.annotate(text, (1.09 + 0.09 * i, y), color=INK, **right)
    for y, line in enumerate(lines):
        score, colour = line["score"], ACCENT if line["agent"] in learned else INK
        if score.low < left:  # far below the rest: printed as a number, so that the rest keeps its scale
            axes.annotate(f"◂ {score.mean:.3f}", (left, y), va="center", fontsize=9, color=MUTED)
            continue
        axes.plot([score.low, score.high], [y, y], color=colour, linewidth=2.0, solid_capstyle="round")
        axes.plot(score.mean, y, "o", color=colour, markersize=6)
        axes.annotate(f"{score.mean:.4f}", (score.mean, y), (0, 7), textcoords="offset points", ha="center", fontsize=8)
    if bound is not None:
        axes.axvline(bound[0], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        at, small = (bound[0], -0.5), {"ha": "right", "fontsize": 8, "color": MUTED}
        axes.annotate(f"{bound[1]} {bound[0]:.4f}", at, (-4, 0), textcoords="offset points", **small)
    axes.set(yticks=range(len(lines)), xlim=(left, best + 0.1 * (best - worst)), ylim=(-0.6, len(lines) - 0.3))
    axes.set_yticklabels([line["agent"] for line in lines])
    axes.set_xlabel("score a slot (mean and 95 % interval)", color=INK)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    save(figure, path, bbox_inches="tight")  # the layout ignores text outside the axes


def learning_curve(
    path: Path, curve: Sequence[Mapping[str, Any]], levels: Mapping[str, float], title: str, learner: str
) -> None:
    """Plot the score of the exploring policy over training time, with the levels of heuristics."""
    figure, axes = new_axes(8.0, 4.2, title)
    seconds = np.array([row["charts/seconds"] for row in curve])
    scores = np.array([row["charts/score"] for row in curve])
    window = max(1, len(scores) // 20)
    padded = np.pad(scores, (window // 2, window - 1 - window // 2), mode="edge")
    smooth = np.convolve(padded, np.ones(window) / window, "valid")
    axes.plot(seconds, scores, color=ACCENT, alpha=0.25, linewidth=1.0)
    axes.plot(seconds, smooth, color=ACCENT, linewidth=2.0)
    low = min(*levels.values(), float(np.percentile(scores, 5)))
    high = max(*levels.values(), float(scores.max()))
    middle = len(smooth) // 2
    above = (0, -20) if smooth[middle] > 0.5 * (low + high) else (0, 10)
    label = {"textcoords": "offset points", "color": ACCENT, "ha": "center", "fontsize": 9}
    axes.annotate(f"{learner}, exploring", (seconds[middle], smooth[middle]), above, **label)
    at = -np.inf
    for name, level in sorted(levels.items(), key=lambda item: item[1]):
        axes.axhline(level, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        at = max(level, at + 0.045 * (high - low))
        axes.annotate(name, (1.01, at), xycoords=("axes fraction", "data"), color=MUTED, va="center", fontsize=8)
    axes.set(xlabel="seconds of training, warm start included", ylabel="score a slot")
    axes.set(ylim=(low - 0.05 * (high - low), high + 0.08 * (high - low)))
    axes.grid(axis="y", color=GRID)
    save(figure, path)
