"""A2C: its loss against a slow reference, learning on the identity environment, repeating and reloading."""

import dataclasses

import numpy as np
import pytest
import torch
from trivial import SPACES, Identity, mean_reward

import agents
from agents import a2c
from agents.networks import Perceptron
from dtenv import presets

SMALL = presets.resolve("balanced", num_users=5, num_servers=4, num_slots=6)
BRIEF = a2c.Args(warm_start="none", num_envs=16, num_steps=5, learning_rate=5e-3, gamma=0.9, gae_lambda=0.9)


def test_policy_loss_is_the_slow_sum():
    generator = torch.Generator().manual_seed(0)
    log_prob, advantage = torch.randn(6, 3, generator=generator), torch.randn(6, generator=generator)
    slow = 0.0
    for row in range(6):
        slow -= sum(log_prob[row, k].item() for k in range(3)) * advantage[row].item() / 6
    assert a2c.policy_loss(log_prob, advantage).item() == pytest.approx(slow, rel=1e-5)


@pytest.mark.parametrize("name", SPACES)
def test_solves_the_identity(name):
    envs = Identity(SPACES[name])
    torch.manual_seed(0)
    network = Perceptron(envs.single_observation_space, SPACES[name])
    policy = a2c.train(dataclasses.replace(BRIEF, total_steps=20_000), envs=envs, network=network)
    assert mean_reward(policy, envs) > 0.95


@pytest.mark.parametrize(("network", "warm_start"), [("equivariant", "hysteresis"), ("perceptron", "none")])
def test_runs_repeat_and_policies_reload(tmp_path, network, warm_start):
    args = dataclasses.replace(BRIEF, network=network, warm_start=warm_start, warm_start_slots=32, num_envs=4)
    args = dataclasses.replace(args, total_steps=100, value_updates=2, save=tmp_path / "p.safetensors")
    policy, again = a2c.train(args, scenario=SMALL), a2c.train(args, scenario=SMALL)
    other = a2c.train(dataclasses.replace(args, seed=2, save=None), scenario=SMALL)
    for a, b in zip(policy.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.0, atol=0.0)
    assert any((a != b).any() for a, b in zip(policy.network.parameters(), other.network.parameters(), strict=True))
    obs = np.random.default_rng(0).uniform(0, 1, (8, 5 * 8 + 4 * 8 + 5 * 4 * 4)).astype(np.float32)
    loaded = agents.load("a2c", scenario=SMALL, checkpoint=tmp_path / "p.safetensors")
    np.testing.assert_array_equal(policy.act(obs), loaded.act(obs))


def test_an_environment_without_a_recipe_is_refused():
    with pytest.raises(ValueError, match="env_id must be one of DTAssociation-v0, DTMigration-v0 for a2c"):
        a2c.train(a2c.Args(env_id="DTPlacementMA-v0"))
