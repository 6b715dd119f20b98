"""Markov chains over cells, with and without the hour of day, with back-off to less specific chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtenv.forecasting.baselines import cell_shares, check_question
from dtenv.forecasting.cell_traces import CellTraces, History
from dtenv.scenario.forecaster import one_hot
from dtenv.validation import positive_number

if TYPE_CHECKING:
    from typing_extensions import Self

HOURS = 24


class Markov:
    """Markov chain of each user over cells, from counted transitions.

    From cell c, K(c, ·) = (N(c, ·) + κ B(c, ·)) / (n(c) + κ), where N are the user's transitions and n their sums. The
    back-off B stays with the user's share of stays, and otherwise moves to a cell by the user's shares, which back off
    to all users'. Later steps use powers of K. Unknown users get the chain of all users.

    Args:
        per_user: a chain per user, instead of one for all.
        strength: κ, weight of the back-off in transitions.
    """

    num_cells, num_users = 0, 0

    def __init__(self, per_user: bool = True, strength: float = 1.0):
        self.per_user, self.strength = per_user, positive_number("strength", strength)

    def fit(self, traces: CellTraces) -> Self:
        """Count transitions within stretches."""
        self.num_cells, self.num_users = traces.num_cells, traces.num_users
        self.step_seconds = traces.step_seconds
        shares = cell_shares(traces, self.per_user, self.strength)
        before = np.flatnonzero(traces.follows())
        leave, arrive = traces.cell[before], traces.cell[before + 1]
        hour, owner = hour_of(traces.time_s[before]), traces.user[before]
        stays = ((leave == arrive).sum() + 1.0) / (len(before) + 2.0)
        pooled = _Chain(leave, arrive, hour, shares[-1], stays, self.strength)
        chains = []
        for user in range(self.num_users if self.per_user else 0):
            own = owner == user
            same = (leave[own] == arrive[own]).sum()
            share = (same + self.strength * stays) / (own.sum() + self.strength)
            chains.append(_Chain(leave[own], arrive[own], hour[own], shares[user], share, self.strength))
        self.chains = [*chains, pooled]
        return self

    def kernel(self, user: int = -1, hour: int = -1) -> np.ndarray:
        """Transition probabilities (cells, cells) of a user, or of all users (-1); `hour` is used by `HourMarkov`."""
        check_question(self, History.of(np.zeros((1, 1)), np.array([user])), 1, self.num_cells, self.num_users)
        return self._step(self.chains[user if self.per_user else -1], np.eye(self.num_cells), hour)

    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Apply the kernel once per step; see `CellForecaster.predict_proba`."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        found = np.empty((len(history.cell), horizon, self.num_cells))
        chain = history.user if self.per_user else np.full(len(history.user), -1)
        for user in np.unique(chain):
            rows = np.flatnonzero(chain == user)
            p = one_hot(history.cell[rows, -1], self.num_cells)
            for h in range(horizon):
                # Only the first step leaves at a known time; later steps of records leave after the mean interval.
                hours = self._hours(history.time_s[rows, -1] + h * self.step_seconds)
                for hour in np.unique(hours):
                    p[hours == hour] = self._step(self.chains[user], p[hours == hour], hour)
                found[rows, h] = p
        return found

    def _hours(self, time_s: np.ndarray) -> np.ndarray:
        return np.full(len(time_s), -1)

    def _step(self, chain: _Chain, p: np.ndarray, hour: int) -> np.ndarray:
        return chain.step(p)


class HourMarkov(Markov):
    """Markov chain whose transitions also depend on the hour of day in which the step begins.

    Transitions of an hour back off to those of all hours, K: (N_hour + κ K) / (n_hour + κ). Equals `Markov` at unknown
    times.
    """

    def _hours(self, time_s: np.ndarray) -> np.ndarray:
        return hour_of(time_s)

    def _step(self, chain: _Chain, p: np.ndarray, hour: int) -> np.ndarray:
        return chain.step(p) if hour < 0 else chain.step_in(hour, p)


class _Chain:
    """Transitions between the visited cells, and their back-off."""

    def __init__(
        self, leave: np.ndarray, arrive: np.ndarray, hour: np.ndarray, share: np.ndarray, stays: float, strength: float
    ):
        self.places, local = np.unique(np.concatenate([leave, arrive]), return_inverse=True)
        self.pair = local[: len(leave)] * len(self.places) + local[len(leave) :]
        self.hour, self.share, self.stays, self.strength = hour, share, stays, strength
        self.counts = self._count(self.pair)

    def step(self, p: np.ndarray) -> np.ndarray:
        """Advance probabilities (n, cells) by a step."""
        weight = p / (self._sums(self.counts) + self.strength)
        away = (1.0 - self.stays) * weight.sum(axis=1, keepdims=True) * self.share
        found = self.strength * (self.stays * weight + away)
        found[:, self.places] += weight[:, self.places] @ self.counts
        return found

    def step_in(self, hour: int, p: np.ndarray) -> np.ndarray:
        """Advance probabilities by a step in an hour of the day."""
        counts = self._count(self.pair[self.hour == hour])
        weight = p / (self._sums(counts) + self.strength)
        found = self.strength * self.step(weight)
        found[:, self.places] += weight[:, self.places] @ counts
        return found

    def _count(self, pair: np.ndarray) -> np.ndarray:
        places = len(self.places)
        return np.bincount(pair, minlength=places * places).reshape(places, places).astype(np.float64)

    def _sums(self, counts: np.ndarray) -> np.ndarray:
        sums = np.zeros(len(self.share))
        sums[self.places] = counts.sum(axis=1)
        return sums


def hour_of(time_s: np.ndarray) -> np.ndarray:
    """Hour of day, 0..23, of seconds from a midnight; -1 for nan."""
    known = np.isfinite(time_s)
    return np.where(known, np.floor(np.where(known, time_s, 0.0) / 3600.0) % HOURS, -1).astype(np.int64)
