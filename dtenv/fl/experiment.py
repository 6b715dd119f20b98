"""One recipe on several seeds: the rows of tables. Seeds that diverge do not affect the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtenv.fl.costs import costs
from dtenv.fl.data.clients import Clients, draw_clients
from dtenv.fl.data.images import Images
from dtenv.fl.data.skew import check_supply, client_counts
from dtenv.fl.federation import federate
from dtenv.fl.metrics import METRICS, evaluate, on_own_labels, spread
from dtenv.fl.outcome import Diverged, Outcome
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron
from dtenv.validation import at_least, number, positive_integer

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Data of the clients, and the network."""

    skew: str = "missing"
    """construction of the label skew"""
    emd: float = 0.6
    """earth mover's distance of every client's labels to the balanced mix"""
    samples: int = 600
    """D, mean number of samples of a client"""
    unequal: float = 1.0
    """samples of the largest client over those of the smallest, with geometric steps in between"""
    clients: int = 10
    """number of clients"""
    hidden: tuple[int, ...] = (64,)
    """widths of the network's hidden layers"""
    test_size: int = 2000
    """number of test images, balanced over labels"""

    def __post_init__(self) -> None:
        positive_integer(self, "samples", "clients", "test_size")
        number("emd", self.emd)
        at_least(self, 1.0, "unequal")

    def sizes(self, classes: int) -> list[int]:
        """Return the samples of every client, as multiples of `classes` if unequal, so that distances can be exact."""
        if self.unequal == 1.0:
            return [self.samples] * self.clients
        grown = np.geomspace(1.0, self.unequal, self.clients)
        return [max(1, round(size / classes)) * classes for size in grown / grown.mean() * self.samples]

    def check(self, images: Images) -> None:
        """Raise ValueError if the images do not suffice for the clients or no counts match `emd`."""
        counts = client_counts(self.skew, self.emd, self.sizes(images.classes), images.classes, self.clients)
        check_supply(images, counts, f"{self.clients} clients of samples {self.samples!r}")

    def network(self, images: Images) -> Perceptron:
        """Return the network for these images."""
        return Perceptron(inputs=images.pixels, classes=images.classes, hidden=self.hidden)

    def draw(self, images: Images, streams: Streams) -> Clients:
        """Draw the clients of every replicate."""
        emds = [self.emd] * len(streams.seeds)
        return draw_clients(images, self.skew, emds, self.sizes(images.classes), self.clients, streams)


def run_seeds(
    images: Images,
    setting: Setting,
    recipe: Recipe,
    seeds: tuple[int, ...],
    *,
    tick: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Return one row of accuracies and costs per seed; a seed that diverges has the row of its last finite round."""
    network, rows, left = setting.network(images), [], tuple(seeds)
    while left:
        streams, began = Streams.of(left), time.perf_counter()
        clients, lost = setting.draw(images, streams), np.zeros(len(left), dtype=bool)
        try:
            outcome = federate(network, images, clients, recipe, streams, test_size=setting.test_size, tick=tick)
        except Diverged as error:
            outcome, lost = error.outcome, error.outcome.diverged
        made = _rows(images, setting, clients, outcome, recipe, streams)
        for row, gone in zip(made, lost, strict=True):
            row |= {"diverged": bool(gone), "wall_s": (time.perf_counter() - began) / len(left)}
        rows += [row for row, gone in zip(made, lost, strict=True) if gone or not lost.any()]
        left = tuple(seed for seed, gone in zip(left, lost, strict=True) if lost.any() and not gone)
    return sorted(rows, key=lambda row: seeds.index(row["seed"]))


def _rows(
    images: Images, setting: Setting, clients: Clients, outcome: Outcome, recipe: Recipe, streams: Streams
) -> list[Row]:
    network = setting.network(images)
    found = evaluate(network, images, clients, outcome, recipe, streams, test_size=setting.test_size)
    own = on_own_labels(network, images, clients, outcome, test_size=setting.test_size)
    unequal, cost = spread(own), costs(recipe, network, outcome, clients.sizes)
    rounds = len(outcome.accuracy)
    assert outcome.client_bytes is not None and outcome.cloud_bytes is not None and outcome.communication is not None
    return [
        {
            "seed": seed,
            **{metric: float(found.of(metric)[r]) for metric in METRICS},
            "worst": float(unequal.worst[r]),
            "variance": float(unequal.variance[r]),
            "accuracy": [round(float(value), 5) for value in outcome.accuracy[:, r]],
            "seconds": [round(float(value), 4) for value in outcome.seconds[:, r]],
            "client_bytes": float(outcome.client_bytes[-1, r]) if rounds else 0.0,
            "cloud_bytes": float(outcome.cloud_bytes[-1, r]) if rounds else 0.0,
            "communication": float(outcome.communication[r]),
            **cost._asdict(),
        }
        for r, seed in enumerate(streams.seeds)
    ]
