"""The six trunks compared by (Li 2025), from three sequences to features, without batch statistics.

Group norm with one group replaces the batch norm of the originals: batch statistics of a client would reveal its users,
and many clients are trained at once.
"""

from __future__ import annotations

import torch
from torch import nn

from dtenv.fl.forecast.channels import CHANNELS

PATCH, STRIDE = 4, 2
"""Steps of a patch, and between starts of patches."""


class Attention(nn.Module):
    """Transformer encoder with learned positions of the tokens."""

    def __init__(self, token: int, tokens: int, width: int, layers: int):
        super().__init__()
        self.embed = nn.Linear(token, width)
        self.place = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(layers)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return features (n, T * width) of tokens (n, T, token)."""
        x = self.embed(tokens) + self.place
        for layer in self.layers:
            x = layer(x)
        return x.flatten(1)


class TrsPre(nn.Module):
    """Trs-PRE (Li 2025, Fig. 2a): separate channels, instance norm, patches, one transformer for all channels."""

    per_channel = True

    def __init__(self, length: int, width: int, layers: int = 1):
        super().__init__()
        self.patch = min(PATCH, length)
        tokens = (length - self.patch) // STRIDE + 1
        self.attention = Attention(self.patch, tokens, width, layers)
        self.size = tokens * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, 3, size) of normalised sequences (n, 3, X)."""
        patches = x.unfold(-1, self.patch, STRIDE).flatten(0, 1)  # (n * 3, T, patch)
        return self.attention(patches).unflatten(0, (-1, CHANNELS))


class Tst(nn.Module):
    """Time-series transformer (Zerveas et al. 2021): each step of all channels is a token."""

    per_channel = False

    def __init__(self, length: int, width: int):
        super().__init__()
        self.attention = Attention(CHANNELS, length, width, 1)
        self.size = length * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, size)."""
        return self.attention(x.transpose(1, 2))


class Lstm(nn.Module):
    """Long short-term memory: the state after the last step."""

    per_channel = False

    def __init__(self, length: int, width: int):
        super().__init__()
        self.cell, self.size = nn.LSTMCell(CHANNELS, width), width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, size)."""
        state = x.new_zeros(len(x), self.size), x.new_zeros(len(x), self.size)
        for step in x.unbind(-1):
            state = self.cell(step, state)
        return state[0]


def convolution(into: int, out: int, kernel: int) -> nn.Sequential:
    """Return a normalised convolution of equal length with ReLU."""
    return nn.Sequential(nn.Conv1d(into, out, kernel, padding="same"), nn.GroupNorm(1, out), nn.ReLU())


class Fcn(nn.Module):
    """Fully convolutional network (Wang et al. 2017): three convolutions and an average over time."""

    per_channel = False

    def __init__(self, length: int, width: int):
        super().__init__()
        self.blocks = nn.Sequential(
            convolution(CHANNELS, width, 7), convolution(width, 2 * width, 5), convolution(2 * width, width, 3)
        )
        self.size = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, size)."""
        return self.blocks(x).mean(dim=-1)


class ResCnn(nn.Module):
    """Residual convolutional network (Zou et al. 2019): a residual block, convolutions, and an average over time."""

    per_channel = False

    def __init__(self, length: int, width: int):
        super().__init__()
        self.first = convolution(CHANNELS, width, 7)
        self.block = nn.Sequential(convolution(width, width, 5), convolution(width, width, 3))
        self.last = nn.Sequential(convolution(width, 2 * width, 3), convolution(2 * width, width, 3))
        self.size = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, size)."""
        x = self.first(x)
        return self.last(x + self.block(x)).mean(dim=-1)


class LstmFcn(nn.Module):
    """LSTM-FCN (Karim et al. 2018): concatenated features of both."""

    per_channel = False

    def __init__(self, length: int, width: int):
        super().__init__()
        self.lstm, self.fcn = Lstm(length, width), Fcn(length, width)
        self.size = self.lstm.size + self.fcn.size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, size)."""
        return torch.cat([self.lstm(x), self.fcn(x)], dim=-1)


TRUNKS = {"trs-pre": TrsPre, "lstm": Lstm, "fcn": Fcn, "rescnn": ResCnn, "lstm-fcn": LstmFcn, "tst": Tst}
