"""DTMigration: an episode of migrations: state, batched step kernel, observation, info (Lu 2021)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from dtenv.compiled import as_record, compiled
from dtenv.forecast import FORECASTERS
from dtenv.observation import Block, Layout
from dtenv.physics.barrier import is_violated
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration_episode import Course, associate_first, nearest_stations, play_background, tune
from dtenv.tasks.migration_slot import (
    Constants,
    add_loads,
    computing_latency,
    migration_price,
    migration_seconds,
    update_energy,
    update_latency,
    utility,
    utility_time,
)
from dtenv.tasks.uplink import gain_range_db
from dtenv.world.migration import MigrationTape, draw_migration, empty_migration_tape


class State(NamedTuple):
    """What an episode's past leaves to its future, for a batch (B)."""

    server: np.ndarray  # (B, N) stations that host the twins: of the agent's users since the last slot, of others now
    previous: np.ndarray  # (B, N) in the slot before, for pictures
    slot: np.ndarray  # (B,) the slot to be decided, 1 … T; T + 1 at the end
    loads: np.ndarray  # (B, 2, M) computing weights and twins of every station under `server`


# Columns of Terms.users.
WIRELESS = 0  # seconds, of an update
WIRED = 1
COMPUTE = 2
UPDATE = 3  # T_upd (11)
ENERGY = 4  # joules (19)
UTILITY = 5  # U (20)
PRICE = 6  # of a migration
DOWNTIME = 7  # T_mig, seconds
LATE = 8  # 1 where T_upd is past the deadline
USER_TERMS = 9

# Columns of Terms.totals: means over the agent's users, but for the counts.
REWARD = 9
SCORE = 10
MIGRATIONS = 11
HANDOVERS = 12  # changes of access station
REFUSED = 13  # migrations to a full station, which stay undone
TOTALS = 14


class Terms(NamedTuple):
    """What the last slot was worth, for a batch (B)."""

    users: np.ndarray  # (B, n, USER_TERMS)
    totals: np.ndarray  # (B, TOTALS), the first as the columns of users


class Scale(NamedTuple):
    """Divisors that bring observations into [-1, 1]."""

    area_m: float
    step_m: float  # fastest walk of one slot
    data_bits: float
    update_bits: float
    deadline_s: float
    compute_hz: float
    price: float
    least_gain_db: float
    most_gain_db: float

    @classmethod
    def of(cls, scenario: MigrationScenario) -> Scale:
        """The upper ends of a scenario's ranges."""
        network, mobility, twins, c = scenario.network, scenario.mobility, scenario.twins, Constants.of(scenario)
        dearest = migration_price(c, float(twins.data_bits[1]), float(np.sqrt(2.0) * network.area_m))
        return cls(
            float(network.area_m),
            max(mobility.speed_mps[1] * mobility.slot_seconds, 1e-9),
            max(twins.data_bits[1], 1e-9),
            max(twins.update_bits[1], 1e-9),
            scenario.objective.update_deadline_s[1],
            network.compute_hz[1],
            max(dearest, 1e-9),
            *gain_range_db(scenario.radio, network),
        )


USERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("dx", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("dy", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("data_bits", "D, what a migration moves, over the largest possible"),
    ("update_bits", "ΔD, over the largest possible"),
    ("deadline", "τ, over the largest possible"),
    ("wireless", "latency of an update to the access station, over τ, at most 1"),
)
STATIONS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("compute_hz", "F, over the largest possible"),
    ("twins", "twins hosted, over N_k, at most 1"),
)
LINKS = (
    ("gain", "channel gain in dB, -1 … 1 over what the square and six deviations of shadowing give, clipped"),
    ("access", "1 where it is the user's access station, else 0"),
    ("hosts", "1 where it has hosted the user's twin since the last slot, else 0"),
    ("room", "1 where it hosts the twin or has a seat for it, else 0"),
    ("wired", "distance from the user's access station to this one, over the square's diagonal"),
    ("latency", "T_upd were the twin there, all others as they are, over 2 τ, at most 1"),
    (
        "worth",
        "exp(-T_upd / τ), or over utility_time_s: what of the utility depends on the choice, were the twin there",
    ),
    ("price", "price of moving the twin there, over that of the largest twin across the diagonal"),
)


