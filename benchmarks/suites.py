"""Suites: all that could be tuned to flatter an agent, fixed by name.

A suite owns scenarios, trainings with their budgets and settings, training seeds, held-out episodes and references.
Who runs one chooses agents and where the work is done, nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import agents
from benchmarks.evaluate import EVALUATION_SEEDS
from benchmarks.reports import REPORTS
from dtenv import presets
from dtenv.scenario import Scenario

HELD_OUT = EVALUATION_SEEDS[1000:]
"""Episodes that no table of heuristics shows and by which no setting was chosen."""


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
    """preset"""
    trainings: tuple[Training, ...] = ()
    heuristics: tuple[str, ...] | None = None
    """by default all of the environment's"""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """fields of the preset that differ, in training and in evaluation"""
    references: tuple[str, ...] = ()
    """heuristics that every other agent is compared with, in pairs"""
    way: tuple[str, str] | None = None
    """heuristics between which the way is measured, from 0 to 1"""
    bounds: int = 0
    """held-out episodes that are bounded, the first ones"""

    def resolve(self) -> Scenario:
        """The scenario that it is evaluated on."""
        return presets.resolve(self.scenario, self.env_id, **{**REPORTS[self.env_id].overrides, **self.fields})

    @property
    def name(self) -> str:
        """Such as "paper,num_servers=9,emd=0.2": what rows call it."""
        return ",".join([self.scenario, *(f"{name}={value}" for name, value in self.fields.items())])

    @property
    def title(self) -> str:
        """Such as "`balanced`, S = 15"."""
        scenario = self.resolve()
        symbols = {scenario.SITES: REPORTS[self.env_id].sites[0], "emd": "φ", "num_users": "U", "num_slots": "T"}
        given = (f"{symbols.get(name, name)} = {value}" for name, value in self.fields.items())
        return ", ".join([f"`{self.scenario}`", *given])

    def rules(self) -> tuple[str, ...]:
        """Names of its heuristics."""
        return tuple(agents.HEURISTICS[self.env_id]) if self.heuristics is None else self.heuristics

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row or a training is of this cell."""
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
    """held-out episodes; by default those of the environment's table, and 50 at least"""

    def evaluation_seeds(self, env_id: str) -> list[int]:
        """Of the held-out episodes, disjoint from seeds of trainings, of tuning and of the tables of heuristics."""
        return list(HELD_OUT[: self.episodes or max(50, REPORTS[env_id].table_episodes)])

    def agents(self) -> list[str]:
        """Labels of trainings and names of heuristics, each once."""
        labels = [training.label for cell in self.cells for training in cell.trainings]
        return list(dict.fromkeys([*labels, *(name for cell in self.cells for name in cell.rules())]))

    def select(self, names: Sequence[str] = (), seeds: int | None = None) -> Suite:
        """With some of its agents, or fewer or more trainings.

        Raises:
            ValueError: no agent of a name; there is nothing to train; a number of seeds below one.
        """
        unknown = [name for name in names if name not in self.agents()]
        if unknown:
            raise ValueError(
                f"agents: {unknown[0]!r} is not in suite {self.name!r}, which has {', '.join(self.agents())}"
            )
        if seeds is not None and seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {seeds}")

        def chosen(cell: Cell) -> Cell:
            trainings = tuple(training for training in cell.trainings if not names or training.label in names)
            rules = tuple(name for name in cell.rules() if not names or name in names)
            return dataclasses.replace(cell, trainings=trainings, heuristics=rules)

        cells = tuple(chosen(cell) for cell in self.cells)
        return dataclasses.replace(self, cells=cells, seeds=self.seeds if seeds is None else seeds)

    @property
    def sha256(self) -> str:
        """Of everything that it fixes, the scenarios' every field and the episodes' seeds among it."""
        fixed = dataclasses.asdict(self) | {
            "scenarios": [cell.resolve().as_dict() for cell in self.cells],
            "episodes": [self.evaluation_seeds(cell.env_id) for cell in self.cells],
        }
        return hashlib.sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()


WARM = Training("ppo", "ppo")
COLD = Training("ppo, no warm start", "ppo", {"warm_start": "none", "ent_coef": 0.07, "total_steps": 500_000}, seeds=3)
FAR = Training("ppo", "ppo", {"warm_start": "hysteresis", "gamma": 0.98, "total_steps": 150_000})

STATIONS = (
    Training("mappo", "mappo", {"total_steps": 20_000}),
    Training("maddpg", "maddpg", {"total_steps": 40_000}, seeds=3),
)


def _balanced(servers: int, *trainings: Training) -> Cell:
    return Cell(
        "DTAssociation-v0",
        "balanced",
        trainings,
        fields={"num_servers": servers},
        references=("local-search", "hysteresis", "nearest"),
        way=("nearest", "local-search"),
    )


def _table_ii(steps: int, ddpg_steps: int) -> tuple[Training, ...]:
    """With the hyper-parameters of (Zhou 2025, Table II); Baselines 2 and 3 are nearest and nearest-random."""
    slots = {"num_slots": 100, "reward": "literal", "warm_start": "none"}
    given = {**slots, "network": "perceptron", "learning_rate": 2.5e-4, "critic_learning_rate": 1.5e-3}
    given |= {"gamma": 0.98, "gae_lambda": 0.9, "total_steps": steps}
    ddpg = {**slots, "network": "relaxed-perceptron", "total_steps": ddpg_steps}
    return (
        Training("ppo (Proposed)", "ppo", {**given, "clip_coef": 0.2, "ratio": "joint"}),
        Training("a2c (Baseline 1)", "a2c", given),
        Training("ddpg (Baseline 4)", "ddpg", ddpg),
    )


