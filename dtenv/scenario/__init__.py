"""Settings that are fixed over an episode: one frozen dataclass per task, made of groups of fields."""

from dtenv.scenario.association import AssociationScenario
from dtenv.scenario.base import Scenario
from dtenv.scenario.migration import MigrationScenario
from dtenv.scenario.placement import PlacementScenario

__all__ = ["AssociationScenario", "MigrationScenario", "PlacementScenario", "Scenario"]
