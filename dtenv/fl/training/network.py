"""Multilayer perceptron for training many copies at once, with weights as rows of one tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    """Multilayer perceptron with ReLU; without hidden layers, multinomial logistic regression."""

    inputs: int
    classes: int
    hidden: tuple[int, ...] = (64,)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parameters: matrix and bias of each layer in turn."""
        widths = (self.inputs, *self.hidden, self.classes)
        return [shape for a, b in pairwise(widths) for shape in ((a, b), (b,))]

    @property
    def size(self) -> int:
        """P, number of weights of one network."""
        return sum(math.prod(shape) for shape in self.shapes)

    def initial(self, rng: np.random.Generator) -> torch.Tensor:
        """Draw weights (P,) by He initialisation, with zero biases."""
        parts = [rng.normal(0.0, math.sqrt(2.0 / s[0]), s) if len(s) == 2 else np.zeros(s) for s in self.shapes]
        return torch.from_numpy(np.concatenate([part.ravel() for part in parts]).astype(np.float32))

    def parts(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """Return views of weights (M, P), one per parameter: (M, *shape)."""
        views, at = [], 0
        for shape in self.shapes:
            views.append(weights[:, at : at + math.prod(shape)].view(len(weights), *shape))
            at += math.prod(shape)
        return views

    def layers(self, parts: list[torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
        """Return each layer's input (M, B, width), and the logits last, for x (M, B, inputs)."""
        values, last = [x], len(parts) // 2 - 1
        for i, (matrix, offset) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            x = torch.baddbmm(offset[:, None], x, matrix)
            values.append(x if i == last else torch.relu(x))
            x = values[-1]
        return values

    def logits(self, parts: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return logits (M, B, classes) of M networks, each on its own x (M, B, inputs)."""
        return self.layers(parts, x)[-1]

    def joined(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """Join parameters to weights (M, P), the inverse of `parts`."""
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def deltas(self, parts: list[torch.Tensor], values: list[torch.Tensor], last: torch.Tensor) -> list[torch.Tensor]:
        """Return derivatives of a loss by each layer's output before its ReLU, (M, B, width), from those by the logits.

        Explicit backpropagation, as `add_gradient` adds gradients to the velocity without the extra copy of autograd.
        """
        found = [last]
        for matrix, value in zip(parts[-2:0:-2], values[-2:0:-1], strict=True):
            found.append(torch.bmm(found[-1], matrix.transpose(1, 2)) * (value > 0))
        return found[::-1]

    def add_gradient(
        self, onto: list[torch.Tensor], values: list[torch.Tensor], deltas: list[torch.Tensor], keep: float
    ) -> None:
        """Set `onto`, one tensor per parameter, to keep x onto + gradient."""
        for matrix, offset, value, delta in zip(onto[::2], onto[1::2], values, deltas, strict=False):
            matrix.baddbmm_(value.transpose(1, 2), delta, beta=keep)
            offset.mul_(keep).add_(delta.sum(dim=1))


@torch.no_grad()
def class_accuracy(network: Perceptron, weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the accuracy of M networks by label, (M, classes), on x (n, inputs) and y (n,)."""
    right = torch.zeros(len(weights), network.classes)
    counts = torch.bincount(y, minlength=network.classes)
    for rows in torch.arange(len(weights)).split(16):  # in blocks, to limit memory
        parts = network.parts(weights[rows])
        for image in torch.arange(len(y)).split(2000):
            block = x[image].expand(len(rows), -1, -1)
            hit = (network.logits(parts, block).argmax(dim=-1) == y[image]).float()
            right[rows] = right[rows].index_add(1, y[image], hit)
    return right / counts
