"""Which learners are trained on what: the settings of every published training, by study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.reports import REPORTS
from dtenv import presets
from dtenv.scenario import Scenario


@dataclass(frozen=True)
class Training:
    """One learner with settings, trained from several seeds."""

    label: str
    """as tables call it"""
    learner: str
    """its module in agents"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """of its Args, beside environment, scenario and seed"""
    seeds: int | None = None
    """how many at most, where a training takes long"""


@dataclass(frozen=True)
class Cell:
    """One scenario with all that is trained and compared on it."""

    env_id: str
    scenario: str
    trainings: tuple[Training, ...]
    references: tuple[str, ...]
    """heuristics that every other agent is compared with, in pairs"""
    sites: int | None = None
    """servers or stations; by default the preset's"""
    way: tuple[str, str] | None = None
    """heuristics between which the way is measured, from 0 to 1"""
    bounds: int = 0
    """held-out episodes that are bounded, the first ones"""

    def resolve(self) -> Scenario:
        """The scenario that it is evaluated on."""
        scenario = presets.resolve(self.scenario, self.env_id, **REPORTS[self.env_id].overrides)
        return scenario if self.sites is None else scenario.override(**{scenario.SITES: self.sites})

    @property
    def title(self) -> str:
        """Such as "`balanced`, S = 15"."""
        name = f"`{self.scenario}`"
        return name if self.sites is None else f"{name}, {REPORTS[self.env_id].sites[0]} = {self.sites}"

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row or a training is of this cell."""
        return row["scenario"] == self.scenario and row["num_servers"] == self.resolve().num_sites


WARM = Training("ppo", "ppo")
COLD = Training("ppo, no warm start", "ppo", {"warm_start": "none", "ent_coef": 0.07, "total_steps": 500_000}, seeds=3)


FAR = Training("ppo", "ppo", {"warm_start": "hysteresis", "gamma": 0.98, "total_steps": 150_000})

_SLOTS = {"num_slots": 100, "reward": "literal", "warm_start": "none"}
_TABLE_II = {**_SLOTS, "network": "perceptron", "learning_rate": 2.5e-4, "critic_learning_rate": 1.5e-3}
PAPER = (
    Training(
        "ppo (Proposed)",
        "ppo",
        {**_TABLE_II, "gamma": 0.98, "gae_lambda": 0.9, "clip_coef": 0.2, "ratio": "joint", "total_steps": 150_000},
    ),
    Training("a2c (Baseline 1)", "a2c", {**_TABLE_II, "gamma": 0.98, "gae_lambda": 0.9, "total_steps": 150_000}),
    Training("ddpg (Baseline 4)", "ddpg", {**_SLOTS, "network": "relaxed-perceptron", "total_steps": 30_000}),
)
"""With the hyper-parameters of (Zhou 2025, Table II); Baselines 2 and 3 are nearest and nearest-random."""

STATIONS = (
    Training("mappo", "mappo", {"total_steps": 20_000}),
    Training("maddpg", "maddpg", {"total_steps": 40_000}, seeds=3),
)


def _balanced(servers: int, *trainings: Training) -> Cell:
    references = ("local-search", "hysteresis", "nearest")
    return Cell("DTAssociation-v0", "balanced", trainings, references, sites=servers, way=("nearest", "local-search"))


STUDIES: dict[str, tuple[Cell, ...]] = {
    "balanced": (_balanced(9, WARM), _balanced(15, WARM, COLD), _balanced(21, WARM)),
    "sequential": (Cell("DTAssociation-v0", "sequential", (FAR,), ("hysteresis", "nearest", "local-search")),),
    "paper": (
        Cell("DTAssociation-v0", "paper", PAPER, ("nearest", "nearest-random", "stay", "local-search"), sites=15),
    ),
    "placement": tuple(
        Cell("DTPlacementMA-v0", name, STATIONS, ("greedy-add", "constant", "nearest", "local-search"), bounds=1)
        for name in ("small-20x5", "paper-80x5", "paper-100x10")
    ),
    "migration": (
        Cell(
            "DTMigration-v0",
            "balanced",
            (Training("hindsight", "hindsight"),),
            ("lookahead", "payback", "never"),
            bounds=200,
        ),
    ),
}
"""By the name on the command line of benchmarks.learning."""
