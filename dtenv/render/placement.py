"""Picture of a slot of DTPlacementMA: hosts, users' twins, and flows of data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtenv.render.canvas import (
    LEFT,
    RIGHT,
    Canvas,
    draw_anchors,
    draw_grid,
    draw_sign,
    draw_user,
    on_map,
    short,
    spread,
)
from dtenv.render.pen import BAD, GRID, HUES, INK, MOVE, PAPER, SOFT, Pen, mix
from dtenv.render.stations import draw_flow, draw_idle, draw_links, draw_mark, draw_parts, draw_users, hue_of
from dtenv.tasks.placement.slot import USER_TERM
from dtenv.tasks.placement.task import PlacementTask


class PlacementCanvas(Canvas):
    """Canvas of DTPlacementMA; the panel plots the score."""

    title, figures = "DTPlacementMA-v0", ("score", "objective")

    def _draw_map(self, task: PlacementTask, values: Sequence[Any]) -> None:
        """Draw stations, users, their links, and the flows of data to twins on other stations."""
        pen, tape, state, area_m = self._pen, task.tape, task.state, self._scenario.network.area_m
        # state.server and state.host belong to the slot just decided, state.slot - 1; state.slot, .gain_db, .access
        # and .loads to the next one. Access stations of the slot just decided are in the terms. Before the first
        # decision there are none, or another episode's: the picture then shows slot 1, which is to be decided, with
        # its access stations and the hosts of slot 0.
        slot = int(state.slot[0]) - 1
        server, host = state.server[0], state.host[0].tolist()
        users, capacity = task.terms.users[0], task.fixed.capacity
        if slot:
            access, compute = users[USER_TERM.access].astype(int), users[USER_TERM.compute]
            late = users[USER_TERM.late] > 0
        else:
            direct = self._scenario.radio.access == "direct"
            access, late, compute = server if direct else state.access[0], np.zeros(len(server), bool), 0 * users[0]
        moved = state.previous[0] != server
        draw_grid(pen, area_m)
        sites, places = on_map(tape.station_xy[0], area_m), on_map(tape.user_xy[0, max(slot, 1)], area_m)
        signs, hues = spread(sites), [hue_of(k) for k in range(len(sites))]
        draw_anchors(pen, sites, signs)
        draw_links(pen, places, signs, access, server, capacity)
        twins = np.bincount(server, minlength=len(sites))
        computing = np.bincount(server, compute, len(sites)) / max(compute.sum(), 1e-300)
        for k, sign in enumerate(signs):
            if host[k]:
                draw_sign(pen, sign, str(k), hues[k], ((twins[k] / capacity[k], INK), (computing[k], SOFT)))
            else:
                draw_idle(pen, sign, str(k))
        draw_users(pen, places, server, late, moved)

    def _facts(self, task: PlacementTask) -> str:
        network = self._scenario.network
        return f"N = {network.num_users}    M = {network.num_stations}    room for {network.capacity} twins each"

    def _draw_numbers(self, task: PlacementTask, info: dict[str, Any] | None, values: Sequence[Any]) -> None:
        network = self._scenario.network
        draw_latency(self._pen, info, 2 if self._scenario.objective.wired_count == "twice" else 1)
        draw_counts(self._pen, info, network.num_users, network.num_stations)
        draw_legend(self._pen)


def draw_latency(pen: Pen, info: dict[str, Any] | None, wired_times: int) -> None:
    """Draw the parts of the users' mean latency (13) on a bar, with a number each."""
    numbers = [0.0] * 4
    if info:
        wired, updates = wired_times * info["latency_wired"], info["latency"] - info["latency_initial"]
        numbers = [info["latency_wireless"], wired, info["latency_compute"], updates]
    labels = ("wireless, to the access station", "wired, to the twin's host", "computing", "updates, η T_syn")
    pen.text(LEFT, 274, "mean latency, s")
    pen.text(RIGHT, 274, short(sum(numbers)) if info else "–", align=1)
    draw_parts(pen, dict(zip(labels, numbers, strict=True)), sum(numbers), info is not None)


def draw_counts(pen: Pen, info: dict[str, Any] | None, users: int, stations: int) -> None:
    """Draw the numbers of hosts, moves and late users, and the cost (25)."""
    rows = (
        ("late users", "violations", users, BAD),
        ("twins moved", "migrations", users, MOVE),
        ("hosts", "hosts", stations, HUES[0]),
        ("placement cost", "placement_cost", None, INK),
    )
    for i, (label, key, whole, colour) in enumerate(rows):
        y, value = 418 + 22 * i, info[key] if info else 0
        number = short(value) if whole is None else f"{value} of {whole}"
        ink = BAD if key == "violations" and value else INK
        pen.text(LEFT, y, label, ink)
        pen.text(RIGHT, y, number if info else "–", ink, align=1)
        if whole is not None:
            pen.bar(LEFT + 122, y - 4, 96, 8, value / whole, colour)


def draw_legend(pen: Pen) -> None:
    """Draw the legend of the map."""
    top, text, hue = 505.0, LEFT + 108, hue_of(0)
    pen.box(LEFT, top - 4, RIGHT - LEFT, 1, GRID)
    draw_sign(pen, (LEFT + 22, top + 36), "k", hue, ((0.8, INK), (0.45, SOFT)))
    draw_idle(pen, (LEFT + 72, top + 28), "j")
    pen.text(text, top + 18, "station that hosts; idle one")
    pen.text(text, top + 36, "twins / room for twins")
    pen.text(text, top + 54, "share of computing time")
    pen.line(((LEFT + 14, top + 88), (LEFT + 78, top + 88)), 1, mix(PAPER, hue, 0.4))
    draw_idle(pen, (LEFT + 78, top + 88), "j")
    draw_user(pen, (LEFT + 14, top + 88), hue)
    pen.text(text, top + 80, "user, in the hue of its twin's")
    pen.text(text, top + 97, "host, at its access station")
    draw_flow(pen, np.array((LEFT + 10.0, top + 112)), np.array((LEFT + 90.0, top + 112)), 8, hue)
    pen.text(text, top + 119, "data from there to the host")
    draw_mark(pen, (LEFT + 14, top + 145), hue, 4.5, True, False)
    pen.text(LEFT + 30, top + 145, "past its deadline")
    draw_mark(pen, (LEFT + 176, top + 145), hue, 4.5, False, True)
    pen.text(LEFT + 190, top + 145, "twin just moved")
