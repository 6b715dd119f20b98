"""Forecast of the stations that the agent's users will be nearest to."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import kernel
from dtenv.physics.geometry import euclidean
from dtenv.scenario.forecaster import CONSTANT_VELOCITY, NONE, ORACLE
from dtenv.world.migration import MigrationTape


@kernel
def nearest_station(x: float, y: float, station_xy: np.ndarray) -> int:
    """Station nearest to a position, the first of equals."""
    best, least = 0, np.inf
    for s in range(len(station_xy)):
        away = euclidean(x, y, station_xy[s, 0], station_xy[s, 1])
        if away < least:
            best, least = s, away
    return best


@kernel
def nearest_stations_ahead(
    kind: int,
    area_m: float,
    tape: MigrationTape,
    station_xy: np.ndarray,
    expected: np.ndarray,
    station: np.ndarray,
    b: int,
) -> None:
    """Fill station (T + 2, n, H) with the station nearest to each expected position in row b; -1 with kind NONE.

    kind is NONE, CONSTANT_VELOCITY, ORACLE or GIVEN; with GIVEN, positions are `expected` (T + 2, n, H, 2), metres.
    """
    slots, users, horizon = station.shape
    walks = tape.user_xy[b]
    for t in range(slots):
        for u in range(users):
            x, y = walks[t, u, 0], walks[t, u, 1]
            before = max(t - 1, 0)
            dx, dy = x - walks[before, u, 0], y - walks[before, u, 1]
            for h in range(horizon):
                if kind == NONE:
                    station[t, u, h] = -1
                    continue
                if kind == CONSTANT_VELOCITY:
                    ahead_x = min(max(x + (h + 1) * dx, 0.0), area_m)
                    ahead_y = min(max(y + (h + 1) * dy, 0.0), area_m)
                elif kind == ORACLE:
                    then = min(t + 1 + h, slots - 1)
                    ahead_x, ahead_y = walks[then, u, 0], walks[then, u, 1]
                else:
                    ahead_x, ahead_y = expected[t, u, h, 0], expected[t, u, h, 1]
                station[t, u, h] = nearest_station(ahead_x, ahead_y, station_xy)
