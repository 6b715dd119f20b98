"""What is fixed over an episode, one frozen dataclass a task; groups of fields stand in the task's own module."""

from dtenv.scenario.association import AssociationScenario
from dtenv.scenario.base import Scenario
from dtenv.scenario.migration import MigrationScenario
from dtenv.scenario.placement import PlacementScenario

__all__ = ["AssociationScenario", "MigrationScenario", "PlacementScenario", "Scenario"]
