"""Clients that do not wait for each other: what an update counts for that comes late."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.validation import at_least, number, positive_integer


@dataclass(frozen=True, kw_only=True)
class Asynchrony:
    """The server moves whenever `buffer` updates have come in: FedAsync with 1 (Xie et al. 2019), FedBuff with more.

    A client that has sent its update fetches the newest weights and goes on at once.
    """

    buffer: int = 1
    mixing: float = 0.25
    """What the mean of a buffer is multiplied by."""
    staleness_power: float = 0.5
    """a of (1 + τ)^-a, what an update counts that started τ versions ago."""

    def __post_init__(self) -> None:
        positive_integer(self, "buffer")
        at_least(self, 0.0, "staleness_power")
        if not 0.0 < number("mixing", self.mixing) <= 1.0:
            raise ValueError(f"mixing must lie in (0, 1], got {self.mixing!r}")

    def discount(self, staleness: torch.Tensor) -> torch.Tensor:
        """(1 + τ)^-a."""
        return (1.0 + staleness) ** -self.staleness_power
