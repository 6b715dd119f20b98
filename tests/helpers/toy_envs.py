"""Tiny vector environments for learners: show a target, pay for naming it. Next-step autoreset, as dtenv's."""

from __future__ import annotations

import ast
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space


class Identity(gym.vector.VectorEnv):
    """Every slot draws a target from the action space and shows it; an action is paid for being it.

    Choices pay the share of parts that are right, a continuous action 1 less its squared distance. With `temptation`
    a choice 0 pays this much more, and costs 1 in info["cost"]: a learner has to be held back from it.
    """

    def __init__(self, actions: spaces.Space, num_envs: int = 16, num_slots: int = 8, temptation: float | None = None):
        self.num_envs, self.num_slots, self.temptation = num_envs, num_slots, temptation
        self.single_action_space = actions
        self.nvec = np.atleast_1d(getattr(actions, "nvec", getattr(actions, "n", 0)))
        size = int(self.nvec.sum()) or int(np.prod(actions.shape))
        self.single_observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.action_space = batch_space(actions, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.slot = np.zeros(self.num_envs, np.int64)
        return self._show(), {}

    def step(self, actions: np.ndarray):
        due = self.slot == self.num_slots  # the row only resets: its action counts for nothing
        reward, cost = self._judge(np.asarray(actions).reshape(self.num_envs, -1))
        self.slot = np.where(due, 0, self.slot + 1)
        truncated = self.slot == self.num_slots
        info = {} if self.temptation is None else {"cost": np.where(due, 0.0, cost), "feasible": cost == 0.0}
        return self._show(), np.where(due, 0.0, reward), np.zeros(self.num_envs, np.bool_), truncated, info

    def snapshot(self) -> list[np.ndarray]:
        generator = np.frombuffer(repr(self.np_random.bit_generator.state).encode(), np.uint8).copy()
        return [self.slot, self.target, generator]

    def restore(self, snapshot: list[np.ndarray]) -> None:
        self.slot, self.target, generator = snapshot
        self.np_random.bit_generator.state = ast.literal_eval(generator.tobytes().decode())

    def _judge(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.nvec.any():
            return 1.0 - np.square(actions - self.target).mean(1), np.zeros(self.num_envs)
        reward, cost = (actions == self.target).mean(1), (actions == 0).mean(1)
        return reward + (self.temptation or 0.0) * cost, cost

    def _show(self) -> np.ndarray:
        """Draw targets; choices are shown as one 1 a part, numbers as they are."""
        size = (self.num_envs, self.single_observation_space.shape[0])
        if not self.nvec.any():
            self.target = self.np_random.uniform(-0.8, 0.8, size).astype(np.float32)
            return self.target.copy()
        self.target = self.np_random.integers(self.nvec, size=(self.num_envs, len(self.nvec)))
        parts = [np.eye(n, dtype=np.float32)[self.target[:, k]] for k, n in enumerate(self.nvec)]
        return np.concatenate(parts, 1)


SPACES = {"discrete": spaces.Discrete(4), "multi-discrete": spaces.MultiDiscrete([3, 3])}
"""Spaces of choices that every learner of choices is tried on."""


def mean_reward(policy: Any, envs: Identity, slots: int = 64) -> float:
    """Mean reward of a policy's actions over the slots that are played."""
    obs, _ = envs.reset(seed=99)
    rewards, done = [], np.zeros(envs.num_envs, np.bool_)
    for _ in range(slots):
        obs, reward, terminated, truncated, _ = envs.step(policy.act(obs))
        rewards.append(reward[~done])
        done = terminated | truncated
    return float(np.concatenate(rewards).mean())
