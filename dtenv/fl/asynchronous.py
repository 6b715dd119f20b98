"""Asynchronous federated averaging: an event simulation of clients with different speeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from dtenv.fl.client_round import train_clients
from dtenv.fl.data.clients import Clients
from dtenv.fl.data.images import Images
from dtenv.fl.outcome import Outcome, Record
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron, class_accuracy


def federate_asynchronously(
    network: Perceptron,
    images: Images,
    clients: Clients,
    recipe: Recipe,
    streams: Streams,
    *,
    test_size: int = 2000,
    tick: Callable[[], object] = lambda: None,
) -> Outcome:
    """Train as `dtenv.fl.federation.federate` does, asynchronously, for the simulated time of its synchronous rounds.

    A round of the outcome ends when the synchronous round would, so that row i of both outcomes is the same instant; an
    update that arrives at that instant counts. Raises Diverged as `federate` does.
    """
    assert recipe.asynchrony is not None
    replicates, population = clients.counts.shape[:2]
    test = images.balanced_test(test_size)
    weights = torch.stack([network.initial(rng) for rng in streams.generators["weights"]])
    attackers = None if recipe.attack is None else recipe.attack.attackers(streams, population)
    sent_bytes = recipe.compression.upload_bytes(network.size)
    speeds = recipe.clock.speeds(streams, population)
    samples = torch.from_numpy(_samples(clients.sizes, recipe))
    took = recipe.clock.seconds(samples, speeds, sent_bytes).double()  # (R, K) of every update of a client
    a_round = took.amax(dim=1)
    started = weights[:, None].repeat(1, population, 1)  # (R, K, P) weights that each client started from
    version, since = torch.zeros(replicates), torch.zeros(replicates, population)
    done = took.clone()
    share = torch.from_numpy(clients.sizes / clients.sizes.sum(axis=1, keepdims=True) * population).float()
    buffer, waiting = torch.zeros_like(weights), torch.zeros(replicates)
    kept_back: torch.Tensor | None = None
    times = torch.zeros(replicates, population)  # (R, K) uploads of each client
    record = Record(replicates)
    for i in range(recipe.rounds):
        until = a_round * (i + 1) * (1.0 + 1e-9)
        lost, uploads = torch.zeros(replicates), torch.zeros(replicates)
        while bool((done.amin(dim=1) <= until).any()):
            rows = torch.nonzero(done.amin(dim=1) <= until)[:, 0]
            who = done[rows].argmin(dim=1)
            picked = rows.tolist()
            trained = train_clients(
                network,
                images,
                clients.only(picked),
                recipe,
                streams.only(picked),
                started[rows, who][:, None],
                who[:, None],
                attackers=None if attackers is None else attackers[rows],
            )
            memory = None if kept_back is None else kept_back[rows, who][:, None]
            sent, memory = recipe.compression.compress(trained.update, memory)
            if memory is not None:
                kept_back = torch.zeros(replicates, population, memory.shape[-1]) if kept_back is None else kept_back
                kept_back[rows, who] = memory[:, 0]
            finite = torch.ones(replicates, dtype=torch.bool)
            finite[rows] = torch.isfinite(trained.loss[:, 0]) & torch.isfinite(sent).flatten(1).all(dim=1)
            record.check_finite(finite, streams.seeds, weights, sent_bytes, attackers=attackers)
            counts = share[rows, who] * recipe.asynchrony.discount(version[rows] - since[rows, who])
            buffer[rows] += counts[:, None] * sent[:, 0]
            waiting[rows] += 1
            full = waiting >= recipe.asynchrony.buffer
            weights[full] += recipe.asynchrony.mixing / recipe.asynchrony.buffer * buffer[full]
            version[full] += 1
            buffer[full], waiting[full] = 0.0, 0.0
            started[rows, who], since[rows, who] = weights[rows], version[rows]
            done[rows, who] += took[rows, who]
            lost[rows] += trained.loss[:, 0]
            uploads[rows] += 1
            times[rows, who] += 1
        record.add(
            accuracy=class_accuracy(network, weights, *test).mean(dim=1),
            loss=lost / uploads.clamp(min=1.0),
            seconds=a_round,
            client_bytes=sent_bytes * uploads,
            cloud_bytes=sent_bytes * uploads,
            busy=1.0,
            sending=(recipe.clock.sending(sent_bytes) / took).mean(dim=1),
        )
        tick()
    return record.outcome(weights, sent_bytes, attackers=attackers)._replace(most_uploads=int(times.max()))


def _samples(sizes: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return the samples (R, K) that clients train on per update, over all epochs; the mean for random batches."""
    if recipe.local.steps is not None:
        batches = -(-sizes // recipe.local.batch)
        epochs, left = np.divmod(recipe.local.steps, batches)
        return epochs * sizes + np.minimum(left * recipe.local.batch, sizes)
    return recipe.local.epochs * sizes
