"""What tables and page are made of: every track's entries in order, from a season's stored rows."""

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
from leaderboards.results import SeasonResults
from leaderboards.scores import iqm_interval, matrix, normalised, scores_of, tie_groups, with_headroom
from leaderboards.season import about_season
from leaderboards.tracks import TRACKS, Track

BOUND = "proven bound"
"""Name of the row that no entry can be above."""


@dataclass(frozen=True)
class Instance:
    """An entry on one instance."""

    cell: str
    index: int
    score: float
    """mean a slot"""
    normalised: float | None
    """0 is the reference, 1 the bound; None where they are the same"""
    violation_rate: float
    status: Literal["played", "late", "crashed", "invalid"]
    bound: float


@dataclass(frozen=True)
class Standing:
    """A line of a track's table."""

    entry: str
    kind: Literal["heuristic", "learner", "submission", "bound"]
    place: int | None
    """number of its tie group; None for what is not ranked"""
    feasible: bool
    iqm: Interval
    """of normalised scores"""
    score: Interval
    """mean over instances"""
    gap: float
    """mean distance to the bound, score a slot"""
    violation_rate: float
    failed: dict[str, int]
    """episodes that were not played to their end, by status"""
    decisions_per_second: float | None
    """by the median decision"""
    parameters: int | None
    authors: list[str]
    about: str
    manifest: dict[str, Any] | None
    """a submission's; a stranger wrote it"""
    instances: list[Instance]


@dataclass(frozen=True)
class TrackBoard:
    """A track's table."""

    track: Track
    standings: list[Standing]
    """best first, feasible before others"""
    instances: int
    without_headroom: int
    """of these; they count for nobody's normalised score"""
    film: dict[str, Any] | None = None
    """{"about": …, "world": …, "entries": {entry: film}}, of the first validation instance"""


@dataclass(frozen=True)
class Board:
    """A season's tables."""

    season: str
    revealed: bool
    commitment: str
    dtenv: str
    commit: str
    """that the latest of its entries were ranked with"""
    tracks: list[TrackBoard]


def board(
    results: SeasonResults,
    ranked: Sequence[entries.Entry] | None = None,
    films: Sequence[dict[str, Any]] = (),
) -> Board:
    """The tables of a season's tracks that have rows.

    Args:
        results: of the season.
        ranked: entries that may stand in it; by default all that there are.
        films: of the validation season, whose instances may be shown.

    Raises:
        ResultsError: rows of an entry that there is not, or a track without its references or bounds.
    """
    ranked = entries.every() if ranked is None else ranked
    path = results.folder / "season.json"
    about = about_season(path) if path.exists() else {"commitment": "", "dtenv": dtenv.__version__}
    tracks = [track_board(track, results, ranked, films) for track in TRACKS.values() if results.of(track)]
    commit = results.runs[-1]["commit"] if results.runs else ""
    return Board(results.season.name, bool(about.get("secret")), about["commitment"], about["dtenv"], commit, tracks)


def track_board(
    track: Track, results: SeasonResults, ranked: Sequence[entries.Entry], films: Sequence[dict[str, Any]] = ()
) -> TrackBoard:
    """A track's table.

    Raises:
        ResultsError: as `board`.
    """
    known = {entry.name: entry for entry in ranked if entry.track == track.name}
    bounds = results.bound(track)
    own: dict[str, list[dict[str, Any]]] = {}
    for row in results.of(track):
        own.setdefault(row["entry"], []).append(row)
    for name in own:
        if name not in known:
            raise ResultsError(f"{results.folder}: {name!r} has rows in {track.name!r} and is no entry there")
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
    lines = [dataclasses.replace(s, feasible=s.violation_rate <= track.allowed_violations) for s in lines]
    lines.sort(key=lambda s: (not s.feasible, -s.iqm.mean, s.entry))
    placed, last = [], 0
    for feasible in (True, False):
        group = [s for s in lines if s.feasible == feasible]
        places = [last + place for place in tie_groups([matrices[s.entry] for s in group])]
        placed += [dataclasses.replace(s, place=place) for s, place in zip(group, places, strict=True)]
        last = max(places, default=last)
    without = count - len(kept) * len(track.cells)
    top = _bound_line(track, reference, bounds)
    return TrackBoard(track, [top, *placed], count, without, _film(track, films, {*own}))


def _standing(
    entry: entries.Entry,
    rows: Sequence[dict[str, Any]],
    values: np.ndarray,
    reference: dict[tuple[str, int], float],
    bounds: dict[tuple[str, int], float],
    results: SeasonResults,
) -> Standing:
    about = next(e for e in results.entries if (e["track"], e["entry"]) == (entry.track, entry.name))
    manifest = entry.submission().manifest if entry.kind == "submission" else None
    instances = [_instance(row, reference, bounds) for row in rows]
    statuses = Counter(instance.status for instance in instances)
    return Standing(
        entry=entry.name,
        kind=entry.kind,
        place=None,
        feasible=True,
        iqm=iqm_interval(values),
        score=mean_interval([instance.score for instance in instances]),
        gap=float(np.mean([instance.bound - instance.score for instance in instances])),
        violation_rate=float(np.mean([instance.violation_rate for instance in instances])),
        failed={status: count for status, count in sorted(statuses.items()) if status != "played"},
        decisions_per_second=1.0 / about["seconds"] if about["seconds"] else None,
        parameters=about["parameters"],
        authors=manifest["authors"] if manifest else ["dtenv"],
        about=manifest["description"] if manifest else entries.about(entry),
        manifest=manifest,
        instances=instances,
    )


def _instance(
    row: dict[str, Any], reference: dict[tuple[str, int], float], bounds: dict[tuple[str, int], float]
) -> Instance:
    key = row["cell"], row["index"]
    share = normalised(row["score"], reference[key], bounds[key])
    return Instance(*key, row["score"], share, row["violation_rate"], row["status"], bounds[key])


def _bound_line(
    track: Track, reference: dict[tuple[str, int], float], bounds: dict[tuple[str, int], float]
) -> Standing:
    rows = [
        {"cell": cell.name, "index": index, "score": bounds[cell.name, index]}
        for cell in track.cells
        for index in range(track.episodes)
    ]
    instances = [_instance({**row, "violation_rate": 0.0, "status": "played"}, reference, bounds) for row in rows]
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
        about="No policy scores more, even one that knows what is to come (dtenv.oracle).",
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
