"""Users' walks, one position a slot: random waypoints, Gauss-Markov, or recorded ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import inlined, kernel
from dtenv.recording import Recording
from dtenv.scenario.mobility import WALKS, Mobility
from dtenv.world.normals import standard_normal
from dtenv.world.stream import distinct, next_word, random

GAUSS_MARKOV = WALKS.index("gauss-markov")
RECORDED = len(WALKS)

_KEPT = 3  # rows of positions that `walk_abreast` keeps other numbers in


class Walk(NamedTuple):
    """How users move, as kernels take it."""

    walk: int  # index into WALKS, or RECORDED
    area_m: float
    slowest: float  # metres a slot
    fastest: float
    walk_memory: float  # share of speed and heading kept from slot to slot

    @classmethod
    def of(cls, mobility: Mobility, area_m: float) -> Walk:
        """The numbers of a group."""
        slowest, fastest = (float(speed * mobility.slot_seconds) for speed in mobility.speed_mps)
        kind = WALKS.index(mobility.walk) if mobility.recording is None else RECORDED
        return cls(kind, float(area_m), slowest, fastest, float(mobility.walk_memory**mobility.slot_seconds))


class Recorded(NamedTuple):
    """A recording's arrays; empty ones where there is none."""

    site_xy: np.ndarray  # (sites, 2) metres
    walk_xy: np.ndarray  # (points, 2) metres
    segment_start: np.ndarray  # (segments,) whole numbers

    @classmethod
    def of(cls, recording: Recording | None) -> Recorded:
        """The arrays of a recording, or none."""
        if recording is None:
            return cls(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, np.int64))
        return cls(
            np.ascontiguousarray(recording.site_xy, np.float64),
            np.ascontiguousarray(recording.walk_xy, np.float64),
            np.ascontiguousarray(recording.segment_start, np.int64),
        )


@kernel
def draw_walks(stream: np.ndarray, r: Any, recorded: Recorded, xy: np.ndarray) -> None:
    """A walk for every user into xy (slots, users, 2), metres; r has the fields of `Walk`."""
    if r.walk == RECORDED:
        recorded_walks(stream, recorded, xy)
    elif r.walk == GAUSS_MARKOV:
        gauss_markov(stream, r.area_m, r.slowest, r.fastest, r.walk_memory, xy)
    else:
        random_waypoints(stream, r.area_m, r.slowest, r.fastest, xy)


@kernel
def random_waypoints(stream: np.ndarray, area_m: float, slowest: float, fastest: float, xy: np.ndarray) -> None:
    """Random-waypoint walks into xy (slots, users, 2): straight legs to uniform points, no pause.

    Args:
        stream: the episode's.
        area_m: side of the square, metres.
        slowest: least distance walked a slot, metres; drawn uniformly up to `fastest` for each leg.
        fastest: greatest distance walked a slot, metres.
        xy: filled in place.
    """
    high, low = stream[0], stream[1]
    if len(xy) > 2 * _KEPT and fastest > 0.0 and walk_abreast(stream, area_m, slowest, fastest, xy):
        return
    stream[0], stream[1] = high, low
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
    """A slot of a user's walk to its goal and beyond: position, goal and speed after it, and legs begun."""
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


