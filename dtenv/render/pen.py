"""A pen for pictures, and its colours: shapes, lines and letters on a pygame surface.

Everything is drawn twice as large and scaled down, which smooths lines and letters alike. The letters are
pygame's own, so that a picture comes out the same on every machine.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise
from types import ModuleType
from typing import Any

WIDTH, HEIGHT = 1080, 720
SHARP = 2
SMALL, LARGE = 14, 24  # letters

Colour = tuple[int, int, int]
PAPER, GROUND, GRID, TRACK = (255, 255, 255), (246, 248, 250), (229, 233, 238), (221, 226, 232)
INK, SOFT = (33, 41, 52), (98, 108, 121)
GOOD, WARN, BAD, MOVE = (0, 148, 110), (232, 163, 15), (207, 34, 34), (142, 36, 154)
HUES = ((46, 98, 168), (32, 134, 140), (92, 116, 44), (92, 84, 150), (36, 60, 104), (132, 102, 66))
"""Servers' colours: blue, green and brown, from which loads and moves stand out, for the colour-blind too."""
STATION_HUES = (
    *((56, 98, 198), (232, 144, 20), (10, 62, 108), (182, 136, 174), (88, 168, 98)),
    *((40, 24, 152), (86, 174, 240), (86, 40, 26), (226, 214, 106), (170, 60, 96)),
)
"""Ten that tell a user's host, however far away, by its hue alone: 20 or more apart in CIELAB, from each other and
from red and grey, for people of normal, red-blind and green-blind sight."""


def import_pygame() -> ModuleType:
    """Pygame, without its greeting.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        raise ImportError('rendering needs pygame: pip install "dtenv[render]"') from error
    return pygame


class Pen:
    """Draws, in the picture's pixels, on a sheet `SHARP` times as large."""

    def __init__(self, pygame: ModuleType):
        self._pygame = pygame
        self._sheet = pygame.Surface((WIDTH * SHARP, HEIGHT * SHARP), 0, 32)
        self._fonts: dict[int, Any] = {}

    def clear(self) -> None:
        """Start on an empty sheet."""
        self._pygame.font.init()
        self._fonts = {}  # fonts do not outlive a pygame.quit() elsewhere
        self._sheet.fill(PAPER)

    def picture(self) -> Any:
        """What has been drawn, as a surface of the picture's size."""
        return self._pygame.transform.smoothscale(self._sheet, (WIDTH, HEIGHT))

    def shape(self, corners: Any, colour: Colour) -> None:
        """A filled polygon with smooth edges."""
        corners = [(x * SHARP, y * SHARP) for x, y in corners]
        self._pygame.draw.polygon(self._sheet, colour, corners)
        self._pygame.draw.aalines(self._sheet, colour, True, corners)

    def dot(self, xy: Any, radius: float, colour: Colour) -> None:
        """A disc."""
        self._pygame.draw.circle(self._sheet, colour, (xy[0] * SHARP, xy[1] * SHARP), radius * SHARP)

    def line(self, points: Any, width: float, colour: Colour) -> None:
        """A line through points, round at its ends and bends."""
        for (x0, y0), (x1, y1) in pairwise(points):
            scale = 0.5 * width / max(math.hypot(x1 - x0, y1 - y0), 1e-9)
            dx, dy = (y0 - y1) * scale, (x1 - x0) * scale
            self.shape(((x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)), colour)
        for point in points:
            self.dot(point, 0.5 * width, colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0.0) -> None:
        """A filled rectangle from its upper left corner, with round corners."""
        rect = self._pygame.Rect(*(round(v * SHARP) for v in (x, y, width, height)))
        self._pygame.draw.rect(self._sheet, colour, rect, border_radius=round(radius * SHARP))

    def bar(self, x: float, y: float, width: float, height: float, share: float, colour: Colour) -> None:
        """A horizontal bar, filled from the left."""
        self.box(x, y, width, height, TRACK, height / 2)
        if share > 0.0:
            self.box(x, y, max(min(share, 1.0) * width, height), height, colour, height / 2)

    def text(self, x: float, y: float, text: str, colour: Colour = INK, size: int = SMALL, align: float = 0.0) -> float:
        """One line around height y; x is its left end, or its right end with align=1. Returns its width."""
        image = self._font(size).render(text, True, colour)
        width, height = image.get_size()
        self._sheet.blit(image, (round(x * SHARP - align * width), round(y * SHARP - 0.5 * height)))
        return width / SHARP

    def fitted(self, text: str, width: float) -> str:
        """The text, with its middle left out where it is wider than `width`."""
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
    """The colour a share of the way from a to b."""
    share = min(max(share, 0.0), 1.0)
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
