"""The board as a single HTML page: tables that work without scripts, and data for sorting, filtering and playback."""

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
"""Scripts of the page, concatenated in this order into one module."""

AXIS = (-0.25, 1.05)
"""Scores at the ends of the interval bars."""

SUITES = {"DTAssociation-v0": "Association", "DTPlacementMA-v0": "Placement", "DTMigration-v0": "Migration"}
"""Headings of the environments' tracks."""

STATUSES = {"played": "p", "late": "l", "crashed": "c", "invalid": "i"}

POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content security policy: the page may run only its own script and style, identified by hash."""


def page(board: Board) -> str:
    """Render the self-contained page."""
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
    """SHA-256 in the notation of content security policies."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(content: Any) -> str:
    """Encode JSON so that it cannot close its HTML element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def content(board: Board) -> dict[str, Any]:
    """Data of the scripts; values per instance follow the order of `keys`, None where missing."""
    return {"season": board.season, "axis": AXIS, "tracks": [track_content(track) for track in board.tracks]}


def track_content(board: TrackBoard) -> dict[str, Any]:
    """Instances, entries and film of a track."""
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
    """Data of an entry: table cells, its self-description, and its instances."""
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
    """Fields of a manifest as [name, text] or [name, text, link], nested ones with dotted names; at most 200."""
    if isinstance(value, dict) and value and depth < 6:
        inner = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value) and depth < 6:
        inner = [(f"{name}[{i}]", part) for i, part in enumerate(value)]
    else:
        raw = ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)
        return [[shown(name, 200), shown(raw), *([raw] if https(raw) else [])]]
    return [line for key, part in inner for line in lines(part, key, depth + 1)][:200]


def digits(value: float | None, significant: int = 7) -> float | None:
    """Round to significant digits, enough for plots and lists; None if the value is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{significant}g}")
    return int(short) if short.is_integer() else short


def groups(board: TrackBoard) -> list[tuple[str, list[Standing]]]:
    """Rows of a track in groups: unranked, feasible and infeasible; empty groups are omitted."""
    found: dict[str, list[Standing]] = {"unranked": [], "feasible": [], "infeasible": []}
    for standing in board.standings:
        ranked = standing.kind != "bound" and (standing.place is not None or not standing.feasible)
        found["unranked" if not ranked else "feasible" if standing.feasible else "infeasible"].append(standing)
    return [(name, standings) for name, standings in found.items() if standings]


def row(board: TrackBoard, standing: Standing) -> dict[str, Any]:
    """Template values of a standing: texts and sort keys by column, size of its tie, failures, search text."""
    tied = ties(board)
    return {
        "text": {column.key: column.text(standing) for column in COLUMNS} | {"place": place(standing, tied)},
        "value": {column.key: sortable(column.value(standing)) for column in COLUMNS},
        "others": 0 if standing.place is None else tied[standing.place] - 1,
        "failures": failures(standing),
        "search": " ".join((standing.entry, *standing.authors)).casefold().encode("utf-8", "replace").decode(),
    }


def sortable(value: float | str | None) -> str:
    """Encode a sort key as an attribute; empty if missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return shown(value, 200).casefold() if isinstance(value, str) else repr(value)


def percent(score: float) -> str:
    """Position of a score on the bars' axis, clipped to its ends."""
    low, high = AXIS
    return f"{100 * (min(max(score, low), high) - low) / (high - low):.2f}%"


def bar(standing: Standing) -> dict[str, Any] | None:
    """Positions of a standing's interval bar, and whether it lies beyond the axis; None without a score."""
    mean, low, high = standing.iqm
    if not all(map(math.isfinite, standing.iqm)):
        return None
    return {"mean": percent(mean), "low": percent(low), "high": percent(high), "beyond": mean < AXIS[0]}


def https(url: str) -> bool:
    """Whether untrusted text is a safe link: https, a host, ASCII characters only."""
    pattern = r"https://[a-z0-9.-]+(:\d+)?(/[\w.~:/?#@!$&'()*+,;=%-]*)?"
    return len(url) < 500 and re.fullmatch(pattern, url, re.ASCII | re.IGNORECASE) is not None
