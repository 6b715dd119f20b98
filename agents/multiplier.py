"""What holds costs at a limit while a policy learns: a Lagrange multiplier, and advantages that weigh costs by it."""

from __future__ import annotations

from torch import Tensor


class Multiplier:
    """λ by dual ascent (Ray et al. 2019), damped by a proportional part (Stooke et al. 2020). It starts at 0.

    Args:
        limit: largest mean cost of a slot.
        rate: what λ rises by in a rollout whose mean cost is the limit and 1 more.
        damping: what a cost of the limit and 1 more adds for as long as it lasts.
    """

    def __init__(self, limit: float, rate: float, damping: float):
        self.limit, self.rate, self.damping = limit, rate, damping
        self.ascended = self.value = 0.0

    def update(self, cost: float) -> float:
        """λ after a rollout of this mean cost; never below 0."""
        excess = cost - self.limit
        self.ascended = max(0.0, self.ascended + self.rate * excess)
        self.value = max(0.0, self.ascended + self.damping * excess)
        return self.value

    def state_dict(self) -> dict[str, float]:
        """Where it stands."""
        return {"ascended": self.ascended, "value": self.value}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from there."""
        self.ascended, self.value = state["ascended"], state["value"]


def constrained(advantage: Tensor, multiplier: float) -> Tensor:
    """(A_r - λ A_c) / (1 + λ) of advantages (…, 2), of rewards and of costs."""
    return (advantage[..., 0] - multiplier * advantage[..., 1]) / (1.0 + multiplier)
