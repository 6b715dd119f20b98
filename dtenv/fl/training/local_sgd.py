"""Local training in a round: stochastic gradient descent of many clients as one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from dtenv.fl.training.network import Perceptron
from dtenv.validation import at_least, number, positive, positive_integer

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Function of logits (M, B, classes) and targets (M, B) or (M, B, classes) that returns losses (M, B)."""


@dataclass(frozen=True, kw_only=True)
class LocalTraining:
    """Settings of local training (Zhou 2025, step 3), with momentum and a proximal term."""

    epochs: int = 2
    steps: int | None = None
    """Gradient steps per round in place of epochs. With epochs, fewer data also mean fewer steps, which is a second
    reason why accuracy rises with D."""
    batch: int = 50
    learning_rate: float = 0.05
    momentum: float = 0.9
    proximal: float = 0.0
    """λ of the penalty λ/2 ‖w - W‖² towards the weights at the start (L_Penalty of Li 2025)."""

    def __post_init__(self) -> None:
        positive_integer(self, "epochs", "batch")
        if self.steps is not None:
            positive_integer(self, "steps")
        positive(self, "learning_rate")
        at_least(self, 0.0, "proximal")
        if not 0.0 <= number("momentum", self.momentum) < 1.0:
            raise ValueError(f"momentum must lie in [0, 1), got {self.momentum!r}")


def image_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy (M, B) of logits (M, B, classes) and labels (M, B)."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)


def draw_batches(
    rngs: Sequence[np.random.Generator], sizes: np.ndarray, training: LocalTraining
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the samples of each step for clients of `sizes` samples (replicates, clients), one generator per replicate.

    Return indices (M, steps, B) into a client's samples, M = replicates x clients, and a mask of the valid ones (same
    shape): the last batch of an epoch may be smaller, and a client with few samples takes fewer steps.
    """
    order = []
    for rng, row in zip(rngs, sizes, strict=True):
        for size in row:
            batches_an_epoch = -(-int(size) // training.batch)
            epochs = training.epochs if training.steps is None else -(-training.steps // batches_an_epoch)
            filled = np.full((epochs, batches_an_epoch * training.batch), -1, dtype=np.int64)
            filled[:, :size] = rng.permuted(np.tile(np.arange(size), (epochs, 1)), axis=1)
            order.append(filled.reshape(-1, training.batch)[: training.steps])
    places = np.full((len(order), max(map(len, order)), training.batch), -1, dtype=np.int64)
    for i, steps in enumerate(order):
        places[i, : len(steps)] = steps
    drawn = torch.from_numpy(places)
    return drawn.clamp(min=0), drawn >= 0


@torch.no_grad()
def train(
    network: Perceptron,
    weights: torch.Tensor,  # (M, P) initial weights, not modified
    x: torch.Tensor,  # (n, inputs) inputs of all samples
    targets: torch.Tensor,  # (M, D) or (M, D, classes) in the order of `index`
    index: torch.Tensor,  # (M, D) each client's samples, with arbitrary padding
    batches: tuple[torch.Tensor, torch.Tensor],  # of `draw_batches`
    training: LocalTraining,
    *,
    anchor: torch.Tensor | None = None,  # (M, P) W of the proximal term, by default the initial weights
    frozen: torch.Tensor | None = None,  # (M, P) mask of pruned weights, which stay zero
    loss: Loss = image_loss,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train M networks, each on its own samples; return weights (M, P) and mean losses (M,) over all steps."""
    places, counted = batches
    parts = [part.clone() for part in network.parts(weights)]
    velocity = [torch.zeros_like(part) for part in parts]
    kept = None if frozen is None else [~part for part in network.parts(frozen)]
    near: list[torch.Tensor] | None = None
    if anchor is not None or training.proximal > 0.0:
        near = [part.clone() for part in network.parts(weights if anchor is None else anchor)]
    clients = torch.arange(len(weights))[:, None]
    batch = torch.empty(places.shape[0] * places.shape[2], x.shape[1], dtype=x.dtype)  # reused: allocation is slow
    total, seen = torch.zeros(len(weights), dtype=weights.dtype), counted.flatten(1).sum(dim=1)
    for step in range(places.shape[1]):
        place, counts = places[:, step], counted[:, step].to(weights.dtype)
        size = counts.sum(dim=1)
        torch.index_select(x, 0, index[clients, place].flatten(), out=batch)
        values = network.layers(parts, batch.view(*place.shape, -1))
        losses, delta = loss_and_slope(loss, values[-1], targets[clients, place])
        total += (losses * counts).sum(dim=1)
        deltas = network.deltas(parts, values, delta * (counts / size.clamp(min=1.0)[:, None])[..., None])
        network.add_gradient(velocity, values, deltas, training.momentum)
        takes = None if bool((size > 0).all()) else size > 0  # finished clients wait
        for i, (part, speed) in enumerate(zip(parts, velocity, strict=True)):
            if near is not None:
                speed.add_(part - near[i], alpha=training.proximal)
            if kept is not None:
                speed.mul_(kept[i])
            step_by = speed if takes is None else speed * takes.view(-1, *[1] * (speed.dim() - 1))
            part.sub_(step_by, alpha=training.learning_rate)
    return network.joined(parts), total / seen


def loss_and_slope(loss: Loss, logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return losses (M, B) and their derivatives (M, B, classes) by the logits."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        losses = loss(leaf, targets)
        (slope,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), slope