class Batch(NamedTuple):
    """All arrays of a batch of episodes."""

    tape: MigrationTape
    course: Course
    state: State
    terms: Terms
    obs: np.ndarray  # (B, layout.size) float32
    mask: np.ndarray  # (B, n, M) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale

    def flat(self) -> tuple[np.ndarray, ...]:
        """The arrays as one plain tuple, which Numba unpacks several times faster than nested named ones."""
        return (*self.tape, *self.course, *self.state, *self.terms, *self[4:])


@compiled
def named(arrays):
    """The `Batch` of its `flat` tuple, inside a kernel."""
    return Batch(
        MigrationTape(*arrays[:6]), Course(*arrays[6:14]), State(*arrays[14:18]), Terms(*arrays[18:20]), *arrays[20:]
    )


@compiled
def begin(
    arrays: tuple[np.ndarray, ...], b: int, shadowing_db: np.ndarray, gain_db: np.ndarray, expected: np.ndarray
) -> None:
    """Start the episode in row b.

    Args:
        arrays: a flat `Batch`.
        b: the row, whose tape is drawn.
        shadowing_db: (T + 2, N, M).
        gain_db: work array (N, M).
        expected: the agent's users' expected positions (T + 2, n, H, 2), or (0, …) without a forecast.
    """
    batch = named(arrays)
    tape, course, state, c = batch.tape, batch.course, batch.state, batch.constants[0]
    tune(c, tape, course, b, shadowing_db, gain_db)
    if len(expected) > 0:
        nearest_stations(expected, tape.station_xy[b], course.forecast[b])
    associate_first(c, course, b, state.loads[b])
    if course.background.shape[1] > 0:
        play_background(c, tape, course, b, state.loads[b])
    state.server[b] = course.first[b]
    state.previous[b] = course.first[b]
    enter(batch, b, 1)


@compiled
def enter(batch: Batch, b: int, t: int) -> None:
    """Come to slot t: background twins move, then the agent sees."""
    state, course = batch.state, batch.course
    state.slot[b] = t
    server = state.server[b]
    if course.background.shape[1] > 0:
        for u in range(1, len(server)):
            server[u] = course.background[b, t, u]
    add_loads(batch.constants[0], server, course.weight[b], state.loads[b])
    observe(batch, b)


@compiled
def advance(arrays: tuple[np.ndarray, ...], action: np.ndarray) -> None:
    """One slot of every row: move the twins, add up the slot, observe the next.

    Requests are met in the users' order; one for a station that is full then is refused, and the twin stays.

    Args:
        arrays: a flat `Batch`; state, terms, obs and mask are updated in place.
        action: stations (B, n) of the agent's users, in range.
    """
    batch = named(arrays)
    course, state, terms, c = batch.course, batch.state, batch.terms, batch.constants[0]
    for b in range(len(state.slot)):
        t, server, previous, loads = state.slot[b], state.server[b], state.previous[b], state.loads[b]
        refused = 0.0
        for u in range(len(server)):
            previous[u] = server[u]
        if course.background.shape[1] > 0:
            for u in range(1, len(server)):
                previous[u] = course.background[b, t - 1, u]
        for u in range(action.shape[1]):
            k = action[b, u]
            if k == server[u]:
                continue
            if loads[1, k] >= c.capacity:
                refused += 1.0
                continue
            loads[1, server[u]] -= 1.0
            loads[1, k] += 1.0
            server[u] = k
        add_loads(c, server, course.weight[b], loads)
        evaluate(batch, b, t)
        terms.totals[b, REFUSED] = refused
        enter(batch, b, t + 1)


@compiled
def latency_at(batch: Batch, b: int, t: int, u: int, k: int) -> float:
    """T_upd of user u in slot t, were its twin on station k and all others where they are."""
    tape, course, c = batch.tape, batch.course, batch.constants[0]
    bits = tape.update_bits[b, u]
    return update_latency(
        c, bits, course.rate[b, t, u], course.wired_m[b, course.access[b, t, u], k], computing_at(batch, b, u, k)
    )


@compiled
def computing_at(batch: Batch, b: int, u: int, k: int) -> float:
    """Seconds that user u's update would compute on station k beside the twins that are there."""
    tape, state, w = batch.tape, batch.state, batch.course.weight[b, u]
    others = state.loads[b, 0, k]
    if state.server[b, u] == k:
        others -= w
    return computing_latency(batch.constants[0], tape.update_bits[b, u], tape.compute_hz[b, k], w, others)


