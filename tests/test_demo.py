"""The main job end to end, small: it trains, compares, draws, and says where."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from agents import HEURISTICS
from benchmarks import demo

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")


def run(tmp_path, monkeypatch, **settings):
    train = demo.ppo.Args
    monkeypatch.setattr(
        demo.ppo,
        "Args",
        lambda **given: train(
            **given, num_envs=8, num_steps=4, warm_start_slots=64, value_updates=1, num_minibatches=2
        ),
    )
    small = demo.Demo(num_servers=5, num_slots=6, episodes=3, total_steps=64, out=tmp_path / "demo", **settings)
    demo.main(small)
    return small.out


def test_demo_writes_what_it_says(tmp_path, monkeypatch, capsys):
    out = run(tmp_path, monkeypatch)
    said = capsys.readouterr().out
    rows = list(csv.DictReader((out / "rows.csv").open()))
    assert {row["agent"] for row in rows} == {*HEURISTICS, "ppo"} and len(rows) == 3 * (len(HEURISTICS) + 1)
    assert len({row["seed"] for row in rows}) == 3
    record = json.loads((out / "manifest.json").read_text())
    assert record["scenario"]["num_servers"] == 5 and record["commit"] and record["packages"]["torch"]
    for name in ("comparison.png", "learning_curve.png"):
        assert Image.open(out / name).size[0] > 600
    assert Image.open(out / "policy.gif").n_frames == 6
    assert list((out / "wandb").glob("offline-run-*/*.wandb"))
    for name in [p.name for p in out.iterdir() if p.name != "ppo.json"]:
        assert name in said
    assert "hysteresis" in said and "95 %" in said


def test_demo_on_real_sites_and_walks(tmp_path, monkeypatch, capsys):
    sites, trace = SHARED / "eua" / "site-optus-melbCBD.csv", SHARED / "kaist" / "kaist_30s.csv.gz"
    if not sites.exists() or not trace.exists():
        pytest.skip("the recorded sites and walks are not beside this checkout")
    run(tmp_path, monkeypatch, sites=str(sites), trace=str(trace))
    assert "different places" in capsys.readouterr().out


def test_sites_without_trace_are_refused():
    with pytest.raises(ValueError, match="--sites and --trace go together"):
        demo.Demo(sites="sites.csv").resolve()
