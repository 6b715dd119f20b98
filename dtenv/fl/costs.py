"""Costs of a recipe: bytes, computation and privacy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.fl.outcome import Outcome
from dtenv.fl.recipe import Recipe
from dtenv.fl.training.network import Perceptron

DELTA = 1e-5
"""δ of every reported ε."""


class Costs(NamedTuple):
    """Costs of a recipe."""

    upload_bytes: float
    """Mean per client and round."""
    compute: float
    """Multiplications relative to plain averaging with the same rounds and local training."""
    epsilon: float | None
    """At δ = DELTA, over all rounds, for the client with the least data; None without noise."""
    protects: str
    """Unit that ε protects: "client", "sample" or "" (nothing)."""


def costs(recipe: Recipe, network: Perceptron, outcome: Outcome, sizes: np.ndarray) -> Costs:
    """Costs of a recipe whose training gave `outcome`, for clients of `sizes` samples (R, K)."""
    compute = recipe.participation * (1.0 if recipe.personalisation is None else 2.0)
    if recipe.aggregation.wants_start_loss and recipe.local.steps is None:
        compute += 1.0 / (3.0 * recipe.local.epochs)  # a forward pass is a third of a step's work
    if recipe.pruning is not None:
        before = min(recipe.pruning.after, recipe.rounds) / recipe.rounds
        compute *= before + (1.0 - before) * recipe.pruning.compute(network)
    if recipe.asynchrony is not None and outcome.client_bytes is not None and len(outcome.client_bytes):
        uploads = float(outcome.client_bytes[-1].mean()) / outcome.upload_bytes
        compute *= uploads / (len(outcome.client_bytes) * sizes.shape[1])
    epsilon, protects = None, ""
    releases = recipe.rounds if outcome.most_uploads is None else outcome.most_uploads
    if recipe.client_privacy is not None and recipe.client_privacy.noise_multiplier > 0.0:
        epsilon, protects = recipe.client_privacy.epsilon(releases, DELTA), "client"
    elif recipe.record_privacy is not None and recipe.record_privacy.noise_multiplier > 0.0:
        epsilon = max(
            recipe.record_privacy.epsilon(int(size), recipe.local, releases, DELTA) for size in np.unique(sizes)
        )
        protects = "sample"
    return Costs(outcome.upload_bytes, compute, epsilon, protects)
