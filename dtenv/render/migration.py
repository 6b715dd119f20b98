"""Picture of a slot of DTMigration: the focal user's walk, access station and twin, or all users with joint control."""

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
    draw_move,
    draw_moves,
    draw_sign,
    draw_user,
    on_map,
    short,
    spread,
)
from dtenv.render.pen import BAD, GRID, GROUND, INK, PAPER, SOFT, Colour, Pen, mix
from dtenv.render.stations import draw_flow, draw_links, draw_mark, draw_parts, draw_users, hue_of
from dtenv.tasks.migration.batch import TERM
from dtenv.tasks.migration.task import MigrationTask

LIMIT = 0.75  # position of the deadline on the latency bar
FOCAL = 6.5  # radius of the focal user


class MigrationCanvas(Canvas):
    """Canvas of DTMigration; `draw` takes the whole `info` of all slots so far."""

    title, figures = "DTMigration-v0", ("score", "utility")

    def _draw_map(self, task: MigrationTask, values: Sequence[Any]) -> None:
        """Draw stations, and the focal user's walk, link and twin, or with joint control those of all users."""
        pen, tape, state, course = self._pen, task.tape, task.state, task.course
        # state.slot is the next slot to decide. In state.server the agent's twins are at their hosts of the previous
        # slot, but the background's already at those of the next; the latter are read from the course instead. The
        # picture shows the slot just decided, or slot 1 before the first decision.
        slot = int(state.slot[0]) - 1
        now = max(slot, 1)
        server, before = state.server[0].copy(), state.previous[0]
        if not task.joint:
            server[1:] = course.background[0, now, 1:]
        access = course.access[0, now].astype(int)
        late = task.terms.users[0, :, TERM.late] > 0 if slot else np.zeros(len(task.mask[0]), bool)
        area_m = self._scenario.network.area_m
        draw_grid(pen, area_m)
        sites, places = on_map(tape.station_xy[0], area_m), on_map(tape.user_xy[0, now], area_m)
        signs = spread(sites)
        draw_anchors(pen, sites, signs)
        capacity = np.maximum(np.array(self._scenario.seats, float), 1.0)
        if task.joint:
            draw_links(pen, places, signs, access, server, capacity)
            draw_moves(pen, signs, before.tolist(), server.tolist())
        else:
            for xy, k in zip(places[1:], server[1:], strict=True):
                draw_other(pen, xy, hue_of(k))
            self._draw_walk(task, now, values)
            j, k = access[0], server[0]
            pen.line((places[0], signs[j]), 2.2, hue_of(k))
            if j != k:
                draw_flow(pen, signs[j], signs[k], 6, hue_of(k))
            draw_moves(pen, signs, before[:1].tolist(), server[:1].tolist())
        self._draw_stations(task, now, signs, np.bincount(server, minlength=len(signs)) / capacity)
        if task.joint:
            draw_users(pen, places, server, late, before != server)
        else:
            draw_mark(pen, places[0], hue_of(server[0]), FOCAL, bool(late[0]), before[0] != server[0])

    def _draw_walk(self, task: MigrationTask, now: int, values: Sequence[Any]) -> None:
        """Draw the focal user's walk in its hosts' hues, with its handovers and its twin's migrations."""
        pen, access = self._pen, task.course.access[0, :, 0]
        walk = on_map(task.tape.user_xy[0, : now + 1, 0], self._scenario.network.area_m)
        hosts = [int(task.course.first[0, 0]), *(int(value["server"]) for value in values)]
        hosts += hosts[-1:] * (now + 1 - len(hosts))
        for t in range(1, now + 1):
            pen.line(walk[t - 1 : t + 1], 2.6, mix(GROUND, hue_of(hosts[t]), 0.45))
        for t in range(1, now + 1):
            if access[t] != access[t - 1]:
                draw_handover(pen, walk[t], walk[t] - walk[t - 1])
        for t in range(1, now + 1):
            if hosts[t] != hosts[t - 1]:
                draw_mark(pen, walk[t], hue_of(hosts[t]), 3.4, False, True)

    def _draw_stations(self, task: MigrationTask, now: int, signs: np.ndarray, filled: np.ndarray) -> None:
        """Draw signs over twins and computing speed, tagged where the forecast expects the user.

        The cloud's sign is C; failed servers are grey.
        """
        cloud, up = self._scenario.num_sites, task.tape.up[0]
        speed, ahead = task.tape.compute_hz[0], task.course.forecast[0, now, 0].tolist()
        for k, sign in enumerate(signs):
            bars = ((float(filled[k]), INK), (float(speed[k] / speed.max()), SOFT))
            hue = hue_of(k) if len(up) == 0 or up[now, k] else SOFT
            draw_sign(self._pen, sign, "C" if k == cloud else str(k), hue, bars)
            if not task.joint and k in ahead:
                draw_tag(self._pen, sign, f"+{ahead.index(k) + 1}")

    def _facts(self, task: MigrationTask) -> str:
        network = self._scenario.network
        whose = f"means of {network.num_users} users" if task.joint else "user 0's twin"
        return f"N = {network.num_users}    M = {network.num_stations}    {whose}"

    def _draw_numbers(self, task: MigrationTask, info: dict[str, Any] | None, values: Sequence[Any]) -> None:
        draw_latency(self._pen, info, float(task.tape.deadline_s[0, : len(task.mask[0])].mean()))
        draw_sums(self._pen, info, values, task.joint)
        draw_legend(self._pen, task.joint)


