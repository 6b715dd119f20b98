"""Vectorised random-waypoint walks of all users; they save a seventh of DTMigration's step time."""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import kernel
from dtenv.world.pcg64 import random
from dtenv.world.waypoints import hypotenuse, random_waypoints, walk_slot

_KEPT = 3  # last rows of xy, which `random_waypoints_vectorised` uses as a work array


@kernel
def waypoints_abreast(stream: np.ndarray, area_m: float, slowest: float, fastest: float, xy: np.ndarray) -> None:
    """`random_waypoints` with the same bits: by `random_waypoints_vectorised`, or plainly where that fails."""
    high, low = stream[0], stream[1]
    if len(xy) > 2 * _KEPT and fastest > 0.0 and random_waypoints_vectorised(stream, area_m, slowest, fastest, xy):
        return
    stream[0], stream[1] = high, low
    random_waypoints(stream, area_m, slowest, fastest, xy)


@kernel
def random_waypoints_vectorised(
    stream: np.ndarray, area_m: float, slowest: float, fastest: float, xy: np.ndarray
) -> bool:
    """`random_waypoints` slot by slot, vectorised over users; returns whether it succeeded.

    A user's draws start where the previous user's end, so legs are counted beforehand in floating point; the count is
    wrong only where a leg ends with the last slot. Until overwritten by positions, the last _KEPT rows of xy hold the
    generator's state, speeds and remaining legs, and goals.
    """
    slots, users, _ = xy.shape
    goal, pace, bits = slots - 1, slots - 2, slots - 3
    for u in range(users):
        x, y = random(stream) * area_m, random(stream) * area_m
        xy[0, u, 0], xy[0, u, 1], xy[goal, u, 0], xy[goal, u, 1] = x, y, x, y
        save_rng(stream, xy, bits, u)
        legs, time = 0, 0.0
        while time <= slots - 1:
            goal_x, goal_y = random(stream) * area_m, random(stream) * area_m
            time += hypotenuse(goal_x - x, goal_y - y) / (slowest + (fastest - slowest) * random(stream))
            x, y, legs = goal_x, goal_y, legs + 1
        xy[pace, u, 0], xy[pace, u, 1] = 0.0, legs
    high, low = stream[0], stream[1]
    for t in range(1, slots - _KEPT):
        arrived = walk_straight(xy[t - 1], xy[goal], xy[pace], xy[t])
        for u in range(users if arrived > 0 else 0):
            if not math.isnan(xy[t, u, 0]):
                continue
            x, y, speed = xy[t - 1, u, 0], xy[t - 1, u, 1], xy[pace, u, 0]
            goal_x, goal_y = xy[goal, u, 0], xy[goal, u, 1]
            restore_rng(stream, xy, bits, u)
            x, y, goal_x, goal_y, speed, legs = walk_slot(stream, area_m, slowest, fastest, x, y, goal_x, goal_y, speed)
            xy[t, u, 0], xy[t, u, 1], xy[goal, u, 0], xy[goal, u, 1] = x, y, goal_x, goal_y
            xy[pace, u, 0], xy[pace, u, 1] = speed, xy[pace, u, 1] - legs
            save_rng(stream, xy, bits, u)
    right = True
    for u in range(users):
        goal_x, goal_y, speed, legs_left = xy[goal, u, 0], xy[goal, u, 1], xy[pace, u, 0], xy[pace, u, 1]
        restore_rng(stream, xy, bits, u)
        x, y = xy[bits - 1, u, 0], xy[bits - 1, u, 1]
        for t in range(slots - _KEPT, slots):
            x, y, goal_x, goal_y, speed, legs = walk_slot(stream, area_m, slowest, fastest, x, y, goal_x, goal_y, speed)
            xy[t, u, 0], xy[t, u, 1] = x, y
            legs_left -= legs
        right = right and legs_left == 0.0
    stream[0], stream[1] = high, low
    return right


@kernel
def walk_straight(before: np.ndarray, goal: np.ndarray, pace: np.ndarray, now: np.ndarray) -> int:
    """Advance all walks by one slot, arrays (users, 2); return how many users end a leg, whose new x is NaN."""
    arrived = 0
    if goal.shape[1] != 2 or pace.shape[1] != 2 or before.shape[1] != 2 or now.shape[1] != 2:  # never
        return arrived  # constant strides let coordinates load as vectors
    for u in range(len(now)):
        x, y, speed = before[u, 0], before[u, 1], pace[u, 0]
        to_x, to_y = goal[u, 0] - x, goal[u, 1] - y
        away = hypotenuse(to_x, to_y)
        under_way = away > speed
        now[u, 0] = x + to_x / away * speed if under_way else np.nan
        now[u, 1] = y + to_y / away * speed
        arrived += 0 if under_way else 1
    return arrived


@kernel
def save_rng(stream: np.ndarray, xy: np.ndarray, row: int, u: int) -> None:
    """Save a stream's state as the bits of two floats."""
    xy[row, u, 0], xy[row, u, 1] = np.uint64(stream[0]).view(np.float64), np.uint64(stream[1]).view(np.float64)


@kernel
def restore_rng(stream: np.ndarray, xy: np.ndarray, row: int, u: int) -> None:
    """Restore a stream's saved state."""
    stream[0], stream[1] = np.float64(xy[row, u, 0]).view(np.uint64), np.float64(xy[row, u, 1]).view(np.uint64)
