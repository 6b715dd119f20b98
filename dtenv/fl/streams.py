"""Random generators of a federation: one for every replicate and purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

PURPOSES = ("data", "weights", "batches", "upload", "clients", "clock", "attack", "privacy", "personal")
"""Purposes with separate generators, so that a variant draws the same data and batches as plain averaging."""


@dataclass(frozen=True)
class Streams:
    """One generator per replicate and purpose; a replicate's draws do not depend on the other replicates."""

    seeds: tuple[int, ...]
    generators: dict[str, list[np.random.Generator]]

    @classmethod
    def of(cls, seeds: Sequence[int]) -> Streams:
        """Return streams of replicates with these seeds."""
        for i, seed in enumerate(seeds):
            if not isinstance(seed, int | np.integer) or seed < 0:
                raise ValueError(f"seeds[{i}] must be a non-negative integer, got {seed!r}")
        made = {
            purpose: [np.random.default_rng(np.random.SeedSequence([int(seed), k])) for seed in seeds]
            for k, purpose in enumerate(PURPOSES)
        }
        return cls(tuple(int(seed) for seed in seeds), made)

    def only(self, rows: Sequence[int]) -> Streams:
        """Return streams of some replicates; the generators are shared."""
        kept = {purpose: [made[row] for row in rows] for purpose, made in self.generators.items()}
        return Streams(tuple(self.seeds[row] for row in rows), kept)

    def normal(self, purpose: str, *shape: int) -> torch.Tensor:
        """Draw standard normal variates (replicates, *shape), float32."""
        drawn = [rng.standard_normal(shape, dtype=np.float32) for rng in self.generators[purpose]]
        return torch.from_numpy(np.stack(drawn))
