"""Rules of thumb for DTPlacementMA-v0: every user's station in a slot. Stations that are used host, no others.

`Constant` alone is no rule of a slot: it plays one action of action="price" throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.geometry import euclidean
from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement.decode import bids_of_association, computing_size, match
from dtenv.tasks.placement.slot import Constants, Slot


@compiled
def nearest(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Every twin at the station nearest to its user, as far as there is room (the first baseline of (Lu 2021))."""
    users, stations = len(server), len(slot.compute_hz)
    bid, held = np.zeros((stations, users)), np.zeros(stations, np.int64)
    for u in range(users):
        for k in range(stations):
            bid[k, u] = -euclidean(slot.user_xy[u, 0], slot.user_xy[u, 1], slot.station_xy[k, 0], slot.station_xy[k, 1])
    match(bid, np.ones(stations, np.bool_), slot.capacity, server, held)


@compiled
def at_access(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Every twin at the station that its user transmits to, or at the one nearest to that with room."""
    users, stations = len(server), len(slot.compute_hz)
    bid, host_bid, held = np.zeros((stations, users)), np.zeros(stations), np.zeros(stations, np.int64)
    bids_of_association(slot, slot.access, host_bid, bid)
    match(bid, np.ones(stations, np.bool_), slot.capacity, server, held)


@compiled
def least_loaded(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Users in turn, the largest first, to the station whose computing is least loaded; distance does not count."""
    users, stations = len(server), len(slot.compute_hz)
    size = np.array([computing_size(c, slot, u) for u in range(users)])
    load, held = np.zeros(stations), np.zeros(stations, np.int64)
    for u in np.argsort(-size):
        best = -1
        for k in range(stations):
            more = (load[k] + size[u]) / slot.compute_hz[k]
            if held[k] < slot.capacity[k] and (best < 0 or more < (load[best] + size[u]) / slot.compute_hz[best]):
                best = k
        server[u] = best
        load[best] += size[u]
        held[best] += 1


class Constant:
    """The same action in every slot, whatever is seen: some stations host, all at one price.

    What a learner has to beat before it can be said to have looked at anything. Stations lie anywhere and their
    computing is drawn anew in every slot, so which of them host makes no difference, only how many.

    Args:
        scenario: what to play.
        hosts: the first so many stations host, and by the decoding others where those have no room; by default all.
        price: of all stations, from 0 to 1; while all host, it decides who has to leave a full station.

    The defaults are the best of benchmarks/tune.py: fewer hosts lose much, another price less than .001.
    """

    name = "constant"
    overrides: Mapping[str, Any] = {"action": "price"}

    def __init__(self, scenario: PlacementScenario, hosts: int | None = None, price: float = 1.0):
        stations = scenario.network.num_stations
        bids = np.arange(stations) < (stations if hosts is None else hosts)
        self._action = np.stack([bids, np.full(stations, price)], axis=1).astype(np.float32).ravel()

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The action (2 M,), or (B, 2 M) for a batch."""
        return np.tile(self._action, (*np.shape(obs)[:-1], 1)) if np.ndim(obs) > 1 else self._action.copy()
