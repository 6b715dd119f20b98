"""Figures 7 to 10 of (Lu 2021), "Adaptive Edge Association for Wireless Digital Twin Networks in 6G"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures import drawing
from benchmarks.figures.grid import Curve, Key, ResultGrid
from benchmarks.figures.played import policies, slots
from benchmarks.statistics import two_way_interval

if TYPE_CHECKING:
    from benchmarks.suites.results import Results

PROPOSED = "maddpg (Proposed)"
BENCHMARKS = ("nearest", "random")
"""The paper's two benchmarks."""
REFERENCES = ("mappo", "greedy-add", "local-search")
"""Agents that the paper does not have."""
ROUNDS = 5000
"""Training iterations of the paper; an episode counts as one."""
PLAYED = 24
"""Held-out episodes averaged in Fig. 8."""

grid: Callable[[Results], ResultGrid] = partial(
    ResultGrid,
    env_id="DTPlacementMA-v0",
    presets=("paper-80x5", "paper-100x5", "paper-80x10", "paper-100x10"),
    key=lambda scenario: (scenario.value("num_users"), scenario.num_sites),
    symbols=("N", "M"),
)
"""A run's cells by (N, M)."""


def system_cost(cells: ResultGrid, key: Key) -> Curve:
    """System cost of the Proposed's training episodes."""
    curve = cells.curve(key, PROPOSED, "system_cost")
    return Curve(curve.episodes, curve.values * cells.episode_slots(key, PROPOSED))


def training_time(cells: ResultGrid, key: Key) -> Curve:
    """Seconds of the Proposed's training over its episodes."""
    return cells.curve(key, PROPOSED, "seconds")


def along_training(
    results: Results, number: int, curve: Callable[[ResultGrid, Key], Curve], ylabel: str, said: str
) -> Any:
    """Figures 7 and 10: a curve over training episodes of the Proposed, a line per (N, M)."""
    cells = grid(results)
    cells.need(f"lu2021-fig{number}", trained=[PROPOSED])
    figure, (axes,) = drawing.panels([""], f"After Fig. {number} of (Lu et al. 2021): {said}", height=3.8)
    for index, key in enumerate(cells.cells):
        drawing.band(axes, curve(cells, key), cells.name(key), count=len(cells.cells), index=index)
    episode = cells.episode_slots(next(iter(cells.cells)), PROPOSED)
    axes.set(xlabel=f"training iterations (episodes of {episode} slots)", ylabel=ylabel)
    axes.legend(frameon=False, fontsize=8)
    return figure


def slot_costs(cells: ResultGrid, key: Key) -> np.ndarray:
    """System cost (26) of every trained policy in every slot of held-out episodes, (trainings, episodes, slots)."""
    cell = cells.cells[key]
    seeds = sorted({row["seed"] for row in cells.rows(key, PROPOSED)})[:PLAYED]
    return np.array(
        [
            slots(policy, cell.env_id, cell.resolve(), seeds, lambda _, info: info["system_cost"])
            for policy in policies(cells.results, cell, PROPOSED)
        ]
    )


def fig8(results: Results) -> Any:
    """System cost over the slots of an episode that the trained Proposed plays, a line per (N, M)."""
    cells = grid(results)
    cells.need("lu2021-fig8", [PROPOSED], [PROPOSED])
    said = f"After Fig. 8 of (Lu et al. 2021): system cost (26) by slot, trained policies on {PLAYED} held-out episodes"
    figure, (axes,) = drawing.panels([""], said, height=3.8)
    for index, key in enumerate(cells.cells):
        costs = slot_costs(cells, key)
        values = [two_way_interval(costs[:, :, slot]) for slot in range(costs.shape[2])]
        steps = np.arange(1, len(values) + 1)
        drawing.points(axes, steps, values, cells.name(key), 0.08 * (index - 1.5), **drawing.style(index))
    axes.set(xlabel="step (slot of an episode)", ylabel="system cost", ylim=(0, None))
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def fig9(results: Results) -> Any:
    """Total time cost of the Proposed, of nearest and random association, and of references, by (N, M)."""
    cells = grid(results)
    cells.need("lu2021-fig9", [PROPOSED, *BENCHMARKS])
    shown = [PROPOSED, *BENCHMARKS, *filter(cells.has, REFERENCES)]
    said = "After Fig. 9 of (Lu et al. 2021): system latency (17), seconds a user, mean and 95 % interval;\n"
    said += "hatched: not in the paper"
    figure, (axes,) = drawing.panels([""], said, height=3.8)
    width = 0.8 / len(shown)
    for index, agent in enumerate(shown):
        mean, errors = drawing.with_errors([cells.interval(key, agent, "latency") for key in cells.cells])
        places = np.arange(len(mean)) + (index - (len(shown) - 1) / 2) * width
        colour = drawing.style(index)["color"]
        look = {"hatch": "////", "fill": False, "edgecolor": colour} if agent in REFERENCES else {"color": colour}
        axes.bar(places, mean, 0.9 * width, label=agent, yerr=errors, error_kw={"elinewidth": 1.0}, **look)
    axes.set(xticks=range(len(cells.cells)), xlabel="users N and base stations M", ylabel="total time cost, s")
    axes.set_xticklabels([cells.name(key) for key in cells.cells])
    drawing.legend(figure, [axes], columns=3)
    return figure


FIGURES: dict[str, Callable[[Any], Any]] = {
    "lu2021-fig7": partial(
        along_training,
        number=7,
        curve=system_cost,
        ylabel="cumulative system cost",
        said="cumulative system cost (26) of an episode while the Proposed learns",
    ),
    "lu2021-fig8": fig8,
    "lu2021-fig9": fig9,
    "lu2021-fig10": partial(
        along_training,
        number=10,
        curve=training_time,
        ylabel="training time, s",
        said="wall-clock time of the Proposed's training, all of the run's trainings",
    ),
}
"""Functions of results, by name."""
