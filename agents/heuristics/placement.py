"""Rules for DTPlacementMA-v0 that choose every user's station in a slot; exactly the stations used host.

`Constant` is no rule of a slot: it plays one action of action="price" throughout.
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
    """Place every twin at the station nearest to its user that has room (the first baseline of (Lu 2021))."""
    users, stations = len(server), len(slot.compute_hz)
    bid, held = np.zeros((stations, users)), np.zeros(stations, np.int64)
    for u in range(users):
        for k in range(stations):
            bid[k, u] = -euclidean(slot.user_xy[u, 0], slot.user_xy[u, 1], slot.station_xy[k, 0], slot.station_xy[k, 1])
    match(bid, np.ones(stations, np.bool_), slot.capacity, server, held)


@compiled
def at_access(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Place every twin at its user's access station, or at the nearest to that with room."""
    users, stations = len(server), len(slot.compute_hz)
    bid, host_bid, held = np.zeros((stations, users)), np.zeros(stations), np.zeros(stations, np.int64)
    bids_of_association(slot, slot.access, host_bid, bid)
    match(bid, np.ones(stations, np.bool_), slot.capacity, server, held)


@compiled
def least_loaded(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Assign users, the largest first, to the station with the least computing load, regardless of distance."""
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
    """The same action in every slot, independent of observations: some stations host, all at one price.

    A learner must beat it to show that it uses its observations. Stations are placed at random and their computing is
    drawn in every slot, so only the number of hosts matters, not which.

    Args:
        scenario: scenario to play.
        hosts: number of stations that host, the first ones; the decoding opens others if these lack room. Default all.
        price: price of all stations, in [0, 1]; if all host, it decides which users leave a full station.

    The defaults are the best of benchmarks/tune.py: fewer hosts lose much, another price less than .001.
    """

    name = "constant"
    overrides: Mapping[str, Any] = {"action": "price"}

    def __init__(self, scenario: PlacementScenario, hosts: int | None = None, price: float = 1.0):
        stations = scenario.network.num_stations
        bids = np.arange(stations) < (stations if hosts is None else hosts)
        self._action = np.stack([bids, np.full(stations, price)], axis=1).astype(np.float32).ravel()

    def reset(self, seed: int | None = None) -> None:
        """Do nothing: the policy has no memory."""

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The action (2 M,), or (B, 2 M) for a batch."""
        return np.tile(self._action, (*np.shape(obs)[:-1], 1)) if np.ndim(obs) > 1 else self._action.copy()
