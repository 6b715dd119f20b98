"""Federated forecasters of (Li 2025, Fig. 2c): a shared model w, a personalised model v, and noise on the way.

In a round every client trains w from the global model, clips and noises its change and uploads it; the server averages,
noises the average and sends it back. Beside it every client trains v, which never leaves it, under a penalty
λ/2 ‖v - W‖² (L_Penalty; Ditto, Li et al. 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from dtenv.fl.accountant import epsilon, noise_multiplier
from dtenv.fl.forecast.central import check_horizon, check_length, new_network
from dtenv.fl.forecast.channels import Samples, samples_of
from dtenv.fl.forecast.networks import Shape, probabilities
from dtenv.fl.forecast.training import Adam, Stack
from dtenv.forecasting import CellTraces, History
from dtenv.forecasting.baselines import check_question
from dtenv.validation import at_least, positive, positive_integer

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How a federation trains."""

    rounds: int = 30
    """T"""
    steps: int = 5
    """of w, and of v, in a round"""
    batch: int = 8
    """a client's samples in a step, drawn with replacement"""
    learning_rate: float = 1e-2
    penalty: float = 0.1
    """λ"""
    clients: int | None = None
    """groups of users; None: every user is a client, and what is protected is a user"""
    clip: float = 2.5
    """C, norm that a client's change of w is clipped to where there is noise"""
    upload_noise: float = 0.0
    """standard deviation of what each client adds to its change, over C"""
    download_noise: float = 0.0
    """standard deviation of what the server adds to the sum of changes, over C"""

    def __post_init__(self) -> None:
        positive_integer(self, "rounds", "steps", "batch")
        if self.clients is not None:
            positive_integer(self, "clients")
        positive(self, "learning_rate", "clip")
        at_least(self, 0.0, "penalty", "upload_noise", "download_noise")

    def cost(self, clients: int, delta: float = 1e-5) -> Privacy:
        """What the noise guarantees each client, all taking part in all rounds."""
        together = math.sqrt(clients * self.upload_noise**2 + self.download_noise**2)
        return Privacy(
            epsilon(together, self.rounds, delta), epsilon(0.5 * self.upload_noise, self.rounds, delta), delta
        )


@dataclass(frozen=True)
class Privacy:
    """(ε, δ) of one client, against two who look on."""

    of_broadcasts: float
    """ε against who sees the global models, and of whom the server is no part: noises of all uploads add up, and that
    of the download with them; a client is added or removed"""
    of_uploads: float
    """ε against the server, which sees an upload with one client's noise alone; a client's data are replaced, so that
    its change moves by up to 2C. Noise on the download does not help here, and costs nothing"""
    delta: float


def noise_for(target: float, rounds: int, clients: int, delta: float = 1e-5) -> tuple[float, float]:
    """Upload and download noise, each half of the variance, with which broadcasts cost ε = target."""
    z = noise_multiplier(target, rounds, delta)
    return z / math.sqrt(2.0 * clients), z / math.sqrt(2.0)


def grouped_users(traces: CellTraces, clients: int | None) -> np.ndarray:
    """Client (users,) of every user: its own, or one of groups of equal size who live near each other, west to east.

    Raises:
        ValueError: more clients than users.
    """
    users = traces.num_users
    clients = users if clients is None else clients
    if clients > users:
        raise ValueError(f"clients must be at most the {users} users, got {clients!r}")
    steps = np.maximum(np.bincount(traces.user, minlength=users), 1)
    west = np.bincount(traces.user, traces.site_xy[traces.cell, 0], minlength=users) / steps
    group = np.empty(users, dtype=np.int64)
    group[np.argsort(west, kind="stable")] = np.arange(users) * clients // users
    return np.arange(users) if clients == users else group


