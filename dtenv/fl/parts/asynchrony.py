"""Asynchronous aggregation with weights for stale updates."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.validation import at_least, number, positive_integer


@dataclass(frozen=True, kw_only=True)
class Asynchrony:
    """The server steps after every `buffer` updates: FedAsync with 1 (Xie et al. 2019), FedBuff with more.

    A client that has sent its update continues at once from the newest weights.
    """

    buffer: int = 1
    mixing: float = 0.25
    """Factor on the mean of a buffer."""
    staleness_power: float = 0.5
    """a of (1 + τ)^-a, the weight of an update that started τ versions ago."""

    def __post_init__(self) -> None:
        positive_integer(self, "buffer")
        at_least(self, 0.0, "staleness_power")
        if not 0.0 < number("mixing", self.mixing) <= 1.0:
            raise ValueError(f"mixing must lie in (0, 1], got {self.mixing!r}")

    def discount(self, staleness: torch.Tensor) -> torch.Tensor:
        """Return (1 + τ)^-a."""
        return (1.0 + staleness) ** -self.staleness_power
