"""Users' walks, one position a slot: random waypoints, Gauss-Markov, or recorded ones."""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import compiled
from dtenv.recording import Recording
from dtenv.scenario.mobility import Mobility


def draw_walks(rng: np.random.Generator, mobility: Mobility, area_m: float, xy: np.ndarray) -> None:
    """A walk for every user into xy (slots, users, 2), metres."""
    slowest, fastest = (speed * mobility.slot_seconds for speed in mobility.speed_mps)
    if mobility.recording is not None:
        recorded_walks(rng, mobility.recording, xy)
    elif mobility.walk == "gauss-markov":
        gauss_markov(rng, area_m, slowest, fastest, mobility.walk_memory**mobility.slot_seconds, xy)
    else:
        random_waypoints(rng, area_m, slowest, fastest, xy)


@compiled
def random_waypoints(rng: np.random.Generator, area_m: float, slowest: float, fastest: float, xy: np.ndarray) -> None:
    """Random-waypoint walks into xy (slots, users, 2): straight legs to uniform points, no pause.

    Args:
        rng: the episode's generator.
        area_m: side of the square, metres.
        slowest: least distance walked a slot, metres; drawn uniformly up to `fastest` for each leg.
        fastest: greatest distance walked a slot, metres.
        xy: filled in place.
    """
    slots, users, _ = xy.shape
    for u in range(users):
        x, y = rng.random() * area_m, rng.random() * area_m
        goal_x, goal_y, speed = x, y, 0.0
        xy[0, u, 0], xy[0, u, 1] = x, y
        for t in range(1, slots):
            slot_left = 1.0  # a leg may end, and the next begin, within a slot
            while fastest > 0.0:
                away = np.hypot(goal_x - x, goal_y - y)
                if away > speed * slot_left:
                    x += (goal_x - x) / away * speed * slot_left
                    y += (goal_y - y) / away * speed * slot_left
                    break
                slot_left -= away / speed if speed > 0.0 else 0.0
                x, y = goal_x, goal_y
                goal_x, goal_y = rng.random() * area_m, rng.random() * area_m
                speed = slowest + (fastest - slowest) * rng.random()
            xy[t, u, 0], xy[t, u, 1] = x, y


@compiled
def gauss_markov(
    rng: np.random.Generator, area_m: float, slowest: float, fastest: float, memory: float, xy: np.ndarray
) -> None:
    """Gauss-Markov walks (Camp et al. 2002) into xy (slots, users, 2), reflected at the edges of the square.

    Speed and heading are autoregressive around the middle of the speeds and a heading of the user's own.

    Args:
        rng: the episode's generator.
        area_m: side of the square, metres.
        slowest: least distance walked a slot, metres.
        fastest: greatest distance walked a slot, metres.
        memory: share of speed and heading kept from slot to slot, in [0, 1].
        xy: filled in place.
    """
    slots, users, _ = xy.shape
    usual, spread, turn = 0.5 * (slowest + fastest), 0.25 * (fastest - slowest), 0.25 * math.pi
    fresh = math.sqrt(1.0 - memory * memory)
    for u in range(users):
        x, y = rng.random() * area_m, rng.random() * area_m
        course = 2.0 * math.pi * rng.random()
        speed, heading = usual, course
        xy[0, u, 0], xy[0, u, 1] = x, y
        for t in range(1, slots):
            speed = memory * speed + (1.0 - memory) * usual + fresh * spread * rng.standard_normal()
            speed = min(max(speed, slowest), fastest)
            heading = memory * heading + (1.0 - memory) * course + fresh * turn * rng.standard_normal()
            x += speed * math.cos(heading)
            y += speed * math.sin(heading)
            if x < 0.0 or x > area_m:
                x = min(max(-x if x < 0.0 else 2.0 * area_m - x, 0.0), area_m)
                heading, course = math.pi - heading, math.pi - course
            if y < 0.0 or y > area_m:
                y = min(max(-y if y < 0.0 else 2.0 * area_m - y, 0.0), area_m)
                heading, course = -heading, -course
            xy[t, u, 0], xy[t, u, 1] = x, y


def recorded_walks(rng: np.random.Generator, recording: Recording, xy: np.ndarray) -> None:
    """Recorded segments into xy (slots, users, 2): different ones while there are enough."""
    slots, users, _ = xy.shape
    count = len(recording.segment_start)
    chosen = rng.choice(count, users, replace=count < users)
    points = recording.segment_start[chosen][None, :] + np.arange(slots)[:, None]
    xy[:] = recording.walk_xy[points]
