"""DTMigration: an episode's state, and the compiled kernels that begin it, play a slot and observe the next."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled, inlined, kernel
from dtenv.physics.barrier import is_violated
from dtenv.physics.utility import utility_time
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration_background import Looks
from dtenv.tasks.migration_episode import Course, Work, unfold
from dtenv.tasks.migration_forecast import foresee
from dtenv.tasks.migration_slot import (
    Constants,
    add_loads,
    computing_latency,
    migration_price,
    migration_seconds,
    update_energy,
    update_latency,
    utility,
)
from dtenv.tasks.uplink import gain_range_db, scaled_gain
from dtenv.world.migration import MigrationTape, draw_migration
from dtenv.world.walks import Recorded


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


class Batch(NamedTuple):
    """All arrays of a batch of episodes."""

    tape: MigrationTape
    course: Course
    state: State
    terms: Terms
    work: Work
    looks: Looks
    recorded: Recorded
    streams: np.ndarray  # (B, WORDS) what episodes are drawn with
    ranges: np.ndarray  # (1,) record of EdgeRanges
    expected: np.ndarray  # (B, T + 2, n, H, 2) positions that a forecaster gave; (B, 0, …) unless it is one's own
    told: np.ndarray  # (B, T + 2, ·) float32, what observations end with where stations are forecast; else (B, 0, 0)
    obs: np.ndarray  # (B, layout.size) float32
    mask: np.ndarray  # (B, n, M) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale

    def flat(self) -> tuple[np.ndarray, ...]:
        """The arrays as one plain tuple, which Numba unpacks several times faster than nested named ones."""
        return (*self.tape, *self.course, *self.state, *self.terms, *self.work, *self.looks, *self.recorded, *self[7:])


@inlined
def named(arrays):
    """The `Batch` of its `flat` tuple, inside a kernel."""
    return Batch(
        MigrationTape(*arrays[:7]),
        Course(*arrays[7:15]),
        State(*arrays[15:19]),
        Terms(*arrays[19:21]),
        Work(*arrays[21:27]),
        Looks(*arrays[27:34]),
        Recorded(*arrays[34:37]),
        *arrays[37:],
    )


@kernel
def draw(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Draw the next episode of some rows."""
    batch = named(arrays)
    for b in rows:
        draw_migration(batch.streams[b], batch.ranges[0], batch.recorded, batch.tape, b)


@kernel
def start(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Start the episodes of some rows, whose tapes are drawn and whose users' positions are forecast."""
    batch = named(arrays)
    tape, course, state = batch.tape, batch.course, batch.state
    for b in rows:
        unfold(batch.constants[0], batch.ranges[0], tape, course, batch.work, batch.looks, b, state.loads[b])
        kind, area_m = batch.constants[0].forecaster, batch.scale[0].area_m
        foresee(kind, area_m, tape, batch.expected[b], course.forecast[b], b)
        for u in range(course.first.shape[1]):
            state.server[b, u] = state.previous[b, u] = course.first[b, u]
        enter(batch, b, 1)


@kernel
def look(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Observe the present slot of some rows, whose forecasts have changed."""
    batch = named(arrays)
    for b in rows:
        observe(batch, b)


@kernel
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


@kernel
def advance(arrays: tuple[np.ndarray, ...], rows: np.ndarray, action: np.ndarray) -> None:
    """One slot of some rows: move the twins, add up the slot, observe the next.

    Requests are met in the users' order; one for a station that is full then is refused, and the twin stays.

    Args:
        arrays: a flat `Batch`; state, terms, obs and mask are updated in place.
        rows: which, (rows,).
        action: stations (B, n) of the agent's users, in range.
    """
    batch = named(arrays)
    course, state, terms, c = batch.course, batch.state, batch.terms, batch.constants[0]
    for b in rows:
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


@kernel
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


@kernel
def observe(batch: Batch, b: int) -> None:
    """Write row b's observation and action mask of the slot to be decided."""
    tape, course, state = batch.tape, batch.course, batch.state
    c, scale, mask, row = batch.constants[0], batch.scale[0], batch.mask, batch.obs[b]
    t, loads, wired_m = state.slot[b], state.loads[b], course.wired_m[b]
    shown, num_stations = mask.shape[1], mask.shape[2]
    diagonal = math.sqrt(2.0) * scale.area_m
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
    for u in range(shown):
        host, access, deadline = state.server[b, u], course.access[b, t, u], tape.deadline_s[b, u]
        for k in range(num_stations):
            latency = latency_at(batch, b, t, u, k)
            room = k == host or loads[1, k] < c.capacity
            mask[b, u, k] = room
            row[i] = scaled_gain(course.gain_db[b, t, u, k], scale.least_gain_db, scale.most_gain_db)
            row[i + 1] = 1.0 if k == access else 0.0
            row[i + 2] = 1.0 if k == host else 0.0
            row[i + 3] = 1.0 if room else 0.0
            row[i + 4] = wired_m[access, k] / diagonal
            row[i + 5] = min(0.5 * latency / deadline, 1.0)
            row[i + 6] = math.exp(-latency / utility_time(c.utility_time_s, deadline))
            row[i + 7] = 0.0 if k == host else migration_price(c, tape.data_bits[b, u], wired_m[host, k]) / scale.price
            i += 8
    if batch.told.shape[1] > 0:
        for j in range(batch.told.shape[2]):
            row[i + j] = batch.told[b, t, j]
        return
    for u in range(shown):
        for k in range(num_stations):
            for h in range(course.forecast.shape[3]):
                row[i] = 1.0 if course.forecast[b, t, u, h] == k else 0.0
                i += 1
