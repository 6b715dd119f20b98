"""When a user surely keeps its access station, told without a logarithm: most users in most slots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled

_BITS = 1.0 / 4503599627370496.0  # 2^-52: a float's bits count its binary logarithm, in steps of this
_EXCESS = 0.08607133205593433  # largest excess of log2(1 + m) over m, at m = 1 / ln 2 - 1
_DECADES = 0.5 * math.log10(2.0)  # powers of ten of a distance, a power of two of its square


@compiled
def may_hand_over(up: Any, x: float, y: float, station_xy: np.ndarray, shadowing_db: np.ndarray, access: int) -> bool:
    """Whether a station may be stronger than a user's access station by more than the hand-over margin.

    Between powers of two a float's bits grow in proportion to it, so that they are its binary logarithm to within
    _EXCESS. False is sure; on True `choose_access` decides.

    Args:
        up: the radio's constants.
        x: of the user, metres.
        y: of the user, metres.
        station_xy: (M, 2) metres.
        shadowing_db: (M,) of the user's links.
        access: the access station.
    """
    slope, nearest = up.path_loss_decade_db * _DECADES, up.min_distance_m * up.min_distance_m
    dx, dy = x - station_xy[access, 0], y - station_xy[access, 1]
    level = np.float64(max(dx * dx + dy * dy, nearest)).view(np.int64) * _BITS
    # Gains but for what all have in common; a thousandth for rounding.
    bar = up.handover_margin_db - 1e-3 - slope * (level + _EXCESS) - shadowing_db[access]
    for s in range(len(station_xy)):
        dx, dy = x - station_xy[s, 0], y - station_xy[s, 1]
        level = np.float64(max(dx * dx + dy * dy, nearest)).view(np.int64) * _BITS
        if -slope * level - shadowing_db[s] > bar and s != access:
            return True
    return False
