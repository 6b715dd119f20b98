"""Walks of users, one position per slot: random waypoint, Gauss-Markov, or recorded."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import kernel
from dtenv.scenario.mobility import WALKS, Mobility
from dtenv.scenario.recording import Recording
from dtenv.world.normals import standard_normal
from dtenv.world.pcg64 import next_word, random, sample_without_replacement
from dtenv.world.waypoints_vectorised import waypoints_abreast

GAUSS_MARKOV = WALKS.index("gauss-markov")
RECORDED = len(WALKS)


class Walk(NamedTuple):
    """Parameters of users' walks, for kernels."""

    walk: int  # index into WALKS, or RECORDED
    area_m: float
    slowest: float  # metres per slot
    fastest: float
    walk_memory: float  # autocorrelation of speed and heading from slot to slot

    @classmethod
    def of(cls, mobility: Mobility, area_m: float) -> Walk:
        """Values of a `Mobility` group."""
        slowest, fastest = (float(speed * mobility.slot_seconds) for speed in mobility.speed_mps)
        kind = WALKS.index(mobility.walk) if mobility.recording is None else RECORDED
        return cls(kind, float(area_m), slowest, fastest, float(mobility.walk_memory**mobility.slot_seconds))


class Recorded(NamedTuple):
    """Arrays of a recording; empty without one."""

    site_xy: np.ndarray  # (sites, 2) metres
    walk_xy: np.ndarray  # (points, 2) metres
    segment_start: np.ndarray  # (segments,) integers

    @classmethod
    def of(cls, recording: Recording | None) -> Recorded:
        """Arrays of a recording, or empty ones."""
        if recording is None:
            return cls(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, np.int64))
        return cls(
            np.ascontiguousarray(recording.site_xy, np.float64),
            np.ascontiguousarray(recording.walk_xy, np.float64),
            np.ascontiguousarray(recording.segment_start, np.int64),
        )


@kernel
def draw_walks(stream: np.ndarray, r: Any, recorded: Recorded, xy: np.ndarray) -> None:
    """Draw every user's walk into xy (slots, users, 2), metres; r has the fields of `Walk`."""
    if r.walk == RECORDED:
        recorded_walks(stream, recorded, xy)
    elif r.walk == GAUSS_MARKOV:
        gauss_markov(stream, r.area_m, r.slowest, r.fastest, r.walk_memory, xy)
    else:
        waypoints_abreast(stream, r.area_m, r.slowest, r.fastest, xy)


@kernel
def gauss_markov(
    stream: np.ndarray, area_m: float, slowest: float, fastest: float, memory: float, xy: np.ndarray
) -> None:
    """Gauss-Markov walks (Camp et al. 2002) into xy (slots, users, 2), reflected at the edges of the square.

    Speed (slowest … fastest, metres per slot) and heading are autoregressive, with coefficient `memory` in [0, 1],
    around the middle of the speeds and a heading of each user's own.
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
    """Draw recorded segments into xy (slots, users, 2), distinct ones if there are enough."""
    slots, users, _ = xy.shape
    sample_without_replacement(stream, len(recorded.segment_start), xy[0, :, 0])
    for u in range(users):
        start = recorded.segment_start[int(xy[0, u, 0])]
        for t in range(slots):
            xy[t, u, 0], xy[t, u, 1] = recorded.walk_xy[start + t, 0], recorded.walk_xy[start + t, 1]
