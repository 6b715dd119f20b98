"""Vectorised multi-agent DTPlacementMA-v0: arrays with the base stations on the second axis."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from dtenv import presets
from dtenv.envs.actions import read_bits, read_numbers
from dtenv.envs.autoreset import BatchRunner
from dtenv.scenario.placement import PlacementScenario
from dtenv.tasks.placement.task import BINARY, PlacementTask
from dtenv.validation import integer


class StationBatchRunner(BatchRunner):
    """`BatchRunner` with the stations' observations."""

    task: PlacementTask

    def _current_obs(self) -> np.ndarray:
        return self.task.all_station_observations()


class PlacementParallelVectorEnv:
    """DTPlacementMA-v0 with base stations as agents, `num_envs` networks at once: `dtenv.parallel_vector_env`.

    Row i equals the PettingZoo environment with the same seed, bit for bit. Stations are the second axis of
    observations (num_envs, M, …), actions (num_envs, M, …) and rewards (num_envs, M), in the order of
    `possible_agents`; spaces are those of one station, as in `dtenv.envs.parallel.PlacementParallelEnv`. `infos` are
    the central controller's: arrays with a row per network and their masks.

    Args:
        num_envs: number of networks.
        scenario: as in gym.make, as are single fields by name.
        autoreset_mode: "next_step" (default), "same_step" or "disabled", as in `dtenv.envs.vector.TaskVectorEnv`.
        copy: False returns the environment's own arrays, which change with the next step.
        threads: number of threads, by default one per core.

    ```python
    >>> import dtenv, numpy as np
    >>> env = dtenv.parallel_vector_env("DTPlacementMA-v0", num_envs=4, scenario="small-20x5", action="price")
    >>> obs, infos = env.reset(seed=1)
    >>> obs, rewards, terminations, truncations, infos = env.step(np.full((4, 5, 2), 0.6))
    >>> rewards.shape
    (4, 5)

    ```
    """

    def __init__(
        self,
        num_envs: int = 1,
        scenario: str | PlacementScenario | None = None,
        *,
        autoreset_mode: str | AutoresetMode = "next_step",
        copy: bool = True,
        threads: int | None = None,
        **overrides: Any,
    ):
        self.scenario = presets.resolve(scenario, "DTPlacementMA-v0", **overrides)
        self.task = PlacementTask(self.scenario, integer("num_envs", num_envs), stations_observe=True)
        self.runner = StationBatchRunner(self.task, autoreset_mode, threads, copy)
        self.num_envs, self.copy = len(self.task.rows), copy
        self.metadata = {"name": "DTPlacementMA_v0", "autoreset_mode": self.runner.mode}
        self.possible_agents = [f"station_{k}" for k in range(self.scenario.network.num_stations)]
        self.layout = self.task.observed_layout
        self.single_observation_space, self.single_action_space = self.layout.space, self.task.station_action_space
        self._spaces = {  # an object each: seeding one agent's space leaves the others alone
            agent: (deepcopy(self.single_observation_space), deepcopy(self.single_action_space))
            for agent in self.possible_agents
        }
        self.state_space = self.task.layout.space
        self._read_actions = read_bits if self.task.mode == BINARY else read_numbers

    def observation_space(self, agent: str) -> gym.spaces.Space:
        """Observation space of a station."""
        return self._spaces[agent][0]

    def action_space(self, agent: str) -> gym.spaces.Space:
        """Action space of a station."""
        return self._spaces[agent][1]

    def reset(self, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None):
        """Start new episodes, as `TaskVectorEnv.reset` does."""
        infos = self.runner.reset(seed, options)
        return self.runner.obs(), infos

    def step(self, actions: Any):
        """Play one slot of every network; errors as in `TaskVectorEnv.step`.

        Returns:
            Observations (B, M, …), rewards (B, M), terminations (B,), always False, truncations (B,), and infos.
        """
        due = self.runner.due()
        shape = (self.num_envs, len(self.possible_agents), *(self.single_action_space.shape or ()))
        numbers = self._read_actions("actions", actions, shape, due)
        played, truncated, infos = self.runner.step(lambda rows: self.task.step(numbers, rows=rows), due)
        rewards = np.where(played[:, None], self.task.station_rewards, 0.0)
        return self.runner.obs(), rewards, np.zeros(self.num_envs, np.bool_), truncated, infos

    def state(self) -> np.ndarray:
        """Global observations (B, state size), the central controller's."""
        return self.task.obs.copy() if self.copy else self.task.obs

    def snapshot(self) -> list[np.ndarray]:
        """Return the state of the batch, as `TaskVectorEnv.snapshot` does."""
        return self.runner.snapshot()

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Restore a snapshot, as `TaskVectorEnv.restore` does."""
        self.runner.restore(snapshot)

    def close(self) -> None:
        """Shut down the thread pool."""
        self.runner.close()
