"""Attacks by clients: flipped labels, flipped signs, scaled updates (Liu 2020, Section IV-B)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dtenv.fl.streams import Streams
from dtenv.validation import in_unit_interval, is_bool, number


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Attack by a share of the clients, drawn once per replicate and unknown to the server."""

    share: float = 0.2
    flip_labels: bool = False
    """Train on labels classes - 1 - y in place of y."""
    scale: float = 1.0
    """Factor on an attacker's update: -1 flips its sign, more than 1 outweighs others."""

    def __post_init__(self) -> None:
        in_unit_interval(self, "share")
        is_bool(self, "flip_labels")
        number("scale", self.scale)

    def attackers(self, streams: Streams, clients: int) -> torch.Tensor:
        """Draw a mask of the attackers (R, K), with round(share K) set in each row."""
        attackers = np.zeros((len(streams.seeds), clients), dtype=bool)
        for row, rng in zip(attackers, streams.generators["attack"], strict=True):
            row[rng.permutation(clients)[: round(self.share * clients)]] = True
        return torch.from_numpy(attackers)

    def poison(self, targets: torch.Tensor, attacks: torch.Tensor, classes: int) -> torch.Tensor:
        """Return the labels (R, n, D) that clients train on, with mask `attacks` (R, n)."""
        return torch.where(attacks[..., None], classes - 1 - targets, targets) if self.flip_labels else targets

    def tamper(self, update: torch.Tensor, attacks: torch.Tensor) -> torch.Tensor:
        """Return the updates (R, n, P) as sent."""
        return torch.where(attacks[..., None], self.scale * update, update) if self.scale != 1.0 else update