@compiled
def evaluate(batch: Batch, b: int, t: int) -> None:
    """Terms of slot t under state.server, after state.previous."""
    tape, course, state, terms, c = batch.tape, batch.course, batch.state, batch.terms, batch.constants[0]
    users, totals = terms.users[b], terms.totals[b]
    totals[:] = 0.0
    share = 1.0 / len(users)
    for u in range(len(users)):
        k, before, row = state.server[b, u], state.previous[b, u], users[u]
        access, rate, bits, deadline = (
            course.access[b, t, u],
            course.rate[b, t, u],
            tape.update_bits[b, u],
            tape.deadline_s[b, u],
        )
        latency = latency_at(batch, b, t, u, k)
        row[WIRELESS] = update_latency(c, bits, rate, 0.0, 0.0)
        row[COMPUTE] = computing_at(batch, b, u, k)
        row[WIRED] = update_latency(c, bits, rate, course.wired_m[b, access, k], 0.0) - row[WIRELESS]
        row[UPDATE] = latency
        row[ENERGY] = update_energy(c, bits, rate)
        row[UTILITY] = utility(c, bits, rate, latency, deadline)
        row[PRICE] = row[DOWNTIME] = 0.0
        if k != before:
            distance = course.wired_m[b, before, k]
            row[PRICE] = migration_price(c, tape.data_bits[b, u], distance)
            row[DOWNTIME] = migration_seconds(c, tape.data_bits[b, u], distance)
            totals[MIGRATIONS] += 1.0
        row[LATE] = 1.0 if is_violated(latency, deadline) else 0.0
        for n in range(USER_TERMS):
            totals[n] += row[n] * share
        if access != course.access[b, t - 1, u]:
            totals[HANDOVERS] += 1.0
        if c.centred:
            stations = state.loads.shape[2]
            for s in range(stations):
                alike = utility(c, bits, rate, latency_at(batch, b, t, u, s), deadline)
                totals[REWARD] -= alike / stations * share
    totals[SCORE] = totals[UTILITY] - totals[PRICE] - c.deadline_penalty * totals[LATE]
    totals[REWARD] += totals[SCORE]


@compiled
def observe(batch: Batch, b: int) -> None:
    """Write row b's observation and action mask of the slot to be decided."""
    tape, course, state = batch.tape, batch.course, batch.state
    c, scale, mask, row = batch.constants[0], batch.scale[0], batch.mask, batch.obs[b]
    t, loads, wired_m = state.slot[b], state.loads[b], course.wired_m[b]
    shown, num_stations = mask.shape[1], mask.shape[2]
    diagonal = np.sqrt(2.0) * scale.area_m
    i = 0
    for u in range(shown):
        x, y = tape.user_xy[b, t, u, 0], tape.user_xy[b, t, u, 1]
        bits, deadline = tape.update_bits[b, u], tape.deadline_s[b, u]
        row[i] = 2.0 * x / scale.area_m - 1.0
        row[i + 1] = 2.0 * y / scale.area_m - 1.0
        row[i + 2] = min(max((x - tape.user_xy[b, t - 1, u, 0]) / scale.step_m, -1.0), 1.0)
        row[i + 3] = min(max((y - tape.user_xy[b, t - 1, u, 1]) / scale.step_m, -1.0), 1.0)
        row[i + 4] = tape.data_bits[b, u] / scale.data_bits
        row[i + 5] = bits / scale.update_bits
        row[i + 6] = deadline / scale.deadline_s
        row[i + 7] = min(update_latency(c, bits, course.rate[b, t, u], 0.0, 0.0) / deadline, 1.0)
        i += 8
    for k in range(num_stations):
        row[i] = 2.0 * tape.station_xy[b, k, 0] / scale.area_m - 1.0
        row[i + 1] = 2.0 * tape.station_xy[b, k, 1] / scale.area_m - 1.0
        row[i + 2] = tape.compute_hz[b, k] / scale.compute_hz
        row[i + 3] = min(loads[1, k] / c.capacity, 1.0)
        i += 4
    span = scale.most_gain_db - scale.least_gain_db
    for u in range(shown):
        host, access, deadline = state.server[b, u], course.access[b, t, u], tape.deadline_s[b, u]
        for k in range(num_stations):
            latency = latency_at(batch, b, t, u, k)
            room = k == host or loads[1, k] < c.capacity
            mask[b, u, k] = room
            gain = 2.0 * (course.gain_db[b, t, u, k] - scale.least_gain_db) / span - 1.0
            row[i] = min(max(gain, -1.0), 1.0)
            row[i + 1] = 1.0 if k == access else 0.0
            row[i + 2] = 1.0 if k == host else 0.0
            row[i + 3] = 1.0 if room else 0.0
            row[i + 4] = wired_m[access, k] / diagonal
            row[i + 5] = min(0.5 * latency / deadline, 1.0)
            row[i + 6] = np.exp(-latency / utility_time(c, deadline))
            row[i + 7] = 0.0 if k == host else migration_price(c, tape.data_bits[b, u], wired_m[host, k]) / scale.price
            i += 8
    for u in range(shown):
        for k in range(num_stations):
            for h in range(course.forecast.shape[3]):
                row[i] = 1.0 if course.forecast[b, t, u, h] == k else 0.0
                i += 1


