"""The picture of a slot: a map of the network beside a panel of its numbers, drawn with pygame.

Only a window needs a display.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtenv.pen import (
    BAD,
    GOOD,
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
    WARN,
    WIDTH,
    Colour,
    Pen,
    import_pygame,
    mix,
)
from dtenv.physics.barrier import is_violated
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association import AssociationTask

TITLE = "DTAssociation-v0"
FPS = 5  # of the window, as the environment's metadata has it
MAP, MARGIN = 720, 40  # side of the map, and what lies around the square that users walk in
LEFT, RIGHT = MAP + 24, WIDTH - 24  # of the panel's text
SIGN = np.array((43.0, 48.0))  # of a server, with its rim
TRAIL = 6  # slots of a user's walk that stay visible


class AssociationCanvas:
    """Draws slots of DTAssociation, as arrays or into a window.

    Args:
        scenario: what is fixed.
        window: show the pictures in a window, FPS of them a second, instead of returning them.

    Raises:
        ImportError: pygame is not installed.
    """

    def __init__(self, scenario: AssociationScenario, window: bool = False):
        self._scenario = scenario
        self._pygame = import_pygame()
        self._pen = Pen(self._pygame)
        self._window = window
        self._screen: Any = None
        if window:
            self._pygame.display.init()
            self._screen = self._pygame.display.set_mode((WIDTH, HEIGHT))
            self._pygame.display.set_caption(f"{TITLE} · {scenario.name}")
            self._clock = self._pygame.time.Clock()

    def draw(self, task: AssociationTask, objectives: Sequence[float]) -> np.ndarray | None:
        """Row 0 of the task after its last slot, or after its reset.

        Args:
            task: the episodes.
            objectives: of the episode's slots so far.

        Returns:
            The picture (HEIGHT, WIDTH, 3), uint8; None where there is a window, or was one until it was closed.
        """
        if self._window and self._screen is None:
            return None
        self._pen.clear()
        draw_map(self._pen, self._scenario, task)
        draw_panel(self._pen, self._scenario, task, objectives)
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

    def _show(self, picture: Any) -> None:
        display, event = self._pygame.display, self._pygame.event
        if display.get_surface() is None or any(e.type == self._pygame.QUIT for e in event.get()):
            self.close()  # by its user, or with another environment's window
            return
        self._screen.blit(picture, (0, 0))
        display.flip()
        self._clock.tick(FPS)


def draw_map(pen: Pen, scenario: AssociationScenario, task: AssociationTask) -> None:
    """Servers, users, the links to their twins, and the last slot's moves of twins."""
    tape, server, area_m = task.tape, task.state.server[0].tolist(), scenario.network.area_m
    before = task.state.previous[0].tolist()
    slot = int(task.state.slot[0]) - 1

    def place(xy: np.ndarray) -> np.ndarray:
        return MARGIN + (MAP - 2 * MARGIN) * np.abs((0.0, 1.0) - xy / area_m)

    pen.box(0, 0, MAP, MAP, GROUND)
    draw_grid(pen, area_m)
    sites, now = place(tape.server_xy[0]), max(slot, 1)
    walks = place(tape.user_xy[0, max(now - TRAIL, 0) : now + 1]).swapaxes(0, 1).tolist()
    signs = spread(sites)
    hues = [HUES[s % len(HUES)] for s in range(len(sites))]
    for site, sign in zip(sites, signs, strict=True):
        pen.line((site, sign), 1, SOFT)
        pen.dot(site, 3, SOFT)
    for walk, s in zip(walks, server, strict=True):
        pen.line(walk, 2.6, mix(GROUND, hues[s], 0.25))
        pen.line((walk[-1], signs[s]), 1, mix(GROUND, hues[s], 0.6))
    moves = Counter((a, b) for a, b in zip(before, server, strict=True) if a != b)
    for (a, b), twins in reversed(moves.most_common()):
        across, length = (signs[b] - signs[a])[::-1] * (-1, 1), math.dist(signs[a], signs[b])
        bend = 0.5 * (signs[a] + signs[b]) + across * max(0.22, 120 / max(length, 1) - 1)
        bend = np.clip(bend, 0.4 * MARGIN, MAP - 0.4 * MARGIN)
        draw_move(pen, signs[a], bend, signs[b], twins)
    for s, sign in enumerate(signs):
        _, sync, compute = task.terms.energy[0, s].tolist() if slot else (0.0, 0.0, 0.0)
        loads = ((compute, tape.compute_capacity[0, s]), (sync, tape.sync_capacity[0, s]))
        draw_server(pen, sign, str(s), hues[s] if s in server else None, loads)
    for walk, s in zip(walks, server, strict=True):
        draw_user(pen, walk[-1], hues[s])


