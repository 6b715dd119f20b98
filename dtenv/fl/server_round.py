"""Server side of a round: from decoded updates to new weights at the edge servers and in the cloud."""

from __future__ import annotations

from typing import NamedTuple

import torch

from dtenv.fl.parts.aggregation import Uploads
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams


class Served(NamedTuple):
    """Results of G edge servers and the cloud in each of R replicates."""

    step: torch.Tensor  # (R, G, P) change of each edge server's weights, with noise
    edges: torch.Tensor  # (R, G, P) weights for the next round
    weights: torch.Tensor  # (R, P) mean of the edge servers' weights, by samples
    memory: torch.Tensor | None  # state of the aggregation rule


def aggregate(
    recipe: Recipe,
    streams: Streams,
    update: torch.Tensor,  # (R, n, P) decoded uploads, sorted by edge server
    loss: torch.Tensor,  # (R, n) reported by the clients
    chosen: torch.Tensor,  # (R, n) participating clients, in ascending order
    sizes: torch.Tensor,  # (R, n) samples of these clients, float
    population: int,  # K, all clients
    edges: torch.Tensor,  # (R, G, P) weights of the edge servers before the round
    memory: torch.Tensor | None,  # state of the aggregation rule after the round before
    *,
    ends_at_cloud: bool,  # whether edge servers continue from the cloud's weights
) -> Served:
    """Aggregate a round's updates at each edge server, and the servers' weights in the cloud."""
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
