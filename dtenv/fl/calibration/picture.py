"""Plot of (Zhou 2025, Fig. 3): accuracy over data size, with a colour per earth mover's distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

INK, GRID = "#22303c", "#e3e7eb"
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9", "#8a96a3")

Curve = Callable[[Any, Any], np.ndarray]
"""Accuracy at D samples and distances φ, which broadcast."""


def draw(
    path: Path,
    title: str,
    samples: np.ndarray,  # (points,) D
    emd: np.ndarray,  # (points,) φ
    accuracy: np.ndarray,  # (points,)
    fitted: Curve | None,
    published: Curve,  # of (Zhou 2025, Section V)
    ylabel: str,
) -> None:
    """Plot the mean and range of the points of each D and φ, the fitted curve, if any, and the published one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.0), dpi=110, layout="constrained")
    axes = figure.subplots()
    line = np.geomspace(samples.min(), samples.max(), 200)
    for i, distance in enumerate(np.unique(emd).tolist()):
        colour = COLOURS[i % len(COLOURS)]
        sizes, mean, spread = summary(samples[emd == distance], accuracy[emd == distance])
        label = f"φ = {distance:.2g}"
        axes.errorbar(sizes, mean, yerr=spread, fmt="o", ms=4, color=colour, capsize=2, lw=1.2, label=label)
        if fitted is not None:
            axes.plot(line, fitted(line, distance), color=colour, lw=1.5)
        axes.plot(line, published(line, distance), color=colour, lw=1.0, ls="--", alpha=0.6)
    axes.plot([], [], "o", color=INK, ms=4, label="mean, range of seeds")
    if fitted is not None:
        axes.plot([], [], color=INK, lw=1.5, label="fit of (11)-(12)")
    axes.plot([], [], color=INK, lw=1.0, ls="--", alpha=0.6, label="Zhou 2025, published")
    axes.set_xlabel("D, samples a user", color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_ylim(min(0.3, max(0.0, float(accuracy.min()) - 0.05)), 1.0)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, length=0)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    figure.savefig(path)


def summary(samples: np.ndarray, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the data sizes (n,), mean accuracies (n,), and ranges of the points below and above them (2, n)."""
    sizes = np.unique(samples)
    groups: Sequence[np.ndarray] = [accuracy[samples == size] for size in sizes]
    mean = np.array([group.mean() for group in groups])
    low, high = (np.array([end(group) for group in groups]) for end in (np.min, np.max))
    return sizes, mean, np.stack([mean - low, high - mean])
