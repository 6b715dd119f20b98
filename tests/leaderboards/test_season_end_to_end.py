"""A season from opening to a reproducible board; malicious submissions harm only themselves."""

import csv
import dataclasses
import hashlib
import json

import numpy as np
import pytest

import dtenv
from benchmarks.suites.suite import Cell
from dtenv.oracle import BoundExceeded
from leaderboards import build, entries, evaluate, play, rank, rederive, results, submission
from leaderboards import open_season as opening
from leaderboards import reveal_season as reveal
from leaderboards import season as seasons
from leaderboards.board import BOUND, board
from leaderboards.sandbox import Limits
from leaderboards.track_spec import spec_of
from leaderboards.tracks import TRACKS, Track

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import hostile_models  # noqa: E402 (needs ONNX)

TINY = Track(
    name="tiny",
    title="Tiny",
    about="A minute.",
    cells=(Cell("DTMigration-v0", "balanced", fields={"num_slots": 60}),),
    episodes=6,
)
SIZE = spec_of(TINY).layouts[0].size
PLAYED = ("never", "payback", "random")


@pytest.fixture
def tracks():
    """Replace all tracks by one small one, and restore them in order."""
    every = dict(TRACKS)
    TRACKS.clear()
    TRACKS["tiny"] = TINY
    yield TRACKS
    TRACKS.clear()
    TRACKS.update(every)


@pytest.fixture
def place(tmp_path, tracks, monkeypatch):
    """Separate folders of seasons, submissions and pages."""
    monkeypatch.setattr(seasons, "SEASONS", tmp_path / "seasons")
    monkeypatch.setattr(submission, "SUBMISSIONS", tmp_path / "submissions")
    monkeypatch.setattr(entries, "SUBMISSIONS", tmp_path / "submissions")
    (tmp_path / "submissions").mkdir()
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setattr(build, "TABLES", tmp_path / "TABLES.md")
    monkeypatch.setattr(build, "PAGE", tmp_path / "site" / "index.html")
    monkeypatch.setattr(opening.secrets, "token_bytes", lambda count: bytes(range(count)))  # fixed instances
    opening.main(opening.OpenSeason("2027.1", tmp_path / "secret"))
    return tmp_path


