"""Differential privacy of single samples: clipped per-sample gradients and noise in each step (DP-SGD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dtenv.fl.accountant import subsampled_epsilon
from dtenv.fl.streams import Streams
from dtenv.fl.training.local_sgd import LocalTraining, Loss, image_loss, loss_and_slope
from dtenv.fl.training.network import Perceptron
from dtenv.validation import at_least, positive


@dataclass(frozen=True, kw_only=True)
class RecordPrivacy:
    """DP-SGD (Abadi et al. 2016). Neighbours are a client's data with and without one sample.

    A step takes each sample independently with probability batch / D (Poisson sampling, as the accountant assumes), so
    batch sizes vary; the sum of the gradients is divided by the expected size.
    """

    clip: float = 1.0
    """C, largest norm of a sample's gradient."""
    noise_multiplier: float = 1.0

    def __post_init__(self) -> None:
        positive(self, "clip")
        at_least(self, 0.0, "noise_multiplier")

    def epsilon(self, size: int, training: LocalTraining, rounds: int, delta: float) -> float:
        """Return ε over all rounds for a client of `size` samples."""
        rate = min(1.0, training.batch / size)
        steps = rounds * training.epochs * steps_an_epoch(size, training)
        return subsampled_epsilon(self.noise_multiplier, rate, steps, delta)


def steps_an_epoch(size: int, training: LocalTraining) -> int:
    """Return the steps in which a client of `size` samples takes about all of them once."""
    return -(-int(size) // training.batch)


def poisson_batches(
    rngs: Sequence[np.random.Generator], sizes: np.ndarray, training: LocalTraining
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw each client's samples of each step by Poisson sampling with probability batch / D.

    Return indices and a mask as `local_sgd.draw_batches` does, (M, steps, B) with B the largest batch drawn, and the
    steps (M,) of each client.
    """
    drawn = []
    for rng, row in zip(rngs, sizes, strict=True):
        for size in row:
            steps = training.epochs * steps_an_epoch(size, training)
            drawn.append(rng.random((steps, int(size))) < min(1.0, training.batch / int(size)))
    most = max(1, max(int(taken.sum(axis=1).max()) for taken in drawn))
    places = np.full((len(drawn), max(map(len, drawn)), most), -1, dtype=np.int64)
    for i, taken in enumerate(drawn):
        for step, row in enumerate(taken):
            held = np.flatnonzero(row)
            places[i, step, : len(held)] = held
    found = torch.from_numpy(places)
    return found.clamp(min=0), found >= 0, torch.tensor([len(taken) for taken in drawn])


@torch.no_grad()
def train_privately(
    network: Perceptron,
    weights: torch.Tensor,
    x: torch.Tensor,
    targets: torch.Tensor,
    index: torch.Tensor,
    batches: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    training: LocalTraining,
    privacy: RecordPrivacy,
    streams: Streams,
    *,
    loss: Loss = image_loss,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train as `local_sgd.train` does, with batches of `poisson_batches`; momentum acts on the noisy gradients.

    The M networks are the same number for each replicate of `streams`, which draws the noise.
    """
    places, counted, steps = batches
    parts = [part.clone() for part in network.parts(weights)]
    velocity = [torch.zeros_like(part) for part in parts]
    clients = torch.arange(len(weights))[:, None]
    total, seen = torch.zeros(len(weights), dtype=weights.dtype), counted.flatten(1).sum(dim=1)
    each = len(weights) // len(streams.seeds)
    deviation = privacy.noise_multiplier * privacy.clip / training.batch
    for step in range(places.shape[1]):
        place, counts = places[:, step], counted[:, step].to(weights.dtype)
        values = network.layers(parts, x[index[clients, place]])
        losses, slope = loss_and_slope(loss, values[-1], targets[clients, place])
        total += (losses * counts).sum(dim=1)
        deltas = network.deltas(parts, values, slope)
        clip = counts * (privacy.clip / gradient_norms(values, deltas).clamp(min=privacy.clip)) / training.batch
        network.add_gradient(velocity, values, [delta * clip[..., None] for delta in deltas], training.momentum)
        noise = network.parts(streams.normal("privacy", each, network.size).flatten(0, 1).to(weights.dtype))
        takes = (step < steps).to(weights.dtype)
        for part, speed, drawn in zip(parts, velocity, noise, strict=True):
            speed.add_(drawn, alpha=deviation)
            part.sub_(speed * takes.view(-1, *[1] * (speed.dim() - 1)), alpha=training.learning_rate)
    return network.joined(parts), total / seen.clamp(min=1)


def gradient_norms(values: list[torch.Tensor], deltas: list[torch.Tensor]) -> torch.Tensor:
    """Return the norm (M, B) of each sample's gradient without forming the gradient (Goodfellow 2015).

    A layer's gradient is the outer product of its input a and the derivative δ by its output, and δ for the bias, with
    squared norm ‖δ‖² (‖a‖² + 1).
    """
    squared = [
        delta.square().sum(dim=-1) * (value.square().sum(dim=-1) + 1.0)
        for value, delta in zip(values, deltas, strict=False)
    ]
    return torch.stack(squared).sum(dim=0).sqrt()
