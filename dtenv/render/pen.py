"""Drawing primitives and colours: shapes, lines and text on a pygame surface.

Everything is drawn at twice the size and scaled down, which smooths lines and text. The font is pygame's own, so that
pictures are the same on every machine.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise
from types import ModuleType
from typing import Any

WIDTH, HEIGHT = 1080, 720
SHARP = 2
SMALL, LARGE = 14, 24  # font sizes

Colour = tuple[int, int, int]
PAPER, GROUND, GRID, TRACK = (255, 255, 255), (246, 248, 250), (229, 233, 238), (221, 226, 232)
INK, SOFT = (33, 41, 52), (98, 108, 121)
GOOD, WARN, BAD, MOVE = (0, 148, 110), (232, 163, 15), (207, 34, 34), (142, 36, 154)
HUES = ((46, 98, 168), (32, 134, 140), (92, 116, 44), (92, 84, 150), (36, 60, 104), (132, 102, 66))
"""Servers' colours: blue, green and brown; loads and moves stand out from them, also for colour-blind readers."""
STATION_HUES = (
    *((56, 98, 198), (232, 144, 20), (10, 62, 108), (182, 136, 174), (88, 168, 98)),
    *((40, 24, 152), (86, 174, 240), (86, 40, 26), (226, 214, 106), (170, 60, 96)),
)
"""Ten stations' colours that identify a user's host: 20 or more apart in CIELAB, from each other and from red and grey,
for normal, red-blind and green-blind vision."""


def import_pygame() -> ModuleType:
    """Import pygame without its greeting; the ImportError says how to install it."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        raise ImportError('rendering needs pygame: pip install "dtenv[render]"') from error
    return pygame


class Pen:
    """Pen in pixels of the picture, on a sheet `SHARP` times as large."""

    def __init__(self, pygame: ModuleType):
        self._pygame = pygame
        self._sheet = pygame.Surface((WIDTH * SHARP, HEIGHT * SHARP), 0, 32)
        self._fonts: dict[int, Any] = {}

    def clear(self) -> None:
        """Clear the sheet."""
        self._pygame.font.init()
        self._fonts = {}  # fonts become invalid after a pygame.quit() elsewhere
        self._sheet.fill(PAPER)

    def picture(self) -> Any:
        """Return the drawing as a surface of the picture's size."""
        return self._pygame.transform.smoothscale(self._sheet, (WIDTH, HEIGHT))

    def shape(self, corners: Any, colour: Colour) -> None:
        """Draw a filled polygon with smooth edges."""
        corners = [(x * SHARP, y * SHARP) for x, y in corners]
        self._pygame.draw.polygon(self._sheet, colour, corners)
        self._pygame.draw.aalines(self._sheet, colour, True, corners)

    def dot(self, xy: Any, radius: float, colour: Colour) -> None:
        """Draw a disc."""
        self._pygame.draw.circle(self._sheet, colour, (xy[0] * SHARP, xy[1] * SHARP), radius * SHARP)

    def line(self, points: Any, width: float, colour: Colour) -> None:
        """Draw a line through points, with round ends and joints."""
        for (x0, y0), (x1, y1) in pairwise(points):
            scale = 0.5 * width / max(math.hypot(x1 - x0, y1 - y0), 1e-9)
            dx, dy = (y0 - y1) * scale, (x1 - x0) * scale
            self.shape(((x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)), colour)
        for point in points:
            self.dot(point, 0.5 * width, colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0.0) -> None:
        """Draw a filled rectangle from its upper left corner, with round corners."""
        rect = self._pygame.Rect(*(round(v * SHARP) for v in (x, y, width, height)))
        self._pygame.draw.rect(self._sheet, colour, rect, border_radius=round(radius * SHARP))

    def bar(self, x: float, y: float, width: float, height: float, share: float, colour: Colour) -> None:
        """Draw a horizontal bar, filled from the left."""
        self.box(x, y, width, height, TRACK, height / 2)
        if share > 0.0:
            self.box(x, y, max(min(share, 1.0) * width, height), height, colour, height / 2)

    def text(self, x: float, y: float, text: str, colour: Colour = INK, size: int = SMALL, align: float = 0.0) -> float:
        """Draw text centred at height y; x is its left end, or with align=1 its right end. Return its width."""
        image = self._font(size).render(text, True, colour)
        width, height = image.get_size()
        self._sheet.blit(image, (round(x * SHARP - align * width), round(y * SHARP - 0.5 * height)))
        return width / SHARP

    def fitted(self, text: str, width: float) -> str:
        """Shorten the text in its middle to fit the width."""
        fitted, kept = text, len(text)
        while kept > 2 and self._font(SMALL).size(fitted)[0] > width * SHARP:
            kept -= 1
            fitted = f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}"
        return fitted

    def _font(self, size: int) -> Any:
        if size not in self._fonts:
            font = self._pygame.font
            self._fonts[size] = font.Font(font.get_default_font(), size * SHARP)
        return self._fonts[size]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Interpolate from colour a to b."""
    share = min(max(share, 0.0), 1.0)
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
