"""What the maps of base stations share: their hues, idle ones' signs, and flows of data between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.render.pen import GROUND, PAPER, SOFT, STATION_HUES, TRACK, Colour, Pen, mix

WIDEST = 13.0  # a flow that fills its host


def hue_of(station: int) -> Colour:
    """A station's hue; the first ten differ."""
    return STATION_HUES[station % len(STATION_HUES)]


def draw_idle(pen: Pen, xy: Any, label: str) -> None:
    """A station that does not host."""
    pen.box(xy[0] - 13, xy[1] - 10, 26, 20, PAPER, 4)
    pen.box(xy[0] - 11.5, xy[1] - 8.5, 23, 17, TRACK, 3)
    pen.text(xy[0], xy[1], label, SOFT, size=12, align=0.5)


def draw_flow(pen: Pen, a: np.ndarray, b: np.ndarray, width: float, hue: Colour) -> None:
    """A bow from a, where it is thin, to b; bows to and fro lie side by side."""
    share = np.linspace(0.0, 1.0, 33)[:, None]
    bend = 0.5 * (a + b) + 0.16 * (b - a)[::-1] * (-1, 1)
    curve = (1 - share) ** 2 * a + 2 * share * (1 - share) * bend + share**2 * b
    ahead = np.gradient(curve, axis=0)
    side = ahead[:, ::-1] * (-1, 1) / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    half = 0.5 * (0.8 + share * min(max(width, 1.6), WIDEST))
    for rim, colour in ((0.8, GROUND), (0.0, mix(GROUND, hue, 0.62))):
        pen.shape((*(curve + (half + rim) * side), *(curve - (half + rim) * side)[::-1]), colour)
