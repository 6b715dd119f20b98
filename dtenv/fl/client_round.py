"""Client side of a round: from the received weights to the update."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from dtenv.fl.data.clients import Clients
from dtenv.fl.data.images import Images
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.dp_sgd import poisson_batches, train_privately
from dtenv.fl.training.local_sgd import draw_batches, image_loss, train
from dtenv.fl.training.network import Perceptron

BLOCK = 200
"""Samples per client in one forward pass of `own_loss`, to limit memory."""


class Trained(NamedTuple):
    """Results of n clients in each of R replicates."""

    update: torch.Tensor  # (R, n, P) weights after training minus before, with attack and client noise
    loss: torch.Tensor  # (R, n) mean over training, or before it if the aggregation uses that
    samples: torch.Tensor  # (R, n) samples trained on, over all epochs
    personal: torch.Tensor | None  # (R, n, P) clients' own weights, if any


def train_clients(
    network: Perceptron,
    images: Images,
    clients: Clients,
    recipe: Recipe,
    streams: Streams,
    start: torch.Tensor,  # (R, n, P) weights sent to the clients
    chosen: torch.Tensor,  # (R, n) participating clients, in ascending order
    *,
    attackers: torch.Tensor | None = None,  # (R, K) mask
    frozen: torch.Tensor | None = None,  # (R, P) mask of pruned weights
    personal: torch.Tensor | None = None,  # (R, n, P) clients' own weights before the round
) -> Trained:
    """Train the chosen clients of every replicate for one round."""
    replicates, n = chosen.shape
    rows = torch.arange(replicates)[:, None]
    sizes = np.take_along_axis(clients.sizes, chosen.numpy(), axis=1)
    index, honest = clients.index[rows, chosen].flatten(0, 1), clients.targets[rows, chosen]
    attacks = None if attackers is None else attackers[rows, chosen]
    given = honest
    if recipe.attack is not None and attacks is not None:
        given = recipe.attack.poison(honest, attacks, images.classes)
    targets, flat = given.flatten(0, 1), start.flatten(0, 1)
    pruned = None if frozen is None else frozen[:, None].expand(-1, n, -1).flatten(0, 1)
    rngs = streams.generators["batches"]
    if recipe.record_privacy is None:
        batches = draw_batches(rngs, sizes, recipe.local)
        trained, loss = train(network, flat, images.x, targets, index, batches, recipe.local, frozen=pruned)
    else:
        drawn = poisson_batches(rngs, sizes, recipe.local)
        trained, loss = train_privately(
            network, flat, images.x, targets, index, drawn, recipe.local, recipe.record_privacy, streams
        )
        batches = drawn[:2]
    own = None
    if recipe.personalisation is not None and personal is not None:
        anchor = recipe.personalisation.anchors(network, start, streams).flatten(0, 1)
        near = replace(recipe.local, proximal=recipe.personalisation.penalty)
        before, clean = personal.flatten(0, 1), honest.flatten(0, 1)
        own, _ = train(network, before, images.x, clean, index, batches, near, anchor=anchor, frozen=pruned)
        own = own.view(replicates, n, -1)
    if recipe.aggregation.wants_start_loss:
        loss = own_loss(network, flat, images.x, targets, index, torch.from_numpy(sizes).flatten())
    update = (trained - flat).view(replicates, n, -1)
    if recipe.attack is not None and attacks is not None:
        update = recipe.attack.tamper(update, attacks)
    if recipe.client_privacy is not None:
        update = recipe.client_privacy.at_client(update, streams)
    samples = batches[1].flatten(1).sum(dim=1).view(replicates, n)
    return Trained(update, loss.view(replicates, n), samples, own)


@torch.no_grad()
def own_loss(
    network: Perceptron,
    weights: torch.Tensor,
    x: torch.Tensor,
    targets: torch.Tensor,
    index: torch.Tensor,
    sizes: torch.Tensor,
) -> torch.Tensor:
    """Return the mean loss (M,) of weights (M, P) on each client's first `sizes` (M,) samples."""
    parts, total = network.parts(weights), torch.zeros(len(weights), dtype=weights.dtype)
    for block in torch.arange(index.shape[1]).split(BLOCK):
        losses = image_loss(network.logits(parts, x[index[:, block]]), targets[:, block])
        total += (losses * (block < sizes[:, None])).sum(dim=1)
    return total / sizes
