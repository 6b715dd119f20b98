"""Networks with a trunk and a head: coordinates with a squared error (Li 2025), or cells with a cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from dtenv.fl.forecast.channels import CHANNELS
from dtenv.fl.forecast.trunks import TRUNKS
from dtenv.scenario.forecaster import one_hot
from dtenv.validation import is_bool, one_of, positive_integer

EPSILON = 1e-2
"""Least standard deviation for normalisation, a hundredth of that between sites, as many users stand still."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Architecture and size of a network."""

    trunk: str = "trs-pre"
    """one of TRUNKS"""
    classify: bool = False
    """predict cells with a cross-entropy and weights for those of the history, not coordinates with a squared error"""
    length: int = 16
    """X, steps of history"""
    horizon: int = 20
    """H, steps predicted at once"""
    width: int = 16
    """width of the layers"""

    def __post_init__(self) -> None:
        one_of(self, "trunk", tuple(TRUNKS))
        is_bool(self, "classify")
        positive_integer(self, "length", "horizon", "width")

    @property
    def name(self) -> str:
        """Name such as trs-pre or lstm-class."""
        return self.trunk + ("-class" if self.classify else "")


class Network(nn.Module):
    """Network that predicts the horizon from three sequences, with reversible instance normalisation."""

    def __init__(self, shape: Shape, num_cells: int):
        super().__init__()
        self.shape = shape
        self.trunk = TRUNKS[shape.trunk](shape.length, shape.width)
        per_channel = self.trunk.per_channel
        if not shape.classify:
            self.head = nn.Linear(self.trunk.size, shape.horizon * (1 if per_channel else CHANNELS))
            return
        features = self.trunk.size * (CHANNELS if per_channel else 1) + 2 * CHANNELS
        self.mix = nn.Linear(features, 2 * shape.width)
        self.step = nn.Parameter(0.1 * torch.randn(shape.horizon, 2 * shape.width))
        self.cells = nn.Linear(2 * shape.width, num_cells)
        self.point = nn.Linear(2 * shape.width, shape.length)

    def forward(self, x: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        """Return logits (n, H, cells), or the next steps' channels (n, 3, H), of x (n, 3, X) and cells (n, X)."""
        middle = x.mean(dim=-1, keepdim=True)
        spread = ((x - middle).square().mean(dim=-1, keepdim=True) + EPSILON**2).sqrt()
        features = self.trunk((x - middle) / spread)
        if not self.shape.classify:
            return self.head(features).reshape(-1, CHANNELS, self.shape.horizon) * spread + middle
        # Normalisation removes the position, which distinguishes cells.
        features = torch.cat([features.flatten(1), middle[..., 0], spread[..., 0]], dim=1)
        hidden = torch.relu(self.mix(features)[:, None] + self.step)
        known = (past[..., None] == torch.arange(self.cells.out_features)).to(x.dtype)
        return self.cells(hidden) + self.point(hidden) @ known  # each past step adds to the logit of its cell

    def loss(self, x: torch.Tensor, past: torch.Tensor, ahead: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
        """Return the mean loss: squared error of the three channels, or cross-entropy of the cells."""
        if self.shape.classify:
            return cross_entropy(self(x, past).flatten(0, 1), cell.flatten())
        return mse_loss(self(x, past), ahead)


def probabilities(network: Network, output: torch.Tensor, horizon: int, site: torch.Tensor) -> np.ndarray:
    """Return probabilities (n, H, cells) of an output: softmax, or certainty of the nearest site (2D KD-tree)."""
    if network.shape.classify:
        return torch.softmax(output[:, :horizon].double(), dim=-1).numpy()
    places = output[:, 1:, :horizon].movedim(1, -1).numpy()  # the first channel is time
    return one_hot(cKDTree(site.numpy()).query(places)[1], len(site))
