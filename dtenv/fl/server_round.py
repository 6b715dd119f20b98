"""A round as the servers see it: from decoded updates to new weights at the edge and in the cloud."""

from __future__ import annotations

from typing import NamedTuple

import torch

from dtenv.fl.parts.aggregation import Uploads
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams


class Served(NamedTuple):
    """What G edge servers, and the cloud above them, make of a round in each of R replicates."""

    step: torch.Tensor  # (R, G, P) what each edge server adds to its weights, noise included
    edges: torch.Tensor  # (R, G, P) weights that clients are sent next
    weights: torch.Tensor  # (R, P) mean of the edge servers' by their clients' samples
    memory: torch.Tensor | None  # of the aggregation


def aggregate(
    recipe: Recipe,
    streams: Streams,
    update: torch.Tensor,
    loss: torch.Tensor,
    chosen: torch.Tensor,
    sizes: torch.Tensor,
    population: int,
    edges: torch.Tensor,
    memory: torch.Tensor | None,
    *,
    ends_at_cloud: bool,
) -> Served:
    """Aggregate a round's updates at each edge server, and all servers' weights in the cloud.

    Args:
        recipe: how.
        streams: of the R replicates; noise for privacy is drawn from them.
        update: what was decoded of the clients' uploads (R, n, P), by edge server.
        loss: what clients report (R, n).
        chosen: who takes part (R, n), in rising order.
        sizes: samples of these clients (R, n), float.
        population: K, all clients there are.
        edges: weights of the edge servers before the round (R, G, P).
        memory: of the aggregation, after the round before.
        ends_at_cloud: whether edge servers go on with the cloud's weights.
    """
    replicates, groups = edges.shape[:2]
    servers, members = replicates * groups, population // groups
    if recipe.client_privacy is not None:
        update = recipe.client_privacy.received(update)
    by_server = sizes.view(servers, -1)
    weight = by_server / by_server.sum(dim=1, keepdim=True)
    uploads = Uploads(
        update.view(servers, by_server.shape[1], -1),
        weight,
        loss.reshape(servers, -1),
        (chosen % members).view(servers, -1),
        members,
    )
    step, memory = recipe.aggregation.combine(uploads, memory)
    step = step.view(replicates, groups, -1)
    if recipe.client_privacy is not None:
        step = recipe.client_privacy.at_server(step, weight.view(replicates, groups, -1), streams)
    edges = edges + step
    held = by_server.view(replicates, groups, -1).sum(dim=2)
    weights = torch.einsum("rg,rgp->rp", held / held.sum(dim=1, keepdim=True), edges)
    return Served(step, weights[:, None].expand(-1, groups, -1) if ends_at_cloud else edges, weights, memory)
