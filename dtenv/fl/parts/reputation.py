"""A reputation that the server learns of every client, from how its updates agree with the others' over rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from dtenv.fl.parts.aggregation import CoordinateMedian, Uploads
from dtenv.validation import number, positive

MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation, for normal variates."""


@dataclass(frozen=True, kw_only=True)
class Reputation:
    """Clients whose record is more bad than good are left out of the mean (our rule; the idea is Liu 2020's, IV-B 3).

    A round is a good one for a client if the cosine between its update and the coordinate median is no outlier below
    the others'. A record is the beta distribution of good and bad rounds, older ones counting less; its mean starts at
    1/2, and is the client's reputation. Nobody says how many attackers there are.
    """

    forgetting: float = 0.9
    """What a round counts one round later."""
    outlier: float = 2.5
    """Standard deviations, estimated from the median absolute deviation, that a cosine may lie below the median."""
    wants_start_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        positive(self, "outlier")
        if not 0.0 <= number("forgetting", self.forgetting) <= 1.0:
            raise ValueError(f"forgetting must lie in [0, 1], got {self.forgetting!r}")

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The mean of updates weighted by samples and reputation, none longer than the median one.

        The memory is (R, K, 2): good and bad rounds of every client.
        """
        replicates = len(uploads.update)
        record = torch.zeros(replicates, uploads.population, 2) if memory is None else memory.clone()
        good = self.agrees(uploads)
        rows = torch.arange(replicates)[:, None]
        record[rows, uploads.client] *= self.forgetting
        record[rows, uploads.client] += torch.stack((good, ~good), dim=-1).to(record.dtype)
        reputation = reputations(record)[rows, uploads.client]
        trusted = torch.where(reputation >= 0.5, reputation, 0.0)
        trusted = torch.where(trusted.sum(dim=1, keepdim=True) > 0.0, trusted, 1.0)  # nobody is: all are as good
        weight = uploads.weight * trusted
        length = uploads.update.norm(dim=2)
        most = length.median(dim=1, keepdim=True).values
        weight = weight / weight.sum(dim=1, keepdim=True) * (most / length.clamp(min=1e-12)).clamp(max=1.0)
        return torch.einsum("rk,rkp->rp", weight, uploads.update), record

    def agrees(self, uploads: Uploads) -> torch.Tensor:
        """Whose updates (R, n) point where the coordinate median does, about as well as most."""
        towards, _ = CoordinateMedian().combine(uploads, None)
        cosine = torch.cosine_similarity(uploads.update, towards[:, None], dim=2)
        middle = cosine.median(dim=1, keepdim=True).values
        deviation = MAD_TO_SD * (cosine - middle).abs().median(dim=1, keepdim=True).values
        return cosine >= middle - self.outlier * deviation


def reputations(record: torch.Tensor) -> torch.Tensor:
    """Mean of the beta distribution of good and bad rounds (..., 2), from a uniform prior."""
    return (record[..., 0] + 1.0) / (record.sum(dim=-1) + 2.0)
