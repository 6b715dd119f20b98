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
    """Nobody can tell from the weights whether a client took part with its update, or with zero.

    Two federations are neighbours if one client's updates are replaced by zero (with another client's in place of
    zero the sensitivity doubles). Sizes of clients are taken for public. Noise on the server's mean protects from those
    who see the weights; noise at the client also from the server, and is the larger by the square root of the clients.
    """

    clip: float = 1.0
    """C, the longest update in Euclidean norm."""
    noise_multiplier: float = 1.0
    """z: noise has standard deviation z times the sensitivity. Zero clips only, and has no ε."""
    where: str = "server"

    def __post_init__(self) -> None:
        positive(self, "clip")
        at_least(self, 0.0, "noise_multiplier")
        one_of(self, "where", WHERE)

    def clipped(self, update: torch.Tensor) -> torch.Tensor:
        """Updates (..., P), none longer than C."""
        length = update.norm(dim=-1, keepdim=True)
        return update * (self.clip / length.clamp(min=self.clip))

    def at_client(self, update: torch.Tensor, streams: Streams) -> torch.Tensor:
        """What leaves the clients, (R, n, P): clipped and noised where noise is theirs, else as it is."""
        if self.where == "server":
            return update
        return self.clipped(update) + self.noise_multiplier * self.clip * streams.normal("privacy", *update.shape[1:])

    def received(self, update: torch.Tensor) -> torch.Tensor:
        """What the server takes of decoded updates: it clips them itself, what compression held back counted in."""
        return self.clipped(update) if self.where == "server" else update

    def at_server(self, step: torch.Tensor, weight: torch.Tensor, streams: Streams) -> torch.Tensor:
        """The mean (R, *, P) as it is published; a client moves it by at most C times its weight (R, *, n)."""
        if self.where == "client" or self.noise_multiplier == 0.0:
            return step
        deviation = self.noise_multiplier * self.clip * weight.amax(dim=-1, keepdim=True)
        return step + deviation * streams.normal("privacy", *step.shape[1:])

    def epsilon(self, rounds: int, delta: float) -> float:
        """ε of all rounds together ; that not all take part in each is not counted in its favour."""
        return epsilon(self.noise_multiplier, rounds, delta)
