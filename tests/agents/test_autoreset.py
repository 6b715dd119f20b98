"""Next-step autoreset in learners: the row after an episode's end is no experience."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

import dtenv  # noqa: F401
from agents.ppo import advantages

SLOTS, GAMMA = 4, 0.9


def rollout(mode, steps=100):
    """Rewards, truncations, and whether a row is experience, (steps, 8), of twins that stay."""
    scenario = {"num_users": 5, "num_servers": 3, "num_slots": SLOTS}
    env = gym.make_vec("DTAssociation-v0", num_envs=8, autoreset_mode=mode, **scenario)
    env.reset(seed=0)
    rewards, truncations, experience = [], [], []
    done = np.zeros(8, bool)
    for _ in range(steps):
        _, reward, _, truncated, _ = env.step(env.task.state.server.copy())
        experience.append(~done if mode == "next_step" else np.ones(8, bool))
        rewards.append(reward)
        truncations.append(truncated)
        done = truncated
    return tuple(torch.tensor(np.array(rows)) for rows in (rewards, truncations, experience))


def critic(rewards, truncations, rows):
    """Value that TD learning from `runner` gives a critic which sees no difference between states."""
    value = 0.0
    for _ in range(300):
        values = torch.full((len(rewards) + 1, rewards.shape[1]), value, dtype=torch.float64)
        targets = values[:-1] + advantages(rewards, values, torch.zeros_like(truncations), truncations, GAMMA, 0.0)
        value = targets[rows].mean().item()
    return value


def test_a_learner_that_ignores_the_autoreset_row_learns_wrong_values():
    rewards, truncations, experience = rollout("next_step")
    assert (~experience).sum() == 8 * (100 // (SLOTS + 1)) and not rewards[~experience].any()
    truth = rewards[experience].mean().item() / (1.0 - GAMMA)  # of slots that go on for ever
    assert critic(rewards, truncations, experience) == pytest.approx(truth)
    ignoring = critic(rewards, truncations, torch.ones_like(experience))
    assert ignoring == pytest.approx(truth * SLOTS / (SLOTS + 1)) and abs(ignoring - truth) > 0.15 * abs(truth)


def test_same_step_autoreset_has_no_such_row():
    rewards, truncations, experience = rollout("same_step")
    assert critic(rewards, truncations, experience) == pytest.approx(rewards.mean().item() / (1.0 - GAMMA))
    assert truncations.sum() == 8 * (100 // SLOTS)
