"""Result rows as JSON lines, resumable after a kill, and the settings of the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dtenv.reporting.compressed import read_text, stored, unpack

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """Return the rows of a file, [] if there is none; drop an incomplete last line, in the file too.

    Raises ValueError for any other line that is not a JSON object.
    """
    if not stored(path):
        return []
    text = read_text(path)
    whole = text[: text.rfind("\n") + 1]  # split only at newlines, as texts may contain other line breaks
    rows = []
    for number, line in enumerate(whole.split("\n")[:-1], start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: must be a JSON object, got {line[:60]!r}")
        rows.append(row)
    if whole != text:
        unpack(path)
        path.write_text(whole, encoding="utf-8")
    return rows


def append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a file, which is unpacked if it is compressed."""
    unpack(path)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write a folder's settings.json; ValueError names a setting that differs from an existing one."""
    folder.mkdir(parents=True, exist_ok=True)
    file, now = folder / "settings.json", json.loads(json.dumps(settings))
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else now
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            raise ValueError(f"out {str(folder)!r} was made with {name} {before.get(name)!r}, got {now.get(name)!r}")
    file.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
