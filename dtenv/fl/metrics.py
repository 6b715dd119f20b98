"""How good federated training was, by three metrics that need not agree on what skew does."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from dtenv.fl.client import draw_batches, train
from dtenv.fl.federation import Clients, Recipe
from dtenv.fl.images import Images
from dtenv.fl.network import Perceptron, class_accuracy
from dtenv.fl.streams import Streams

METRICS = {
    "global": "the global network on the balanced test",
    "personalised-balanced": "every user's fine-tuned network on the balanced test",
    "personalised-own": "every user's fine-tuned network, labels weighted as in the user's own data",
}
"""Metrics by name, each a mean over users."""


class Accuracy(NamedTuple):
    """Accuracies of a federation, (R,) or (R, K)."""

    whole: np.ndarray  # (R,) global
    balanced: np.ndarray  # (R, K) personalised-balanced
    own: np.ndarray  # (R, K) personalised-own

    def of(self, metric: str) -> np.ndarray:
        """A metric of METRICS, (R,)."""
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        return (
            {"global": self.whole, "personalised-balanced": self.balanced, "personalised-own": self.own}[metric]
            .reshape(len(self.whole), -1)
            .mean(axis=1)
        )


def fine_tune(
    network: Perceptron, images: Images, clients: Clients, weights: torch.Tensor, recipe: Recipe, streams: Streams
) -> torch.Tensor:
    """Every user's own weights (R, K, P): the global ones (R, P) trained on the user's data (Zhou 2025, step 6)."""
    replicates, number = clients.counts.shape[:2]
    start = weights[:, None].expand(-1, number, -1)
    if recipe.fine_tune_epochs == 0:
        return start
    training = replace(recipe.local, epochs=recipe.fine_tune_epochs, steps=None)
    batches = draw_batches(streams.generators["batches"], clients.sizes, training)
    index, targets = clients.index.flatten(0, 1), clients.targets.flatten(0, 1)
    trained, _ = train(network, start.flatten(0, 1), images.x, targets, index, batches, training)
    return trained.view(replicates, number, -1)


def measure(
    network: Perceptron,
    images: Images,
    clients: Clients,
    weights: torch.Tensor,
    personal: torch.Tensor,
    *,
    test_size: int = 2000,
) -> Accuracy:
    """Accuracies of global weights (R, P) and of users' own (R, K, P), on a balanced test of about so many images."""
    test = images.balanced_test(test_size)
    whole = class_accuracy(network, weights, *test).mean(dim=1).numpy()
    by_label = class_accuracy(network, personal.flatten(0, 1), *test).numpy().reshape(*personal.shape[:2], -1)
    share = clients.counts / clients.sizes[..., None]
    return Accuracy(whole, by_label.mean(axis=-1), (by_label * share).sum(axis=-1))