def draw_other(pen: Pen, xy: Any, hue: Colour) -> None:
    """Draw a background user."""
    draw_user(pen, xy, mix(GROUND, hue, 0.55), 3.8)


def draw_handover(pen: Pen, xy: np.ndarray, step: np.ndarray) -> None:
    """Draw a tick across the walk at a change of the access station."""
    across = 8.5 * step[::-1] * (-1, 1) / max(np.hypot(*step), 1e-9) if step.any() else np.array((0.0, 8.5))
    pen.line((xy - across, xy + across), 1.6, SOFT)


def draw_tag(pen: Pen, sign: Any, slots: str) -> None:
    """Tag a station's sign with the number of slots until the user is expected there."""
    x, y = sign[0] + 17, sign[1] - 20
    pen.box(x - 12, y - 8, 24, 16, SOFT, 8)
    pen.box(x - 11, y - 7, 22, 14, PAPER, 7)
    pen.text(x, y, slots, size=10, align=0.5)


def draw_latency(pen: Pen, info: dict[str, Any] | None, deadline_s: float) -> None:
    """Draw the parts of an update's latency (11), in milliseconds, on a bar with the deadline."""
    labels = ("wireless, to the access station", "wired, to the twin's host", "computing")
    keys = ("latency_wireless", "latency_wired", "latency_compute")
    parts = {label: 1e3 * info[key] if info else 0.0 for label, key in zip(labels, keys, strict=True)}
    deadline = 1e3 * deadline_s
    ink = BAD if info and sum(parts.values()) > deadline else INK
    pen.text(LEFT, 274, "update latency, ms")
    number = short(sum(parts.values())) if info else "–"
    x = RIGHT - pen.text(RIGHT, 274, f"of {short(deadline)} allowed", SOFT, align=1) - 5
    pen.text(x, 274, number, ink, align=1)
    draw_parts(pen, parts, deadline / LIMIT, info is not None)
    x = LEFT + LIMIT * (RIGHT - LEFT)
    pen.box(x - 2, 284, 4, 18, PAPER)
    pen.box(x - 1, 284, 2, 18, ink)


def draw_sums(pen: Pen, info: dict[str, Any] | None, values: Sequence[Any], joint: bool) -> None:
    """Draw the costs of the slot and of the episode so far."""
    rows = (
        ("price of migration", "migration_price", 1.0),
        ("migrations", "migrations", None),
        ("downtime, s", "downtime", 1.0),
        ("hand-offs", "handovers", None),
        ("late users" if joint else "late", "violations", None),
        ("energy, mJ", "energy", 1e3),
    )
    pen.text(RIGHT - 88, 386, "this slot", SOFT, align=1)
    pen.text(RIGHT, 386, "episode", SOFT, align=1)
    for i, (label, key, unit) in enumerate(rows):
        y = 404 + 18 * i
        pen.text(LEFT, y, label)
        sums = (info[key] if info else None, sum(value[key] for value in values) if values else None)
        for x, number in zip((RIGHT - 88, RIGHT), sums, strict=True):
            text = "–" if number is None else short(unit * number) if unit else f"{number:,}"
            pen.text(x, y, text, BAD if key == "violations" and number else INK, align=1)


def draw_legend(pen: Pen, joint: bool) -> None:
    """Draw the legend of the map."""
    top, text, hue = 514.0, LEFT + 108, hue_of(0)
    pen.box(LEFT, top - 6, RIGHT - LEFT, 1, GRID)
    draw_sign(pen, (LEFT + 22, top + 25), "k", hue, ((0.8, INK), (0.45, SOFT)))
    if not joint:
        draw_tag(pen, (LEFT + 22, top + 28), "+h")
    pen.text(text, top + 8, "station" if joint else "station, nearest in h slots")
    pen.text(text, top + 24, "twins / room for twins")
    pen.text(text, top + 40, "speed / that of the fastest")
    y, user, far = top + 134, (LEFT + 22, top + 66), (LEFT + 90, top + 62)
    if not joint:
        pen.line(((LEFT + 4, top + 74), user), 2.6, mix(PAPER, hue, 0.45))
    pen.line((user, far), 1 if joint else 2.2, mix(PAPER, hue, 0.4) if joint else hue)
    draw_user(pen, user, hue, 4.5 if joint else FOCAL)
    pen.text(text, top + 58, "user in the hue of its twin's")
    pen.text(text, top + 74, "host, at its access station" if joint else "host; walk; radio link")
    draw_flow(pen, np.array((LEFT + 6.0, top + 88)), np.array((LEFT + 90.0, top + 88)), 7, hue)
    pen.text(text, top + 92, "data from there to the host")
    bow = np.array(((LEFT - 20, top + 103), (LEFT + 45, top + 125), (LEFT + 115, top + 103)))
    draw_move(pen, bow[0], bow[1], bow[2], 1)
    pen.text(text, top + 111, "twin moved in this slot")
    draw_mark(pen, (LEFT + 9, y), hue, 4.5, True, False)
    pen.text(LEFT + 23, y, "late")
    draw_mark(pen, (LEFT + 69, y), hue, 3.8, False, True)
    pen.text(LEFT + 80, y, "migration")
    if not joint:
        pen.line(((LEFT + 158, y), (LEFT + 182, y)), 2.6, mix(PAPER, hue, 0.45))
        draw_handover(pen, np.array((LEFT + 170, y)), np.array((1.0, 0.0)))
        pen.text(LEFT + 188, y, "hand-off")
        draw_other(pen, (LEFT + 262, y), hue)
        pen.text(LEFT + 271, y, "other")
