"""The task of every kind of scenario: one table for all that need a task without its environment."""

from __future__ import annotations

from typing import Any

from dtenv.scenario import AssociationScenario, MigrationScenario, PlacementScenario, Scenario
from dtenv.tasks.association.task import AssociationTask
from dtenv.tasks.migration.task import MigrationTask
from dtenv.tasks.placement.task import PlacementTask

TASKS: dict[type[Scenario], Any] = {
    AssociationScenario: AssociationTask,
    PlacementScenario: PlacementTask,
    MigrationScenario: MigrationTask,
}


def task_of(scenario: Scenario) -> Any:
    """A scenario's task, of one row; no episode has begun."""
    return TASKS[type(scenario)](scenario)
