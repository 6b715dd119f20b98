"""From stations' bids or prices to hosts and an association that is always feasible (Lu 2021, eqs 18a-b, 23).

The paper's independent bits give a user exactly one server by luck alone (M / 2^M). Here pairs of station and user
are taken by falling bid, ties by station, then by user; a pair holds if the user is free and the station has room.
Deferred acceptance finds the same association without sorting: both sides rank pairs alike, so the stable matching
is unique.
"""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.latency import square_root_weight, wired_latency
from dtenv.tasks.placement_slot import Constants, Slot, effective_bits
from dtenv.tasks.uplink import DIRECT

HOSTING_BID = 0.5
"""A station hosts if its bid for hosting is higher."""

PRICE_SPAN = 8.0
"""Prices of computing reach from 1 / PRICE_SPAN to PRICE_SPAN times the price at which all stations are alike."""


@compiled
def choose_hosts(host_bid: np.ndarray, capacity: np.ndarray, num_users: int, host: np.ndarray) -> None:
    """Hosts (M,) into `host`: bids above HOSTING_BID, and the next highest until all twins have room."""
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
def match(bid: np.ndarray, host: np.ndarray, capacity: np.ndarray, server: np.ndarray, held: np.ndarray) -> None:
    """Associate users by bids (M, N) with hosts that have room, into server (N,); hosts hold all users.

    Args:
        bid: every station's bid for every user, finite; those of stations that do not host are not looked at.
        host: (M,) booleans.
        capacity: (M,).
        server: written.
        held: twins of every station (M,), written.
    """
    num_stations, num_users = bid.shape
    held[:] = 0
    server[:] = -1
    for first in range(num_users):
        u, floor, last = first, math.inf, -1  # a user proposes down its list, from the pair it was last refused at
        while u >= 0:
            k = -1
            for s in range(num_stations):
                below = bid[s, u] < floor or (bid[s, u] == floor and s > last)
                if host[s] and capacity[s] > 0 and below and (k < 0 or bid[s, u] > bid[k, u]):
                    k = s
            if k < 0:  # cannot happen while hosts hold all users
                break
            server[u] = k
            held[k] += 1
            if held[k] <= capacity[k]:
                break
            worst = u
            for v in range(num_users):
                if server[v] == k and (bid[k, v] < bid[k, worst] or (bid[k, v] == bid[k, worst] and v > worst)):
                    worst = v
            held[k] -= 1
            server[worst] = -1
            u, floor, last = worst, bid[k, worst], k


@compiled
def computing_size(c: Constants, slot: Slot, u: int) -> float:
    """s_i, what a price is charged for: under square-root sharing Σ_k S_k² / F_k is the slot's computing latency."""
    return square_root_weight(slot.cycles_per_bit[u], effective_bits(c, slot, u))


@compiled
def price_level(c: Constants, slot: Slot) -> float:
    """2 Σ_i s_i / Σ_k F_k: the marginal computing latency of a unit of s if all stations shared the load."""
    size = cycles = 0.0
    for u in range(len(slot.data_bits)):
        size += computing_size(c, slot, u)
    for k in range(len(slot.compute_hz)):
        cycles += slot.compute_hz[k]
    return 2.0 * size / cycles


@compiled
def bids_of_prices(c: Constants, slot: Slot, price: np.ndarray, bid: np.ndarray) -> None:
    """Bids (M, N) of stations that charge prices (M,) in [0, 1]: a user's wired latency and its computing, negative.

    λ_k = price_level · PRICE_SPAN^(2 price - 1); user i's pair with k is worth -(φ D'_i d(j, k) + λ_k s_i).
    """
    level = price_level(c, slot)
    for u in range(len(slot.data_bits)):
        bits, size = effective_bits(c, slot, u), computing_size(c, slot, u)
        for k in range(len(price)):
            distance = 0.0 if c.access == DIRECT else slot.wired_m[slot.access[u], k]
            wired = wired_latency(c.wired_s_per_bit_m, bits, distance)
            bid[k, u] = -wired - level * PRICE_SPAN ** (2.0 * price[k] - 1.0) * size


@compiled
def bids_of_association(slot: Slot, server: np.ndarray, host_bid: np.ndarray, bid: np.ndarray) -> None:
    """Bids (M, N) and for hosting (M,) that give the association server (N,) wherever it is feasible.

    Users beyond a station's room go to the nearest host that has some.
    """
    host_bid[:] = 0.0
    for u in range(len(server)):
        for k in range(len(host_bid)):
            bid[k, u] = -slot.wired_m[server[u], k]
        bid[server[u], u] = 1.0
        host_bid[server[u]] = 1.0
