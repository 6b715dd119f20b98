"""Run entries on a season's hidden instances and prove the bounds (maintainers).

python -m leaderboards rank 2027.1 --secret ~/2027.1.secret --workers 2
python -m leaderboards rank validation

Ranked entries are skipped. An interrupted run resumes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

import dtenv
from benchmarks.evaluate import manifest
from benchmarks.suites.results import ResultsError, append, append_rows
from benchmarks.workers import JobFailed
from benchmarks.workers import play as do
from leaderboards import entries
from leaderboards import season as seasons
from leaderboards.jobs import PlayEntry, Prove, proofs
from leaderboards.open_season import read_secret
from leaderboards.play import Played
from leaderboards.results import COLUMNS, SeasonResults, fill_failed_episodes, line, load
from leaderboards.submission import SUBMISSIONS, submissions
from leaderboards.tracks import FAILED_EPISODE_AGENT, TRACKS


@dataclass
class Rank:
    """Settings."""

    season: tyro.conf.Positional[str]
    """name of the season, or "validation" """
    secret: Path | None = None
    """file with the secret, for a season that has not been revealed"""
    entries: list[str] = field(default_factory=list)
    """entries to rank, in addition to the references; by default all that have not been ranked"""
    tracks: list[str] = field(default_factory=list)
    """tracks to rank them in; by default all"""
    workers: int = 1
    """number of parallel processes"""


def main(settings: Rank) -> None:
    """Rank, and store every result as soon as it is available."""
    try:
        season = with_seeds(settings.season, settings.secret)
        same_rules(season)
        if seasons.read(season.name).secret is not None:
            raise seasons.SeasonError(f"season {season.name!r} is over: its instances are known, so ranking has ended")
        results = load(season)
        chosen = entries.all_entries(settings.entries, settings.tracks)
        for refused in submissions(SUBMISSIONS)[1]:
            print(refused)
        unchanged(results, chosen)
        ranked = {(row["track"], row["entry"]) for row in results.entries}
        names = list(dict.fromkeys(entry.track for entry in chosen))
        due = [entry for entry in entries.all_entries(tracks=names) if entry in chosen or is_reference(entry)]
        due = [entry for entry in due if (entry.track, entry.name) not in ranked]
        known = {(row["env_id"], row["cell"], row["index"]) for row in results.bounds}
        left = missing_proofs(season, names, known)
        season.folder.mkdir(parents=True, exist_ok=True)
        results.write()  # drops the remains of an interrupted run
        layers = _rank(results, due, left, settings.workers)
        results.check()
        results.write()
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; run the same command to resume") from None
    run = {name: value for name, value in manifest().items() if not name.startswith("scenario")}
    run |= {"entries": len(due), "bounds": len(left), "workers": settings.workers, "isolation": layers}
    append(season.folder / "runs.jsonl", json.dumps({"date": time.strftime("%Y-%m-%d", time.gmtime()), **run}) + "\n")
    print(f"{season.folder}: {len(due)} entries played, {len(left)} bounds proven")


def with_seeds(name: str, secret: Path | None) -> seasons.Season:
    """Return a season with its seeds; SeasonError if they are not available."""
    season = seasons.read(name)
    if name == seasons.VALIDATION or season.secret is not None:
        return season
    if secret is None:
        raise seasons.SeasonError(f"secret must be given: season {name!r} has not been revealed")
    return season.with_secret(read_secret(secret))


def same_rules(season: seasons.Season) -> None:
    """Raise SeasonError unless dtenv and the tracks are those that the season was opened with."""
    path = season.folder / "season.json"
    if not path.exists():
        return
    about = seasons.about_season(path)
    if about["dtenv"] != dtenv.__version__:
        raise seasons.SeasonError(f"{path}: the season needs dtenv {about['dtenv']}, this is {dtenv.__version__}")
    for name, sha256 in about["tracks"].items():
        now = TRACKS[name].sha256 if name in TRACKS else None
        if now != sha256:
            raise seasons.SeasonError(f"{path}: track {name!r} has changed since the season was opened")


def unchanged(results: SeasonResults, chosen: Sequence[entries.Entry]) -> None:
    """Raise ResultsError if the policy of a ranked entry has changed."""
    hashes = {(row["track"], row["entry"]): row["policy_sha256"] for row in results.entries}
    for entry in chosen:
        ranked = hashes.get((entry.track, entry.name), entry.policy_sha256)
        if ranked != entry.policy_sha256:
            raise ResultsError(
                f"{results.folder}: {entry.name!r} was ranked with policy {ranked[:12]} and now has "
                f"{entry.policy_sha256[:12]}; a new policy needs a new name"
            )


def is_reference(entry: entries.Entry) -> bool:
    """Whether scores of other entries depend on this one."""
    return entry.folder is None and entry.name in (FAILED_EPISODE_AGENT, TRACKS[entry.track].reference)


def missing_proofs(season: seasons.Season, names: Sequence[str], known: set[tuple[str, str, int]]) -> list[Prove]:
    """Jobs for the missing bounds of tracks, without duplicates."""
    found: dict[tuple[str, str, int], Prove] = {}
    for track in (TRACKS[name] for name in names):
        for job in proofs(track, season, known):
            found.setdefault((track.env_id, job.cell, job.index), job)
    return list(found.values())


def derive(
    season: seasons.Season, due: Sequence[entries.Entry], left: Sequence[Prove], workers: int
) -> Iterator[tuple[PlayEntry | Prove, Any]]:
    """Play and prove, references first; yields every job with its result."""
    first = [PlayEntry(entry, season) for entry in due if is_reference(entry)]
    then = [*left, *(PlayEntry(entry, season) for entry in due if not is_reference(entry))]
    with tqdm(total=len(first) + len(then), desc=season.name, unit="job", smoothing=0.0) as bar:
        for batch in (first, then):
            for job, given in do(batch, workers=workers):
                yield job, given
                bar.update()
                bar.set_postfix_str(job.name)


def record_result(results: SeasonResults, job: PlayEntry | Prove, given: Any) -> dict[str, list[dict[str, Any]]]:
    """Add a job's result to `results` and return the new rows by file.

    Raises ResultsError if an episode failed and the entry FAILED_EPISODE_AGENT, whose score it gets, was not played.
    """
    if isinstance(job, Prove):
        new: dict[str, list[dict[str, Any]]] = {"bounds": [given]}
    else:
        track = job.entry.track
        fill_failed_episodes(
            given.rows, [r for r in results.rows if r["track"] == track and r["entry"] == FAILED_EPISODE_AGENT]
        )
        entry = {**given.entry, "machine": manifest()["machine"]}
        new = {"films": given.films, "rows": given.rows, "entries": [entry]}
    for name, rows in new.items():
        getattr(results, name).extend(rows)
    return new


def _rank(results: SeasonResults, due: list[entries.Entry], left: list[Prove], workers: int) -> dict[str, str]:
    layers: dict[str, str] = {}
    for job, given in derive(results.season, due, left, workers):
        for name, rows in record_result(results, job, given).items():  # entries last: they mark the others as complete
            if name == "films":
                append(results.folder / "films.jsonl", "".join(map(line, rows)))
            else:
                append_rows(results.folder / f"{name}.csv", COLUMNS[name], rows)
        if isinstance(given, Played):
            layers |= given.layers
            for failure in given.failures:
                tqdm.write(f"{job.name}: {failure}")
    return layers