class Federation:
    """Models of clients that train together without showing their traces.

    Args:
        shape: which network.
        rounds: how they train.
        seed: of weights, batches and noise.
        garbage: v is drawn towards newly drawn weights in place of the global model: the control that tells whether
            the global model teaches v anything, or whether any penalty would do.
    """

    num_cells, num_users, num_clients = 0, 0, 0

    def __init__(self, shape: Shape, rounds: Rounds | None = None, seed: int = 0, *, garbage: bool = False):
        self.shape, self.seed, self.garbage = shape, seed, garbage
        self.rounds = Rounds() if rounds is None else rounds

    def fit(self, traces: CellTraces, *, shared: bool = True, personal: bool = True) -> Self:
        """Train w, v or both, from the same new weights.

        Raises:
            ValueError: a client has no stretch of X + H steps, or there are more clients than users.
            FloatingPointError: a loss is no finite number.
        """
        r = self.rounds
        self.channels, samples = samples_of(traces, self.shape.length, self.shape.horizon)
        self.client = grouped_users(traces, r.clients)
        own = _own_samples(self.client, samples)
        # Streams apart: v sees the same batches whether w is trained, noised or replaced.
        weights_rng, w_batches, v_batches, noise = (np.random.default_rng([self.seed, k]) for k in range(4))
        self.stack = Stack(new_network(self.shape, traces.num_cells, weights_rng))
        self.shared = self.stack.initial()
        self.num_cells, self.num_users, self.num_clients = traces.num_cells, traces.num_users, len(own)
        v = Adam(self.shared.repeat(len(own), 1), r.learning_rate)
        for _ in range(r.rounds):
            towards = self.shared
            if self.garbage:
                towards = Stack(new_network(self.shape, traces.num_cells, weights_rng)).initial()
            if shared:
                w = Adam(self.shared.repeat(len(own), 1), r.learning_rate)
                for _ in range(r.steps):
                    w.step(self.stack, samples, _batch(w_batches, own, r.batch))
                self.shared = self.shared + self._released(w.weights.detach() - self.shared, noise)
            if personal:
                # v is drawn towards what the client was sent at the start of the round.
                for _ in range(r.steps):
                    v.step(self.stack, samples, _batch(v_batches, own, r.batch), towards, r.penalty)
        self.personal = v.weights.detach()
        return self

    def _released(self, change: torch.Tensor, noise: np.random.Generator) -> torch.Tensor:
        """Change (P,) of the global model that clients get to see, of their own (K, P)."""
        r = self.rounds
        if r.upload_noise == 0.0 == r.download_noise:
            return change.mean(dim=0)
        norm = change.norm(dim=1, keepdim=True)
        uploads = change * (r.clip / norm.clamp(min=r.clip))
        uploads = uploads + r.upload_noise * r.clip * _normal(noise, uploads.shape)
        total = uploads.sum(dim=0) + r.download_noise * r.clip * _normal(noise, uploads.shape[1:])
        return total / len(change)

    def noise_over_clip(self) -> float:
        """Expected norm of a round's noise on the average, √P of its deviation, over the clipping norm C."""
        r, clients = self.rounds, self.num_clients
        return math.sqrt(self.stack.size * (clients * r.upload_noise**2 + r.download_noise**2)) / clients

    def model(self, which: str) -> FederatedForecaster:
        """The forecaster "w", the global model for all users, or "v", each user's client's own."""
        if which not in ("w", "v"):
            raise ValueError(f"which must be 'w' or 'v', got {which!r}")
        return FederatedForecaster(self, personal=which == "v")


def _normal(rng: np.random.Generator, shape: torch.Size) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def _own_samples(client: np.ndarray, samples: Samples) -> list[np.ndarray]:
    """Indices of every client's samples."""
    owner = client[samples.user.numpy()]
    own = [np.flatnonzero(owner == k) for k in range(int(client.max()) + 1)]
    for k, mine in enumerate(own):
        if not len(mine):
            raise ValueError(f"client {k} has no window to learn from: its traces are too short")
    return own


def _batch(rng: np.random.Generator, own: list[np.ndarray], size: int) -> torch.Tensor:
    """Samples (K, B) of one step of all clients, drawn with replacement."""
    sizes = np.array([len(mine) for mine in own])
    picked = rng.integers(sizes[:, None], size=(len(own), size))
    return torch.from_numpy(np.stack([mine[p] for mine, p in zip(own, picked, strict=True)]))


class FederatedForecaster:
    """A `CellForecaster` of a federation: its global model, or every client's own.

    Users who are not among those fitted to get the global model.
    """

    def __init__(self, federation: Federation, *, personal: bool):
        self.federation, self.personal = federation, personal

    def fit(self, traces: CellTraces) -> Self:
        """Train the whole federation anew."""
        self.federation.fit(traces)
        return self

    @torch.no_grad()
    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """As `CellForecaster.predict_proba`."""
        f = self.federation
        check_question(self, history, horizon, f.num_cells, f.num_users)
        check_horizon(horizon, f.shape)
        history = check_length(history, f.shape)
        x, past = f.channels.of_history(history)
        client = np.where((history.user >= 0) & self.personal, f.client[history.user], -1)
        found = np.empty((len(client), horizon, f.num_cells))
        for k in np.unique(client):
            rows = np.flatnonzero(client == k)
            weights = f.shared if k < 0 else f.personal[k]
            output = f.stack.call(weights, x[rows], past[rows])
            found[rows] = probabilities(f.stack.network, output, horizon, f.channels.site)
        return found
