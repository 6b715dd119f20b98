"""DTPlacementMA: an episode of placements: state, batched step kernel, observations, info (Lu 2021)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record, compiled
from dtenv.observation import Block, Layout
from dtenv.physics.barrier import is_violated
from dtenv.physics.latency import compute_latency, wired_latency, wireless_latency
from dtenv.scenario.placement import ACTIONS, PlacementScenario
from dtenv.tasks.placement_decode import bids_of_association, bids_of_prices, choose_hosts, match
from dtenv.tasks.placement_slot import (
    COMPUTE,
    COST,
    ENERGY,
    HOSTS,
    INITIAL,
    LATENCY,
    MIGRATIONS,
    OBJECTIVE,
    REWARD,
    SCORE,
    STATION_TERMS,
    SYSTEM_LATENCY,
    TRANSMITTING,
    TWINS,
    UPDATE,
    UTILITY,
    VIOLATIONS,
    WIRED,
    WIRELESS,
    Constants,
    Slot,
    Terms,
    add_loads,
    evaluate,
    new_terms,
)
from dtenv.tasks.uplink import DIRECT, choose_access, gain_range_db, link_gains, link_rate, wired_distances
from dtenv.world.placement import PlacementTape, draw_placement, empty_placement_tape

BID, PRICE, BINARY, ASSOCIATION = (ACTIONS.index(name) for name in ("bid", "price", "binary", "association"))


class State(NamedTuple):
    """What an episode's past leaves to its future, and the slot to be decided, for a batch (B)."""

    server: np.ndarray  # (B, N) stations that hosted the twins in the last slot
    previous: np.ndarray  # (B, N) in the slot before, for pictures
    host: np.ndarray  # (B, M) stations that hosted in the last slot
    slot: np.ndarray  # (B,) the slot to be decided, 1 … T; T + 1 at the end
    gain_db: np.ndarray  # (B, N, M) of that slot
    access: np.ndarray  # (B, N) of that slot
    wired_m: np.ndarray  # (B, M, M) between stations
    loads: np.ndarray  # (B, STATION_TERMS, M) if twins stay, rows of `add_loads`


class Fixed(NamedTuple):
    """What is the same in all episodes of a scenario."""

    transmit_power_w: np.ndarray  # (N,)
    cycles_per_bit: np.ndarray  # (N,)
    capacity: np.ndarray  # (M,)


class Scale(NamedTuple):
    """Divisors that bring observations into [-1, 1]."""

    area_m: float
    data_bits: float
    update_bits: float
    deadline_s: float
    compute_hz: float
    least_gain_db: float
    most_gain_db: float

    @classmethod
    def of(cls, scenario: PlacementScenario) -> Scale:
        """The upper ends of a scenario's ranges."""
        network, twins = scenario.network, scenario.twins
        return cls(
            float(network.area_m),
            max(twins.data_bits[1], 1e-9),
            max(twins.update_bits[1], 1e-9),
            scenario.objective.deadline_s[1],
            network.compute_hz[1],
            *gain_range_db(scenario.radio, network),
        )


SLACK = "τ less T_wireless, over the largest τ, clipped to ±1"
GAIN = "channel gain in dB, -1 … 1 over what the square and six deviations of shadowing give, clipped"
WIRED_DISTANCE = "distance from the user's access station to this one, over the square's diagonal"
HOSTED = "1 where the station hosted the user's twin in the last slot, else 0"
USERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("data_bits", "D, over the largest possible"),
    ("update_bits", "ΔD, over the largest possible"),
    ("deadline", "τ, over the largest possible"),
    ("slack", SLACK),
)
STATIONS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("compute_hz", "F of this slot, over the largest possible"),
    ("capacity", "N_k, over N, at most 1"),
    ("twins", "twins hosted in the last slot, over N"),
    ("transmitting", "users whose access station it is, over N"),
)
LINKS = (
    ("gain", GAIN),
    ("access", "1 where it is the user's access station, else 0"),
    ("hosted", HOSTED),
    ("wired", WIRED_DISTANCE),
)
OWN_USERS = (
    ("data_bits", "D, over the largest possible"),
    ("update_bits", "ΔD, over the largest possible"),
    ("slack", SLACK),
    ("gain", GAIN),
    ("hosted", HOSTED),
    ("wired", WIRED_DISTANCE),
)


