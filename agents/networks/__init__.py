"""Actor-critic networks by environment and name, each built for a scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from agents.networks import association, deterministic, migration, placement
from agents.networks.decision import Decision, orthogonal
from agents.networks.foreseeing import foreseeing
from agents.networks.perceptron import Perceptron
from agents.networks.relaxed import RelaxedEquivariant, RelaxedPerceptron
from dtenv.tasks.registry import task_of

__all__ = ["NETWORKS", "Decision", "build", "orthogonal"]


def _perceptron(scenario: Any, **options: Any) -> Perceptron:
    task = task_of(scenario)
    return Perceptron(task.layout.space, task.action_space, **options)


def _relaxed(scenario: Any) -> RelaxedPerceptron:
    task = task_of(scenario)
    return RelaxedPerceptron(task.layout.space, task.action_space)


RELAXED: dict[str, Callable[..., nn.Module]] = {
    "relaxed-equivariant": RelaxedEquivariant,
    "relaxed-perceptron": _relaxed,
}
"""For learners of continuous actions."""

NETWORKS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "DTAssociation-v0": {"equivariant": association.Equivariant, "perceptron": _perceptron, **RELAXED},
    "DTPlacementMA-v0": {
        "exchange": placement.Exchange,
        "own": placement.Own,
        "deterministic": deterministic.Deterministic,
    },
    "DTMigration-v0": {
        "equivariant": migration.Equivariant,
        "foreseeing": foreseeing,
        "perceptron": _perceptron,
        **RELAXED,
    },
}
"""The first of an environment is its default."""


def build(env_id: str, kind: str | None, scenario: Any, **options: Any) -> nn.Module:
    """The network of that name for a scenario; by default the environment's first.

    Raises:
        ValueError: no such network for this environment.
    """
    known = NETWORKS.get(env_id, {})
    kind = kind or next(iter(known), None)
    if kind not in known:
        raise ValueError(f"network must be one of {', '.join(known) or 'none'} for {env_id}, got {kind!r}")
    return known[kind](scenario, **options)
