"""Untrusted text: allowed characters, and quoting in messages."""

from __future__ import annotations

import unicodedata
from typing import Any

MARKS = 2
"""Allowed combining marks in a row: enough for all scripts, too few to overprint other lines."""

CATEGORIES = {
    "Cc": "control",
    "Cf": "invisible or direction-changing",
    "Cn": "unassigned",
    "Co": "private-use",
    "Cs": "surrogate",
    "Zl": "line-separating",
    "Zp": "paragraph-separating",
}
"""Forbidden Unicode general categories; bidirectional overrides and zero-width characters are in Cf."""

BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Invisible letters and marks, in addition to the variation selectors."""


def quoted(value: Any, length: int = 80) -> str:
    """Quote a value in ASCII, escaped and truncated, so that it cannot forge or flood a message."""
    text = ascii(value)
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def problems(text: str) -> list[str]:
    """Return the problems of a line of free text, at most one of each kind."""
    wrong: dict[str, None] = {}
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        kind = CATEGORIES.get(category)
        if character in BLANK or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
            kind = "invisible"
        elif category == "Zs" and character != " ":
            kind = "space-like"
        if kind is not None:
            wrong.setdefault(f"must contain no {kind} characters, got U+{ord(character):04X}")
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS:
            wrong.setdefault(f"must contain at most {MARKS} combining marks in a row")
    if not unicodedata.is_normalized("NFC", text):
        wrong.setdefault("must be in Unicode's normal form C (NFC)")
    if text != text.strip():
        wrong.setdefault("must not begin or end with a space")
    return list(wrong)