class Batch(NamedTuple):
    """All arrays of a batch of episodes."""

    tape: PlacementTape
    state: State
    terms: Terms
    fixed: Fixed
    bid: np.ndarray  # (B, M, N) work array
    host_bid: np.ndarray  # (B, M) work array
    held: np.ndarray  # (B, M) work array, whole numbers
    network_obs: np.ndarray  # (B, network.size) float32
    station_obs: np.ndarray  # (B, M, own.size) float32; (B, 0, …) where nobody asks for it
    mask: np.ndarray  # (B, N, M) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale

    def flat(self) -> tuple[np.ndarray, ...]:
        """The arrays as one plain tuple, which Numba unpacks several times faster than nested named ones."""
        return (*self.tape, *self.state, *self.terms, *self.fixed, *self[4:])


@compiled
def named(arrays):
    """The `Batch` of its `flat` tuple, inside a kernel."""
    return Batch(
        PlacementTape(*arrays[:7]), State(*arrays[7:15]), Terms(*arrays[15:18]), Fixed(*arrays[18:21]), *arrays[21:]
    )


@compiled
def slot_at(batch: Batch, b: int) -> Slot:
    """The slot that row b decides next."""
    tape, state, fixed, t = batch.tape, batch.state, batch.fixed, batch.state.slot[b]
    return Slot(
        fixed.transmit_power_w,
        tape.data_bits[b, t],
        tape.update_bits[b, t],
        fixed.cycles_per_bit,
        tape.deadline_s[b],
        state.gain_db[b],
        state.access[b],
        state.server[b],
        tape.compute_hz[b, t],
        fixed.capacity,
        state.wired_m[b],
    )


@compiled
def tune(batch: Batch, b: int) -> None:
    """Gains and access stations of row b's slot."""
    tape, state, t = batch.tape, batch.state, batch.state.slot[b]
    user_xy, station_xy, gain_db = tape.user_xy[b, t], tape.station_xy[b], state.gain_db[b]
    link_gains(batch.constants[0], user_xy, station_xy, tape.shadowing_db[b, t], gain_db)
    choose_access(batch.constants[0], user_xy, station_xy, gain_db, state.access[b])


@compiled
def begin(arrays: tuple[np.ndarray, ...], b: int) -> None:
    """Start the episode in row b: in slot 0 all stations host, and twins are at the nearest one with room."""
    batch = named(arrays)
    state, bid = batch.state, batch.bid[b]
    state.access[b] = -1
    state.slot[b] = 0
    wired_distances(batch.tape.station_xy[b], state.wired_m[b])
    tune(batch, b)
    state.host[b] = True
    bids_of_association(slot_at(batch, b), state.access[b], batch.host_bid[b], bid)
    match(bid, state.host[b], batch.fixed.capacity, state.server[b], batch.held[b])
    state.previous[b] = state.server[b]
    state.slot[b] = 1
    tune(batch, b)
    observe(batch, b)


