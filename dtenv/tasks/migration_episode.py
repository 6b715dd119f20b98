"""What no choice of a DTMigration agent changes, worked out when an episode begins: channels and background users."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.tasks.handover import may_hand_over
from dtenv.tasks.migration_background import (
    BACKGROUND_PAYBACK_SLOTS,
    NEVER,
    PAYBACK,
    Looks,
    best_elsewhere,
    look_again,
    pays_within,
    standing_latency,
    worth_of_moving,
)
from dtenv.tasks.migration_slot import Constants, add_loads, computing_weight, migration_price, update_latency
from dtenv.tasks.uplink import NEAREST, choose_access, link_gains, link_rate, wired_distances
from dtenv.world.channel import shadow_slot
from dtenv.world.migration import MigrationTape


class Course(NamedTuple):
    """How a batch of episodes goes on whatever the agent does. `n` users are the agent's: 1 or N."""

    wired_m: np.ndarray  # (B, M, M) between stations
    weight: np.ndarray  # (B, N) of twins when computing is shared
    access: np.ndarray  # (B, T + 2, N) access stations
    rate: np.ndarray  # (B, T + 2, n) uplink rate of the agent's users, bit/s
    gain_db: np.ndarray  # (B, T + 2, n, M) of the agent's users
    forecast: np.ndarray  # (B, T + 2, n, H) stations nearest to where they are expected; -1 where nothing is
    first: np.ndarray  # (B, N) stations that host the twins in slot 0
    background: np.ndarray  # (B, T + 2, N) stations of the users that are not the agent's; (B, 0, N) if all are


class Work(NamedTuple):
    """Work arrays of a batch (B)."""

    shadowing_db: np.ndarray  # (B, N, M) of one slot
    gain_db: np.ndarray  # (B, 1, M) of one user
    transmitting: np.ndarray  # (B, M) users at every station in one slot


@compiled
def unfold(
    c: Constants, r: Any, tape: MigrationTape, course: Course, work: Work, looks: Looks, b: int, loads: np.ndarray
) -> None:
    """All slots of row b's episode, whose tape is drawn; loads (2, M) is left as the last slot has it."""
    user_xy, shadowing_db, path = tape.user_xy[b], work.shadowing_db[b], course.background[b]
    wired_distances(tape.station_xy[b], course.wired_m[b])
    for u in range(len(tape.data_bits[b])):
        course.weight[b, u] = computing_weight(c, tape.data_bits[b, u], tape.update_bits[b, u])
    for t in range(len(user_xy)):
        shadow_slot(r, tape.shadowing_key[b], t, user_xy, shadowing_db)
        tune(c, tape, course, work, looks, b, t)
        if t == 0:
            associate_first(c, course, b, loads)
            if len(path) > 0:
                path[0] = course.first[b]
                add_loads(c, path[0, 1:], course.weight[b, 1:], loads)
                looks.stale[b] = True
        elif len(path) > 0:
            play_background(c, tape, course, work, looks, b, t, loads)


@compiled
def tune(c: Constants, tape: MigrationTape, course: Course, work: Work, looks: Looks, b: int, t: int) -> None:
    """Access stations of slot t, and gains and rates of the agent's users."""
    now, user_xy, station_xy = course.access[b, t], tape.user_xy[b, t], tape.station_xy[b]
    shadowing_db = work.shadowing_db[b]
    gain_db, transmitting = course.gain_db[b, t], work.transmitting[b]
    own = len(gain_db)
    transmitting[:] = 0.0
    for u in range(len(now)):
        before = course.access[b, t - 1, u] if t > 0 else -1
        now[u] = before
        if u < own:
            gains = gain_db[u : u + 1]
        else:
            gains = work.gain_db[b]
            kept = before >= 0 and c.access != NEAREST
            if kept and not may_hand_over(c, user_xy[u, 0], user_xy[u, 1], station_xy, shadowing_db[u], before):
                transmitting[before] += 1.0
                continue
        link_gains(c, user_xy[u : u + 1], station_xy, shadowing_db[u : u + 1], gains)
        choose_access(c, user_xy[u : u + 1], station_xy, gains, now[u : u + 1])
        transmitting[now[u]] += 1.0
        if now[u] != before:
            looks.stale[b, u] = True
    for u in range(own):
        course.rate[b, t, u] = link_rate(c, c.transmit_power_w, gain_db[u, now[u]], transmitting[now[u]])


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
def play_background(
    c: Constants, tape: MigrationTape, course: Course, work: Work, looks: Looks, b: int, t: int, loads: np.ndarray
) -> None:
    """Stations of users 1 … N - 1 in slot t, one user after another, as if user 0 were not there."""
    path, access, weight, wired_m = course.background[b, t], course.access[b, t], course.weight[b], course.wired_m[b]
    data_bits, update_bits, deadline_s = tape.data_bits[b], tape.update_bits[b], tape.deadline_s[b]
    compute_hz = tape.compute_hz[b]
    stale, targets, within = looks.stale[b], looks.target[b], looks.within[b]
    for u in range(1, len(path)):
        path[u] = course.background[b, t - 1, u]
    if c.background == NEVER:
        return
    for u in range(1, len(path)):
        if not stale[u] and within[u] < 0.0:
            continue
        host, bits, w, deadline = path[u], update_bits[u], weight[u], deadline_s[u]
        if stale[u]:
            away = wired_m[access[u]]
            here = standing_latency(c, bits, w, compute_hz[host], away[host], loads[0, host] - w)
            target, least = best_elsewhere(c, bits, w, compute_hz, away, loads, host)
            looks.here[b, u], looks.least[b, u], targets[u], stale[u] = here, least, target, False
            within[u] = -1.0
            if least < here or (least == here and target < host):
                within[u] = np.inf
                if c.background == PAYBACK:
                    price = migration_price(c, data_bits[u], wired_m[host, target])
                    within[u] = pays_within(c, bits, deadline, least, here, price)
            if within[u] < 0.0:
                continue
        target = targets[u]
        if c.background == PAYBACK:
            rate = rate_of(c, tape, work, b, t, u, access[u])
            if update_latency(c, bits, rate, 0.0, 0.0) > within[u]:
                continue
            price = migration_price(c, data_bits[u], wired_m[host, target])
            gained = worth_of_moving(c, bits, deadline, rate, looks.least[b, u], looks.here[b, u])
            if BACKGROUND_PAYBACK_SLOTS * gained <= price:
                continue
        path[u] = target
        loads[0, host] -= w
        loads[1, host] -= 1.0
        loads[0, target] += w
        loads[1, target] += 1.0
        stale[u] = True
        look_again(c, host, target, path, access, update_bits, weight, compute_hz, wired_m, loads, looks, b)


@compiled
def rate_of(c: Constants, tape: MigrationTape, work: Work, b: int, t: int, u: int, access: int) -> float:
    """Uplink rate of user u in slot t, bit/s."""
    user_xy, station_xy, gains = tape.user_xy[b, t], tape.station_xy[b], work.gain_db[b, :, :1]
    shadowing_db = work.shadowing_db[b, u : u + 1, access : access + 1]
    link_gains(c, user_xy[u : u + 1], station_xy[access : access + 1], shadowing_db, gains)
    return link_rate(c, c.transmit_power_w, gains[0, 0], work.transmitting[b, access])
