"""Decoder of stations' bids or prices to hosts and an always feasible association (Lu 2021, eqs 18a-b, 23).

The paper's independent bits assign exactly one server to a user with probability M / 2^M only. Here pairs of station
and user are accepted by falling bid (ties by station, then user) if the user is free and the station has room. Deferred
acceptance finds this association without sorting: both sides rank pairs alike, so the stable matching is unique.
"""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.latency import square_root_weight, wired_latency
from dtenv.tasks.placement.slot import Constants, Slot, effective_bits, update_weight, weighted_bits
from dtenv.tasks.uplink import DIRECT

HOSTING_BID = 0.5
"""Hosting bid above which a station hosts."""

PRICE_SPAN = 8.0
"""Computing prices range from 1 / PRICE_SPAN to PRICE_SPAN times `price_level`."""


@compiled
def choose_hosts(host_bid: np.ndarray, capacity: np.ndarray, num_users: int, host: np.ndarray) -> None:
    """Fill host (M,): bids above HOSTING_BID, then the next highest until all twins have room."""
    room = 0
    for k in range(len(host)):
        host[k] = host_bid[k] > HOSTING_BID
        room += capacity[k] if host[k] else 0
    while room < num_users:
        best = -1
        for k in range(len(host)):
            if not host[k] and capacity[k] > 0 and (best < 0 or host_bid[k] > host_bid[best]):
                best = k
        if best < 0:
            return
        host[best] = True
        room += capacity[best]


@compiled
def worst_user(bid: np.ndarray, server: np.ndarray, k: int, proposed: int) -> int:
    """User of station k with the least bid (N,) among the first `proposed` users, the last of equals."""
    worst, least = -1, math.inf
    for v in range(proposed):
        offer = bid[v]
        if (server[v] == k) & (offer <= least):  # `&`: one rare branch instead of two, the first unpredictable
            worst, least = v, offer
    return worst


@compiled
def match(bid: np.ndarray, host: np.ndarray, capacity: np.ndarray, server: np.ndarray, held: np.ndarray) -> None:
    """Match users with hosts by finite bids (M, N), into server (N,); hosts must have room for all users.

    held (M,) ends as the twins of every station. Meanwhile it is -1 where no twin may go, and at a full station its
    capacity plus the index of its worst user, whom the next one has to beat.
    """
    num_stations, num_users = bid.shape
    for k in range(num_stations):
        held[k] = 0 if host[k] and capacity[k] > 0 else -1
    for u in range(num_users):
        server[u] = -1
    for first in range(num_users):
        u = first
        while u >= 0:
            k, most = -1, -math.inf
            for s in range(num_stations):
                if held[s] < 0:
                    continue
                offer, v = bid[s, u], held[s] - capacity[s]
                if offer > most and (v < 0 or offer > bid[s, v] or (offer == bid[s, v] and u < v)):
                    k, most = s, offer
            if k < 0:  # cannot happen if hosts have room for all users
                break
            server[u] = k
            u = held[k] - capacity[k]  # the rejected user, who proposes next
            if u < 0:
                held[k] += 1
            else:
                server[u] = -1
            if held[k] >= capacity[k]:
                held[k] = capacity[k] + worst_user(bid[k], server, k, first + 1)
    for k in range(num_stations):
        held[k] = min(max(held[k], 0), capacity[k])


@compiled
def computing_size(c: Constants, slot: Slot, u: int) -> float:
    """s_i, the size that is priced: under square-root sharing the slot's computing latency is Σ_k S_k² / F_k."""
    return square_root_weight(slot.cycles_per_bit[u], effective_bits(c, slot, u))


@compiled
def price_level(size: np.ndarray, compute_hz: np.ndarray) -> float:
    """2 Σ_i s_i / Σ_k F_k, the marginal computing latency per unit of s if all stations shared the load."""
    total = cycles = 0.0
    for u in range(len(size)):
        total += size[u]
    for k in range(len(compute_hz)):
        cycles += compute_hz[k]
    return 2.0 * total / cycles


@compiled
def bids_of_prices(c: Constants, slot: Slot, price: np.ndarray, bid: np.ndarray) -> None:
    """Fill bid (M, N) from prices (M,) in [0, 1]: minus a user's wired latency and its computing charge.

    User i's bid at k is -(φ D'_i d(j, k) + λ_k s_i) with λ_k = price_level · PRICE_SPAN^(2 price - 1).
    """
    num_stations, num_users = bid.shape
    direct, seconds, weight = c.access == DIRECT, c.wired_s_per_bit_m, update_weight(c)
    size = bid[num_stations - 1]  # work array until that station's turn, which reads each entry before writing it
    for u in range(num_users):
        size[u] = computing_size(c, slot, u)
    level = price_level(size, slot.compute_hz)
    for k in range(num_stations):
        row, unit = bid[k], level * PRICE_SPAN ** (2.0 * price[k] - 1.0)
        for u in range(num_users):
            distance = 0.0 if direct else slot.wired_m[slot.access[u], k]
            bits = weighted_bits(slot.data_bits[u], slot.update_bits[u], weight)
            row[u] = -wired_latency(seconds, bits, distance) - unit * size[u]


@compiled
def bids_of_association(slot: Slot, server: np.ndarray, host_bid: np.ndarray, bid: np.ndarray) -> None:
    """Fill bid (M, N) and host_bid (M,) so that they decode to the association server (N,) if it is feasible.

    Users beyond a station's capacity go to the nearest host with room.
    """
    host_bid[:] = 0.0
    for u in range(len(server)):
        for k in range(len(host_bid)):
            bid[k, u] = -slot.wired_m[server[u], k]
        bid[server[u], u] = 1.0
        host_bid[server[u]] = 1.0
