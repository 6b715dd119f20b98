"""Rows of `benchmarks.speed`'s tables, and their Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.speed.contenders import Contender
from benchmarks.speed.players import Played
from dtenv.reporting.markdown import markdown_table


def times(ours: list[float], theirs: list[float]) -> float:
    """Ratio of speeds in the median turn."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def speed_rows(every: Sequence[Contender], turns: Mapping[str, Sequence[Played]]) -> list[dict[str, Any]]:
    """Rows of the contenders."""
    speeds = {name: [play.speed for play in played] for name, played in turns.items()}
    by_speed = sorted(every, key=lambda contender: statistics.median(speeds[contender.name]))
    fastest = {contender.family: contender.name for contender in by_speed}
    rows = []
    for contender in every:
        own = speeds[contender.name]
        others = [fastest.get(other, other) for other in contender.against]
        ratios = [f"{_ratio(times(own, speeds[other]))}x {other}" for other in others if other in speeds]
        api = None if not contender.bare else 1.0 - times(own, speeds[contender.bare])
        drawing = [play.drawing / play.seconds for play in turns[contender.name] if play.drawing is not None]
        rows.append(
            {"environment": contender.name, "num_envs": contender.num_envs, "played": contender.played}
            | {"env_steps_per_second": round(statistics.median(own), 1)}
            | {"lowest": round(min(own), 1), "highest": round(max(own), 1)}
            | {"asked": contender.asked, "api_share": None if api is None else round(api, 4)}
            | {"drawing_share": round(statistics.median(drawing), 4) if drawing else None}
            | {"times_as_fast_as": "; ".join(ratios)}
        )
    return rows


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10.0 else f"{value:.2g}"


HEADS = {
    "env_id": "environment",
    "num_envs": "envs",
    "env_steps_per_second": "env-steps/s",
    "api_share": "API",
    "drawing_share": "drawing",
    "times_as_fast_as": "times as fast as",
    "axis": "growing",
    "us_per_env_step": "µs/env-step",
    "ns_per_user_and_server": "ns/(users · servers)",
    "array_bytes_per_env": "bytes of arrays/env",
    "resident_bytes_per_env": "resident bytes/env",
    "growth_mib": "growth in two episodes, MiB",
    "peak_mib": "peak of the process, MiB",
    "cold_s": "cold start, s",
    "cold_processes": "processes",
    "warm_s": "warm start, s",
    "warm_processes": "processes",
}
"""Titles of columns in Markdown, where they differ from the name."""


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table, with numbers right-aligned."""
    numbers = [i for i, column in enumerate(rows[0]) if any(isinstance(row[column], int | float) for row in rows)]
    cells = [[_cell(*item) for item in row.items()] for row in rows]
    return "\n".join(markdown_table([HEADS.get(column, column) for column in rows[0]], cells, right=numbers))


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column.endswith("_share"):
        return f"{100 * value:.1f} %"
    if isinstance(value, float) and abs(value) >= 1000.0:
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int | float) else value
