"""Searches for DTPlacementMA-v0 on the score of one slot: greedy addition of hosts, and local search.

The score is a sum over stations, each of which depends only on the twins it hosts, so a move costs the evaluation of
two stations. Local search is strong (on tiny slots it nearly always finds the best of all associations), but no bound.
"""

from __future__ import annotations

import numpy as np

from agents.heuristics.placement import at_access
from dtenv.compiled import compiled
from dtenv.physics.latency import wired_latency
from dtenv.scenario.edge import SLICE
from dtenv.tasks.placement.decode import computing_size
from dtenv.tasks.placement.slot import (
    STATION_TERM,
    USER_TERM,
    Constants,
    Slot,
    add_loads,
    computing_weight,
    effective_bits,
    host_score,
    twin_score,
)
from dtenv.tasks.uplink import DIRECT

LEAST_GAIN = 1e-9
"""Least gain of a change."""


@compiled
def station_worth(
    c: Constants, slot: Slot, server: np.ndarray, k: int, free: bool, stations: np.ndarray, users: np.ndarray
) -> float:
    """Station k's part of the slot's score under the association server (N,).

    Args:
        c: constants of the scenario.
        slot: the slot.
        server: (N,); -1 is no station.
        k: the station.
        free: do not charge for hosting.
        stations: rows of `add_loads`, of which STATION_TERM.transmitting is read.
        users: work array (len(USER_TERM), N).
    """
    weight = twins = 0.0
    for u in range(len(server)):
        if server[u] == k:
            weight += computing_weight(c, slot, u)
            twins += 1.0
    if c.compute_sharing == SLICE:
        weight = float(slot.capacity[k])
    worth = 0.0 if free else host_score(c, twins > 0.0, twins)
    for u in range(len(server)):
        if server[u] == k:
            transmitting = twins if c.access == DIRECT else stations[STATION_TERM.transmitting, slot.access[u]]
            worth += twin_score(c, slot, u, k, weight, transmitting, users)
    return worth


@compiled
def relocate(
    c: Constants,
    slot: Slot,
    server: np.ndarray,
    free: int,
    banned: int,
    worth: np.ndarray,
    stations: np.ndarray,
    users: np.ndarray,
) -> None:
    """Move single twins to the station that is best for the slot until none gains.

    Args:
        c: constants of the scenario.
        slot: the slot.
        server: improved in place.
        free: station whose hosting is not charged and the only one to move to, or -1 for any.
        banned: station that its twins leave at any cost while no others move, or -1.
        worth: station_worth of all stations (M,), written.
        stations: work array with the loads of `server`.
        users: work array (len(USER_TERM), N).
    """
    num_stations = len(worth)
    held = np.zeros(num_stations, np.int64)
    for u in range(len(server)):
        held[server[u]] += 1
    for k in range(num_stations):
        worth[k] = station_worth(c, slot, server, k, k == free, stations, users)
    moved = True
    while moved:
        moved = False
        for u in range(len(server)):
            home = server[u]
            if (banned >= 0 and home != banned) or home == free:
                continue
            server[u] = -1
            without = station_worth(c, slot, server, home, home == free, stations, users)
            target, gain, target_worth = home, -np.inf if home == banned else LEAST_GAIN, 0.0
            for k in range(num_stations):
                if k in (home, banned) or (free >= 0 and k != free) or held[k] >= slot.capacity[k]:
                    continue
                server[u] = k
                value = station_worth(c, slot, server, k, k == free, stations, users)
                if without + value - worth[home] - worth[k] > gain:
                    target, gain, target_worth = k, without + value - worth[home] - worth[k], value
            server[u] = target
            if target != home:
                worth[home], worth[target] = without, target_worth
                held[home] -= 1
                held[target] += 1
                moved = True


