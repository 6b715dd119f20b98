"""Accuracy of federated training by three metrics, and its spread over clients."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from dtenv.fl.data.clients import Clients
from dtenv.fl.data.images import Images
from dtenv.fl.outcome import Outcome
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.local_sgd import draw_batches, train
from dtenv.fl.training.network import Perceptron, class_accuracy

METRICS = {
    "global": "the global network on the balanced test",
    "personalised-balanced": "every user's fine-tuned network on the balanced test",
    "personalised-own": "every user's fine-tuned network, labels weighted as in the user's own data",
}
"""Metrics by name, in the order of `Accuracy`; each is a mean over users."""


class Accuracy(NamedTuple):
    """Accuracies of a federation, (R,) or (R, K)."""

    whole: np.ndarray  # (R,) global
    balanced: np.ndarray  # (R, K) personalised-balanced
    own: np.ndarray  # (R, K) personalised-own

    def of(self, metric: str) -> np.ndarray:
        """Return a metric of METRICS, (R,)."""
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        return self[list(METRICS).index(metric)].reshape(len(self.whole), -1).mean(axis=1)


def evaluate(
    network: Perceptron,
    images: Images,
    clients: Clients,
    outcome: Outcome,
    recipe: Recipe,
    streams: Streams,
    *,
    test_size: int = 2000,
) -> Accuracy:
    """Return the accuracies of an outcome; users without own networks fine-tune the global one."""
    personal = outcome.personal
    if personal is None:
        personal = fine_tune(network, images, clients, outcome.weights, recipe, streams, frozen=outcome.frozen)
    return measure(network, images, clients, outcome.weights, personal, test_size=test_size)


def on_own_labels(
    network: Perceptron, images: Images, clients: Clients, outcome: Outcome, *, test_size: int = 2000
) -> np.ndarray:
    """Return the accuracy (R, K) of the global network (without one, each user's own) on each user's label mix."""
    if outcome.weights.shape[1] == 0:
        assert outcome.personal is not None
        return measure(network, images, clients, outcome.weights, outcome.personal, test_size=test_size).own
    by_label = class_accuracy(network, outcome.weights, *images.balanced_test(test_size)).numpy()
    return (by_label[:, None] * clients.counts / clients.sizes[..., None]).sum(axis=-1)


def fine_tune(
    network: Perceptron,
    images: Images,
    clients: Clients,
    weights: torch.Tensor,
    recipe: Recipe,
    streams: Streams,
    *,
    frozen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return users' own weights (R, K, P): the global ones (R, P) trained on the user's data (Zhou 2025, step 6)."""
    replicates, number = clients.counts.shape[:2]
    start = weights[:, None].expand(-1, number, -1)
    if recipe.fine_tune_epochs == 0:
        return start
    training = replace(recipe.local, epochs=recipe.fine_tune_epochs, steps=None)
    batches = draw_batches(streams.generators["batches"], clients.sizes, training)
    index, targets = clients.index.flatten(0, 1), clients.targets.flatten(0, 1)
    pruned = None if frozen is None else frozen[:, None].expand(-1, number, -1).flatten(0, 1)
    trained, _ = train(network, start.flatten(0, 1), images.x, targets, index, batches, training, frozen=pruned)
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
    """Return accuracies of global weights (R, P) and users' own (R, K, P) on about `test_size` balanced images.

    Without global weights (R, 0), the users' mean replaces their accuracy.
    """
    test = images.balanced_test(test_size)
    by_label = class_accuracy(network, personal.flatten(0, 1), *test).numpy().reshape(*personal.shape[:2], -1)
    balanced, share = by_label.mean(axis=-1), clients.counts / clients.sizes[..., None]
    has_global = weights.shape[1] > 0
    whole = class_accuracy(network, weights, *test).mean(dim=1).numpy() if has_global else balanced.mean(axis=1)
    return Accuracy(whole, balanced, (by_label * share).sum(axis=-1))


class Spread(NamedTuple):
    """Spread of the accuracies (R, K) of clients, each (R,)."""

    worst: np.ndarray  # mean of the worst 10 % of clients, at least one
    variance: np.ndarray


def spread(accuracy: np.ndarray) -> Spread:
    """Return the spread of accuracies (R, K)."""
    worst = np.sort(accuracy, axis=1)[:, : max(1, round(0.1 * accuracy.shape[1]))]
    return Spread(worst.mean(axis=1), accuracy.var(axis=1))
