"""A network trained on all users' traces in one place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from dtenv.fl.forecast.channels import samples_of
from dtenv.fl.forecast.networks import Network, Shape, probabilities
from dtenv.fl.forecast.training import Adam, Optimisation, Stack
from dtenv.forecasting import CellTraces, History
from dtenv.forecasting.baselines import check_question

if TYPE_CHECKING:
    from typing_extensions import Self


def new_network(shape: Shape, num_cells: int, rng: np.random.Generator) -> Network:
    """A network with weights drawn by a generator, without touching torch's global one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        return Network(shape, num_cells)


def check_horizon(horizon: int, shape: Shape) -> None:
    """Refuse to predict further than a network was trained to."""
    if horizon > shape.horizon:
        raise ValueError(f"horizon must be at most the {shape.horizon} steps that were trained for, got {horizon!r}")


def check_length(history: History, shape: Shape) -> History:
    """The last X steps of a history, or ValueError where it has fewer (fill with -1)."""
    if history.cell.shape[1] < shape.length:
        raise ValueError(f"history must hold at least {shape.length} steps, got {history.cell.shape[1]}")
    return History(history.cell[:, -shape.length :], history.user, history.time_s[:, -shape.length :])


class NetworkForecaster:
    """A `CellForecaster` by one network for all users; who a user is, it is not told.

    Args:
        shape: which network.
        optimisation: how it is trained.
        seed: of weights and batches.
    """

    num_cells, num_users = 0, 0

    def __init__(self, shape: Shape, optimisation: Optimisation | None = None, seed: int = 0):
        self.shape, self.seed = shape, seed
        self.optimisation = Optimisation() if optimisation is None else optimisation

    def fit(self, traces: CellTraces) -> Self:
        """Train from new weights.

        Raises:
            ValueError: no stretch of the traces holds X + H steps.
            FloatingPointError: the loss is no finite number.
        """
        self.channels, samples = samples_of(traces, self.shape.length, self.shape.horizon)
        rng = np.random.default_rng(self.seed)
        self.stack = Stack(new_network(self.shape, traces.num_cells, rng))
        adam = Adam(self.stack.initial()[None], self.optimisation.learning_rate)
        steps, batch = self.optimisation.steps, self.optimisation.batch
        for step in range(steps):
            adam.optimizer.param_groups[0]["lr"] = (
                self.optimisation.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
            )
            adam.step(self.stack, samples, torch.from_numpy(rng.integers(len(samples.x), size=(1, batch))))
        self.weights = adam.weights.detach()[0]
        self.num_cells, self.num_users = traces.num_cells, traces.num_users
        return self

    @torch.no_grad()
    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """As `CellForecaster.predict_proba`; of a network of coordinates, certainty of the nearest site."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        check_horizon(horizon, self.shape)
        output = self.stack.call(self.weights, *self.channels.of_history(check_length(history, self.shape)))
        return probabilities(self.stack.network, output, horizon, self.channels.site)
