"""DTPlacementMA-v0 as a PettingZoo ParallelEnv: base stations as agents, same kernels as `PlacementEnv`."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from dtenv import presets
from dtenv.envs.actions import read_bits, read_numbers
from dtenv.envs.bounds import OptimumMixin
from dtenv.envs.rendering import RENDER_MODES, RenderMixin, not_steppable_reason
from dtenv.scenario.placement import PlacementScenario
from dtenv.tasks.placement.task import BINARY, PRICE, PlacementTask


class PlacementParallelEnv(RenderMixin, OptimumMixin, ParallelEnv[str, np.ndarray, np.ndarray]):
    """DTPlacementMA-v0 with base stations as agents: `station_0` … `station_{M-1}` act simultaneously.

    Model, presets and the modes `"bid"`, `"price"` and `"binary"` are those of `dtenv.envs.placement.PlacementEnv`; the
    same actions and seed give the same score in both.

    ## Action space
    Per station: `"bid"` is `Box(0, 1, (1 + N,))`, `"price"` `Box(0, 1, (2,))`, `"binary"`
    `MultiDiscrete([2] * (1 + N))`.

    ## Observation space
    `observe="local"` (default): a flat `Box` of float32 in [-1, 1]: 6 entries of the station, its number one-hot (M),
    and N x 6 entries of its links to users. `observe="shared"`: its number, then the central controller's observation.
    `env.layouts` names the entries. `state()` is the central controller's observation.

    ## Rewards
    `reward="shared"` (default): every station gets the score. `reward="local"`: its share, for the twins it hosts; the
    shares sum to the score.

    ## Info
    Per station: the central controller's info (`score`, `objective`, `latency` and its parts, …, see `PlacementEnv`),
    `action_mask` (N,), the users that the station could serve alone within their deadlines, `hosts_itself`, and
    `twins`, the number of twins it hosts.

    Episodes are truncated for all stations at once after `num_slots` slots.

    ```python
    >>> import dtenv
    >>> env = dtenv.parallel_env("DTPlacementMA-v0", scenario="small-20x5", action="price")
    >>> obs, infos = env.reset(seed=1)
    >>> actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    >>> obs, rewards, terminations, truncations, infos = env.step(actions)

    ```
    """

    canvas = "dtenv.render.placement:PlacementCanvas"
    metadata = {  # noqa: RUF012 (as PettingZoo declares it)
        "name": "DTPlacementMA_v0",
        "render_modes": list(RENDER_MODES),
        "render_fps": 5,
        "is_parallelizable": True,
    }

    def __init__(
        self, scenario: str | PlacementScenario | None = None, *, render_mode: str | None = None, **overrides: Any
    ):
        super().__init__(render_mode)
        self.scenario = presets.resolve(scenario, "DTPlacementMA-v0", **overrides)
        self.task = PlacementTask(self.scenario, stations_observe=True)
        self.possible_agents = [f"station_{k}" for k in range(self.scenario.network.num_stations)]
        self.agents: list[str] = []
        self.layout = self.task.layout
        self.layouts = dict.fromkeys(self.possible_agents, self.task.observed_layout)
        self.state_space = self.task.layout.space
        # An object each: seeding one agent's space leaves the others alone.
        self.action_spaces = {agent: deepcopy(self.task.station_action_space) for agent in self.possible_agents}
        self.observation_spaces = {agent: deepcopy(self.task.observed_layout.space) for agent in self.possible_agents}
        self._read_actions = read_bits if self.task.mode == BINARY else read_numbers
        self._rng: np.random.Generator | None = None

    def observation_space(self, agent: str) -> gym.spaces.Space:
        """Observation space of a station, always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.spaces.Space:
        """Action space of a station, always the same object."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Start a new episode. `options` are ignored: PettingZoo's API test passes arbitrary ones."""
        if self._rng is None or seed is not None:
            self._rng, _ = seeding.np_random(seed)
        self.task.reset(0, self._rng)
        self.agents = self.possible_agents[:]
        self._first_picture()
        return self._observations(), self._infos({})

    def step(self, actions: dict[str, Any]):
        """Play one slot; actions are a dict with one per station.

        Raises:
            ResetNeeded: before the first reset, or after the end of the episode.
            ValueError: an agent is missing or unknown, or its action has a wrong shape, dtype or range; no slot is
                played.
        """
        last_slot = self.scenario.episode.num_slots
        if not self.agents:
            raise ResetNeeded(f"step() was called {not_steppable_reason(self.task, last_slot)}: call reset()")
        if not isinstance(actions, Mapping):
            raise ValueError(f"actions must be a dict of one per station, got {actions!r}")
        if actions.keys() != set(self.agents):
            missing = [agent for agent in self.agents if agent not in actions]
            unknown = [agent for agent in actions if agent not in self.agents]
            raise ValueError(f"actions must hold one per station: missing {missing}, unknown {unknown}")
        shape = self.action_spaces[self.agents[0]].shape
        numbers = [self._read_actions(f"actions[{agent!r}]", actions[agent], shape) for agent in self.agents]
        self.task.step(np.stack(numbers)[None])
        rewards = dict(zip(self.agents, self.task.row_station_rewards().tolist(), strict=True))
        truncated = bool(self.task.state.slot[0] > last_slot)
        shared = self.task.info()
        del shared["action_mask"]
        observations, infos = self._observations(), self._infos(shared)
        self._next_picture(shared)
        terminations, truncations = dict.fromkeys(self.agents, False), dict.fromkeys(self.agents, truncated)
        if truncated:
            self.agents = []
        return observations, rewards, terminations, truncations, infos

    def state(self) -> np.ndarray:
        """Global observation of the network, the central controller's."""
        return self.task.obs[0].copy()

    def _observations(self) -> dict[str, np.ndarray]:
        return dict(zip(self.agents, self.task.station_observations().copy(), strict=True))

    def _infos(self, shared: dict[str, Any]) -> dict[str, dict[str, Any]]:
        mask, host = self.task.mask[0].T.copy(), self.task.state.host[0].tolist()
        twins = np.bincount(self.task.state.server[0], minlength=len(host)).tolist()
        return {
            agent: {**shared, "action_mask": mask[k], "hosts_itself": host[k], "twins": twins[k]}
            for k, agent in enumerate(self.agents)
        }

    def _to_action(self, action: np.ndarray) -> Any:
        """Return an action for `step`; with action="price" the association, which prices cannot always express."""
        if self.task.mode == PRICE:
            return action
        return dict(zip(self.agents, self.task.one_hot(action), strict=True))
