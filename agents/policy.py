"""The policy interface, `reset(seed)` and `act(obs)`; heuristics and random actions as policies."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from dtenv.envs.threads import ThreadPool
from dtenv.scenario import AssociationScenario, PlacementScenario, Scenario
from dtenv.tasks.association import slot as association_slot
from dtenv.tasks.migration import slot as migration_slot
from dtenv.tasks.placement import slot as placement_slot
from dtenv.tasks.registry import task_of


class Policy(Protocol):
    """A decision rule for one scenario: a learner or a heuristic."""

    name: str
    overrides: Mapping[str, Any]
    """Scenario fields that the environment needs for this policy, such as {"history": "random"}."""

    def reset(self, seed: int | None = None) -> None:
        """Clear the memory of past slots; `seed` seeds the policy's randomness."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The action for a flat observation (size,), or the actions (B, …) for a batch (B, size)."""


Rule = Callable[[Any, Any, np.ndarray], None]
"""A function of constants, a slot and the servers (users,) to write; it releases the GIL if compiled."""


class SlotPolicy:
    """A heuristic that decodes one slot from the observation and applies a rule to it.

    Rules of DTPlacementMA-v0 and DTAssociation-v0 choose every user's server; those of DTMigration-v0 the servers of
    the agent's users. The rows of a batch are decided in parallel threads if `side_by_side`.
    """

    def __init__(
        self,
        name: str,
        rule: Rule,
        scenario: Scenario,
        overrides: Mapping[str, Any] = MappingProxyType({}),
        *,
        side_by_side: bool = True,
    ):
        self.name, self.overrides = name, overrides
        self._rule, self._side_by_side = rule, side_by_side
        self._task = task_of(scenario.override(**PLANNED.get(type(scenario), {})))
        self._scalar = isinstance(self._task.action_space, spaces.Discrete)

    def reset(self, seed: int | None = None) -> None:
        """Do nothing: the policy has no memory."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The rule's servers, (users,) or (B, users); for a focal user an integer or (B,)."""
        obs = np.asarray(obs)
        slots = self._task.decode(np.atleast_2d(obs))
        servers = np.zeros(slots[SERVED[type(slots)]].shape, np.int64)

        def decide(b: int) -> None:
            self._rule(self._task.constants[0], type(slots)(*(field[b] for field in slots)), servers[b])

        if len(servers) == 1 or not self._side_by_side:
            for b in range(len(servers)):
                decide(b)
        else:
            THREADS.apply(decide, range(len(servers)))  # kernels release the GIL
        return servers.reshape(obs.shape[:-1] if self._scalar else (*obs.shape[:-1], -1))


class RandomPolicy:
    """Uniformly random actions, independent in every slot."""

    name = "random"

    def __init__(self, scenario: Scenario, overrides: Mapping[str, Any] = MappingProxyType({})):
        self.overrides = overrides
        self._space = task_of(scenario.override(**overrides)).action_space
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Seed the draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Servers, (users,) or (B, users); for a focal user an integer or (B,)."""
        shape = (*np.shape(obs)[:-1], *(self._space.shape or ()))
        if isinstance(self._space, spaces.Discrete):
            return np.asarray(self._rng.integers(self._space.n, size=shape))
        return self._rng.integers(self._space.nvec[0], size=shape)  # type: ignore[attr-defined]


PLANNED: dict[type[Scenario], dict[str, Any]] = {
    AssociationScenario: {"history": "optimal"},  # for planning only, the environment may use another
    PlacementScenario: {"action": "association"},
}
"""Scenario fields overridden for the planning of rules."""

SERVED: dict[type, int] = {
    association_slot.Slot: association_slot.Slot._fields.index("previous_server"),
    placement_slot.Slot: placement_slot.Slot._fields.index("previous_server"),
    migration_slot.Slot: migration_slot.Slot._fields.index("server"),
}
"""Index of the field of a slot that has the shape of a decision."""

THREADS = ThreadPool(os.cpu_count() or 1)