def draw_grid(pen: Pen, area_m: float) -> None:
    """A grid of round metres, and its scale."""
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
    """Places (S, 2) for the servers' signs, on or beside their sites, so that none covers another."""
    signs, order = sites.copy(), np.arange(len(sites))
    aside = 1e-6 * (order[:, None] - order)[..., None]  # parts signs of one and the same site
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


def draw_server(pen: Pen, xy: Any, label: str, hue: Colour | None, loads: Sequence[tuple[float, float]]) -> None:
    """A server's sign, grey without a hue, over bars of its loads, each (load, capacity)."""
    x, y = xy[0] - 16, xy[1] - 19
    if any(is_violated(load, capacity) for load, capacity in loads):
        pen.box(x - 4.5, y - 4.5, 41, 47, BAD, 6.5)
    pen.box(x - 2, y - 2, 36, 42, PAPER, 4)
    pen.box(x, y, 32, 22, hue or TRACK, 3)
    pen.text(xy[0], y + 11, label, PAPER if hue else SOFT, align=0.5)
    for i, (load, capacity) in enumerate(loads):
        share = load / capacity
        warm = mix(GOOD, WARN, 2.5 * share - 1.25) if share < 0.9 else mix(WARN, BAD, 10 * share - 9)
        pen.bar(x, y + 25 + 7 * i, 32, 5, share, warm)


def draw_user(pen: Pen, xy: Any, hue: Colour) -> None:
    """A user, in the hue of its twin's server."""
    pen.dot(xy, 6, PAPER)
    pen.dot(xy, 4.5, hue)


def draw_move(pen: Pen, a: np.ndarray, bend: np.ndarray, b: np.ndarray, twins: int) -> None:
    """A bow from the sign at a to the sign at b, with a packet on its way."""
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


def draw_panel(pen: Pen, scenario: AssociationScenario, task: AssociationTask, objectives: Sequence[float]) -> None:
    """The slot's numbers, a legend, and where recorded sites and walks come from."""
    network, emd = scenario.network, task.tape.emd[0]
    slot, slots = int(task.state.slot[0]) - 1, scenario.episode.num_slots
    info = task.info() if slot else None
    phi = " … ".join(f"{value:.3g}" for value in sorted({emd.min(), emd.max()}))
    pen.text(LEFT, 36, TITLE, size=LARGE)
    pen.text(RIGHT, 37, pen.fitted(scenario.name, 90), SOFT, align=1)
    pen.text(LEFT, 64, f"U = {network.num_users}    S = {network.num_servers}    φ = {phi}", SOFT)
    pen.text(LEFT, 92, f"slot {slot} of {slots}")
    pen.bar(LEFT, 105, RIGHT - LEFT, 4, slot / slots, INK)
    mean = sum(objectives) / len(objectives) if objectives else None
    objective, score = (info["objective"], info["score"]) if info else (None, None)
    figures = {"objective": objective, "running mean": mean, "score": score}
    for i, (label, number) in enumerate(figures.items()):
        pen.text(LEFT + 108 * i, 132, label, SOFT)
        pen.text(LEFT + 108 * i, 155, "–" if number is None else short(number), size=20)
    draw_sparkline(pen, np.asarray(objectives), 184.0, 240.0)
    draw_terms(pen, task, info)
    draw_legend(pen)
    recording = scenario.mobility.recording
    source = recording.provenance if recording is not None else {}
    if source.get("overlaid"):
        pen.text(LEFT, 664, "walks from elsewhere, laid over the sites", SOFT)
    for y, label, key in ((684, "sites", "sites_file"), (704, "walks", "trace_file")):
        if source.get(key):
            pen.text(LEFT, y, label, SOFT)
            pen.text(LEFT + 50, y, pen.fitted(str(source[key]), RIGHT - LEFT - 50))


