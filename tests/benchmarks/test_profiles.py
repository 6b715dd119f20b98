"""Cross-evaluation of utility profiles: paired rows, losses computed from rows, and continued runs."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest
from cases_association import COMPRESSED

from benchmarks.profiles import command
from benchmarks.profiles.arms import FREE, arms_of
from benchmarks.profiles.command import Profiles, Store, load_profiles, scenario_of
from benchmarks.profiles.report import NATIVE, OPTIMUM, RULES, loss, scores
from dtenv import utility_profile

DEAR = dataclasses.replace(COMPRESSED, name="dear", uplink_bytes=1e6, alpha=(0.6, 3.0, 0.002, 0.9, 0.1, 2.0))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiles")
    for profile in (COMPRESSED, DEAR):
        utility_profile.save(profile, folder / f"{profile.name}.json")
    return tuple(str(folder / f"{profile.name}.json") for profile in (COMPRESSED, DEAR))


def settings_of(files, out, **changes) -> Profiles:
    given = {"profiles": ("zhou-2025", *files), "episodes": 3, "num_slots": 2, "n_agg": (1e-5,), "optima": 1}
    return Profiles(out=out, **given | changes)


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    with pytest.warns(UserWarning, match="zhou-2025"):  # its range begins at 200 samples
        command.main(settings_of(files, out))
    return out


def read(path):
    with path.open() as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(value):
    try:
        return float(value)
    except ValueError:
        return value


def test_rows_hold_the_profile_played_and_the_policy_s_own(run, files):
    rows, decided = read(run / "rows.csv"), read(run / "decisions.csv")
    plain, charged = FREE, "uplink at 1e-05 a bit"
    assert len(rows) == 3 * (3 * 3 + 3 * len(RULES) + 2 * 2 + 2 * len(RULES))
    assert {row["profile"] for row in rows if row["arm"] == charged} == {"compressed", "dear"}
    digests = {p.name: p.digest for p in load_profiles(settings_of(files, run))}
    for row in [*rows, *decided]:
        assert row["profile_digest"] == digests[row["profile"]]
        assert row["native_digest"] == digests.get(row["native"], "")
    about = json.loads((run / "manifest.json").read_text())
    assert [p["name"] for p in about["profiles"]] == ["zhou-2025", "compressed", "dear"]
    assert "no bytes or rounds are stated" in (run / "table.md").read_text()
    assert (run / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert len(decided) == 3 * (9 + 4) + 9 + 4
    optima = [row for row in decided if row["planner"] == OPTIMUM]
    assert len(optima) == 9 + 4 and all(row["slot_loss"] >= -row["gap"] - 1e-9 for row in optima)
    own = [row for row in decided if row["native"] == row["profile"]]
    assert all(row["otherwise"] == row["slot_loss"] == 0.0 and row["servers"] >= 1 for row in own)
    assert any(row["otherwise"] > 0.0 for row in decided)
    assert {row["arm"] for row in rows} == {plain, charged}


def test_a_loss_is_the_mean_difference_of_the_same_episodes(run):
    rows = read(run / "rows.csv")
    own = [row["score"] for row in rows if (row["arm"], row["agent"], row["native"]) == (FREE, NATIVE, "dear")][-3:]
    wanted = (FREE, NATIVE, "compressed", "dear")
    other = [r["score"] for r in rows if (r["arm"], r["agent"], r["native"], r["profile"]) == wanted]
    found = loss(rows, FREE, NATIVE, "compressed", "dear")
    assert found.mean == pytest.approx(np.mean(np.array(own) - other), abs=1e-12)
    assert found.low <= found.mean <= found.high
    assert loss(rows, FREE, NATIVE, "dear", "dear") == (0.0, 0.0, 0.0)
    assert scores(rows, FREE, NATIVE, "dear", "dear").shape == (1, 3)


def test_an_interrupted_run_continues_to_the_same_rows(run, files, tmp_path, monkeypatch):
    (tmp_path / "settings.json").write_text((run / "settings.json").read_text())
    text = (run / "parts.jsonl").read_text()
    (tmp_path / "parts.jsonl").write_text(text[: len(text) * 2 // 3])
    calls = []
    played = command.run_episodes
    monkeypatch.setattr(command, "run_episodes", lambda *given: calls.append(1) or played(*given))
    with pytest.warns(UserWarning):
        command.main(settings_of(files, tmp_path))
    assert 0 < len(calls) < 20
    assert (tmp_path / "rows.csv").read_text() == (run / "rows.csv").read_text()
    assert (tmp_path / "decisions.csv").read_text() == (run / "decisions.csv").read_text()


def test_refused_settings(files, tmp_path):
    with pytest.raises(ValueError, match="profiles must be two or more of different names, got zhou-2025"):
        load_profiles(settings_of(files, tmp_path, profiles=("zhou-2025",)))
    with pytest.raises(ValueError, match="different names, got dear, dear"):
        load_profiles(settings_of(files, tmp_path, profiles=(files[1], files[1])))
    Store(tmp_path, {"episodes": 3})
    with pytest.raises(ValueError, match="was made with episodes 3, got 4"):
        Store(tmp_path, {"episodes": 4})


def test_only_profiles_that_state_their_bytes_are_charged(files, tmp_path):
    settings = settings_of(files, tmp_path)
    profiles = load_profiles(settings)
    base = scenario_of(settings)
    free, *charged = arms_of(base, profiles, "uplink", (1e-5, 1e-3))
    assert [p.name for p in free.profiles] == ["zhou-2025", "compressed", "dear"]
    assert [[p.name for p in arm.profiles] for arm in charged] == [["compressed", "dear"]] * 2
    assert charged[1].scenario(profiles[1]).n_agg == 1e-3
    assert [arm.name for arm in arms_of(base, profiles[:1], "uplink", (1e-5,))] == [FREE]
    assert free.scenario(profiles[0]).data.emd == (0.0, 0.2, 0.4, 0.6) * 5


@pytest.mark.slow
def test_learned_policies_are_fine_tuned_once(files, tmp_path):
    settings = settings_of(files, tmp_path, profiles=files, n_agg=(), learn=True, learn_seeds=2, learn_steps=4096)
    command.main(settings)
    weights = sorted((tmp_path / "policies").glob("*.safetensors"))
    assert len(weights) == 4
    before = [path.stat().st_mtime_ns for path in weights]
    rows = read(tmp_path / "rows.csv")
    assert scores(rows, FREE, "ppo", "dear", "compressed").shape == (2, 3)
    assert scores(rows, FREE, "ppo", "", "compressed").shape == (1, 3)
    command.main(settings)
    assert [path.stat().st_mtime_ns for path in weights] == before
