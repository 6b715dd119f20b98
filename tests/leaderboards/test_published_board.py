"""The published leaderboard: complete, up to date, and reproduced where that is quick."""

import dataclasses
import re
from pathlib import Path

import pytest

from leaderboards import build, entries, rederive
from leaderboards import season as seasons
from leaderboards.jobs import Prove
from leaderboards.rank import is_reference
from leaderboards.results import load
from leaderboards.submission import SUBMISSIONS, submissions
from leaderboards.tracks import FAILED_EPISODE_AGENT, TRACKS

pytest.importorskip("onnxruntime")

QUICK = ("association-sequential", "placement-small-20x5", "placement-paper-100x10")


@pytest.fixture(scope="module", params=["validation", "shown"])
def stored(request):
    return load(seasons.read(build.shown() if request.param == "shown" else request.param))


def test_all_submissions_are_in_order():
    found, refused = submissions(SUBMISSIONS)
    assert found and not refused


def test_tables_and_page_are_those_of_the_rows(capsys):
    build.main(build.Build(check=True))
    assert "match the stored rows" in capsys.readouterr().out


def test_whoever_is_ranked_is_there_with_the_policy_that_was_played(stored):
    """Further entries may exist: they wait for the next season."""
    ranked = {(row["track"], row["entry"]): row["policy_sha256"] for row in stored.entries}
    every = {(entry.track, entry.name): entry.policy_sha256 for entry in entries.all_entries()}
    assert ranked.items() <= every.items()
    for track in TRACKS.values():
        names = {name for on, name in ranked if on == track.name}
        assert {track.reference, FAILED_EPISODE_AGENT} < names and names & {"local-search", "lookahead"}
        assert len(stored.bound(track)) == track.episodes * len(track.cells)


def test_the_shown_season_is_revealed_and_of_these_tracks():
    season = seasons.read(build.shown())
    about = seasons.about_season(season.folder / "season.json")
    assert season.secret is not None
    assert about["tracks"] == {name: track.sha256 for name, track in TRACKS.items()}


@pytest.mark.parametrize("name", QUICK)
def test_rows_are_derived_again_to_the_last_bit(stored, name):
    """References, submissions and our learner; `python -m leaderboards rederive` covers the heuristics."""
    kept = rederive.selected(stored, [name], bounds=False)
    ranked = {row["entry"] for row in kept.entries}
    there = [entry for entry in entries.all_entries(tracks=[name]) if entry.name in ranked]
    played = {entry.name for entry in there if entry.kind != "heuristic" or is_reference(entry)}
    kept = dataclasses.replace(
        kept,
        rows=[row for row in kept.rows if row["entry"] in played],
        entries=[row for row in kept.entries if row["entry"] in played],
        films=[film for film in kept.films if film.get("entry", "") in {"", *played}],
    )
    again = rederive.run_again(kept, [name], bounds=False, workers=1)
    assert len(again.rows) == len(played) * TRACKS[name].episodes
    assert rederive.differences(kept, again) == []


@pytest.mark.parametrize("name", ["placement-small-20x5", "migration-balanced"])
def test_bounds_are_proven_again_to_the_last_bit(stored, name):
    track = TRACKS[name]
    for index in (0, track.episodes - 1):
        job = Prove(name, track.cells[0].name, index, stored.season)
        again = job.run()
        old = [row for row in stored.bounds if all(row[key] == again[key] for key in ("env_id", "cell", "index"))]
        assert old == [again]


def test_no_table_shows_more_than_the_bound():
    text = (Path(build.FOLDER) / "TABLES.md").read_text()
    means = [float(mean.replace("−", "-")) for mean in re.findall(r"\| (−?\d+\.\d{3}) \[", text)]
    assert len(means) > 60 and max(means) == 1.0
