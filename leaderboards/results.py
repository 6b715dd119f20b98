"""Files of a season's folder: rows, bounds and films, which can be derived again, and a log of the runs.

season.json    commitment and hashes of the tracks; once revealed, the secret
entries.csv    one row per ranked entry: the policy's hash, decisions and their median seconds (not derived again)
rows.csv       one row per episode; every row of the CSV files ends with its own checksum
bounds.csv     one row per proven bound
films.jsonl    validation only: one line per world, one per entry with its decisions
runs.jsonl     one line per ranking run: command, commit, versions, machine, isolation
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.suites.results import ResultsError, append_rows, read_rows, unique
from dtenv.oracle import check_bound
from leaderboards.season import Season
from leaderboards.tracks import FAILED_EPISODE_AGENT, TRACKS, Track

MEANS = ("score", "objective", "violation_rate", "cost")
"""Columns that are means over an episode's slots."""

ROWS = ("track", "cell", "entry", "index", *MEANS, "slots", "status")
BOUNDS = ("env_id", "cell", "index", "bound", "proof")
ENTRIES = ("track", "entry", "policy_sha256", "parameters", "decisions", "seconds", "machine")
KEYS = {"rows": ("track", "cell", "entry", "index"), "bounds": ("env_id", "cell", "index"), "entries": ENTRIES[:2]}
COLUMNS = {"rows": ROWS, "bounds": BOUNDS, "entries": ENTRIES}
WHOLE = ("index", "slots", "parameters", "decisions")
TEXT = ("track", "cell", "entry", "status", "env_id", "proof", "policy_sha256", "machine")


@dataclass
class SeasonResults:
    """Contents of a season's folder."""

    season: Season
    folder: Path
    rows: list[dict[str, Any]]
    bounds: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    films: list[dict[str, Any]]
    """{"track", "world"} or {"track", "entry", "film"}"""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """log of ranking runs"""

    def of(self, track: Track) -> list[dict[str, Any]]:
        """Rows of a track."""
        return [row for row in self.rows if row["track"] == track.name]

    def bound(self, track: Track) -> dict[tuple[str, int], float]:
        """Bounds of a track's instances by cell and index."""
        names = {cell.name for cell in track.cells}
        own = [row for row in self.bounds if row["env_id"] == track.env_id and row["cell"] in names]
        return {(row["cell"], row["index"]): row["bound"] for row in own if row["index"] < track.episodes}

    def check(self) -> None:
        """Check that entries played exactly the instances of their tracks and exceed no bound.

        Raises ResultsError for unknown tracks or missing episodes; BoundExceeded, an error of dtenv's, for a score
        above a bound.
        """
        path = self.folder / "rows.csv"
        played: dict[tuple[str, str], set[tuple[str, int]]] = {}
        for row in self.rows:
            if row["track"] not in TRACKS:
                raise ResultsError(f"{path}: track {row['track']!r} is unknown")
            played.setdefault((row["track"], row["entry"]), set()).add((row["cell"], row["index"]))
        for (name, entry), instances in played.items():
            if instances != set(instances_of(TRACKS[name])):
                raise ResultsError(f"{path}: {entry!r} must have played exactly the instances of track {name!r}")
        for track in TRACKS.values():
            bounds = self.bound(track)
            for row in self.of(track):
                bound = bounds.get((row["cell"], row["index"]))
                if bound is not None:
                    check_bound(row["score"], bound, f"{row['entry']} on instance {row['index']} of {row['cell']}")

    def write(self) -> None:
        """Rewrite all files in an order that does not depend on the order of ranking."""
        places = list(TRACKS)
        self.rows.sort(key=lambda r: (places.index(r["track"]), r["entry"], r["cell"], r["index"]))
        self.bounds.sort(key=lambda r: (r["env_id"], r["cell"], r["index"]))
        self.entries.sort(key=lambda r: (places.index(r["track"]), r["entry"]))
        self.films.sort(key=lambda r: (places.index(r["track"]), "film" in r, r.get("entry", "")))
        for name, names in COLUMNS.items():
            part = self.folder / f"{name}.csv.part"
            part.unlink(missing_ok=True)
            append_rows(part, names, getattr(self, name))
            if part.exists():
                part.replace(self.folder / f"{name}.csv")
        if self.films:
            (self.folder / "films.jsonl").write_text("".join(line(film) for film in self.films))


def line(content: Mapping[str, Any]) -> str:
    """Encode as a line of JSON."""
    return json.dumps(content, separators=(",", ":")) + "\n"


def instances_of(track: Track) -> Iterable[tuple[str, int]]:
    """Cell and index of every instance."""
    return ((cell.name, index) for cell in track.cells for index in range(track.episodes))


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """Read one of the folder's CSV files, [] if it is missing; ResultsError names a changed, cut or duplicate line."""
    path = folder / f"{name}.csv"
    return unique(path, read_rows(path, COLUMNS[name], WHOLE, TEXT), KEYS[name]) if path.exists() else []


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file, [] if it is missing; ResultsError names an invalid line."""
    found = []
    for number, text in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError as error:
            raise ResultsError(f"{path} line {number}: must be JSON: {error.msg}") from None
    return found


def load(season: Season, folder: Path | None = None) -> SeasonResults:
    """Read and check a season's folder, without rows of entries that were interrupted.

    Raises ResultsError for invalid files; BoundExceeded, an error of dtenv's, for a score above a proven bound.
    """
    folder = folder or season.folder
    entries = read(folder, "entries")
    ended = {(row["track"], row["entry"]) for row in entries}
    rows = [row for row in read(folder, "rows") if (row["track"], row["entry"]) in ended]
    films = read_lines(folder / "films.jsonl")
    films = [film for film in films if "world" in film or (film["track"], film["entry"]) in ended]
    found = SeasonResults(
        season, folder, rows, read(folder, "bounds"), entries, films, read_lines(folder / "runs.jsonl")
    )
    found.check()
    return found


def fill_failed_episodes(rows: Sequence[dict[str, Any]], worst: Sequence[Mapping[str, Any]]) -> None:
    """Fill failed episodes of a track's `rows` with the means of `worst`, the rows of the entry FAILED_EPISODE_AGENT.

    Raises ResultsError if FAILED_EPISODE_AGENT was not played on such an instance.
    """
    means = {(row["cell"], row["index"]): {name: row[name] for name in MEANS} for row in worst}
    for row in rows:
        if row["status"] != "played":
            if (key := (row["cell"], row["index"])) not in means:
                raise ResultsError(
                    f"{FAILED_EPISODE_AGENT!r} was not played on instance {row['index']} of {row['cell']}"
                )
            row.update(means[key])
