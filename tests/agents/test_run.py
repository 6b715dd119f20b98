"""Training runs of all learners: they repeat, resume to the last bit, reload, and Ctrl-C leaves policy and state."""

import dataclasses
import os
import signal

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_envs import Identity

import agents
from agents import a2c, ddpg, hindsight, maddpg, mappo, ppo, ppo_lagrangian, transfer
from agents.networks import Perceptron
from agents.training.run import Run, RunArgs
from agents.training.saved_state import load_state, save_state
from dtenv import presets

SMALL = presets.resolve("balanced", num_users=5, num_servers=4, num_slots=6)
STATIONS = presets.resolve("small-20x5", "DTPlacementMA-v0", num_users=8, num_stations=3, num_slots=3)
MOBILE = presets.resolve("balanced", "DTMigration-v0", num_users=12, num_stations=4, num_slots=12)
ON_POLICY = {"num_envs": 4, "num_steps": 8, "total_steps": 256}
OFF_POLICY = {"num_envs": 4, "num_steps": 8, "total_steps": 256, "updates": 2, "buffer_size": 100, "value_updates": 1}
MAPPO = {"total_steps": 160, "num_envs": 8, "num_steps": 4, "num_minibatches": 2, "update_epochs": 1}
MADDPG = {"total_steps": 88, "num_envs": 8, "learning_starts": 24, "batch_size": 8, "buffer_size": 64}
CLONED = {"warm_start_slots": 32, "value_updates": 2}
RUNS = {
    "ppo": (ppo, SMALL, ON_POLICY | {"network": "perceptron", "warm_start": "none"}),
    "ppo-cloned": (ppo, SMALL, ON_POLICY | CLONED | {"warm_start": "hysteresis"}),
    "a2c": (a2c, SMALL, ON_POLICY | {"network": "perceptron", "warm_start": "none"}),
    "ppo-lagrangian": (ppo_lagrangian, SMALL, ON_POLICY | {"network": "perceptron", "warm_start": "none"}),
    "ddpg": (ddpg, SMALL, OFF_POLICY | {"network": "relaxed-perceptron"}),
    "ddpg-cloned": (ddpg, SMALL, OFF_POLICY | CLONED | {"warm_start": "nearest"}),
    "mappo": (mappo, STATIONS, MAPPO),
    "ippo-cloned": (mappo, STATIONS, MAPPO | {"critic": "local", "warm_start": "greedy-add", "warm_start_slots": 16}),
    "ippo-own": (mappo, STATIONS, MAPPO | {"critic": "local", "network": "own"}),
    "maddpg": (maddpg, STATIONS, MADDPG),
    "maddpg-paper": (maddpg, STATIONS, MADDPG | {"shared": False, "gamma": 0.7}),
    "hindsight": (hindsight, MOBILE, {"num_envs": 4, "minibatch": 2, "updates": 2, "total_steps": 5 * 4 * 12}),
    "transfer": (transfer, MOBILE, {"source_rounds": 2, "rounds": 2, "num_envs": 2, "minibatch": 2, "updates": 1}),
}


def play(learner, policy, scenario):
    """Actions for the first observations of eight episodes, checked by the action space."""
    fields = scenario.override(**policy.overrides)
    envs = gym.make_vec(learner.Args().env_id, 8, vectorization_mode="vector_entry_point", scenario=fields)
    action = policy.act(envs.reset(seed=0)[0])
    assert envs.action_space.contains(action)
    return action


