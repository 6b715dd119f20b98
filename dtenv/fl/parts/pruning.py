"""Pruning of small weights, which stay zero in training (Liu 2020, Section IV-D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.training.network import Perceptron
from dtenv.validation import number, positive_integer


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """One-shot magnitude pruning: the server zeroes the smallest matrix weights and sends the mask."""

    share: float = 0.8
    """Share of the matrix weights that are pruned."""
    after: int = 3
    """Rounds before pruning."""

    def __post_init__(self) -> None:
        positive_integer(self, "after")
        if not 0.0 < number("share", self.share) < 1.0:
            raise ValueError(f"share must lie in (0, 1), got {self.share!r}")

    def mask(self, network: Perceptron, weights: torch.Tensor) -> torch.Tensor:
        """Return a mask of the pruned weights (R, P), equally many in each row; biases stay."""
        size = torch.where(is_matrix(network), weights.abs(), torch.inf)
        gone = size.topk(self.gone(network), dim=1, largest=False).indices
        return torch.zeros_like(weights, dtype=torch.bool).scatter_(1, gone, True)

    def gone(self, network: Perceptron) -> int:
        """Return the number of pruned weights."""
        return round(self.share * int(is_matrix(network).sum()))

    def compute(self, network: Perceptron) -> float:
        """Return the share of multiplications left on a processor that skips zeros (this code does not)."""
        return 1.0 - self.gone(network) / int(is_matrix(network).sum())


def is_matrix(network: Perceptron) -> torch.Tensor:
    """Return a mask of a network's numbers (P,) that are matrix weights, not biases."""
    return torch.cat([torch.full(shape, len(shape) == 2).flatten() for shape in network.shapes])
