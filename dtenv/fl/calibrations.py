"""A table of calibrations from their reports.

python -m dtenv.fl calibrations docs/results/calibration --out docs/results/calibration/table.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional


@dataclass(kw_only=True)
class Calibrations:
    """Settings of the table."""

    folder: Positional[Path]
    """holds the reports, *.fit.json"""
    out: Path | None = None
    """where to write the table as Markdown, besides printing it"""


def main(settings: Calibrations) -> None:
    """Print and write the table."""
    files = sorted(settings.folder.glob("*.fit.json"))
    if not files:
        raise SystemExit(f"folder {settings.folder} has no *.fit.json")
    lines = table([json.loads(file.read_text(encoding="utf-8")) for file in files])
    print("\n".join(lines))
    if settings.out is not None:
        settings.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(reports: list[dict[str, Any]]) -> list[str]:
    """Rows of reports: the metric that was to be published, errors in accuracy, and what became of it."""
    lines = [
        "| calibration | cells | RMSE | seeds' s.d. | largest D held out | rival RMSE | RMSE of Zhou 2025's α | "
        "at the largest φ and D, relative to φ = 0 | Zhou 2025 there | flags | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        found = report["fits"][report["metric"]]
        became = "profile" if report["refused"] is None else f"no profile: {report['refused']}"
        if "failed" in found:
            lines.append(f"| {report['name']} | {report['cells']} |" + " |" * 8 + f" {became} |")
            continue
        drops = found["drop_at_largest_size"]
        furthest = max(drops, key=float)
        spread = "" if found["repeat_sd"] is None else f"{found['repeat_sd']:.4f}"
        lines.append(
            f"| {report['name']} | {report['cells']} | {found['rmse']:.4f} | {spread} | {found['held_out_rmse']:.4f} | "
            f"{found['rival']['rmse']:.4f} | {found['published_rmse']:.3f} | "
            f"{drops[furthest]['measured']:.3f} | {drops[furthest]['published']:.3f} | "
            f"{', '.join(found['flags']) or 'none'} | {became} |"
        )
    return lines
