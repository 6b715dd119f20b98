"""Layout of flat observations: blocks of named entries, and their structured view."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces


def columns(entries: tuple[tuple[str, str], ...]) -> Any:
    """Named tuple of the indices of a block's entries on its last axis; constants in kernels too."""
    return namedtuple("Columns", [name for name, _ in entries])(*range(len(entries)))


@dataclass(frozen=True)
class Block:
    """Block of an observation: an array of `shape` (such as users, or users x servers) with `entries` at each index."""

    name: str
    shape: tuple[int, ...]
    entries: tuple[tuple[str, str], ...]
    """(name, meaning with unit and scale) of each entry."""
    low: float = -1.0
    high: float = 1.0

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Shape of the block in the structured view: `shape`, then entries."""
        return (*self.shape, len(self.entries))

    @property
    def size(self) -> int:
        """Number of values in the block."""
        return math.prod(self.full_shape)

    def column(self, entry: str) -> int:
        """Index of a named entry on the last axis."""
        return [name for name, _ in self.entries].index(entry)


@dataclass(frozen=True)
class Layout:
    """Ordered blocks of a flat observation."""

    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(block.size for block in self.blocks)

    @property
    def space(self) -> spaces.Box:
        """Flat observation space."""
        low = np.concatenate([np.full(b.size, b.low, np.float32) for b in self.blocks])
        high = np.concatenate([np.full(b.size, b.high, np.float32) for b in self.blocks])
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def structured_space(self) -> spaces.Dict:
        """Observation space of `split`."""
        return spaces.Dict({b.name: spaces.Box(b.low, b.high, b.full_shape, np.float32) for b in self.blocks})

    def split(self, obs):
        """Return views (..., *shape, entries) of flat observations (..., size) by block name; NumPy or torch."""
        views, start = {}, 0
        for block in self.blocks:
            flat = obs[..., start : start + block.size]
            views[block.name] = flat.reshape(*obs.shape[:-1], *block.full_shape)
            start += block.size
        return views
