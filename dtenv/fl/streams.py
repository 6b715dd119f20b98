"""How a seed flows through a federation: a generator for every replicate and purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

PURPOSES = ("data", "weights", "batches", "upload", "clients", "clock", "attack", "privacy", "personal")
"""What is drawn apart from each other, so that a variant draws the same data and batches as plain averaging."""


@dataclass(frozen=True)
class Streams:
    """One generator a replicate for each of PURPOSES. A replicate's draws do not depend on who is beside it."""

    seeds: tuple[int, ...]
    generators: dict[str, list[np.random.Generator]]

    @classmethod
    def of(cls, seeds: Sequence[int]) -> Streams:
        """The streams of replicates with these seeds."""
        for i, seed in enumerate(seeds):
            if not isinstance(seed, int | np.integer) or seed < 0:
                raise ValueError(f"seeds[{i}] must be a whole number of at least 0, got {seed!r}")
        made = {
            purpose: [np.random.default_rng(np.random.SeedSequence([int(seed), k])) for seed in seeds]
            for k, purpose in enumerate(PURPOSES)
        }
        return cls(tuple(int(seed) for seed in seeds), made)

    def only(self, rows: Sequence[int]) -> Streams:
        """The streams of some of the replicates; draws go on in both."""
        kept = {purpose: [made[row] for row in rows] for purpose, made in self.generators.items()}
        return Streams(tuple(self.seeds[row] for row in rows), kept)

    def normal(self, purpose: str, *shape: int) -> torch.Tensor:
        """Standard normal variates (replicates, *shape), float32."""
        drawn = [rng.standard_normal(shape, dtype=np.float32) for rng in self.generators[purpose]]
        return torch.from_numpy(np.stack(drawn))