class Slot(NamedTuple):
    """What is known when the twins of the agent's `n` users may move."""

    user_xy: np.ndarray  # (n, 2) metres
    step_xy: np.ndarray  # (n, 2) metres walked since the last slot
    data_bits: np.ndarray  # (n,) what a migration moves
    update_bits: np.ndarray  # (n,)
    deadline_s: np.ndarray  # (n,) τ
    wireless_s: np.ndarray  # (n,) of an update
    access: np.ndarray  # (n,) station transmitted to
    server: np.ndarray  # (n,) station that hosts the twin since the last slot
    gain_db: np.ndarray  # (n, M)
    room: np.ndarray  # (n, M) whether the twin may be there
    latency_s: np.ndarray  # (n, M) T_upd were the twin there, all others as they are
    price: np.ndarray  # (n, M) of moving the twin there
    station_xy: np.ndarray  # (M, 2) metres
    wired_m: np.ndarray  # (M, M) between stations


class MigrationTask:
    """Spaces and batched episodes of one scenario; the environments' doors hold one of these.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B). Rows never affect each other.
    """

    def __init__(self, scenario: MigrationScenario, batch: int = 1):
        self.scenario = scenario
        episode = scenario.episode
        users, stations = scenario.network.num_users, scenario.network.num_stations
        self.joint = episode.control == "joint"
        own = users if self.joint else 1
        forecaster = episode.forecaster
        self._forecaster = FORECASTERS[forecaster] if isinstance(forecaster, str) else forecaster
        ahead = tuple(
            (f"ahead_{h}", f"1 where it is nearest to where the user is expected {h} slots on, else 0")
            for h in range(1, episode.horizon + 1)
        )
        self.layout = Layout(
            (
                Block("users", (own,), USERS),
                Block("stations", (stations,), STATIONS),
                Block("links", (own, stations), LINKS),
                Block("forecast", (own, stations), ahead, low=0.0),
            )
        )
        slots = episode.num_slots + 2
        self.tape = empty_migration_tape(scenario, batch)
        self.course = Course(
            np.zeros((batch, stations, stations)),
            np.zeros((batch, users)),
            np.zeros((batch, slots, users), np.int16),
            np.zeros((batch, slots, users)),
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
        self.terms = Terms(np.zeros((batch, own, USER_TERMS)), np.zeros((batch, TOTALS)))
        self.obs = np.zeros((batch, self.layout.size), np.float32)
        self.mask = np.ones((batch, own, stations), np.bool_)
        self.constants, self.scale = as_record(Constants.of(scenario)), as_record(Scale.of(scenario))
        self.batch = Batch(
            self.tape, self.course, self.state, self.terms, self.obs, self.mask, self.constants, self.scale
        )
        self._arrays = self.batch.flat()
        self._shadowing_db = np.empty((slots, users, stations))
        self._gain_db = np.empty((users, stations))
        self._expected = np.empty((0, own, episode.horizon, 2))

    @property
    def action_space(self) -> spaces.Space:
        """The focal user's station, or with control="joint" every user's."""
        users, stations = self.scenario.network.num_users, self.scenario.network.num_stations
        return spaces.MultiDiscrete([stations] * users) if self.joint else spaces.Discrete(stations)

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """Draw row b's episode and observe its first slot.

        Raises:
            ValueError: the scenario's forecaster gives something else than finite positions of the right shape.
        """
        draw_migration(rng, self.scenario, self.tape, b, self._shadowing_db)
        expected = self._expected
        if self._forecaster is not None:
            horizon, area_m = self.scenario.episode.horizon, self.scenario.network.area_m
            walks = self.tape.user_xy[b, :, : self.mask.shape[1]]
            expected = np.asarray(self._forecaster.positions(walks.copy(), horizon, area_m), dtype=np.float64)
            shape = (*walks.shape[:2], horizon, 2)
            if expected.shape != shape or not np.isfinite(expected).all():
                raise ValueError(f"forecaster must give finite positions {shape}, got shape {expected.shape}")
        begin(self._arrays, b, self._shadowing_db, self._gain_db, np.ascontiguousarray(expected))

    def advance(self, action: np.ndarray) -> None:
        """One slot of every row, for stations (B, n) of the agent's users."""
        advance(self._arrays, action)

    def reward(self, b: int = 0) -> float:
        """Row b's reward of the last slot."""
        return float(self.terms.totals[b, REWARD])

    def info(self, b: int = 0) -> dict[str, Any]:
        """Row b's last slot, unshaped; keys as in the environment's page."""
        totals = self.terms.totals[b].tolist()
        mask = self.mask[b] if self.joint else self.mask[b, 0]
        return {
            "score": totals[SCORE],
            "objective": totals[UTILITY] - totals[PRICE],
            "utility": totals[UTILITY],
            "migration_price": totals[PRICE],
            "energy": totals[ENERGY],
            "latency": totals[UPDATE],
            "latency_wireless": totals[WIRELESS],
            "latency_wired": totals[WIRED],
            "latency_compute": totals[COMPUTE],
            "downtime": totals[DOWNTIME],
            "cost": totals[LATE],
            "violations": round(totals[LATE] * self.mask.shape[1]),
            "feasible": totals[LATE] == 0.0,
            "migrations": int(totals[MIGRATIONS]),
            "refused": int(totals[REFUSED]),
            "handovers": int(totals[HANDOVERS]),
            "server": self.server(b),
            "action_mask": mask.copy(),
        }

    def server(self, b: int = 0) -> Any:
        """The stations of the agent's users' twins: (N,), or one whole number for a focal user."""
        return self.state.server[b].copy() if self.joint else int(self.state.server[b, 0])

    def slot(self, b: int = 0) -> Slot:
        """The slot that row b decides next, in physical units."""
        t, own = int(self.state.slot[b]), self.mask.shape[1]
        tape, course, c = self.tape, self.course, self.constants[0]
        server, wired_m, rate = self.state.server[b, :own], course.wired_m[b], course.rate[b, t, :own]
        places = [(u, k) for u in range(own) for k in range(self.mask.shape[2])]
        latency_s = [latency_at(self.batch, b, t, u, k) for u, k in places]
        price = [
            migration_price(c, tape.data_bits[b, u], wired_m[server[u], k]) if k != server[u] else 0.0
            for u, k in places
        ]
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
        xy = 0.5 * (stations[..., :2] + 1.0) * scale.area_m
        span = scale.most_gain_db - scale.least_gain_db
        deadline_s = users[..., 6] * scale.deadline_s
        time_s = self.scenario.objective.utility_time_s
        time_s = deadline_s if time_s is None else np.full_like(deadline_s, time_s)
        worth = np.maximum(links[..., 6], np.finfo(np.float32).tiny)
        return Slot(
            user_xy=0.5 * (users[..., :2] + 1.0) * scale.area_m,
            step_xy=users[..., 2:4] * scale.step_m,
            data_bits=users[..., 4] * scale.data_bits,
            update_bits=users[..., 5] * scale.update_bits,
            deadline_s=deadline_s,
            wireless_s=users[..., 7] * deadline_s,
            access=links[..., 1].argmax(axis=-1),
            server=links[..., 2].argmax(axis=-1),
            gain_db=0.5 * (links[..., 0] + 1.0) * span + scale.least_gain_db,
            room=links[..., 3] > 0.5,
            latency_s=-time_s[..., None] * np.log(worth),
            price=links[..., 7] * scale.price,
            station_xy=xy,
            wired_m=np.sqrt(((xy[:, :, None] - xy[:, None]) ** 2).sum(axis=-1)),
        )
