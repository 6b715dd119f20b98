"""Picture of a slot of DTAssociation: hosts of the twins, and loads of the servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtenv.physics.barrier import is_violated
from dtenv.render.canvas import (
    LEFT,
    RIGHT,
    Canvas,
    draw_anchors,
    draw_grid,
    draw_move,
    draw_moves,
    draw_sign,
    draw_user,
    on_map,
    short,
    spread,
)
from dtenv.render.pen import BAD, GOOD, GRID, GROUND, HUES, INK, MOVE, PAPER, WARN, Colour, Pen, mix
from dtenv.tasks.association.task import AssociationTask

TRAIL = 6  # visible slots of a user's walk


class AssociationCanvas(Canvas):
    """Canvas of DTAssociation; the panel plots the objective."""

    title, figures = "DTAssociation-v0", ("objective", "score")

    def _draw_map(self, task: AssociationTask, values: Sequence[Any]) -> None:
        """Draw servers, users, the links to their twins, and the twins that moved in the last slot."""
        pen, tape, area_m = self._pen, task.tape, self._scenario.network.area_m
        server, before = task.state.server[0].tolist(), task.state.previous[0].tolist()
        slot = int(task.state.slot[0]) - 1
        draw_grid(pen, area_m)
        sites, now = on_map(tape.server_xy[0], area_m), max(slot, 1)
        walks = on_map(tape.user_xy[0, max(now - TRAIL, 0) : now + 1], area_m).swapaxes(0, 1).tolist()
        signs = spread(sites)
        hues = [HUES[s % len(HUES)] for s in range(len(sites))]
        draw_anchors(pen, sites, signs)
        for walk, s in zip(walks, server, strict=True):
            pen.line(walk, 2.6, mix(GROUND, hues[s], 0.25))
            pen.line((walk[-1], signs[s]), 1, mix(GROUND, hues[s], 0.6))
        draw_moves(pen, signs, before, server)
        for s, sign in enumerate(signs):
            _, sync, compute, _ = task.terms.energy[0, s].tolist() if slot else (0.0, 0.0, 0.0, 0.0)
            loads = ((compute, tape.compute_capacity[0, s]), (sync, tape.sync_capacity[0, s]))
            draw_server(pen, sign, str(s), hues[s] if s in server else None, loads)
        for walk, s in zip(walks, server, strict=True):
            draw_user(pen, walk[-1], hues[s])

    def _facts(self, task: AssociationTask) -> str:
        network, emd = self._scenario.network, task.tape.emd[0]
        phi = " … ".join(f"{value:.3g}" for value in sorted({emd.min(), emd.max()}))
        return f"U = {network.num_users}    S = {network.num_servers}    φ = {phi}"

    def _draw_numbers(self, task: AssociationTask, info: dict[str, Any] | None, values: Sequence[Any]) -> None:
        draw_terms(self._pen, task, info)
        draw_legend(self._pen)


def draw_server(pen: Pen, xy: Any, label: str, hue: Colour | None, loads: Sequence[tuple[float, float]]) -> None:
    """Draw a server's sign over bars of its loads, each (load, capacity)."""
    bars = []
    for load, capacity in loads:
        share = load / capacity
        warm = mix(GOOD, WARN, 2.5 * share - 1.25) if share < 0.9 else mix(WARN, BAD, 10 * share - 9)
        bars.append((share, warm))
    draw_sign(pen, xy, label, hue, bars, any(is_violated(load, capacity) for load, capacity in loads))


def draw_terms(pen: Pen, task: AssociationTask, info: dict[str, Any] | None) -> None:
    """Draw the terms of the slot's objective, a row with a bar and a number each."""
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
    """Draw the legend of the map."""
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
