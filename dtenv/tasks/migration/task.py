"""DTMigration as a task: spaces, observations, info and batched episodes (Lu 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record
from dtenv.observation import Block, Layout
from dtenv.scenario.forecaster import Forecaster
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.episodes import Task, whole
from dtenv.tasks.migration import entries
from dtenv.tasks.migration.background import CachedDecisions
from dtenv.tasks.migration.batch import TERM, USER_TERMS, Batch, Scale, State, Terms
from dtenv.tasks.migration.entries import LINK, USER
from dtenv.tasks.migration.exogenous import Exogenous, Work
from dtenv.tasks.migration.foresight import as_floats, as_foresight, blocks_of, write_forecasts
from dtenv.tasks.migration.kernels import draw, observe_rows, offered_latency, start, step
from dtenv.tasks.migration.lifecycle import hosting_price
from dtenv.tasks.migration.rounds import consensus_of, round_of
from dtenv.tasks.migration.slot import Constants, Slot
from dtenv.tasks.uplink import unscaled_gain
from dtenv.world.edge import EdgeRanges
from dtenv.world.migration import empty_migration_tape
from dtenv.world.outages import OutageRates
from dtenv.world.walks import Recorded


class MigrationTask(Task):
    """Spaces and B independent episodes of one scenario."""

    _reward = TERM.reward

    def __init__(self, scenario: MigrationScenario, batch: int = 1):
        super().__init__(scenario, batch)
        episode, slots = scenario.episode, scenario.episode.num_slots + 2
        users, stations = scenario.network.num_users, scenario.network.num_stations
        self.joint = episode.control == "joint"
        own = users if self.joint else 1
        self._foresight = as_foresight(episode.forecaster)
        of_positions = self._foresight is None and isinstance(episode.forecaster, Forecaster)
        self._forecaster: Any = episode.forecaster if of_positions else None
        optional = (entries.IS_CLOUD,) * scenario.deployment.has_cloud
        optional += (entries.IS_UP,) * scenario.deployment.fails
        blocks = [Block("users", (own,), entries.USERS), Block("stations", (stations,), entries.STATIONS + optional)]
        ahead = blocks_of(self._foresight, own, stations, episode.horizon)
        self.layout = Layout((*blocks, Block("links", (own, stations), entries.LINKS), *ahead))
        self.tape = empty_migration_tape(scenario, batch)
        shapes = (stations, stations), (users,), (slots, own), (slots, own, stations)
        wired_m, weight, rate, gain_db = (np.zeros((batch, *shape)) for shape in shapes)
        access, background = (np.zeros((batch, t, users), np.int16) for t in (slots, 0 if self.joint else slots))
        forecast = np.full((batch, slots, own, episode.horizon), -1, np.int16)
        server, previous, first = (np.zeros((batch, users), np.int64) for _ in range(3))
        self.course = Exogenous(wired_m, weight, access, rate, gain_db, forecast, first, background)
        self.state = State(server, previous, np.zeros(batch, np.int64), np.zeros((batch, 2, stations)))
        self.terms = Terms(np.zeros((batch, own, USER_TERMS)), np.zeros((batch, len(TERM))))
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        self.mask = np.ones((batch, own, stations), np.bool_)
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        work_shapes = *2 * [(stations, users)], *4 * [(users,)], (1, stations), *2 * [(stations,)]
        work = Work(*(np.zeros((batch, *shape)) for shape in work_shapes))
        dtypes = np.bool_, np.int16, *5 * [np.float64]
        looks = CachedDecisions(*(np.zeros((batch, users), dtype) for dtype in dtypes))
        self._expected = np.zeros((batch, 0 if self._forecaster is None else slots, own, episode.horizon, 2))
        forecast_shape = (0, 0) if self._foresight is None else (slots, sum(block.size for block in ahead))
        forecast_obs = np.zeros((batch, *forecast_shape), np.float32)
        recorded = Recorded.of(scenario.mobility.recording)
        self.batch = Batch(
            *(self.tape, self.course, self.state, self.terms, work, looks, recorded),
            self.streams,
            EdgeRanges.record(scenario, scenario.objective.update_deadline_s, OutageRates.of(scenario)),
            *(self._expected, forecast_obs, self.obs, self.mask, self.constants, self.scale),
        )
        self._arrays = self.batch.flatten()

    @property
    def action_space(self) -> spaces.Space:
        """Action space: the focal user's station, or with control="joint" every user's."""
        users, stations = self.scenario.network.num_users, self.scenario.network.num_stations
        return spaces.MultiDiscrete([stations] * users) if self.joint else spaces.Discrete(stations)

    def reset_rows(self, rows: np.ndarray) -> None:
        """Reset some rows: draw their next episodes from their streams and observe the first slot.

        Raises ValueError if the scenario's forecaster returns neither finite positions nor probabilities of stations of
        the right shape.
        """
        draw(self._arrays, rows)
        if self._forecaster is not None:
            for b in rows:
                self._expected[b] = self._positions(b)
        start(self._arrays, rows)
        if self._foresight is not None:
            for b in rows:
                write_forecasts(self.batch, b, self._foresight)
            observe_rows(self._arrays, rows)

    def _positions(self, b: int) -> np.ndarray:
        horizon, walks = self.scenario.episode.horizon, self.tape.user_xy[b, :, : self.mask.shape[1]]
        given = self._forecaster.positions(walks.copy(), horizon, self.scenario.network.area_m)
        expected, shape = as_floats(given, "positions"), (*walks.shape[:2], horizon, 2)
        if expected.shape != shape or not np.isfinite(expected).all():
            raise ValueError(f"forecaster must give finite positions {shape}, got shape {expected.shape}")
        return expected

    def step(self, action: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Step all or some rows with stations (B, n) of the agent's users."""
        step(self._arrays, self.rows if rows is None else rows, action)

    def reward(self, b: int = 0) -> float:
        """Row b's reward of the last slot."""
        return float(self.terms.totals[b, TERM.reward])

    def info(self, b: int = 0) -> dict[str, Any]:
        """`info` of row b after the last step; the environment's page lists the keys."""
        infos = entries.info_entries(self.terms.totals[b].tolist(), self.mask.shape[1], int)
        infos |= {name: value[b].item() for name, value in self._optional_entries().items()}
        return infos | {"server": self.server(b), "action_mask": self.masks()[b].copy()}

    def masks(self) -> np.ndarray:
        """Action masks of all rows, (B, M) or with control="joint" (B, N, M); a view."""
        return self.mask if self.joint else self.mask[:, 0]

    def infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after the last step: an array (B, …) per key; some are views."""
        infos = entries.info_entries(self.terms.totals.T, self.mask.shape[1], whole)
        return infos | self._optional_entries() | self.reset_infos()

    def _optional_entries(self) -> dict[str, np.ndarray]:
        """`info` of all rows from options beyond the paper's model: lifecycles, consensus and federated rounds."""
        infos: dict[str, np.ndarray] = {}
        rounds = self.scenario.rounds
        if self.scenario.deployment.has_lifecycle:
            infos |= entries.lifecycle_entries(self.terms.totals.T, whole)
        if rounds.consensus != "none":
            infos |= consensus_of(self.scenario, len(self.rows))
        if rounds.aggregation != "none":
            up = np.ones(self.state.loads[:, 0].shape, np.bool_)
            if self.scenario.deployment.fails:
                up = self.tape.up[self.rows, np.maximum(self.state.slot - 1, 0)]
            update_s = self.terms.users[:, :, TERM.update]
            infos |= round_of(self.scenario, update_s, self.state.server, up, self.course.wired_m)
        return infos

    def reset_infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after their resets, in the same form."""
        server = self.state.server if self.joint else self.state.server[:, 0]
        return {"server": server, "action_mask": self.masks()}

    def server(self, b: int = 0) -> Any:
        """Hosts of the twins of the agent's users: (N,), or one integer for a focal user."""
        return self.state.server[b].copy() if self.joint else int(self.state.server[b, 0])

    def slot(self, b: int = 0) -> Slot:
        """Slot that row b decides next, in physical units."""
        t, own = int(self.state.slot[b]), self.mask.shape[1]
        tape, course = self.tape, self.course
        server, wired_m, rate = self.state.server[b, :own], course.wired_m[b], course.rate[b, t, :own]
        places = [(u, k) for u in range(own) for k in range(self.mask.shape[2])]
        latency_s = [offered_latency(self.batch, b, t, u, k) for u, k in places]
        price = [hosting_price(self.batch, b, t, u, server[u], k) for u, k in places]
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
        """Slots in flat observations (B, size), in physical units, each field with a leading B.

        Exact up to the observation's float32, except for clipped gains, steps and wireless latencies.
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
