"""The constrained learner: its multiplier and advantages by hand, a tempting environment, repeating and reloading."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium import spaces
from trivial import Identity

import agents
from agents import ppo_lagrangian
from agents.networks import Perceptron
from agents.ppo_lagrangian import Multiplier, constrained
from dtenv import presets

SMALL = presets.resolve("balanced", num_users=5, num_servers=4, num_slots=6)
BRIEF = ppo_lagrangian.Args(warm_start="none", num_envs=16, num_steps=16, num_minibatches=4, gamma=0.5, gae_lambda=0.9)


def test_multiplier_by_hand():
    """Limit .1, rate 2, damping 1: excesses of .4, -.1 and -.5 after a start at .5."""
    multiplier = Multiplier(0.5, 0.1, 2.0, 1.0)
    assert multiplier.update(0.5) == pytest.approx(0.5 + 0.8 + 0.4)
    assert multiplier.update(0.0) == pytest.approx(1.3 - 0.2 - 0.1)
    other = Multiplier(0.0, 0.1, 2.0, 1.0)
    other.load_state_dict(multiplier.state_dict())
    assert other.update(-0.4) == multiplier.update(-0.4) == 0.0
    assert multiplier.ascended == pytest.approx(0.1)


def test_advantages_of_rewards_less_those_of_costs():
    generator = torch.Generator().manual_seed(0)
    advantage = torch.randn(4, 3, 2, generator=generator)
    result = constrained(advantage, 1.5)
    for t in range(4):
        for b in range(3):
            slow = (advantage[t, b, 0] - 1.5 * advantage[t, b, 1]) / 2.5
            assert result[t, b].item() == pytest.approx(slow.item(), rel=1e-5)


@pytest.mark.parametrize(("limit", "lowest", "highest"), [(10.0, 0.9, 1.0), (0.25, 0.15, 0.35)], ids=["free", "held"])
def test_costs_are_held_at_the_limit(limit, lowest, highest):
    """Choice 0 pays 2 more and costs 1. Free, a learner always takes it; held at a quarter, where it is right."""
    envs = Identity(spaces.Discrete(4), temptation=2.0)
    torch.manual_seed(0)
    network = Perceptron(envs.single_observation_space, envs.single_action_space, hidden=32, values=2)
    args = dataclasses.replace(BRIEF, total_steps=16_000, learning_rate=5e-3, cost_limit=limit, ent_coef=0.02)
    args = dataclasses.replace(args, multiplier_rate=0.1, multiplier_damping=0.3)
    rows: list[dict] = []
    ppo_lagrangian.train(args, envs=envs, network=network, report=rows.append)
    cost = np.mean([row["charts/cost"] for row in rows[-10:]])
    assert lowest <= cost <= highest
    if limit < 1.0:
        assert rows[-1]["charts/multiplier"] > 1.0  # below, temptation pays
        assert np.mean([row["charts/score"] for row in rows[-10:]]) > 1.3  # 1.5 at best
    else:
        assert rows[-1]["charts/multiplier"] == 0.0


@pytest.mark.parametrize("env_id", ["DTAssociation-v0", "DTMigration-v0"])
def test_runs_repeat_and_policies_reload(tmp_path, env_id):
    sites = {"DTAssociation-v0": "num_servers", "DTMigration-v0": "num_stations"}[env_id]
    scenario = presets.resolve("balanced", env_id, num_users=5, num_slots=6, **{sites: 4})
    args = dataclasses.replace(BRIEF, env_id=env_id, network="perceptron", num_envs=8, total_steps=256)
    args = dataclasses.replace(args, save=tmp_path / "p.safetensors")
    rows: list[dict] = []
    policy = ppo_lagrangian.train(args, scenario=scenario, report=rows.append)
    again = ppo_lagrangian.train(args, scenario=scenario)
    other = ppo_lagrangian.train(dataclasses.replace(args, seed=2, save=None), scenario=scenario)
    for a, b in zip(policy.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.0, atol=0.0)
    assert any((a != b).any() for a, b in zip(policy.network.parameters(), other.network.parameters(), strict=True))
    size = policy.network.actor[0].in_features
    obs = np.random.default_rng(0).uniform(0, 1, (8, size)).astype(np.float32)
    loaded = agents.load("ppo-lagrangian", env_id, scenario=scenario, checkpoint=tmp_path / "p.safetensors")
    np.testing.assert_array_equal(policy.act(obs), loaded.act(obs))
    assert 0.0 <= rows[-1]["charts/infeasible"] <= 1.0 and rows[-1]["charts/cost"] >= 0.0
