"""Tracked runs, read back from the offline log of the real W&B library, without a network."""

import json
import struct
import sys

import pytest

from agents import ppo
from agents.training.run import main
from agents.training.tracking import Tracker, mode

wandb = pytest.importorskip("wandb")

SHORT = "--num-users=5 --num-servers=3 --num-slots=4 --total-steps=64 --num-envs=8 --num-steps=4 --warm-start=none"


def records(path):
    """Records of a .wandb file: 7 bytes, then 32 KiB blocks of chunks; each chunk has a checksum, length and kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if (left := 2**15 - at % 2**15) < 7:  # padding
            at += left
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


class Log:
    """An offline run, read back."""

    def __init__(self, folder):
        [path] = folder.glob("wandb/offline-run-*/*.wandb")
        every = list(records(path))
        self.run = next(record.run for record in every if record.HasField("run"))
        self.config = {item.key: json.loads(item.value_json) for item in self.run.config.update}
        self.history = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in every
            if record.HasField("history")
        ]
        self.artifacts = [
            record.request.log_artifact.artifact
            for record in every
            if record.HasField("request") and record.request.HasField("log_artifact")
        ] + [record.artifact for record in every if record.HasField("artifact")]
        self.metrics = [record.metric for record in every if record.HasField("metric")]
        self.files = path.parent / "files"


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    """Trains by a command line with --track, and gives the log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)

    def run(*words):
        wandb.teardown()  # it reads the environment once a process
        monkeypatch.setattr(sys, "argv", ["ppo", *SHORT.split(), "--track", *words])
        main(ppo.train, ppo.Args)
        wandb.teardown()  # its process writes the last of it
        return Log(tmp_path / "runs")

    return run


def test_a_tracked_run_keeps_settings_charts_film_and_policy(tracked, tmp_path):
    log = tracked("--seed=7", "--wandb-project=mine")
    assert log.run.project == "mine" and {*log.run.tags} == {"DTAssociation-v0", "ppo", "balanced"}
    told = {"env_id": "DTAssociation-v0", "exp_name": "ppo", "seed": 7, "num_users": 5, "total_steps": 64}
    assert told.items() <= log.config.items()
    assert log.config["learning_rate"] == 8e-4  # the recipe's
    assert log.config["dtenv"] and log.config["commit"]

    charts = [row for row in log.history if "charts/episodic_return" in row]
    assert [row["global_step"] for row in charts] == [32, 64]
    names = {"charts/episodic_length", "charts/SPS", "charts/learning_rate", "charts/score", "losses/value_loss"}
    assert all(names | {"losses/policy_loss", "losses/entropy", "losses/approx_kl"} <= {*row} for row in charts)
    assert charts[0]["charts/episodic_length"] == 4
    assert {(metric.glob_name, metric.step_metric) for metric in log.metrics} >= {("charts/*", "global_step")}

    [film] = [row["film/path"] for row in log.history if "film/path" in row]
    assert (log.files / film).read_bytes()[:3] == b"GIF"
    [table] = [row["episode/path"] for row in log.history if "episode/path" in row]
    shown = json.loads((log.files / table).read_text())
    assert shown["columns"][:2] == ["slot", "reward"] and "score" in shown["columns"]
    assert [row[0] for row in shown["data"]] == [1, 2, 3, 4]

    [policy] = [artifact for artifact in log.artifacts if artifact.type == "model"]
    assert policy.name == "ppo-DTAssociation-v0-balanced"
    kept = {entry.path.rpartition(".")[2] for entry in policy.manifest.contents}
    assert kept == {"safetensors", "json"}
    assert len(list((tmp_path / "runs").glob("DTAssociation-v0__ppo__7__*.safetensors"))) == 1


def test_a_sweep_s_agent_is_let_say_what_the_run_is(tracked, tmp_path, monkeypatch):
    """As `wandb agent` starts a run: by environment variables and a file with what it has drawn."""
    (tmp_path / "drawn.yaml").write_text("wandb_version: 1\nlearning_rate: {value: 0.001}\nclip_coef: {value: 0.3}\n")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "run1")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(tmp_path / "drawn.yaml"))
    assert mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode() == "offline"
    log = tracked("--learning_rate=0.001", "--clip_coef=0.3", f"--save={tmp_path / 'p.safetensors'}")
    assert (log.run.sweep_id, log.run.run_id) == ("sweep1", "run1")
    assert log.config["learning_rate"] == 0.001 and log.config["clip_coef"] == 0.3 and log.config["num_envs"] == 8
    assert (tmp_path / "p.gif").exists() and (tmp_path / "p.safetensors").exists()


def test_without_an_account_runs_are_offline(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)
    assert mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "online")
    assert mode() == "online"


def test_nothing_is_logged_unless_asked_for(tmp_path):
    with Tracker(None, enabled=False, name="none", learner="ppo", folder=tmp_path) as tracker:
        tracker.log({"global_step": 1})
        tracker.log_table("a", [{"b": 1}])
        tracker.log_media("c", tmp_path / "c.gif")
        tracker.log_policy(tmp_path / "p.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_suite_s_trainings_are_tracked_each_with_its_episodes(tmp_path, monkeypatch):
    from benchmarks.suites.jobs import Train
    from benchmarks.suites.suite import Cell, Training

    monkeypatch.delenv("WANDB_MODE", raising=False)
    short = {"total_steps": 64, "num_envs": 8, "num_steps": 4, "warm_start": "none"}
    fields = {"num_servers": 3, "num_users": 5, "num_slots": 4}
    cell = Cell("DTAssociation-v0", "balanced", (Training("short ppo", "ppo", short),), fields=fields)
    job = Train(cell, cell.trainings[0], 2, (101_000, 101_001), tmp_path / "policies", track=True)
    result = job.run()
    wandb.teardown()  # its process writes the last of it
    log = Log(tmp_path)
    assert log.config["exp_name"] == "short ppo" and log.config["seed"] == 2 and log.config["num_servers"] == 3
    assert log.run.display_name == job.name and "DTAssociation-v0" in log.run.tags
    assert {name for row in log.history for name in row} >= {
        "charts/score",
        "charts/SPS",
        "film/path",
        "held-out episodes/path",
    }
    [artifact] = [artifact for artifact in log.artifacts if artifact.type == "model"]
    assert {entry.path for entry in artifact.manifest.contents} == {job.policy.name, job.policy.stem + ".json"}
    assert len(result.rows) == 2
    job.run()
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1  # what is trained is not logged again
