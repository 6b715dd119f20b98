"""When a learning curve has settled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.figures.grid import Curve

SHARE = 0.9
"""of its whole change, after which a curve counts as settled"""


class Settled(NamedTuple):
    """How a curve, the mean over its trainings, went from its first to its last part."""

    change: float
    """of the mean of the last fifth, from the first twentieth"""
    clear: bool
    """whether it changed the way it should by more than twice the deviation of the last fifth"""
    still: bool
    """whether it had also changed nine tenths as much before the last third: a straight line has not"""
    episode: float
    """first one by which it had changed nine tenths as much; nan where it did not change clearly"""
    last: float
    """training episodes in all"""


def settled(curve: Curve, sign: float) -> Settled:
    """When a curve that should rise (sign 1) or fall (sign -1) settled."""
    start, end = float(curve.start().mean()), float(curve.end().mean())
    tail = curve.mean[-max(1, len(curve.mean) // 5) :]
    change = end - start
    clear = sign * change > 2.0 * float(tail.std())
    reached = sign * (curve.mean - start) >= SHARE * sign * change
    episode = float(curve.episodes[int(np.argmax(reached))]) if clear else float("nan")
    last = float(curve.episodes[-1])
    return Settled(change, clear, clear and episode <= 2.0 / 3.0 * last, episode, last)
