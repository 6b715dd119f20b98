"""Base class of the tasks: a batch of episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Any

import numpy as np

from dtenv.world.pcg64 import load, new_streams, store


class Task(ABC):
    """Batch of B independent episodes of one scenario."""

    state: Any
    """Mutable state; state.slot (B,) is the slot to decide, 1 … T, or T + 1 at the end."""
    terms: Any
    obs: np.ndarray
    mask: np.ndarray
    _arrays: tuple[np.ndarray, ...]
    """All arrays that kernels read and write."""
    _reward: int
    """Column of terms.totals with the reward."""

    def __init__(self, scenario: Any, batch: int):
        self.scenario = scenario
        self.rows = np.arange(batch)
        self.streams = new_streams(batch)

    def reset(self, b: int, rng: np.random.Generator) -> None:
        """Reset row b: draw its episode from `rng` and observe the first slot."""
        load(rng, self.streams[b])
        try:
            self.reset_rows(self.rows[b : b + 1])
        finally:
            store(self.streams[b], rng)

    @abstractmethod
    def reset_rows(self, rows: np.ndarray) -> None:
        """Reset some rows: draw their next episodes from their streams and observe the first slot."""

    @property
    def rewards(self) -> np.ndarray:
        """Rewards (B,) of the last slot; a view."""
        return self.terms.totals[:, self._reward]

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays that change during resets and steps; not copies."""
        return self._arrays

    def masks(self) -> np.ndarray:
        """Action masks of all rows; a view."""
        return self.mask

    @abstractmethod
    def infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after the last step: an array (B, …) per key; some are views."""

    @abstractmethod
    def reset_infos(self) -> dict[str, np.ndarray]:
        """`info` of all rows after their resets, in the same form."""


def flatten(batch: tuple) -> tuple[np.ndarray, ...]:
    """Flatten a `Batch` to a plain tuple of arrays, which Numba unpacks several times faster than nested named ones."""
    return tuple(array for part in batch for array in (part if isinstance(part, tuple) else (part,)))


def ends(*groups: Any) -> tuple[int, ...]:
    """End index of each of the first groups (NamedTuple classes) in a `flatten` tuple."""
    return tuple(accumulate(len(group._fields) for group in groups))


def whole(numbers: np.ndarray) -> np.ndarray:
    """Convert counts to integers."""
    return numbers.astype(np.int64)
