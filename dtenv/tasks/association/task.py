"""DTAssociation as a task: spaces, observations, info and batched episodes (Zhou 2025)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record
from dtenv.observation import Block, Layout
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association.entries import LINK, LINKS, SERVER, SERVERS, USER, USERS, info_entries
from dtenv.tasks.association.kernels import Batch, Scale, State, reset, slot_at, step
from dtenv.tasks.association.slot import Constants, Slot
from dtenv.tasks.association.terms import TOTAL, new_terms, new_work
from dtenv.tasks.episodes import Task, flatten, whole
from dtenv.world.association import AssociationRanges, empty_association_tape
from dtenv.world.walks import Recorded


class AssociationTask(Task):
    """Spaces and B independent episodes of one scenario."""

    _reward = TOTAL.reward

    def __init__(self, scenario: AssociationScenario, batch: int = 1):
        super().__init__(scenario, batch)
        users, servers = scenario.network.num_users, scenario.network.num_servers
        links = Block("links", (users, servers), LINKS, low=0.0)
        self.layout = Layout((Block("users", (users,), USERS), Block("servers", (servers,), SERVERS), links))
        self.tape = empty_association_tape(scenario, batch)
        self.state = State(*(np.zeros(shape, np.int64) for shape in ((batch, users), (batch, users), batch)))
        self.terms = new_terms(batch, users, servers)
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        self.mask = np.ones((batch, users, servers), np.bool_)
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        work, recorded = new_work(batch, users), Recorded.of(scenario.mobility.recording)
        groups, ranges = (self.tape, self.state, self.terms, work, recorded), AssociationRanges.record(scenario)
        self._arrays = flatten(Batch(*groups, self.streams, ranges, self.obs, self.mask, self.constants, self.scale))
        self._no_history = np.zeros((0, users))

    @property
    def action_space(self) -> spaces.Space:
        """Action space of κ, MultiDiscrete([S] * U); with history="action" a Dict of κ and γ in [0, 1]^U."""
        users, servers = self.scenario.network.num_users, self.scenario.network.num_servers
        server = spaces.MultiDiscrete([servers] * users)
        if self.scenario.episode.history != "action":
            return server
        return spaces.Dict({"server": server, "history": spaces.Box(0.0, 1.0, (users,), np.float64)})

    def reset_rows(self, rows: np.ndarray) -> None:
        """Reset some rows: draw their next episodes from their streams and observe the first slot."""
        reset(self._arrays, rows)

    def step(self, action: np.ndarray, history: np.ndarray | None = None, rows: np.ndarray | None = None) -> None:
        """Step all rows, or some, with κ (B, U) and, if the agent chooses it, γ (B, U)."""
        rows = self.rows if rows is None else rows
        step(self._arrays, rows, action, self._no_history if history is None else history)

    def slot(self, b: int = 0) -> Slot:
        """Slot that row b decides next, in physical units."""
        return slot_at(self.tape, b, int(self.state.slot[b]), self.state.server[b])

    def info(self, b: int = 0) -> dict[str, Any]:
        """`info` of row b after the last step; the environment's page lists the keys."""
        infos = info_entries(self.terms.totals[b].tolist(), int)
        return infos | {"history": self.terms.history[b].copy(), "action_mask": self.mask[b].copy()}

    def infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after the last step: an array (B, …) per key; some are views."""
        infos = info_entries(self.terms.totals.T, whole)
        return infos | {"history": self.terms.history, "action_mask": self.mask}

    def reset_infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after their resets, in the same form."""
        return {"action_mask": self.mask, "server": self.state.server}

    def reward(self, b: int = 0) -> float:
        """Row b's reward of the last slot."""
        return float(self.terms.totals[b, TOTAL.reward])

    def decode(self, obs: np.ndarray) -> Slot:
        """Slots in flat observations (B, size), in physical units, each field with a leading B.

        Exact up to the observation's float32; samples are rounded back to integers.
        """
        view = self.layout.split(np.asarray(obs, dtype=np.float64))
        users, servers, scale = view["users"], view["servers"], Scale.of(self.scenario)
        return Slot(
            user_xy=np.ascontiguousarray(0.5 * (users[..., :2] + 1.0) * scale.area_m),
            samples=np.round(users[..., USER.samples] * scale.samples),
            previous_samples=np.round(users[..., USER.previous_samples] * scale.samples),
            twin_bits=users[..., USER.twin_bits] * scale.twin_bits,
            emd=2.0 * users[..., USER.emd],
            previous_server=view["links"][..., LINK.hosts].argmax(axis=-1),
            server_xy=np.ascontiguousarray(0.5 * (servers[..., :2] + 1.0) * scale.area_m),
            cycles_per_bit=servers[..., SERVER.cycles_per_bit] * scale.cycles_per_bit,
            compute_capacity=servers[..., SERVER.compute_capacity] * scale.compute_capacity,
            sync_capacity=servers[..., SERVER.sync_capacity] * scale.sync_capacity,
        )
