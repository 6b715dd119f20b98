"""Aggregation rules of the server: means, and rules robust to a few attackers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch

from dtenv.validation import at_least, number, positive


class Uploads(NamedTuple):
    """Uploads of a round from n of K clients in R replicates, with P numbers in a network."""

    update: torch.Tensor  # (R, n, P) decoded: weights after training minus before
    weight: torch.Tensor  # (R, n) shares of the samples, with sum 1
    loss: torch.Tensor  # (R, n) reported mean training loss, or loss before training if the rule wants that
    client: torch.Tensor  # (R, n) indices of the clients
    population: int  # K


class Aggregation(Protocol):
    """Rule that combines the updates of a round."""

    @property
    def wants_start_loss(self) -> bool:
        """Whether clients report the loss of the received weights, and not that of training."""

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the update (R, P) of the global weights, and the rule's state for the next round."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Federated averaging, weighted by samples (Zhou 2025, step 4)."""

    wants_start_loss: ClassVar[bool] = False

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return Σ_k weight_k update_k."""
        return torch.einsum("rk,rkp->rp", uploads.weight, uploads.update), None


@dataclass(frozen=True, kw_only=True)
class CoordinateMedian:
    """Coordinate-wise median (Yin et al. 2018), unweighted, as clients could lie about their samples."""

    wants_start_loss: ClassVar[bool] = False

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the median; of an even number, the mean of the two middle values."""
        return _middle(uploads.update, (uploads.update.shape[1] - 1) // 2), None


@dataclass(frozen=True, kw_only=True)
class TrimmedMean:
    """Coordinate-wise mean without the largest and smallest values (Yin et al. 2018)."""

    assumed: float = 0.2
    """Assumed share of attackers, cut off at either end."""
    wants_start_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_assumed(self.assumed)

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the mean without the round(assumed n) values at either end."""
        n = uploads.update.shape[1]
        return _middle(uploads.update, min(round(self.assumed * n), (n - 1) // 2)), None


@dataclass(frozen=True, kw_only=True)
class MultiKrum:
    """Mean of the updates nearest to their neighbours (Blanchard et al. 2017)."""

    assumed: float = 0.2
    """Assumed share of attackers."""
    wants_start_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_assumed(self.assumed)

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the mean of the n - f updates with the lowest scores, f = round(assumed n).

        A score is the sum of squared distances to the n - f - 2 nearest other updates; ValueError if there is none.
        """
        n = uploads.update.shape[1]
        bad = round(self.assumed * n)
        if n - bad < 3:
            raise ValueError(f"multi-Krum needs 3 clients more than the {bad} taken for attackers, got {n}")
        distance = torch.cdist(uploads.update, uploads.update).square()
        nearest = distance.sort(dim=2).values[..., 1 : n - bad - 1]  # the first is the distance to itself, 0
        best = nearest.sum(dim=2).topk(n - bad, dim=1, largest=False).indices
        chosen = torch.zeros_like(uploads.weight).scatter_(1, best, 1.0 / (n - bad))
        return torch.einsum("rk,rkp->rp", chosen, uploads.update), None


@dataclass(frozen=True, kw_only=True)
class FairMean:
    """q-FedAvg (Li et al. 2020): clients are weighted by their loss to the power q; q = 0 is the unweighted mean."""

    q: float = 1.0
    learning_rate: float = 20.0
    """1 / L with the Lipschitz constant L of the gradient; too small a value shortens the rounds. The default was the
    best of four for the local training here, which moves far more than one step of this rate."""
    wants_start_loss: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, 0.0, "q")
        positive(self, "learning_rate")

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return Σ F_k^q L u_k / Σ (q F_k^(q-1) ‖L u_k‖² + L F_k^q) for updates u_k and losses F_k before training."""
        steep = 1.0 / self.learning_rate
        loss = uploads.loss.clamp(min=1e-10)
        squared = (steep * uploads.update).square().sum(dim=2)
        weight = loss**self.q
        divisor = (self.q * loss ** (self.q - 1.0) * squared + steep * weight).sum(dim=1)
        return torch.einsum("rk,rkp->rp", weight * steep / divisor[:, None], uploads.update), None


def _middle(update: torch.Tensor, cut: int) -> torch.Tensor:
    """Return the coordinate-wise mean over clients (R, P) without the `cut` largest and smallest values."""
    return update.sort(dim=1).values[:, cut : update.shape[1] - cut].mean(dim=1)


def _check_assumed(share: float) -> None:
    """Raise ValueError unless the assumed share of attackers lies in [0, 0.5)."""
    if not 0.0 <= number("assumed", share) < 0.5:
        raise ValueError(f"assumed must lie in [0, 0.5), got {share!r}")
