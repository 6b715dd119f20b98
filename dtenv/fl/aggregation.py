"""How the server makes one update of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch


class Uploads(NamedTuple):
    """What the server knows of a round's clients. R replicates, K clients, P numbers in a network."""

    update: torch.Tensor  # (R, K, P) decoded: weights after training minus before
    weight: torch.Tensor  # (R, K) share of the samples, adds up to 1
    loss: torch.Tensor  # (R, K) mean training loss, as clients report it
    client: torch.Tensor  # (R, K) who they are


class Aggregation(Protocol):
    """Combines a round's updates."""

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The update (R, P) of the global weights, and what the server remembers until the next round."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Federated averaging, weighted by samples (Zhou 2025, step 4)."""

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Σ_k weight_k update_k."""
        return torch.einsum("rk,rkp->rp", uploads.weight, uploads.update), None
