"""Data of the tables and the page: every track's entries in order, from a season's stored rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import dtenv
from benchmarks.statistics import Interval, mean_interval
from benchmarks.suites.results import ResultsError
from leaderboards import entries
from leaderboards.results import SeasonResults, instances_of
from leaderboards.scores import Scores, iqm_interval, matrix, normalised, scores_of, tie_groups, with_headroom
from leaderboards.season import about_season
from leaderboards.tracks import TRACKS, Track

BOUND = "proven bound"
"""Name of the row of proven bounds, above all entries."""


@dataclass(frozen=True)
class Instance:
    """Result of an entry on one instance."""

    cell: str
    index: int
    score: float
    """mean over slots"""
    normalised: float | None
    """0 at the reference, 1 at the bound; None if they are equal"""
    violation_rate: float
    status: Literal["played", "late", "crashed", "invalid"]
    bound: float


@dataclass(frozen=True)
class Standing:
    """Row of a track's table."""

    entry: str
    kind: Literal["heuristic", "learner", "submission", "bound"]
    place: int | None
    """number of the tie group; None if unranked"""
    feasible: bool
    iqm: Interval
    """interquartile mean of normalised scores"""
    score: Interval
    """mean over instances"""
    gap: float
    """mean distance to the bound, score per slot"""
    violation_rate: float
    failed: dict[str, int]
    """number of failed episodes by status"""
    decisions_per_second: float | None
    """from the median decision"""
    parameters: int | None
    authors: list[str]
    about: str
    manifest: dict[str, Any] | None
    """manifest of a submission, untrusted"""
    instances: list[Instance]


@dataclass(frozen=True)
class TrackBoard:
    """Table of a track."""

    track: Track
    standings: list[Standing]
    """best first, feasible entries before others"""
    instances: int
    without_headroom: int
    """number of instances that are left out of normalised scores"""
    film: dict[str, Any] | None = None
    """{"about": …, "world": …, "entries": {entry: film}}, of the first validation instance"""


@dataclass(frozen=True)
class Board:
    """Tables of a season."""

    season: str
    revealed: bool
    commitment: str
    dtenv: str
    commit: str
    """commit that the latest of its entries were ranked with"""
    tracks: list[TrackBoard]


def board(
    results: SeasonResults, ranked: Sequence[entries.Entry] | None = None, films: Sequence[dict[str, Any]] = ()
) -> Board:
    """Build the tables of a season's tracks that have rows.

    `ranked` are the known entries, by default all; `films` are those of the validation season, whose instances are
    public. Raises ResultsError for rows of an unknown entry, or a track without its reference or bounds.
    """
    ranked = entries.all_entries() if ranked is None else ranked
    path = results.folder / "season.json"
    about = about_season(path) if path.exists() else {"commitment": "", "dtenv": dtenv.__version__}
    tracks = [track_board(track, results, ranked, films) for track in TRACKS.values() if results.of(track)]
    commit = results.runs[-1]["commit"] if results.runs else ""
    return Board(results.season.name, bool(about.get("secret")), about["commitment"], about["dtenv"], commit, tracks)


