"""Figures 7 to 10 of (Lu 2021), "Adaptive Edge Association for Wireless Digital Twin Networks in 6G"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures import drawing
from benchmarks.figures.grid import Curve, Grid, Key
from benchmarks.figures.played import policies, slots
from benchmarks.statistics import Interval, two_way_interval

if TYPE_CHECKING:
    from benchmarks.suites.results import Results

PROPOSED = "maddpg (Proposed)"
BENCHMARKS = ("nearest", "random")
"""The paper's two."""
REFERENCES = ("mappo", "greedy-add", "local-search")
"""Agents that the paper has not."""
ROUNDS = 5000
"""Training iterations of the paper; an episode counts as one."""
PLAYED = 24
"""Held-out episodes that Fig. 8 is the mean of."""


def grid(results: Results) -> Grid:
    """The run's cells by (N, M)."""
    return Grid(
        results,
        "DTPlacementMA-v0",
        ("paper-80x5", "paper-100x5", "paper-80x10", "paper-100x10"),
        lambda scenario: (scenario.value("num_users"), scenario.num_sites),
        ("N", "M"),
    )


def along_training(results: Results, name: str, ylabel: str, said: str, curve: Callable[[Grid, Key], Curve]) -> Any:
    """A line per (N, M) over training episodes of the Proposed."""
    cells = grid(results)
    cells.need(name, trained=[PROPOSED])
    figure, (axes,) = drawing.panels([""], said, height=3.8)
    for index, key in enumerate(cells.cells):
        drawing.band(axes, curve(cells, key), cells.name(key), count=len(cells.cells), index=index)
    episode = cells.episode_slots(next(iter(cells.cells)), PROPOSED)
    axes.set(xlabel=f"training iterations (episodes of {episode} slots)", ylabel=ylabel)
    axes.legend(frameon=False, fontsize=8)
    return figure


def fig7(results: Results) -> Any:
    """System cost of an episode along training, a line per (N, M)."""

    def cost(cells: Grid, key: Key) -> Curve:
        curve = cells.curve(key, PROPOSED, "system_cost")
        return Curve(curve.episodes, curve.values * cells.episode_slots(key, PROPOSED))

    said = "After Fig. 7 of (Lu et al. 2021): cumulative system cost (26) of an episode while the Proposed learns"
    return along_training(results, "lu2021-fig7", "cumulative system cost", said, cost)


def slot_costs(cells: Grid, key: Key) -> np.ndarray:
    """System cost (26) of every training's policy in every slot of held-out episodes, (trainings, episodes, slots)."""
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
    """Total time cost of the Proposed beside nearest and random association, by (N, M)."""
    cells = grid(results)
    cells.need("lu2021-fig9", [PROPOSED, *BENCHMARKS])
    shown = [PROPOSED, *BENCHMARKS, *(agent for agent in REFERENCES if cells.has(agent))]
    said = "After Fig. 9 of (Lu et al. 2021): system latency (17), seconds a user, mean and 95 % interval;\n"
    said += "hatched: not in the paper"
    figure, (axes,) = drawing.panels([""], said, height=3.8)
    width = 0.8 / len(shown)
    for index, agent in enumerate(shown):
        values: list[Interval] = [cells.interval(key, agent, "latency") for key in cells.cells]
        mean = np.array([value.mean for value in values])
        spread = np.abs(np.array([[value.low, value.high] for value in values]).T - mean)
        places = np.arange(len(mean)) + (index - (len(shown) - 1) / 2) * width
        colour = drawing.style(index)["color"]
        look = {"hatch": "////", "fill": False, "edgecolor": colour} if agent in REFERENCES else {"color": colour}
        axes.bar(places, mean, 0.9 * width, label=agent, yerr=spread, error_kw={"elinewidth": 1.0}, **look)
    axes.set(xticks=range(len(cells.cells)), xlabel="users N and base stations M", ylabel="total time cost, s")
    axes.set_xticklabels([cells.name(key) for key in cells.cells])
    drawing.legend(figure, [axes], columns=3)
    return figure


def training_time(cells: Grid, key: Key) -> Curve:
    """Seconds of the Proposed's training over its episodes."""
    return cells.curve(key, PROPOSED, "seconds")


def fig10(results: Results) -> Any:
    """Seconds of training against iterations, a line per (N, M)."""
    said = "After Fig. 10 of (Lu et al. 2021): wall-clock time of the Proposed's training, all of the run's trainings"
    return along_training(results, "lu2021-fig10", "training time, s", said, training_time)


FIGURES: dict[str, Callable[[Any], Any]] = {
    "lu2021-fig7": fig7,
    "lu2021-fig8": fig8,
    "lu2021-fig9": fig9,
    "lu2021-fig10": fig10,
}
"""By name."""
