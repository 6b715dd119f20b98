"""Actor-critic networks by environment and name, each built for a scenario."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from agents.networks import association, deterministic, migration, placement
from agents.networks.decision import Decision, orthogonal
from agents.networks.foreseeing import forecast_features
from agents.networks.perceptron import Perceptron
from agents.networks.relaxed import RelaxedEquivariant, RelaxedPerceptron
from dtenv.tasks.registry import task_of

__all__ = ["NETWORKS", "Decision", "build", "orthogonal"]


def _of_spaces(network: Callable[..., nn.Module], scenario: Any, **options: Any) -> nn.Module:
    task = task_of(scenario)
    return network(task.layout.space, task.action_space, **options)


PERCEPTRON: dict[str, Callable[..., nn.Module]] = {"perceptron": partial(_of_spaces, Perceptron)}

RELAXED: dict[str, Callable[..., nn.Module]] = {
    "relaxed-equivariant": RelaxedEquivariant,
    "relaxed-perceptron": partial(_of_spaces, RelaxedPerceptron),
}
"""Networks for learners of continuous actions."""

NETWORKS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "DTAssociation-v0": {"equivariant": association.Equivariant, **PERCEPTRON, **RELAXED},
    "DTPlacementMA-v0": {
        "exchange": placement.SequentialMarket,
        "own": placement.LocalPerceptron,
        "deterministic": deterministic.Deterministic,
    },
    "DTMigration-v0": {
        "equivariant": migration.Equivariant,
        "foreseeing": forecast_features,
        **PERCEPTRON,
        **RELAXED,
    },
}
"""Networks by environment and name; the first of an environment is its default."""


def build(env_id: str, kind: str | None, scenario: Any, **options: Any) -> nn.Module:
    """Build the network `kind`, by default the environment's first; raises ValueError for an unknown kind."""
    known = NETWORKS.get(env_id, {})
    kind = kind or next(iter(known), None)
    if kind not in known:
        raise ValueError(f"network must be one of {', '.join(known) or 'none'} for {env_id}, got {kind!r}")
    return known[kind](scenario, **options)
