"""Exogenous part of DTMigration's episodes, computed at reset: channels and background users."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import kernel
from dtenv.scenario.edge import FARTHEST_DB
from dtenv.tasks.migration.access_bounds import access_from_bounds, bound_gap_db, certainly_keeps, loss_bounds
from dtenv.tasks.migration.background import CachedDecisions, play_background, steepest_gain
from dtenv.tasks.migration.slot import Constants, add_loads, computing_weight, seats_of
from dtenv.tasks.uplink import NEAREST, choose_access, link_gains, link_rate, wired_distances
from dtenv.world.migration import MigrationTape
from dtenv.world.shadowing import ShadowingWork, shadow_links


class Exogenous(NamedTuple):
    """Exogenous trajectories of B episodes; n users are the agent's, 1 or N."""

    wired_m: np.ndarray  # (B, M, M) between stations
    weight: np.ndarray  # (B, N) of twins in the sharing of computing
    access: np.ndarray  # (B, T + 2, N) access stations
    rate: np.ndarray  # (B, T + 2, n) uplink rate of the agent's users, bit/s
    gain_db: np.ndarray  # (B, T + 2, n, M) of the agent's users
    forecast: np.ndarray  # (B, T + 2, n, H) stations nearest to the expected positions; -1 for no forecast
    first: np.ndarray  # (B, N) hosts of the twins in slot 0
    background: np.ndarray  # (B, T + 2, N) hosts of background users; (B, 0, N) if there are none


class Work(NamedTuple):
    """Work arrays of B episodes."""

    shadowing_db: np.ndarray  # (B, M, N) of one slot
    variate: np.ndarray  # (B, M, N) normal variates; then, for the cache's sake, the bounds of `loss_bounds`
    kept: np.ndarray  # (B, N) see `ShadowingWork`
    fresh: np.ndarray  # (B, N) see `ShadowingWork`
    total: np.ndarray  # (B, N) see `ShadowingWork`
    least_loss_db: np.ndarray  # (B, N) least bound of a user's losses
    gain_db: np.ndarray  # (B, 1, M) of one user
    transmitting: np.ndarray  # (B, M) users per access station in one slot
    nearest_m: np.ndarray  # (B, M) distance to the nearest other station


@kernel
def simulate_exogenous(
    c: Constants,
    r: Any,
    tape: MigrationTape,
    course: Exogenous,
    work: Work,
    looks: CachedDecisions,
    b: int,
    loads: np.ndarray,
) -> None:
    """Compute all slots of row b from its tape; loads (2, M) ends as in the last slot."""
    n, path = c.stations, course.background[b]
    user_xy, shadowing_db = tape.user_xy[b], work.shadowing_db[b, :n]
    fading = ShadowingWork(work.kept[b], work.fresh[b], work.total[b], work.variate[b, :n])
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
        update_radio(c, tape, course, work, looks, b, t)
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
def update_radio(
    c: Constants, tape: MigrationTape, course: Exogenous, work: Work, looks: CachedDecisions, b: int, t: int
) -> None:
    """Update access stations of slot t, and gains and rates of the agent's users."""
    n = c.stations
    now, user_xy, station_xy = course.access[b, t], tape.user_xy[b, t], tape.station_xy[b, :n]
    shadowing_db, gain_db, transmitting = work.shadowing_db[b].T, course.gain_db[b, t], work.transmitting[b]
    loss_db, least_db, margin_db, slack = (
        work.variate[b, :n],
        work.least_loss_db[b],
        c.handover_margin_db,
        bound_gap_db(c),
    )
    users, own = len(now), len(gain_db)
    rough = t > 0 and own < users and c.access != NEAREST
    if rough:
        loss_bounds(c, user_xy, station_xy, work.shadowing_db[b, :n], loss_db, least_db)
    if t == 0:
        transmitting[:] = 0.0
    for u in range(users):
        before = course.access[b, t - 1, u] if t > 0 else -1
        now[u] = before
        if rough and u >= own:
            if certainly_keeps(margin_db, slack, least_db[u], loss_db[before, u]):
                continue
            found = access_from_bounds(margin_db, slack, loss_db, u, before)
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
def associate_first(c: Constants, course: Exogenous, b: int, loads: np.ndarray) -> None:
    """Place every twin in slot 0 at its user's access station, or the nearest site with room.

    One seat per site is kept for the focal user if all others find room without it.
    """
    first, access, wired_m = course.first[b], course.access[b, 0], course.wired_m[b]
    other_seats = 0
    for k in range(len(wired_m)):
        other_seats += max(seats_of(c, k) - 1, 0)
    kept = 1 if other_seats >= len(first) - 1 else 0
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
