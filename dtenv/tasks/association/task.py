"""DTAssociation: spaces, observations, info, and episodes in batches (Zhou 2025)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record
from dtenv.observation import Block, Layout
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association.entries import LINK, LINKS, SERVER, SERVERS, USER, USERS, entries_of
from dtenv.tasks.association.kernels import Batch, Scale, State, advance, begin, slot_at
from dtenv.tasks.association.slot import Constants, Slot
from dtenv.tasks.association.terms import TOTAL, new_terms, new_work
from dtenv.tasks.episodes import Episodes, whole
from dtenv.world.association import AssociationRanges, empty_association_tape
from dtenv.world.walks import Recorded


class AssociationTask(Episodes):
    """Spaces and batched episodes of one scenario; the environments' doors hold one of these.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B). Rows never affect each other.
    """

    def __init__(self, scenario: AssociationScenario, batch: int = 1):
        super().__init__(scenario, batch)
        users, servers = scenario.network.num_users, scenario.network.num_servers
        self.layout = Layout(
            (
                Block("users", (users,), USERS),
                Block("servers", (servers,), SERVERS),
                Block("links", (users, servers), LINKS, low=0.0),
            )
        )
        self.tape = empty_association_tape(scenario, batch)
        self.state = State(
            np.zeros((batch, users), np.int64), np.zeros((batch, users), np.int64), np.zeros(batch, np.int64)
        )
        self.terms = new_terms(batch, users, servers)
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        self.mask = np.ones((batch, users, servers), np.bool_)
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        work = new_work(batch, users)
        self._arrays = Batch(
            self.tape,
            self.state,
            self.terms,
            work,
            Recorded.of(scenario.mobility.recording),
            self.streams,
            AssociationRanges.record(scenario),
            self.obs,
            self.mask,
            self.constants,
            self.scale,
        ).flat()
        self._no_history = np.zeros((0, users))

    @property
    def action_space(self) -> spaces.Space:
        """κ as MultiDiscrete([S] * U); with history="action" a Dict of it and γ in [0, 1]^U."""
        users, servers = self.scenario.network.num_users, self.scenario.network.num_servers
        server = spaces.MultiDiscrete([servers] * users)
        if self.scenario.episode.history != "action":
            return server
        return spaces.Dict({"server": server, "history": spaces.Box(0.0, 1.0, (users,), np.float64)})

    def begin_rows(self, rows: np.ndarray) -> None:
        """Draw the next episode of some rows from their streams, and observe its first slot."""
        begin(self._arrays, rows)

    def advance(self, action: np.ndarray, history: np.ndarray | None = None, rows: np.ndarray | None = None) -> None:
        """One slot of all rows, or of some, for κ (B, U) and, where the agent chooses it, γ (B, U)."""
        advance(
            self._arrays, self.rows if rows is None else rows, action, self._no_history if history is None else history
        )

    def slot(self, b: int = 0) -> Slot:
        """The slot that row b decides next, in physical units."""
        return slot_at(self.tape, b, int(self.state.slot[b]), self.state.server[b])

    def info(self, b: int = 0) -> dict[str, Any]:
        """Row b's last slot, unshaped; keys as in the environment's page."""
        told = entries_of(self.terms.totals[b].tolist(), int)
        return told | {"history": self.terms.history[b].copy(), "action_mask": self.mask[b].copy()}

    def entries(self) -> dict[str, np.ndarray]:
        """`info` of all rows' last slots: an array (B, …) for each name; some are views."""
        told = entries_of(self.terms.totals.T, whole)
        return told | {"history": self.terms.history, "action_mask": self.mask}

    def begun(self) -> dict[str, np.ndarray]:
        """`info` of all rows' resets, likewise."""
        return {"action_mask": self.mask, "server": self.state.server}

    @property
    def rewards_of_rows(self) -> np.ndarray:
        """Rewards (B,) of the last slot; a view."""
        return self.terms.totals[:, TOTAL.reward]

    def reward(self, b: int = 0) -> float:
        """Row b's reward of the last slot."""
        return float(self.terms.totals[b, TOTAL.reward])

    def decode(self, obs: np.ndarray) -> Slot:
        """The slots that flat observations (B, size) show, in physical units, each field with a leading B.

        Exact up to the observation's float32; samples are rounded back to whole numbers.
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
