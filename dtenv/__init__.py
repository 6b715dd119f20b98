"""dtenv: Gymnasium and PettingZoo environments of digital-twin edge networks.

`import dtenv` registers DTAssociation-v0, DTPlacementMA-v0 and DTMigration-v0 with Gymnasium, and DTPlacementMA-v0 with
PettingZoo's registry of parallel environments if there is one (1.27).
"""

from __future__ import annotations

from typing import Any

import gymnasium as _gym

from dtenv.physics.utility import earth_movers_distance
from dtenv.presets import ASSOCIATION, MIGRATION, PLACEMENT
from dtenv.scenario import AssociationScenario, MigrationScenario, PlacementScenario
from dtenv.scenario.recording import Recording
from dtenv.traces import scenario_from_traces
from dtenv.utility_profile import UtilityProfile
from dtenv.wrappers import RelaxedAction, RelaxedVectorAction, StructuredObservation

__version__ = "0.1.0"
__all__ = [
    "ASSOCIATION",
    "MIGRATION",
    "PLACEMENT",
    "AssociationScenario",
    "MigrationScenario",
    "PlacementScenario",
    "Recording",
    "RelaxedAction",
    "RelaxedVectorAction",
    "StructuredObservation",
    "UtilityProfile",
    "earth_movers_distance",
    "parallel_env",
    "parallel_vector_env",
    "scenario_from_traces",
]

for _id, _module, _env in (
    ("DTAssociation-v0", "association", "AssociationEnv"),
    ("DTPlacementMA-v0", "placement", "PlacementEnv"),
    ("DTMigration-v0", "migration", "MigrationEnv"),
):
    _gym.register(_id, f"dtenv.envs.{_module}:{_env}", vector_entry_point=f"dtenv.envs.vector_entry_points:{_module}")


def parallel_env(env_id: str, **settings: Any) -> Any:
    """Make a PettingZoo ParallelEnv.

    Args:
        env_id: "DTPlacementMA-v0"; ValueError for any other.
        **settings: `scenario`, `render_mode`, and single fields of the scenario by name, as in gym.make.
    """
    _check_has_parallel_view(env_id)
    from dtenv.envs.parallel import PlacementParallelEnv  # imported on first use: not all users have PettingZoo

    return PlacementParallelEnv(**settings)


def parallel_vector_env(env_id: str, num_envs: int = 1, **settings: Any) -> Any:
    """Make a batch of multi-agent environments, as arrays with an axis of agents.

    Args:
        env_id: "DTPlacementMA-v0"; ValueError for any other.
        num_envs: number of environments.
        **settings: `scenario`, `autoreset_mode`, `copy`, `threads`, and single fields of the scenario by name.
    """
    _check_has_parallel_view(env_id)
    from dtenv.envs.parallel_vector import PlacementParallelVectorEnv  # imported on first use

    return PlacementParallelVectorEnv(num_envs, **settings)


def _check_has_parallel_view(env_id: str) -> None:
    if env_id != "DTPlacementMA-v0":
        raise ValueError(f"env_id {env_id!r} has no Parallel view; known: DTPlacementMA-v0")


def __getattr__(name: str) -> Any:
    """Import `dtenv.oracle` on first use."""
    if name == "oracle":
        import importlib

        return importlib.import_module("dtenv.oracle")
    raise AttributeError(f"module 'dtenv' has no attribute {name!r}")


def _register_with_pettingzoo() -> None:
    """Register DTPlacementMA-v0 with PettingZoo's registry, available from version 1.27."""
    try:
        from pettingzoo.env_registry.registration import parallel_registry, register
    except ImportError:
        return
    if "DTPlacementMA-v0" not in parallel_registry:  # a second import would warn
        register("parallel", "DTPlacementMA-v0", "dtenv.envs.parallel:PlacementParallelEnv")


_register_with_pettingzoo()
