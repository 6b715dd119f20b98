"""DTMigration: spaces, observations, info, and episodes in batches (Lu 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record
from dtenv.observation import Block, Layout
from dtenv.scenario.forecaster import Forecaster
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.episodes import Episodes, whole
from dtenv.tasks.migration.background import Looks
from dtenv.tasks.migration.batch import TERM, USER_TERMS, Batch, Scale, State, Terms
from dtenv.tasks.migration.entries import (
    CLOUD_ENTRY,
    LINK,
    LINKS,
    STATIONS,
    UP_ENTRY,
    USER,
    USERS,
    entries_of,
    lives_of,
)
from dtenv.tasks.migration.exogenous import Course, Work
from dtenv.tasks.migration.foresight import as_foresight, blocks_of, foretell
from dtenv.tasks.migration.kernels import advance, draw, look, offered_latency, start
from dtenv.tasks.migration.lifecycle import price_of_being
from dtenv.tasks.migration.rounds import consensus_of, round_of
from dtenv.tasks.migration.slot import Constants, Slot
from dtenv.tasks.uplink import unscaled_gain
from dtenv.world.edge import EdgeRanges
from dtenv.world.migration import empty_migration_tape
from dtenv.world.outages import Servers
from dtenv.world.walks import Recorded


class MigrationTask(Episodes):
    """Spaces and batched episodes of one scenario; the environments' doors hold one of these.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B). Rows never affect each other.
    """

    def __init__(self, scenario: MigrationScenario, batch: int = 1):
        super().__init__(scenario, batch)
        episode = scenario.episode
        users, stations = scenario.network.num_users, scenario.network.num_stations
        self.joint = episode.control == "joint"
        rounds = scenario.rounds
        self._tells_more = scenario.deployment.lives or {rounds.consensus, rounds.aggregation} != {"none"}
        own = users if self.joint else 1
        self._foresight = as_foresight(episode.forecaster)
        of_positions = self._foresight is None and isinstance(episode.forecaster, Forecaster)
        self._forecaster: Any = episode.forecaster if of_positions else None
        more = (CLOUD_ENTRY,) * scenario.deployment.has_cloud + (UP_ENTRY,) * scenario.deployment.fails
        self.layout = Layout(
            (
                Block("users", (own,), USERS),
                Block("stations", (stations,), STATIONS + more),
                Block("links", (own, stations), LINKS),
                *blocks_of(self._foresight, own, stations, episode.horizon),
            )
        )
        slots = episode.num_slots + 2
        self.tape = empty_migration_tape(scenario, batch)
        self.course = Course(
            np.zeros((batch, stations, stations)),
            np.zeros((batch, users)),
            np.zeros((batch, slots, users), np.int16),
            np.zeros((batch, slots, own)),
            np.zeros((batch, slots, own, stations)),
            np.full((batch, slots, own, episode.horizon), -1, np.int16),
            np.zeros((batch, users), np.int64),
            np.zeros((batch, 0 if self.joint else slots, users), np.int16),
        )
        self.state = State(
            np.zeros((batch, users), np.int64),
            np.zeros((batch, users), np.int64),
            np.zeros(batch, np.int64),
            np.zeros((batch, 2, stations)),
        )
        self.terms = Terms(np.zeros((batch, own, USER_TERMS)), np.zeros((batch, len(TERM))))
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        self.mask = np.ones((batch, own, stations), np.bool_)
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        work = Work(
            np.zeros((batch, stations, users)),
            np.zeros((batch, stations, users)),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
            np.zeros((batch, 1, stations)),
            np.zeros((batch, stations)),
            np.zeros((batch, stations)),
        )
        looks = Looks(
            np.zeros((batch, users), np.bool_),
            np.zeros((batch, users), np.int16),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
            np.zeros((batch, users)),
        )
        asked = 0 if self._forecaster is None else slots
        self._expected = np.zeros((batch, asked, own, episode.horizon, 2))
        foretold = sum(block.size for block in self.layout.blocks[3:])
        told_shape = (batch, 0, 0) if self._foresight is None else (batch, slots, foretold)
        self._told = np.zeros(told_shape, np.float32)
        self.batch = Batch(
            self.tape,
            self.course,
            self.state,
            self.terms,
            work,
            looks,
            Recorded.of(scenario.mobility.recording),
            self.streams,
            EdgeRanges.record(scenario, scenario.objective.update_deadline_s, Servers.of(scenario)),
            self._expected,
            self._told,
            self.obs,
            self.mask,
            self.constants,
            self.scale,
        )
        self._arrays = self.batch.flat()

    @property
    def action_space(self) -> spaces.Space:
        """The focal user's station, or with control="joint" every user's."""
        users, stations = self.scenario.network.num_users, self.scenario.network.num_stations
        return spaces.MultiDiscrete([stations] * users) if self.joint else spaces.Discrete(stations)

    def begin_rows(self, rows: np.ndarray) -> None:
        """Draw the next episode of some rows from their streams, and observe its first slot.

        Raises:
            ValueError: the scenario's forecaster gives something else than finite positions, or chances of stations,
                of the right shape.
        """
        draw(self._arrays, rows)
        if self._forecaster is not None:
            for b in rows:
                self._ask(self._forecaster, b)
        start(self._arrays, rows)
        if self._foresight is not None:
            for b in rows:
                foretell(self.batch, b, self._foresight)
            look(self._arrays, rows)

    def _ask(self, forecaster: Forecaster, b: int) -> None:
        horizon, area_m = self.scenario.episode.horizon, self.scenario.network.area_m
        walks = self.tape.user_xy[b, :, : self.mask.shape[1]]
        given: Any = forecaster.positions(walks.copy(), horizon, area_m)
        try:
            expected = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"forecaster must give positions, got {given!r}") from None
        shape = (*walks.shape[:2], horizon, 2)
        if expected.shape != shape or not np.isfinite(expected).all():
            raise ValueError(f"forecaster must give finite positions {shape}, got shape {expected.shape}")
        self._expected[b] = expected

    def advance(self, action: np.ndarray, rows: np.ndarray | None = None) -> None:
        """One slot of all rows, or of some, for stations (B, n) of the agent's users."""
        advance(self._arrays, self.rows if rows is None else rows, action)

    @property
    def rewards_of_rows(self) -> np.ndarray:
        """Rewards (B,) of the last slot; a view."""
        return self.terms.totals[:, TERM.reward]

    def reward(self, b: int = 0) -> float:
        """Row b's reward of the last slot."""
        return float(self.terms.totals[b, TERM.reward])

    def info(self, b: int = 0) -> dict[str, Any]:
        """Row b's last slot, unshaped; keys as in the environment's page."""
        told = entries_of(self.terms.totals[b].tolist(), self.mask.shape[1], int)
        if self._tells_more:
            told |= {name: value[b].item() for name, value in self._more().items()}
        return told | {"server": self.server(b), "action_mask": self.masks()[b].copy()}

    def masks(self) -> np.ndarray:
        """Action masks of all rows, (B, M) or with control="joint" (B, N, M); a view."""
        return self.mask if self.joint else self.mask[:, 0]

    def entries(self) -> dict[str, np.ndarray]:
        """`info` of all rows' last slots: an array (B, …) for each name; some are views."""
        return entries_of(self.terms.totals.T, self.mask.shape[1], whole) | self._more() | self.begun()

    def _more(self) -> dict[str, np.ndarray]:
        """What options beyond the paper's model tell of all rows' last slots."""
        told: dict[str, np.ndarray] = {}
        rounds = self.scenario.rounds
        if self.scenario.deployment.lives:
            told |= lives_of(self.terms.totals.T, whole)
        if rounds.consensus != "none":
            told |= consensus_of(self.scenario, len(self.rows))
        if rounds.aggregation != "none":
            up = np.ones(self.state.loads[:, 0].shape, np.bool_)
            if self.scenario.deployment.fails:
                up = self.tape.up[self.rows, np.maximum(self.state.slot - 1, 0)]
            update_s = self.terms.users[:, :, TERM.update]
            told |= round_of(self.scenario, update_s, self.state.server, up, self.course.wired_m)
        return told

    def begun(self) -> dict[str, np.ndarray]:
        """`info` of all rows' resets, likewise."""
        server = self.state.server if self.joint else self.state.server[:, 0]
        return {"server": server, "action_mask": self.masks()}

    def server(self, b: int = 0) -> Any:
        """The stations of the agent's users' twins: (N,), or one whole number for a focal user."""
        return self.state.server[b].copy() if self.joint else int(self.state.server[b, 0])

    def slot(self, b: int = 0) -> Slot:
        """The slot that row b decides next, in physical units."""
        t, own = int(self.state.slot[b]), self.mask.shape[1]
        tape, course = self.tape, self.course
        server, wired_m, rate = self.state.server[b, :own], course.wired_m[b], course.rate[b, t, :own]
        places = [(u, k) for u in range(own) for k in range(self.mask.shape[2])]
        latency_s = [offered_latency(self.batch, b, t, u, k) for u, k in places]
        price = [price_of_being(self.batch, b, t, u, server[u], k) for u, k in places]
        return Slot(
            user_xy=tape.user_xy[b, t, :own],
            step_xy=tape.user_xy[b, t, :own] - tape.user_xy[b, t - 1, :own],
            data_bits=tape.data_bits[b, :own],
            update_bits=tape.update_bits[b, :own],
            deadline_s=tape.deadline_s[b, :own],
            wireless_s=tape.update_bits[b, :own] / rate,
            access=course.access[b, t, :own].astype(np.int64),
            server=server.copy(),
            gain_db=course.gain_db[b, t],
            room=self.mask[b].copy(),
            latency_s=np.reshape(latency_s, self.mask.shape[1:]),
            price=np.reshape(price, self.mask.shape[1:]),
            station_xy=tape.station_xy[b],
            wired_m=wired_m,
        )

    def decode(self, obs: np.ndarray) -> Slot:
        """The slots that flat observations (B, size) show, in physical units, each field with a leading B.

        Exact up to the observation's float32, where gains, steps and the wireless latency are not clipped.
        """
        view = self.layout.split(np.asarray(obs, dtype=np.float64))
        users, stations, links, scale = view["users"], view["stations"], view["links"], Scale.of(self.scenario)
        xy, c = 0.5 * (stations[..., :2] + 1.0) * scale.area_m, self.constants[0]
        wired_m = np.sqrt(((xy[:, :, None] - xy[:, None]) ** 2).sum(axis=-1))
        if c["cloud"] >= 0:
            wired_m[:, c["cloud"], : c["cloud"]] = wired_m[:, : c["cloud"], c["cloud"]] = c["cloud_distance_m"]
        deadline_s = users[..., USER.deadline] * scale.deadline_s
        time_s = self.scenario.utility.utility_time_s
        time_s = deadline_s if time_s is None else np.full_like(deadline_s, time_s)
        worth = np.maximum(links[..., LINK.worth], np.finfo(np.float32).tiny)
        return Slot(
            user_xy=0.5 * (users[..., :2] + 1.0) * scale.area_m,
            step_xy=users[..., USER.dx : USER.dy + 1] * scale.step_m,
            data_bits=users[..., USER.data_bits] * scale.data_bits,
            update_bits=users[..., USER.update_bits] * scale.update_bits,
            deadline_s=deadline_s,
            wireless_s=users[..., USER.wireless] * deadline_s,
            access=links[..., LINK.access].argmax(axis=-1),
            server=links[..., LINK.hosts].argmax(axis=-1),
            gain_db=unscaled_gain(links[..., LINK.gain], scale.least_gain_db, scale.most_gain_db),
            room=links[..., LINK.room] > 0.5,
            latency_s=-time_s[..., None] * np.log(worth),
            price=links[..., LINK.price] * scale.price,
            station_xy=xy,
            wired_m=wired_m,
        )
