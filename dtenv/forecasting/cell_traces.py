"""Sequences of serving cells, and their windows of history and target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from dtenv.validation import integer, number, positive


@dataclass(frozen=True, eq=False, kw_only=True)
class CellTraces:
    """Serving cell of users, step by step, sorted by user, then by time.

    A step is a slot of equal length, or the next record of a session. The steps of a stretch are consecutive; between
    stretches a user was silent, so that no prediction or transition spans two of them. Raises ValueError that names
    field and value for inconsistent arrays or a value out of range.
    """

    cell: np.ndarray  # (steps,) integers, index of the serving base station
    user: np.ndarray  # (steps,) integers from 0
    stretch: np.ndarray  # (steps,) integers, non-decreasing
    time_s: np.ndarray  # (steps,) seconds from a midnight, or from the source's own origin if the hour is unknown
    site_xy: np.ndarray  # (cells, 2) metres, positions of the base stations
    num_users: int  # users may have no steps in a part
    slot_seconds: float | None = None  # length of a step; None for records of sessions
    source: str = ""

    def __post_init__(self) -> None:
        steps = len(self.cell)
        for name in ("cell", "user", "stretch"):
            value = np.asarray(getattr(self, name))
            if value.shape != (steps,) or (steps and value.dtype.kind not in "iu"):
                raise ValueError(f"{name} must hold {steps} integers, got {value.dtype} of shape {value.shape}")
            object.__setattr__(self, name, value.astype(np.int64))
        for name, shape in (("time_s", (steps,)), ("site_xy", (len(self.site_xy), 2))):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} must hold finite numbers of shape {shape}, got shape {value.shape}")
            object.__setattr__(self, name, value)
        for name, below in (("cell", self.num_cells), ("user", self.num_users)):
            value = getattr(self, name)
            wrong = value[(value < 0) | (value >= below)]
            if wrong.size:
                raise ValueError(f"{name} must lie in 0..{below - 1}, got {wrong[0]}")
        if (np.diff(self.user) < 0).any() or (np.diff(self.stretch) < 0).any():
            raise ValueError("steps must be sorted by user and stretch")
        same = self.follows()
        if (np.diff(self.user)[same] != 0).any():
            raise ValueError("a stretch must belong to one user")
        if (np.diff(self.time_s)[same] <= 0).any():
            raise ValueError("time_s must grow within a stretch")
        if self.slot_seconds is not None:
            positive(self, "slot_seconds")

    @property
    def num_cells(self) -> int:
        """Number of base stations."""
        return len(self.site_xy)

    @property
    def step_seconds(self) -> float:
        """Length of a slot, or the mean time between records, seconds; nan without consecutive steps."""
        if self.slot_seconds is not None:
            return float(self.slot_seconds)
        seconds = np.diff(self.time_s)[self.follows()]
        return float(seconds.mean()) if seconds.size else float("nan")

    def follows(self) -> np.ndarray:
        """(steps - 1,) whether step i + 1 is in the same stretch as step i."""
        return np.diff(self.stretch) == 0

    def part(self, keep: np.ndarray) -> CellTraces:
        """Steps in a mask (steps,); users keep their numbers, and stretches break at omitted steps."""
        kept = np.flatnonzero(keep)
        breaks = (np.diff(kept) != 1) | (np.diff(self.stretch[kept]) != 0)
        stretch = np.concatenate([[0], np.cumsum(breaks)])[: len(kept)]
        return replace(
            self, cell=self.cell[kept], user=self.user[kept], stretch=stretch.astype(np.int64), time_s=self.time_s[kept]
        )

    def of_users(self, users: np.ndarray) -> CellTraces:
        """Steps of some users, renumbered in the order of their old numbers."""
        users = np.unique(users)
        chosen = self.part(np.isin(self.user, users))
        return replace(chosen, user=np.searchsorted(users, chosen.user), num_users=len(users))


class History(NamedTuple):
    """Input of a prediction, for many users or moments at once."""

    cell: np.ndarray  # (n, X) oldest first, the last is the current cell; -1 if unknown, never the last
    user: np.ndarray  # (n,) as in the fitted traces; -1 for an unknown user
    time_s: np.ndarray  # (n, X) seconds as in the traces; nan if unknown

    @classmethod
    def of(cls, cell: np.ndarray, user: np.ndarray | None = None, time_s: np.ndarray | None = None) -> History:
        """Make a history of cells (n, X), with users (n,) and times (n, X) if known."""
        cell = np.asarray(cell, dtype=np.int64)
        users = np.full(len(cell), -1) if user is None else np.asarray(user, dtype=np.int64)
        times = np.full(cell.shape, np.nan) if time_s is None else np.asarray(time_s, dtype=np.float64)
        return cls(cell, users, times)

    def rows(self, chosen: np.ndarray | slice) -> History:
        """Select some of the moments."""
        return History(self.cell[chosen], self.user[chosen], self.time_s[chosen])

    def check(self, num_cells: int, num_users: int) -> None:
        """Raise ValueError for inconsistent shapes or an unknown cell or user."""
        cell = self.cell
        if cell.ndim != 2 or cell.shape[1] < 1 or self.user.shape != cell.shape[:1] or self.time_s.shape != cell.shape:
            raise ValueError(
                f"history must have cell (n, X), user (n,) and time_s (n, X), got {cell.shape}, {self.user.shape} "
                f"and {self.time_s.shape}"
            )
        for name, value, least, below in (
            ("cell", cell, -1, num_cells),
            ("cell now", cell[:, -1], 0, num_cells),
            ("user", self.user, -1, num_users),
        ):
            wrong = value[(value < least) | (value >= below)]
            if wrong.size:
                raise ValueError(f"{name} in history must lie in {least}..{below - 1}, got {wrong[0]}")


class Windows(NamedTuple):
    """Histories and the cells that followed."""

    history: History
    target: np.ndarray  # (n, H) cells of the next H steps
    time_s: np.ndarray  # (n, H) their start times, seconds as in the traces


def later_part(traces: CellTraces, share: float = 0.8) -> np.ndarray:
    """Mask (steps,) of the test part, after the first `share` of every user's steps, which must lie in (0, 1)."""
    if not 0.0 < number("share", share) < 1.0:
        raise ValueError(f"share must lie between 0 and 1, got {share!r}")
    steps = np.bincount(traces.user, minlength=traces.num_users)
    rank = np.arange(len(traces.user)) - (np.cumsum(steps) - steps)[traces.user]
    return rank >= np.ceil(share * steps)[traces.user]


def windows(traces: CellTraces, length: int, horizon: int, within: np.ndarray | None = None) -> Windows:
    """Every `length` steps of a stretch and the `horizon` steps that follow, the latter all in the mask `within`.

    The history may start before the mask. Raises ValueError for a length or horizon below 1, or if no stretch is long
    enough.
    """
    integer("length", length)
    integer("horizon", horizon)
    allowed = np.ones(len(traces.cell), dtype=bool) if within is None else np.asarray(within, dtype=bool)
    now = np.arange(length - 1, len(traces.cell) - horizon)
    now = now[traces.stretch[now - length + 1] == traces.stretch[now + horizon]]  # non-decreasing: all between as well
    counted = np.concatenate([[0], np.cumsum(allowed)])
    now = now[counted[now + horizon + 1] - counted[now + 1] == horizon]
    if not len(now):
        raise ValueError(f"no stretch of the traces holds length={length} steps and horizon={horizon} steps after them")
    past, ahead = now[:, None] + np.arange(1 - length, 1), now[:, None] + np.arange(1, horizon + 1)
    history = History(traces.cell[past], traces.user[now], traces.time_s[past])
    return Windows(history, traces.cell[ahead], traces.time_s[ahead])
