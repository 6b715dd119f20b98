"""DTPlacementMA as a task: spaces, observations, info and batched episodes (Lu 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record
from dtenv.observation import Block, Layout
from dtenv.scenario.placement import ACTIONS, PlacementScenario
from dtenv.tasks.episodes import Task, flatten, whole
from dtenv.tasks.placement import kernels
from dtenv.tasks.placement.entries import LINK, LINKS, OWN_USERS, STATION, STATIONS, USER, USERS, info_entries
from dtenv.tasks.placement.kernels import ASSOCIATION, BINARY, PRICE, Batch, Fixed, Scale, State
from dtenv.tasks.placement.slot import STATION_TERM, TOTAL, Constants, Slot, new_terms
from dtenv.tasks.uplink import unscaled_gain
from dtenv.world.edge import EdgeRanges
from dtenv.world.placement import empty_placement_tape
from dtenv.world.walks import Recorded


class PlacementTask(Task):
    """Spaces and B independent episodes of one scenario; `stations_observe` adds local observations of the stations."""

    _reward = TOTAL.score

    def __init__(self, scenario: PlacementScenario, batch: int = 1, stations_observe: bool = False):
        super().__init__(scenario, batch)
        users, stations = scenario.network.num_users, scenario.network.num_stations
        self.mode = ACTIONS.index(scenario.episode.action)
        links = Block("links", (users, stations), LINKS)
        self.layout = Layout((Block("users", (users,), USERS), Block("stations", (stations,), STATIONS), links))
        which = Block("which", (stations,), (("own", "1 for the station itself, else 0"),), low=0.0)
        self.station_layout = Layout((Block("station", (), STATIONS), which, Block("users", (users,), OWN_USERS)))
        self.tape = empty_placement_tape(scenario, batch)
        server, previous, access = (np.zeros((batch, users), np.int64) for _ in range(3))
        host, slot = np.zeros((batch, stations), np.bool_), np.zeros(batch, np.int64)
        gain_db, shadowing_db = (np.zeros((batch, users, stations)) for _ in range(2))
        wired_m, loads = (np.zeros((batch, rows, stations)) for rows in (stations, len(STATION_TERM)))
        self.state = State(server, previous, host, slot, gain_db, access, wired_m, loads, shadowing_db)
        self.terms = new_terms(batch, users, stations)
        self.fixed = Fixed(
            np.full(users, float(scenario.radio.transmit_power_w)),
            np.full(users, float(scenario.twins.cycles_per_bit)),
            np.full(stations, scenario.network.capacity),
        )
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        watched = stations if stations_observe and scenario.episode.observe == "local" else 0
        self.station_obs = np.zeros((batch, watched, self.station_layout.size), np.float32)
        self.mask = np.ones((batch, users, stations), np.bool_)
        reached = stations if scenario.radio.access == "direct" else 1
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        groups = self.tape, self.state, self.terms, self.fixed, Recorded.of(scenario.mobility.recording)
        bid, wireless_s = np.zeros((batch, stations, users)), np.zeros((batch, reached, users))
        host_bid, held, share_hz = (np.zeros((batch, stations), dtype) for dtype in (float, np.int64, float))
        self.batch = Batch(
            *groups,
            self.streams,
            EdgeRanges.record(scenario, scenario.objective.deadline_s),
            *(bid, host_bid, held, wireless_s, share_hz),
            *(self.obs, self.station_obs, self.mask, self.constants, self.scale),
        )
        self._arrays = flatten(self.batch)
        self._no_numbers, self._no_server = np.zeros((0, 0, 0)), np.zeros((0, 0), np.int64)

    @property
    def station_action_space(self) -> spaces.Space:
        """Action space of one station, by the scenario's `action`."""
        users = self.scenario.network.num_users
        if self.mode == ASSOCIATION:
            raise ValueError("action must be 'bid', 'price' or 'binary' for stations, got 'association'")
        if self.mode == BINARY:
            return spaces.MultiDiscrete([2] * (1 + users))
        return spaces.Box(0.0, 1.0, (2 if self.mode == PRICE else 1 + users,), np.float32)

    @property
    def action_space(self) -> spaces.Space:
        """Action space of a central controller: all stations' actions concatenated, or every user's station."""
        users, stations = self.scenario.network.num_users, self.scenario.network.num_stations
        if self.mode == ASSOCIATION:
            return spaces.MultiDiscrete([stations] * users)
        if self.mode == BINARY:
            return spaces.MultiDiscrete([2] * (stations * (1 + users)))
        return spaces.Box(0.0, 1.0, (stations * (2 if self.mode == PRICE else 1 + users),), np.float32)

    @property
    def observed_layout(self) -> Layout:
        """Layout of a station's observation, by the scenario's `observe`: local, or its index and the network's."""
        if self.scenario.episode.observe == "local":
            return self.station_layout
        return Layout((self.station_layout.blocks[1], *self.layout.blocks))

    def station_observations(self, b: int = 0) -> np.ndarray:
        """Observations (M, …) of row b's stations; a view, or with observe="shared" a copy."""
        return self.all_station_observations(slice(b, b + 1))[0]

    def all_station_observations(self, rows: slice = slice(None)) -> np.ndarray:
        """Observations (B, M, …) of all or some rows' stations; a view, or with observe="shared" a copy."""
        if self.scenario.episode.observe == "local":
            return self.station_obs[rows]
        seen, stations = self.obs[rows], len(self.fixed.capacity)
        shape = (len(seen), stations)
        which = np.broadcast_to(np.eye(stations, dtype=np.float32), (*shape, stations))
        return np.concatenate([which, np.broadcast_to(seen[:, None], (*shape, seen.shape[1]))], axis=2)

    def reset_rows(self, rows: np.ndarray) -> None:
        """Reset some rows: draw their next episodes from their streams and observe the first slot."""
        kernels.reset(self._arrays, rows)

    def step(self, action: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Step all or some rows with stations' numbers (B, M, …), float64, or an association (B, N), int64."""
        numbers, server = (self._no_numbers, action) if self.mode == ASSOCIATION else (action, self._no_server)
        kernels.step(self._arrays, self.rows if rows is None else rows, numbers, server, self.mode)

    def one_hot(self, server: np.ndarray) -> np.ndarray:
        """Hosting and user bids (M, 1 + N), 0 or 1, that decode to the feasible association server (N,)."""
        bids = np.zeros((len(self.fixed.capacity), 1 + len(server)), self.station_action_space.dtype)
        bids[server, 0] = 1
        bids[server, 1 + np.arange(len(server))] = 1
        return bids

    def slot(self, b: int = 0) -> Slot:
        """Slot that row b decides next, in physical units."""
        return kernels.slot_at(self.batch, b)

    def row_station_rewards(self, b: int = 0) -> np.ndarray:
        """Rewards (M,) of row b's stations in the last slot."""
        return self.terms.stations[b, STATION_TERM.reward]

    @property
    def station_rewards(self) -> np.ndarray:
        """Rewards (B, M) of all stations in the last slot; a view."""
        return self.terms.stations[:, STATION_TERM.reward]

    def reward(self, b: int = 0) -> float:
        """Row b's score of the last slot."""
        return float(self.terms.totals[b, TOTAL.score])

    def info(self, b: int = 0) -> dict[str, Any]:
        """`info` of row b after the last step; the environment's page lists the keys."""
        totals, means = self.terms.totals[b].tolist(), self.terms.users[b].mean(axis=1).tolist()
        host, server, mask = self.state.host[b].copy(), self.state.server[b].copy(), self.mask[b].copy()
        infos = info_entries(totals, means, self.mask.shape[1], int)
        return infos | {"host": host, "server": server, "action_mask": mask}

    def infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after the last step: an array (B, …) per key; some are views."""
        infos = info_entries(self.terms.totals.T, self.terms.users.mean(axis=2).T, self.mask.shape[1], whole)
        return infos | {"host": self.state.host, "server": self.state.server, "action_mask": self.mask}

    def reset_infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after their resets, in the same form."""
        return {"action_mask": self.mask, "host": self.state.host, "server": self.state.server}

    def decode(self, obs: np.ndarray) -> Slot:
        """Slots in flat network observations (B, size), each field with a leading B.

        Exact up to the observation's float32, except for clipped gains.
        """
        view, batch = self.layout.split(np.asarray(obs, dtype=np.float64)), len(obs)
        users, stations, links, scale = view["users"], view["stations"], view["links"], Scale.of(self.scenario)
        xy = 0.5 * (stations[..., :2] + 1.0) * scale.area_m
        wired_m = np.sqrt(((xy[:, :, None] - xy[:, None]) ** 2).sum(axis=-1))
        return Slot(
            transmit_power_w=np.tile(self.fixed.transmit_power_w, (batch, 1)),
            data_bits=users[..., USER.data_bits] * scale.data_bits,
            update_bits=users[..., USER.update_bits] * scale.update_bits,
            cycles_per_bit=np.tile(self.fixed.cycles_per_bit, (batch, 1)),
            deadline_s=users[..., USER.deadline] * scale.deadline_s,
            gain_db=unscaled_gain(links[..., LINK.gain], scale.least_gain_db, scale.most_gain_db),
            access=links[..., LINK.access].argmax(axis=-1),
            previous_server=links[..., LINK.hosted].argmax(axis=-1),
            compute_hz=stations[..., STATION.compute_hz] * scale.compute_hz,
            capacity=np.tile(self.fixed.capacity, (batch, 1)),
            wired_m=wired_m,
            user_xy=np.ascontiguousarray(0.5 * (users[..., :2] + 1.0) * scale.area_m),
            station_xy=np.ascontiguousarray(xy),
        )
