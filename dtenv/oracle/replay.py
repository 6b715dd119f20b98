"""Plans played in the environment's own kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dtenv.validation import integer


def row_of(task: Any, b: int) -> Any:
    """A task of row b alone, in the state that the row is in; playing it leaves `task` as it is."""
    row = type(task)(task.scenario)
    for group in ("tape", "course", "state"):
        for own, of_task in zip(getattr(row, group, ()), getattr(task, group, ()), strict=True):
            own[0] = of_task[b]
    row.obs[0], row.mask[0] = task.obs[b], task.mask[b]
    return row


def replay(task: Any, b: int, plan: Iterable[Any]) -> list[float]:
    """The score of every slot when row b plays a plan, one action a slot, from its state on."""
    row, scores = row_of(task, b), []
    for action in plan:
        row.advance(np.asarray(action)[None])
        scores.append(row.info()["score"])
    return scores


def slots_left(task: Any, b: int, horizon: int | None) -> int:
    """Slots that a plan of row b is to cover: `horizon`, at most what is left of the episode; None for all of that.

    Raises:
        ValueError: there is no such row, its episode has not begun or is over, or horizon is not a positive integer.
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
