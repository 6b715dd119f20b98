"""Reputation of each client, learned from the agreement of its updates with the others' over rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from dtenv.fl.parts.aggregation import CoordinateMedian, Uploads
from dtenv.validation import number, positive

MAD_TO_SD = 1.4826
"""Ratio of standard deviation to median absolute deviation of a normal variate."""


@dataclass(frozen=True, kw_only=True)
class Reputation:
    """Clients with more bad than good rounds are left out of the mean (a rule after the idea of Liu 2020, IV-B 3).

    A round is good for a client unless the cosine between its update and the coordinate median is a low outlier. The
    reputation is the mean of a beta distribution of good and bad rounds with forgetting, and starts at 1/2. The number
    of attackers need not be known.
    """

    forgetting: float = 0.9
    """Factor on the weight of past rounds in each round."""
    outlier: float = 2.5
    """Standard deviations (from the median absolute deviation) that a good cosine may lie below the median."""
    wants_start_loss: ClassVar[bool] = False

    def __post_init__(self) -> None:
        positive(self, "outlier")
        if not 0.0 <= number("forgetting", self.forgetting) <= 1.0:
            raise ValueError(f"forgetting must lie in [0, 1], got {self.forgetting!r}")

    def combine(self, uploads: Uploads, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the mean of updates weighted by samples and reputation, with norms limited to the median norm.

        The memory is (R, K, 2): good and bad rounds of each client.
        """
        replicates = len(uploads.update)
        record = torch.zeros(replicates, uploads.population, 2) if memory is None else memory.clone()
        good = self.agrees(uploads)
        rows = torch.arange(replicates)[:, None]
        record[rows, uploads.client] *= self.forgetting
        record[rows, uploads.client] += torch.stack((good, ~good), dim=-1).to(record.dtype)
        reputation = reputations(record)[rows, uploads.client]
        trusted = torch.where(reputation >= 0.5, reputation, 0.0)
        trusted = torch.where(trusted.sum(dim=1, keepdim=True) > 0.0, trusted, 1.0)  # if none is trusted, all are
        weight = uploads.weight * trusted
        length = uploads.update.norm(dim=2)
        most = length.median(dim=1, keepdim=True).values
        weight = weight / weight.sum(dim=1, keepdim=True) * (most / length.clamp(min=1e-12)).clamp(max=1.0)
        return torch.einsum("rk,rkp->rp", weight, uploads.update), record

    def agrees(self, uploads: Uploads) -> torch.Tensor:
        """Return a mask of updates (R, n) whose cosine to the coordinate median is no low outlier."""
        towards, _ = CoordinateMedian().combine(uploads, None)
        cosine = torch.cosine_similarity(uploads.update, towards[:, None], dim=2)
        middle = cosine.median(dim=1, keepdim=True).values
        deviation = MAD_TO_SD * (cosine - middle).abs().median(dim=1, keepdim=True).values
        return cosine >= middle - self.outlier * deviation


def reputations(record: torch.Tensor) -> torch.Tensor:
    """Return the mean of the beta distribution of good and bad rounds (..., 2), with a uniform prior."""
    return (record[..., 0] + 1.0) / (record.sum(dim=-1) + 2.0)
