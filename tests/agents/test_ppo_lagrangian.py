"""PPO under a cost limit: its multiplier and advantages by hand, a tempting environment, what is saved."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from gymnasium import spaces
from toy_envs import Identity

import agents
from agents import ppo_lagrangian
from agents.multiplier import Multiplier, constrained
from agents.networks import Perceptron
from dtenv import presets

BRIEF = ppo_lagrangian.Args(warm_start="none", num_envs=16, num_steps=16, num_minibatches=4, gamma=0.5, gae_lambda=0.9)


def test_multiplier_by_hand():
    """Limit .1, rate 2, damping 1: excesses of .4, -.1, -.25 and -.5."""
    multiplier = Multiplier(0.1, 2.0, 1.0)
    assert multiplier.update(0.5) == pytest.approx(0.8 + 0.4)
    assert multiplier.update(0.0) == pytest.approx(0.6 - 0.1)
    other = Multiplier(0.1, 2.0, 1.0)
    other.load_state_dict(multiplier.state_dict())
    assert other.update(-0.15) == multiplier.update(-0.15) == 0.0
    assert multiplier.ascended == pytest.approx(0.1)
    assert multiplier.update(-0.4) == multiplier.ascended == 0.0


def test_advantages_of_rewards_less_those_of_costs():
    generator = torch.Generator().manual_seed(0)
    advantage = torch.randn(4, 3, 2, generator=generator)
    result = constrained(advantage, 1.5)
    for t in range(4):
        for b in range(3):
            slow = (advantage[t, b, 0] - 1.5 * advantage[t, b, 1]) / 2.5
            assert result[t, b].item() == pytest.approx(slow.item(), rel=1e-5)
    assert (constrained(advantage, 0.0) == advantage[..., 0]).all()  # plain PPO's


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


def test_a_policy_says_what_it_was_trained_on(tmp_path):
    """Rewards of DTMigration-v0 price no missed deadline, and the network comes back with both its values."""
    scenario = presets.resolve("balanced", "DTMigration-v0", num_users=5, num_slots=6, num_stations=4)
    args = dataclasses.replace(BRIEF, env_id="DTMigration-v0", network="perceptron", num_envs=8, total_steps=128)
    policy = ppo_lagrangian.train(dataclasses.replace(args, save=tmp_path / "p.safetensors"), scenario=scenario)
    about = json.loads((tmp_path / "p.json").read_text())
    assert about["scenario"]["deadline_penalty"] == 0.0 < scenario.value("deadline_penalty")
    assert about["args"]["cost_limit"] == 0.02 and about["options"] == {"values": 2}
    obs = np.random.default_rng(0).uniform(0, 1, (8, policy.network.actor[0].in_features)).astype(np.float32)
    loaded = agents.load("ppo-lagrangian", "DTMigration-v0", scenario=scenario, checkpoint=tmp_path / "p.safetensors")
    np.testing.assert_array_equal(policy.act(obs), loaded.act(obs))
