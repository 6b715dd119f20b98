"""Canvas of all tasks: the map's grid and signs, the panel's head and foot."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtenv.render.pen import (
    BAD,
    GRID,
    GROUND,
    HEIGHT,
    HUES,
    INK,
    LARGE,
    MOVE,
    PAPER,
    SOFT,
    TRACK,
    WIDTH,
    Colour,
    Pen,
    import_pygame,
)
from dtenv.scenario.recording import Recording

FPS = 5  # of the window, as in the environments' metadata
MAP, MARGIN = 720, 40  # side of the map, and margin around the square in which users walk
LEFT, RIGHT = MAP + 24, WIDTH - 24  # edges of the panel's text
SIGN = np.array((43.0, 48.0))  # size of a server's sign with its rim


class Canvas(ABC):
    """Canvas of a scenario, for arrays, or with `window` for a window; subclasses draw the map and the panel.

    Raises ImportError if pygame is not installed.
    """

    title: str
    """Id of the environment."""
    figures: tuple[str, str]
    """Two entries of `info` in the panel's head; curve and mean are those of the first."""

    def __init__(self, scenario: Any, window: bool = False):
        self._scenario = scenario
        self._pygame = import_pygame()
        self._pen = Pen(self._pygame)
        self._window = window
        self._screen: Any = None
        if window:
            self._pygame.display.init()
            self._screen = self._pygame.display.set_mode((WIDTH, HEIGHT))
            self._pygame.display.set_caption(f"{self.title} · {scenario.name}")
            self._clock = self._pygame.time.Clock()

    def draw(self, task: Any, values: Sequence[Any]) -> np.ndarray | None:
        """Draw row 0 of the task after its last slot or its reset.

        Args:
            task: the task.
            values: the first of `figures`, or the whole `info`, of each slot so far.

        Returns:
            The picture (HEIGHT, WIDTH, 3), uint8; None with a window, open or closed.
        """
        if self._window and self._screen is None:
            return None
        self._pen.clear()
        self._draw_map(task, values)
        self._draw_panel(task, values)
        picture = self._pen.picture()
        if self._window:
            self._show(picture)
            return None
        pixels = np.frombuffer(self._pygame.image.tobytes(picture, "RGB"), np.uint8)
        return pixels.reshape(HEIGHT, WIDTH, 3).copy()

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._screen is not None:
            self._screen = None
            self._pygame.display.quit()

    @abstractmethod
    def _draw_map(self, task: Any, values: Sequence[Any]) -> None:
        """Draw the left part of the picture."""

    def _draw_panel(self, task: Any, values: Sequence[Any]) -> None:
        """Draw the right part of the picture."""
        slot, (first, last) = int(task.state.slot[0]) - 1, self.figures
        info = task.info() if slot else None
        curve = [float(value[first] if isinstance(value, dict) else value) for value in values]
        figures = {
            first: info[first] if info else None,
            "running mean": sum(curve) / len(curve) if curve else None,
            last: info[last] if info else None,
        }
        draw_head(self._pen, self.title, self._scenario, self._facts(task), slot, figures, curve)
        self._draw_numbers(task, info, values)
        draw_sources(self._pen, self._scenario.mobility.recording)

    @abstractmethod
    def _facts(self, task: Any) -> str:
        """Size of the network, on one line of the panel."""

    @abstractmethod
    def _draw_numbers(self, task: Any, info: dict[str, Any] | None, values: Sequence[Any]) -> None:
        """Draw the slot's numbers and the legend; info is None before the first slot."""

    def _show(self, picture: Any) -> None:
        display, event = self._pygame.display, self._pygame.event
        if display.get_surface() is None or any(e.type == self._pygame.QUIT for e in event.get()):
            self.close()  # closed by the user, or with another environment's window
            return
        self._screen.blit(picture, (0, 0))
        display.flip()
        self._clock.tick(FPS)


def on_map(xy: np.ndarray, area_m: float) -> np.ndarray:
    """Convert metres (…, 2) of the square to pixels of the map, whose y axis points down."""
    return MARGIN + (MAP - 2 * MARGIN) * np.abs((0.0, 1.0) - xy / area_m)


