"""Path-loss bounds that decide most access stations without a logarithm; `uplink.choose_access` is the plain rule.

Without them a step of DTMigration takes at least half as long again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled, kernel

_OCTAVE = 2.0**-23  # step in which a single's bits count its binary logarithm
_EXCESS = 0.08607133205593433  # largest excess of log2(1 + m) over m, at m = 1 / ln 2 - 1
_ROUNDING = 1e-6  # octaves and dB; above the rounding error of either
_DECADES = 0.5 * math.log10(2.0)  # decades of a distance per octave of its square
_LEAST_M = 1e-15  # squares of shorter distances underflow in singles


@compiled
def octave_db(up: Any) -> float:
    """Path loss added by doubling the square of a distance, dB."""
    return up.path_loss_decade_db * _DECADES


@kernel
def loss_bounds(
    up: Any,
    user_xy: np.ndarray,
    station_xy: np.ndarray,
    shadowing_db: np.ndarray,
    loss_db: np.ndarray,
    least_db: np.ndarray,
) -> None:
    """Fill loss_db (M, N) with lower bounds of losses, up to a common constant, and least_db (N,) with users' least.

    Upper bounds are `bound_gap_db` higher. Between powers of two a float's bits grow linearly with it, so they give its
    binary logarithm to within _EXCESS. Positions user_xy (N, 2) and station_xy (M, 2) in metres; shadowing_db (M, N).
    """
    stations, users = loss_db.shape
    step_db, nearest = octave_db(up) * _OCTAVE, up.min_distance_m * up.min_distance_m
    for u in range(users):
        least_db[u] = np.inf
    if user_xy.shape[1] != 2:  # never; a constant stride lets coordinates load as vectors
        return
    for s in range(stations):
        x, y, loss, shadowing = station_xy[s, 0], station_xy[s, 1], loss_db[s], shadowing_db[s]
        for u in range(users):
            dx, dy = user_xy[u, 0] - x, user_xy[u, 1] - y
            square = dx * dx + dy * dy
            square = square if square > nearest else nearest
            db, least = step_db * np.float32(square).view(np.int32) + shadowing[u], least_db[u]
            loss[u] = db
            least_db[u] = db if db < least else least


@compiled
def bound_gap_db(up: Any) -> float:
    """Largest excess of a loss over its lower bound; infinite where bounds are useless."""
    if up.min_distance_m < _LEAST_M:
        return np.inf
    return octave_db(up) * (_EXCESS + _ROUNDING) + _ROUNDING


@compiled
def certainly_keeps(margin_db: float, slack: float, least_db: float, access_db: float) -> bool:
    """Whether a user certainly keeps its access station, from the lower bounds of its loss and of the least loss."""
    return access_db + slack - least_db < margin_db


@kernel
def access_from_bounds(margin_db: float, slack: float, loss_db: np.ndarray, u: int, before: int) -> int:
    """User u's access station after `before`, from lower bounds (M, N); -1 where `choose_access` has to decide."""
    best, least, second = before, np.inf, np.inf
    for s in range(len(loss_db)):
        loss = loss_db[s, u]
        if s == before:
            continue
        if loss < least:
            best, least, second = s, loss, least
        elif loss < second:
            second = loss
    if certainly_keeps(margin_db, slack, least, loss_db[before, u]):
        return before
    if least + slack < second and loss_db[before, u] - (least + slack) > margin_db:
        return best
    return -1
