"""Constants of heuristics, chosen on seeds that no training and no evaluation uses.

    python -m benchmarks.tune hysteresis
    python -m benchmarks.tune payback
    python -m benchmarks.tune lookahead
    python -m benchmarks.tune constant

Prints the mean score of every setting on every scenario; agents/__init__.py has the best mean over scenarios.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from agents.heuristics import migration
from agents.heuristics.association import hysteresis
from agents.heuristics.placement import Constant
from agents.policy import Policy, Rule, SlotPolicy
from benchmarks.evaluate import TUNING_SEEDS, run_episodes
from dtenv import presets
from dtenv.reporting.markdown import markdown_table
from dtenv.scenario import Scenario


@dataclass(frozen=True)
class TuningGrid:
    """Grid of settings of one heuristic."""

    env_id: str
    names: tuple[str, ...]
    """names of the settings"""
    grid: Sequence[tuple[float, ...]]
    rule: Callable[[Any, tuple[float, ...]], Rule | Policy]
    """makes the heuristic, a rule of one slot or a policy, from a scenario and a setting"""
    scenarios: dict[str, Scenario]
    """scenarios by their column in the table"""
    episodes: int


def _presets(env_id: str, *names: str) -> dict[str, Scenario]:
    return {name: presets.resolve(name, env_id) for name in names}


SEARCHES = {
    "hysteresis": TuningGrid(
        "DTAssociation-v0",
        ("margin",),
        [(margin,) for margin in (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)],
        lambda scenario, setting: hysteresis(*setting, scenario.network.area_m),
        {f"S = {s}": presets.resolve("balanced", num_servers=s) for s in (9, 15, 21)},
        episodes=16,
    ),
    "payback": TuningGrid(
        "DTMigration-v0",
        ("slots", "hysteresis"),
        list(itertools.product((6.0, 8.0, 10.0, 12.0, 14.0), (0.0, 0.1, 0.2, 0.3, 0.4))),
        lambda scenario, setting: migration.payback(*setting),
        _presets("DTMigration-v0", "balanced", "gauss-markov", "ping-pong"),
        episodes=64,
    ),
    "lookahead": TuningGrid(
        "DTMigration-v0",
        ("horizon",),
        [(horizon,) for horizon in (5, 10, 15, 20, 30)],
        lambda scenario, setting: migration.lookahead(int(setting[0]), scenario),
        _presets("DTMigration-v0", "balanced", "gauss-markov", "ping-pong"),
        episodes=64,
    ),
    "constant": TuningGrid(
        "DTPlacementMA-v0",
        ("hosts", "price"),
        list(itertools.product((0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (0.0, 0.5, 1.0))),
        lambda scenario, setting: Constant(scenario, round(setting[0] * scenario.network.num_stations), setting[1]),
        _presets("DTPlacementMA-v0", "paper-80x5", "paper-100x10", "small-20x5"),
        episodes=32,
    ),
}
"""Searches by heuristic. Those of DTMigration-v0 cover all its presets except the one without a price; `hosts` of the
constant action is a share of the stations."""


@dataclass
class Tune:
    """Settings of the search."""

    heuristic: Annotated[Literal["hysteresis", "payback", "lookahead", "constant"], tyro.conf.Positional]
    """heuristic to tune"""
    episodes: int | None = None
    """tuning episodes of every scenario; by default those of the heuristic's search"""


def main(tune: Tune) -> None:
    """Print the mean score of every setting on every scenario, and the best setting."""
    search = SEARCHES[tune.heuristic]
    seeds = TUNING_SEEDS[-(tune.episodes or search.episodes) :]
    table, scores = [], {}
    for setting in tqdm(search.grid, desc=tune.heuristic, unit="setting"):
        means = []
        for scenario in search.scenarios.values():
            rule: Any = search.rule(scenario, setting)
            policy = rule if hasattr(rule, "act") else SlotPolicy(tune.heuristic, rule, scenario)
            rows = run_episodes(policy, search.env_id, scenario, seeds)
            means.append(np.mean([row["score"] for row in rows]))
        table.append([*setting, *(f"{score:.4f}" for score in (*means, np.mean(means)))])
        scores[setting] = np.mean(means)
    print(*markdown_table([*search.names, *search.scenarios, "mean"], table), sep="\n")
    best = max(scores, key=scores.__getitem__)
    chosen = ", ".join(f"{name} {value:g}" for name, value in zip(search.names, best, strict=True))
    print(f"best mean over {len(seeds)} tuning episodes of each scenario: {chosen}")


if __name__ == "__main__":
    main(tyro.cli(Tune))
