"""Networks with small weights taken out, which stay out in training (Liu 2020, Section IV-D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.training.network import Perceptron
from dtenv.validation import number, positive_integer


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Pruning by magnitude, once: the server zeroes the smallest weights of the matrices, and says which."""

    share: float = 0.8
    """Of the matrices' weights that go."""
    after: int = 3
    """Rounds before."""

    def __post_init__(self) -> None:
        positive_integer(self, "after")
        if not 0.0 < number("share", self.share) < 1.0:
            raise ValueError(f"share must lie in (0, 1), got {self.share!r}")

    def mask(self, network: Perceptron, weights: torch.Tensor) -> torch.Tensor:
        """Which of weights (R, P) go, the same number in every row; offsets stay."""
        size = torch.where(is_matrix(network), weights.abs(), torch.inf)
        gone = size.topk(self.gone(network), dim=1, largest=False).indices
        return torch.zeros_like(weights, dtype=torch.bool).scatter_(1, gone, True)

    def gone(self, network: Perceptron) -> int:
        """How many weights go."""
        return round(self.share * int(is_matrix(network).sum()))

    def compute(self, network: Perceptron) -> float:
        """Multiplications left, as a share, on a processor that skips zeros (ours does not)."""
        return 1.0 - self.gone(network) / int(is_matrix(network).sum())


def is_matrix(network: Perceptron) -> torch.Tensor:
    """Which of a network's numbers (P,) are weights of a matrix, and not offsets."""
    return torch.cat([torch.full(shape, len(shape) == 2).flatten() for shape in network.shapes])
