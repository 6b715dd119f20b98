"""Federated distillation: clients keep their networks and exchange logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import log_softmax, one_hot

from dtenv.fl.data.clients import Clients
from dtenv.fl.data.images import Images
from dtenv.fl.outcome import Outcome, Record
from dtenv.fl.parts.compression import FLOAT_BYTES
from dtenv.fl.parts.distillation import teachers
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.local_sgd import draw_batches, train
from dtenv.fl.training.network import Perceptron, class_accuracy


def soft_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy (M, B) of logits (M, B, classes) and soft targets (M, B, classes)."""
    return -(targets * log_softmax(logits, dim=-1)).sum(dim=-1)


def distil(
    network: Perceptron,
    images: Images,
    clients: Clients,
    recipe: Recipe,
    streams: Streams,
    *,
    test_size: int = 2000,
    tick: Callable[[], object] = lambda: None,
) -> Outcome:
    """Train as `dtenv.fl.federation.federate` does, without a global network; accuracy is the clients' mean.

    Raises Diverged as `federate` does.
    """
    assert recipe.distillation is not None
    replicates, population = clients.counts.shape[:2]
    test = images.balanced_test(test_size)
    initial = torch.stack([network.initial(rng) for rng in streams.generators["weights"]])
    own = initial[:, None].repeat(1, population, 1)
    counts = torch.from_numpy(clients.counts)
    labels = one_hot(clients.targets, images.classes).float()
    targets = labels
    speeds = recipe.clock.speeds(streams, population)
    sent = (FLOAT_BYTES * images.classes * (counts > 0).sum(dim=2)).double()  # (R, K)
    index = clients.index.flatten(0, 1)
    record, nowhere = Record(replicates), torch.empty(replicates, 0)
    for _ in range(recipe.rounds):
        batches = draw_batches(streams.generators["batches"], clients.sizes, recipe.local)
        trained, loss = train(
            network, own.flatten(0, 1), images.x, targets.flatten(0, 1), index, batches, recipe.local, loss=soft_loss
        )
        loss = loss.view(replicates, population)
        finite = torch.isfinite(loss).all(dim=1) & torch.isfinite(trained).view(replicates, -1).all(dim=1)
        record.check_finite(finite, streams.seeds, nowhere, float(sent.mean()), personal=own)
        own = trained.view(replicates, population, -1)
        logits = label_logits(network, images, clients, own)
        targets = recipe.distillation.targets(clients.targets, *teachers(logits, counts))
        samples = batches[1].flatten(1).sum(dim=1).view(replicates, population)
        sending = 8.0 * sent / recipe.clock.uplink_bps
        took = samples / speeds + sending
        record.add(
            accuracy=class_accuracy(network, trained, *test).mean(dim=1).view(replicates, population).mean(dim=1),
            loss=loss.mean(dim=1),
            seconds=took.amax(dim=1),
            client_bytes=sent.sum(dim=1),
            cloud_bytes=sent.sum(dim=1),
            busy=took.amax(dim=1),
            sending=sending.mean(dim=1),
        )
        tick()
    return record.outcome(nowhere, float(np.mean(sent.numpy())), personal=own)


@torch.no_grad()
def label_logits(network: Perceptron, images: Images, clients: Clients, own: torch.Tensor) -> torch.Tensor:
    """Return mean logits (R, K, classes, classes) of clients' networks (R, K, P) over their samples of each label."""
    found = []
    for weights, index, labels, sizes in zip(own, clients.index, clients.targets, clients.sizes, strict=True):
        given = torch.arange(index.shape[1]) < torch.from_numpy(sizes)[:, None]
        logits = network.logits(network.parts(weights), images.x[index])
        member = (one_hot(labels, images.classes) * given[..., None]).to(logits.dtype)
        found.append(member.transpose(1, 2) @ logits / member.sum(dim=1).clamp(min=1.0)[..., None])
    return torch.stack(found)
