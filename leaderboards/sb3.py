"""Policies of Stable-Baselines3 and sb3-contrib as torch modules: observations in, deterministic valid actions out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn
from torch.distributions import Distribution

from dtenv.wrappers import Relaxation


class Deterministic(nn.Module):
    """Module that computes `model.predict(obs, deterministic=True)`.

    `model` is an algorithm (PPO, A2C, DQN, SAC, TD3, MaskablePPO …) or a policy of agents.sb3. `relaxed` holds the
    choices behind scores, for a model that was trained on dtenv's RelaxedAction; policies of agents.sb3 bring their
    own. Raises ValueError for recurrent policies and for observations that are normalised outside the network.
    """

    def __init__(self, model: Any, relaxed: Relaxation | None = None):
        super().__init__()
        policy: BasePolicy = model.policy
        normalised = getattr(model, "get_vec_normalize_env", lambda: None)()
        if normalised is not None and normalised.norm_obs:
            raise ValueError("model must take raw observations: VecNormalize(norm_obs=True) is not part of its network")
        if hasattr(policy, "lstm_actor"):
            raise ValueError(f"policy {type(policy).__name__} cannot be exported: it is recurrent")
        if type(policy).__name__.startswith("Maskable"):
            warnings.warn("MaskablePPO is exported without its masks: it may choose masked actions", stacklevel=3)
        self.policy = policy.to("cpu").eval()
        self.relaxed = relaxed or getattr(model, "_relaxation", None)

    def forward(self, obs: Tensor) -> Tensor:
        """Return actions (B, …) for observations (B, size)."""
        with _unchecked():
            action = self.policy._predict(obs, deterministic=True)
        space = self.policy.action_space
        if isinstance(space, spaces.Box):
            low, high = torch.as_tensor(space.low), torch.as_tensor(space.high)
            if self.policy.squash_output:
                action = low + 0.5 * (action + 1.0) * (high - low)
            action = action.reshape(-1, *space.shape).clamp(low, high)
        if self.relaxed is None:
            return action
        parts = action.reshape(-1, self.relaxed.parts, self.relaxed.choices).argmax(-1)
        return parts.squeeze(-1) if self.relaxed.scalar else parts


@contextmanager
def _unchecked() -> Iterator[None]:
    """Turn off torch's validation of distribution parameters: it reads values, which a traced graph does not have."""
    checked = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(checked)
