"""Rollouts and the charts reported of them."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.networks.decision import Decision
from agents.training.rollout import Charts, Collector

SLOTS = 6


class Staying(torch.nn.Module):
    """Keeps every twin of three users on server 0."""

    def forward(self, obs, action=None, greedy=False):
        rows = len(obs)
        parts = torch.zeros(rows, 3)
        return Decision(torch.zeros(rows, 3, dtype=torch.int64), parts, parts, torch.zeros(rows))


class Paid(gym.vector.VectorWrapper):
    """Pays 1 a slot that is played."""

    def step(self, actions):
        obs, reward, terminated, truncated, info = self.env.step(actions)
        return obs, np.where(reward == 0.0, 0.0, 1.0), terminated, truncated, info


@pytest.mark.parametrize("spread", [0, SLOTS, 2 * SLOTS])
def test_returns_are_of_whole_episodes_from_the_first_on(spread):
    fields = {"num_users": 3, "num_servers": 2, "num_slots": SLOTS, "reward": "objective"}
    envs = gym.make_vec("dtenv:DTAssociation-v0", 7, vectorization_mode="vector_entry_point", **fields)
    collector = Collector(Paid(envs), Staying(), 4, seed=0, spread=spread)
    returns = [collector.collect().charts["charts/episodic_return"] for _ in range(6)]
    ended = [value for value in returns if not np.isnan(value)]
    assert len(ended) >= 5 and set(ended) == {SLOTS}


def test_charts_are_means_over_the_rows_that_count():
    charts = Charts()
    charts.add(np.array([True, False]), {"score": np.array([1.0, 9.0]), "feasible": np.array([True, False])})
    charts.add(np.array([True, True]), {"score": np.array([2.0, 6.0]), "feasible": np.array([False, True])})
    assert charts.means() == {"charts/score": 3.0, "charts/infeasible": pytest.approx(1 / 3)}
    empty = Charts()
    empty.add(np.array([False]), {"score": np.array([1.0])})
    assert np.isnan(empty.means()["charts/score"])
