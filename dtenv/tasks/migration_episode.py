"""What no choice of a DTMigration agent changes, worked out when an episode begins: channels and background users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.geometry import euclidean
from dtenv.scenario.migration import BACKGROUNDS
from dtenv.tasks.migration_slot import (
    Constants,
    add_loads,
    computing_latency,
    computing_weight,
    migration_price,
    update_latency,
    utility,
)
from dtenv.tasks.uplink import choose_access, link_gains, link_rate, wired_distances
from dtenv.world.migration import MigrationTape

PAYBACK, NEVER = BACKGROUNDS.index("payback"), BACKGROUNDS.index("never")

BACKGROUND_PAYBACK_SLOTS = 10.0
"""Slots in which a background twin's move has to pay for itself."""


class Course(NamedTuple):
    """How a batch of episodes goes on whatever the agent does. `n` users are the agent's: 1 or N."""

    wired_m: np.ndarray  # (B, M, M) between stations
    weight: np.ndarray  # (B, N) of twins when computing is shared
    access: np.ndarray  # (B, T + 2, N) access stations
    rate: np.ndarray  # (B, T + 2, N) uplink rate, bit/s
    gain_db: np.ndarray  # (B, T + 2, n, M) of the agent's users
    forecast: np.ndarray  # (B, T + 2, n, H) stations nearest to where they are expected; -1 where nothing is
    first: np.ndarray  # (B, N) stations that host the twins in slot 0
    background: np.ndarray  # (B, T + 2, N) stations of the users that are not the agent's; (B, 0, N) if all are


@compiled
def tune(
    c: Constants,
    tape: MigrationTape,
    course: Course,
    b: int,
    shadowing_db: np.ndarray,
    gain_db: np.ndarray,
    transmitting: np.ndarray,
) -> None:
    """Access stations, rates and gains of all slots; gain_db (N, M) and transmitting (M,) are work arrays."""
    access, station_xy = course.access[b], tape.station_xy[b]
    wired_distances(station_xy, course.wired_m[b])
    for u in range(access.shape[1]):
        course.weight[b, u] = computing_weight(c, tape.data_bits[b, u], tape.update_bits[b, u])
    for t in range(len(access)):
        now = access[t]
        for u in range(len(now)):
            now[u] = access[t - 1, u] if t > 0 else -1
        link_gains(c, tape.user_xy[b, t], station_xy, shadowing_db[t], gain_db)
        choose_access(c, tape.user_xy[b, t], station_xy, gain_db, now)
        transmitting[:] = 0.0
        for u in range(len(now)):
            transmitting[now[u]] += 1.0
        for u in range(len(now)):
            course.rate[b, t, u] = link_rate(c, c.transmit_power_w, gain_db[u, now[u]], transmitting[now[u]])
        for u in range(course.gain_db.shape[2]):
            for s in range(len(station_xy)):
                course.gain_db[b, t, u, s] = gain_db[u, s]


@compiled
def nearest_stations(xy: np.ndarray, station_xy: np.ndarray, station: np.ndarray) -> None:
    """The station nearest to each place xy (T + 2, n, H, 2), into station (T + 2, n, H)."""
    for t in range(xy.shape[0]):
        for u in range(xy.shape[1]):
            for h in range(xy.shape[2]):
                best, least = 0, np.inf
                for s in range(len(station_xy)):
                    away = euclidean(xy[t, u, h, 0], xy[t, u, h, 1], station_xy[s, 0], station_xy[s, 1])
                    if away < least:
                        best, least = s, away
                station[t, u, h] = best


@compiled
def associate_first(c: Constants, course: Course, b: int, loads: np.ndarray) -> None:
    """Slot 0: every twin at its user's access station, or the station nearest to that with room.

    One seat a station is left to the focal user, wherever it goes, as long as all others find room without it.
    """
    first, access, wired_m = course.first[b], course.access[b, 0], course.wired_m[b]
    seats = c.capacity - 1
    if seats * len(wired_m) < len(first) - 1:
        seats = c.capacity
    loads[:] = 0.0
    for i in range(len(first)):
        u = (i + 1) % len(first)  # user 0 last
        room = c.capacity if u == 0 else seats
        best = -1
        for k in range(len(wired_m)):
            if loads[1, k] < room and (best < 0 or wired_m[access[u], k] < wired_m[access[u], best]):
                best = k
        first[u] = best
        loads[1, best] += 1.0


@compiled
def play_background(c: Constants, tape: MigrationTape, course: Course, b: int, loads: np.ndarray) -> None:
    """Stations of users 1 … N - 1 in every slot, one user after another, as if user 0 were not there.

    A twin moves to the station of least latency that has a seat beside the one kept for the focal user:
    at once, or with PAYBACK once it pays for itself in BACKGROUND_PAYBACK_SLOTS.
    """
    path, compute_hz, wired_m = course.background[b], tape.compute_hz[b], course.wired_m[b]
    weight = course.weight[b]
    path[0] = course.first[b]
    add_loads(c, path[0, 1:], weight[1:], loads)
    for t in range(1, len(path)):
        for u in range(1, path.shape[1]):
            host, access = path[t - 1, u], course.access[b, t, u]
            path[t, u] = host
            if c.background == NEVER:
                continue
            bits, rate, w = tape.update_bits[b, u], course.rate[b, t, u], weight[u]
            target, least, here = host, np.inf, np.inf
            for k in range(len(compute_hz)):
                others = loads[0, k] - w if k == host else loads[0, k]
                if k != host and loads[1, k] >= c.capacity - 1:
                    continue
                if k != host and update_latency(c, bits, rate, wired_m[access, k], 0.0) >= least:
                    continue  # too far whatever it computes: most stations are
                computing = computing_latency(c, bits, compute_hz[k], w, others)
                latency = update_latency(c, bits, rate, wired_m[access, k], computing)
                here = latency if k == host else here
                if latency < least:
                    target, least = k, latency
            if target == host:
                continue
            if c.background == PAYBACK:
                deadline = tape.deadline_s[b, u]
                gain = utility(c, bits, rate, least, deadline) - utility(c, bits, rate, here, deadline)
                price = migration_price(c, tape.data_bits[b, u], wired_m[host, target])
                if BACKGROUND_PAYBACK_SLOTS * gain <= price:
                    continue
            path[t, u] = target
            loads[0, host] -= w
            loads[1, host] -= 1.0
            loads[0, target] += w
            loads[1, target] += 1.0
