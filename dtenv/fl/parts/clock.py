"""Simulated wall time of rounds: computing speeds and uplink of the clients."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.streams import Streams
from dtenv.validation import at_least, positive


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Clients of unequal speed; the defaults, chosen here, are a slow edge processor and one resource block."""

    samples_per_s: float = 2000.0
    """Training speed of the median client (forward and backward, one epoch)."""
    spread: float = 0.5
    """Standard deviation of the logarithm of clients' speeds."""
    uplink_bps: float = 1e6

    def __post_init__(self) -> None:
        positive(self, "samples_per_s", "uplink_bps")
        at_least(self, 0.0, "spread")

    def speeds(self, streams: Streams, clients: int) -> torch.Tensor:
        """Draw each client's samples per second (R, K), once per experiment."""
        return self.samples_per_s * torch.exp(self.spread * streams.normal("clock", clients))

    def seconds(self, samples: torch.Tensor, speeds: torch.Tensor, upload_bytes: float) -> torch.Tensor:
        """Return the time of a client's round: training on `samples` (over all epochs), then sending."""
        return samples / speeds + self.sending(upload_bytes)

    def sending(self, upload_bytes: float) -> float:
        """Return the seconds of an upload."""
        return 8.0 * upload_bytes / self.uplink_bps
