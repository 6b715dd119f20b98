"""What every actor-critic network gives, and how its layers start."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn
from torch.distributions import Categorical


class Decision(NamedTuple):
    """Actions of a batch and what a learner needs of them. K are the parts of an action: users, or stations."""

    action: Tensor  # (B, K), or (B,) for one whole number, or (B, K, …)
    log_prob: Tensor  # (B, K)
    entropy: Tensor  # (B, K)
    value: Tensor  # (B,), or (B, K) where every part has its own; with costs one more axis: of rewards, of costs


def orthogonal(layer: nn.Linear, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """A linear layer with orthogonal weights and no bias to start with."""
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def choose(logits: Tensor, value: Tensor, action: Tensor | None, greedy: bool, scalar: bool) -> Decision:
    """One choice a part, drawn apart from the other parts'.

    Args:
        logits: (B, K, choices).
        value: of the critic.
        action: what to judge, (B, K), or (B,) where scalar; None to decide.
        greedy: whether the most likely choices are made.
        scalar: whether an action is one whole number.
    """
    choice = Categorical(logits=logits, validate_args=False)
    if action is None:
        parts = choice.logits.argmax(-1) if greedy else choice.sample()
        action = parts.squeeze(-1) if scalar else parts
    else:
        parts = action[:, None] if scalar else action
    return Decision(action, choice.log_prob(parts), choice.entropy(), value)
