"""A model of each client's own beside the global one (Li 2025: v beside w)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron
from dtenv.validation import at_least, one_of

ANCHORS = ("global", "garbage")


@dataclass(frozen=True, kw_only=True)
class Personalisation:
    """v trains on the client's data as w does, is never sent, and pays penalty / 2 ‖v - W‖² (Li 2025, L_Penalty).

    With penalty 0 it is local training without a federation.
    """

    penalty: float = 0.1
    anchor: str = "global"
    """What W is. "garbage" is the control: random networks, new ones each round, which teach nothing but smallness."""

    def __post_init__(self) -> None:
        at_least(self, 0.0, "penalty")
        one_of(self, "anchor", ANCHORS)

    def anchors(self, network: Perceptron, start: torch.Tensor, streams: Streams) -> torch.Tensor:
        """W (R, n, P) of a round in which clients were sent `start`."""
        if self.anchor == "global":
            return start
        drawn = torch.stack([network.initial(rng) for rng in streams.generators["personal"]])
        return drawn[:, None].expand_as(start)
