"""Commands that write tables: small runs of each."""

import csv
import dataclasses
import json

import pytest

from benchmarks import speed, table, tune


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
    means = [float(line.split()[-1]) for line in lines[1:]]
    best = search.grid[:2][means.index(max(means))]
    assert last.endswith(", ".join(f"{key} {value:g}" for key, value in zip(search.names, best, strict=True)))


def test_ours_are_divided_by_their_counterparts(tmp_path, monkeypatch):
    fixed = {name: (lambda seconds, k=k: float(k)) for k, name in enumerate(("ours", "theirs", "other"), start=1)}
    monkeypatch.setattr(speed, "contenders", lambda: fixed)
    monkeypatch.setattr(speed, "COUNTERPARTS", {"other": ("ours", "theirs")})
    speed.main(speed.Speed(seconds=0.1, repeats=3, out=tmp_path))
    assert "| other | 3 | 3 to 3 | 3x ours; 2x theirs |" in (tmp_path / "speed.md").read_text().splitlines()


def test_all_of_ours_play():
    for name, play in speed.ours().items():
        assert play(0.01) > 0.0, name
