"""Attackers among the clients: wrong labels, wrong signs, updates made larger (Liu 2020, Section IV-B)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dtenv.fl.streams import Streams
from dtenv.validation import in_unit_interval, is_bool, number


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What a share of the clients does wrong; who they are is drawn once a replicate, and nobody is told."""

    share: float = 0.2
    flip_labels: bool = False
    """Train on label classes - 1 - y in place of y."""
    scale: float = 1.0
    """What an attacker's update is multiplied by: -1 flips its sign, more than 1 lets it outvote others."""

    def __post_init__(self) -> None:
        in_unit_interval(self, "share")
        is_bool(self, "flip_labels")
        number("scale", self.scale)

    def attackers(self, streams: Streams, clients: int) -> torch.Tensor:
        """Who attacks, (R, K), as a mask with round(share K) of each row set."""
        attackers = np.zeros((len(streams.seeds), clients), dtype=bool)
        for row, rng in zip(attackers, streams.generators["attack"], strict=True):
            row[rng.permutation(clients)[: round(self.share * clients)]] = True
        return torch.from_numpy(attackers)

    def poison(self, targets: torch.Tensor, attacks: torch.Tensor, classes: int) -> torch.Tensor:
        """Labels (R, n, D) that clients train on, where `attacks` (R, n) says who attacks."""
        return torch.where(attacks[..., None], classes - 1 - targets, targets) if self.flip_labels else targets

    def tamper(self, update: torch.Tensor, attacks: torch.Tensor) -> torch.Tensor:
        """Updates (R, n, P) as they are sent."""
        return torch.where(attacks[..., None], self.scale * update, update) if self.scale != 1.0 else update
