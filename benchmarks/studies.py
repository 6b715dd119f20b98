"""Which learners are trained on what: the settings of every published training, by study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
    bounds: bool = False
    """whether held-out episodes are bounded, and the way to the bound is told"""
    known_bounds: Path | None = None
    """rows.csv of a published table whose bounds stand"""

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


def _sizes(scenario: str, sizes: tuple[int, ...], *trainings: Training, **rest: Any) -> tuple[Cell, ...]:
    return tuple(Cell("DTAssociation-v0", scenario, trainings, sites=s, **rest) for s in sizes)


WARM = Training("ppo", "ppo")
COLD = Training("ppo, no warm start", "ppo", {"warm_start": "none"})

STUDIES: dict[str, tuple[Cell, ...]] = {
    "balanced": _sizes(
        "balanced",
        (9, 15, 21),
        WARM,
        COLD,
        references=("local-search", "hysteresis", "nearest"),
        way=("nearest", "local-search"),
    ),
}
"""By the name on the command line of benchmarks.learning."""
