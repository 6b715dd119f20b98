"""Result of federated training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch


class Outcome(NamedTuple):
    """Result of R replicates of K clients, with P numbers in a network."""

    weights: torch.Tensor  # (R, P) global; (R, 0) without a global network (distillation)
    accuracy: np.ndarray  # (rounds, R) of the global network after every round, on the balanced test
    loss: np.ndarray  # (rounds, R) mean training loss of the clients
    seconds: np.ndarray  # (rounds, R) simulated wall time at the end of every round
    upload_bytes: float  # mean over clients and rounds
    diverged: np.ndarray  # (R,) replicates whose loss is no longer finite
    personal: torch.Tensor | None = None  # (R, K, P) clients' own weights, if any before fine-tuning
    frozen: torch.Tensor | None = None  # (R, P) mask of pruned weights
    client_bytes: np.ndarray | None = None  # (rounds, R) cumulative bytes sent by all clients
    cloud_bytes: np.ndarray | None = None  # (rounds, R) cumulative bytes that reach the cloud
    communication: np.ndarray | None = None  # (R,) κ = Comm / (Comp + Comm), client mean; waiting is Comp
    attackers: torch.Tensor | None = None  # (R, K) mask of attackers
    most_uploads: int | None = None  # largest number of uploads of a client (asynchronous training)


class Diverged(FloatingPointError):
    """A loss is no longer finite; `outcome` holds the weights of the last finite round."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Record:
    """Per-round records of a federation."""

    def __init__(self, replicates: int) -> None:
        self.replicates = replicates
        self.columns: dict[str, list[np.ndarray]] = {
            name: [] for name in ("accuracy", "loss", "seconds", "client_bytes", "cloud_bytes", "busy", "sending")
        }

    def add(self, **values: np.ndarray | torch.Tensor | float) -> None:
        """Add one round's values, each (R,); cumulative columns take this round's increment."""
        for name, value in values.items():
            self.columns[name].append(np.broadcast_to(np.asarray(value, dtype=np.float64), (self.replicates,)))

    def column(self, name: str) -> np.ndarray:
        """Return a column, (rounds, R)."""
        return np.reshape(self.columns[name], (-1, self.replicates))

    def outcome(self, weights: torch.Tensor, upload_bytes: float, **others: Any) -> Outcome:
        """Return the outcome of the rounds so far; `others` are further fields of it."""
        busy = self.column("busy").sum(axis=0)
        return Outcome(
            weights=weights,
            accuracy=self.column("accuracy"),
            loss=self.column("loss"),
            seconds=self.column("seconds").cumsum(axis=0),
            upload_bytes=upload_bytes,
            client_bytes=self.column("client_bytes").cumsum(axis=0),
            cloud_bytes=self.column("cloud_bytes").cumsum(axis=0),
            communication=self.column("sending").sum(axis=0) / np.maximum(busy, np.finfo(np.float64).tiny),
            **{"diverged": np.zeros(self.replicates, dtype=bool), **others},
        )

    def check_finite(
        self, finite: torch.Tensor, seeds: Sequence[int], weights: torch.Tensor, upload_bytes: float, **others: Any
    ) -> None:
        """Raise Diverged, with the outcome of the rounds before this one, unless all replicates are finite (R,)."""
        if not bool(finite.all()):
            lost = [seed for seed, good in zip(seeds, finite.tolist(), strict=True) if not good]
            raise Diverged(
                f"loss is no longer finite in round {len(self.columns['loss'])} of seeds {lost}; lower learning_rate",
                self.outcome(weights, upload_bytes, diverged=~finite.numpy(), **others),
            )
