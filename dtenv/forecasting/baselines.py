"""The interface of forecasters, and the two that know no transitions: persistence and the most frequent cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from dtenv.forecasting.cell_traces import CellTraces, History
from dtenv.scenario.forecaster import certain
from dtenv.validation import integer, positive_number

if TYPE_CHECKING:
    from typing_extensions import Self


@runtime_checkable
class CellForecaster(Protocol):
    """Predicts which cell will serve a user."""

    def fit(self, traces: CellTraces) -> Self:
        """Learn from traces, and from nothing else; returns itself."""

    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Probabilities of the cells in each of the next steps.

        Args:
            history: what is known of n moments; cells, users and times as in the traces fitted to.
            horizon: H, steps to predict.

        Returns:
            (n, H, cells); [i, h] sums to one and is of the step h + 1 after moment i.

        Raises:
            ValueError: a horizon below 1, a cell or user that is not known, or shapes that do not fit.
            RuntimeError: not fitted yet.
        """


def check_question(forecaster: object, history: History, horizon: int, num_cells: int, num_users: int) -> None:
    """Raise where a forecaster cannot answer; `num_cells` is 0 before it is fitted."""
    if num_cells == 0:
        raise RuntimeError(f"{type(forecaster).__name__} has to be fitted before it predicts")
    integer("horizon", horizon)
    history.check(num_cells, num_users)


class Persistence:
    """Users stay where they are."""

    num_cells, num_users = 0, 0

    def fit(self, traces: CellTraces) -> Self:
        """Takes the number of cells and users alone."""
        self.num_cells, self.num_users = traces.num_cells, traces.num_users
        return self

    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """As `CellForecaster.predict_proba`: the cell now, for certain."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        now = certain(history.cell[:, -1], self.num_cells)
        return np.repeat(now[:, None], horizon, axis=1)


class MostFrequent:
    """How often a user was served by each cell, whatever the cell now.

    Args:
        per_user: users' own shares, with all users' as back-off, rather than all users' alone.
        strength: how many steps the back-off counts for.
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
        """As `CellForecaster.predict_proba`: the same in every step."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        shares = self.shares[history.user if self.per_user else np.full(len(history.user), -1)]
        return np.repeat(shares[:, None], horizon, axis=1)


def cell_shares(traces: CellTraces, per_user: bool, strength: float) -> np.ndarray:
    """Shares of the cells (users + 1, cells), or (1, cells) where they are pooled; the last are all users'.

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
