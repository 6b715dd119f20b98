"""Rerun a revealed season, every episode and proof, and compare each stored number bit for bit, then tables and page.

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
from leaderboards.rank import derive, missing_proofs, record_result, same_rules, with_seeds
from leaderboards.results import KEYS, SeasonResults, load
from leaderboards.tracks import TRACKS

TIMED = ("seconds", "machine")
"""Columns of entries.csv that differ between runs."""

SHOWN = 20


@dataclass
class Rederive:
    """Settings."""

    season: tyro.conf.Positional[str] = ""
    """name of the season; by default the published one"""
    tracks: list[str] = field(default_factory=list)
    """tracks to rerun; by default all"""
    bounds: bool = True
    """also prove the bounds again, which takes most of the time"""
    workers: int = cores()
    """number of parallel processes"""


def main(settings: Rederive) -> None:
    """Compare; exits with status 1 if a number differs."""
    try:
        season = with_seeds(settings.season or build.shown(), None)
        same_rules(season)
        for name in settings.tracks:
            if name not in TRACKS:
                raise ValueError(f"tracks: must be among {', '.join(TRACKS)}, got {name!r}")
        stored = load(season)
        again = run_again(stored, settings.tracks, settings.bounds, settings.workers)
        found = differences(selected(stored, settings.tracks, settings.bounds), again)
        if season.name == build.shown():
            found += [f"{path}: does not match the rows" for path in build.stale(season.name)]
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    counts = ", ".join(f"{len(getattr(again, name))} {name}" for name in ("rows", "bounds", "films"))
    if found:
        more = f"\n… and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SystemExit("\n".join(found[:SHOWN]) + more + f"\n{len(found)} differences in {counts}")
    print(f"season {season.name}: {counts} derived again, all equal")


def selected(results: SeasonResults, names: Sequence[str], bounds: bool) -> SeasonResults:
    """Restrict results to some tracks, with or without bounds."""
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
    """Recompute the selected results from the season's seeds and the entries alone.

    Raises ValueError if an entry with rows no longer exists.
    """
    kept = selected(stored, names, bounds)
    known = {(entry.track, entry.name): entry for entry in entries.all_entries(tracks=names)}
    keys = [(row["track"], row["entry"]) for row in kept.entries]
    for track, name in keys:
        if (track, name) not in known:
            raise ValueError(f"{stored.folder}: {name!r} was ranked in {track!r} but is no longer an entry of it")
    due = [known[key] for key in keys]
    left = missing_proofs(stored.season, list(dict.fromkeys(track for track, _ in keys)), set()) if bounds else []
    again = SeasonResults(stored.season, stored.folder, [], [], [], [])
    for job, given in derive(stored.season, due, left, workers):
        record_result(again, job, given)
    again.check()
    return again


def differences(stored: SeasonResults, again: SeasonResults) -> list[str]:
    """Return every number that differs in any bit, one line each."""
    found = []
    for name, key in {**KEYS, "films": ("track", "entry")}.items():
        old, new = (_by(getattr(results, name), key) for results in (stored, again))
        for missing, problem in ((new.keys() - old.keys(), "not stored"), (old.keys() - new.keys(), "not derived")):
            found += [f"{name}: {_label(key, at)}: {problem}" for at in sorted(missing, key=str)]
        for at in old.keys() & new.keys():
            for column in old[at].keys() | new[at].keys():
                ours, theirs = old[at].get(column), new[at].get(column)
                if column not in TIMED and repr(ours) != repr(theirs):
                    values = f"stored {repr(ours)[:60]}, derived {repr(theirs)[:60]}"
                    found.append(f"{name}: {_label(key, at)}: {column} {values}")
    return sorted(found)


def _by(rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    return {tuple(row.get(name) for name in key): row for row in rows}


def _label(key: Sequence[str], at: Sequence[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(key, at, strict=True))
