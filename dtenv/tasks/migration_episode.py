"""What no choice of a DTMigration agent changes, worked out when an episode begins: channels and background users."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled, kernel
from dtenv.physics.geometry import euclidean
from dtenv.physics.radio import path_loss_db
from dtenv.scenario.edge import FARTHEST_DB
from dtenv.tasks.handover import rough_access, rough_losses, slack_db, surely_keeps
from dtenv.tasks.migration_background import (
    BACKGROUND_PAYBACK_SLOTS,
    NEVER,
    PAYBACK,
    Looks,
    best_elsewhere,
    look_again,
    pays_within,
    spare_seconds,
    standing_latency,
    steepest_gain,
    worth_of_moving,
)
from dtenv.tasks.migration_life import is_up
from dtenv.tasks.migration_slot import (
    Constants,
    add_loads,
    computing_weight,
    migration_price,
    seats_of,
    update_latency,
)
from dtenv.tasks.uplink import NEAREST, choose_access, link_gains, link_rate, wired_distances
from dtenv.world.channel import Fading, shadow_links
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

    shadowing_db: np.ndarray  # (B, M, N) of one slot
    variate: np.ndarray  # (B, M, N) normal variates; then, to stay in the cache, the rough losses of `rough_losses`
    kept: np.ndarray  # (B, N) of `Fading`
    fresh: np.ndarray  # (B, N) likewise
    total: np.ndarray  # (B, N) likewise
    least_loss_db: np.ndarray  # (B, N) of a user's rough losses
    gain_db: np.ndarray  # (B, 1, M) of one user
    transmitting: np.ndarray  # (B, M) users at every station in one slot
    nearest_m: np.ndarray  # (B, M) from every station to the nearest other


@kernel
def unfold(
    c: Constants, r: Any, tape: MigrationTape, course: Course, work: Work, looks: Looks, b: int, loads: np.ndarray
) -> None:
    """All slots of row b's episode, whose tape is drawn; loads (2, M) is left as the last slot has it."""
    n, path = c.stations, course.background[b]
    user_xy, shadowing_db = tape.user_xy[b], work.shadowing_db[b, :n]
    fading = Fading(work.kept[b], work.fresh[b], work.total[b], work.variate[b, :n])
    wired_distances(tape.station_xy[b], course.wired_m[b])
    for k in range(n, course.wired_m.shape[1]):
        for j in range(n):
            course.wired_m[b, j, k] = course.wired_m[b, k, j] = c.cloud_distance_m
    for j in range(course.wired_m.shape[1]):
        work.nearest_m[b, j] = np.inf
        for k in range(course.wired_m.shape[1]):
            if k != j:
                work.nearest_m[b, j] = min(work.nearest_m[b, j], course.wired_m[b, j, k])
    for u in range(len(tape.data_bits[b])):
        looks.steepest[b, u] = steepest_gain(c, tape.deadline_s[b, u])
        course.weight[b, u] = computing_weight(c, tape.data_bits[b, u], tape.update_bits[b, u])
    for t in range(len(user_xy)):
        shadow_links(r, tape.shadowing_key[b], t, user_xy, fading, shadowing_db)
        tune(c, tape, course, work, looks, b, t)
        if t == 0:
            associate_first(c, course, b, loads)
            if len(path) > 0:
                for u in range(path.shape[1]):
                    path[0, u] = course.first[b, u]
                add_loads(c, path[0, 1:], course.weight[b, 1:], loads)
                looks.stale[b] = True
        elif len(path) > 0:
            play_background(c, tape, course, work, looks, b, t, loads)


@kernel
def tune(c: Constants, tape: MigrationTape, course: Course, work: Work, looks: Looks, b: int, t: int) -> None:
    """Access stations of slot t, and gains and rates of the agent's users."""
    n = c.stations
    now, user_xy, station_xy = course.access[b, t], tape.user_xy[b, t], tape.station_xy[b, :n]
    shadowing_db, gain_db, transmitting = work.shadowing_db[b].T, course.gain_db[b, t], work.transmitting[b]
    loss_db, least_db, margin_db, slack = work.variate[b, :n], work.least_loss_db[b], c.handover_margin_db, slack_db(c)
    users, own = len(now), len(gain_db)
    rough = t > 0 and own < users and c.access != NEAREST
    if rough:
        rough_losses(c, user_xy, station_xy, work.shadowing_db[b, :n], loss_db, least_db)
    if t == 0:
        transmitting[:] = 0.0
    for u in range(users):
        before = course.access[b, t - 1, u] if t > 0 else -1
        now[u] = before
        if rough and u >= own:
            if surely_keeps(margin_db, slack, least_db[u], loss_db[before, u]):
                continue
            found = rough_access(margin_db, slack, loss_db, u, before)
        else:
            found = -1
        if found < 0:
            gains = gain_db[u : u + 1] if u < own else work.gain_db[b]
            link_gains(c, user_xy[u : u + 1], station_xy, shadowing_db[u : u + 1], gains)
            choose_access(c, user_xy[u : u + 1], station_xy, gains, now[u : u + 1])
        else:
            now[u] = found
        if now[u] != before:
            looks.stale[b, u] = True
            transmitting[now[u]] += 1.0
            if t > 0:
                transmitting[before] -= 1.0
    for u in range(own):
        course.rate[b, t, u] = link_rate(c, c.transmit_power_w, gain_db[u, now[u]], transmitting[now[u]])
        for k in range(n, gain_db.shape[1]):
            gain_db[u, k] = -FARTHEST_DB