def draw_grid(pen: Pen, area_m: float) -> None:
    """Draw the map's background, a grid of round metres, and its scale."""
    pen.box(0, 0, MAP, MAP, GROUND)
    power = 10.0 ** math.floor(math.log10(area_m / 5))
    step = power * max(k for k in (1, 2, 5) if k * power <= area_m / 5)
    side = MAP - 2 * MARGIN
    gap = side * step / area_m
    for away in (*np.arange(0, side, gap), side):
        pen.box(MARGIN + away - 0.5, MARGIN, 1, side, GRID)
        pen.box(MARGIN, MAP - MARGIN - away - 0.5, side, 1, GRID)
    pen.line(((MARGIN, MAP - 12), (MARGIN + gap, MAP - 12)), 2, SOFT)
    for x in (MARGIN, MARGIN + gap):
        pen.line(((x, MAP - 16), (x, MAP - 8)), 2, SOFT)
    pen.text(MARGIN + gap + 8, MAP - 12, f"{step:g} m" if step < 1000 else f"{step / 1000:g} km", SOFT)


def spread(sites: np.ndarray) -> np.ndarray:
    """Positions (S, 2) of the servers' signs, at or near their sites, without overlaps."""
    signs, order = sites.copy(), np.arange(len(sites))
    aside = 1e-6 * (order[:, None] - order)[..., None]  # separates signs of identical sites
    for _ in range(100):
        away = signs[:, None] - signs + aside
        overlap = SIGN - np.abs(away)
        touching = (overlap > 0.5).all(axis=-1, keepdims=True) & (aside != 0.0)
        if not touching.any():
            break
        shorter = overlap == overlap.min(axis=-1, keepdims=True)
        push = np.where(touching & shorter, np.sign(away) * overlap, 0.0)
        signs = np.clip(signs + 0.5 * push.sum(axis=1), 0.6 * MARGIN, MAP - MARGIN)
    return signs


def draw_anchors(pen: Pen, sites: np.ndarray, signs: np.ndarray) -> None:
    """Draw the sites and lines to their signs, visible where a sign was moved."""
    for site, sign in zip(sites, signs, strict=True):
        pen.line((site, sign), 1, SOFT)
        pen.dot(site, 3, SOFT)


def draw_sign(
    pen: Pen, xy: Any, label: str, hue: Colour | None, bars: Sequence[tuple[float, Colour]], alarm: bool = False
) -> None:
    """Draw a server's sign, grey without a hue, over bars (share, colour); with a red rim for an alarm."""
    x, y = xy[0] - 16, xy[1] - 19
    if alarm:
        pen.box(x - 4.5, y - 4.5, 41, 47, BAD, 6.5)
    pen.box(x - 2, y - 2, 36, 42, PAPER, 4)
    pen.box(x, y, 32, 22, hue or TRACK, 3)
    red, green, blue = hue or TRACK
    letters = INK if 0.3 * red + 0.59 * green + 0.11 * blue > 120 else PAPER
    pen.text(xy[0], y + 11, label, letters if hue else SOFT, align=0.5)
    for i, (share, colour) in enumerate(bars):
        pen.bar(x, y + 25 + 7 * i, 32, 5, share, colour)


def draw_user(pen: Pen, xy: Any, hue: Colour, radius: float = 4.5) -> None:
    """Draw a user in the hue of its twin's server."""
    pen.dot(xy, radius + 1.5, PAPER)
    pen.dot(xy, radius, hue)


def draw_moves(pen: Pen, signs: np.ndarray, before: Sequence[int], after: Sequence[int]) -> None:
    """Draw arcs for the twins that moved, the largest groups on top."""
    moves = Counter((a, b) for a, b in zip(before, after, strict=True) if a != b)
    for (a, b), twins in reversed(moves.most_common()):
        across, length = (signs[b] - signs[a])[::-1] * (-1, 1), math.dist(signs[a], signs[b])
        bend = 0.5 * (signs[a] + signs[b]) + across * max(0.22, 120 / max(length, 1) - 1)
        bend = np.clip(bend, 0.4 * MARGIN, MAP - 0.4 * MARGIN)
        draw_move(pen, signs[a], bend, signs[b], twins)


