"""Catalogue of the suites: every published training and comparison, with all its settings.

python -m benchmarks suites
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.suites.suite import Cell, Suite, Training
from dtenv.reporting.markdown import markdown_table

WARM = Training("ppo", "ppo")
COLD = Training("ppo, no warm start", "ppo", {"warm_start": "none", "ent_coef": 0.07, "total_steps": 500_000})
FAR = Training("ppo", "ppo", {"warm_start": "hysteresis", "gamma": 0.98, "total_steps": 150_000})

STATIONS = (Training("mappo", "mappo", {"total_steps": 20_000}), Training("maddpg", "maddpg", {"total_steps": 40_000}))


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
    """Learners with the hyper-parameters of (Zhou 2025, Table II); Baselines 2 and 3 are nearest and nearest-random."""
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
    agents: Any = {"heuristics": ZHOU_AGENTS, "references": ("nearest", "local-search")}
    return tuple(
        Cell("DTAssociation-v0", "paper", trainings, fields={"num_servers": size, "emd": emd}, **agents)
        for emd in (0.0, 0.2, 0.4, 0.6)
        for size in servers
    )


def _lu(maddpg_steps: int, mappo_steps: int) -> tuple[Cell, ...]:
    """MADDPG with the hyper-parameters of (Lu 2021, Table II), with an actor and a critic per station."""
    table_ii = {"shared": False, "gamma": 0.7, "batch_size": 32, "actor_learning_rate": 1e-3}
    trainings = (
        Training("maddpg (Proposed)", "maddpg", {**table_ii, "total_steps": maddpg_steps}),
        Training("mappo", "mappo", {"total_steps": mappo_steps}),
    )
    agents: Any = {"heuristics": ("random", "nearest", "greedy-add", "local-search")}
    agents["references"] = ("nearest", "greedy-add")
    return tuple(
        Cell("DTPlacementMA-v0", f"paper-{users}x{stations}", trainings, **agents)
        for users, stations in ((80, 5), (100, 5), (80, 10), (100, 10))
    )


_SHORT = {"total_steps": 2_000, "num_envs": 20, "num_steps": 10, "warm_start": "none", "num_minibatches": 2}
_SMOKE = (
    Cell(
        "DTAssociation-v0",
        "balanced",
        (Training("ppo", "ppo", _SHORT),),
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
)
_SEQUENTIAL = Cell("DTAssociation-v0", "sequential", (FAR,), references=("hysteresis", "nearest", "local-search"))
_PAPER = Cell(
    "DTAssociation-v0", "paper", _table_ii(600_000, 600_000), fields={"num_servers": 15}, references=ZHOU_AGENTS
)
_PLACEMENT = tuple(
    Cell("DTPlacementMA-v0", name, STATIONS, references=("greedy-add", "constant", "nearest", "local-search"), bounds=1)
    for name in ("small-20x5", "paper-80x5", "paper-100x10")
)
_HINDSIGHT = Training("hindsight", "hindsight")
_MIGRATION = Cell("DTMigration-v0", "balanced", (_HINDSIGHT,), references=("lookahead", "payback", "never"), bounds=200)

_ALL = (
    Suite(
        name="smoke",
        about="Every environment with a learner and a heuristic, small: whether an installation works.",
        cells=_SMOKE,
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
        cells=(_SEQUENTIAL,),
    ),
    Suite(
        name="paper", about="DTAssociation-v0 with the settings of (Zhou 2025, Table II) at S = 15.", cells=(_PAPER,)
    ),
    Suite(name="placement", about="DTPlacementMA-v0 at three sizes: MAPPO and MADDPG.", cells=_PLACEMENT),
    Suite(name="migration", about="DTMigration-v0, a focal user: hindsight learning.", cells=(_MIGRATION,)),
    Suite(
        name="zhou2025-quick",
        about="The figures of (Zhou 2025), S = 9, 15 and 21, one training of every learner, short.",
        cells=_zhou((9, 15, 21), _table_ii(150_000, 30_000)),
        seeds=1,
    ),
    Suite(
        name="zhou2025-full",
        about="The figures of (Zhou 2025), S = 9, 11, …, 21, five trainings of every learner.",
        cells=_zhou(range(9, 22, 2), _table_ii(600_000, 600_000)),
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
"""Suites by their name on the command line of `python -m benchmarks run`."""


@dataclass
class List:
    """List the suites."""


def main(_: List) -> None:
    """Print the table of suites."""
    print("\n".join(table()))


def table() -> list[str]:
    """Lines of the table of suites."""
    rows = []
    for suite in SUITES.values():
        labels = dict.fromkeys(training.label for cell in suite.cells for training in cell.trainings)
        episodes = dict.fromkeys(str(len(suite.evaluation_seeds(cell.env_id))) for cell in suite.cells)
        trainings = sum(min(suite.seeds, t.seeds or suite.seeds) for cell in suite.cells for t in cell.trainings)
        rows.append([suite.name, suite.about, len(suite.cells), "; ".join(labels), trainings, ", ".join(episodes)])
    heads = ["suite", "what", "scenarios", "trained", "trainings", "episodes"]
    return markdown_table(heads, rows, right=(2, 4, 5))
