"""Training of many copies of a network at once, each on its own samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from dtenv.fl.forecast.channels import Samples
from dtenv.fl.forecast.networks import Network
from dtenv.validation import positive, positive_integer


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Settings of Adam on batches drawn with replacement."""

    steps: int = 250
    """number of steps of a centralised network"""
    batch: int = 128
    """samples per step of a centralised network"""
    learning_rate: float = 1e-2
    """initial rate, with cosine decay to zero"""

    def __post_init__(self) -> None:
        positive_integer(self, "steps", "batch")
        positive(self, "learning_rate")


class Stack:
    """Functional form of a network, with the weights of K copies as one matrix (K, P)."""

    def __init__(self, network: Network):
        self.network = network
        self.names = [name for name, _ in network.named_parameters()]
        self.shapes = [p.shape for p in network.parameters()]
        self.sizes = [p.numel() for p in network.parameters()]
        self.size = sum(self.sizes)
        self._called_for_loss = _Loss(network)
        self._of_copies = vmap(grad_and_value(self._loss), randomness="error")

    def initial(self) -> torch.Tensor:
        """Return the network's own weights, (P,)."""
        return torch.cat([p.detach().flatten() for p in self.network.parameters()])

    def call(self, weights: torch.Tensor, x: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        """Return the output of one copy with weights (P,)."""
        return functional_call(self.network, self._parts(weights), (x, past))

    def gradients(self, weights: torch.Tensor, samples: Samples, chosen: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return gradients (K, P) of K copies on their chosen samples (K, B), and the mean loss."""
        picked = samples.x[chosen], samples.past[chosen], samples.ahead[chosen], samples.cell[chosen]
        if len(weights) == 1:  # vmap over one copy only costs time
            alone, loss = grad_and_value(self._loss)(weights[0], *(part[0] for part in picked))
            return alone[None], loss.item()
        with sdpa_kernel(SDPBackend.MATH):  # the only backend that vmap supports
            gradients, losses = self._of_copies(weights, *picked)
        return gradients, losses.mean().item()

    def _loss(self, weights: torch.Tensor, *batch: torch.Tensor) -> torch.Tensor:
        parts = {f"network.{name}": part for name, part in self._parts(weights).items()}
        return functional_call(self._called_for_loss, parts, batch)

    def _parts(self, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = weights.split(self.sizes)
        return {name: part.view(shape) for name, part, shape in zip(self.names, parts, self.shapes, strict=True)}


class _Loss(torch.nn.Module):
    """Module whose forward pass is the loss of a network."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, *batch: torch.Tensor) -> torch.Tensor:
        return self.network.loss(*batch)


class Adam:
    """Adam (Kingma & Ba 2015) on each row of a matrix of weights (K, P)."""

    def __init__(self, weights: torch.Tensor, learning_rate: float):
        self.weights = weights.clone().requires_grad_()
        self.optimizer = torch.optim.Adam([self.weights], lr=learning_rate)

    def step(
        self,
        stack: Stack,
        samples: Samples,
        chosen: torch.Tensor,
        towards: torch.Tensor | None = None,
        penalty: float = 0.0,
    ) -> float:
        """Take one step on chosen samples (K, B), with penalty λ/2 ‖v - W‖² towards W (P,).

        Return the mean loss before it; raises FloatingPointError if it is not finite, with the weights unchanged.
        """
        weights = self.weights.detach()
        gradients, loss = stack.gradients(weights, samples, chosen)
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}: a smaller learning_rate may help")
        if towards is not None:
            gradients = gradients + penalty * (weights - towards)
        self.weights.grad = gradients
        self.optimizer.step()
        return loss
