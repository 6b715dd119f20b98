"""Small runs of the commands that write tables."""

import csv
import dataclasses
import json

import pytest

from benchmarks import falsify, headroom, optima, table, tune
from benchmarks.bounds import add_bounds, episode_bounds
from benchmarks.env_settings import ENV_SETTINGS
from dtenv import presets
from dtenv.oracle import BoundExceeded, Solution


def test_a_table_of_presets_and_sizes(tmp_path, capsys):
    settings = table.Table(
        env_id="DTPlacementMA-v0",
        scenarios=("small-20x5", "small-50x5"),
        servers=(5, 6),
        agents=("nearest", "greedy-add", "local-search"),
        episodes=3,
        num_slots=2,
        out=tmp_path,
    )
    table.main(settings)
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert len(rows) == 2 * 2 * 3 * 3
    assert {(row["scenario"], row["num_servers"]) for row in rows} == {
        (name, sites) for name in ("small-20x5", "small-50x5") for sites in ("5", "6")
    }
    text = (tmp_path / "table.md").read_text()
    assert "`small-50x5`, M = 6, 3 held-out episodes of 2 slots:" in text and "system cost / local-search's" in text
    assert text in capsys.readouterr().out
    scenarios = json.loads((tmp_path / "manifest.json").read_text())["scenario"]
    assert [(s["num_users"], s["num_stations"]) for s in scenarios] == [(20, 5), (20, 6), (50, 5), (50, 6)]


def test_published_tables_are_the_default():
    assert [s.num_sites for s in table.Table().cells()] == [9, 15, 21]
    migration = table.Table(env_id="DTMigration-v0", num_slots=7).cells()
    assert [s.name for s in migration] == ["balanced", "ping-pong", "gauss-markov"]
    assert {s.value("num_slots") for s in migration} == {7}


@pytest.mark.parametrize("name", tune.SEARCHES)
def test_tuning_names_the_best_setting(name, monkeypatch, capsys):
    search = tune.SEARCHES[name]
    small = {key: scenario.override(num_slots=3) for key, scenario in search.scenarios.items()}
    monkeypatch.setitem(tune.SEARCHES, name, dataclasses.replace(search, grid=search.grid[:2], scenarios=small))
    tune.main(tune.Tune(name, episodes=2))
    *lines, last = capsys.readouterr().out.splitlines()
    means = [float(line.split("|")[-2]) for line in lines[2:]]
    best = search.grid[:2][means.index(max(means))]
    assert last.endswith(", ".join(f"{key} {value:g}" for key, value in zip(search.names, best, strict=True)))


def test_rows_hold_the_bounds_of_their_seeds():
    rows = [{"agent": "a", "seed": seed, "scenario": "s", "score": 1.0} for seed in (7, 8, 9)]
    add_bounds(rows, [7, 8], [Solution(None, 0.0, bound, "MILP", 0.0) for bound in (1.0, 2.0)])
    assert [row["bound"] for row in rows] == [1.0, 2.0, None]
    with pytest.raises(BoundExceeded, match=r"a on seed 8 of s achieved 1\.0"):
        add_bounds(rows, [8], [Solution(None, 0.0, 0.5, "MILP", 0.0)])


def test_known_bounds_are_reused(tmp_path, capsys):
    settings = table.Table(
        env_id="DTMigration-v0",
        scenarios=("balanced",),
        servers=(3,),
        agents=("never", "payback"),
        episodes=2,
        num_slots=4,
    )
    table.main(dataclasses.replace(settings, out=tmp_path / "first"))
    first = capsys.readouterr().out.splitlines()[:-1]
    table.main(dataclasses.replace(settings, out=tmp_path / "next", known_bounds=tmp_path / "first" / "rows.csv"))
    assert capsys.readouterr().out.splitlines()[:-1] == first
    with pytest.raises(ValueError, match=r"has no bound of 'balanced' \(50, 4, 4\) on seed"):
        table.main(dataclasses.replace(settings, servers=(4,), known_bounds=tmp_path / "first" / "rows.csv"))


def test_bounds_are_the_same_one_by_one_and_side_by_side():
    scenario = presets.resolve("balanced", "DTMigration-v0", num_slots=5)
    together = episode_bounds("DTMigration-v0", scenario, [1, 2, 3, 4])
    assert [solution.bound for solution in together] == [
        episode_bounds("DTMigration-v0", scenario, [seed])[0].bound for seed in (1, 2, 3, 4)
    ]


def test_a_table_of_headroom(tmp_path, capsys, monkeypatch):
    small = dataclasses.replace(ENV_SETTINGS["DTMigration-v0"], headroom_overrides={"num_slots": 150})
    monkeypatch.setitem(ENV_SETTINGS, "DTMigration-v0", small)
    settings = headroom.Headroom(
        env_ids=("DTMigration-v0",), scenarios=("balanced", "literal"), episodes=3, out=tmp_path
    )
    headroom.main(settings)
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert len(rows) == 2 * 3 * (6 + 1)  # six heuristics and the bound's own plan
    assert all(float(row["score"]) <= float(row["bound"]) + 1e-9 for row in rows)
    text = (tmp_path / "table.md").read_text()
    assert text in capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == ["balanced", "literal"]
    assert all(line.rstrip(" |").endswith("100.0% [100.0%, 100.0%]") for line in lines)  # the plan is optimal
    assert "Bounds: dynamic programming." in text


def test_a_table_of_optima(tmp_path, capsys):
    settings = optima.Optima(episodes=1, num_slots=1, servers=(9,), placements=("small-20x5",), out=tmp_path)
    optima.main(settings)
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert [row["deadlines"] for row in rows] == ["", "", "", "ignore", "penalised", "hard"]
    assert all(-1e-12 <= float(row["gap"]) <= 1e-3 for row in rows)
    assert "| `balanced`, S = 9 | score | 3 |" in capsys.readouterr().out


def test_falsification_counts_its_plans(tmp_path, capsys):
    settings = falsify.Falsify(minutes=0.002, env_id="DTMigration-v0", seed=2_000_001, tries_seconds=0.2, out=tmp_path)
    assert falsify.main(settings) == 0
    record = json.loads((tmp_path / "falsify.json").read_text())
    assert record["tried"]["DTMigration-v0"]["plans"] > 10 and record["beaten"] == []
    assert "0 bounds beaten" in capsys.readouterr().out


def test_falsification_saves_what_beats_a_bound(tmp_path, monkeypatch, capsys):
    honest = falsify.solve_episode
    monkeypatch.setattr(falsify, "solve_episode", lambda task, **s: dataclasses.replace(honest(task, **s), bound=-1e3))
    settings = falsify.Falsify(minutes=0.002, env_id="DTMigration-v0", seed=2_000_001, out=tmp_path)
    assert falsify.main(settings) == 1
    saved = [json.loads(file.read_text()) for file in tmp_path.glob("beaten-*.json")]
    assert saved and saved[0]["value"] > saved[0]["bound"] == -1e3 and saved[0]["plan"]
    assert "bounds beaten" in capsys.readouterr().out