@compiled
def advance(arrays: tuple[np.ndarray, ...], numbers: np.ndarray, server: np.ndarray, mode: int) -> None:
    """One slot of every row: decode the action, place the twins, observe the next slot.

    Args:
        arrays: a flat `Batch`; state, terms, observations and mask are updated in place.
        numbers: stations' bids (B, M, 1 + N), or hosting bids and prices (B, M, 2), finite; empty in mode ASSOCIATION.
        server: the association (B, N), in mode ASSOCIATION; else empty.
        mode: BID, PRICE, BINARY or ASSOCIATION.
    """
    batch = named(arrays)
    state, terms, c = batch.state, batch.terms, batch.constants[0]
    for b in range(len(state.slot)):
        slot = slot_at(batch, b)
        bid, host_bid, host, hosted_by = batch.bid[b], batch.host_bid[b], state.host[b], state.server[b]
        num_stations, num_users = bid.shape
        if mode == ASSOCIATION:
            bids_of_association(slot, server[b], host_bid, bid)
        else:
            for k in range(num_stations):
                host_bid[k] = numbers[b, k, 0]
            if mode == PRICE:
                bids_of_prices(c, slot, numbers[b, :, 1], bid)
            else:
                for k in range(num_stations):
                    for u in range(num_users):
                        bid[k, u] = numbers[b, k, 1 + u]
        for u in range(num_users):
            state.previous[b, u] = hosted_by[u]
        choose_hosts(host_bid, slot.capacity, num_users, host)
        match(bid, host, slot.capacity, hosted_by, batch.held[b])
        before = Slot(*slot[:7], state.previous[b], *slot[8:])
        evaluate(c, before, host, hosted_by, terms, b)
        state.slot[b] += 1
        tune(batch, b)
        observe(batch, b)


@compiled
def scaled_gain(scale: Scale, gain_db: float) -> float:
    """A gain on the observation's scale."""
    share = (gain_db - scale.least_gain_db) / (scale.most_gain_db - scale.least_gain_db)
    return min(max(2.0 * share - 1.0, -1.0), 1.0)


@compiled
def observe(batch: Batch, b: int) -> None:
    """Write row b's observations and action mask of the slot to be decided."""
    c, scale, mask = batch.constants[0], batch.scale[0], batch.mask
    slot, t, own = slot_at(batch, b), batch.state.slot[b], batch.station_obs[b]
    user_xy, station_xy, row = batch.tape.user_xy[b, t], batch.tape.station_xy[b], batch.network_obs[b]
    num_users, num_stations = slot.gain_db.shape
    loads = batch.state.loads[b]
    add_loads(c, slot, slot.previous_server, loads)
    diagonal = np.sqrt(2.0) * scale.area_m
    i = 6 * num_users
    for k in range(num_stations):
        row[i] = 2.0 * station_xy[k, 0] / scale.area_m - 1.0
        row[i + 1] = 2.0 * station_xy[k, 1] / scale.area_m - 1.0
        row[i + 2] = slot.compute_hz[k] / scale.compute_hz
        row[i + 3] = min(slot.capacity[k] / num_users, 1.0)
        row[i + 4] = loads[TWINS, k] / num_users
        row[i + 5] = loads[TRANSMITTING, k] / num_users
        i += 6
    for k in range(len(own)):
        for n in range(6):
            own[k, n] = row[6 * (num_users + k) + n]
        for s in range(num_stations):
            own[k, 6 + s] = 1.0 if s == k else 0.0
    for u in range(num_users):
        j = slot.access[u]
        direct = c.access == DIRECT
        rate = link_rate(c, slot.transmit_power_w[u], slot.gain_db[u, j], loads[TRANSMITTING, j] if not direct else 1.0)
        wireless = wireless_latency(slot.data_bits[u], rate)
        row[6 * u] = 2.0 * user_xy[u, 0] / scale.area_m - 1.0
        row[6 * u + 1] = 2.0 * user_xy[u, 1] / scale.area_m - 1.0
        row[6 * u + 2] = slot.data_bits[u] / scale.data_bits
        row[6 * u + 3] = slot.update_bits[u] / scale.update_bits
        row[6 * u + 4] = slot.deadline_s[u] / scale.deadline_s
        row[6 * u + 5] = max((slot.deadline_s[u] - wireless) / scale.deadline_s, -1.0)
        for k in range(num_stations):
            wired_m = 0.0 if direct else slot.wired_m[j, k]
            row[i] = scaled_gain(scale, slot.gain_db[u, k])
            row[i + 1] = 1.0 if k == j else 0.0
            row[i + 2] = 1.0 if k == slot.previous_server[u] else 0.0
            row[i + 3] = wired_m / diagonal
            if len(own) > 0:
                start = 6 + num_stations + 6 * u
                own[k, start] = row[6 * u + 2]
                own[k, start + 1] = row[6 * u + 3]
                own[k, start + 2] = row[6 * u + 5]
                own[k, start + 3] = row[i]
                own[k, start + 4] = row[i + 2]
                own[k, start + 5] = row[i + 3]
            if direct:
                rate = link_rate(c, slot.transmit_power_w[u], slot.gain_db[u, k], 1.0)
                wireless = wireless_latency(slot.data_bits[u], rate)
            alone = (
                wireless
                + c.wired_times * wired_latency(c.wired_s_per_bit_m, slot.data_bits[u], wired_m)
                + compute_latency(slot.cycles_per_bit[u], slot.data_bits[u], slot.compute_hz[k])
            )
            mask[b, u, k] = not is_violated(alone, slot.deadline_s[u])
            i += 4
        if not mask[b, u].any():  # late wherever it goes: leave the choice open
            mask[b, u, :] = True


