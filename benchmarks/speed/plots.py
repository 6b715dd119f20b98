"""Plots of `benchmarks.speed`: env-steps a second over batch sizes, and cost over users and servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plotting import ACCENT, GRID, INK, MUTED, plt
from benchmarks.speed.scaling import ALONE, DOOR

Rows = Sequence[Mapping[str, Any]]

SYNC, ASYNC, UNSHARED = "#d55e00", "#009e73", "#cc79a7"
BATCHES = {
    ALONE: (MUTED, (0, (4, 3))),
    DOOR: (ACCENT, "-"),
    "SyncVectorEnv": (SYNC, "-"),
    "AsyncVectorEnv": (ASYNC, "-"),
    "AsyncVectorEnv, shared_memory=False": (UNSHARED, "-"),
}
"""Colour and line style by batch."""

LABELS = {DOOR: "dtenv, vector", ALONE: "dtenv, bare kernel"}


def _panels(count: int, title: str) -> tuple[Any, Any]:
    size = {"figsize": (4.0 * count, 3.8), "dpi": 150, "layout": "constrained"}
    figure, every = plt.subplots(1, count, sharey=True, squeeze=False, **size)
    for axes in every[0]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, length=0)
        axes.set(xscale="log", yscale="log")
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    return figure, every[0]


def _plot(axes: Any, rows: Rows, x: str, y: str, **look: Any) -> None:
    look = {"linewidth": 2.0, "marker": "o", "markersize": 4, **look}
    axes.plot([row[x] for row in rows], [row[y] for row in rows], **look)


def _ticks(axes: Any, ticks: Sequence[int], label: str) -> None:
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.set_xlabel(label, color=INK)


def crossover(path: Path, rows: Rows, title: str) -> None:
    """Plot env-steps a second over the number of environments, a panel per environment."""
    ids = list(dict.fromkeys(row["env_id"] for row in rows))
    figure, panels = _panels(len(ids), title)
    for axes, env_id in zip(panels, ids, strict=True):
        for name, (colour, dashes) in BATCHES.items():
            line = [row for row in rows if row["env_id"] == env_id and row["batch"] == name]
            if line:
                look = {"color": colour, "linestyle": dashes, "label": LABELS.get(name, name)}
                _plot(axes, line, "num_envs", "env_steps_per_second", **look)
        _ticks(axes, sorted({row["num_envs"] for row in rows}), "environments")
        axes.set_title(env_id, loc="left", fontsize=9, color=INK)
    panels[0].set_ylabel("env-steps a second", color=INK)
    speeds = np.log10([row["env_steps_per_second"] for row in rows])
    panels[0].set_ylim(10.0 ** np.floor(speeds.min()), 10.0 ** np.ceil(speeds.max()))  # decades have tick labels
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.savefig(path)
    plt.close(figure)


def sizes(path: Path, rows: Rows, title: str) -> None:
    """Plot the cost of an env-step over users and over servers, with a line of linear growth."""
    figure, panels = _panels(2, title)
    lines = list(dict.fromkeys((row["env_id"], row["played"]) for row in rows))
    top = max(row["us_per_env_step"] for row in rows)
    for axes, axis in zip(panels, ("users", "servers"), strict=True):
        own = [row for row in rows if row["axis"] == axis]
        for (env_id, played), colour in zip(lines, (ACCENT, SYNC, ASYNC, UNSHARED), strict=False):
            line = [row for row in own if (row["env_id"], row["played"]) == (env_id, played)]
            label = f"{env_id}, {played}: exponent {line[0]['exponent']:.2f}"
            _plot(axes, line, axis, "us_per_env_step", color=colour, label=label)
        ticks = sorted({row[axis] for row in own})
        low = 0.6 * min(row["us_per_env_step"] for row in own)
        linear = {"color": MUTED, "linestyle": (0, (4, 3)), "linewidth": 1.2, "label": "linear"}
        axes.plot([ticks[0], ticks[-1]], [low, low * ticks[-1] / ticks[0]], **linear)
        _ticks(axes, ticks, "servers (stations)" if axis == "servers" else axis)
        axes.set_ylim(top=20.0 * top)  # room for the legend above the lines
        axes.legend(fontsize=7, frameon=False, loc="upper left")
    panels[0].set_ylabel("µs of one core an env-step", color=INK)
    figure.savefig(path)
    plt.close(figure)
