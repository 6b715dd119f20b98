"""Compiled kernels of DTMigration: reset, step and observation."""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import compiled, kernel
from dtenv.physics.barrier import is_violated
from dtenv.physics.utility import utility_time
from dtenv.tasks.migration.batch import TERM, USER_TERMS, Batch, unflatten
from dtenv.tasks.migration.entries import LINK, STATION, USER
from dtenv.tasks.migration.exogenous import simulate_exogenous
from dtenv.tasks.migration.lifecycle import (
    CREATED,
    ISOLATED,
    KEPT,
    MOVED,
    downtime_seconds,
    hosting_price,
    is_up,
    twin_event,
)
from dtenv.tasks.migration.position_forecast import nearest_stations_ahead
from dtenv.tasks.migration.slot import (
    Constants,
    add_loads,
    computing_latency,
    downtime_price,
    fixed_latency,
    migration_price,
    seats_of,
    update_energy,
    update_latency,
    utility,
)
from dtenv.tasks.uplink import scaled_gain
from dtenv.world.migration import draw_migration


@kernel
def draw(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Draw the next episodes of some rows."""
    batch = unflatten(arrays)
    for b in rows:
        draw_migration(batch.streams[b], batch.ranges[0], batch.recorded, batch.tape, b)


@kernel
def start(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Start the episodes of some rows, after `draw` and the forecast of positions."""
    batch = unflatten(arrays)
    tape, course, state = batch.tape, batch.course, batch.state
    for b in rows:
        simulate_exogenous(
            batch.constants[0], batch.ranges[0], tape, course, batch.work, batch.looks, b, state.loads[b]
        )
        c, area_m = batch.constants[0], batch.scale[0].area_m
        nearest_stations_ahead(
            c.forecaster, area_m, tape, tape.station_xy[b, : c.stations], batch.expected[b], course.forecast[b], b
        )
        for u in range(course.first.shape[1]):
            state.server[b, u] = state.previous[b, u] = course.first[b, u]
        begin_slot(batch, b, 1)


@kernel
def observe_rows(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> None:
    """Observe the current slot of some rows again, after a change of forecasts."""
    batch = unflatten(arrays)
    for b in rows:
        observe(batch, b)


@kernel
def begin_slot(batch: Batch, b: int, t: int) -> None:
    """Begin slot t: move the background twins, then observe."""
    state, course = batch.state, batch.course
    state.slot[b] = t
    server = state.server[b]
    if course.background.shape[1] > 0:
        for u in range(1, len(server)):
            server[u] = course.background[b, t, u]
    add_loads(batch.constants[0], server, course.weight[b], state.loads[b])
    observe(batch, b)


@kernel
def step(arrays: tuple[np.ndarray, ...], rows: np.ndarray, action: np.ndarray) -> None:
    """Step some rows of a flat `Batch`: move the twins, evaluate the slot, observe the next.

    The action holds the stations (B, n) of the agent's users, in range. Requests are served in the users' order; a
    request for a site that is full by then, or down, is refused, and the twin stays.
    """
    batch = unflatten(arrays)
    course, state, terms, c, up = batch.course, batch.state, batch.terms, batch.constants[0], batch.tape.up
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
            if loads[1, k] >= seats_of(c, k) or not is_up(c, up[b], t, k):
                refused += 1.0
                continue
            loads[1, server[u]] -= 1.0
            loads[1, k] += 1.0
            server[u] = k
        add_loads(c, server, course.weight[b], loads)
        evaluate(batch, b, t)
        terms.totals[b, TERM.refused] = refused
        begin_slot(batch, b, t + 1)


@compiled
def latency_at(batch: Batch, b: int, t: int, u: int, k: int) -> float:
    """T_upd of user u in slot t with its twin on station k and all others in place; ignores outages."""
    tape, course, c = batch.tape, batch.course, batch.constants[0]
    bits, standing = tape.update_bits[b, u], computing_at(batch, b, u, k) + fixed_latency(c, k)
    return update_latency(c, bits, course.rate[b, t, u], course.wired_m[b, course.access[b, t, u], k], standing)


@compiled
def offered_latency(batch: Batch, b: int, t: int, u: int, k: int) -> float:
    """`latency_at`, infinite if site k is down or has no seats."""
    c = batch.constants[0]
    if seats_of(c, k) == 0 or not is_up(c, batch.tape.up[b], t, k):
        return np.inf
    return latency_at(batch, b, t, u, k)


@compiled
def utility_at(batch: Batch, b: int, t: int, u: int, k: int) -> float:
    """Utility of user u in slot t with its twin on station k; minus the isolation price if k is down."""
    tape, c = batch.tape, batch.constants[0]
    if not is_up(c, tape.up[b], t, k):
        return -c.isolation_price
    latency = latency_at(batch, b, t, u, k)
    return utility(c, tape.update_bits[b, u], batch.course.rate[b, t, u], latency, tape.deadline_s[b, u])


@compiled
def computing_at(batch: Batch, b: int, u: int, k: int) -> float:
    """Computing seconds of user u's update on station k, given the other twins there."""
    tape, state, w = batch.tape, batch.state, batch.course.weight[b, u]
    others = state.loads[b, 0, k]
    if state.server[b, u] == k:
        others -= w
    return computing_latency(batch.constants[0], k, tape.update_bits[b, u], tape.compute_hz[b, k], w, others)


@kernel
def evaluate(batch: Batch, b: int, t: int) -> None:
    """Write the terms of slot t under state.server, after state.previous."""
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
        what = twin_event(c, tape.up[b], t, before, k)
        if what == ISOLATED:  # nothing is sent: no latency or energy
            row[:] = 0.0
            row[TERM.utility], row[TERM.late] = -c.isolation_price, 1.0
            totals[TERM.isolations] += 1.0
        else:
            latency = latency_at(batch, b, t, u, k)
            row[TERM.wireless] = update_latency(c, bits, rate, 0.0, 0.0)
            row[TERM.compute] = computing_at(batch, b, u, k)
            row[TERM.wired] = update_latency(c, bits, rate, course.wired_m[b, access, k], 0.0) - row[TERM.wireless]
            if k == c.cloud:
                row[TERM.wired] += c.cloud_latency_s
            row[TERM.update] = latency
            row[TERM.energy] = update_energy(c, bits, rate)
            row[TERM.utility] = utility(c, bits, rate, latency, deadline)
            row[TERM.late] = 1.0 if is_violated(latency, deadline) else 0.0
            row[TERM.downtime] = row[TERM.price] = 0.0
            if what != KEPT:
                row[TERM.downtime] = downtime_seconds(batch, b, t, u, before, k)
                row[TERM.price] = downtime_price(c, row[TERM.downtime])
            if what == MOVED:
                totals[TERM.migrations] += 1.0
            elif what == CREATED:
                totals[TERM.creations] += 1.0
            if k != before:
                totals[TERM.releases] += 1.0
        for n in range(USER_TERMS):
            totals[n] += row[n] * share
        if access != course.access[b, t - 1, u]:
            totals[TERM.handovers] += 1.0
        if c.centred:
            stations = state.loads.shape[2]
            for s in range(stations):
                totals[TERM.reward] -= utility_at(batch, b, t, u, s) / stations * share
    totals[TERM.score] = totals[TERM.utility] - totals[TERM.price] - c.deadline_penalty * totals[TERM.late]
    totals[TERM.reward] += totals[TERM.score]


@kernel
def observe(batch: Batch, b: int) -> None:
    """Write row b's observation and action mask of the slot to decide."""
    tape, course, state = batch.tape, batch.course, batch.state
    c, scale, mask, row = batch.constants[0], batch.scale[0], batch.mask, batch.obs[b]
    t, loads, wired_m = state.slot[b], state.loads[b], course.wired_m[b]
    shown, num_stations = mask.shape[1], mask.shape[2]
    width = station_entries(c)
    i = 0
    for u in range(shown):
        x, y = tape.user_xy[b, t, u, 0], tape.user_xy[b, t, u, 1]
        bits, deadline = tape.update_bits[b, u], tape.deadline_s[b, u]
        row[i + USER.x] = 2.0 * x / scale.area_m - 1.0
        row[i + USER.y] = 2.0 * y / scale.area_m - 1.0
        row[i + USER.dx] = min(max((x - tape.user_xy[b, t - 1, u, 0]) / scale.step_m, -1.0), 1.0)
        row[i + USER.dy] = min(max((y - tape.user_xy[b, t - 1, u, 1]) / scale.step_m, -1.0), 1.0)
        row[i + USER.data_bits] = tape.data_bits[b, u] / scale.data_bits
        row[i + USER.update_bits] = bits / scale.update_bits
        row[i + USER.deadline] = deadline / scale.deadline_s
        row[i + USER.wireless] = min(update_latency(c, bits, course.rate[b, t, u], 0.0, 0.0) / deadline, 1.0)
        i += len(USER)
    for k in range(num_stations):
        row[i + STATION.x] = 2.0 * tape.station_xy[b, k, 0] / scale.area_m - 1.0
        row[i + STATION.y] = 2.0 * tape.station_xy[b, k, 1] / scale.area_m - 1.0
        row[i + STATION.compute_hz] = tape.compute_hz[b, k] / scale.compute_hz
        row[i + STATION.twins] = min(loads[1, k] / c.capacity, 1.0)
        i += width
    for u in range(shown):
        host, access, deadline = state.server[b, u], course.access[b, t, u], tape.deadline_s[b, u]
        for k in range(num_stations):
            latency = latency_at(batch, b, t, u, k)
            room = k == host or loads[1, k] < c.capacity
            mask[b, u, k] = room
            row[i + LINK.gain] = scaled_gain(course.gain_db[b, t, u, k], scale.least_gain_db, scale.most_gain_db)
            row[i + LINK.access] = 1.0 if k == access else 0.0
            row[i + LINK.hosts] = 1.0 if k == host else 0.0
            row[i + LINK.room] = 1.0 if room else 0.0
            row[i + LINK.wired] = wired_m[access, k] / scale.wire_m
            row[i + LINK.latency] = min(0.5 * latency / deadline, 1.0)
            row[i + LINK.worth] = math.exp(-latency / utility_time(c.utility_time_s, deadline))
            row[i + LINK.price] = (
                0.0 if k == host else migration_price(c, tape.data_bits[b, u], wired_m[host, k]) / scale.price
            )
            i += len(LINK)
    if batch.forecast_obs.shape[1] > 0:
        for j in range(batch.forecast_obs.shape[2]):
            row[i + j] = batch.forecast_obs[b, t, j]
        return
    for u in range(shown):
        for k in range(num_stations):
            for h in range(course.forecast.shape[3]):
                row[i] = 1.0 if course.forecast[b, t, u, h] == k else 0.0
                i += 1
    if c.has_lifecycle or c.cloud >= 0:
        write_optional_entries(batch, b)


@compiled
def station_entries(c: Constants) -> int:
    """Number of entries per station in an observation."""
    return len(STATION) + (1 if c.cloud >= 0 else 0) + (1 if c.fails else 0)


@kernel
def write_optional_entries(batch: Batch, b: int) -> None:
    """Correct an observation and mask of `observe` for a cloud, failures and lifecycles.

    Separate from `observe`, as most scenarios have none of them and need not pay for the checks.
    """
    tape, state, mask, row = batch.tape, batch.state, batch.mask, batch.obs[b]
    c, scale, up = batch.constants[0], batch.scale[0], batch.tape.up[b]
    t, loads = state.slot[b], state.loads[b]
    shown, num_stations = mask.shape[1], mask.shape[2]
    width, i = station_entries(c), len(USER) * shown
    for k in range(num_stations):
        seats = seats_of(c, k)
        row[i + STATION.twins] = min(loads[1, k] / seats, 1.0) if seats > 0 else 1.0
        if c.cloud >= 0:
            row[i + len(STATION)] = 1.0 if k == c.cloud else 0.0
        if c.fails:
            row[i + width - 1] = 1.0 if is_up(c, up, t, k) else 0.0
        i += width
    for u in range(shown):
        host, deadline = state.server[b, u], tape.deadline_s[b, u]
        for k in range(num_stations):
            latency = offered_latency(batch, b, t, u, k)
            room = k == host or (loads[1, k] < seats_of(c, k) and is_up(c, up, t, k))
            mask[b, u, k] = room
            row[i + LINK.room] = 1.0 if room else 0.0
            row[i + LINK.latency] = min(0.5 * latency / deadline, 1.0)
            row[i + LINK.worth] = math.exp(-latency / utility_time(c.utility_time_s, deadline))
            row[i + LINK.price] = min(hosting_price(batch, b, t, u, host, k) / scale.price, 1.0)
            i += len(LINK)