def submit(place, name, model):
    """Add a submission with a valid manifest and any graph."""
    folder = place / "submissions" / name
    folder.mkdir()
    (folder / "policy.onnx").write_bytes(model)
    manifest = {
        "schema": 1,
        "name": name,
        "authors": ["A. Stranger"],
        "description": "<script>window.ran = 1</script>",
        "dtenv": dtenv.__version__,
        "env_id": "DTMigration-v0",
        "track": "tiny",
        "scenario": "balanced",
        "overrides": {},
        "spec_sha256": spec_of(TINY).sha256,
        "policy_sha256": hashlib.sha256(model).hexdigest(),
        "algorithm": "PPO",
        "training": {"seeds": [1], "env_steps": 1000, "hardware": "2 cores"},
        "code": "https://example.org/x",
        "licence": "MIT",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


FACE = {"size": SIZE, "whole": True}


def choice(station):
    """A graph that always chooses one station."""
    nodes = [
        onnx.helper.make_node("ReduceSum", ["obs", "axis"], ["sum"], keepdims=0),
        onnx.helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        onnx.helper.make_node("Add", ["nothing", "station"], ["action"]),
    ]
    constants = {"axis": np.array([1]), "zero": np.float32(0), "station": np.float32(station)}
    return hostile_models.model(nodes, constants, **FACE)


def ranked(place, *names, season="2027.1", **settings):
    rank.main(rank.Rank(season, place / "secret", entries=[*PLAYED, *names], **settings))
    return results.load(seasons.read(season))


def rows(place, name="rows"):
    with (place / f"seasons/2027.1/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_season_is_derived_again_and_a_changed_score_is_noticed(place, capsys):
    submit(place, "steady", choice(3))
    found = ranked(place, "steady")
    assert {row["entry"] for row in found.rows} == {*PLAYED, "steady"} and len(found.bounds) == TINY.episodes
    with pytest.raises(SystemExit, match="has not been revealed"):
        rederive.main(rederive.Rederive("2027.1", workers=1))
    reveal.main(reveal.Reveal("2027.1", place / "secret"))
    with pytest.raises(SystemExit, match=r"TABLES.md: does not match the rows\n(.*\n)*2 differences"):
        rederive.main(rederive.Rederive(workers=1))  # nothing has been built yet
    build.main(build.Build())
    build.main(build.Build(check=True))
    rederive.main(rederive.Rederive(workers=1))
    assert "24 rows, 6 bounds, 0 films derived again, all equal" in capsys.readouterr().out

    victim = next(row for row in found.rows if row["entry"] == "steady")
    victim["score"] -= 1e-6  # downwards: who attains the bound would beat it otherwise
    found.write()  # with checksums that fit
    with pytest.raises(SystemExit, match=r"stale: .*index.html"):
        build.main(build.Build(check=True))
    build.main(build.Build())
    with pytest.raises(SystemExit, match=r"rows: .* entry steady, .*: score stored .*, derived .*\n1 differences"):
        rederive.main(rederive.Rederive(bounds=False, workers=1))


def test_a_row_changed_by_hand_is_refused(place):
    ranked(place)
    path = place / "seasons/2027.1/rows.csv"
    old = rows(place)[3]["score"]
    path.write_text(path.read_text().replace(old, str(float(old) + 1e-6)))
    with pytest.raises(SystemExit, match=r"rows.csv line 5: check must be"):
        build.main(build.Build())


def test_who_was_ranked_is_not_ranked_again(place, capsys):
    before = ranked(place).rows
    submit(place, "late-comer", choice(1))
    after = ranked(place, "late-comer").rows
    assert "1 entries played, 0 bounds proven" in capsys.readouterr().out
    assert [row for row in after if row["entry"] != "late-comer"] == before


def test_an_exchanged_policy_is_refused(place):
    folder = submit(place, "changer", choice(1))
    ranked(place, "changer")
    model = choice(2)
    (folder / "policy.onnx").write_bytes(model)
    about = json.loads((folder / "manifest.json").read_text())
    about["policy_sha256"] = hashlib.sha256(model).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(SystemExit, match="a new policy needs a new name"):
        ranked(place, "changer")


def test_a_track_that_changed_within_a_season_is_refused(place, tracks):
    tracks["tiny"] = dataclasses.replace(TINY, episodes=7)
    with pytest.raises(SystemExit, match="track 'tiny' has changed since the season was opened"):
        ranked(place)


HOSTILE = {
    "nan": (choice(float("nan")), "invalid"),
    "wrong-shape": (hostile_models.scaled(1.0, **FACE), "invalid"),
    "out-of-range": (choice(10), "invalid"),
    "negative": (choice(-1), "invalid"),
    "memory-hog": (hostile_models.hog(40, **FACE), "crashed"),
}


def test_strangers_who_mean_no_good_cost_themselves_alone(place, capsys):
    alone = ranked(place).rows
    for name, (model, _) in HOSTILE.items():
        submit(place, name, model)
    submit(place, "steady", choice(3))
    found = ranked(place, *HOSTILE, "steady")
    assert [row for row in found.rows if row["entry"] in PLAYED] == alone
    worst = {row["index"]: row["score"] for row in alone if row["entry"] == "random"}
    for name, (_, status) in HOSTILE.items():
        own = [row for row in found.rows if row["entry"] == name]
        assert {row["status"] for row in own} == {status}, name
        assert {row["index"]: row["score"] for row in own} == worst
    assert {row["status"] for row in found.rows if row["entry"] == "steady"} == {"played"}
    standings = {s.entry: s for s in board(found).tracks[0].standings}
    assert standings["nan"].failed == {"invalid": TINY.episodes} and standings["steady"].failed == {}
    assert standings["nan"].iqm == standings["random"].iqm


def test_a_broken_neighbour_is_told_and_left_out(place, capsys, monkeypatch):
    monkeypatch.setattr(rank, "SUBMISSIONS", place / "submissions")
    submit(place, "steady", choice(3))
    (submit(place, "broken", choice(4)) / "policy.onnx").write_bytes(b"PK\x03\x04")
    found = ranked(place, "steady")
    assert {row["entry"] for row in found.rows} == {*PLAYED, "steady"}
    assert "broken' is not valid" in capsys.readouterr().out


def test_an_endless_policy_is_late_every_time(place, monkeypatch):
    monkeypatch.setattr(play, "Limits", lambda: Limits(step_seconds=0.2))
    submit(place, "endless", hostile_models.endless(**FACE))
    own = [row for row in ranked(place, "endless").rows if row["entry"] == "endless"]
    assert {row["status"] for row in own} == {"late"}


def test_an_episode_of_slow_decisions_is_late(place, monkeypatch):
    monkeypatch.setattr(play, "EPISODE_SECONDS", 1e-6)
    submit(place, "slow", choice(3))
    assert {row["status"] for row in ranked(place, "slow").rows if row["entry"] == "slow"} == {"late"}


def test_a_score_above_its_bound_stops_the_board(place):
    found = ranked(place)
    found.bounds[0]["bound"] = -100.0
    found.write()
    with pytest.raises(BoundExceeded, match="please report this"):
        results.load(seasons.read("2027.1"))


def test_the_bound_and_the_reference_hold_the_ends_of_the_scale(place):
    (table,) = board(ranked(place)).tracks
    standings = {s.entry: s for s in table.standings}
    assert table.standings[0].entry == BOUND and standings[BOUND].place is None and standings[BOUND].iqm.mean == 1.0
    assert standings["never"].iqm == (0.0, 0.0, 0.0)
    assert sorted(s.place for s in table.standings[1:])[0] == 1
    for s in table.standings:
        for i in s.instances:
            assert i.score <= i.bound + 1e-9


def test_entries_that_break_more_than_is_allowed_stand_below(place, monkeypatch):
    found = ranked(place)
    for row in found.rows:
        row["violation_rate"] = 0.5 if row["entry"] == "payback" else 0.0
    standings = board(found).tracks[0].standings
    assert [s.feasible for s in standings] == [True, True, True, False] and standings[-1].entry == "payback"
    assert standings[-1].place > max(s.place for s in standings[1:3])


def test_an_interrupted_ranking_goes_on(place, monkeypatch, capsys):
    whole = ranked(place)
    expected = {name: rows(place, name) for name in ("rows", "bounds")}
    entry = whole.entries.pop()  # its line is written last: without it, its rows do not count
    whole.write()
    assert entry["entry"] not in {row["entry"] for row in results.load(seasons.read("2027.1")).rows}
    ranked(place)
    assert "1 entries played, 0 bounds proven" in capsys.readouterr().out
    assert {name: rows(place, name) for name in expected} == expected


def test_nobody_is_ranked_in_a_season_that_is_over(place):
    ranked(place)
    reveal.main(reveal.Reveal("2027.1", place / "secret"))
    submit(place, "trained-on-it", choice(3))
    with pytest.raises(SystemExit, match=r"season '2027.1' is over: its instances are known"):
        ranked(place, "trained-on-it")


def test_a_season_of_another_version_is_refused(place, monkeypatch):
    monkeypatch.setattr(dtenv, "__version__", "0.0.0")
    with pytest.raises(SystemExit, match=r"the season needs dtenv .*, this is 0\.0\.0"):
        ranked(place)


def test_an_episode_that_failed_is_not_shown(place):
    submit(place, "wrong", choice(10))
    found = ranked(place, "wrong", season="validation")
    assert [film["entry"] for film in found.films if "film" in film] == [*PLAYED]


def test_films_are_of_public_instances_alone(place):
    assert not ranked(place).films
    films = ranked(place, season="validation").films
    assert [film["entry"] for film in films if "film" in film] == [*PLAYED] and films[0].keys() == {"track", "world"}
    (table,) = board(results.load(seasons.read("2027.1")), films=films).tracks
    assert table.film["entries"].keys() == {*PLAYED} and len(table.film["world"]["users"]) == 60


def test_evaluate_tells_where_a_submission_would_stand(place, capsys):
    rank.main(rank.Rank("validation", entries=[*PLAYED]))
    folder = submit(place, "mine", choice(3))
    evaluate.main(evaluate.Evaluate(folder))
    out = capsys.readouterr().out
    assert "mine" in out and "payback" in out and "decisions per second" in out and "isolation: " in out
    assert not [row for row in results.load(seasons.read("validation")).rows if row["entry"] == "mine"]


def test_unknown_names_are_told(place):
    for settings, said in (
        (rank.Rank("2027.1", place / "secret", entries=["nobody"]), "entries: must be among .*, got 'nobody'"),
        (rank.Rank("2027.1", place / "secret", tracks=["nowhere"]), "tracks: must be among tiny, got 'nowhere'"),
        (rank.Rank("2027.1"), "secret must be given"),
        (rank.Rank("2031.1"), "season must be one of 2027.1, validation, got '2031.1'"),
    ):
        with pytest.raises(SystemExit, match=said):
            rank.main(settings)