class PlacementTask:
    """Spaces and batched episodes of one scenario; the environments' doors hold one of these.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B). Rows never affect each other.
        stations_observe: whether to write every station's own observation beside the network's.
    """

    def __init__(self, scenario: PlacementScenario, batch: int = 1, stations_observe: bool = False):
        self.scenario = scenario
        users, stations = scenario.network.num_users, scenario.network.num_stations
        self.mode = ACTIONS.index(scenario.episode.action)
        self.layout = Layout(
            (
                Block("users", (users,), USERS),
                Block("stations", (stations,), STATIONS),
                Block("links", (users, stations), LINKS),
            )
        )
        self.station_layout = Layout(
            (
                Block("station", (), STATIONS),
                Block("which", (stations,), (("own", "1 for the station itself, else 0"),), low=0.0),
                Block("users", (users,), OWN_USERS),
            )
        )
        self.tape = empty_placement_tape(scenario, batch)
        self.state = State(
            np.zeros((batch, users), np.int64),
            np.zeros((batch, users), np.int64),
            np.zeros((batch, stations), np.bool_),
            np.zeros(batch, np.int64),
            np.zeros((batch, users, stations)),
            np.zeros((batch, users), np.int64),
            np.zeros((batch, stations, stations)),
            np.zeros((batch, STATION_TERMS, stations)),
        )
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
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        bid, host_bid = np.zeros((batch, stations, users)), np.zeros((batch, stations))
        self.batch = Batch(
            self.tape,
            self.state,
            self.terms,
            self.fixed,
            bid,
            host_bid,
            np.zeros((batch, stations), np.int64),
            self.obs,
            self.station_obs,
            self.mask,
            self.constants,
            self.scale,
        )
        self._arrays = self.batch.flat()
        self._no_numbers, self._no_server = np.zeros((0, 0, 0)), np.zeros((0, 0), np.int64)

    @property
    def station_action_space(self) -> spaces.Space:
        """One station's action, by the scenario's `action`."""
        users = self.scenario.network.num_users
        if self.mode == ASSOCIATION:
            raise ValueError("action 'association' is a central controller's: stations take bid, price or binary")
        if self.mode == BINARY:
            return spaces.MultiDiscrete([2] * (1 + users))
        return spaces.Box(0.0, 1.0, (2 if self.mode == PRICE else 1 + users,), np.float32)

    @property
    def action_space(self) -> spaces.Space:
        """A central controller's action: all stations' one after another, or every user's station."""
        users, stations = self.scenario.network.num_users, self.scenario.network.num_stations
        if self.mode == ASSOCIATION:
            return spaces.MultiDiscrete([stations] * users)
        if self.mode == BINARY:
            return spaces.MultiDiscrete([2] * (stations * (1 + users)))
        return spaces.Box(0.0, 1.0, (stations * (2 if self.mode == PRICE else 1 + users),), np.float32)

    @property
    def observed_layout(self) -> Layout:
        """What a station sees, by the scenario's `observe`: its own layout, or its number and the network's."""
        if self.scenario.episode.observe == "local":
            return self.station_layout
        return Layout((self.station_layout.blocks[1], *self.layout.blocks))

    def station_observations(self, b: int = 0) -> np.ndarray:
        """Row b's observations (M, …) of all stations; a view, or with observe="shared" a copy."""
        if self.scenario.episode.observe == "local":
            return self.station_obs[b]
        stations = len(self.fixed.capacity)
        return np.hstack([np.eye(stations, dtype=np.float32), np.tile(self.obs[b], (stations, 1))])

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """Draw row b's episode and observe its first slot."""
        draw_placement(rng, self.scenario, self.tape, b)
        begin(self._arrays, b)

    def advance(self, action: np.ndarray) -> None:
        """One slot of every row: stations' numbers (B, M, …) as float64, or the association (B, N) as int64."""
        if self.mode == ASSOCIATION:
            advance(self._arrays, self._no_numbers, action, self.mode)
        else:
            advance(self._arrays, action, self._no_server, self.mode)

    def slot(self, b: int = 0) -> Slot:
        """The slot that row b decides next, in physical units."""
        return slot_at(self.batch, b)

    def rewards(self, b: int = 0) -> np.ndarray:
        """Row b's reward of the last slot for every station, (M,)."""
        return self.terms.stations[b, REWARD]

    def reward(self, b: int = 0) -> float:
        """Row b's score of the last slot."""
        return float(self.terms.totals[b, SCORE])

    def info(self, b: int = 0) -> dict[str, Any]:
        """Row b's last slot, unshaped; keys as in the environment's page."""
        totals, users = self.terms.totals[b].tolist(), self.terms.users[b]
        mean = users.mean(axis=1).tolist()
        return {
            "score": totals[SCORE],
            "objective": totals[OBJECTIVE],
            "utility": totals[UTILITY],
            "energy": totals[ENERGY],
            "latency": totals[SYSTEM_LATENCY],
            "latency_wireless": mean[WIRELESS],
            "latency_wired": mean[WIRED],
            "latency_compute": mean[COMPUTE],
            "latency_initial": mean[INITIAL],
            "latency_update": mean[UPDATE],
            "latency_reward": -totals[LATENCY],
            "placement_cost": totals[COST],
            "system_cost": -totals[OBJECTIVE],
            "cost": totals[VIOLATIONS] / users.shape[1],
            "violations": int(totals[VIOLATIONS]),
            "feasible": totals[VIOLATIONS] == 0.0,
            "migrations": int(totals[MIGRATIONS]),
            "hosts": int(totals[HOSTS]),
            "host": self.state.host[b].copy(),
            "server": self.state.server[b].copy(),
            "action_mask": self.mask[b].copy(),
        }

    def decode(self, obs: np.ndarray) -> Slot:
        """The slots that flat network observations (B, size) show, each field with a leading B.

        Exact up to the observation's float32, where gains are not clipped.
        """
        view = self.layout.split(np.asarray(obs, dtype=np.float64))
        users, stations, links, scale = view["users"], view["stations"], view["links"], Scale.of(self.scenario)
        batch = len(users)
        xy = 0.5 * (stations[..., :2] + 1.0) * scale.area_m
        wired_m = np.sqrt(((xy[:, :, None] - xy[:, None]) ** 2).sum(axis=-1))
        span = scale.most_gain_db - scale.least_gain_db
        return Slot(
            transmit_power_w=np.tile(self.fixed.transmit_power_w, (batch, 1)),
            data_bits=users[..., 2] * scale.data_bits,
            update_bits=users[..., 3] * scale.update_bits,
            cycles_per_bit=np.tile(self.fixed.cycles_per_bit, (batch, 1)),
            deadline_s=users[..., 4] * scale.deadline_s,
            gain_db=0.5 * (links[..., 0] + 1.0) * span + scale.least_gain_db,
            access=links[..., 1].argmax(axis=-1),
            previous_server=links[..., 2].argmax(axis=-1),
            compute_hz=stations[..., 2] * scale.compute_hz,
            capacity=np.tile(self.fixed.capacity, (batch, 1)),
            wired_m=wired_m,
        )
