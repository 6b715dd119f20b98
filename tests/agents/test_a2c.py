"""A2C: one iteration of PPO under its settings is the textbook's step, to the last bit; and it learns."""

import copy
import dataclasses

import pytest
import torch
from torch import nn
from toy_envs import SPACES, Identity, mean_reward

from agents import a2c
from agents.networks import Perceptron
from agents.ppo import normalised
from agents.training.advantages import advantages
from agents.training.rollout import Collector, RewardScale

BRIEF = a2c.Args(warm_start="none", num_envs=16, num_steps=5, learning_rate=5e-3, gamma=0.9, gae_lambda=0.9)


def test_an_iteration_is_a_step_along_the_textbooks_gradient():
    """∇ log π(a|s) A over the whole rollout, of actions in several parts."""
    envs = Identity(SPACES["multi-discrete"])
    torch.manual_seed(0)
    network = Perceptron(envs.single_observation_space, envs.single_action_space)
    textbook, first = copy.deepcopy(network), copy.deepcopy(network)
    args = dataclasses.replace(BRIEF, total_steps=80)
    a2c.train(args, envs=envs, network=network)

    torch.manual_seed(args.seed)
    rollout = Collector(envs, textbook, 5, args.first_seed + 16).collect()
    reward = RewardScale(0.9)(rollout)
    advantage = advantages(reward, rollout.value, rollout.terminated, rollout.truncated, 0.9, 0.9)
    returns = advantage + rollout.value[:-1]
    obs, action, advantage, returns = rollout.flat(rollout.obs, rollout.action, advantage, returns)
    judged = textbook(obs, action)
    policy_loss = -(judged.log_prob.sum(-1) * normalised(advantage)).mean()
    value_loss = 0.5 * (judged.value - returns).square().mean()
    (policy_loss + 0.5 * value_loss).backward()
    nn.utils.clip_grad_norm_(textbook.parameters(), 0.5)
    torch.optim.Adam(textbook.parameters(), lr=5e-3, eps=1e-5).step()
    for a, b, before in zip(network.parameters(), textbook.parameters(), first.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.0, atol=0.0)
        assert (a != before).any()


@pytest.mark.parametrize("name", SPACES)
def test_solves_the_identity(name):
    envs = Identity(SPACES[name])
    torch.manual_seed(0)
    network = Perceptron(envs.single_observation_space, SPACES[name])
    policy = a2c.train(dataclasses.replace(BRIEF, total_steps=20_000), envs=envs, network=network)
    assert policy.name == "a2c" and mean_reward(policy, envs) > 0.95


def test_settings_of_the_update_are_fixed():
    with pytest.raises(TypeError, match="num_minibatches"):
        a2c.Args(num_minibatches=2)


def test_an_environment_without_a_recipe_is_refused():
    with pytest.raises(ValueError, match="env_id must be one of DTAssociation-v0, DTMigration-v0 for a2c"):
        a2c.train(a2c.Args(env_id="DTPlacementMA-v0"))
