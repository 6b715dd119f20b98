"""Suites: everything that could be tuned to favour an agent, fixed beforehand.

A suite fixes scenarios, trainings with their budgets and settings, training seeds, held-out episodes and references.
A run chooses agents, numbers of trainings and executors, nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import agents
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import EVALUATION_SEEDS
from dtenv import presets
from dtenv.scenario import Scenario

HELD_OUT = EVALUATION_SEEDS[1000:]
"""Seeds of episodes that no table of heuristics shows and by which no setting was chosen."""


@dataclass(frozen=True)
class Training:
    """One learner with settings, trained from several seeds."""

    label: str
    """name in tables"""
    learner: str
    """its module in agents"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """fields of its Args besides environment, scenario and seed"""
    seeds: int | None = None
    """most seeds, for a long training"""


@dataclass(frozen=True)
class Cell:
    """One scenario with its trainings, heuristics and comparisons."""

    env_id: str
    scenario: str
    """preset"""
    trainings: tuple[Training, ...] = ()
    heuristics: tuple[str, ...] | None = None
    """by default all of the environment's"""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """changed fields of the preset, in training and in evaluation"""
    references: tuple[str, ...] = ()
    """heuristics with which every other agent is compared in pairs"""
    way: tuple[str, str] | None = None
    """heuristics at 0 and at 1 of the progress column"""
    bounds: int = 0
    """number of held-out episodes to bound, from the first"""

    def resolve(self) -> Scenario:
        """The scenario of the evaluation."""
        return presets.resolve(self.scenario, self.env_id, **{**ENV_SETTINGS[self.env_id].overrides, **self.fields})

    @property
    def name(self) -> str:
        """Name in rows, such as "paper,num_servers=9,emd=0.2"."""
        return ",".join([self.scenario, *(f"{name}={value}" for name, value in self.fields.items())])

    @property
    def title(self) -> str:
        """Title in tables, such as "`balanced`, S = 15"."""
        scenario = self.resolve()
        symbols = {scenario.SITES: ENV_SETTINGS[self.env_id].sites[0], "emd": "φ", "num_users": "U", "num_slots": "T"}
        given = (f"{symbols.get(name, name)} = {value}" for name, value in self.fields.items())
        return ", ".join([f"`{self.scenario}`", *given])

    def rules(self) -> tuple[str, ...]:
        """Names of the cell's heuristics."""
        return tuple(agents.HEURISTICS[self.env_id]) if self.heuristics is None else self.heuristics

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row or a training belongs to this cell."""
        return row["cell"] == self.name


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Cells that are run and published together."""

    name: str
    about: str
    cells: tuple[Cell, ...]
    seeds: int = 5
    """trainings of every learner, from seeds 1, 2, …"""
    episodes: int | None = None
    """held-out episodes; by default those of the environment's table, but at least 50"""

    def evaluation_seeds(self, env_id: str) -> list[int]:
        """Seeds of the held-out episodes, disjoint from those of training, tuning and the tables of heuristics."""
        return list(HELD_OUT[: self.episodes or max(50, ENV_SETTINGS[env_id].table_episodes)])

    def agents(self) -> list[str]:
        """Labels of trainings and names of heuristics, each once."""
        labels = [training.label for cell in self.cells for training in cell.trainings]
        return list(dict.fromkeys([*labels, *(name for cell in self.cells for name in cell.rules())]))

    def select(self, names: Sequence[str] = (), seeds: int | None = None) -> Suite:
        """The suite with some of its agents, or with another number of trainings.

        Raises:
            ValueError: an agent is unknown, or the number of seeds is below one.
        """
        unknown = [name for name in names if name not in self.agents()]
        if unknown:
            known = ", ".join(self.agents())
            raise ValueError(f"agents: {unknown[0]!r} is not in suite {self.name!r}, which has {known}")
        if seeds is not None and seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {seeds}")

        def chosen(cell: Cell) -> Cell:
            trainings = tuple(training for training in cell.trainings if not names or training.label in names)
            rules = tuple(name for name in cell.rules() if not names or name in names)
            return dataclasses.replace(cell, trainings=trainings, heuristics=rules)

        cells = tuple(map(chosen, self.cells))
        return dataclasses.replace(self, cells=cells, seeds=self.seeds if seeds is None else seeds)

    @property
    def sha256(self) -> str:
        """Hash of everything that the suite fixes, with all fields of the scenarios and all seeds of episodes."""
        fixed = dataclasses.asdict(self) | {
            "scenarios": [cell.resolve().as_dict() for cell in self.cells],
            "episodes": [self.evaluation_seeds(cell.env_id) for cell in self.cells],
        }
        return hashlib.sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()
