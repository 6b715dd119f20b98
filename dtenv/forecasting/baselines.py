"""Interface of cell forecasters, and two baselines without transitions: persistence and the most frequent cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from dtenv.forecasting.cell_traces import CellTraces, History
from dtenv.scenario.forecaster import one_hot
from dtenv.validation import integer, positive_number

if TYPE_CHECKING:
    from typing_extensions import Self


@runtime_checkable
class CellForecaster(Protocol):
    """Forecaster of the cell that serves a user."""

    def fit(self, traces: CellTraces) -> Self:
        """Fit to the traces only; return self."""

    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Return probabilities (n, H, cells) of the cells in each of the next H = `horizon` steps.

        `history` has n moments, with cells, users and times as in the fitted traces; [i, h] is for step h + 1 after
        moment i and sums to one. Raises RuntimeError before `fit`, and ValueError for a horizon below 1, an unknown
        cell or user, or inconsistent shapes.
        """


def check_question(forecaster: object, history: History, horizon: int, num_cells: int, num_users: int) -> None:
    """Raise the errors of `predict_proba`; `num_cells` is 0 before `fit`."""
    if num_cells == 0:
        raise RuntimeError(f"{type(forecaster).__name__} has to be fitted before it predicts")
    integer("horizon", horizon)
    history.check(num_cells, num_users)


class Persistence:
    """Users stay in their current cell."""

    num_cells, num_users = 0, 0

    def fit(self, traces: CellTraces) -> Self:
        """Store the number of cells and users."""
        self.num_cells, self.num_users = traces.num_cells, traces.num_users
        return self

    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Predict the current cell with probability 1; see `CellForecaster.predict_proba`."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        now = one_hot(history.cell[:, -1], self.num_cells)
        return np.repeat(now[:, None], horizon, axis=1)


class MostFrequent:
    """Frequency of the cells in the traces, independent of the current cell.

    Args:
        per_user: a user's own frequencies, backing off to all users', instead of all users' only.
        strength: weight of the back-off, in steps.
    """

    num_cells, num_users = 0, 0

    def __init__(self, per_user: bool = True, strength: float = 1.0):
        self.per_user, self.strength = per_user, positive_number("strength", strength)

    def fit(self, traces: CellTraces) -> Self:
        """Count every user's cells."""
        self.num_cells, self.num_users = traces.num_cells, traces.num_users
        self.shares = cell_shares(traces, self.per_user, self.strength)
        return self

    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Predict the same in every step; see `CellForecaster.predict_proba`."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        shares = self.shares[history.user if self.per_user else np.full(len(history.user), -1)]
        return np.repeat(shares[:, None], horizon, axis=1)


def cell_shares(traces: CellTraces, per_user: bool, strength: float) -> np.ndarray:
    """Shares of the cells (users + 1, cells), or (1, cells) if pooled; the last row is for all users together.

    A user's shares back off to all users', and these to one step in every cell.
    """
    cells = traces.num_cells
    pooled = np.bincount(traces.cell, minlength=cells) + 1.0
    pooled /= pooled.sum()
    if not per_user:
        return pooled[None]
    counts = np.bincount(traces.user * cells + traces.cell, minlength=traces.num_users * cells).reshape(-1, cells)
    own = (counts + strength * pooled) / (counts.sum(axis=1, keepdims=True) + strength)
    return np.concatenate([own, pooled[None]])
