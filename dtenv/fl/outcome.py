"""What a federation comes to, whichever way it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch


class Outcome(NamedTuple):
    """R replicates of K clients, P numbers in a network."""

    weights: torch.Tensor  # (R, P) global; (R, 0) where there are none (distillation)
    accuracy: np.ndarray  # (rounds, R) of the global network after every round, on the balanced test
    loss: np.ndarray  # (rounds, R) mean training loss of clients
    seconds: np.ndarray  # (rounds, R) simulated wall time at the end of every round
    upload_bytes: float  # mean over clients and rounds
    diverged: np.ndarray  # (R,) replicates whose loss stopped being finite
    personal: torch.Tensor | None = None  # (R, K, P) clients' own weights, where they have any before fine-tuning
    frozen: torch.Tensor | None = None  # (R, P) weights that are pruned
    client_bytes: np.ndarray | None = None  # (rounds, R) sent by all clients together up to a round's end
    cloud_bytes: np.ndarray | None = None  # (rounds, R) of these, or of edge servers' averages, what goes to the cloud
    communication: np.ndarray | None = None  # (R,) κ = Comm / (Comp + Comm), mean over clients, waiting being Comp
    attackers: torch.Tensor | None = None  # (R, K) who attacked
    most_uploads: int | None = None  # of one client, where nobody waits and not all send as often


class Diverged(FloatingPointError):
    """A loss stopped being finite; `outcome` holds the weights of the last round that was."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Record:
    """What is written down of every round as it ends."""

    def __init__(self, replicates: int) -> None:
        self.replicates = replicates
        self.columns: dict[str, list[np.ndarray]] = {
            name: [] for name in ("accuracy", "loss", "seconds", "client_bytes", "cloud_bytes", "busy", "sending")
        }

    def add(self, **values: np.ndarray | torch.Tensor | float) -> None:
        """One round's values, each (R,); those that add up over rounds are given as this round's share."""
        for name, value in values.items():
            self.columns[name].append(np.broadcast_to(np.asarray(value, dtype=np.float64), (self.replicates,)))

    def column(self, name: str) -> np.ndarray:
        """(rounds, R)."""
        return np.reshape(self.columns[name], (-1, self.replicates))

    def outcome(
        self,
        weights: torch.Tensor,
        upload_bytes: float,
        diverged: np.ndarray | None = None,
        *,
        personal: torch.Tensor | None = None,
        frozen: torch.Tensor | None = None,
        attackers: torch.Tensor | None = None,
    ) -> Outcome:
        """Of the rounds so far."""
        busy = self.column("busy").sum(axis=0)
        return Outcome(
            weights,
            self.column("accuracy"),
            self.column("loss"),
            self.column("seconds").cumsum(axis=0),
            upload_bytes,
            np.zeros(self.replicates, dtype=bool) if diverged is None else diverged,
            personal,
            frozen,
            self.column("client_bytes").cumsum(axis=0),
            self.column("cloud_bytes").cumsum(axis=0),
            self.column("sending").sum(axis=0) / np.maximum(busy, np.finfo(np.float64).tiny),
            attackers,
        )


def not_finite(what: str, seeds: Sequence[int], finite: torch.Tensor, outcome: Outcome) -> Diverged:
    """The error that says which seeds diverged."""
    lost = [seed for seed, good in zip(seeds, finite.tolist(), strict=True) if not good]
    return Diverged(f"loss is no longer finite in {what} of seeds {lost}; lower learning_rate", outcome)
