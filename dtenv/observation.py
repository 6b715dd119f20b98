"""How an observation vector is laid out: blocks of named entries, and the structured view of them."""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces


def columns(entries: tuple[tuple[str, str], ...]) -> Any:
    """Indices of a block's entries on its last axis, as fields by their names: constants to kernels too."""
    names = [name for name, _ in entries]
    return namedtuple("Columns", names)(*range(len(names)))


@dataclass(frozen=True)
class Block:
    """One part of the vector: `shape` places (such as users, or user x server), `entries` numbers at each."""

    name: str
    shape: tuple[int, ...]
    entries: tuple[tuple[str, str], ...]
    """(name, meaning with unit and scale) of each number."""
    low: float = -1.0
    high: float = 1.0

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Shape of the block in the structured view: places, then entries."""
        return (*self.shape, len(self.entries))

    @property
    def size(self) -> int:
        """Numbers in the block."""
        return math.prod(self.full_shape)

    def column(self, entry: str) -> int:
        """Index of a named entry on the last axis."""
        return [name for name, _ in self.entries].index(entry)


@dataclass(frozen=True)
class Layout:
    """The blocks of a flat observation, in order."""

    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(block.size for block in self.blocks)

    @property
    def space(self) -> spaces.Box:
        """The flat observation space."""
        low = np.concatenate([np.full(b.size, b.low, np.float32) for b in self.blocks])
        high = np.concatenate([np.full(b.size, b.high, np.float32) for b in self.blocks])
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def structured_space(self) -> spaces.Dict:
        """The space of `split`."""
        return spaces.Dict({b.name: spaces.Box(b.low, b.high, b.full_shape, np.float32) for b in self.blocks})

    def split(self, obs):
        """Blocks by name of flat observations (..., size): views of shape (..., *places, entries).

        Takes NumPy arrays and torch tensors alike.
        """
        views, start = {}, 0
        for block in self.blocks:
            flat = obs[..., start : start + block.size]
            views[block.name] = flat.reshape(*obs.shape[:-1], *block.full_shape)
            start += block.size
        return views
