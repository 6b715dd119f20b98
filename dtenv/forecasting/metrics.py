"""Scores of cell forecasters by horizon."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.forecasting.baselines import CellForecaster
from dtenv.forecasting.cell_traces import Windows

FLOOR = 1e-3
"""Uniform share that log-loss mixes into every prediction: a wrong prediction with p = 1 would cost infinity."""

ROWS = 2048


class Score(NamedTuple):
    """Scores by horizon, (H,); nan if no user moved.

    If users rarely move, `accuracy` equals that of persistence whatever was learnt; compare `moves` and `destination`.
    """

    accuracy: np.ndarray  # share of steps whose most probable cell is correct
    moves: np.ndarray  # the same over steps in which the serving cell differs from the current one
    destination: np.ndarray  # over these steps: share correct among the cells other than the current one
    log_loss: np.ndarray  # nats, mean of -ln p(true cell), with FLOOR of p uniform
    moved: np.ndarray  # share of steps in which the serving cell differs from the current one: errors of persistence


def score(forecaster: CellForecaster, windows: Windows) -> Score:
    """Score a forecaster on windows, over all steps of their targets."""
    horizon = windows.target.shape[1]
    sums = np.zeros((5, horizon))
    for start in range(0, len(windows.target), ROWS):  # in parts, to bound memory
        rows = slice(start, start + ROWS)
        history, target = windows.history.rows(rows), windows.target[rows]
        p, now = forecaster.predict_proba(history, horizon), history.cell[:, -1:]
        moved, right = target != now, p.argmax(axis=-1) == target
        p_true = np.take_along_axis(p, target[..., None], axis=-1)[..., 0]
        surprise = -np.log((1.0 - FLOOR) * p_true + FLOOR / p.shape[-1])
        elsewhere = np.array(p)
        np.put_along_axis(elsewhere, np.broadcast_to(now[..., None], (*target.shape, 1)), -1.0, axis=-1)
        reached = elsewhere.argmax(axis=-1) == target
        sums += [part.sum(axis=0) for part in (right, right & moved, reached & moved, surprise, moved)]
    count = len(windows.target)
    with np.errstate(invalid="ignore"):
        return Score(sums[0] / count, sums[1] / sums[4], sums[2] / sums[4], sums[3] / count, sums[4] / count)
