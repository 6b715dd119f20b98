"""Studies of learners: every published training can be set up; a small one runs, is not repeated, and reports."""

import csv
import dataclasses
import importlib
import json

import numpy as np
import pytest
from PIL import Image

from agents import HEURISTICS
from benchmarks import learning, studies, topology, wallclock
from benchmarks.studies import Cell, Training

CELLS = [(name, cell) for name, cells in studies.STUDIES.items() for cell in cells]
SHORT = {"total_steps": 64, "num_envs": 8, "num_steps": 4, "num_minibatches": 2, "warm_start": "none", "num_slots": 4}


@pytest.mark.parametrize(("study", "cell"), CELLS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CELLS)])
def test_published_trainings_can_be_set_up(study, cell):
    assert {*cell.references, *(cell.way or ())} <= {*HEURISTICS[cell.env_id]}
    for training in cell.trainings:
        learner = importlib.import_module(f"agents.{training.learner}")
        args = learner.Args(env_id=cell.env_id, scenario=cell.scenario, num_servers=cell.sites, **training.settings)
        assert args.resolve().num_sites == cell.resolve().num_sites


@pytest.fixture
def small(monkeypatch):
    """The study "balanced", of one small cell."""
    cell = Cell(
        "DTAssociation-v0",
        "balanced",
        (Training("ppo", "ppo", SHORT), Training("ppo, once", "ppo", SHORT | {"gamma": 0.5}, seeds=1)),
        references=("stay", "nearest"),
        sites=3,
        way=("nearest", "local-search"),
        bounds=1,
    )
    monkeypatch.setattr(Cell, "resolve", lambda self: self_resolved)
    self_resolved = studies.presets.resolve("balanced", num_servers=3, num_users=5, num_slots=4)
    cell = dataclasses.replace(cell, trainings=tuple(_five_users(t) for t in cell.trainings))
    monkeypatch.setitem(studies.STUDIES, "balanced", (cell,))
    return cell


def _five_users(training):
    return dataclasses.replace(training, settings={**training.settings, "num_users": 5})


def test_a_study_trains_reports_and_is_not_repeated(tmp_path, small, capsys):
    settings = learning.Learning(
        "balanced", seeds=2, episodes=3, jobs=1, policies=tmp_path / "policies", out=tmp_path / "out"
    )
    learning.main(settings)
    said = capsys.readouterr().out
    trainings = list(csv.DictReader((tmp_path / "out/trainings.csv").open()))
    assert [(row["agent"], row["training_seed"]) for row in trainings] == [
        ("ppo", "1"),
        ("ppo, once", "1"),
        ("ppo", "2"),
    ]
    rows = list(csv.DictReader((tmp_path / "out/rows.csv").open()))
    assert len(rows) == 3 * (len(HEURISTICS["DTAssociation-v0"]) + 3)
    scores = {int(row["training_seed"]): [] for row in rows if row["agent"] == "ppo"}
    for row in rows:
        if row["agent"] == "ppo":
            scores[int(row["training_seed"])].append(float(row["score"]))
    assert f"| ppo | {np.mean([scores[1], scores[2]]):.4f} [" in said
    assert "2 trainings of every learner, 1 of ppo, once:" in said and "gap to bound" in said
    assert Image.open(tmp_path / "out/curves.png").size[0] > 600
    assert json.loads((tmp_path / "out/manifest.json").read_text())["seeds"] == 2

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "policies").rglob("*.safetensors")}
    learning.main(settings)
    assert written and written == {path: path.stat().st_mtime_ns for path in written}
    assert capsys.readouterr().out == said


def test_policies_run_on_other_topologies(tmp_path, small, monkeypatch, capsys):
    monkeypatch.setattr(topology, "TOPOLOGIES", ((5, 3), (4, 6)))
    monkeypatch.setattr(learning, "HELD_OUT", learning.HELD_OUT[:2])
    learning.train([learning.Job(small, small.trainings[0], 1, tmp_path / "balanced")], 1)
    topology.main(topology.Topology(seeds=1, episodes=2, policies=tmp_path, out=tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| trained at | U = 5, S = 3 | U = 4, S = 6 |" and lines[2].startswith("| S = 3 | **")
    rows = list(csv.DictReader((tmp_path / "out/rows.csv").open()))
    assert {(row["agent"], row["num_users"], row["num_servers"]) for row in rows} == {
        (agent, *sizes) for agent in ("nearest", "local-search", "ppo, S = 3") for sizes in (("5", "3"), ("4", "6"))
    }


def test_wall_clock_takes_turns(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(wallclock, "ENVS", 4)
    monkeypatch.setattr(wallclock, "STEPS", 8)
    wallclock.main(wallclock.WallClock(seeds=2, total_steps=64, episodes=3, out=tmp_path))
    trainings = list(csv.DictReader((tmp_path / "trainings.csv").open()))
    assert [row["agent"] for row in trainings] == ["dtenv ppo, batch", "SB3 PPO, DummyVecEnv"] * 2
    assert {row["steps"] for row in trainings} == {"64"}
    assert "Ratio of seconds, turn by turn:" in capsys.readouterr().out
