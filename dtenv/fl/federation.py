"""Federated averaging over clients of controlled size and skew, in the variants that a recipe describes.

In a round, clients start from the server's weights, train, and upload their change (poisoned, clipped, compressed by
the recipe); the server aggregates. Replicates (seeds, or distances φ with equal data) run as one batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from dtenv.fl.asynchronous import federate_asynchronously
from dtenv.fl.client_round import train_clients
from dtenv.fl.data.clients import Clients, draw_clients
from dtenv.fl.data.images import Images
from dtenv.fl.federated_distillation import distil
from dtenv.fl.outcome import Diverged, Outcome, Record
from dtenv.fl.parts.compression import FLOAT_BYTES
from dtenv.fl.recipe import Recipe
from dtenv.fl.server_round import aggregate
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron, class_accuracy

__all__ = ["Clients", "Diverged", "Outcome", "Recipe", "draw_clients", "federate"]


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

    Every round is tested on about `test_size` images and followed by a call of `tick`. Raises Diverged, which holds the
    outcome up to the round before, if a loss is no longer finite, and ValueError if the number of groups does not
    divide the number of clients.
    """
    if recipe.asynchrony is not None:
        return federate_asynchronously(network, images, clients, recipe, streams, test_size=test_size, tick=tick)
    if recipe.distillation is not None:
        return distil(network, images, clients, recipe, streams, test_size=test_size, tick=tick)
    replicates, population = clients.counts.shape[:2]
    groups = 1 if recipe.dispersed is None else recipe.dispersed.groups
    if population % groups:
        raise ValueError(f"groups must divide the {population} clients, got {groups}")
    test = images.balanced_test(test_size)
    weights = torch.stack([network.initial(rng) for rng in streams.generators["weights"]])
    edges = weights[:, None].expand(-1, groups, -1)  # (R, G, P) at the edge servers
    speeds = recipe.clock.speeds(streams, population)
    attackers = None if recipe.attack is None else recipe.attack.attackers(streams, population)
    own = None if recipe.personalisation is None else weights[:, None].repeat(1, population, 1)  # (R, K, P)
    taking_part = max(1, round(recipe.participation * population))
    kept_back: torch.Tensor | None = None  # (R, K, *) residuals of compression
    remembered: torch.Tensor | None = None  # state of the aggregation rule
    frozen: torch.Tensor | None = None  # (R, P) mask
    unpruned: torch.Tensor | None = None  # (R, unpruned weights) their indices
    sent_bytes, compute = recipe.compression.upload_bytes(network.size), 1.0
    record, rows = Record(replicates), torch.arange(replicates)[:, None]
    sent_so_far: list[float] = []
    for i in range(recipe.rounds):
        chosen = _choose(streams, population, taking_part)
        group = chosen * groups // population
        trained = train_clients(
            network,
            images,
            clients,
            recipe,
            streams,
            edges[rows, group],
            chosen,
            attackers=attackers,
            frozen=frozen,
            personal=None if own is None else own[rows, chosen],
        )
        memory = None if kept_back is None else kept_back[rows, chosen]
        sent, memory = _compressed(recipe, trained.update, memory, unpruned)
        sizes = torch.from_numpy(np.take_along_axis(clients.sizes, chosen.numpy(), axis=1)).float()
        at_cloud = recipe.dispersed is None or recipe.dispersed.to_cloud(i, recipe.rounds)
        uploads = sent, trained.loss, chosen, sizes
        served = aggregate(recipe, streams, *uploads, population, edges, remembered, ends_at_cloud=at_cloud)
        finite = torch.isfinite(trained.loss).all(dim=1) & torch.isfinite(served.step).flatten(1).all(dim=1)
        if trained.personal is not None:
            finite &= torch.isfinite(trained.personal).flatten(1).all(dim=1)
        others = {"personal": own, "frozen": frozen, "attackers": attackers}
        record.check_finite(finite, streams.seeds, weights, sent_bytes, **others)
        edges, weights, remembered = served.edges, served.weights, served.memory
        if memory is not None:
            kept_back = torch.zeros(replicates, population, memory.shape[-1]) if kept_back is None else kept_back
            kept_back[rows, chosen] = memory
        if own is not None and trained.personal is not None:
            own[rows, chosen] = trained.personal
        took = recipe.clock.seconds(trained.samples * compute, speeds[rows, chosen], sent_bytes)
        to_cloud = sent_bytes * taking_part if groups == 1 else FLOAT_BYTES * network.size * groups * at_cloud
        sent_so_far.append(sent_bytes)
        record.add(
            accuracy=class_accuracy(network, weights, *test).mean(dim=1),
            loss=((sizes / sizes.sum(dim=1, keepdim=True)) * trained.loss).sum(dim=1),
            seconds=took.amax(dim=1),
            client_bytes=sent_bytes * taking_part,
            cloud_bytes=to_cloud,
            busy=took.amax(dim=1),
            sending=recipe.clock.sending(sent_bytes),
        )
        if recipe.pruning is not None and i + 1 == recipe.pruning.after:
            frozen = recipe.pruning.mask(network, weights)
            unpruned = torch.nonzero(~frozen)[:, 1].view(replicates, -1)
            weights = weights.masked_fill(frozen, 0.0)
            edges = edges.masked_fill(frozen[:, None], 0.0)
            own = None if own is None else own.masked_fill(frozen[:, None], 0.0)
            kept_back = None  # residuals of pruned entries are dropped
            sent_bytes, compute = recipe.compression.upload_bytes(unpruned.shape[1]), recipe.pruning.compute(network)
        tick()
    return record.outcome(weights, float(np.mean(sent_so_far)), personal=own, frozen=frozen, attackers=attackers)


def _choose(streams: Streams, clients: int, taking_part: int) -> torch.Tensor:
    """Return the participating clients (R, taking_part), in ascending order."""
    if taking_part == clients:
        return torch.arange(clients).expand(len(streams.seeds), -1)
    drawn = [np.sort(rng.permutation(clients)[:taking_part]) for rng in streams.generators["clients"]]
    return torch.from_numpy(np.stack(drawn))


def _compressed(
    recipe: Recipe, update: torch.Tensor, memory: torch.Tensor | None, unpruned: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return decoded updates (R, n, P), of unpruned weights only, and the new residuals."""
    if unpruned is None:
        return recipe.compression.compress(update, memory)
    places = unpruned[:, None].expand(-1, update.shape[1], -1)
    sent, memory = recipe.compression.compress(update.gather(2, places), memory)
    return torch.zeros_like(update).scatter_(2, places, sent), memory
