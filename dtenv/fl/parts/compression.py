"""Compression of uploads: largest entries only, or fewer bits per entry (Liu 2020, Sections IV-A and IV-D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from dtenv.validation import is_bool, number, positive_integer

FLOAT_BYTES = 4
INDEX_BYTES = 4


class Compression(Protocol):
    """Compression of updates."""

    def upload_bytes(self, size: int) -> float:
        """Return the bytes of a compressed update of `size` numbers."""

    def compress(self, update: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return decoded updates (..., P), and the clients' memory until their next upload."""


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Every entry as a 32-bit float."""

    def upload_bytes(self, size: int) -> float:
        """Return the bytes of an update."""
        return float(FLOAT_BYTES * size)

    def compress(self, update: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the update itself."""
        return update, None


@dataclass(frozen=True, kw_only=True)
class TopK:
    """The largest entries by magnitude, as value and index; the rest is kept in the client's memory, or lost."""

    share: float = 0.01
    error_feedback: bool = True
    momentum: float = 0.0
    """Momentum of a client's updates over rounds, reset for sent entries (momentum correction and factor masking; Lin
    et al. 2018). It needs error feedback."""

    def __post_init__(self) -> None:
        is_bool(self, "error_feedback")
        if not 0.0 <= number("momentum", self.momentum) < 1.0 or (self.momentum and not self.error_feedback):
            raise ValueError(f"momentum must lie in [0, 1), and be 0 without error_feedback, got {self.momentum!r}")
        if not 0.0 < number("share", self.share) <= 1.0:
            raise ValueError(f"share must lie in (0, 1], got {self.share!r}")

    def kept(self, size: int) -> int:
        """Return k, the number of entries sent of `size`."""
        return max(1, round(self.share * size))

    def upload_bytes(self, size: int) -> float:
        """Return the bytes of an update: value and index of each sent entry."""
        return float((FLOAT_BYTES + INDEX_BYTES) * self.kept(size))

    def compress(self, update: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the largest entries of the update plus, with error feedback, the residual of earlier rounds."""
        velocity = update
        if self.momentum:  # memory is the residual, followed by the velocity
            memory, before = (None, 0.0) if memory is None else memory.chunk(2, dim=-1)
            velocity = update + self.momentum * before
        whole = velocity if memory is None else velocity + memory
        kept = whole.abs().topk(self.kept(whole.shape[-1]), dim=-1).indices
        sent = torch.zeros_like(whole).scatter_(-1, kept, whole.gather(-1, kept))
        if self.momentum:
            return sent, torch.cat((whole - sent, velocity.scatter(-1, kept, 0.0)), dim=-1)
        return sent, whole - sent if self.error_feedback else None


@dataclass(frozen=True, kw_only=True)
class Quantise:
    """Entries rounded to the nearest of 2^bits - 1 even levels between plus and minus the largest magnitude."""

    bits: int = 8

    def __post_init__(self) -> None:
        positive_integer(self, "bits")
        if not 2 <= self.bits <= 16:
            raise ValueError(f"bits must lie in [2, 16], got {self.bits!r}")

    def upload_bytes(self, size: int) -> float:
        """Return the bytes of an update: its entries, and the largest as a float."""
        return self.bits * size / 8 + FLOAT_BYTES

    def compress(self, update: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the rounded update; rounding errors are not corrected later."""
        steps = 2 ** (self.bits - 1) - 1
        scale = update.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(update.dtype).tiny) / steps
        return torch.round(update / scale) * scale, None


@dataclass(frozen=True, kw_only=True)
class SharedValues:
    """Weight sharing (Han et al. 2016): entries as indices into 2^bits values per update, found by k-means."""

    bits: int = 4
    iterations: int = 8
    """Iterations of Lloyd's algorithm, from an even grid between the smallest and largest entry."""

    def __post_init__(self) -> None:
        positive_integer(self, "bits", "iterations")
        if self.bits > 8:
            raise ValueError(f"bits must lie in [1, 8], got {self.bits!r}")

    def upload_bytes(self, size: int) -> float:
        """Return the bytes of an update: an index per entry, and the values."""
        return self.bits * size / 8 + FLOAT_BYTES * 2**self.bits

    def compress(self, update: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return updates (..., P) with each entry replaced by the mean of its cluster; the rest is lost."""
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
