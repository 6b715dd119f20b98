"""How good predictions of cells are, step by step into the future."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.forecasting.baselines import CellForecaster
from dtenv.forecasting.cell_traces import Windows

FLOOR = 1e-3
"""Share of every prediction that log-loss takes to be uniform: certainty that is wrong would cost infinitely much."""

ROWS = 2048


class Score(NamedTuple):
    """By horizon, (H,); nan where nobody moved.

    Where users seldom move, `accuracy` is that of persistence, whatever was learnt; `moves` and `destination` tell.
    """

    accuracy: np.ndarray  # share of steps whose likeliest cell was right
    moves: np.ndarray  # the same, of those steps alone in which another cell serves than now
    destination: np.ndarray  # of the same steps: right among the cells other than now's
    log_loss: np.ndarray  # nats, mean of -ln p(true cell), with FLOOR of p uniform
    moved: np.ndarray  # share of steps in which another cell serves than now: what persistence gets wrong


def score(forecaster: CellForecaster, windows: Windows) -> Score:
    """Scores of a forecaster on windows, over as many steps as they have targets."""
    horizon = windows.target.shape[1]
    sums = np.zeros((5, horizon))
    for start in range(0, len(windows.target), ROWS):  # probabilities of all windows at once may not fit
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