def same(a, b):
    """Whether two trees hold the same values, lists and tuples alike."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor | np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return a == b or (a != a and b != b)


def stop_at(rows, count):
    """A report that keeps rows, and sends Ctrl-C at the `count`-th of the run proper."""

    def report(row):
        rows.append(row)
        if sum("charts/progress" in row for row in rows) == count:
            os.kill(os.getpid(), signal.SIGINT)

    return report


def test_state_comes_back_as_it_was(tmp_path):
    generator = torch.Generator().manual_seed(0)
    network = Perceptron(gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2), hidden=4)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 3, generator=generator)).value.sum().backward()
    optimizer.step()
    tree = {
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "arrays": [np.arange(6).reshape(2, 3)[:, ::2], np.zeros(0), np.array([True, False]), np.float32([[1.5]])],
        3: {"plain": (1, 2.5, None, "x", True, float("nan"))},
    }
    save_state(tmp_path / "deep" / "s.safetensors", tree)
    loaded = load_state(tmp_path / "deep" / "s.safetensors")
    assert same(tree, loaded)
    assert os.listdir(tmp_path / "deep") == ["s.safetensors"]
    assert not same(tree, load_state(tmp_path / "deep" / "s.safetensors") | {3: {"plain": [1]}})


def test_state_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.state\.safetensors"):
        Run(RunArgs(save=tmp_path / "none.safetensors", resume=True))
    with pytest.raises(ValueError, match="resume=True needs save"):
        Run(RunArgs(resume=True))


@pytest.mark.parametrize("name", RUNS)
def test_runs_repeat_and_policies_reload(tmp_path, name):
    learner, scenario, settings = RUNS[name]
    args, rows = learner.Args(**settings, save=tmp_path / "p.safetensors"), []
    policy = learner.train(args, scenario=scenario, report=rows.append)
    again = learner.train(dataclasses.replace(args, save=None), scenario=scenario)
    other = learner.train(dataclasses.replace(args, save=None, seed=2), scenario=scenario)
    assert same(policy.network.state_dict(), again.network.state_dict())
    assert not same(policy.network.state_dict(), other.network.state_dict())
    loaded = agents.load(policy.name, args.env_id, scenario=scenario, checkpoint=args.save)
    np.testing.assert_array_equal(play(learner, policy, scenario), play(learner, loaded, scenario))
    assert rows[-1]["charts/progress"] == 1.0 and np.isfinite(rows[-1]["charts/score"])
    assert all(np.isfinite(rows[-1][key]) for key in rows[-1] if key.startswith("losses/"))


@pytest.mark.parametrize(("name", "count"), [*((name, 3) for name in RUNS), ("maddpg", 7), ("transfer", 7)])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, name, count):
    """To the last bit: parameters of the policy, and what is reported on the way there."""
    learner, scenario, settings = RUNS[name]
    args = learner.Args(**settings, save=tmp_path / "p.safetensors")
    whole: list[dict] = []
    expected = learner.train(dataclasses.replace(args, save=None), scenario=scenario, report=whole.append)
    rows: list[dict] = []
    halfway = learner.train(args, scenario=scenario, report=stop_at(rows, count))
    assert (tmp_path / "p.state.safetensors").exists()
    loaded = agents.load(halfway.name, args.env_id, scenario=scenario, checkpoint=args.save)
    np.testing.assert_array_equal(play(learner, loaded, scenario), play(learner, halfway, scenario))
    resumed = learner.train(dataclasses.replace(args, resume=True), scenario=scenario, report=rows.append)
    assert not (tmp_path / "p.state.safetensors").exists()
    assert same(expected.network.state_dict(), resumed.network.state_dict())
    assert not same(expected.network.state_dict(), halfway.network.state_dict())
    timed = ("seconds", "charts/SPS", "charts/seconds")
    kept = [[{k: v for k, v in row.items() if not k.startswith(timed)} for row in run] for run in (whole, rows)]
    assert same(*kept)


def test_the_identity_environment_resumes_too(tmp_path):
    """The snapshot of the environment for tests itself."""
    parameters = []
    for stop in (1000, 2):
        envs = Identity(gym.spaces.MultiDiscrete([3, 3]), num_envs=4)
        args = ppo.Args(**RUNS["ppo"][2], save=tmp_path / "p.safetensors")
        for resume in (False, True) if stop == 2 else (False,):
            torch.manual_seed(0)
            network = Perceptron(envs.single_observation_space, envs.single_action_space, hidden=8)
            report = stop_at([], stop if not resume else 1000)
            ppo.train(dataclasses.replace(args, resume=resume), envs=envs, network=network, report=report)
        parameters.append(torch.nn.utils.parameters_to_vector(network.parameters()))
    assert torch.equal(*parameters)


@pytest.mark.parametrize(("setting", "value"), [("seed", 2), ("gamma", 0.5), ("num_envs", 8), ("warm_start", "stay")])
def test_another_setting_cannot_be_resumed_with(tmp_path, setting, value):
    args = ppo.Args(**RUNS["ppo"][2], save=tmp_path / "p.safetensors")
    ppo.train(args, scenario=SMALL, report=stop_at([], 1))
    with pytest.raises(ValueError, match=f"^{setting} must be .* to resume .*p.state.safetensors.*, got {value!r}"):
        ppo.train(dataclasses.replace(args, resume=True, **{setting: value}), scenario=SMALL)
    ppo.train(dataclasses.replace(args, resume=True, checkpoint_minutes=0.0), scenario=SMALL)


def test_another_learners_state_cannot_be_resumed(tmp_path):
    settings = RUNS["ppo"][2] | {"save": tmp_path / "p.safetensors"}
    ppo.train(ppo.Args(**settings), scenario=SMALL, report=stop_at([], 1))
    with pytest.raises(ValueError, match="is the state of 'ppo', not of 'a2c'"):
        a2c.train(a2c.Args(**settings, resume=True), scenario=SMALL)


def test_interrupted_while_cloning_leaves_a_policy_and_no_state(tmp_path):
    """Half a warm start cannot be resumed: the run starts from scratch."""
    learner, _, settings = RUNS["ppo-cloned"]
    args = learner.Args(**settings, save=tmp_path / "p.safetensors")

    def report(row):
        assert "losses/cloning" in row
        os.kill(os.getpid(), signal.SIGINT)

    learner.train(args, scenario=SMALL, report=report)
    assert sorted(os.listdir(tmp_path)) == ["p.json", "p.safetensors"]
    agents.load("ppo", scenario=SMALL, checkpoint=args.save)


def test_the_second_interrupt_stops_at_once(tmp_path):
    args = ppo.Args(**RUNS["ppo"][2], save=tmp_path / "p.safetensors")

    def report(row):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ppo.train(args, scenario=SMALL, report=report)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_target_that_cannot_be_written_is_refused_before_the_first_step(tmp_path):
    learner, scenario, settings = RUNS["ppo"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "p.json").mkdir()
    (tmp_path / "file").touch()
    for name, message in (
        ("folder", "got the folder .*folder"),
        ("p", "got the folder .*p.json"),
        ("file/p", "file/p"),
    ):
        rows: list[dict] = []
        with pytest.raises(ValueError, match=f"save must be a file.*{message}"):
            learner.train(learner.Args(**settings, save=tmp_path / name), scenario=scenario, report=rows.append)
        assert rows == []


def test_a_save_that_fails_leaves_a_state_to_resume(tmp_path, monkeypatch):
    learner, scenario, settings = RUNS["ppo"]
    args = learner.Args(**settings, save=tmp_path / "p.safetensors")
    expected = learner.train(dataclasses.replace(args, save=None), scenario=scenario)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("agents.training.checkpoint.save_file", full)
        with pytest.raises(OSError, match="No space left"):
            learner.train(args, scenario=scenario)
    assert {path.name for path in tmp_path.iterdir()} == {"p.state.safetensors"}
    resumed = learner.train(dataclasses.replace(args, resume=True), scenario=scenario)
    assert same(expected.network.state_dict(), resumed.network.state_dict())
    assert {path.name for path in tmp_path.iterdir()} == {"p.safetensors", "p.json"}


def test_a_full_disk_keeps_the_last_good_state(tmp_path, monkeypatch):
    path = tmp_path / "p.state.safetensors"
    save_state(path, {"iteration": 1})

    def cut(tensors, file, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agents.training.saved_state.save_file", cut)
    with pytest.raises(OSError, match="No space left"):
        save_state(path, {"iteration": 2})
    assert load_state(path) == {"iteration": 1} and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_names_with_dots_have_files_of_their_own(tmp_path):
    learner, scenario, settings = RUNS["ppo"]
    for rate in (0.1, 0.5):
        args = learner.Args(**settings, save=tmp_path / f"lr-{rate}", learning_rate=rate)
        learner.train(args, scenario=scenario)
    names = {"lr-0.1", "lr-0.1.json", "lr-0.5", "lr-0.5.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert agents.load("ppo", args.env_id, scenario=scenario, checkpoint=tmp_path / "lr-0.1").name == "ppo"
