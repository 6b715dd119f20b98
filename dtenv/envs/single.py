"""One environment at a time: Gymnasium's Env over a batch of one, whatever the task."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded

from dtenv.compiled import compiled
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


def as_array(name: str, values: Any) -> np.ndarray:
    """The values as an array.

    Raises:
        ValueError: lists of different lengths within one; the message names them.
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array, got a ragged sequence {values!r}") from None


def read_indices(name: str, values: Any, users: int, count: int, what: str) -> np.ndarray:
    """One whole number in 0 … count - 1 for every user, as int64 (users,).

    Raises:
        ValueError: wrong shape, dtype or range; the message names the entry.
    """
    indices = as_array(name, values)
    if indices.shape != (users,):
        raise ValueError(f"{name} must have shape ({users},), one {what} a user, got shape {indices.shape}")
    if indices.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold whole numbers, got dtype {indices.dtype}")
    indices = indices.astype(np.int64, copy=False)
    outside = first_outside(indices, count)
    if outside >= 0:
        raise ValueError(f"{name}[{outside}] must be a {what} in 0..{count - 1}, got {indices[outside]}")
    return indices


def read_numbers(name: str, values: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Finite numbers of the given shape as float64, clipped to [0, 1].

    Raises:
        ValueError: wrong shape or dtype, or a number that is not finite; the message names the entry.
    """
    numbers = as_array(name, values)
    if numbers.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got shape {numbers.shape}")
    if numbers.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold numbers, got dtype {numbers.dtype}")
    numbers = numbers.astype(np.float64)
    if not np.isfinite(numbers).all():
        i = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise ValueError(f"{name}[{i}] must be a finite number, got {numbers[i]}")
    return np.clip(numbers, 0.0, 1.0, out=numbers)


def read_bits(name: str, values: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Zeros and ones of the given shape as float64.

    Raises:
        ValueError: wrong shape, dtype or range; the message names the entry.
    """
    bits = as_array(name, values)
    if bits.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got shape {bits.shape}")
    if bits.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold whole numbers, got dtype {bits.dtype}")
    outside = np.flatnonzero((bits != 0) & (bits != 1))
    if outside.size:
        raise ValueError(f"{name}[{outside[0]}] must be 0 or 1, got {bits[outside[0]]}")
    return bits.astype(np.float64)


@compiled
def first_outside(indices: np.ndarray, count: int) -> int:
    """First place whose index is not in 0 … count - 1, or -1."""
    for u in range(len(indices)):
        if indices[u] < 0 or indices[u] >= count:
            return u
    return -1
