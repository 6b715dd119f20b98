"""How the server makes one update of many: means, and rules that a few attackers cannot steer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch

from dtenv.validation import at_least, number, positive


class Uploads(NamedTuple):
    """What the server knows of a round's clients. R replicates, n clients of K, P numbers in a network."""

    update: torch.Tensor  # (R, n, P) decoded: weights after training minus before
    weight: torch.Tensor  # (R, n) share of the samples, adds up to 1
    loss: torch.Tensor  # (R, n) mean training loss, as clients report it; before training if the rule wants that
    client: torch.Tensor  # (R, n) who they are
    population: int  # K


class Aggregation(Protocol):
    """Combines a round's updates."""

    @property
    def wants_start_loss(self) -> bool:
        """Whether clients report the loss of the weights that they were sent, and not that of training."""

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The update (R, P) of the global weights, and what the server remembers until the next round."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Federated averaging, weighted by samples (Zhou 2025, step 4)."""

    wants_start_loss: ClassVar[bool] = False

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Σ_k weight_k update_k."""
        return torch.einsum("rk,rkp->rp", uploads.weight, uploads.update), None


@dataclass(frozen=True, kw_only=True)
class CoordinateMedian:
    """The median of every coordinate (Yin et al. 2018). Samples have no say: clients could lie about them."""

    wants_start_loss: ClassVar[bool] = False

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The middle value, of an even number the mean of the two in the middle."""
        return _middle(uploads.update, (uploads.update.shape[1] - 1) // 2), None


@dataclass(frozen=True, kw_only=True)
class TrimmedMean:
    """The mean of every coordinate without its largest and smallest values (Yin et al. 2018)."""

    assumed: float = 0.2
    """Share of the clients taken for attackers, cut off at either end."""
    wants_start_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_assumed(self.assumed)

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The mean of what is left when round(assumed n) values are cut off at either end."""
        n = uploads.update.shape[1]
        return _middle(uploads.update, min(round(self.assumed * n), (n - 1) // 2)), None


@dataclass(frozen=True, kw_only=True)
class MultiKrum:
    """The mean of the updates that lie nearest to their neighbours (Blanchard et al. 2017)."""

    assumed: float = 0.2
    """Share of the clients taken for attackers."""
    wants_start_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_assumed(self.assumed)

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The mean of the n - f updates with the least score, f = round(assumed n).

        A score is the sum of the squared distances to the n - f - 2 nearest other updates.

        Raises:
            ValueError: n - f - 2 is below 1.
        """
        n = uploads.update.shape[1]
        bad = round(self.assumed * n)
        if n - bad < 3:
            raise ValueError(f"multi-Krum needs 3 clients more than the {bad} taken for attackers, got {n}")
        distance = torch.cdist(uploads.update, uploads.update).square()
        nearest = distance.sort(dim=2).values[..., 1 : n - bad - 1]  # the first is its own, 0
        best = nearest.sum(dim=2).topk(n - bad, dim=1, largest=False).indices
        chosen = torch.zeros_like(uploads.weight).scatter_(1, best, 1.0 / (n - bad))
        return torch.einsum("rk,rkp->rp", chosen, uploads.update), None


@dataclass(frozen=True, kw_only=True)
class FairMean:
    """q-FedAvg (Li et al. 2020): clients weigh by their loss to the power q, and the curvature estimate grows with it.

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


def _middle(update: torch.Tensor, cut: int) -> torch.Tensor:
    """Mean over clients (R, P) of every coordinate without its `cut` largest and smallest values."""
    return update.sort(dim=1).values[:, cut : update.shape[1] - cut].mean(dim=1)


def _check_assumed(share: float) -> None:
    """Refuse a share of attackers that is none, or so large that nobody could be told from them."""
    if not 0.0 <= number("assumed", share) < 0.5:
        raise ValueError(f"assumed must lie in [0, 0.5), got {share!r}")
