"""Generalised advantage estimation (Zhou 2025, eqs 32 and 33)."""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(
    rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimates (N, B, …) of a rollout of N steps: the standard sum, as (33) intends.

    Args:
        rewards: (N, B, …).
        values: (N + 1, B, …), of the observation before each step and after the last. With next-step autoreset the
            observation after an episode's last step is its final one, so row t + 1 holds the value to bootstrap from.
        terminated: (N, B), the step ended the episode: no bootstrap.
        truncated: (N, B), the step reached the time limit: bootstrap, and cut the sum there.
        gamma: discount, σ of (32).
        gae_lambda: λ.
    """
    wide = terminated.shape + (1,) * (rewards.ndim - terminated.ndim)
    goes_on, same_episode = ~terminated.view(wide), ~(terminated | truncated).view(wide)
    result = torch.zeros_like(rewards)
    carried = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * values[t + 1] * goes_on[t] - values[t]
        carried = delta + gamma * gae_lambda * carried * same_episode[t]
        result[t] = carried
    return result
