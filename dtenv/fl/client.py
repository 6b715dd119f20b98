"""What a client does in a round: stochastic gradient descent on its own samples, for many clients as one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from dtenv.fl.network import Perceptron
from dtenv.scenario.fields import at_least, count, number, positive

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits (M, B, classes) and targets (M, B) or (M, B, classes) to losses (M, B)."""


@dataclass(frozen=True, kw_only=True)
class LocalTraining:
    """Local epochs of (Zhou 2025, step 3), with momentum and a proximal term."""

    epochs: int = 2
    steps: int | None = None
    """Gradient steps a round whatever the client's data, in place of epochs: with epochs, less data also means fewer
    steps, which is a second reason why accuracy rises with D."""
    batch: int = 50
    learning_rate: float = 0.05
    momentum: float = 0.9
    proximal: float = 0.0
    """λ of the penalty λ/2 ‖w - W‖² that keeps weights near where training started (Li 2025's L_Penalty)."""

    def __post_init__(self) -> None:
        count(self, "epochs", "batch")
        if self.steps is not None:
            count(self, "steps")
        positive(self, "learning_rate")
        at_least(self, 0.0, "proximal")
        if not 0.0 <= number("momentum", self.momentum) < 1.0:
            raise ValueError(f"momentum must lie in [0, 1), got {self.momentum!r}")


def image_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (M, B) of logits (M, B, classes) and labels (M, B)."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)


def draw_batches(
    rngs: Sequence[np.random.Generator], sizes: np.ndarray, training: LocalTraining
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of its samples every client takes in every step.

    Args:
        rngs: one generator a replicate.
        sizes: samples of every client (replicates, clients).
        training: epochs or steps, and the batch.

    Returns:
        Places (M, steps, B) in a client's list of samples, M = replicates x clients, and which of them count (the same
        shape): the last batch of an epoch may be smaller, and a client with few samples done early.
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


def train(
    network: Perceptron,
    weights: torch.Tensor,
    x: torch.Tensor,
    targets: torch.Tensor,
    index: torch.Tensor,
    batches: tuple[torch.Tensor, torch.Tensor],
    training: LocalTraining,
    *,
    anchor: torch.Tensor | None = None,
    frozen: torch.Tensor | None = None,
    loss: Loss = image_loss,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train M networks, each on its own samples.

    Args:
        network: their shape.
        weights: where they start, (M, P); left as it is.
        x: inputs of all samples there are (n, inputs).
        targets: of each client's samples (M, D) or (M, D, classes), in the order of `index`.
        index: each client's samples, (M, D), padded with anything.
        batches: of `draw_batches`.
        training: rates and penalties.
        anchor: W (M, P) of the proximal term; by default where training starts.
        frozen: weights (M, P) that are pruned and stay zero, as a mask.
        loss: of logits and targets.

    Returns:
        Trained weights (M, P), and the mean loss (M,) over all steps.
    """
    places, counted = batches
    weights = weights.clone()
    anchor = weights.clone() if anchor is None and training.proximal > 0.0 else anchor
    velocity = torch.zeros_like(weights)
    gradient = torch.empty_like(weights)
    clients = torch.arange(len(weights))[:, None]
    total, seen = torch.zeros(len(weights), dtype=weights.dtype), counted.flatten(1).sum(dim=1)
    for step in range(places.shape[1]):
        place, counts = places[:, step], counted[:, step].to(weights.dtype)
        parts = [part.detach().requires_grad_() for part in network.parts(weights)]
        losses = loss(network.logits(parts, x[index[clients, place]]), targets[clients, place]) * counts
        size = counts.sum(dim=1)
        for part, given in zip(
            network.parts(gradient),
            torch.autograd.grad((losses.sum(dim=1) / size.clamp(min=1.0)).sum(), parts),
            strict=True,
        ):
            part.copy_(given)
        total += losses.detach().sum(dim=1)
        if anchor is not None:
            gradient.add_(weights - anchor, alpha=training.proximal)
        if frozen is not None:
            gradient.masked_fill_(frozen, 0.0)
        velocity.mul_(training.momentum).add_(gradient)
        if bool((size > 0).all()):
            weights.sub_(velocity, alpha=training.learning_rate)
        else:  # whoever has taken all its steps waits for the others
            weights.sub_(velocity * (size > 0)[:, None], alpha=training.learning_rate)
    return weights, total / seen
