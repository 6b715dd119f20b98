"""Generalised advantage estimation (Zhou 2025, eqs 32 and 33), for all learners that use it."""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(
    rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimates (N, B, …) of a rollout of N steps, the standard sum that (33) stands for.

    Args:
        rewards: (N, B, …).
        values: (N + 1, B, …), of the observation before each step and after the last. After an episode's last step
            next-step autoreset still shows its final observation, so row t + 1 holds the value to bootstrap from.
        terminated: (N, B), the step reached an end with no future: nothing to bootstrap.
        truncated: (N, B), the step reached a time limit: bootstrap, but look no further.
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
