"""Replay of a run's agents slot by slot: rows hold only means over an episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import agents
from agents.policy import Policy
from agents.training.checkpoint import load_policy
from benchmarks.evaluate import side_by_side
from benchmarks.figures.grid import MissingResults
from benchmarks.suites.jobs import Train
from dtenv.scenario import Scenario

if TYPE_CHECKING:
    from benchmarks.suites.results import Results
    from benchmarks.suites.suite import Cell

Look = Callable[[np.ndarray, dict[str, Any]], np.ndarray]
"""Function of a slot's actions and infos, of a batch, that returns the values to keep, (episodes,)."""


def slots(policy: Policy, env_id: str, scenario: Scenario, seeds: Sequence[int], look: Look) -> np.ndarray:
    """Play a policy's episodes and return the value of `look` in every slot, (episodes, slots)."""
    envs = side_by_side(env_id, scenario.override(**policy.overrides), len(seeds))
    obs, _ = envs.reset(seed=[int(seed) for seed in seeds])
    policy.reset(int(seeds[0]))
    seen = []
    for _ in range(scenario.value("num_slots")):
        action = policy.act(obs)
        obs, _, _, _, info = envs.step(action)
        seen.append(np.asarray(look(action, info), np.float64))
    envs.close()
    return np.stack(seen, axis=1)


def policies(results: Results, cell: Cell, agent: str) -> list[Policy]:
    """Load an agent of a cell: a heuristic, or the policy of every training.

    Raises:
        MissingResults: a policy is not in the folder.
    """
    training = next((training for training in cell.trainings if training.label == agent), None)
    if training is None:
        return [agents.load(agent, cell.env_id, scenario=cell.resolve())]
    seeds = sorted({row["training_seed"] for row in results.of(cell) if row["agent"] == agent})
    left = [Train(cell, training, seed, (), results.folder / "policies").policy for seed in seeds]
    lacking = [str(path) for path in left if not path.exists()]
    if lacking:
        raise MissingResults(f"{agent!r} on {cell.name} cannot be played again: {lacking[0]} is missing")
    return [load_policy(training.learner, cell.env_id, cell.resolve(), path) for path in left]
