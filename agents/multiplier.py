"""Lagrange multiplier that holds costs at a limit, and advantages weighted by it."""

from __future__ import annotations

from torch import Tensor

from agents.training.saved_state import Stateful


class Multiplier(Stateful):
    """λ ≥ 0 by dual ascent (Ray et al. 2019) with a proportional damping term (Stooke et al. 2020), from λ = 0.

    With the excess of a rollout's mean cost over `limit`, the ascended part grows by `rate` x excess in every rollout,
    and `damping` x excess is added to it for that rollout alone.
    """

    STATE = ("ascended", "value")

    def __init__(self, limit: float, rate: float, damping: float):
        self.limit, self.rate, self.damping = limit, rate, damping
        self.ascended = self.value = 0.0

    def update(self, cost: float) -> float:
        """Return λ after a rollout of this mean cost per slot."""
        excess = cost - self.limit
        self.ascended = max(0.0, self.ascended + self.rate * excess)
        self.value = max(0.0, self.ascended + self.damping * excess)
        return self.value


def constrained(advantage: Tensor, multiplier: float) -> Tensor:
    """(A_r - λ A_c) / (1 + λ) of advantages (…, 2) of rewards and of costs."""
    return (advantage[..., 0] - multiplier * advantage[..., 1]) / (1.0 + multiplier)