@kernel
def walk_abreast(stream: np.ndarray, area_m: float, slowest: float, fastest: float, xy: np.ndarray) -> bool:
    """`random_waypoints` slot by slot, in a loop over users that vectorises; False where it has gone wrong.

    A user draws from where the one before it stops. So legs are counted beforehand, in real numbers: that goes wrong
    only where a leg ends with the last slot. What users walk by stands in the last rows of xy until positions take
    its place.
    """
    slots, users, _ = xy.shape
    goal, pace, bits = slots - 1, slots - 2, slots - 3
    for u in range(users):
        x, y = random(stream) * area_m, random(stream) * area_m
        xy[0, u, 0], xy[0, u, 1], xy[goal, u, 0], xy[goal, u, 1] = x, y, x, y
        keep(stream, xy, bits, u)
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
            take(stream, xy, bits, u)
            x, y, goal_x, goal_y, speed, legs = walk_slot(stream, area_m, slowest, fastest, x, y, goal_x, goal_y, speed)
            xy[t, u, 0], xy[t, u, 1], xy[goal, u, 0], xy[goal, u, 1] = x, y, goal_x, goal_y
            xy[pace, u, 0], xy[pace, u, 1] = speed, xy[pace, u, 1] - legs
            keep(stream, xy, bits, u)
    right = True
    for u in range(users):
        goal_x, goal_y, speed, legs_left = xy[goal, u, 0], xy[goal, u, 1], xy[pace, u, 0], xy[pace, u, 1]
        take(stream, xy, bits, u)
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
    """A slot of all users' walks, (users, 2) each, and how many end their leg in it: to no number, these."""
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
def keep(stream: np.ndarray, xy: np.ndarray, row: int, u: int) -> None:
    """Keep a stream's state as the bits of two numbers."""
    xy[row, u, 0], xy[row, u, 1] = np.uint64(stream[0]).view(np.float64), np.uint64(stream[1]).view(np.float64)


@kernel
def take(stream: np.ndarray, xy: np.ndarray, row: int, u: int) -> None:
    """Take a stream to where it was kept."""
    stream[0], stream[1] = np.float64(xy[row, u, 0]).view(np.uint64), np.float64(xy[row, u, 1]).view(np.uint64)


@inlined
def hypotenuse(x: float, y: float) -> float:
    """√(x² + y²) to within a unit in the last place (Borges 2020), with the same bits everywhere.

    Squares are taken to neither overflow nor underflow.
    """
    x, y = abs(x), abs(y)
    longer, shorter = (x, y) if x > y else (y, x)
    h = math.sqrt(longer * longer + shorter * shorter)
    steep = h <= 2.0 * shorter
    over = h - (shorter if steep else longer)
    first = longer * (2.0 * over - longer) if steep else 2.0 * over * (longer - 2.0 * shorter)
    second = (over - 2.0 * (longer - shorter)) * over if steep else (4.0 * over - shorter) * shorter + over * over
    return h - (first + second) / (2.0 * h) if h > 0.0 else 0.0


@kernel
def gauss_markov(
    stream: np.ndarray, area_m: float, slowest: float, fastest: float, memory: float, xy: np.ndarray
) -> None:
    """Gauss-Markov walks (Camp et al. 2002) into xy (slots, users, 2), reflected at the edges of the square.

    Speed and heading are autoregressive around the middle of the speeds and a heading of the user's own.

    Args:
        stream: the episode's.
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
        x, y = random(stream) * area_m, random(stream) * area_m
        course = 2.0 * math.pi * random(stream)
        speed, heading = usual, course
        xy[0, u, 0], xy[0, u, 1] = x, y
        for t in range(1, slots):
            speed = memory * speed + (1.0 - memory) * usual + fresh * spread * standard_normal(next_word(stream))
            speed = min(max(speed, slowest), fastest)
            heading = memory * heading + (1.0 - memory) * course + fresh * turn * standard_normal(next_word(stream))
            x += speed * math.cos(heading)
            y += speed * math.sin(heading)
            if x < 0.0 or x > area_m:
                x = min(max(-x if x < 0.0 else 2.0 * area_m - x, 0.0), area_m)
                heading, course = math.pi - heading, math.pi - course
            if y < 0.0 or y > area_m:
                y = min(max(-y if y < 0.0 else 2.0 * area_m - y, 0.0), area_m)
                heading, course = -heading, -course
            xy[t, u, 0], xy[t, u, 1] = x, y


@kernel
def recorded_walks(stream: np.ndarray, recorded: Recorded, xy: np.ndarray) -> None:
    """Recorded segments into xy (slots, users, 2): different ones while there are enough."""
    slots, users, _ = xy.shape
    distinct(stream, len(recorded.segment_start), xy[0, :, 0])
    for u in range(users):
        start = recorded.segment_start[int(xy[0, u, 0])]
        for t in range(slots):
            xy[t, u, 0], xy[t, u, 1] = recorded.walk_xy[start + t, 0], recorded.walk_xy[start + t, 1]
