"""Plain multilayer perceptrons for actor and critic, the networks of the papers."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from torch import Tensor, nn

from agents.networks.decision import Decision, choose, orthogonal
from dtenv.wrappers import Relaxation


def stack(inputs: int, outputs: int, gain: float, hidden: int = 128) -> nn.Sequential:
    """Two hidden layers, 128 wide in (Zhou 2025)."""
    first, second = orthogonal(nn.Linear(inputs, hidden)), orthogonal(nn.Linear(hidden, hidden))
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), orthogonal(nn.Linear(hidden, outputs), gain))


class Perceptron(nn.Module):
    """One softmax for each part of a MultiDiscrete action, or one for a Discrete action.

    It knows users and servers by their place in the vector, so it serves the numbers it was built for alone.

    Args:
        observations: a flat Box.
        actions: Discrete, or MultiDiscrete with as many choices in every part.
        values: what the critic estimates: of rewards, or with 2 of rewards and of costs.

    Raises:
        ValueError: another kind of space.
    """

    def __init__(self, observations: spaces.Space, actions: spaces.Space, hidden: int = 128, values: int = 1):
        super().__init__()
        choices = Relaxation(actions)
        self.parts, self.choices, self.scalar = choices.parts, choices.choices, choices.scalar
        size = int(np.prod(observations.shape or ()))
        self.actor = stack(size, self.parts * self.choices, 0.01, hidden)
        self.critic = stack(size, values, 1.0, hidden)

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or judge the given actions."""
        logits = self.actor(obs).view(-1, self.parts, self.choices)
        return choose(logits, self.critic(obs).squeeze(-1), action, greedy, self.scalar)