def track_board(
    track: Track, results: SeasonResults, ranked: Sequence[entries.Entry], films: Sequence[dict[str, Any]] = ()
) -> TrackBoard:
    """Build a track's table; raises like `board`."""
    known = {entry.name: entry for entry in ranked if entry.track == track.name}
    bounds = results.bound(track)
    own: dict[str, list[dict[str, Any]]] = {}
    for row in results.of(track):
        own.setdefault(row["entry"], []).append(row)
    for name in own:
        if name not in known:
            raise ResultsError(f"{results.folder}: {name!r} has rows in {track.name!r} but is not an entry of it")
    if track.reference not in own:
        raise ResultsError(f"{results.folder}: the reference {track.reference!r} has no rows in {track.name!r}")
    count = track.episodes * len(track.cells)
    if len(bounds) != count:
        raise ResultsError(f"{results.folder}: {len(bounds)} of {count} bounds of {track.name!r} are proven")
    reference = scores_of(own[track.reference])
    kept = with_headroom(track, reference, bounds)
    if len(kept) < 2:
        raise ResultsError(f"{results.folder}: {track.reference!r} is at the bound everywhere in {track.name!r}")
    matrices = {name: matrix(track, scores_of(rows), reference, bounds) for name, rows in own.items()}
    lines = [_standing(known[name], rows, matrices[name], reference, bounds, results) for name, rows in own.items()]
    lines.sort(key=lambda s: (not s.feasible, -s.iqm.mean, s.entry))
    placed, last = [_bound_line(track, reference, bounds)], 0
    for feasible in (True, False):
        group = [s for s in lines if s.feasible == feasible]
        places = [last + place for place in tie_groups([matrices[s.entry] for s in group])]
        placed += [dataclasses.replace(s, place=place) for s, place in zip(group, places, strict=True)]
        last = max(places, default=last)
    return TrackBoard(track, placed, count, count - len(kept) * len(track.cells), _film(track, films, {*own}))


def _standing(
    entry: entries.Entry,
    rows: Sequence[dict[str, Any]],
    values: np.ndarray,
    reference: Scores,
    bounds: Scores,
    results: SeasonResults,
) -> Standing:
    about = next(e for e in results.entries if (e["track"], e["entry"]) == (entry.track, entry.name))
    manifest = entry.submission().manifest if entry.kind == "submission" else None
    instances = [_instance(row, reference, bounds) for row in rows]
    statuses = Counter(instance.status for instance in instances)
    violation_rate = float(np.mean([instance.violation_rate for instance in instances]))
    return Standing(
        entry=entry.name,
        kind=entry.kind,
        place=None,
        feasible=violation_rate <= TRACKS[entry.track].allowed_violations,
        iqm=iqm_interval(values),
        score=mean_interval([instance.score for instance in instances]),
        gap=float(np.mean([instance.bound - instance.score for instance in instances])),
        violation_rate=violation_rate,
        failed={status: count for status, count in sorted(statuses.items()) if status != "played"},
        decisions_per_second=1.0 / about["seconds"] if about["seconds"] else None,
        parameters=about["parameters"],
        authors=manifest["authors"] if manifest else ["dtenv"],
        about=manifest["description"] if manifest else entries.about(entry),
        manifest=manifest,
        instances=instances,
    )


def _instance(row: dict[str, Any], reference: Scores, bounds: Scores) -> Instance:
    key = row["cell"], row["index"]
    share = normalised(row["score"], reference[key], bounds[key])
    return Instance(*key, row["score"], share, row["violation_rate"], row["status"], bounds[key])


def _bound_line(track: Track, reference: Scores, bounds: Scores) -> Standing:
    ends = [(key, bounds[key], reference[key]) for key in instances_of(track)]
    instances = [Instance(*key, end, normalised(end, zero, end), 0.0, "played", end) for key, end, zero in ends]
    return Standing(
        entry=BOUND,
        kind="bound",
        place=None,
        feasible=True,
        iqm=Interval(1.0, 1.0, 1.0),
        score=mean_interval([instance.score for instance in instances]),
        gap=0.0,
        violation_rate=0.0,
        failed={},
        decisions_per_second=None,
        parameters=None,
        authors=["dtenv"],
        about="No policy scores more, even one that knows the future (dtenv.oracle).",
        manifest=None,
        instances=instances,
    )


def _film(track: Track, films: Sequence[dict[str, Any]], names: set[str]) -> dict[str, Any] | None:
    own = [film for film in films if film["track"] == track.name]
    worlds = [film["world"] for film in own if "world" in film]
    if not worlds:
        return None
    about = "The first of the public validation instances; instances of a season stay hidden until its end."
    shown = {film["entry"]: film["film"] for film in own if film.get("entry") in names}
    return {"about": about, "world": worlds[0], "entries": shown}
