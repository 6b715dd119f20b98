"""Nearest server with room: the paper's Baseline 2, and the initial association of every episode."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.barrier import is_violated
from dtenv.physics.geometry import manhattan
from dtenv.tasks.association.slot import Constants, Slot, fresh_load, link_energy


@compiled
def fits(c: Constants, slot: Slot, server: np.ndarray, u: int, s: int) -> bool:
    """Whether server s meets C2 (with γ = 0) and C3 with user u added to those that server (U,) assigns to it."""
    load, synchronisation = fresh_load(c, slot, u, s), link_energy(c, slot, u, s)
    for i in range(len(server)):
        if server[i] == s and i != u:
            load += fresh_load(c, slot, i, s)
            synchronisation += link_energy(c, slot, i, s)
    return not is_violated(load, slot.compute_capacity[s]) and not is_violated(synchronisation, slot.sync_capacity[s])


@compiled
def nearest_that_fits(c: Constants, slot: Slot, server: np.ndarray, u: int) -> int:
    """Nearest server to user u that `fits`, or -1."""
    chosen, least = -1, np.inf
    for s in range(len(slot.compute_capacity)):
        distance = manhattan(slot.user_xy[u, 0], slot.user_xy[u, 1], slot.server_xy[s, 0], slot.server_xy[s, 1])
        if distance < least and fits(c, slot, server, u, s):
            chosen, least = s, distance
    return chosen


@compiled
def nearest(slot: Slot, u: int) -> int:
    """Nearest server to user u."""
    chosen, least = 0, np.inf
    for s in range(len(slot.compute_capacity)):
        distance = manhattan(slot.user_xy[u, 0], slot.user_xy[u, 1], slot.server_xy[s, 0], slot.server_xy[s, 1])
        if distance < least:
            chosen, least = s, distance
    return chosen


@compiled
def nearest_with_room(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Fill server (U,) by Baseline 2: users by falling D, each to the nearest server that fits, or else the nearest.

    The paper leaves order and fallback open (our choice).
    """
    server[:] = -1
    for _ in range(len(server)):
        u = -1
        for i in range(len(server)):
            if server[i] < 0 and (u < 0 or slot.samples[i] > slot.samples[u]):
                u = i
        s = nearest_that_fits(c, slot, server, u)
        server[u] = s if s >= 0 else nearest(slot, u)