@compiled
def improve(c: Constants, slot: Slot, server: np.ndarray) -> float:
    """Local search from `server`, in place: twins move, stations open and close; returns the score reached."""
    num_users, num_stations = slot.gain_db.shape
    stations, users = np.zeros((len(STATION_TERM), num_stations)), np.zeros((len(USER_TERM), num_users))
    worth, trial = np.zeros(num_stations), np.zeros(num_users, np.int64)
    add_loads(c, slot, server, stations)
    relocate(c, slot, server, -1, -1, worth, stations, users)
    score = worth.sum()
    promising = c.beta * c.host_cost  # tolerated loss of a changed set of hosts before twins are moved
    improved = True
    while improved:
        improved = False
        for k in range(num_stations):
            trial[:] = server
            if (server == k).any():
                room = 0
                for s in range(num_stations):
                    room += slot.capacity[s] if s != k else 0
                if room < num_users:
                    continue
                relocate(c, slot, trial, -1, k, worth, stations, users)
            else:
                relocate(c, slot, trial, k, -1, worth, stations, users)
                worth[k] = station_worth(c, slot, trial, k, False, stations, users)
            if worth.sum() <= score - promising:
                continue
            relocate(c, slot, trial, -1, -1, worth, stations, users)
            if worth.sum() > score + LEAST_GAIN:
                score, improved = worth.sum(), True
                server[:] = trial
    return score


@compiled
def local_search(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """The better of the local searches from `greedy_add` and from `at_access`."""
    greedy_add(c, slot, server)
    other = server.copy()
    at_access(c, slot, other)
    if improve(c, slot, other) > improve(c, slot, server):
        server[:] = other


@compiled
def greedy_add(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Open the station that improves the slot's score most, one after another, until none does.

    Given the hosts, users choose in turn, the largest first, by their wired latency and the computing latency that they
    add. Capacities are ignored until the hosts have room for all.
    """
    num_users, num_stations = slot.gain_db.shape
    stations, users = np.zeros((len(STATION_TERM), num_stations)), np.zeros((len(USER_TERM), num_users))
    hosts, trial = np.zeros(num_stations, np.bool_), np.zeros(num_users, np.int64)
    size = np.array([computing_size(c, slot, u) for u in range(num_users)])
    order = np.argsort(-size)
    score, room = -np.inf, 0
    add_loads(c, slot, np.zeros(num_users, np.int64), stations)
    while True:
        best, most = -1, score + LEAST_GAIN
        for k in range(num_stations):
            if hosts[k]:
                continue
            hosts[k] = True
            choose(c, slot, hosts, size, order, room + slot.capacity[k] >= num_users, trial)
            value = 0.0
            for s in range(num_stations):
                value += station_worth(c, slot, trial, s, False, stations, users)
            if value > most:
                best, most = k, value
            hosts[k] = False
        if best < 0:
            return
        hosts[best] = True
        room += slot.capacity[best]
        if room >= num_users:
            choose(c, slot, hosts, size, order, True, server)
            score = most


@compiled
def choose(
    c: Constants, slot: Slot, hosts: np.ndarray, size: np.ndarray, order: np.ndarray, bounded: bool, server: np.ndarray
) -> None:
    """Assign users to hosts one after another for `greedy_add`, in server (N,); `bounded` respects capacities."""
    num_stations = len(hosts)
    load, held = np.zeros(num_stations), np.zeros(num_stations, np.int64)
    for u in order:
        best, least = -1, np.inf
        bits = effective_bits(c, slot, u)
        for k in range(num_stations):
            if not hosts[k] or (bounded and held[k] >= slot.capacity[k]):
                continue
            distance = 0.0 if c.access == DIRECT else slot.wired_m[slot.access[u], k]
            computing = ((load[k] + size[u]) ** 2 - load[k] ** 2) / slot.compute_hz[k]
            cost = wired_latency(c.wired_s_per_bit_m, bits, distance) + computing
            if cost < least:
                best, least = k, cost
        server[u] = best
        load[best] += size[u]
        held[best] += 1
