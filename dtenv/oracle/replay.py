"""Replay of plans in the environment's own kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dtenv.validation import integer


def row_of(task: Any, b: int) -> Any:
    """Copy of row b as a task of one row; stepping it leaves `task` unchanged."""
    row = type(task)(task.scenario)
    for group in ("tape", "course", "state"):
        for own, of_task in zip(getattr(row, group, ()), getattr(task, group, ()), strict=True):
            own[0] = of_task[b]
    row.obs[0], row.mask[0] = task.obs[b], task.mask[b]
    return row


def replay(task: Any, b: int, plan: Iterable[Any]) -> list[float]:
    """Scores of the slots when row b plays a plan, one action per slot, from its current state."""
    row, scores = row_of(task, b), []
    for action in plan:
        row.step(np.asarray(action)[None])
        scores.append(row.info()["score"])
    return scores


def slots_left(task: Any, b: int, horizon: int | None) -> int:
    """Number of slots to plan for row b: `horizon`, at most the rest of the episode; all of the rest if None.

    Raises:
        ValueError: no such row, its episode has not begun or is over, or horizon is not a positive integer.
    """
    rows = len(task.state.slot)
    b = integer("b", b, 0, rows - 1)
    if horizon is not None:
        horizon = integer("horizon", horizon)
    slot, last = int(task.state.slot[b]), task.scenario.episode.num_slots
    if not 1 <= slot <= last:
        raise ValueError(f"row {b} has no slot to decide: its episode {'is over' if slot else 'has not begun'}")
    left = last - slot + 1
    return left if horizon is None else min(horizon, left)
