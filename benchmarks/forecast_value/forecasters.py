"""Forecasters by name, with which the value of a forecast to DTMigration-v0 is measured: tables, oracles, networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.forecast_value.cases import HORIZON, LENGTH, Case
from dtenv.forecasting import CellForecaster, HourMarkov, Markov, MostFrequent
from dtenv.forecasting.coverage import Coverage
from dtenv.forecasting.oracles import AccessOracle, NoisyOracle, episode_key
from dtenv.forecasting.stations import CellForecast
from dtenv.scenario.forecaster import Foresight, StationForecaster, Unfolded, slots_ahead

NOISE = (0.1, 0.2, 0.5)
"""Chances that a noisy oracle errs."""

EPSILON = 8.0
"""What the private federation's broadcasts cost, at δ = 1e-5."""

TABLES: dict[str, Callable[[Case], CellForecaster]] = {
    "most frequent": lambda case: MostFrequent(per_user=case.known is not None),
    "Markov": lambda case: Markov(per_user=case.known is not None),
    "hour-Markov": lambda case: HourMarkov(per_user=case.known is not None),
}
"""Fitted to counts; where users are strangers, one table for all."""

ORACLES: dict[str, Callable[[Case], StationForecaster]] = {
    "none": lambda case: Foresight(),
    "constant velocity": lambda case: Coverage(case.scored),
    "oracle: position": lambda case: Coverage(case.scored, "oracle"),
    "oracle: station": lambda case: AccessOracle(),
    "oracle: station, channel": lambda case: Foresight(forecast=AccessOracle(), channel=True),
    "oracle: station, load": lambda case: Foresight(forecast=AccessOracle(), load=True),
    "oracle: all": lambda case: Foresight(forecast=AccessOracle(), channel=True, load=True),
    "oracle: channel, load": lambda case: Foresight(channel=True, load=True),
    **{f"noisy station, p = {p:g}": lambda case, p=p: NoisyOracle(p=p) for p in NOISE},
    "noisy station, p = 0.5, calibrated": lambda case: NoisyOracle(p=0.5, calibrated=True),
}
"""That learn nothing."""

NETWORKS: dict[str, tuple[str, ...]] = {
    "trs-pre": ("trs-pre",),
    "lstm": ("lstm",),
    "trs-pre-class": ("trs-pre-class",),
    "lstm-class": ("lstm-class",),
    "local": ("local only",),
    "federated": ("federated w", "federated v"),
    "private": (f"federated w, ε = {EPSILON:g}", f"federated v, ε = {EPSILON:g}"),
}
"""The models of dtenv.fl.forecast, and the forecasters that each gives when it is trained once."""


class Made(NamedTuple):
    """A forecaster of a case's stations."""

    name: str
    seed: int | None
    """of training; None where nothing is drawn"""
    forecaster: StationForecaster
    epsilon: tuple[float | None, float | None] = (None, None)
    """what its broadcasts and uploads cost each client"""


def table_or_oracle(case: Case, name: str) -> Made:
    """A forecaster of TABLES or ORACLES, fitted to the case's traces."""
    if name in ORACLES:
        return Made(name, None, Remembered(ORACLES[name](case)))
    return Made(name, None, Remembered(on_cells(case, TABLES[name](case).fit(case.traces))))


def networks(case: Case, model: str, seed: int, clients: int | None) -> Iterator[Made]:
    """The forecasters of a model of NETWORKS, trained on the case's traces.

    Args:
        case: the setting.
        model: its name.
        seed: of weights, batches and noise.
        clients: of a federation; None for the users.
    """
    from dtenv.fl.forecast.federation import Rounds  # torch takes seconds to import
    from dtenv.fl.forecast.roster import Recipe
    from dtenv.fl.forecast.training import Optimisation

    recipe = Recipe(
        length=LENGTH,
        horizon=HORIZON,
        width=16,
        central=Optimisation(),
        rounds=Rounds(clients=clients),
        federated_trunk="trs-pre",
        epsilons=(EPSILON,),
        delta=1e-5,
    )
    for trained in recipe.train(model, case.traces, seed):
        cost = trained.privacy
        costs = (None, None) if cost is None else (cost.of_broadcasts, cost.of_uploads)
        yield Made(trained.name, seed, Remembered(on_cells(case, trained.forecaster)), costs)


def on_cells(case: Case, forecaster: CellForecaster) -> CellForecast:
    """A fitted forecaster of cells as one of stations."""
    return CellForecast(forecaster, case.site_xy, history=case.history, length=LENGTH, known=case.known)


class Remembered:
    """A forecaster that is asked once for each episode and horizon: planners of all horizons play the same ones.

    Args:
        forecaster: who is asked; of a Foresight what it tells beside stations stands too.
        most: episodes that are kept.
    """

    def __init__(self, forecaster: StationForecaster, most: int = 400):
        self.forecaster, self.most = forecaster, most
        self._found: dict[tuple[int, int], np.ndarray] = {}

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """As `dtenv.forecasting.StationForecaster.stations`."""
        key = (episode_key(unfolded), horizon)
        if key not in self._found:
            if len(self._found) >= self.most:
                self._found.clear()
            self._found[key] = self.forecaster.stations(unfolded, horizon).astype(np.float32)
        return self._found[key]

    def told(self) -> StationForecaster:
        """Itself as a scenario takes it."""
        inner = self.forecaster
        if isinstance(inner, Foresight):
            return Foresight(forecast=self, channel=inner.channel, load=inner.load)
        return self


def accuracy(forecaster: StationForecaster, episodes: list[Unfolded], steps: tuple[int, ...]) -> dict[str, list[Any]]:
    """How often the likeliest station is the one that serves, and of moves alone, by step; None where none is told."""
    right, moved, moved_right, said = (np.zeros(len(steps)) for _ in range(4))
    count = 0
    for unfolded in episodes:
        chance = forecaster.stations(unfolded, HORIZON)[:-HORIZON, 0]
        truth = unfolded.access[slots_ahead(len(unfolded.access), HORIZON), 0][:-HORIZON]
        now, count = unfolded.access[:-HORIZON, 0], count + len(chance)
        for i, h in enumerate(steps):
            hit, away = chance[:, h - 1].argmax(axis=-1) == truth[:, h - 1], truth[:, h - 1] != now
            said[i] += chance[:, h - 1].any(axis=-1).sum()
            right[i] += hit.sum()
            moved[i] += away.sum()
            moved_right[i] += (hit & away).sum()
    shares = zip(
        right / count, np.divide(moved_right, moved, out=np.full(len(steps), np.nan), where=moved > 0), strict=True
    )
    told = [(a, m) if s > 0 else (math.nan, math.nan) for (a, m), s in zip(shares, said, strict=True)]
    names = ("accuracy", "accuracy_moves")
    return {name: [None if math.isnan(t[i]) else round(float(t[i]), 4) for t in told] for i, name in enumerate(names)}
