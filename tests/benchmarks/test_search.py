"""Sweep files: W&B and our learners accept them; the search without an account."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from paths import ROOT

from agents import ppo
from benchmarks.evaluate import EVALUATION_SEEDS
from benchmarks.search import command as search
from benchmarks.search import sweep_files
from benchmarks.search.command import SweepSearch

FILES = sorted((ROOT / "benchmarks" / "sweeps").glob("*.yaml"))
TOY = """
command: ["${env}", "${interpreter}", -m, agents.ppo, --env-id, DTAssociation-v0, --track, "${args}"]
method: METHOD
metric: {name: charts/score, goal: maximize}
parameters:
  num_servers: {value: 3}
  learning_rate: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
  num_minibatches: {values: [1, 2, 4]}
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_wandb_and_our_learners_accept_the_sweep_files(path):
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    config, sweep = utils.load_sweep_config(str(path)), sweep_files.read(path)
    assert config["metric"] == {"name": "charts/score", "goal": "maximize"} and config["project"] == "dtenv"
    assert Path(config["program"]).exists()
    trials = list(sweep.grid()) if sweep.method == "grid" else [next(sweep.draws(seed)) for seed in range(3)]
    for trial in trials:
        filled = utils.create_sweep_command_args({"args": {name: {"value": v} for name, v in trial.items()}})["args"]
        command = utils.create_sweep_command(config["command"])
        start = command.index("${args}")
        command = [*command[:start], *filled, *command[start + 1 :]]  # what `wandb agent` runs
        assert command[:4] == ["${env}", "${interpreter}", "-m", sweep.module] and "--track" in command
        args = sweep.args(trial)
        assert args == sweep_files.parse(sweep.module, [word for word in command[4:] if word != "--track"])
        assert all(getattr(args, name) == value for name, value in trial.items())
        assert args.resolve()


FIELDS = {
    "constant": {"value"},
    "categorical": {"values"},
    "int_uniform": {"min", "max"},
    "uniform": {"min", "max"},
    "q_uniform": {"min", "max", "q"},
    "log_uniform_values": {"min", "max"},
}
"""Fields of a parameter in W&B's schema; its package, sweeps 0.3, cannot be installed with NumPy 2."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_sweep_files_have_fields_of_wandb_s_schema(path):
    config = yaml.safe_load(path.read_text())
    known = {"project", "name", "program", "command", "method", "metric", "parameters", "run_cap", "early_terminate"}
    assert {*config} <= known
    if "early_terminate" in config:
        assert {*config["early_terminate"]} == {"type", "min_iter", "eta"} and config["method"] != "grid"
    for name, of in sweep_files.read(path).parameters.items():
        assert {*of} - {"distribution"} == FIELDS[of["distribution"]]
        assert config["parameters"][name].items() <= of.items()


def test_the_sweeps_cover_searches_and_scenarios():
    sweeps = [sweep_files.read(path) for path in FILES]
    searched = {sweep.module for sweep in sweeps if sweep.method != "grid"}
    assert {"agents.ppo", "agents.mappo", "agents.hindsight"} <= searched
    grids = {tuple(name for name in sweep.parameters if name != "seed") for sweep in sweeps if sweep.method == "grid"}
    assert {("num_servers", "emd"), ("scenario", "num_users"), ("num_users", "num_servers")} <= grids


DISTRIBUTIONS = {
    "constant": ({"value": 7}, lambda x: x == 7),
    "categorical": ({"values": ["a", "b"]}, lambda x: x in ("a", "b")),
    "int_uniform": ({"min": 1, "max": 3}, lambda x: x in (1, 2, 3)),
    "uniform": ({"min": 1.0, "max": 3}, lambda x: 1 <= x <= 3),
    "q_uniform": ({"min": 0, "max": 1, "q": 0.25}, lambda x: x in (0, 0.25, 0.5, 0.75, 1)),
    "log_uniform": ({"min": -2, "max": -1}, lambda x: np.exp(-2) <= x <= np.exp(-1)),
    "log_uniform_values": ({"min": 0.01, "max": 1.0}, lambda x: 0.01 <= x <= 1),
    "normal": ({"mu": 100.0, "sigma": 1.0}, lambda x: 90 < x < 110),
    "q_log_normal": ({"mu": 3.0, "sigma": 0.1, "q": 2}, lambda x: x % 2 == 0 and 10 < x < 40),
}


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_draws_follow_the_distribution(kind):
    of, holds = DISTRIBUTIONS[kind]
    checked = sweep_files._checked("it", "random", {"distribution": kind, **of})
    drawn = [sweep_files.draw(np.random.default_rng(seed), checked) for seed in range(200)]
    assert all(map(holds, drawn)) and (kind == "constant" or len({*drawn}) > 1)
    if kind == "log_uniform_values":
        assert abs(np.mean(np.log10(drawn)) + 1) < 0.1  # uniform between -2 and 0
    if kind in ("constant", "categorical", "int_uniform"):
        assert {*drawn} == {*sweep_files._levels(checked)}


def test_missing_distributions_are_inferred_as_by_wandb():
    guessed = [{"min": 1, "max": 2}, {"min": 1, "max": 2.0}, {"value": None}, {"values": [1]}]
    found = [sweep_files._checked("it", "random", of)["distribution"] for of in guessed]
    assert found == ["int_uniform", "uniform", "constant", "categorical"]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("method: METHOD", "method: simplex", "method must be one of grid, bayes, random, got 'simplex'"),
        ("log_uniform_values", "beta", "parameter 'learning_rate': distribution 'beta' cannot be searched by random"),
        ("method: METHOD", "method: grid", "'learning_rate': distribution 'log_uniform_values' cannot .* by grid"),
        ("learning_rate:", "learning_rat:", "parameter 'learning_rat' is no setting of agents.ppo"),
        ("min: 0.0001", "min: 1e-4", "min must be a number, got '1e-4' .YAML's"),
        ("min: 0.0001", "min: 0.5", "min must be at most max, got 0.5 and 0.1"),
        ("min: 0.0001, ", "", "distribution 'log_uniform_values' needs min"),
        ("agents.ppo", "train", "command must run -m agents.LEARNER"),
        ("maximize", "minimize", "goal maximize"),
        ("{value: 3}", "{parameters: {a: {value: 1}}}", "'num_servers' must have a value, values"),
        ("{value: 3}", "{value: three}", "agents.ppo does not take .*--num_servers=three"),
    ],
)
def test_refused_sweep_files(tmp_path, old, new, match):
    path = tmp_path / "toy.yaml"
    assert old in TOY
    path.write_text(TOY.replace(old, new).replace("METHOD", "random"))
    with pytest.raises(SystemExit, match=match):
        search.main(SweepSearch(path, trials=2, workers=1, out=tmp_path / "out"))


@dataclass(frozen=True)
class Quick(search.Trial):
    """Toy trial, best at a learning rate of .01."""

    def run(self):
        score = -abs(np.log10(self.parameters["learning_rate"]) + 2)
        return {"score": score, "training_score": 0.0, "seconds": 0.0}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Function that searches by a method and returns the rows by trial."""
    monkeypatch.setattr(search, "Trial", Quick)

    def run(method="random", out="out", **settings):
        path = tmp_path / f"{method}.yaml"
        path.write_text(TOY.replace("METHOD", method))
        search.main(SweepSearch(path, out=tmp_path / out, **{"workers": 1, "trials": 16, **settings}))
        return {int(row["trial"]): row for row in csv.DictReader((tmp_path / out / "trials.csv").open())}

    run.folder = tmp_path
    return run


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_search_repeats_continues_and_is_ranked(toy, method, capsys):
    if method == "bayes":
        pytest.importorskip("optuna")
    whole = toy(method)
    half = toy(method, "other", trials=5)
    assert half == {number: whole[number] for number in half}
    lines = (toy.folder / "other/trials.csv").read_text().splitlines(keepends=True)
    (toy.folder / "other/trials.csv").write_text("".join(lines[:5]) + "5,3")  # cut short
    capsys.readouterr()
    assert toy(method, "other") == whole
    said = capsys.readouterr().out.splitlines()
    best = min(whole.values(), key=lambda row: -float(row["score"]))
    assert said[1] == "| trial | learning_rate | num_minibatches | score |"
    assert said[3].split()[1] == best["trial"]
    kept = yaml.safe_load((toy.folder / "other/best.yaml").read_text())
    assert kept["trial"] == int(best["trial"]) and str(kept["parameters"]["learning_rate"]) == best["learning_rate"]
    assert f"--learning_rate={best['learning_rate']}" in kept["command"] and kept["parameters"]["num_servers"] == 3
    assert json.loads((toy.folder / "out/search.json").read_text())["commit"]


