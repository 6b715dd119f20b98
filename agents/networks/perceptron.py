"""Multilayer perceptrons for actor and critic, the networks of the papers."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from torch import Tensor, nn

from agents.networks.decision import Decision, choose, orthogonal
from dtenv.wrappers import Relaxation


def stack(inputs: int, outputs: int, gain: float, hidden: int = 128) -> nn.Sequential:
    """Perceptron with two hidden layers, 128 wide in (Zhou 2025); `gain` is that of the last layer."""
    first, second = orthogonal(nn.Linear(inputs, hidden)), orthogonal(nn.Linear(hidden, hidden))
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), orthogonal(nn.Linear(hidden, outputs), gain))


class Perceptron(nn.Module):
    """One softmax for each part of a MultiDiscrete action with equal parts, or one for a Discrete action.

    It serves only the numbers of users and servers for which it was built. The critic has `values` outputs: the value
    of rewards, or with 2 those of rewards and of costs. Raises ValueError for other action spaces.
    """

    def __init__(self, observations: spaces.Space, actions: spaces.Space, hidden: int = 128, values: int = 1):
        super().__init__()
        choices = Relaxation(actions)
        self.parts, self.choices, self.scalar = choices.parts, choices.choices, choices.scalar
        size = int(np.prod(observations.shape or ()))
        self.actor = stack(size, self.parts * self.choices, 0.01, hidden)
        self.critic = stack(size, values, 1.0, hidden)

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions."""
        logits = self.actor(obs).view(-1, self.parts, self.choices)
        return choose(logits, self.critic(obs).squeeze(-1), action, greedy, self.scalar)