@kernel
def associate_first(c: Constants, course: Course, b: int, loads: np.ndarray) -> None:
    """Slot 0: every twin at its user's access station, or the site nearest to that with room.

    One seat a site is left to the focal user, wherever it goes, as long as all others find room without it.
    """
    first, access, wired_m = course.first[b], course.access[b, 0], course.wired_m[b]
    beside = 0
    for k in range(len(wired_m)):
        beside += max(seats_of(c, k) - 1, 0)
    kept = 1 if beside >= len(first) - 1 else 0
    loads[:] = 0.0
    for i in range(len(first)):
        u = (i + 1) % len(first)  # user 0 last
        best = -1
        for k in range(len(wired_m)):
            room = seats_of(c, k) if u == 0 else seats_of(c, k) - kept
            if loads[1, k] < room and (best < 0 or wired_m[access[u], k] < wired_m[access[u], best]):
                best = k
        first[u] = best
        loads[1, best] += 1.0


@kernel
def play_background(
    c: Constants, tape: MigrationTape, course: Course, work: Work, looks: Looks, b: int, t: int, loads: np.ndarray
) -> None:
    """Stations of users 1 … N - 1 in slot t, one user after another, as if user 0 were not there."""
    path, access, weight, wired_m = course.background[b, t], course.access[b, t], course.weight[b], course.wired_m[b]
    data_bits, update_bits, deadline_s = tape.data_bits[b], tape.update_bits[b], tape.deadline_s[b]
    compute_hz, station_xy, user_xy = tape.compute_hz[b], tape.station_xy[b], tape.user_xy[b, t]
    nearest_m, up = work.nearest_m[b], tape.up[b]
    stale, targets, within = looks.stale[b], looks.target[b], looks.within[b]
    for u in range(1, len(path)):
        path[u] = course.background[b, t - 1, u]
    if c.background == NEVER:
        return
    if c.fails:
        for k in range(len(compute_hz)):
            if up[t, k] != up[t - 1, k]:
                stale[:] = True
    for u in range(1, len(path)):
        flees = not is_up(c, up, t, path[u])
        if not flees and not stale[u] and within[u] < 0.0:
            continue
        host, bits, w, deadline = path[u], update_bits[u], weight[u], deadline_s[u]
        if flees:
            targets[u], _ = best_elsewhere(c, bits, w, compute_hz, wired_m, access[u], loads, host, up, t)
            if targets[u] < 0:
                continue
        elif stale[u]:
            here = standing_latency(c, host, bits, w, compute_hz[host], wired_m[access[u], host], loads[0, host] - w)
            target, least = best_elsewhere(c, bits, w, compute_hz, wired_m, access[u], loads, host, up, t)
            looks.here[b, u], looks.least[b, u], targets[u], stale[u] = here, least, target, False
            within[u] = -1.0
            spare = spare_seconds(c, data_bits[u], looks.steepest[b, u], nearest_m[host])
            looks.spare[b, u] = spare
            if here >= least + spare and (least < here or target < host):
                within[u] = np.inf
                if c.background == PAYBACK:
                    price = migration_price(c, data_bits[u], wired_m[host, target])
                    within[u] = pays_within(c, bits, deadline, least, here, price)
            if within[u] < 0.0:
                continue
        target = targets[u]
        if c.background == PAYBACK and not flees:
            k = access[u]
            x, y, shadowing = user_xy[u, 0], user_xy[u, 1], work.shadowing_db[b, k, u]
            gain = link_gain(c, x, y, station_xy[k, 0], station_xy[k, 1], shadowing)
            rate = link_rate(c, c.transmit_power_w, gain, work.transmitting[b, k])
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
def link_gain(c: Constants, x: float, y: float, station_x: float, station_y: float, shadowing_db: float) -> float:
    """Channel gain of one link, dB, with the bits of `link_gains`."""
    distance = euclidean(x, y, station_x, station_y)
    return -path_loss_db(distance, c.min_distance_m, c.path_loss_km_db, c.path_loss_decade_db) - shadowing_db