def draw_sparkline(pen: Pen, values: np.ndarray, top: float, bottom: float) -> None:
    """Values from the first to the last, between their least and their greatest."""
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


def draw_terms(pen: Pen, task: AssociationTask, info: dict[str, Any] | None) -> None:
    """What the slot's objective is made of: a share and a number for each row."""
    users, constraints = task.terms.history.shape[1], 2 * task.terms.energy.shape[1]
    energy = info["energy"] if info else 0.0
    rows = (
        ("mean utility ρ", "utility", 1.0, GOOD),
        ("mean history γ", "history", 1.0, GOOD),
        ("energy", "energy", None, INK),
        ("    migration", "energy_migration", energy, HUES[0]),
        ("    synchronisation", "energy_synchronisation", energy, HUES[0]),
        ("    computation", "energy_computation", energy, HUES[0]),
        ("moves", "migrations", users, MOVE),
        ("violations", "violations", constraints, BAD),
    )
    for i, (label, key, whole, colour) in enumerate(rows):
        y, value = 278 + 24 * i, float(np.mean(info[key])) if info else 0.0
        number = f"{value:.0f} of {whole}" if isinstance(whole, int) else short(value)
        ink = BAD if key == "violations" and value else INK
        pen.text(LEFT, y, label, ink)
        pen.text(RIGHT, y, number if info else "–", ink, align=1)
        if whole is not None:
            pen.bar(LEFT + 142, y - 4, 90, 8, value / whole if value else 0.0, colour)


def draw_legend(pen: Pen) -> None:
    """What the map's signs mean."""
    top, text = 484.0, LEFT + 108
    pen.box(LEFT, top - 6, RIGHT - LEFT, 1, GRID)
    draw_server(pen, (LEFT + 22, top + 36), "s", HUES[0], ((0.45, 1.0), (0.8, 1.0)))
    draw_server(pen, (LEFT + 72, top + 36), "s", HUES[0], ((0.45, 1.0), (1.2, 1.0)))
    pen.text(text, top + 18, "server, red if violated")
    pen.text(text, top + 36, "computation / q (C2)")
    pen.text(text, top + 54, "synchronisation / p (C3)")
    walk = ((LEFT + 8, top + 90), (LEFT + 22, top + 80))
    pen.line(walk, 2.6, mix(PAPER, HUES[0], 0.25))
    pen.line((walk[-1], (LEFT + 90, top + 86)), 1, mix(PAPER, HUES[0], 0.6))
    draw_user(pen, walk[-1], HUES[0])
    pen.text(text, top + 84, "user, walk, link to twin")
    bow = np.array(((LEFT - 20, top + 107), (LEFT + 45, top + 129), (LEFT + 115, top + 107)))
    draw_move(pen, bow[0], bow[1], bow[2], 1)
    pen.text(text, top + 112, "twin moved in this slot")


def short(value: float) -> str:
    """A number in at most eight characters."""
    size = abs(value)
    if size >= 1e6 or 0.0 < size < 5e-4:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:,.0f}" if size >= 999.95 else f"{value:.1f}" if size >= 9.9995 else f"{value:.3f}"
    return text.replace("-", "−")
