"""Which station is expected to serve a user on its way, by the radio model: path loss moves on, shadowing fades."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.tasks.migration_slot import Constants
from dtenv.tasks.uplink import choose_access, link_gains


@compiled
def expect_access(
    c: Constants,
    user_xy: np.ndarray,
    gain_db: np.ndarray,
    access: int,
    station_xy: np.ndarray,
    decorrelation_m: float,
    expected: np.ndarray,
    walked_m: np.ndarray,
    station: np.ndarray,
) -> None:
    """Access stations of a user's next slots, by the environment's rule on expected gains.

    Args:
        c: the scenario's constants.
        user_xy: (2,) where the user is, metres.
        gain_db: (M,) gains there; what they are above path loss alone is taken for shadowing.
        access: the station that serves it now.
        station_xy: (M, 2) metres.
        decorrelation_m: distance over which shadowing fades to 1/e.
        expected: positions (H, 2) in the next slots, metres.
        walked_m: (H,) metres walked by then.
        station: (H,), written.
    """
    stations = len(station_xy)
    xy, gain = np.empty((1, 2)), np.zeros((1, stations))
    seen, shadowing = np.zeros((1, stations)), np.zeros((1, stations))
    serving = np.full(1, access)
    xy[0] = user_xy
    link_gains(c, xy, station_xy, shadowing, gain)
    seen[0] = gain[0] - gain_db
    for h in range(len(station)):
        xy[0] = expected[h]
        kept = np.exp(-walked_m[h] / decorrelation_m) if decorrelation_m > 0.0 else 0.0
        shadowing[:] = kept * seen
        link_gains(c, xy, station_xy, shadowing, gain)
        choose_access(c, xy, station_xy, gain, serving)
        station[h] = serving[0]
