"""Bounds and plans of an episode of any environment."""

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
"""Solver module of each task."""


def solve_episode(task: Any, b: int = 0, **settings: Any) -> Solution:
    """`solve_episode` of the task's own solver module; horizon=1 gives the myopic optimum."""
    return SOLVERS[type(task)].solve_episode(task, b, **settings)


def episode_bound(
    env_id: str, scenario: str | Scenario | None = None, seed: int | None = None, **settings: Any
) -> Solution:
    """Clairvoyant bound and plan of the episode that `reset(seed=seed)` starts; values are mean scores per slot.

    Args:
        env_id: the environment's id.
        scenario: a preset's name or a scenario; by default the environment's first preset.
        seed: seed of the episode.
        **settings: horizon, time_limit, progress and the other settings of the environment's `solve_episode`.

    Raises:
        ValueError: unknown environment or preset, or a setting out of range.
    """
    task = task_of(presets.resolve(scenario, env_id))
    task.reset(0, seeding.np_random(seed)[0])
    return solve_episode(task, **settings)
