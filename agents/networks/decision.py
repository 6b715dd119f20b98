"""Output of the actor-critic networks, and initialisation of their layers."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn
from torch.distributions import Categorical


class Decision(NamedTuple):
    """Actions of a batch, with what a learner needs of them. K is the number of parts: users, or stations."""

    action: Tensor  # (B, K), or (B,) for one integer, or (B, K, …)
    log_prob: Tensor  # (B, K)
    entropy: Tensor  # (B, K)
    value: Tensor  # (B,), or (B, K) with one per part; under a cost limit (…, 2), of rewards and of costs


def orthogonal(layer: nn.Linear, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """Initialise a linear layer with orthogonal weights and zero bias."""
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def choose(logits: Tensor, value: Tensor, action: Tensor | None, greedy: bool, scalar: bool) -> Decision:
    """Decide every part independently of the others, from logits (B, K, choices).

    Args:
        logits: (B, K, choices).
        value: value of the critic.
        action: actions to evaluate, (B, K), or (B,) if scalar; None to decide.
        greedy: take the most likely choices.
        scalar: an action is one integer.
    """
    choice = Categorical(logits=logits, validate_args=False)
    if action is None:
        parts = choice.logits.argmax(-1) if greedy else choice.sample()
        action = parts.squeeze(-1) if scalar else parts
    else:
        parts = action[:, None] if scalar else action
    return Decision(action, choice.log_prob(parts), choice.entropy(), value)
