"""Times of recordings as seconds: numbers since an origin, ISO 8601 with or without zone, day-first dates."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

import numpy as np

from dtenv.traces.tables import Table

DAY_S = 86400.0
EPOCH = datetime(1970, 1, 1)
UNITS = ((1e17, 1e-9, "ns"), (1e14, 1e-6, "µs"), (1e11, 1e-3, "ms"), (-np.inf, 1.0, "s"))
"""Least size of numbers since 1970 in a unit, and its seconds: 1e11 s would be the year 5138."""
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")


class Clock(NamedTuple):
    """Seconds (rows,) and what they count."""

    seconds: np.ndarray
    kind: str  # "s", "ms", "UTC+08:00", "local time", …


def seconds_of(table: Table, column: int) -> Clock:
    """A column of times. Times with a zone are wall-clock time of the first row's offset.

    Raises:
        ValueError: a cell is no time, or some times have a zone and others none.
    """
    codes, texts = table.codes(column)
    if texts and NUMBER.match(texts[0]):
        values = table.numbers(column)
        if re.search(r"\b(ms|millis\w*)\b", table.header[column].lower()):
            return Clock(values * 1e-3, "ms")
        scale, unit = next((scale, unit) for least, scale, unit in UNITS if np.abs(values).max() >= least)
        return Clock(values * scale if scale != 1.0 else values, unit)
    moments: list[datetime] = []
    for code, text in enumerate(texts):
        moment = _moment(text)
        if moment is None:
            raise table.fault(
                int(np.argmax(codes == code)), column, "must be a time like 2014-06-01 10:22:00 or 01/06/14 10:22"
            )
        if moments and (moment.tzinfo is None) != (moments[0].tzinfo is None):
            row = int(np.argmax(codes == code))
            raise table.fault(row, column, f"must have a zone or none, as {texts[0]!r} has")
        moments.append(moment)
    if moments[0].tzinfo is None:
        return Clock(np.array([(moment - EPOCH).total_seconds() for moment in moments])[codes], "local time")
    offset = moments[0].utcoffset()
    assert offset is not None
    local = [
        (moment.astimezone(timezone.utc).replace(tzinfo=None) - EPOCH + offset).total_seconds() for moment in moments
    ]
    return Clock(np.array(local)[codes], moments[0].tzname() or "UTC")


def _moment(text: str) -> datetime | None:
    text = text.strip()
    try:
        if "/" in text:
            return datetime.strptime(text, "%d/%m/%y %H:%M")
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError:
        return None