ZHOU_AGENTS = ("nearest", "nearest-random", "stay", "local-search")


def _zhou(servers: Sequence[int], trainings: tuple[Training, ...]) -> tuple[Cell, ...]:
    return tuple(
        Cell(
            "DTAssociation-v0",
            "paper",
            trainings,
            heuristics=ZHOU_AGENTS,
            fields={"num_servers": size, "emd": emd},
            references=("nearest", "local-search"),
        )
        for emd in (0.0, 0.2, 0.4, 0.6)
        for size in servers
    )


def _lu(maddpg_steps: int, mappo_steps: int) -> tuple[Cell, ...]:
    trainings = (
        Training("maddpg (Proposed)", "maddpg", {"total_steps": maddpg_steps}),
        Training("mappo", "mappo", {"total_steps": mappo_steps}),
    )
    return tuple(
        Cell(
            "DTPlacementMA-v0",
            f"paper-{users}x{stations}",
            trainings,
            heuristics=("random", "nearest", "greedy-add", "local-search"),
            references=("nearest", "greedy-add"),
        )
        for users, stations in ((80, 5), (100, 5), (80, 10), (100, 10))
    )


_SHORT = {"total_steps": 2_000, "num_envs": 20, "num_steps": 10}

_ALL = (
    Suite(
        name="smoke",
        about="Every environment with a learner and a heuristic, small: whether an installation works.",
        cells=(
            Cell(
                "DTAssociation-v0",
                "balanced",
                (Training("ppo", "ppo", {**_SHORT, "warm_start": "none", "num_minibatches": 2}),),
                heuristics=("nearest", "hysteresis"),
                fields={"num_users": 6, "num_servers": 4, "num_slots": 20},
                references=("hysteresis",),
                bounds=10,
            ),
            Cell(
                "DTPlacementMA-v0",
                "small-20x5",
                (Training("maddpg", "maddpg", {"total_steps": 1_000}),),
                heuristics=("nearest", "greedy-add"),
                fields={"num_slots": 5},
                references=("greedy-add",),
            ),
            Cell(
                "DTMigration-v0",
                "balanced",
                (Training("hindsight", "hindsight", {"total_steps": 20_000}),),
                heuristics=("never", "payback"),
                fields={"num_slots": 50},
                references=("payback",),
                bounds=10,
            ),
        ),
        seeds=2,
        episodes=10,
    ),
    Suite(
        name="balanced",
        about="DTAssociation-v0 at three sizes: PPO, warm-started from local search or not.",
        cells=(_balanced(9, WARM), _balanced(15, WARM, COLD), _balanced(21, WARM)),
    ),
    Suite(
        name="sequential",
        about="DTAssociation-v0 where myopic search fails: PPO, warm-started from hysteresis.",
        cells=(Cell("DTAssociation-v0", "sequential", (FAR,), references=("hysteresis", "nearest", "local-search")),),
    ),
    Suite(
        name="paper",
        about="DTAssociation-v0 with the settings of (Zhou 2025, Table II) at S = 15.",
        cells=(
            Cell(
                "DTAssociation-v0",
                "paper",
                _table_ii(150_000, 30_000),
                fields={"num_servers": 15},
                references=("nearest", "nearest-random", "stay", "local-search"),
            ),
        ),
    ),
    Suite(
        name="placement",
        about="DTPlacementMA-v0 at three sizes: MAPPO and MADDPG.",
        cells=tuple(
            Cell(
                "DTPlacementMA-v0",
                name,
                STATIONS,
                references=("greedy-add", "constant", "nearest", "local-search"),
                bounds=1,
            )
            for name in ("small-20x5", "paper-80x5", "paper-100x10")
        ),
    ),
    Suite(
        name="migration",
        about="DTMigration-v0, a focal user: hindsight learning.",
        cells=(
            Cell(
                "DTMigration-v0",
                "balanced",
                (Training("hindsight", "hindsight"),),
                references=("lookahead", "payback", "never"),
                bounds=200,
            ),
        ),
    ),
    Suite(
        name="zhou2025-quick",
        about="The figures of (Zhou 2025), S = 9, 15 and 21, one training of every learner, short.",
        cells=_zhou((9, 15, 21), _table_ii(150_000, 30_000)),
        seeds=1,
    ),
    Suite(
        name="zhou2025-full",
        about="The figures of (Zhou 2025), S = 9, 11, …, 21, five trainings of every learner.",
        cells=_zhou(range(9, 22, 2), _table_ii(1_000_000, 200_000)),
    ),
    Suite(
        name="lu2021-quick",
        about="The figures of (Lu 2021), one training of every learner, short.",
        cells=_lu(40_000, 10_000),
        seeds=1,
        episodes=24,
    ),
    Suite(
        name="lu2021-full",
        about="The figures of (Lu 2021), five trainings of every learner.",
        cells=_lu(125_000, 50_000),
    ),
)

SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""By the name on the command line of `python -m benchmarks run`."""
