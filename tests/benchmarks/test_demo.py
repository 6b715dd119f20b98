"""Small runs of the demo: it trains, compares, plots and prints the files."""

import csv
import importlib
import json

import pytest
from paths import SHARED
from PIL import Image

from agents import HEURISTICS
from agents.training.gif import record_gif
from benchmarks import demo
from benchmarks.env_settings import ENV_SETTINGS
from dtenv.presets import PRESETS, resolve

DATA = SHARED / "data"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")


BRIEF = {
    "ppo": {"num_envs": 8, "num_steps": 4, "warm_start_slots": 64, "value_updates": 1, "num_minibatches": 2},
    "mappo": {"num_envs": 8, "num_minibatches": 2},
    "hindsight": {"num_envs": 4, "updates": 2},
}
"""Settings of very short trainings."""


def run(tmp_path, monkeypatch, env_id="DTAssociation-v0", **settings):
    name = ENV_SETTINGS[env_id].demo_learner
    learner = importlib.import_module(f"agents.{name}")
    args = learner.Args
    monkeypatch.setattr(learner, "Args", lambda **given: args(**given, **BRIEF[name]))
    small = {"num_servers": 5, "num_slots": 6, "episodes": 3, "total_steps": 64, **settings}
    demo.main(demo.Demo(env_id=env_id, out=tmp_path / "demo", **small))
    return tmp_path / "demo"


def test_demo_writes_what_it_says(tmp_path, monkeypatch, capsys):
    out = run(tmp_path, monkeypatch)
    printed = capsys.readouterr().out
    rows = list(csv.DictReader((out / "rows.csv").open()))
    heuristics = HEURISTICS["DTAssociation-v0"]
    assert {row["agent"] for row in rows} == {*heuristics, "ppo"} and len(rows) == 3 * (len(heuristics) + 1)
    assert len({row["seed"] for row in rows}) == 3
    record = json.loads((out / "manifest.json").read_text())
    assert record["scenario"]["num_servers"] == 5 and record["commit"] and record["packages"]["torch"]
    for name in ("comparison.png", "learning_curve.png"):
        assert Image.open(out / name).size[0] > 600
    assert Image.open(out / "policy.gif").n_frames == 6
    assert list((out / "wandb").glob("offline-run-*/*.wandb"))
    for name in [p.name for p in out.iterdir() if p.name != "ppo.json"]:
        assert name in printed
    assert "hysteresis" in printed and "95 %" in printed


def recorded():
    sites, trace = DATA / "eua" / "site-optus-melbCBD.csv", DATA / "kaist" / "kaist_30s.csv.gz"
    if not sites.exists() or not trace.exists():
        pytest.skip("this checkout has no recorded sites and walks")
    return {"sites": str(sites), "trace": str(trace)}


def test_demo_on_real_sites_and_walks(tmp_path, monkeypatch, capsys):
    run(tmp_path, monkeypatch, **recorded())
    assert "different places" in capsys.readouterr().out


@pytest.mark.parametrize("env_id", ["DTPlacementMA-v0", "DTMigration-v0"])
def test_without_training_the_heuristics_are_compared_alone(tmp_path, monkeypatch, capsys, env_id):
    out = run(tmp_path, monkeypatch, env_id, num_users=8, num_servers=4, num_slots=5, total_steps=0)
    printed = capsys.readouterr().out
    report = ENV_SETTINGS[env_id]
    rows = list(csv.DictReader((out / "rows.csv").open()))
    assert {row["agent"] for row in rows} == {*HEURISTICS[env_id]} and len(rows) == 3 * len(HEURISTICS[env_id])
    assert {(row["num_users"], row["num_servers"], row["slots"]) for row in rows} == {("8", "4", "5")}
    assert set(report.columns) < set(rows[0]) and f"minus {report.reference}" in printed
    assert all(figure.head in printed for figure in report.figures)
    score = {name: sum(float(row["score"]) for row in rows if row["agent"] == name) for name in HEURISTICS[env_id]}
    assert f"{max(score, key=score.get)} playing held-out seed 100000" in printed
    assert Image.open(out / "policy.gif").n_frames == 5
    assert Image.open(out / "comparison.png").size[0] > 600
    for name in [p.name for p in out.iterdir()]:
        assert name in printed


@pytest.mark.parametrize("env_id", ["DTPlacementMA-v0", "DTMigration-v0"])
def test_the_others_learn_on_real_sites_and_walks(tmp_path, monkeypatch, capsys, env_id):
    out = run(tmp_path, monkeypatch, env_id, num_users=8, num_servers=4, num_slots=5, **recorded())
    printed = capsys.readouterr().out
    learner = ENV_SETTINGS[env_id].demo_learner
    assert "different places" in printed and f"{learner} playing held-out seed" in printed
    assert (out / f"{learner}.safetensors").exists() and (out / "learning_curve.png").exists()


def test_defaults_are_the_preset_s_but_for_shorter_association_episodes():
    for env_id, users, sites, slots in (
        ("DTAssociation-v0", 20, 15, 60),
        ("DTPlacementMA-v0", 100, 10, 25),
        ("DTMigration-v0", 50, 10, 200),
    ):
        scenario = demo.Demo(env_id=env_id).resolve()
        assert (scenario.value("num_users"), scenario.num_sites, scenario.value("num_slots")) == (users, sites, slots)
        assert scenario.name == next(iter(PRESETS[env_id]))


def test_long_episodes_are_shown_whole_in_few_pictures(tmp_path):
    scenario = resolve(None, "DTMigration-v0", num_users=5, num_stations=3, num_slots=10)
    policy = HEURISTICS["DTMigration-v0"]["never"](scenario)
    rows = record_gif(tmp_path / "a.gif", "DTMigration-v0", policy, scenario, seed=0, pictures=5)
    assert [row["slot"] for row in rows] == [*range(1, 11)] and all(row["migrations"] == 0 for row in rows)
    assert Image.open(tmp_path / "a.gif").n_frames == 5


def test_sites_without_trace_are_refused():
    with pytest.raises(ValueError, match="--sites and --trace go together"):
        demo.Demo(sites="sites.csv").resolve()
