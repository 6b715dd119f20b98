"""Myopic local search for DTAssociation-v0, of one slot's association.

From three starts (stay, nearest, pack) it improves the slot's score by moving one twin, or all twins of one server, to
another server, until no such move helps; the best of the three is played. The score of a slot is a sum over servers,
so a move costs the exact allocation of two servers. It considers one slot alone: strong where slots couple weakly,
inferior where a move now pays later. It is no upper bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.heuristics.association import pack, stay
from dtenv.compiled import compiled
from dtenv.tasks.association.allocation import work_arrays
from dtenv.tasks.association.nearest import nearest_with_room
from dtenv.tasks.association.slot import Constants, Slot, server_score

LEAST_GAIN = 1e-6
"""Least gain of a move, larger than the tolerance of the allocations that evaluate it."""


def local_search(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Write the best association found to server (U,)."""
    coarse: Any = c.copy()  # type: ignore[attr-defined]
    coarse["certificate"] = 0.1 * LEAST_GAIN
    search(coarse, slot, server, *work_arrays(len(server)))


@compiled
def search(c: Constants, slot: Slot, server: np.ndarray, users: np.ndarray, slopes: np.ndarray) -> None:
    """`local_search` with work arrays for allocation."""
    num_users, num_servers = len(server), len(slot.compute_capacity)
    history, utility = np.zeros(num_users), np.zeros(num_users)
    trial, values = np.zeros(num_users, np.int64), np.zeros(num_servers)
    best = -np.inf
    for start in range(3):
        if start == 0:
            stay(c, slot, trial)
        elif start == 1:
            nearest_with_room(c, slot, trial)
        else:
            pack(c, slot, trial)
        for s in range(num_servers):
            values[s] = server_score(c, slot, trial, s, users, slopes, history, utility)
        while move_one(c, slot, trial, values, users, slopes, history, utility) or evacuate(
            c, slot, trial, values, users, slopes, history, utility
        ):
            pass
        if values.sum() > best + LEAST_GAIN:
            best = values.sum()
            server[:] = trial


@compiled
def move_one(
    c: Constants,
    slot: Slot,
    server: np.ndarray,
    values: np.ndarray,
    users: np.ndarray,
    slopes: np.ndarray,
    history: np.ndarray,
    utility: np.ndarray,
) -> bool:
    """Move every user in turn to the server that is best for the slot; returns whether any moved."""
    moved = False
    for u in range(len(server)):
        home = server[u]
        server[u] = -1
        without = server_score(c, slot, server, home, users, slopes, history, utility)
        target, gain, target_value = home, LEAST_GAIN, 0.0
        for s in range(len(values)):
            if s == home:
                continue
            server[u] = s
            value = server_score(c, slot, server, s, users, slopes, history, utility)
            if without + value - values[home] - values[s] > gain:
                target, gain, target_value = s, without + value - values[home] - values[s], value
        server[u] = target
        if target != home:
            values[home], values[target] = without, target_value
            moved = True
    return moved


@compiled
def evacuate(
    c: Constants,
    slot: Slot,
    server: np.ndarray,
    values: np.ndarray,
    users: np.ndarray,
    slopes: np.ndarray,
    history: np.ndarray,
    utility: np.ndarray,
) -> bool:
    """Move all twins of one server to another, for the first pair that gains; returns whether any did."""
    trial = server.copy()
    for home in range(len(values)):
        if not (server == home).any():
            continue
        for s in range(len(values)):
            if s == home:
                continue
            for u in range(len(server)):
                trial[u] = s if server[u] == home else server[u]
            value = server_score(c, slot, trial, s, users, slopes, history, utility)
            if value - values[home] - values[s] > LEAST_GAIN:  # an idle server is worth 0
                server[:] = trial
                values[home], values[s] = 0.0, value
                return True
    return False
