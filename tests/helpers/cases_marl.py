"""What tests of MAPPO and MADDPG share: a small scenario, tasks that have begun, and a game of one guess a station."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from dtenv import presets
from dtenv.tasks.placement.task import PlacementTask

ENV = "DTPlacementMA-v0"


SMALL = presets.resolve("small-20x5", ENV, num_users=8, num_stations=3, num_slots=3, action="price")


def task_of(scenario, batch=6, watched=False):
    task = PlacementTask(scenario, batch, stations_observe=watched)
    for b in range(batch):
        task.reset(b, np.random.default_rng(b))
    return task


class Guess(gym.vector.VectorEnv):
    """Two stations shall name the numbers that they are shown; an episode is a step."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.single_observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
        self.single_action_space = gym.spaces.Box(0.0, 1.0, (4,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        return self.draw(), {}

    def draw(self):
        self.shown = self.rng.uniform(0.2, 0.8, (self.num_envs, 2)).astype(np.float32)
        return self.shown

    def step(self, actions):
        reward = -np.abs(actions.reshape(-1, 2, 2)[..., 1] - self.shown).mean(1)
        no = np.zeros(self.num_envs, np.bool_)
        return self.draw(), reward, no, no, {}
