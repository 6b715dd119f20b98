"""What an agent is to everything that runs one: `reset` before an episode, `act` on observations."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from dtenv.scenario import AssociationScenario
from dtenv.tasks.association import AssociationTask
from dtenv.tasks.association_slot import Slot


class Policy(Protocol):
    """A decision rule for one scenario. Learners and heuristics alike."""

    name: str
    overrides: Mapping[str, Any]
    """Scenario fields that the environment needs for this policy, such as {"history": "random"}."""

    def reset(self, seed: int | None = None) -> None:
        """Forget the past; `seed` starts what is random in the policy."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The action for a flat observation (size,), or the actions (B, …) for a batch (B, size)."""


Rule = Callable[[Any, Slot, np.ndarray], None]
"""A function of constants, a slot and the association (U,) to be written; it releases the GIL where compiled."""


class SlotPolicy:
    """A heuristic that looks at one slot alone: reads it back from the observation and applies a rule."""

    def __init__(
        self,
        name: str,
        rule: Rule,
        scenario: AssociationScenario,
        overrides: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.name = name
        self.overrides = overrides
        self._rule = rule
        # Rules plan with the exact allocation, whatever history the environment then uses.
        self._task = AssociationTask(scenario.override(history="optimal"))

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The rule's associations, (U,) or (B, U)."""
        obs = np.asarray(obs)
        rows = np.atleast_2d(obs)
        slots = self._task.decode(rows)
        servers = np.zeros(slots.samples.shape, np.int64)

        def decide(b: int) -> None:
            self._rule(self._task.constants[0], Slot(*(field[b] for field in slots)), servers[b])

        if len(rows) == 1:
            decide(0)
        else:
            list(_threads().map(decide, range(len(rows)), chunksize=1))  # kernels release the GIL
        return servers.reshape(*obs.shape[:-1], -1)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count())
