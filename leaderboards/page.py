"""A board as one page: tables that stand without scripts, and data that scripts sort, filter, draw and play."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from leaderboards.board import Board, Standing, TrackBoard
from leaderboards.columns import COLUMNS, failures, number, place, shown, ties

TEMPLATES = Path(__file__).parent / "templates"

SCRIPTS = ("view.js", "tables.js", "instances.js", "film.js", "player.js", "detail.js", "main.js")
"""In the order in which they stand on the page, as one module."""

AXIS = (-0.25, 1.05)
"""Scores at the ends of the interval bars."""

SUITES = {"DTAssociation-v0": "Association", "DTPlacementMA-v0": "Placement", "DTMigration-v0": "Migration"}
"""What the tracks of an environment are called."""

STATUSES = {"played": "p", "late": "l", "crashed": "c", "invalid": "i"}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'sha256-{script}'",
        "style-src 'sha256-{style}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""What the page may load and run: what stands in it, by hash."""


def page(board: Board) -> str:
    """The whole page, self-contained."""
    script = "\n".join((TEMPLATES / name).read_text() for name in SCRIPTS)
    style = (TEMPLATES / "page.css").read_text()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"shown": shown}
    return environment.get_template("page.html").render(
        board=board,
        columns=COLUMNS,
        suites=[(name, [t for t in board.tracks if t.track.env_id == env_id]) for env_id, name in SUITES.items()],
        groups=groups,
        row=row,
        percent=percent,
        bar=bar,
        policy=Markup(POLICY.format(script=digest(script), style=digest(style))),
        style=Markup(style),
        script=Markup(script),
        data=Markup(embedded(content(board))),
    )


def digest(text: str) -> str:
    """SHA-256 as content security policies write it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(content: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def content(board: Board) -> dict[str, Any]:
    """What scripts draw and play; numbers of an instance are in the order of `keys`, None where there is none."""
    return {"season": board.season, "axis": AXIS, "tracks": [track_content(track) for track in board.tracks]}


def track_content(board: TrackBoard) -> dict[str, Any]:
    """A track's instances, entries and film."""
    track = board.track
    keys = sorted({(i.cell, i.index) for standing in board.standings for i in standing.instances})
    bounds = {(i.cell, i.index): i.bound for standing in board.standings for i in standing.instances}
    tied = ties(board)
    return {
        "name": track.name,
        "title": track.title,
        "reference": track.reference,
        "keys": keys,
        "bound": [digits(bounds[key]) for key in keys],
        "entries": [entry_content(standing, keys, tied) for standing in board.standings],
        "film": board.film,
    }


def entry_content(standing: Standing, keys: Sequence[tuple[str, int]], tied: dict[int, int]) -> dict[str, Any]:
    """An entry: facts as tables write them, what it says about itself, and its instances."""
    instances = {(i.cell, i.index): i for i in standing.instances}
    own = [instances.get(key) for key in keys]
    facts = [[column.head, column.text(standing)] for column in COLUMNS if column.key not in ("place", "entry")]
    score = "{} [{}, {}]".format(*(number(value, ".4g") for value in standing.score))
    return {
        "entry": standing.entry,
        "title": shown(standing.entry, 200),
        "facts": [["Place", place(standing, tied)], *facts, ["Score a slot [95 %]", score]],
        "feasible": standing.feasible,
        "authors": [shown(author, 200) for author in standing.authors],
        "about": shown(standing.about),
        "manifest": [] if standing.manifest is None else lines(standing.manifest),
        "score": [None if i is None else digits(i.score) for i in own],
        "normalised": [None if i is None else digits(i.normalised, 5) for i in own],
        "violations": [None if i is None else digits(i.violation_rate, 3) for i in own],
        "status": "".join("-" if i is None else STATUSES[i.status] for i in own),
    }


def lines(value: Any, name: str = "", depth: int = 0) -> list[list[str]]:
    """A manifest's fields: names, texts and, third, links where there are; nested ones by dotted names; 200 at most."""
    if isinstance(value, dict) and value and depth < 6:
        inner = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value) and depth < 6:
        inner = [(f"{name}[{i}]", part) for i, part in enumerate(value)]
    else:
        told = ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)
        return [[shown(name, 200), shown(told), *([told] if https(told) else [])]]
    return [line for key, part in inner for line in lines(part, key, depth + 1)][:200]


def digits(value: float | None, significant: int = 7) -> float | None:
    """Rounded, since pictures and lists need no more; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{significant}g}")
    return int(short) if short.is_integer() else short


def groups(board: TrackBoard) -> list[tuple[str, list[Standing]]]:
    """A track's rows: those that are not ranked, then feasible and infeasible entries; empty groups are left out."""
    found: dict[str, list[Standing]] = {"unranked": [], "feasible": [], "infeasible": []}
    for standing in board.standings:
        ranked = standing.kind != "bound" and (standing.place is not None or not standing.feasible)
        found["unranked" if not ranked else "feasible" if standing.feasible else "infeasible"].append(standing)
    return [(name, standings) for name, standings in found.items() if standings]


def row(board: TrackBoard, standing: Standing) -> dict[str, Any]:
    """What the template writes of a standing: texts and sorting values by column, and how its place is drawn."""
    tied = ties(board)
    return {
        "text": {column.key: column.text(standing) for column in COLUMNS} | {"place": place(standing, tied)},
        "value": {column.key: sortable(column.value(standing)) for column in COLUMNS},
        "others": 0 if standing.place is None else tied[standing.place] - 1,
        "failures": failures(standing),
        "search": " ".join((standing.entry, *standing.authors)).casefold().encode("utf-8", "replace").decode(),
    }


def sortable(value: float | str | None) -> str:
    """A value as an attribute; empty for none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return shown(value, 200).casefold() if isinstance(value, str) else repr(value)


def percent(score: float) -> str:
    """Where a score lies on the bars' axis, at its ends at most."""
    low, high = AXIS
    return f"{100 * (min(max(score, low), high) - low) / (high - low):.2f}%"


def bar(standing: Standing) -> dict[str, Any] | None:
    """Positions of a standing's interval bar, and whether it lies beyond the axis; None without a score."""
    mean, low, high = standing.iqm
    if not all(map(math.isfinite, standing.iqm)):
        return None
    return {"mean": percent(mean), "low": percent(low), "high": percent(high), "beyond": mean < AXIS[0]}


def https(url: str) -> bool:
    """Whether a stranger's text is a link that may be one: over https, to a host, in plain letters."""
    return (
        len(url) < 500
        and re.fullmatch(r"https://[a-z0-9.-]+(:\d+)?(/[\w.~:/?#@!$&'()*+,;=%-]*)?", url, re.ASCII | re.IGNORECASE)
        is not None
    )
