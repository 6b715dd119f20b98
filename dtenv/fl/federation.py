"""Federated averaging over clients of controlled size and skew; what varies is a part of the recipe.

A round is: clients start from the server's weights, train, upload what changed (poisoned, clipped, compressed, as the
recipe says), and the server aggregates. Replicates (seeds, or distances φ with as much data) run as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from dtenv.fl.aggregation import Aggregation, Mean, Uploads
from dtenv.fl.client import LocalTraining, draw_batches, train
from dtenv.fl.clock import Clock
from dtenv.fl.compression import Compression, Dense
from dtenv.fl.images import Images
from dtenv.fl.network import Perceptron, class_accuracy
from dtenv.fl.skew import client_counts, deal
from dtenv.fl.streams import Streams
from dtenv.scenario.fields import count, number


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a federation trains."""

    rounds: int = 15
    local: LocalTraining = field(default_factory=LocalTraining)
    fine_tune_epochs: int = 3
    """Epochs of each user's own model after the last round (Zhou 2025, step 6)."""
    participation: float = 1.0
    """Share of the clients that take part in a round."""
    compression: Compression = field(default_factory=Dense)
    aggregation: Aggregation = field(default_factory=Mean)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        count(self, "rounds")
        if self.fine_tune_epochs != 0:
            count(self, "fine_tune_epochs")
        if not 0.0 < number("participation", self.participation) <= 1.0:
            raise ValueError(f"participation must lie in (0, 1], got {self.participation!r}")


@dataclass(frozen=True)
class Clients:
    """Who holds what: R replicates of K clients with at most D samples."""

    counts: np.ndarray  # (R, K, classes) samples of every label
    index: torch.Tensor  # (R, K, D) into the training images, padded with 0
    targets: torch.Tensor  # (R, K, D) labels

    @property
    def sizes(self) -> np.ndarray:
        """Samples (R, K)."""
        return self.counts.sum(axis=-1)


class Outcome(NamedTuple):
    """What a federation came to."""

    weights: torch.Tensor  # (R, P) global
    accuracy: np.ndarray  # (rounds, R) of the global network after every round, on the balanced test
    loss: np.ndarray  # (rounds, R) mean training loss of clients
    seconds: np.ndarray  # (rounds, R) simulated wall time at the end of every round
    upload_bytes: float  # a client and round
    diverged: np.ndarray  # (R,) replicates whose loss stopped being finite


