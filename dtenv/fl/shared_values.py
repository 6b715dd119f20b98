"""Uploads of few different values, which many entries share (weight sharing; Han et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dtenv.fl.compression import FLOAT_BYTES
from dtenv.validation import positive_integer


@dataclass(frozen=True, kw_only=True)
class SharedValues:
    """Every update has its own list of 2^bits values, found by k-means, and an entry is the number of its value."""

    bits: int = 4
    iterations: int = 8
    """Of Lloyd's algorithm, from an even grid between the update's smallest and largest entry."""

    def __post_init__(self) -> None:
        positive_integer(self, "bits", "iterations")
        if self.bits > 8:
            raise ValueError(f"bits must lie in [1, 8], got {self.bits!r}")

    def upload_bytes(self, size: int) -> float:
        """Bytes of an update: a number an entry, and the list of values."""
        return self.bits * size / 8 + FLOAT_BYTES * 2**self.bits

    def compress(self, update: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Updates (..., P) with every entry the mean of those nearest to the same value; the rest is lost."""
        flat = update.flatten(0, -2) if update.dim() > 1 else update[None]
        low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
        values = low + (high - low) * torch.linspace(0.0, 1.0, 2**self.bits, dtype=flat.dtype)
        for _ in range(self.iterations):
            which = torch.searchsorted((values[:, 1:] + values[:, :-1]) / 2.0, flat.contiguous())
            held = torch.zeros_like(values).scatter_add_(1, which, torch.ones_like(flat))
            total = torch.zeros_like(values).scatter_add_(1, which, flat)
            values = torch.where(held > 0, total / held.clamp(min=1.0), values).sort(dim=1).values
        which = torch.searchsorted((values[:, 1:] + values[:, :-1]) / 2.0, flat.contiguous())
        return values.gather(1, which).view_as(update), None
