"""dtenv: Gymnasium environments for digital-twin edge networks.

`import dtenv` registers DTAssociation-v0 with Gymnasium.
"""

from __future__ import annotations

import gymnasium as _gym

from dtenv.observation import StructuredObservation
from dtenv.physics.utility import earth_movers_distance
from dtenv.presets import ASSOCIATION
from dtenv.recording import Recording
from dtenv.scenario import AssociationScenario
from dtenv.traces import scenario_from_traces

__version__ = "0.1.0"
__all__ = [
    "ASSOCIATION",
    "AssociationScenario",
    "Recording",
    "StructuredObservation",
    "earth_movers_distance",
    "scenario_from_traces",
]

_gym.register(id="DTAssociation-v0", entry_point="dtenv.envs.single:AssociationEnv")
