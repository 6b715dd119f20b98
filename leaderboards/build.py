"""Write leaderboards/TABLES.md and the page leaderboards/site/index.html from a season's stored rows.

python -m leaderboards build
python -m leaderboards build --check   # report stale files, write nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.suites.results import ResultsError
from leaderboards import season as seasons
from leaderboards.board import board
from leaderboards.page import page
from leaderboards.results import load
from leaderboards.tables import tables

FOLDER = Path(__file__).parent
TABLES, PAGE = FOLDER / "TABLES.md", FOLDER / "site" / "index.html"
HEAD = "# Leaderboard tables\n\nWritten by `python -m leaderboards build` from the rows in [`seasons/`](seasons).\n\n"


@dataclass
class Build:
    """Settings."""

    check: bool = False
    """write nothing; exit with status 1 if a file does not match the stored rows"""
    season: str = ""
    """name of the season; by default the newest that has rows"""


def main(settings: Build) -> None:
    """Build, or check."""
    try:
        texts = stale(settings.season or shown())
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(str(error)) from None
    if settings.check:
        if texts:
            files = " and ".join(str(path.relative_to(FOLDER.parent)) for path in texts)
            raise SystemExit(f"stale: {files} do not match the stored rows; run `python -m leaderboards build`")
        print("tables and page match the stored rows")
        return
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"{path.relative_to(FOLDER.parent)}: {len(text.encode()) / 1e6:.2f} MB")


def stale(name: str) -> dict[Path, str]:
    """Return the new content of files that do not match a season's rows, by path; raises like `built`."""
    return {path: text for path, text in built(name).items() if not path.exists() or path.read_text() != text}


def shown() -> str:
    """Name of the newest season that has rows; ResultsError if there is none."""
    for name in seasons.known():
        if (seasons.SEASONS / name / "rows.csv").exists():
            return name
    raise ResultsError(f"{seasons.SEASONS}: no season has rows; run `python -m leaderboards rank`")


def built(name: str) -> dict[Path, str]:
    """Return the content of the files by path; ResultsError for invalid rows."""
    made = board(load(seasons.read(name)), films=load(seasons.read(seasons.VALIDATION)).films)
    return {TABLES: HEAD + "\n".join(tables(made)).rstrip() + "\n", PAGE: page(made)}