def test_another_search_s_folder_is_left_alone(toy):
    toy(trials=2)
    before = (toy.folder / "out/trials.csv").read_bytes()
    with pytest.raises(SystemExit, match="out holds another search, whose seed is 1, not 2"):
        toy(seed=2)
    with pytest.raises(SystemExit, match=f"out: {toy.folder} holds other files and no search"):
        toy(out=".")
    assert (toy.folder / "out/trials.csv").read_bytes() == before
    (toy.folder / "out/trials.csv").write_bytes(before + before.splitlines(keepends=True)[1])
    with pytest.raises(SystemExit, match=r"trials.csv line 4: trial 1 occurs twice"):
        toy(trials=2)
    (toy.folder / "out/trials.csv").write_bytes(before.replace(b"\n1,3,0.", b"\n1,3,1."))
    with pytest.raises(SystemExit, match=r"trial 1 must have learning_rate 0\.0.*, got '1\.0"):
        toy(trials=2)


def test_ray_finds_the_same(toy, monkeypatch):
    def on_ray(trials, *, workers, ray):
        assert (ray, workers) == ("auto", 7)
        return [(trial, trial.run()) for trial in reversed(trials)]

    plain = toy()
    monkeypatch.setattr(search, "play", on_ray)
    assert toy(out="ray", ray="auto", workers=7) == plain


def test_a_trial_trains_and_is_scored_on_tuning_episodes(tmp_path, monkeypatch):
    path = tmp_path / "toy.yaml"
    path.write_text(TOY.replace("METHOD", "random"))
    sweep = sweep_files.read(path)
    short = {"total_steps": 64, "num_envs": 8, "num_steps": 4, "warm_start": "none", "num_slots": 4, "num_users": 5}
    played = []

    def run_episodes(policy, env_id, scenario, seeds):
        played.append((policy.name, env_id, scenario.num_sites, scenario.value("num_slots"), seeds))
        return [{"score": 1.0}, {"score": 2.0}]

    monkeypatch.setattr(search, "run_episodes", run_episodes)
    trial = search.Trial(1, sweep, {**short, "num_servers": 3, "learning_rate": 1e-3, "num_minibatches": 2}, 2)
    result = trial.run()
    assert result["score"] == 1.5 and result["training_score"] > -10 and result["seconds"] > 0
    seeds = range(EVALUATION_SEEDS.start - 2, EVALUATION_SEEDS.start)
    assert played == [("ppo", "DTAssociation-v0", 3, 60, seeds)]
    monkeypatch.setattr(ppo, "train", lambda args, report: report({"charts/progress": 0.5}))
    with pytest.raises(KeyboardInterrupt):
        trial.run()
