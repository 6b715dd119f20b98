"""Differential privacy of whole clients: clipped updates and Gaussian noise (Liu 2020, Section IV-C; Li 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.accountant import epsilon
from dtenv.fl.streams import Streams
from dtenv.validation import at_least, one_of, positive

WHERE = ("server", "client")


@dataclass(frozen=True, kw_only=True)
class ClientPrivacy:
    """Clipping and Gaussian noise that hide from the weights whether a client sent its update or zero.

    Neighbours differ by one client's updates replaced by zero (if replaced by another client's, the sensitivity
    doubles). Clients' sizes are public. Noise on the server's mean protects against observers of the weights; noise at
    the client also protects against the server, and is larger by the square root of the number of clients.
    """

    clip: float = 1.0
    """C, largest Euclidean norm of an update."""
    noise_multiplier: float = 1.0
    """z, standard deviation of the noise over the sensitivity; 0 clips only, and has no ε."""
    where: str = "server"

    def __post_init__(self) -> None:
        positive(self, "clip")
        at_least(self, 0.0, "noise_multiplier")
        one_of(self, "where", WHERE)

    def clipped(self, update: torch.Tensor) -> torch.Tensor:
        """Return updates (..., P) clipped to norm C."""
        length = update.norm(dim=-1, keepdim=True)
        return update * (self.clip / length.clamp(min=self.clip))

    def at_client(self, update: torch.Tensor, streams: Streams) -> torch.Tensor:
        """Return the updates (R, n, P) that clients send: clipped and noised if the noise is theirs."""
        if self.where == "server":
            return update
        return self.clipped(update) + self.noise_multiplier * self.clip * streams.normal("privacy", *update.shape[1:])

    def received(self, update: torch.Tensor) -> torch.Tensor:
        """Return decoded updates as the server uses them: clipped after decompression if the noise is its own."""
        return self.clipped(update) if self.where == "server" else update

    def at_server(self, step: torch.Tensor, weight: torch.Tensor, streams: Streams) -> torch.Tensor:
        """Return the published mean (R, *, P); a client moves it by at most C times its weight (R, *, n)."""
        if self.where == "client" or self.noise_multiplier == 0.0:
            return step
        deviation = self.noise_multiplier * self.clip * weight.amax(dim=-1, keepdim=True)
        return step + deviation * streams.normal("privacy", *step.shape[1:])

    def epsilon(self, rounds: int, delta: float) -> float:
        """Return ε over all rounds, without credit for partial participation."""
        return epsilon(self.noise_multiplier, rounds, delta)
