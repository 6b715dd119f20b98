"""Base stations as agents in many networks at once, as arrays with agents on an axis: for multi-agent training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from dtenv import presets
from dtenv.envs.actions import read_bits, read_numbers
from dtenv.envs.autoreset import Rows
from dtenv.scenario.placement import PlacementScenario
from dtenv.tasks.placement.task import BINARY, PlacementTask
from dtenv.validation import integer


class StationRows(Rows):
    """`Rows` whose observations are the stations' own."""

    task: PlacementTask

    def _observe(self) -> np.ndarray:
        return self.task.all_station_observations()


class PlacementParallelVectorEnv:
    """DTPlacementMA-v0 as its stations play it, `num_envs` networks at once: `dtenv.parallel_vector_env`.

    Row i plays as the PettingZoo environment that is seeded as row i is, bit for bit. Stations are the second axis of
    observations (num_envs, M, …), actions (num_envs, M, …) and rewards (num_envs, M), in the order of
    `possible_agents`; spaces are one station's, as in `dtenv.envs.parallel.PlacementParallelEnv`. `infos` are those of
    the central controller: arrays with a row a network, each beside its mask.

    Args:
        num_envs: networks.
        scenario: as in gym.make; single fields of it by name.
        autoreset_mode: "next_step" (default), "same_step" or "disabled", as in `dtenv.envs.vector.TaskVectorEnv`.
        copy: False hands out the environment's own arrays, which change with the next step.
        threads: how many play; by default one a core.

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
        self.rows = StationRows(self.task, autoreset_mode, threads, copy)
        self.num_envs, self.copy = len(self.task.rows), copy
        self.metadata = {"name": "DTPlacementMA_v0", "autoreset_mode": self.rows.mode}
        self.possible_agents = [f"station_{k}" for k in range(self.scenario.network.num_stations)]
        self.layout = self.task.observed_layout
        self.single_observation_space, self.single_action_space = self.layout.space, self.task.station_action_space
        self.state_space = self.task.layout.space
        self._read = read_bits if self.task.mode == BINARY else read_numbers

    def observation_space(self, agent: str) -> gym.spaces.Space:
        """A station's observation space; all have the same."""
        return self.single_observation_space

    def action_space(self, agent: str) -> gym.spaces.Space:
        """A station's action space; all have the same."""
        return self.single_action_space

    def reset(self, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None):
        """Draw new episodes of all networks, or of those in options["reset_mask"]; as in `TaskVectorEnv`."""
        infos = self.rows.reset(seed, options)
        return self.rows.observed(), infos

    def step(self, actions: Any):
        """Play one slot of every network.

        Returns:
            Observations (B, M, …), rewards (B, M), terminations (B,), which are False, truncations (B,), and infos.

        Raises:
            ResetNeeded: before the first reset, or, with autoreset disabled, after the end of an episode.
            ValueError: actions of wrong shape, dtype or range; the message names the entry, and nothing is played.
        """
        due = self.rows.due()
        shape = (self.num_envs, len(self.possible_agents), *(self.single_action_space.shape or ()))
        numbers = self._read("actions", actions, shape, due)
        played, truncated, infos = self.rows.step(lambda rows: self.task.advance(numbers, rows=rows), due)
        rewards = np.where(played[:, None], self.task.rewards_of_stations, 0.0)
        return self.rows.observed(), rewards, np.zeros(self.num_envs, np.bool_), truncated, infos

    def state(self) -> np.ndarray:
        """The networks' observations, (B, state size), which hold all that stations see together."""
        return self.task.obs.copy() if self.copy else self.task.obs

    def snapshot(self) -> list[np.ndarray]:
        """The batch in mid-play, as in `TaskVectorEnv`."""
        return self.rows.snapshot()

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Go on from a snapshot, as in `TaskVectorEnv`."""
        self.rows.restore(snapshot)

    def close(self) -> None:
        """Shut down the thread pool."""
        self.rows.close()
