"""Strangers' text: what it may hold, and how messages quote it."""

from __future__ import annotations

import unicodedata
from typing import Any

MARKS = 2
"""Combining marks in a row: what scripts need, and too few to smear over other lines."""

CATEGORIES = {
    "Cc": "control",
    "Cf": "invisible or direction-changing",
    "Cn": "unassigned",
    "Co": "private-use",
    "Cs": "surrogate",
    "Zl": "line-separating",
    "Zp": "paragraph-separating",
}
"""Unicode's general categories that no text needs: bidirectional overrides and zero-width ones are in Cf."""

BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that show nothing; variation selectors beside them."""


def quoted(value: Any, length: int = 80) -> str:
    """A value in ASCII, escaped and cut, so that no message is forged or flooded by it."""
    text = ascii(value)
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def problems(text: str) -> list[str]:
    """What is wrong with a line of free text, at most once a kind."""
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
            wrong.setdefault(f"must hold no {kind} characters, got U+{ord(character):04X}")
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS:
            wrong.setdefault(f"must hold at most {MARKS} combining marks in a row")
    if not unicodedata.is_normalized("NFC", text):
        wrong.setdefault("must be in Unicode's normal form C (NFC)")
    if text != text.strip():
        wrong.setdefault("must not begin or end with a space")
    return list(wrong)
