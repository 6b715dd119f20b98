"""Table of calibrations from their reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def table_of_folder(folder: Path) -> list[str]:
    """Return the lines of the table of a folder's reports, *.fit.json; SystemExit if there are none."""
    files = sorted(folder.glob("*.fit.json"))
    if not files:
        raise SystemExit(f"folder {folder} has no *.fit.json")
    return table([json.loads(file.read_text(encoding="utf-8")) for file in files])


def table(reports: list[dict[str, Any]]) -> list[str]:
    """Return a line per report: name, errors of the chosen metric in accuracy, flags, and whether it has a profile."""
    lines = [
        "| calibration | cells | RMSE | seeds' s.d. | largest D held out | rival RMSE | RMSE of Zhou 2025's α | "
        "at the largest φ and D, relative to φ = 0 | Zhou 2025 there | flags | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        found = report["fits"][report["metric"]]
        linked = f"[{report['name']}]({report['name']}.png)"  # links to the plot
        became = "profile" if report["refused"] is None else f"no profile: {report['refused']}"
        if "failed" in found:
            lines.append(f"| {linked} | {report['cells']} |" + " |" * 8 + f" {became} |")
            continue
        drops = found["drop_at_largest_size"]
        furthest = max(drops, key=float)
        spread = "" if found["repeat_sd"] is None else f"{found['repeat_sd']:.4f}"
        lines.append(
            f"| {linked} | {report['cells']} | {found['rmse']:.4f} | {spread} | {found['held_out_rmse']:.4f} | "
            f"{found['rival']['rmse']:.4f} | {found['published_rmse']:.3f} | "
            f"{drops[furthest]['measured']:.3f} | {drops[furthest]['published']:.3f} | "
            f"{', '.join(found['flags']) or 'none'} | {became} |"
        )
    return lines
