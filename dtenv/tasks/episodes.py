"""Episodes side by side: what the tasks' batches share, whatever is decided in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Any

import numpy as np

from dtenv.world.pcg64 import load, new_streams, store


class Episodes(ABC):
    """A batch of episodes of one scenario: rows never affect each other.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B).
    """

    state: Any
    """What episodes' pasts leave to their futures; state.slot (B,) is the slot to be decided, 1 … T, or T + 1."""
    obs: np.ndarray
    mask: np.ndarray
    _arrays: tuple[np.ndarray, ...]
    """What kernels read and write, all of it."""

    def __init__(self, scenario: Any, batch: int):
        self.scenario = scenario
        self.rows = np.arange(batch)
        self.streams = new_streams(batch)

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """Draw row b's episode from a generator, and observe its first slot."""
        load(rng, self.streams[b])
        try:
            self.begin_rows(self.rows[b : b + 1])
        finally:
            store(self.streams[b], rng)

    @abstractmethod
    def begin_rows(self, rows: np.ndarray) -> None:
        """Draw the next episode of some rows from their streams, and observe its first slot."""

    @property
    @abstractmethod
    def rewards_of_rows(self) -> np.ndarray:
        """Rewards (B,) of the last slot; a view."""

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that changes while episodes are played and drawn; the task's own arrays."""
        return self._arrays

    def masks(self) -> np.ndarray:
        """Action masks of all rows; a view."""
        return self.mask

    @abstractmethod
    def entries(self) -> dict[str, np.ndarray]:
        """`info` of all rows' last slots: an array (B, …) for each name; some are views."""

    @abstractmethod
    def begun(self) -> dict[str, np.ndarray]:
        """`info` of all rows' resets, likewise."""


def flat(batch: tuple) -> tuple[np.ndarray, ...]:
    """A `Batch`'s arrays as one plain tuple, which Numba unpacks several times faster than nested named ones."""
    return tuple(array for part in batch for array in (part if isinstance(part, tuple) else (part,)))


def ends(*groups: Any) -> tuple[int, ...]:
    """Where in such a tuple the arrays of each of its first groups, NamedTuple classes, end."""
    return tuple(accumulate(len(group._fields) for group in groups))


def whole(numbers: np.ndarray) -> np.ndarray:
    """Counts as whole numbers."""
    return numbers.astype(np.int64)
