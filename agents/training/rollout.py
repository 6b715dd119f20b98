"""Rollouts of on-policy learners: environments, collection, charts and reward scaling."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from agents.training.run import RunArgs
from agents.training.saved_state import Stateful
from dtenv.scenario import Scenario


class Rollout(NamedTuple):
    """N steps of B environments; entries of several agents or values have further axes."""

    obs: Tensor  # (N, B, …)
    action: Tensor  # (N, B, …)
    log_prob: Tensor  # (N, B, K)
    value: Tensor  # (N + 1, B, …), the last row of the observations after the last step
    reward: Tensor  # (N, B, …)
    cost: Tensor  # (N, B), constraint violation, 0 where info has none
    terminated: Tensor  # (N, B)
    truncated: Tensor  # (N, B)
    valid: Tensor  # (N, B), False where the step only reset: next-step autoreset ignores its action
    charts: dict[str, float]  # means over its valid steps, for the report

    def flat(self, *fields: Tensor) -> list[Tensor]:
        """Fields (N, B, …) as (valid steps, …)."""
        keep = self.valid.flatten()
        return [field.flatten(0, 1)[keep] for field in fields]


TRACKED = ("reward", "score", "objective", "utility", "energy", "system_cost")
"""The reward and the info entries that are reported, where the environment has them."""


def training_envs(args: RunArgs, scenario: Scenario, num_envs: int) -> gym.vector.VectorEnv:
    """Vector env to train on, with next-step autoreset."""
    settings: dict[str, Any] = {"scenario": scenario, "threads": args.threads}
    return gym.make_vec(args.env_id, num_envs, vectorization_mode="vector_entry_point", **settings)


class Charts:
    """Means over steps of info entries, and the share of steps with a violated constraint, as `charts/…`."""

    def __init__(self) -> None:
        self._values: dict[str, list[np.ndarray]] = {}

    def add(self, valid: np.ndarray, info: Mapping[str, Any]) -> None:
        """Add one step of a batch, of which the rows `valid` (B,) count."""
        entries = {name: np.asarray(info[name], np.float64) for name in TRACKED if name in info}
        if "feasible" in info:
            entries["infeasible"] = ~np.asarray(info["feasible"], np.bool_)
        for name, values in entries.items():
            self._values.setdefault(f"charts/{name}", []).append(values[valid])

    def means(self) -> dict[str, float]:
        """Means of all that was added; nan where no row counted."""
        whole = {name: np.concatenate(values) for name, values in self._values.items()}
        return {name: float(values.mean()) if values.size else np.nan for name, values in whole.items()}


class Returns(Stateful):
    """Sums of rewards over whole episodes of a batch: of those in progress and of those that ended last."""

    STATE = ("sums", "ended")

    def __init__(self, num_envs: int):
        self.sums, self.ended = np.zeros(num_envs), [np.nan]

    def add(self, reward: np.ndarray, done: np.ndarray) -> None:
        """Add rewards (B, …) of a step, averaged over agents (0 on steps that only reset); `done` (B,) episodes end."""
        self.sums += np.asarray(reward).reshape(len(reward), -1).mean(1)
        if done.any():
            self.ended = self.sums[done].tolist()
            self.sums[done] = 0.0

    def begin(self, rows: np.ndarray) -> None:
        """Drop the sums of rows that were reset before their episode ended."""
        self.sums[rows] = 0.0

    def mean(self) -> float:
        """Mean over the episodes that ended last; nan before any did."""
        return float(np.mean(self.ended))


class EnvRunner:
    """A vector env with next-step autoreset in mid-episode: latest observations, ended episodes, returns.

    The first environment is seeded `seed`, row i `seed` + i.
    """

    def __init__(self, envs: Any, seed: int):
        self.envs = envs
        self.last_obs, _ = envs.reset(seed=seed)
        self.done = np.zeros(envs.num_envs, np.bool_)
        self.returns = Returns(envs.num_envs)

    @property
    def obs(self) -> Tensor:
        """Observations (B, …) of the next step."""
        return torch.as_tensor(self.last_obs, dtype=torch.float32)

    def step_envs(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the environments; returns reward, terminated, truncated and info."""
        self.last_obs, reward, terminated, truncated, info = self.envs.step(action)
        self.done = terminated | truncated
        self.returns.add(reward, self.done)
        return reward, terminated, truncated, info

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the environments in mid-episode."""
        played = {"envs": self.envs.snapshot(), "obs": self.last_obs, "done": self.done}
        return {**played, "returns": self.returns.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.envs.restore(state["envs"])
        self.last_obs, self.done = state["obs"], state["done"]
        self.returns.load_state_dict(state["returns"])


class Collector(EnvRunner):
    """Collects rollouts of `num_steps` steps with a network, each from where the last one ended.

    Args:
        envs: a vector env with next-step autoreset.
        network: gives a Decision for (obs,).
        num_steps: steps of a rollout (N).
        seed: of the first environment; row i is seeded seed + i.
        spread: steps over which the rows are reset, one group after another, so that a rollout holds all phases of an
            episode; 0 leaves them in step. The environments must accept options["reset_mask"].
    """

    def __init__(self, envs: Any, network: nn.Module, num_steps: int, seed: int, spread: int = 0):
        super().__init__(envs, seed)
        self.network, self.num_steps = network, num_steps
        self.seconds = {"env": 0.0, "inference": 0.0, "learning": 0.0}
        groups = np.arange(envs.num_envs) % max(spread, 1)
        for step in range(1, spread):
            with torch.no_grad():
                action = self.network(self.obs).action.numpy()
            self.step_envs(action)
            due = groups == step
            if due.any():
                self.last_obs, _ = self.envs.reset(options={"reset_mask": due})
                self.done[due] = False
                self.returns.begin(due)

    def collect(self) -> Rollout:
        """Collect the next rollout."""
        steps: list[tuple[Tensor, ...]] = []
        charts = Charts()
        for _ in range(self.num_steps):
            obs, valid = self.obs, ~self.done
            start = time.perf_counter()
            with torch.no_grad():
                decision = self.network(obs)
            decided = time.perf_counter()
            reward, terminated, truncated, info = self.step_envs(decision.action.numpy())
            self.seconds["inference"] += decided - start
            self.seconds["env"] += time.perf_counter() - decided
            cost = np.asarray(info["cost"], np.float32) if "cost" in info else np.zeros(len(valid), np.float32)
            numbers = (np.asarray(reward, np.float32), cost, terminated, truncated, valid)
            steps.append((obs, *decision, *(torch.as_tensor(x) for x in numbers)))
            paid = reward.reshape(len(valid), -1).mean(1)
            charts.add(valid, {"reward": paid, "score": paid, **info})
        with torch.no_grad():
            last = self.network(self.obs).value
        obs, action, log_prob, _, value, *rest = map(torch.stack, zip(*steps, strict=True))
        means = {**charts.means(), "charts/episodic_return": self.returns.mean()}
        return Rollout(obs, action, log_prob, torch.cat([value, last[None]]), *rest, means)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the environments and the seconds spent."""
        return {**super().state_dict(), "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state)
        self.seconds = state["seconds"]


class RewardScale(Stateful):
    """Scales rewards by the first rollout's mean and deviation, so that discounted sums are of unit size."""

    STATE = ("centre", "spread")

    def __init__(self, gamma: float):
        self.gamma, self.centre, self.spread = gamma, 0.0, 0.0

    def __call__(self, rollout: Rollout) -> Tensor:
        """Scaled rewards (N, B, …) for the critic."""
        if self.spread == 0.0:
            valid = rollout.reward[rollout.valid]
            self.centre, self.spread = float(valid.mean()), float(valid.std()) + 1e-8
        return (rollout.reward - self.centre) / self.spread * (1.0 - self.gamma)
