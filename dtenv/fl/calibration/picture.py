"""Zhou 2025's Fig. 3: accuracy over data size, a colour for every earth mover's distance."""

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
    samples: np.ndarray,
    emd: np.ndarray,
    accuracy: np.ndarray,
    fitted: Curve | None,
    published: Curve,
    ylabel: str,
) -> None:
    """Draw measured points with their spread, the fitted curve (if there is one) and the published one beside it.

    Args:
        path: of the PNG.
        title: above the axes.
        samples: D of every point (points,).
        emd: φ of every point.
        accuracy: of every point; of those with the same D and φ their mean is drawn, and from least to most.
        fitted: curve of the fit.
        published: curve of (Zhou 2025, Section V).
        ylabel: whose accuracy it is.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.0), dpi=110, layout="constrained")
    axes = figure.subplots()
    line = np.geomspace(samples.min(), samples.max(), 200)
    distances = np.unique(emd)
    for i, distance in enumerate(distances.tolist()):
        colour = COLOURS[i % len(COLOURS)]
        sizes, mean, spread = summary(samples[emd == distance], accuracy[emd == distance])
        axes.errorbar(
            sizes, mean, yerr=spread, fmt="o", ms=4, color=colour, capsize=2, lw=1.2, label=f"φ = {distance:.2g}"
        )
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
    """Data sizes (n,), the mean accuracy at each, and how far below and above it the points reach (2, n)."""
    sizes = np.unique(samples)
    groups: Sequence[np.ndarray] = [accuracy[samples == size] for size in sizes]
    mean = np.array([group.mean() for group in groups])
    low, high = (np.array([end(group) for group in groups]) for end in (np.min, np.max))
    return sizes, mean, np.stack([mean - low, high - mean])