def draw_move(pen: Pen, a: np.ndarray, bend: np.ndarray, b: np.ndarray, twins: int) -> None:
    """Draw an arc from the sign at a to the sign at b, with a packet on it."""
    share = np.linspace(0.0, 1.0, 257)[:, None]
    curve = (1 - share) ** 2 * a + 2 * share * (1 - share) * bend + share**2 * b
    clear = np.all([(np.abs(curve - sign) > SIGN / 2 + 4).any(axis=1) for sign in (a, b)], axis=0)
    curve = curve[clear] if np.count_nonzero(clear) > 32 else curve[64:-64]
    curve = curve[np.linspace(0, len(curve) - 1, 25).astype(int)]
    ahead = (curve[-1] - curve[-2]) / max(math.dist(curve[-1], curve[-2]), 1e-9)
    side = 6 * ahead[::-1] * (-1, 1)
    pen.line(curve.tolist(), 2.2, MOVE)
    pen.shape((curve[-1] + 4 * ahead, curve[-1] - 8 * ahead + side, curve[-1] - 8 * ahead - side), MOVE)
    (x, y), half = curve[12], 5 if twins == 1 else 9 if twins < 10 else 11
    pen.box(x - half - 1.5, y - half - 1.5, 2 * half + 3, 2 * half + 3, PAPER, 4)
    pen.box(x - half, y - half, 2 * half, 2 * half, MOVE, 3)
    if twins > 1:
        pen.text(x, y, str(twins), PAPER, align=0.5)


def draw_head(
    pen: Pen, title: str, scenario: Any, facts: str, slot: int, figures: Mapping[str, float | None], values: Any
) -> None:
    """Draw the panel down to its curve: title, facts, slot, three figures, and the curve of the values."""
    slots = scenario.episode.num_slots
    room = RIGHT - LEFT - 24 - pen.text(LEFT, 36, title, size=LARGE)
    if room < 75:  # the name goes below the title
        pen.text(RIGHT, 92, pen.fitted(scenario.name, 180), SOFT, align=1)
    else:
        pen.text(RIGHT, 37, pen.fitted(scenario.name, max(room, 90)), SOFT, align=1)
    pen.text(LEFT, 64, facts, SOFT)
    pen.text(LEFT, 92, f"slot {slot} of {slots}")
    pen.bar(LEFT, 105, RIGHT - LEFT, 4, slot / slots, INK)
    for i, (label, number) in enumerate(figures.items()):
        pen.text(LEFT + 108 * i, 132, label, SOFT)
        pen.text(LEFT + 108 * i, 155, "–" if number is None else short(number), size=20)
    draw_sparkline(pen, np.asarray(values), 184.0, 240.0)


def draw_sparkline(pen: Pen, values: np.ndarray, top: float, bottom: float) -> None:
    """Plot values between their minimum and maximum."""
    right = RIGHT - 66
    pen.box(LEFT, top - 7, right - LEFT, bottom - top + 14, GROUND, 4)
    if not values.size:
        return
    low, high = values.min(), values.max()
    share = (values - low) / (high - low) if high > low else np.full(values.size, 0.5)
    x = np.linspace(LEFT + 7, right - 7, values.size)
    points = np.column_stack([x, bottom + (top - bottom) * share]).tolist()
    pen.line(points, 1.2, HUES[0])
    pen.dot(points[-1], 3.5, HUES[0])
    for y, value in ((top, high), (bottom, low)) if high > low else ((0.5 * (top + bottom), low),):
        pen.text(right + 8, y, short(value), SOFT)


def draw_sources(pen: Pen, recording: Recording | None) -> None:
    """Draw the sources of recorded sites and walks at the bottom of the panel."""
    source = recording.provenance if recording is not None else {}
    if source.get("overlaid"):
        pen.text(LEFT, 664, "walks from elsewhere, laid over the sites", SOFT)
    for y, label, key in ((684, "sites", "sites_file"), (704, "walks", "trace_file")):
        if source.get(key):
            pen.text(LEFT, y, label, SOFT)
            pen.text(LEFT + 50, y, pen.fitted(str(source[key]), RIGHT - LEFT - 50))


def short(value: float) -> str:
    """Format a number in at most eight characters."""
    size = abs(value)
    if size >= 1e6 or 0.0 < size < 5e-4:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:,.0f}" if size >= 999.95 else f"{value:.1f}" if size >= 9.9995 else f"{value:.3f}"
    return text.replace("-", "−")
