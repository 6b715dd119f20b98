"""Plots of `benchmarks.deployment`: scalars over the parameters that decide the orders of Table I of (Khan 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.deployment.claims import MODES
from benchmarks.plotting import ACCENT, GRID, INK, plt, save
from benchmarks.statistics import mean_interval

Rows = Sequence[Mapping[str, Any]]
COLOURS = dict(zip(MODES, (ACCENT, "#009e73", "#d55e00"), strict=True))


def draw(path: Path, rows: Rows, lines: Rows) -> None:
    """Plot latency over users and over the cloud's latency, its growth over cloud computing, service over seats."""
    figure, every = plt.subplots(1, 4, figsize=(15.0, 3.6), dpi=150, layout="constrained")
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, length=0)
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
    _over_users(every[0], rows)
    _over(every[1], lines, "cloud_latency_s", "latency", 1e3)
    every[1].set(xlabel="cloud_latency_s, ms (no wire to it)", ylabel="latency of an update, ms")
    _over(every[2], lines, "cloud_compute_hz", "slope", 1e-9)
    every[2].set(xscale="log", xlabel="cloud_compute_hz, GHz", ylabel="latency, ms for ten more users")
    _over(every[3], lines, "seats", "kept", 1.0)
    every[3].set(xlabel="stations' seats over users", ylabel="service kept with the busiest down")
    every[0].legend(frameon=False, fontsize=8)
    save(figure, path)


def _line(axes: Any, mode: str, x: Sequence[float], intervals: Sequence[tuple[float, float, float]]) -> None:
    mean, low, high = np.array(intervals).T
    axes.plot(x, mean, color=COLOURS[mode], linewidth=2.0, marker="o", markersize=4, label=mode)
    axes.fill_between(x, low, high, color=COLOURS[mode], alpha=0.15, linewidth=0.0)


def _over_users(axes: Any, rows: Rows) -> None:
    for mode in MODES:
        own = [row for row in rows if row["mode"] == mode and not row["outage"] and row["speed"] == ""]
        users = sorted({row["users"] for row in own})
        latencies = [[1e3 * row["latency"] for row in own if row["users"] == n] for n in users]
        _line(axes, mode, users, [mean_interval(values) for values in latencies])
    axes.set(xlabel="users", ylabel="latency of an update, ms")


def _over(axes: Any, lines: Rows, parameter: str, measure: str, unit: float) -> None:
    for mode in MODES:
        wanted = (parameter, measure, mode)
        own = [line for line in lines if (line["parameter"], line["measure"], line["mode"]) == wanted]
        if own:
            intervals = [(line["mean"], line["low"], line["high"]) for line in own]
            _line(axes, mode, [unit * line["value"] for line in own], intervals)
