"""Random-waypoint walks, one user after another; `waypoints_abreast` draws the same ones faster."""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import inlined, kernel
from dtenv.world.pcg64 import random


@kernel
def random_waypoints(stream: np.ndarray, area_m: float, slowest: float, fastest: float, xy: np.ndarray) -> None:
    """Random-waypoint walks into xy (slots, users, 2): straight legs to uniform points, no pause.

    Each leg's speed is uniform in slowest … fastest, metres per slot.
    """
    for u in range(xy.shape[1]):
        x, y = random(stream) * area_m, random(stream) * area_m
        goal_x, goal_y, speed = x, y, 0.0
        xy[0, u, 0], xy[0, u, 1] = x, y
        for t in range(1, len(xy)):
            x, y, goal_x, goal_y, speed, _ = walk_slot(stream, area_m, slowest, fastest, x, y, goal_x, goal_y, speed)
            xy[t, u, 0], xy[t, u, 1] = x, y


@kernel
def walk_slot(
    stream: np.ndarray,
    area_m: float,
    slowest: float,
    fastest: float,
    x: float,
    y: float,
    goal_x: float,
    goal_y: float,
    speed: float,
) -> tuple[float, float, float, float, float, int]:
    """Advance a user's walk by one slot; return position, goal, speed and the number of legs begun."""
    slot_left, legs = 1.0, 0  # a leg may end, and the next begin, within a slot
    while fastest > 0.0:
        away = hypotenuse(goal_x - x, goal_y - y)
        if away > speed * slot_left:
            x += (goal_x - x) / away * speed * slot_left
            y += (goal_y - y) / away * speed * slot_left
            break
        slot_left -= away / speed if speed > 0.0 else 0.0
        x, y = goal_x, goal_y
        goal_x, goal_y = random(stream) * area_m, random(stream) * area_m
        speed = slowest + (fastest - slowest) * random(stream)
        legs += 1
    return x, y, goal_x, goal_y, speed, legs


@inlined
def hypotenuse(x: float, y: float) -> float:
    """√(x² + y²) to within a unit in the last place (Borges 2020), with the same bits on every device.

    Squares must neither overflow nor underflow.
    """
    x, y = abs(x), abs(y)
    longer, shorter = (x, y) if x > y else (y, x)
    h = math.sqrt(longer * longer + shorter * shorter)
    steep = h <= 2.0 * shorter
    over = h - (shorter if steep else longer)
    first = longer * (2.0 * over - longer) if steep else 2.0 * over * (longer - 2.0 * shorter)
    second = (over - 2.0 * (longer - shorter)) * over if steep else (4.0 * over - shorter) * shorter + over * over
    return h - (first + second) / (2.0 * h) if h > 0.0 else 0.0
