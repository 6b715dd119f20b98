"""How good an episode could have been, whatever the environment."""

from __future__ import annotations

from typing import Any

from gymnasium.utils import seeding

import dtenv.oracle.association as association
import dtenv.oracle.migration as migration
import dtenv.oracle.placement as placement
from dtenv import presets
from dtenv.oracle.solution import Solution
from dtenv.scenario import Scenario
from dtenv.tasks.association.task import AssociationTask
from dtenv.tasks.migration.task import MigrationTask
from dtenv.tasks.placement.task import PlacementTask
from dtenv.tasks.registry import task_of

SOLVERS: dict[type, Any] = {AssociationTask: association, PlacementTask: placement, MigrationTask: migration}
"""The module that solves a task's slots and episodes."""


def solve_episode(task: Any, b: int = 0, **settings: Any) -> Solution:
    """`solve_episode` of the task's own module, with its settings; with horizon=1 what is myopically best."""
    return SOLVERS[type(task)].solve_episode(task, b, **settings)


def episode_bound(
    env_id: str, scenario: str | Scenario | None = None, seed: int | None = None, **settings: Any
) -> Solution:
    """The clairvoyant bound, and a plan, of the episode that `reset(seed=seed)` begins.

    Args:
        env_id: the environment's id.
        scenario: a preset's name or a scenario; by default the environment's first preset.
        seed: of the episode.
        **settings: of the environment's `solve_episode`: horizon, time_limit, progress, ...

    Returns:
        value and bound: mean score a slot, the score being what tables rank by.

    Raises:
        ValueError: no such environment or preset, or a setting out of range.
    """
    resolved = presets.resolve(scenario, env_id)
    task = task_of(resolved)
    task.begin(0, seeding.np_random(seed)[0])
    return solve_episode(task, **settings)
