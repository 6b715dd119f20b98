"""Wrappers: observations as a Dict of blocks, and discrete actions as scores in [-1, 1] (argmax)."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from dtenv.observation import Layout


class Relaxation:
    """Continuous relaxation of a Discrete space, or of a MultiDiscrete one with equal parts; ValueError for others."""

    def __init__(self, actions: spaces.Space):
        self.scalar = isinstance(actions, spaces.Discrete)
        if isinstance(actions, spaces.Discrete):
            self.parts, self.choices = 1, int(actions.n)
        elif isinstance(actions, spaces.MultiDiscrete) and len(set(actions.nvec.tolist())) == 1:
            self.parts, self.choices = len(actions.nvec), int(actions.nvec[0])
        else:
            raise ValueError(f"actions must be Discrete or MultiDiscrete with equal parts, got {actions}")

    @property
    def space(self) -> spaces.Box:
        """Space of the scores, part by part."""
        return spaces.Box(-1.0, 1.0, (self.parts * self.choices,), np.float32)

    def chosen(self, scores: np.ndarray) -> np.ndarray:
        """Choices (…,) or (…, parts) with the highest of the scores (…, parts x choices); the first of equal ones."""
        parts = np.reshape(scores, (*np.shape(scores)[:-1], self.parts, self.choices)).argmax(-1)
        return parts[..., 0] if self.scalar else parts


class RelaxedAction(gym.ActionWrapper, gym.utils.RecordConstructorArgs):
    """Actions as scores (parts x choices,) in [-1, 1], argmax per part: for learners with continuous actions."""

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)  # for gym.make(env.spec)
        gym.ActionWrapper.__init__(self, env)
        self._relaxation = Relaxation(env.action_space)
        self.action_space = self._relaxation.space

    def action(self, action: np.ndarray) -> Any:
        """Choices with the highest scores."""
        return self._relaxation.chosen(action)


class RelaxedVectorAction(gym.vector.VectorActionWrapper):
    """`RelaxedAction` for a batch: scores (num_envs, parts x choices); other attributes are the vector env's."""

    def __init__(self, env: gym.vector.VectorEnv):
        super().__init__(env)
        self._relaxation = Relaxation(env.single_action_space)
        self.single_action_space = self._relaxation.space
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """Choices with the highest scores."""
        return self._relaxation.chosen(actions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)


class StructuredObservation(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    """Observations as a Dict of blocks (users, servers, links …) instead of one flat vector."""

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)  # for gym.make(env.spec)
        gym.ObservationWrapper.__init__(self, env)
        self._layout: Layout = env.unwrapped.layout  # type: ignore[attr-defined]
        self.observation_space = self._layout.structured_space

    def observation(self, observation: np.ndarray) -> dict[str, np.ndarray]:
        """Blocks of a flat observation."""
        return self._layout.split(observation)
