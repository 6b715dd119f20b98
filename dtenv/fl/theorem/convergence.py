"""Bounds (19) and (20) of (Zhou 2025, Theorem 1) and the losses that they bound.

The theorem assumes one step of full-batch gradient descent at every client and a loss with ψ I ≼ ∇²F ≼ L I. Multinomial
logistic regression with a ridge is such a loss, with both constants known; a network with a hidden layer is not.
(The printed (17) is the inequality of smoothness with ψ in place of L; the proof uses (18), and needs χ < 2/L.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, eigsh

from dtenv.fl.training.local_sgd import LocalTraining, image_loss, train
from dtenv.fl.training.network import Perceptron


class Curvature(NamedTuple):
    """Constants of (Zhou 2025, eq. 18)."""

    least: float  # ψ
    most: float  # L


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """F of (Zhou 2025, eqs 6-7): mean cross-entropy over all samples plus ridge/2 ‖ω‖²."""

    network: Perceptron
    x: torch.Tensor  # (n, inputs) float64
    y: torch.Tensor  # (n,)
    ridge: float

    def loss(self, weights: torch.Tensor) -> torch.Tensor:
        """Return F at weights (P,)."""
        logits = self.network.logits(self.network.parts(weights[None]), self.x[None])
        return image_loss(logits, self.y[None]).mean() + 0.5 * self.ridge * weights.square().sum()

    def curvature(self) -> Curvature:
        """Return global ψ and L of a network without hidden layers (ValueError otherwise, as no ψ > 0 exists).

        The Hessian of softmax cross-entropy is a mean of (diag(p) - p pᵀ) ⊗ x xᵀ with x = (input, 1); the first factor
        has eigenvalues in [0, 1/2], so L = λ_max(E x xᵀ)/2 + ridge and ψ = ridge.
        """
        if self.network.hidden:
            raise ValueError(f"hidden must be empty for a strongly convex loss, got {self.network.hidden!r}")
        inputs = torch.cat([self.x, torch.ones(len(self.x), 1, dtype=self.x.dtype)], dim=1)
        largest = float(torch.linalg.eigvalsh(inputs.T @ inputs / len(inputs))[-1])
        return Curvature(self.ridge, 0.5 * largest + self.ridge)

    def curvature_at(self, weights: torch.Tensor) -> Curvature:
        """Return the smallest and largest eigenvalue of the Hessian at weights (P,), by Lanczos."""
        at = weights.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.loss(at), at, create_graph=True)

        def product(vector: np.ndarray) -> np.ndarray:
            (times,) = torch.autograd.grad(gradient, at, torch.from_numpy(vector.ravel().copy()), retain_graph=True)
            return times.numpy()

        hessian = LinearOperator((len(weights), len(weights)), matvec=product, dtype=np.float64)
        start = np.ones(len(weights))  # the default start is random
        least, most = (eigsh(hessian, 1, which=end, v0=start, tol=1e-6)[0][0] for end in ("SA", "LA"))
        return Curvature(float(least), float(most))

    def minimum(self, start: torch.Tensor, iterations: int = 5000) -> torch.Tensor:
        """Return the weights (P,) found by L-BFGS-B, the optimum if F is convex."""

        def evaluate(point: np.ndarray) -> tuple[float, np.ndarray]:
            at = torch.from_numpy(point.copy()).requires_grad_()
            loss = self.loss(at)
            (gradient,) = torch.autograd.grad(loss, at)
            return float(loss.detach()), gradient.numpy()

        options = {"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 1e-16, "gtol": 1e-9, "maxcor": 30}
        return torch.from_numpy(minimize(evaluate, start.numpy(), jac=True, method="L-BFGS-B", options=options).x)


def bound(curvature: Curvature, learning_rate: float, start: float, rounds: int) -> np.ndarray:
    """Right side of (19) and (20) in rounds 0 … n: e^{-i (2ψχ - Lψχ²)} of the first excess; it grows if χ > 2/L."""
    rate = curvature.least * learning_rate * (2.0 - curvature.most * learning_rate)
    with np.errstate(over="ignore"):  # infinite, hence no bound, for χ > 2/L
        return start * np.exp(-rate * np.arange(rounds + 1))


def descend(
    problem: Ridge, index: torch.Tensor, start: torch.Tensor, *, rounds: int, learning_rate: float, local_steps: int = 1
) -> np.ndarray:
    """Return F in rounds 0 … n of federated averaging with full-batch gradient steps (one per round in the theorem).

    `index` (K, D) holds the samples of clients of equal size, `start` is ω^0 (P,) and `learning_rate` is χ.
    """
    clients, samples = index.shape
    training = LocalTraining(
        steps=local_steps, batch=samples, learning_rate=learning_rate, momentum=0.0, proximal=problem.ridge
    )
    every = torch.arange(samples).expand(clients, local_steps, -1)
    batches = (every, torch.ones_like(every, dtype=torch.bool))
    weights, losses = start, [float(problem.loss(start))]
    centre = torch.zeros(clients, len(start), dtype=start.dtype)  # the ridge pulls towards zero
    for _ in range(rounds):
        spread = weights.expand(clients, -1)
        trained, _ = train(
            problem.network, spread, problem.x, problem.y[index], index, batches, training, anchor=centre
        )
        weights = trained.mean(dim=0)
        losses.append(float(problem.loss(weights)))
    return np.array(losses)
