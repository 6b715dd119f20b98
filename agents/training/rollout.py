"""Rollouts: what learners that learn from their own policy gather from a batch of environments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from agents.training.run import RunArgs
from dtenv.scenario import Scenario


class Rollout(NamedTuple):
    """N steps of B environments; entries of several agents or values have further axes."""

    obs: Tensor  # (N, B, …)
    action: Tensor  # (N, B, …)
    log_prob: Tensor  # (N, B, K)
    value: Tensor  # (N + 1, B, …), the last row of the observations after the last step
    reward: Tensor  # (N, B, …)
    cost: Tensor  # (N, B), constraint violation, where info tells it
    terminated: Tensor  # (N, B)
    truncated: Tensor  # (N, B)
    valid: Tensor  # (N, B), False where the step only reset: next-step autoreset ignores its action
    charts: dict[str, float]  # what is reported of it: means over its valid steps

    def flat(self, *fields: Tensor) -> list[Tensor]:
        """Fields (N, B, …) as (valid steps, …)."""
        keep = self.valid.flatten()
        return [field.flatten(0, 1)[keep] for field in fields]


TOLD = ("reward", "score", "objective", "utility", "energy", "system_cost")
"""The reward and entries of info that are reported, where the environment has them."""


def training_envs(args: RunArgs, scenario: Scenario, num_envs: int) -> gym.vector.VectorEnv:
    """The batch to train on, with next-step autoreset."""
    settings: dict[str, Any] = {"scenario": scenario, "threads": args.threads}
    return gym.make_vec(args.env_id, num_envs, vectorization_mode="vector_entry_point", **settings)


class Charts:
    """Means over steps of entries of info, and the share of steps with a violated constraint, as `charts/…`."""

    def __init__(self) -> None:
        self._values: dict[str, list[np.ndarray]] = {}

    def add(self, valid: np.ndarray, info: Mapping[str, Any]) -> None:
        """One step of a batch, of which the rows `valid` (B,) count."""
        for name in TOLD:
            if name in info:
                self._keep(name, np.asarray(info[name], np.float64)[valid])
        if "feasible" in info:
            self._keep("infeasible", ~np.asarray(info["feasible"], np.bool_)[valid])

    def _keep(self, name: str, values: np.ndarray) -> None:
        self._values.setdefault(f"charts/{name}", []).append(values)

    def means(self) -> dict[str, float]:
        """Of all that was added; nan where no row counted."""
        whole = {name: np.concatenate(values) for name, values in self._values.items()}
        return {name: float(values.mean()) if values.size else np.nan for name, values in whole.items()}


class Returns:
    """Sums of rewards over whole episodes of a batch."""

    def __init__(self, num_envs: int):
        self._sums, self._ended = np.zeros(num_envs), [np.nan]

    def add(self, reward: np.ndarray, done: np.ndarray) -> None:
        """A step's rewards (B, …), averaged over agents: 0 on the step that only resets; and which episodes it ends."""
        self._sums += np.asarray(reward).reshape(len(reward), -1).mean(1)
        if done.any():
            self._ended = self._sums[done].tolist()
            self._sums[done] = 0.0

    def begin(self, rows: np.ndarray) -> None:
        """Episodes that are begun anew before they ended."""
        self._sums[rows] = 0.0

    def mean(self) -> float:
        """Over the episodes that ended last; nan before any did."""
        return float(np.mean(self._ended))

    def state_dict(self) -> dict[str, Any]:
        """Of the episodes under way, and those that ended last."""
        return {"sums": self._sums, "ended": [float(x) for x in self._ended]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._sums, self._ended = state["sums"], state["ended"]


class Collector:
    """Plays a batch with a network, `num_steps` at a time, from where the last rollout ended.

    Args:
        envs: a vector env with next-step autoreset.
        network: gives a Decision for (obs,).
        num_steps: steps of a rollout (N).
        seed: of the first environment; row i is seeded seed + i.
        spread: steps over which the rows' episodes are begun anew, one group after another, so that a rollout holds
            all phases of an episode; 0 leaves them in step. The environments must know options["reset_mask"].
    """

    def __init__(self, envs: Any, network: nn.Module, num_steps: int, seed: int, spread: int = 0):
        self.envs, self.network, self.num_steps = envs, network, num_steps
        self.seconds = {"env": 0.0, "inference": 0.0, "learning": 0.0}
        self._obs, _ = envs.reset(seed=seed)
        self._done = np.zeros(envs.num_envs, np.bool_)
        self._returns = Returns(envs.num_envs)
        self._spread(spread)

    @property
    def obs(self) -> Tensor:
        """What the next rollout starts from, (B, …)."""
        return torch.as_tensor(self._obs, dtype=torch.float32)

    def collect(self) -> Rollout:
        """Play and gather."""
        steps: list[tuple[Tensor, ...]] = []
        charts = Charts()
        for _ in range(self.num_steps):
            obs, valid = self.obs, ~self._done
            start = time.perf_counter()
            with torch.no_grad():
                decision = self.network(obs)
            decided = time.perf_counter()
            self._obs, reward, terminated, truncated, info = self.envs.step(decision.action.numpy())
            self.seconds["inference"] += decided - start
            self.seconds["env"] += time.perf_counter() - decided
            self._done = terminated | truncated
            cost = np.asarray(info["cost"], np.float32) if "cost" in info else np.zeros(len(valid), np.float32)
            numbers = (np.asarray(reward, np.float32), cost, terminated, truncated, valid)
            steps.append((obs, *decision, *(torch.as_tensor(x) for x in numbers)))
            paid = reward.reshape(len(valid), -1).mean(1)
            charts.add(valid, {"reward": paid, "score": paid, **info})
            self._returns.add(reward, self._done)
        with torch.no_grad():
            last = self.network(self.obs).value
        obs, action, log_prob, _, value, reward, cost, terminated, truncated, valid = map(
            torch.stack, zip(*steps, strict=True)
        )
        return Rollout(
            obs,
            action,
            log_prob,
            torch.cat([value, last[None]]),
            reward,
            cost,
            terminated,
            truncated,
            valid,
            {**charts.means(), "charts/episodic_return": self._returns.mean()},
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the next rollout depends on beside the network: the environments in mid-play."""
        return {
            "envs": self.envs.snapshot(),
            "obs": self._obs,
            "done": self._done,
            "returns": self._returns.state_dict(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.envs.restore(state["envs"])
        self._obs, self._done, self.seconds = state["obs"], state["done"], state["seconds"]
        self._returns.load_state_dict(state["returns"])

    def _spread(self, steps: int) -> None:
        groups = np.arange(len(self._done)) % max(steps, 1)
        for step in range(1, steps):
            with torch.no_grad():
                action = self.network(self.obs).action.numpy()
            self._obs, reward, terminated, truncated, _ = self.envs.step(action)
            self._done = terminated | truncated
            self._returns.add(reward, self._done)
            due = groups == step
            if due.any():
                self._obs, _ = self.envs.reset(options={"reset_mask": due})
                self._done[due] = False
                self._returns.begin(due)


class RewardScale:
    """Brings rewards to zero mean and their discounted sums to unit size, by the first rollout's mean and deviation."""

    def __init__(self, gamma: float):
        self.gamma, self.centre, self.spread = gamma, 0.0, 0.0

    def __call__(self, rollout: Rollout) -> Tensor:
        """Rewards (N, B, …) as the critic sees them."""
        if self.spread == 0.0:
            valid = rollout.reward[rollout.valid]
            self.centre, self.spread = float(valid.mean()), float(valid.std()) + 1e-8
        return (rollout.reward - self.centre) / self.spread * (1.0 - self.gamma)

    def state_dict(self) -> dict[str, float]:
        """What was measured."""
        return {"centre": self.centre, "spread": self.spread}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take what was measured."""
        self.centre, self.spread = state["centre"], state["spread"]
