"""Models of the table by name, and the training of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from dtenv.fl.forecast.central import NetworkForecaster
from dtenv.fl.forecast.federation import FederatedRounds, Federation, Privacy, noise_for
from dtenv.fl.forecast.networks import Shape
from dtenv.fl.forecast.training import Optimisation
from dtenv.fl.forecast.trunks import TRUNKS
from dtenv.forecasting import CellForecaster, CellTraces, HourMarkov, Markov, MostFrequent, Persistence

FREE: dict[str, Callable[[], CellForecaster]] = {
    "persistence": Persistence,
    "most-frequent": MostFrequent,
    "markov": Markov,
    "markov-pooled": lambda: Markov(per_user=False),
    "hour-markov": HourMarkov,
    "hour-markov-pooled": lambda: HourMarkov(per_user=False),
}
"""Baselines without training cost, in every table."""

CENTRAL = (*TRUNKS, *(f"{trunk}-class" for trunk in TRUNKS))
FEDERATED = ("local", "federated", "garbage", "private")
MODELS = (*CENTRAL, *FEDERATED)
DEFAULT = (*TRUNKS, "trs-pre-class", "lstm-class", *FEDERATED)


class TrainedForecaster(NamedTuple):
    """Trained forecaster, with the privacy and size of its noise, if any."""

    name: str
    forecaster: CellForecaster
    privacy: Privacy | None = None
    noise_over_clip: float = 0.0
    """expected norm of a round's noise on the average, over the clipping norm C"""


@dataclass(frozen=True, kw_only=True)
class ForecastRecipe:
    """Training settings of all models of a table."""

    length: int
    horizon: int
    width: int
    central: Optimisation
    rounds: FederatedRounds
    federated_trunk: str
    epsilons: tuple[float, ...]
    delta: float

    def rows_of(self, model: str) -> list[str]:
        """Return the names of a model's rows."""
        if model == "federated":
            return ["federated w", "federated v"]
        if model == "private":
            return [f"federated {which}, ε = {eps:g}" for eps in self.epsilons for which in "wv"]
        return [{"local": "local only", "garbage": "federated v, garbage W"}.get(model, model)]

    def train(self, model: str, traces: CellTraces, seed: int) -> Iterator[TrainedForecaster]:
        """Yield a model's forecasters, trained on traces with a seed; raises as their `fit` does."""
        names = self.rows_of(model)
        name = names[0]
        if model in FREE:
            yield TrainedForecaster(name, FREE[model]().fit(traces))
        elif model in CENTRAL:
            shape = self._shape(model.removesuffix("-class"), model.endswith("-class"))
            yield TrainedForecaster(name, NetworkForecaster(shape, self.central, seed).fit(traces))
        elif model == "private":
            rows = iter(names)
            users = traces.num_users if self.rounds.clients is None else self.rounds.clients
            for target in self.epsilons:
                upload, download = noise_for(target, self.rounds.rounds, users, self.delta)
                rounds = replace(self.rounds, upload_noise=upload, download_noise=download)
                cost, trained = rounds.cost(users, self.delta), self._federation(seed, rounds).fit(traces)
                for which in "wv":
                    yield TrainedForecaster(next(rows), trained.model(which), cost, trained.noise_over_clip())
        elif model == "federated":
            trained = self._federation(seed, self.rounds).fit(traces)
            for which, own in zip("wv", names, strict=True):
                yield TrainedForecaster(own, trained.model(which))
        else:
            rounds = replace(self.rounds, penalty=0.0) if model == "local" else self.rounds
            trained = self._federation(seed, rounds, garbage=model == "garbage").fit(traces, shared=False)
            yield TrainedForecaster(name, trained.model("v"))

    def _shape(self, trunk: str, classify: bool) -> Shape:
        return Shape(trunk=trunk, classify=classify, length=self.length, horizon=self.horizon, width=self.width)

    def _federation(self, seed: int, rounds: FederatedRounds, garbage: bool = False) -> Federation:
        return Federation(self._shape(self.federated_trunk, True), rounds, seed, garbage=garbage)
