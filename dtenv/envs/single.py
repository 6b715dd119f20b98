"""Base class of the single environments: Gymnasium's Env over a batch of one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded

from dtenv import presets
from dtenv.envs.bounds import OptimumMixin
from dtenv.envs.rendering import RENDER_MODES, RenderMixin, not_steppable_reason
from dtenv.scenario import Scenario


class TaskEnv(RenderMixin, OptimumMixin, gym.Env):
    """Gymnasium environment of a task: seeding, truncation, rendering, optimum.

    Args:
        scenario: a preset's name or a scenario; by default the environment's first preset.
        render_mode: "rgb_array", "human" or None.
        **overrides: single fields of the scenario by name.
    """

    env_id: ClassVar[str]
    task_type: ClassVar[Any]

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 5}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(self, scenario: str | Scenario | None = None, *, render_mode: str | None = None, **overrides: Any):
        task = self.task_type(presets.resolve(scenario, self.env_id, **overrides))
        RenderMixin.__init__(self, render_mode)
        self.task = task
        self.scenario = task.scenario
        self.layout = task.layout
        self.observation_space = task.layout.space
        self.action_space = task.action_space
        self._last_slot = self.scenario.episode.num_slots
        self._under_way = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Start a new episode; `options` must be empty."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"options has no entries in this environment, got {options!r}")
        self._under_way = False  # in case the scenario's forecaster fails
        self.task.reset(0, self.np_random)
        self._under_way = True
        self._first_picture()
        infos = self.task.reset_infos()
        return self.task.obs[0].copy(), {k: v[0].copy() if v.ndim > 1 else v[0].item() for k, v in infos.items()}

    def step(self, action):
        """Play one slot.

        Raises:
            ResetNeeded: before the first reset, or after the end of the episode.
            ValueError: the action has a wrong shape, dtype or range; no slot is played.
        """
        if not self._under_way:
            raise ResetNeeded(f"step() was called {not_steppable_reason(self.task, self._last_slot)}: call reset()")
        given = self.read_action("action", action, self.task, ())
        self.task.step(*(part[None] for part in given))
        truncated = bool(self.task.state.slot[0] > self._last_slot)
        self._under_way = not truncated
        info = self.task.info()
        self._next_picture(info)
        return self.task.obs[0].copy(), self.task.reward(), False, truncated, info

    def action_masks(self) -> np.ndarray:
        """Action mask (users, sites) of the current slot, or (sites,) of a focal user, for sb3-contrib."""
        return self.task.masks()[0].copy()

    @staticmethod
    @abstractmethod
    def read_action(
        name: str, values: Any, task: Any, batch: tuple[int, ...], rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, ...]:
        """Validate an action and convert it to the arguments of the task's `step`.

        Args:
            name: name of the action in error messages.
            values: the action, with the axes `batch` first.
            task: the task.
            batch: () for one episode, (B,) for a batch.
            rows: rows to check; None for all.

        Raises:
            ValueError: wrong shape, dtype or range; the message names the entry.
        """
