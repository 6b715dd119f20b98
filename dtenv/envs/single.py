"""One environment at a time: Gymnasium's Env over a batch of one, whatever the task."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
from gymnasium.error import ResetNeeded

from dtenv.envs.optimum import Bounded
from dtenv.envs.pictures import RENDER_MODES, Pictures, when_not


class TaskEnv(Pictures, Bounded, gym.Env):
    """What the environments share: seeding, an episode's end, pictures, bounds. A subclass is an environment's page.

    Args:
        task: a batch of one, with scenario, layout, action_space, state, obs, begin, info.
        render_mode: "rgb_array", "human" or None.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 5}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(self, task: Any, render_mode: str | None):
        Pictures.__init__(self, render_mode)
        self.task = task
        self.scenario = task.scenario
        self.layout = task.layout
        self.observation_space = task.layout.space
        self.action_space = task.action_space
        self._last_slot = self.scenario.episode.num_slots
        self._under_way = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Draw a new episode. `options` has no entries."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"options has no entries in this environment, got {options!r}")
        self._under_way = False  # should the scenario's forecaster fail
        self.task.begin(0, self.np_random)
        self._under_way = True
        self._first_picture()
        return self.task.obs[0].copy(), self._begun()

    def step(self, action):
        """Play one slot.

        Raises:
            ResetNeeded: before the first reset, or after the episode's end.
            ValueError: an action of wrong shape, dtype or range; the episode goes on as if it had not been given.
        """
        if not self._under_way:
            raise ResetNeeded(f"step() was called {when_not(self.task, self._last_slot)}: call reset()")
        reward = self._advance(action)
        truncated = bool(self.task.state.slot[0] > self._last_slot)
        self._under_way = not truncated
        info = self.task.info()
        self._next_picture(info)
        return self.task.obs[0].copy(), reward, False, truncated, info

    def _playable(self, action: Any) -> Any:
        return action

    @abstractmethod
    def _begun(self) -> dict[str, Any]:
        """`info` of a reset."""

    @abstractmethod
    def _advance(self, action: Any) -> float:
        """Check the action, play it, and give the reward."""
