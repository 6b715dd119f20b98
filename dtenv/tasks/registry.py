"""Table of scenario classes and their tasks, for code that needs a task without its environment."""

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
    """Create a scenario's task with one row, before its first reset."""
    return TASKS[type(scenario)](scenario)
