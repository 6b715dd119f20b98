"""Averaging that cares for clients who do badly (q-FFL; Li et al. 2020), and how unequal clients are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from dtenv.fl.aggregation import Uploads
from dtenv.validation import at_least, positive


@dataclass(frozen=True, kw_only=True)
class FairMean:
    """q-FedAvg: clients weigh by their loss to the power q, and with it grows the estimate of the curvature.

    With q = 0 it is the plain mean, each client counting the same whatever its samples.
    """

    q: float = 1.0
    learning_rate: float = 20.0
    """1 / L for the Lipschitz constant of the gradient; where it is too small, rounds get short. The default was the
    best of four for our local training, whose steps and momentum go far beyond one step of the rate."""
    wants_start_loss: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, 0.0, "q")
        positive(self, "learning_rate")

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Σ F_k^q L u_k / Σ (q F_k^(q-1) ‖L u_k‖² + L F_k^q) for updates u_k and losses F_k of the weights sent out."""
        steep = 1.0 / self.learning_rate
        loss = uploads.loss.clamp(min=1e-10)
        squared = (steep * uploads.update).square().sum(dim=2)
        weight = loss**self.q
        divisor = (self.q * loss ** (self.q - 1.0) * squared + steep * weight).sum(dim=1)
        return torch.einsum("rk,rkp->rp", weight * steep / divisor[:, None], uploads.update), None


class Spread(NamedTuple):
    """How unequal the accuracies (R, K) of clients are, each (R,)."""

    worst: np.ndarray  # mean of the worst 10 % of clients, one at least
    variance: np.ndarray


def spread(accuracy: np.ndarray) -> Spread:
    """Of clients' accuracies (R, K)."""
    worst = np.sort(accuracy, axis=1)[:, : max(1, round(0.1 * accuracy.shape[1]))]
    return Spread(worst.mean(axis=1), accuracy.var(axis=1))
