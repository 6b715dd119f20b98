"""Wrappers: observations as a Dict of blocks; discrete choices as scores in [-1, 1], of which the highest is played."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from dtenv.observation import Layout


class Relaxation:
    """The continuous relaxation of a Discrete action, or of a MultiDiscrete one with as many choices in every part.

    Args:
        actions: the space of choices.

    Raises:
        ValueError: another kind of space.
    """

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
        """Scores, those of a part's choices side by side."""
        return spaces.Box(-1.0, 1.0, (self.parts * self.choices,), np.float32)

    def chosen(self, scores: np.ndarray) -> np.ndarray:
        """The choices (…,) or (…, parts) of the highest scores (…, parts x choices); the first among equals."""
        parts = np.reshape(scores, (*np.shape(scores)[:-1], self.parts, self.choices)).argmax(-1)
        return parts[..., 0] if self.scalar else parts


class RelaxedAction(gym.ActionWrapper, gym.utils.RecordConstructorArgs):
    """Takes scores (parts x choices,) in [-1, 1] and plays every part's highest, for learners of continuous actions."""

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)  # so that gym.make(env.spec) can rebuild it
        gym.ActionWrapper.__init__(self, env)
        self._relaxation = Relaxation(env.action_space)
        self.action_space = self._relaxation.space

    def action(self, action: np.ndarray) -> Any:
        """The choices of the highest scores."""
        return self._relaxation.chosen(action)


class RelaxedVectorAction(gym.vector.VectorActionWrapper):
    """`RelaxedAction` for a batch: scores (num_envs, parts x choices). All else is the vector env's own."""

    def __init__(self, env: gym.vector.VectorEnv):
        super().__init__(env)
        self._relaxation = Relaxation(env.single_action_space)
        self.single_action_space = self._relaxation.space
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """The choices of the highest scores."""
        return self._relaxation.chosen(actions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)


class StructuredObservation(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    """Observations as a Dict of blocks (users, servers, links …) in place of one flat vector."""

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)  # so that gym.make(env.spec) can rebuild it
        gym.ObservationWrapper.__init__(self, env)
        self._layout: Layout = env.unwrapped.layout  # type: ignore[attr-defined]
        self.observation_space = self._layout.structured_space

    def observation(self, observation: np.ndarray) -> dict[str, np.ndarray]:
        """The blocks of one flat observation."""
        return self._layout.split(observation)
