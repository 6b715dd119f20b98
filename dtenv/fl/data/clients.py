"""Clients of every replicate and their samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dtenv.fl.data.images import Images
from dtenv.fl.data.skew import client_counts, deal
from dtenv.fl.streams import Streams


@dataclass(frozen=True)
class Clients:
    """Data of R replicates of K clients with at most D samples."""

    counts: np.ndarray  # (R, K, classes) samples of each label
    index: torch.Tensor  # (R, K, D) into the training images, padded with 0
    targets: torch.Tensor  # (R, K, D) labels

    @property
    def sizes(self) -> np.ndarray:
        """Number of samples of each client, (R, K)."""
        return self.counts.sum(axis=-1)

    def only(self, rows: Sequence[int]) -> Clients:
        """Return some of the replicates."""
        kept = list(rows)
        return Clients(self.counts[kept], self.index[kept], self.targets[kept])


def draw_clients(
    images: Images, skew: str, emds: Sequence[float], samples: int | Sequence[int], clients: int, streams: Streams
) -> Clients:
    """Draw clients of every replicate r at distance emds[r]; raises ValueError as `skew.label_counts` and `deal` do."""
    if len(emds) != len(streams.seeds):
        raise ValueError(f"emds must be one per seed, got {len(emds)} for {len(streams.seeds)} seeds")
    counts = np.stack([client_counts(skew, emd, samples, images.classes, clients) for emd in emds])
    dealt = [deal(images, row, rng) for row, rng in zip(counts, streams.generators["data"], strict=True)]
    index = torch.from_numpy(np.stack(dealt)).clamp(min=0)
    return Clients(counts, index, images.y[index])