class Diverged(FloatingPointError):
    """A loss stopped being finite; `outcome` holds the weights of the last round that was."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


def draw_clients(
    images: Images, skew: str, emds: Sequence[float], samples: int | Sequence[int], clients: int, streams: Streams
) -> Clients:
    """Clients of every replicate: replicate r has distance emds[r] by the construction `skew`.

    Raises:
        ValueError: as `dtenv.fl.skew.label_counts` and `deal`.
    """
    if len(emds) != len(streams.seeds):
        raise ValueError(f"emds must be one a seed, got {len(emds)} for {len(streams.seeds)} seeds")
    counts = np.stack([client_counts(skew, emd, samples, images.classes, clients) for emd in emds])
    dealt = [deal(images, row, rng) for row, rng in zip(counts, streams.generators["data"], strict=True)]
    index = torch.from_numpy(np.stack(dealt)).clamp(min=0)
    return Clients(counts, index, images.y[index])


def federate(
    network: Perceptron,
    images: Images,
    clients: Clients,
    recipe: Recipe,
    streams: Streams,
    *,
    test_size: int = 2000,
    tick: Callable[[], object] = lambda: None,
) -> Outcome:
    """Train the global weights of every replicate.

    Args:
        network: the network's shape.
        images: the data.
        clients: of `draw_clients`.
        recipe: how.
        streams: of the replicates' seeds.
        test_size: test images that every round is measured on.
        tick: called after every round.

    Raises:
        Diverged: a loss is no longer finite; it carries the outcome up to the round before.
    """
    replicates, number_of_clients = clients.counts.shape[:2]
    test = images.balanced_test(test_size)
    weights = torch.stack([network.initial(rng) for rng in streams.generators["weights"]])
    speeds = recipe.clock.speeds(streams, number_of_clients)
    taking_part = max(1, round(recipe.participation * number_of_clients))
    upload_bytes = recipe.compression.upload_bytes(network.size)
    kept_back: torch.Tensor | None = None  # of compression, (R, K, P)
    remembered: torch.Tensor | None = None  # of the server
    accuracy: list[np.ndarray] = []
    losses: list[np.ndarray] = []
    seconds: list[np.ndarray] = []
    rows = torch.arange(replicates)[:, None]
    for i in range(recipe.rounds):
        chosen = _choose(streams, number_of_clients, taking_part)
        sizes = np.take_along_axis(clients.sizes, chosen.numpy(), axis=1)
        batches = draw_batches(streams.generators["batches"], sizes, recipe.local)
        start = weights[:, None].expand(-1, taking_part, -1).flatten(0, 1)
        targets = clients.targets[rows, chosen].flatten(0, 1)
        trained, loss = train(
            network, start, images.x, targets, clients.index[rows, chosen].flatten(0, 1), batches, recipe.local
        )
        loss = loss.view(replicates, taking_part)
        update = (trained - start).view(replicates, taking_part, -1)
        finite = torch.isfinite(loss).all(dim=1) & torch.isfinite(update).flatten(1).all(dim=1)
        if not bool(finite.all()):
            outcome = _outcome(weights, accuracy, losses, seconds, upload_bytes, ~finite.numpy())
            seeds = [seed for seed, good in zip(streams.seeds, finite.tolist(), strict=True) if not good]
            raise Diverged(f"loss is no longer finite in round {i} of seeds {seeds}; lower learning_rate", outcome)
        memory = None if kept_back is None else kept_back[rows, chosen]
        sent, memory = recipe.compression.compress(update, memory)
        if memory is not None:
            kept_back = torch.zeros(replicates, number_of_clients, network.size) if kept_back is None else kept_back
            kept_back[rows, chosen] = memory
        held = torch.from_numpy(sizes / sizes.sum(axis=1, keepdims=True)).float()
        step, remembered = recipe.aggregation.combine(Uploads(sent, held, loss, chosen), remembered)
        weights = weights + step
        trained_on = batches[1].flatten(1).sum(dim=1).view(replicates, taking_part)
        took = recipe.clock.seconds(trained_on, speeds[rows, chosen], upload_bytes).amax(dim=1).numpy()
        seconds.append(took + (seconds[-1] if seconds else 0.0))
        accuracy.append(class_accuracy(network, weights, *test).mean(dim=1).numpy())
        losses.append((held * loss).sum(dim=1).numpy())
        tick()
    return _outcome(weights, accuracy, losses, seconds, upload_bytes, np.zeros(replicates, dtype=bool))


def _choose(streams: Streams, clients: int, taking_part: int) -> torch.Tensor:
    """Clients that take part, (R, taking_part), in order."""
    if taking_part == clients:
        return torch.arange(clients).expand(len(streams.seeds), -1)
    drawn = [np.sort(rng.permutation(clients)[:taking_part]) for rng in streams.generators["clients"]]
    return torch.from_numpy(np.stack(drawn))


def _outcome(
    weights: torch.Tensor,
    accuracy: list[np.ndarray],
    losses: list[np.ndarray],
    seconds: list[np.ndarray],
    upload_bytes: float,
    diverged: np.ndarray,
) -> Outcome:
    def stacked(rows: list[np.ndarray]) -> np.ndarray:
        return np.reshape(rows, (len(rows), len(weights)))

    return Outcome(weights, stacked(accuracy), stacked(losses), stacked(seconds), upload_bytes, diverged)
