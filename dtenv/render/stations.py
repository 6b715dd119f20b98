"""Common parts of the maps with base stations: hues, signs of idle stations, and flows of data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from dtenv.render.canvas import LEFT, RIGHT, draw_user, short
from dtenv.render.pen import BAD, GROUND, INK, PAPER, SOFT, STATION_HUES, TRACK, Colour, Pen, mix

WIDEST = 13.0  # width of a flow that fills its host
PARTS = (INK, SOFT, (150, 160, 172), (196, 204, 213))
"""Shades of the parts of a latency: grey, since hues identify stations."""


def hue_of(station: int) -> Colour:
    """Hue of a station; the first ten are distinct."""
    return STATION_HUES[station % len(STATION_HUES)]


def draw_idle(pen: Pen, xy: Any, label: str) -> None:
    """Draw a station that is no host."""
    pen.box(xy[0] - 13, xy[1] - 10, 26, 20, PAPER, 4)
    pen.box(xy[0] - 11.5, xy[1] - 8.5, 23, 17, TRACK, 3)
    pen.text(xy[0], xy[1], label, SOFT, size=12, align=0.5)


def draw_flow(pen: Pen, a: np.ndarray, b: np.ndarray, width: float, hue: Colour) -> None:
    """Draw an arc from a, where it is thin, to b; opposite arcs do not overlap."""
    share = np.linspace(0.0, 1.0, 33)[:, None]
    bend = 0.5 * (a + b) + 0.16 * (b - a)[::-1] * (-1, 1)
    curve = (1 - share) ** 2 * a + 2 * share * (1 - share) * bend + share**2 * b
    ahead = np.gradient(curve, axis=0)
    side = ahead[:, ::-1] * (-1, 1) / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    half = 0.5 * (0.8 + share * min(max(width, 1.6), WIDEST))
    for rim, colour in ((0.8, GROUND), (0.0, mix(GROUND, hue, 0.62))):
        pen.shape((*(curve + (half + rim) * side), *(curve - (half + rim) * side)[::-1]), colour)


def draw_links(
    pen: Pen, places: np.ndarray, signs: np.ndarray, access: np.ndarray, server: np.ndarray, capacity: np.ndarray
) -> None:
    """Draw lines from users to their access stations, and flows from there to their twins' hosts.

    Pixels of users `places` (N, 2) and stations `signs` (M, 2); access stations and hosts (N,); `capacity` (M,) is the
    number of twins of the widest flow.
    """
    for xy, j, k in zip(places, access, server, strict=True):
        pen.line((xy, signs[j]), 1, mix(GROUND, hue_of(k), 0.4))
    flows = Counter((j, k) for j, k in zip(access.tolist(), server.tolist(), strict=True) if j != k)
    for (j, k), twins in flows.most_common():
        draw_flow(pen, signs[j], signs[k], WIDEST * twins / capacity[k], hue_of(k))


def draw_users(pen: Pen, places: np.ndarray, server: np.ndarray, late: np.ndarray, moved: np.ndarray) -> None:
    """Draw all users, the late ones on top."""
    radius = 4.5 if len(server) <= 40 else 3.8
    for i in np.argsort(late, kind="stable"):
        draw_mark(pen, places[i], hue_of(server[i]), radius, bool(late[i]), bool(moved[i]))


def draw_mark(pen: Pen, xy: Any, hue: Colour, radius: float, late: bool, moved: bool) -> None:
    """Draw a user: a diamond if its twin moved in this slot, with a ring if it is past its deadline."""
    if late:
        pen.dot(xy, radius + 4.6, BAD)
        pen.dot(xy, radius + 2.8, PAPER)
    if not moved:
        draw_user(pen, xy, hue, radius)
        return
    for size, colour in ((1.4 * radius + 2, PAPER), (1.4 * radius, hue))[late:]:
        pen.shape([(xy[0] + size * dx, xy[1] + size * dy) for dx, dy in ((0, -1), (1, 0), (0, 1), (-1, 0))], colour)


def draw_parts(pen: Pen, parts: Mapping[str, float], whole: float, shown: bool) -> None:
    """Draw the parts of a latency: stacked in a bar of width `whole`, and listed below, with dashes unless `shown`."""
    pen.box(LEFT, 286, RIGHT - LEFT, 12, TRACK, 3)
    x = float(LEFT)
    for i, ((label, number), shade) in enumerate(zip(parts.items(), PARTS, strict=False)):
        y, width = 318 + 22 * i, (RIGHT - LEFT) * number / whole if shown and whole else 0.0
        pen.box(x, 286, min(width, RIGHT - x), 12, shade)
        x = min(x + width, RIGHT)
        pen.box(LEFT, y - 5, 10, 10, shade, 2)
        pen.text(LEFT + 18, y, label)
        pen.text(RIGHT, y, short(number) if shown else "–", align=1)
