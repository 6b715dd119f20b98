"""Runs a revealed season again, every episode and every proof, and compares each stored number to the last bit.

Then tables and page with what the rows give.

python -m leaderboards rederive
python -m leaderboards rederive validation --tracks migration-balanced
python -m leaderboards rederive --no-bounds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tyro

from benchmarks.evaluate import cores
from benchmarks.workers import JobFailed
from leaderboards import build, entries
from leaderboards.rank import derive, missing_proofs, open_eyed, same_rules, take
from leaderboards.results import KEYS, SeasonResults, load
from leaderboards.tracks import TRACKS

TIMED = ("seconds", "machine")
"""Columns of entries.csv that another run has otherwise."""

SHOWN = 20


@dataclass
class Rederive:
    """Settings."""

    season: tyro.conf.Positional[str] = ""
    """its name; by default the one of the page"""
    tracks: list[str] = field(default_factory=list)
    """by default all"""
    bounds: bool = True
    """prove the bounds again, too: most of the time"""
    workers: int = cores()
    """processes side by side"""


def main(settings: Rederive) -> None:
    """Compare; ends with status 1 if a number differs."""
    try:
        season = open_eyed(settings.season or build.shown(), None)
        path = season.folder / "season.json"
        if path.exists():
            same_rules(path)
        for name in settings.tracks:
            if name not in TRACKS:
                raise ValueError(f"tracks: must be of {', '.join(TRACKS)}, got {name!r}")
        stored = load(season)
        again = run_again(stored, settings.tracks, settings.bounds, settings.workers)
        found = differences(selected(stored, settings.tracks, settings.bounds), again)
        if season.name == build.shown():
            found += [f"{path}: is not what the rows give" for path in build.stale(season.name)]
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    counts = ", ".join(f"{len(getattr(again, name))} {name}" for name in ("rows", "bounds", "films"))
    if found:
        more = f"\n… and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SystemExit("\n".join(found[:SHOWN]) + more + f"\n{len(found)} differences in {counts}")
    print(f"season {season.name}: {counts} derived again, all the same")


def selected(results: SeasonResults, names: Sequence[str], bounds: bool) -> SeasonResults:
    """What of a season's results is of some tracks."""
    tracks = [TRACKS[name] for name in names or TRACKS]
    kept = {track.name for track in tracks}
    cells = {(track.env_id, cell.name) for track in tracks for cell in track.cells}

    def of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row["track"] in kept]

    proven = [row for row in results.bounds if bounds and (row["env_id"], row["cell"]) in cells]
    return SeasonResults(
        results.season, results.folder, of(results.rows), proven, of(results.entries), of(results.films)
    )


def run_again(stored: SeasonResults, names: Sequence[str], bounds: bool, workers: int) -> SeasonResults:
    """All that stored results have, from nothing but the season's seeds and the entries.

    Raises:
        ValueError: an entry has rows and is gone.
    """
    kept = selected(stored, names, bounds)
    known = {(entry.track, entry.name): entry for entry in entries.every(tracks=names)}
    keys = [(row["track"], row["entry"]) for row in kept.entries]
    for track, name in keys:
        if (track, name) not in known:
            raise ValueError(f"{stored.folder}: {name!r} was ranked in {track!r}, and is no entry there any more")
    due = [known[key] for key in keys]
    left = missing_proofs(stored.season, list(dict.fromkeys(track for track, _ in keys)), set()) if bounds else []
    again = SeasonResults(stored.season, stored.folder, [], [], [], [])
    for job, given in derive(stored.season, due, left, workers):
        take(again, job, given)
    again.check()
    return again


def differences(stored: SeasonResults, again: SeasonResults) -> list[str]:
    """Every number that is not the same, to the last bit; a line each."""
    found = []
    for name, key in {**KEYS, "films": ("track", "entry")}.items():
        old, new = (_by(getattr(results, name), key) for results in (stored, again))
        for missing, told in ((new.keys() - old.keys(), "not stored"), (old.keys() - new.keys(), "not derived")):
            found += [f"{name}: {_said(key, at)}: {told}" for at in sorted(missing, key=str)]
        for at in old.keys() & new.keys():
            for column in old[at].keys() | new[at].keys():
                ours, theirs = old[at].get(column), new[at].get(column)
                if column not in TIMED and repr(ours) != repr(theirs):
                    values = f"stored {repr(ours)[:60]}, derived {repr(theirs)[:60]}"
                    found.append(f"{name}: {_said(key, at)}: {column} {values}")
    return sorted(found)


def _by(rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    return {tuple(row.get(name) for name in key): row for row in rows}


def _said(key: Sequence[str], at: Sequence[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(key, at, strict=True))
