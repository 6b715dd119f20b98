"""Background users of DTMigration's focal mode: their twins move by a fixed rule, independent of the agent.

A twin moves to the station of least latency with a free seat (one is kept for the focal user): at once, or with
"payback" once the move pays for itself in BACKGROUND_PAYBACK_SLOTS. Users decide one after another. A twin whose host
is down moves at once, but with "never" it waits for the repair.

The best station does not depend on the user's rate. So a user's cached decision holds until its access station changes
or twins join or leave stations in a relevant way; moves that pay at high rates only wait for such a rate. Without the
cache a step takes a third longer; `background` of tests/helpers/reference_edge.py is the plain rule.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled, kernel
from dtenv.physics.geometry import euclidean
from dtenv.physics.latency import wired_latency
from dtenv.physics.radio import path_loss_db
from dtenv.physics.utility import utility_time
from dtenv.scenario.migration import BACKGROUNDS
from dtenv.tasks.migration.lifecycle import is_up
from dtenv.tasks.migration.slot import (
    Constants,
    computing_latency,
    fixed_latency,
    migration_price,
    seats_of,
    total_weight,
    update_latency,
    utility,
)
from dtenv.tasks.uplink import link_rate
from dtenv.world.migration import MigrationTape

PAYBACK, NEVER = BACKGROUNDS.index("payback"), BACKGROUNDS.index("never")

BACKGROUND_PAYBACK_SLOTS = 10.0
"""Slots in which a background twin's move must pay for itself."""

_ROUNDING = 1e-9  # of a utility and of a time; above the rounding error of either


class CachedDecisions(NamedTuple):
    """Cached best alternatives of background users in B episodes.

    A user certainly stays if `here` < `least` + `spare`. For such users `here` is an upper and `least` a lower bound;
    for the others both are exact until the user is stale.
    """

    stale: np.ndarray  # (B, N) bool, users whose cache must be recomputed
    target: np.ndarray  # (B, N) other station of least latency; -1 if none has a seat
    least: np.ndarray  # (B, N) wired and computing seconds there
    here: np.ndarray  # (B, N) the same at the host
    steepest: np.ndarray  # (B, N) from `steepest_gain`
    spare: np.ndarray  # (B, N) from `spare_seconds`
    within: np.ndarray  # (B, N) wireless seconds above which a move certainly does not pay; -1 if it never does


@compiled
def standing_latency(
    c: Constants, k: int, bits: float, weight: float, compute_hz: float, distance_m: float, others_weight: float
) -> float:
    """Part of T_upd that depends on site k: wired and computing time, given the weight of other twins there."""
    wired = wired_latency(c.wired_s_per_bit_m, bits, distance_m) + fixed_latency(c, k)
    return wired + computing_latency(c, k, bits, compute_hz, weight, others_weight)


@compiled
def is_slower(
    c: Constants,
    k: int,
    bits: float,
    weight: float,
    compute_hz: float,
    distance_m: float,
    others_weight: float,
    seconds: float,
) -> bool:
    """Division-free test: True only if `standing_latency` certainly exceeds `seconds`."""
    left = seconds - wired_latency(c.wired_s_per_bit_m, bits, distance_m) - fixed_latency(c, k)
    cycles = c.cycles_per_bit * bits * total_weight(c, k, weight, others_weight)
    return left * compute_hz * weight < cycles * (1.0 - _ROUNDING)


@kernel
def best_elsewhere(
    c: Constants,
    bits: float,
    weight: float,
    compute_hz: np.ndarray,
    wired_m: np.ndarray,
    access: int,
    loads: np.ndarray,
    host: int,
    up: np.ndarray,
    t: int,
) -> tuple[int, float]:
    """Find the site of least latency with a seat, other than the host; return it (the first of equals) and its seconds.

    `bits` is the size of the user's update; compute_hz (M,), wired_m (M, M), loads (2, M), up (slots, M).
    """
    target, least = -1, np.inf
    for k in range(len(compute_hz)):
        if k == host or loads[1, k] >= seats_of(c, k) - 1 or not is_up(c, up, t, k):
            continue
        if is_slower(c, k, bits, weight, compute_hz[k], wired_m[access, k], loads[0, k], least):
            continue
        seconds = standing_latency(c, k, bits, weight, compute_hz[k], wired_m[access, k], loads[0, k])
        if seconds < least:
            target, least = k, seconds
    return target, least


