"""Personalised models of clients in addition to the global one (v and w of Li 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron
from dtenv.validation import at_least, one_of

ANCHORS = ("global", "garbage")


@dataclass(frozen=True, kw_only=True)
class Personalisation:
    """Local model v with penalty / 2 ‖v - W‖² (Li 2025, L_Penalty), never sent; penalty 0 is purely local training."""

    penalty: float = 0.1
    anchor: str = "global"
    """W: "global", or "garbage" as a control: new random networks each round, which teach only small weights."""

    def __post_init__(self) -> None:
        at_least(self, 0.0, "penalty")
        one_of(self, "anchor", ANCHORS)

    def anchors(self, network: Perceptron, start: torch.Tensor, streams: Streams) -> torch.Tensor:
        """Return W (R, n, P) of a round in which clients received `start`."""
        if self.anchor == "global":
            return start
        drawn = torch.stack([network.initial(rng) for rng in streams.generators["personal"]])
        return drawn[:, None].expand_as(start)
