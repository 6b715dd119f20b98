"""Forecasters of the forecast-value benchmark by name: tables, oracles, networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.forecast_value.cases import HORIZON, LENGTH, Case
from dtenv.forecasting import CellForecaster, HourMarkov, Markov, MostFrequent
from dtenv.forecasting.coverage import Coverage
from dtenv.forecasting.oracles import AccessOracle, NoisyOracle, episode_key
from dtenv.forecasting.stations import CellForecast
from dtenv.scenario.forecaster import ExogenousEpisode, Foresight, StationForecaster, slots_ahead

NOISE = (0.1, 0.2, 0.5)
"""Error probabilities of noisy oracles."""

EPSILON = 8.0
"""Privacy cost of the private federation's broadcasts, at δ = 1e-5."""

TABLES: dict[str, Callable[[Case], CellForecaster]] = {
    "most frequent": lambda case: MostFrequent(per_user=case.known is not None),
    "Markov": lambda case: Markov(per_user=case.known is not None),
    "hour-Markov": lambda case: HourMarkov(per_user=case.known is not None),
}
"""Forecasters fitted to counts, with a table per user where users are known, otherwise one for all."""

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
"""Forecasters that learn nothing."""

NETWORKS: dict[str, tuple[str, ...]] = {
    "trs-pre": ("trs-pre",),
    "lstm": ("lstm",),
    "trs-pre-class": ("trs-pre-class",),
    "lstm-class": ("lstm-class",),
    "local": ("local only",),
    "federated": ("federated w", "federated v"),
    "private": (f"federated w, ε = {EPSILON:g}", f"federated v, ε = {EPSILON:g}"),
}
"""Forecasters that one training of each model of dtenv.fl.forecast gives."""


class Made(NamedTuple):
    """A forecaster of a case's stations."""

    name: str
    seed: int | None
    """training seed; None without randomness"""
    forecaster: CachedForecaster
    epsilon: tuple[float | None, float | None] = (None, None)
    """privacy cost of its broadcasts and of its uploads, for each client"""


def table_or_oracle(case: Case, name: str) -> Made:
    """A forecaster of TABLES or ORACLES, fitted to the case's traces."""
    if name in ORACLES:
        return Made(name, None, CachedForecaster(ORACLES[name](case)))
    return Made(name, None, CachedForecaster(on_cells(case, TABLES[name](case).fit(case.traces))))


def networks(case: Case, model: str, seed: int, clients: int | None) -> Iterator[Made]:
    """Train a model of NETWORKS on the case's traces and yield its forecasters.

    `seed` is of weights, batches and noise; `clients` is their number in a federation, None for one per user.
    """
    from dtenv.fl.forecast.federation import FederatedRounds  # torch takes seconds to import
    from dtenv.fl.forecast.roster import ForecastRecipe
    from dtenv.fl.forecast.training import Optimisation

    recipe = ForecastRecipe(
        length=LENGTH,
        horizon=HORIZON,
        width=16,
        central=Optimisation(),
        rounds=FederatedRounds(clients=clients),
        federated_trunk="trs-pre",
        epsilons=(EPSILON,),
        delta=1e-5,
    )
    for trained in recipe.train(model, case.traces, seed):
        cost = trained.privacy
        costs = (None, None) if cost is None else (cost.of_broadcasts, cost.of_uploads)
        yield Made(trained.name, seed, CachedForecaster(on_cells(case, trained.forecaster)), costs)


def on_cells(case: Case, forecaster: CellForecaster) -> CellForecast:
    """A fitted forecaster of cells as a forecaster of stations."""
    return CellForecast(forecaster, case.site_xy, history=case.history, length=LENGTH, known=case.known)


class CachedForecaster:
    """Cache of a forecaster's stations by episode and horizon, since all planners play the same episodes.

    Args:
        forecaster: the forecaster to cache; a Foresight keeps its other forecasts.
        most: number of entries at which the cache is emptied.
    """

    def __init__(self, forecaster: StationForecaster, most: int = 400):
        self.forecaster, self.most = forecaster, most
        self._found: dict[tuple[int, int], np.ndarray] = {}

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """As `dtenv.forecasting.StationForecaster.stations`."""
        key = (episode_key(unfolded), horizon)
        if key not in self._found:
            if len(self._found) >= self.most:
                self._found.clear()
            self._found[key] = self.forecaster.stations(unfolded, horizon).astype(np.float32)
        return self._found[key]

    def served(self) -> StationForecaster:
        """This forecaster, as the value of a scenario's field `forecaster`."""
        inner = self.forecaster
        if isinstance(inner, Foresight):
            return Foresight(forecast=self, channel=inner.channel, load=inner.load)
        return self


def accuracy(
    forecaster: StationForecaster, episodes: list[ExogenousEpisode], steps: tuple[int, ...]
) -> dict[str, list[Any]]:
    """Share of slots in which the likeliest station serves, of all and of moves, by step; None without a forecast."""
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

    def shares(hits: np.ndarray, whole: np.ndarray) -> list[float | None]:
        return [round(float(h / n), 4) if n > 0 and s > 0 else None for h, n, s in zip(hits, whole, said, strict=True)]

    return {"accuracy": shares(right, np.full(len(steps), count)), "accuracy_moves": shares(moved_right, moved)}
