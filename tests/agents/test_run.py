"""A training run: its state on disk, resuming from it to the last bit, and a Ctrl-C that leaves policy and state."""

import dataclasses
import os
import signal

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_envs import Identity

import agents
from agents import a2c, ddpg, ppo, ppo_lagrangian
from agents.networks import Perceptron
from agents.training.run import Run, RunArgs
from agents.training.saved_state import load_state, save_state
from dtenv import presets

SMALL = presets.resolve("balanced", num_users=5, num_servers=4, num_slots=6)
ON_POLICY = {"num_envs": 4, "num_steps": 8, "total_steps": 256}
RECIPES = {
    "ppo": (ppo, ON_POLICY | {"network": "perceptron", "warm_start": "none"}),
    "ppo-cloned": (ppo, ON_POLICY | {"warm_start": "hysteresis", "warm_start_slots": 32, "value_updates": 2}),
    "a2c": (a2c, ON_POLICY | {"network": "perceptron", "warm_start": "none"}),
    "ppo-lagrangian": (ppo_lagrangian, ON_POLICY | {"network": "perceptron", "warm_start": "none"}),
    "ddpg": (ddpg, ON_POLICY | {"network": "relaxed-perceptron", "value_updates": 1, "updates": 2, "buffer_size": 100}),
}


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


@pytest.mark.parametrize("name", RECIPES)
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, name):
    """To the last bit: parameters of the policy, and what is reported on the way there."""
    learner, settings = RECIPES[name]
    args = learner.Args(**settings, save=tmp_path / "p.safetensors")
    whole: list[dict] = []
    expected = learner.train(dataclasses.replace(args, save=None), scenario=SMALL, report=whole.append)
    rows: list[dict] = []
    halfway = learner.train(args, scenario=SMALL, report=stop_at(rows, 3))
    assert (tmp_path / "p.state.safetensors").exists()
    loaded = agents.load(name.removesuffix("-cloned"), scenario=SMALL, checkpoint=args.save)
    obs = np.random.default_rng(0).uniform(0, 1, (8, 5 * 8 + 4 * 8 + 5 * 4 * 4)).astype(np.float32)
    np.testing.assert_array_equal(loaded.act(obs), halfway.act(obs))
    resumed = learner.train(dataclasses.replace(args, resume=True), scenario=SMALL, report=rows.append)
    assert not (tmp_path / "p.state.safetensors").exists()
    for a, b in zip(expected.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert any((a != b).any() for a, b in zip(expected.network.parameters(), halfway.network.parameters(), strict=True))
    timed = ("seconds", "charts/SPS", "charts/seconds")
    told = [[{k: v for k, v in row.items() if not k.startswith(timed)} for row in kept] for kept in (whole, rows)]
    assert same(*told)


def test_the_identity_environment_resumes_too(tmp_path):
    """The snapshot of the environment for tests itself."""
    parameters = []
    for stop in (1000, 2):
        envs = Identity(gym.spaces.MultiDiscrete([3, 3]), num_envs=4)
        args = ppo.Args(**RECIPES["ppo"][1], save=tmp_path / "p.safetensors")
        for resume in (False, True) if stop == 2 else (False,):
            torch.manual_seed(0)
            network = Perceptron(envs.single_observation_space, envs.single_action_space, hidden=8)
            report = stop_at([], stop if not resume else 1000)
            ppo.train(dataclasses.replace(args, resume=resume), envs=envs, network=network, report=report)
        parameters.append(torch.nn.utils.parameters_to_vector(network.parameters()))
    assert torch.equal(*parameters)


@pytest.mark.parametrize(("setting", "value"), [("seed", 2), ("gamma", 0.5), ("num_envs", 8), ("warm_start", "stay")])
def test_another_setting_cannot_be_resumed_with(tmp_path, setting, value):
    args = ppo.Args(**RECIPES["ppo"][1], save=tmp_path / "p.safetensors")
    ppo.train(args, scenario=SMALL, report=stop_at([], 1))
    with pytest.raises(ValueError, match=f"^{setting} must be .* to resume .*p.state.safetensors.*, got {value!r}"):
        ppo.train(dataclasses.replace(args, resume=True, **{setting: value}), scenario=SMALL)
    ppo.train(dataclasses.replace(args, resume=True, checkpoint_minutes=0.0), scenario=SMALL)


def test_another_learners_state_cannot_be_resumed(tmp_path):
    settings = RECIPES["ppo"][1] | {"save": tmp_path / "p.safetensors"}
    ppo.train(ppo.Args(**settings), scenario=SMALL, report=stop_at([], 1))
    with pytest.raises(ValueError, match="is the state of 'ppo', not of 'a2c'"):
        a2c.train(a2c.Args(**settings, resume=True), scenario=SMALL)


def test_interrupted_while_cloning_leaves_a_policy_and_no_state(tmp_path):
    """Half a warm start cannot be gone on with: the run begins anew."""
    learner, settings = RECIPES["ppo-cloned"]
    args = learner.Args(**settings, save=tmp_path / "p.safetensors")

    def report(row):
        assert "losses/cloning" in row
        os.kill(os.getpid(), signal.SIGINT)

    learner.train(args, scenario=SMALL, report=report)
    assert sorted(os.listdir(tmp_path)) == ["p.json", "p.safetensors"]
    agents.load("ppo", scenario=SMALL, checkpoint=args.save)


def test_the_second_interrupt_stops_at_once(tmp_path):
    args = ppo.Args(**RECIPES["ppo"][1], save=tmp_path / "p.safetensors")

    def report(row):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ppo.train(args, scenario=SMALL, report=report)
    assert signal.getsignal(signal.SIGINT) is before
