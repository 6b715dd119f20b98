"""Centralised forecaster: one network trained on all users' traces."""

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
    """Draw a network from a generator, without changing torch's global one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        return Network(shape, num_cells)


def last_steps(history: History, horizon: int, shape: Shape) -> History:
    """Return the last X steps of a history; ValueError if it has fewer, or if `horizon` exceeds the trained one."""
    if horizon > shape.horizon:
        raise ValueError(f"horizon must be at most the {shape.horizon} steps that were trained for, got {horizon!r}")

    if history.cell.shape[1] < shape.length:
        raise ValueError(f"history must hold at least {shape.length} steps, got {history.cell.shape[1]}")
    return History(history.cell[:, -shape.length :], history.user, history.time_s[:, -shape.length :])


class NetworkForecaster:
    """`CellForecaster` with one network for all users, without their identities; `seed` is of weights and batches."""

    num_cells, num_users = 0, 0

    def __init__(self, shape: Shape, optimisation: Optimisation | None = None, seed: int = 0):
        self.shape, self.seed = shape, seed
        self.optimisation = Optimisation() if optimisation is None else optimisation

    def fit(self, traces: CellTraces) -> Self:
        """Train from new weights; ValueError if traces are too short, FloatingPointError if a loss is not finite."""
        self.channels, samples = samples_of(traces, self.shape.length, self.shape.horizon)
        rng = np.random.default_rng(self.seed)
        self.stack = Stack(new_network(self.shape, traces.num_cells, rng))
        adam = Adam(self.stack.initial()[None], self.optimisation.learning_rate)
        steps, batch = self.optimisation.steps, self.optimisation.batch
        for step in range(steps):
            rate = self.optimisation.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
            adam.optimizer.param_groups[0]["lr"] = rate
            adam.step(self.stack, samples, torch.from_numpy(rng.integers(len(samples.x), size=(1, batch))))
        self.weights = adam.weights.detach()[0]
        self.num_cells, self.num_users = traces.num_cells, traces.num_users
        return self

    @torch.no_grad()
    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Predict as `CellForecaster.predict_proba`; a network of coordinates is certain of the nearest site."""
        check_question(self, history, horizon, self.num_cells, self.num_users)
        history = last_steps(history, horizon, self.shape)
        output = self.stack.call(self.weights, *self.channels.of_history(history))
        return probabilities(self.stack.network, output, horizon, self.channels.site)
