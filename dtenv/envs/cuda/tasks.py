"""The three tasks on a CUDA device: kernels, actions and infos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda

from dtenv.envs.actions import read_server_and_history
from dtenv.envs.cuda import kernels
from dtenv.envs.cuda.episodes import ActionSpec, CudaTask, NamedAction
from dtenv.scenario import MigrationScenario
from dtenv.tasks.association import entries as association_entries
from dtenv.tasks.association import task as association
from dtenv.tasks.association import terms as association_terms
from dtenv.tasks.migration import batch as migration_batch
from dtenv.tasks.migration import entries as migration_entries
from dtenv.tasks.migration import task as migration
from dtenv.tasks.placement import entries as placement_entries
from dtenv.tasks.placement import slot as placement_slot
from dtenv.tasks.placement import task as placement
from dtenv.tasks.placement.kernels import ASSOCIATION, BINARY


class CudaAssociation(CudaTask):
    """DTAssociation on the device."""

    task, reward = association.AssociationTask, association_terms.TOTAL.reward
    begin_kernel, advance_kernel = kernels.begin_association, kernels.advance_association

    def infos(self) -> dict[str, Any]:
        """Infos of all rows' last slots: device arrays (B, …)."""
        return self.slot_infos | {"history": self.of(self.host_task.terms.history), "action_mask": self.mask}

    def _info_entries(self, totals: Any, means: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
        return association_entries.info_entries(totals, count)

    def _action_specs(self) -> list[ActionSpec]:
        network, batch = self.scenario.network, len(self.rows)
        shape, last = (batch, network.num_users), network.num_servers - 1
        kinds = [ActionSpec(shape, np.int64, last, f"be a server in 0..{last}")]
        if self.scenario.episode.history == "action":
            kinds.append(ActionSpec(shape, np.float64, 1, "lie in [0, 1]", whole=False))
        return kinds

    def _named_actions(self, actions: Any) -> list[NamedAction]:
        if len(self.specs) == 1:
            return [("actions", actions)]
        server, history = read_server_and_history("actions", actions)
        return [("actions", server), ('actions["history"]', history)]

    def _played(self) -> tuple[Any, ...]:
        return tuple(self.taken) if len(self.taken) == 2 else (self.taken[0], self._no_history)

    def _prepare(self) -> None:
        self._no_history = cuda.to_device(np.zeros((0, self.scenario.network.num_users)))


class CudaPlacement(CudaTask):
    """DTPlacementMA on the device, for a central controller."""

    task, reward = placement.PlacementTask, placement_slot.TOTAL.score
    begin_kernel, advance_kernel = kernels.begin_placement, kernels.advance_placement

    def _users(self) -> np.ndarray:
        return self.host_task.terms.users

    def _info_entries(self, totals: Any, means: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
        return placement_entries.info_entries(totals, means, self.scenario.network.num_users, count)

    def _action_specs(self) -> list[ActionSpec]:
        network, batch, mode = self.scenario.network, len(self.rows), self.host_task.mode
        if mode == ASSOCIATION:
            last = network.num_stations - 1
            return [ActionSpec((batch, network.num_users), np.int64, last, f"be a station in 0..{last}")]
        shape = (batch, *(self.action_space.shape or ()))
        if mode == BINARY:
            return [ActionSpec(shape, np.float64, 1, "be 0 or 1")]
        return [ActionSpec(shape, np.float64, 1, "be a finite number", whole=False, clipped=True)]

    def _played(self) -> tuple[Any, ...]:
        if self.host_task.mode == ASSOCIATION:
            return self._no_numbers, self.taken[0], self.host_task.mode
        batch, numbers = self.taken[0].shape
        stations = self.scenario.network.num_stations
        return self.taken[0].reshape(batch, stations, numbers // stations), self._no_server, self.host_task.mode

    def _prepare(self) -> None:
        self._no_numbers = cuda.to_device(np.zeros((0, 0, 0)))
        self._no_server = cuda.to_device(np.zeros((0, 0), np.int64))


class CudaMigration(CudaTask):
    """DTMigration on the device.

    Raises:
        ValueError: the forecaster is a custom object, which needs Python; or the scenario has a cloud, failures,
            creation of twins, an aggregation or a consensus.
    """

    task, reward = migration.MigrationTask, migration_batch.TERM.reward
    begin_kernel, advance_kernel = kernels.begin_migration, kernels.advance_migration

    def __init__(self, scenario: MigrationScenario, batch: int):
        forecaster = scenario.episode.forecaster
        if not isinstance(forecaster, str):
            raise ValueError(f'forecaster must be one of dtenv\'s own with device="cuda", got {forecaster!r}')
        refuse_deployments(scenario)
        super().__init__(scenario, batch)

    def masks(self) -> Any:
        """Action masks of all rows, (B, M), or with control="joint" (B, N, M)."""
        return self.mask if self.host_task.joint else self.mask.reshape(len(self.rows), self.mask.shape[2])

    def reset_infos(self) -> dict[str, Any]:
        """Infos of all rows' resets: device arrays (B, …)."""
        return {"action_mask": self.masks(), "server": self._server}

    def _show(self) -> None:
        if not self.host_task.joint:
            self._launch(kernels.take_column, len(self.rows), self.of(self.host_task.state.server), 0, self._server)

    def _info_entries(self, totals: Any, means: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
        return migration_entries.info_entries(totals, self.host_task.mask.shape[1], count)

    def _action_specs(self) -> list[ActionSpec]:
        network, batch = self.scenario.network, len(self.rows)
        shape, last = (batch, network.num_users) if self.host_task.joint else (batch,), network.num_stations - 1
        return [ActionSpec(shape, np.int64, last, f"be a station in 0..{last}")]

    def _played(self) -> tuple[Any, ...]:
        return tuple(self.taken)

    def _prepare(self) -> None:
        server = self.of(self.host_task.state.server)
        self._server = server if self.host_task.joint else cuda.to_device(np.zeros(len(self.rows), np.int64))


def refuse_deployments(scenario: MigrationScenario) -> None:
    """Raise ValueError for scenario options that are not tested on a device."""
    site, rounds = scenario.deployment, scenario.rounds
    wrong = [f"deployment must be edge, got {site.deployment!r}"] if site.has_cloud else []
    for name in ("failure_rate_per_s", "creation_s"):
        if getattr(site, name) > 0.0:
            wrong.append(f"{name} must be 0, got {getattr(site, name)!r}")
    for name in ("aggregation", "consensus"):
        if getattr(rounds, name) != "none":
            wrong.append(f"{name} must be none, got {getattr(rounds, name)!r}")
    if wrong:
        raise ValueError(f'with device="cuda" {"; ".join(wrong)}')
