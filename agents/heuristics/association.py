"""Rules for DTAssociation-v0 that decide one slot at a time."""

from __future__ import annotations

import numpy as np

from agents.policy import Rule
from dtenv.compiled import compiled
from dtenv.physics.barrier import is_violated
from dtenv.physics.geometry import manhattan
from dtenv.tasks.association.nearest import fits, nearest, nearest_that_fits
from dtenv.tasks.association.slot import Constants, Slot, fresh_load, link_energy


@compiled
def make_room(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Move users from servers that violate C2 (with γ = 0) or C3 to the nearest server that fits, if any does.

    The user with the most synchronisation energy on such a server moves first.
    """
    for s in range(len(slot.compute_capacity)):
        stuck = np.zeros(len(server), np.bool_)
        while True:
            user, most = -1, -1.0
            for u in range(len(server)):
                energy = link_energy(c, slot, u, s)
                if server[u] == s and not stuck[u] and energy > most:
                    user, most = u, energy
            if user < 0 or fits(c, slot, server, user, s):
                break
            target = nearest_that_fits(c, slot, server, user)
            if target >= 0:
                server[user] = target
            else:
                stuck[user] = True


@compiled
def stay(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Keep every twin at its host, as far as C2 and C3 allow."""
    server[:] = slot.previous_server
    make_room(c, slot, server)


def hysteresis(margin: float, area_m: float) -> Rule:
    """Move a twin to the nearest server once that is nearer than its host by `margin` times the side of the area."""
    return lambda c, slot, server: move_past_margin(c, slot, margin * area_m, server)


@compiled
def move_past_margin(c: Constants, slot: Slot, margin_m: float, server: np.ndarray) -> None:
    """Rule of `hysteresis`, with the margin in metres."""
    for u in range(len(server)):
        host, near = slot.previous_server[u], nearest(slot, u)
        x, y = slot.user_xy[u, 0], slot.user_xy[u, 1]
        here = manhattan(x, y, slot.server_xy[host, 0], slot.server_xy[host, 1])
        there = manhattan(x, y, slot.server_xy[near, 0], slot.server_xy[near, 1])
        server[u] = near if here - there > margin_m else host
    make_room(c, slot, server)


@compiled
def pack(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Put all twins on as few servers as C2 (with γ = 0) and C3 allow, keeping the hubs of the last slot.

    Servers are filled in the order of the number of twins they host, ties by total distance to all users; each
    takes the users nearest to it. Users that fit nowhere go to the first hub.
    """
    num_users, num_servers = len(server), len(slot.compute_capacity)
    server[:] = -1
    left = num_users
    first = -1
    tried = np.zeros(num_servers, np.bool_)
    for _ in range(num_servers):
        hub, hub_twins, hub_distance = -1, -1, np.inf
        for s in range(num_servers):
            if tried[s]:
                continue
            twins, distance = 0, 0.0
            for u in range(num_users):
                twins += 1 if slot.previous_server[u] == s else 0
                distance += manhattan(
                    slot.user_xy[u, 0], slot.user_xy[u, 1], slot.server_xy[s, 0], slot.server_xy[s, 1]
                )
            if twins > hub_twins or (twins == hub_twins and distance < hub_distance):
                hub, hub_twins, hub_distance = s, twins, distance
        tried[hub] = True
        first = hub if first < 0 else first
        load = synchronisation = 0.0
        while left > 0:
            user, least = -1, np.inf
            for u in range(num_users):
                energy = link_energy(c, slot, u, hub)
                if server[u] < 0 and energy < least:
                    user, least = u, energy
            load += fresh_load(c, slot, user, hub)
            synchronisation += least
            if is_violated(load, slot.compute_capacity[hub]) or is_violated(synchronisation, slot.sync_capacity[hub]):
                break
            server[user] = hub
            left -= 1
        if left == 0:
            return
    for u in range(num_users):
        if server[u] < 0:
            server[u] = first
