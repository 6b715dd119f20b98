"""Simulated wall time of rounds: what clients compute with, and what they send over."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.streams import Streams
from dtenv.validation import at_least, positive


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Clients of unequal speed (our choice of numbers: a slow edge processor, an uplink of one resource block)."""

    samples_per_s: float = 2000.0
    """Samples that a median client trains on in a second (forward and backward, one epoch)."""
    spread: float = 0.5
    """Standard deviation of the logarithm of clients' speeds."""
    uplink_bps: float = 1e6

    def __post_init__(self) -> None:
        positive(self, "samples_per_s", "uplink_bps")
        at_least(self, 0.0, "spread")

    def speeds(self, streams: Streams, clients: int) -> torch.Tensor:
        """Samples a second of every client, (R, K), drawn once an experiment."""
        return self.samples_per_s * torch.exp(self.spread * streams.normal("clock", clients))

    def seconds(self, samples: torch.Tensor, speeds: torch.Tensor, upload_bytes: float) -> torch.Tensor:
        """Time of a client's round: training on so many samples, epochs counted in, then sending."""
        return samples / speeds + self.sending(upload_bytes)

    def sending(self, upload_bytes: float) -> float:
        """Seconds that an upload takes."""
        return 8.0 * upload_bytes / self.uplink_bps
