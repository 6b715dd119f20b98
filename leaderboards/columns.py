"""Columns of the tables and the page, formatting of their values, and cleaning of untrusted text."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from leaderboards.board import Standing, TrackBoard

LONGEST = 4000
"""Maximum number of characters shown of a text."""

COMBINING = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
STACK = re.compile(f"([{COMBINING}]{{3}})[{COMBINING}]+")
REORDERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def shown(text: object, longest: int = LONGEST) -> str:
    """Clean untrusted text of everything that reorders, breaks or overprints its surroundings.

    Directional marks, control characters and lone surrogates are escaped, at most three combining marks are kept in a
    row, and text longer than `longest` is truncated.
    """
    kept = "".join(_spelt(c) if _hostile(c) else c for c in str(text)[: longest + 1])
    kept = STACK.sub(r"\1", kept)
    return kept[:longest] + "…" if len(kept) > longest else kept


def _hostile(c: str) -> bool:
    return c in REORDERING or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")


def _spelt(c: str) -> str:
    return " " if c in "\t\r\n" else f"\\u{ord(c):04x}"


class Column(NamedTuple):
    """Column of a table."""

    key: str
    """name in links"""
    head: str
    note: str
    """description in one line"""
    text: Callable[[Standing], str]
    value: Callable[[Standing], float | str | None]
    """sort key"""
    falling: bool = False
    """whether more is better, so that sorting starts with the largest"""
    number: bool = True


def number(value: float | None, spec: str, unit: str = "") -> str:
    """Format a number; a dash for None and nan, no minus sign before zeros."""
    if value is None or math.isnan(value):
        return "–"
    text = format(value, spec)
    return (text if text.strip("-+0.,%") else text.lstrip("-")).replace("-", "−") + unit


def share(value: float) -> str:
    """Format a share in percent; a positive one is never shown as 0.0 %."""
    return "< 0.1 %" if 0.0 < value < 0.0005 else number(100 * value, ".1f", " %")


def iqm(standing: Standing) -> str:
    """Format the interquartile mean, such as 0.912 [0.903, 0.921]."""
    if math.isnan(standing.iqm.mean):
        return "–"
    mean, low, high = (number(value, ".3f") for value in standing.iqm)
    return f"{mean} [{low}, {high}]"


def failed(standing: Standing) -> str:
    """Format the failures, such as 3 (2 late, 1 invalid)."""
    kinds = [f"{count} {shown(status)}" for status, count in standing.failed.items() if count and status != "played"]
    return f"{failures(standing)} ({', '.join(kinds)})" if kinds else "0"


def failures(standing: Standing) -> int:
    """Number of episodes that were late, crashed or invalid."""
    return sum(count for status, count in standing.failed.items() if status != "played")


def ties(board: TrackBoard) -> dict[int, int]:
    """Number of entries per place."""
    places = [standing.place for standing in board.standings if standing.place is not None]
    return {place: places.count(place) for place in places}


def place(standing: Standing, tied: dict[int, int]) -> str:
    """Format a place, such as 1, 2=, or a dash if unranked."""
    if standing.place is None:
        return "–"
    return f"{standing.place}=" if tied[standing.place] > 1 else str(standing.place)


COLUMNS = (
    Column(
        "place",
        "Place",
        "entries without a significant difference in a paired test share one",
        lambda s: "",
        lambda s: s.place,
    ),
    Column("entry", "Entry", "", lambda s: shown(s.entry), lambda s: s.entry, number=False),
    Column("kind", "Kind", "", lambda s: s.kind, lambda s: s.kind, number=False),
    Column(
        "score",
        "Normalised score, IQM [95 %]",
        "interquartile mean of instances' scores, 0 the reference and 1 the bound, with its bootstrap interval",
        iqm,
        lambda s: s.iqm.mean,
        falling=True,
    ),
    Column(
        "gap", "Gap to bound", "mean of bound minus score, per slot", lambda s: number(s.gap, ".4f"), lambda s: s.gap
    ),
    Column(
        "violations",
        "Violations",
        "share of slots with a violated constraint",
        lambda s: share(s.violation_rate),
        lambda s: s.violation_rate,
    ),
    Column(
        "speed",
        "Decisions/s",
        "one observation at a time, on one core",
        lambda s: number(s.decisions_per_second, ",.0f"),
        lambda s: s.decisions_per_second,
        falling=True,
    ),
    Column(
        "parameters",
        "Parameters",
        "number of learned parameters",
        lambda s: number(s.parameters, ",d"),
        lambda s: s.parameters,
    ),
    Column("failed", "Failed", "episodes late, crashed or without a valid action", failed, failures),
)
"""Columns in display order."""