@compiled
def worth_of_moving(c: Constants, bits: float, deadline_s: float, rate: float, least: float, here: float) -> float:
    """Utility gained per slot by moving from wired and computing seconds `here` to `least`, at an uplink rate."""
    wireless = update_latency(c, bits, rate, 0.0, 0.0)
    return utility(c, bits, rate, wireless + least, deadline_s) - utility(c, bits, rate, wireless + here, deadline_s)


@compiled
def steepest_gain(c: Constants, deadline_s: float) -> float:
    """Largest gain of a move per second of latency saved, over BACKGROUND_PAYBACK_SLOTS."""
    return (
        BACKGROUND_PAYBACK_SLOTS * utility(c, 0.0, np.inf, 0.0, deadline_s) / utility_time(c.utility_time_s, deadline_s)
    )


@compiled
def spare_seconds(c: Constants, data_bits: float, steepest: float, nearest_m: float) -> float:
    """Seconds by which a host may be slower than any other station without a move paying, at any rate.

    `steepest` is from `steepest_gain`; `nearest_m` is the distance to the nearest other station, the cheapest move.
    """
    if c.background != PAYBACK:
        return 0.0
    cheapest = migration_price(c, data_bits, nearest_m) - _ROUNDING
    return max(cheapest, 0.0) / steepest * (1.0 - _ROUNDING)


@compiled
def pays_within(c: Constants, bits: float, deadline_s: float, least: float, here: float, price: float) -> float:
    """Wireless seconds above which a move certainly does not pay; -1 if it never pays."""
    gained = BACKGROUND_PAYBACK_SLOTS * worth_of_moving(c, bits, deadline_s, np.inf, least, here)
    if gained <= price:
        return -1.0
    # The gain falls with the wireless seconds as exp(-seconds / time).
    time_s = utility_time(c.utility_time_s, deadline_s)
    return time_s * (math.log((gained + _ROUNDING) / price) + _ROUNDING)


@kernel
def refresh_decisions(
    c: Constants,
    left: int,
    joined: int,
    path: np.ndarray,
    access: np.ndarray,
    update_bits: np.ndarray,
    weight: np.ndarray,
    compute_hz: np.ndarray,
    wired_m: np.ndarray,
    loads: np.ndarray,
    looks: CachedDecisions,
    b: int,
) -> None:
    """Update row b of `looks` after a twin moved from station `left` (faster now) to `joined` (slower now).

    Users whose decision may change become stale. path (N,) are hosts; loads (2, M) include the move.
    """
    stale, target, within = looks.stale[b], looks.target[b], looks.within[b]
    least, here, spare = looks.least[b], looks.here[b], looks.spare[b]
    hz, away, load = compute_hz[left], wired_m[left], loads[0, left]
    for v in range(1, len(path)):
        host, bits, w, metres = path[v], update_bits[v], weight[v], away[access[v]]
        stays = here[v] < least[v] + spare[v]
        # One branch that is rarely taken.
        hurt = (host == joined) | ((target[v] == joined) & (not stays))
        waits = (host == left) & (not stays) & (within[v] >= 0.0)
        alike = (host == left) | is_slower(c, left, bits, w, hz, metres, load, least[v])
        if stale[v] | (alike & (not hurt) & (not waits)):
            continue
        if waits or (hurt and not stays):
            stale[v] = True
            continue
        if host == joined:
            metres_here = wired_m[joined, access[v]]
            here[v] = standing_latency(c, joined, bits, w, compute_hz[joined], metres_here, loads[0, joined] - w)
        there = standing_latency(c, left, bits, w, hz, metres, load)
        better = there <= least[v]
        least[v] = min(there, least[v])
        stale[v] = here[v] >= least[v] + spare[v] if stays else better


@kernel
def play_background(
    c: Constants, tape: MigrationTape, course: Any, work: Any, looks: CachedDecisions, b: int, t: int, loads: np.ndarray
) -> None:
    """Move the twins of users 1 … N - 1 in slot t, one after another, as if user 0 did not exist."""
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
        refresh_decisions(c, host, target, path, access, update_bits, weight, compute_hz, wired_m, loads, looks, b)


@compiled
def link_gain(c: Constants, x: float, y: float, station_x: float, station_y: float, shadowing_db: float) -> float:
    """Channel gain of one link, dB, with the bits of `link_gains`."""
    distance = euclidean(x, y, station_x, station_y)
    return -path_loss_db(distance, c.min_distance_m, c.path_loss_km_db, c.path_loss_decade_db) - shadowing_db
