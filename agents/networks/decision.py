"""What every actor-critic network gives, and how its layers start."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn


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
