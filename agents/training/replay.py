"""Replay buffer: the latest steps of many environments, sampled at random."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ReplayBuffer:
    """Rows of named float32 arrays, of the given shapes; the newest overwrite the oldest beyond `capacity`."""

    def __init__(self, capacity: int, **shapes: tuple[int, ...]):
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.capacity, self.size, self._next = capacity, 0, 0
        self._rows = {name: torch.zeros(capacity, *shape) for name, shape in shapes.items()}

    def __len__(self) -> int:
        return self.size

    def add(self, **rows: Tensor) -> None:
        """Append rows (n, …) of every array; raises ValueError if the names differ from the buffer's."""
        if rows.keys() != self._rows.keys():
            raise ValueError(f"rows must be of {', '.join(self._rows)}, got {', '.join(rows)}")
        count = min(len(next(iter(rows.values()))), self.capacity)
        places = (self._next + torch.arange(count)) % self.capacity
        for name, values in rows.items():
            self._rows[name][places] = values[len(values) - count :].to(torch.float32)
        self._next = (self._next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, count: int) -> dict[str, Tensor]:
        """Rows drawn with replacement by torch's global generator, (count, …) of every array."""
        drawn = torch.randint(self.size, (count,))
        return {name: rows[drawn] for name, rows in self._rows.items()}

    def all(self, name: str) -> Tensor:
        """View of all rows of an array, (size, …), in no particular order."""
        return self._rows[name][: self.size]

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and the position of the next one."""
        return {"rows": {name: self.all(name) for name in self._rows}, "next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the rows of a buffer with the same capacity."""
        for name, rows in state["rows"].items():
            self._rows[name][: len(rows)] = rows
            self.size = len(rows)
        self._next = state["next"]
