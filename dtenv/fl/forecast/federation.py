"""Federated forecasters of (Li 2025, Fig. 2c): a shared model w, personalised models v, and noise for privacy.

In a round, each client trains w from the global model, clips and noises its change and uploads it; the server averages,
noises the average and broadcasts it. Each client also trains a local model v with the penalty λ/2 ‖v - W‖² (L_Penalty;
Ditto, Li et al. 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from dtenv.fl.accountant import epsilon, noise_multiplier
from dtenv.fl.forecast.central import last_steps, new_network
from dtenv.fl.forecast.channels import Samples, samples_of
from dtenv.fl.forecast.networks import Shape, probabilities
from dtenv.fl.forecast.training import Adam, Stack
from dtenv.forecasting import CellTraces, History
from dtenv.forecasting.baselines import check_question
from dtenv.validation import at_least, positive, positive_integer

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class FederatedRounds:
    """Settings of federated training."""

    rounds: int = 30
    """T, number of rounds"""
    steps: int = 5
    """steps of w, and of v, per round"""
    batch: int = 8
    """samples per client and step, drawn with replacement"""
    learning_rate: float = 1e-2
    penalty: float = 0.1
    """λ, penalty of v"""
    clients: int | None = None
    """number of clients, which are groups of users; None: each user is a client, and ε protects users"""
    clip: float = 2.5
    """C, norm that a client's change of w is clipped to if there is noise"""
    upload_noise: float = 0.0
    """standard deviation, over C, of the noise on each client's change"""
    download_noise: float = 0.0
    """standard deviation, over C, of the server's noise on the sum of changes"""

    def __post_init__(self) -> None:
        positive_integer(self, "rounds", "steps", "batch")
        if self.clients is not None:
            positive_integer(self, "clients")
        positive(self, "learning_rate", "clip")
        at_least(self, 0.0, "penalty", "upload_noise", "download_noise")

    def cost(self, clients: int, delta: float = 1e-5) -> Privacy:
        """Return the privacy of each client, with full participation in all rounds."""
        total = math.sqrt(clients * self.upload_noise**2 + self.download_noise**2)
        alone = epsilon(0.5 * self.upload_noise, self.rounds, delta)
        return Privacy(epsilon(total, self.rounds, delta), alone, delta)


@dataclass(frozen=True)
class Privacy:
    """(ε, δ) of one client against two observers."""

    of_broadcasts: float
    """ε against observers of the global models other than the server: the noises of all uploads and of the download
    add up; neighbours differ by one client added or removed"""
    of_uploads: float
    """ε against the server, which sees each upload with one client's noise; a client's data are replaced, so its change
    moves by up to 2C. Noise on the download has no effect here"""
    delta: float


def noise_for(target: float, rounds: int, clients: int, delta: float = 1e-5) -> tuple[float, float]:
    """Return upload and download noise, each with half of the variance, for ε = target of the broadcasts."""
    z = noise_multiplier(target, rounds, delta)
    return z / math.sqrt(2.0 * clients), z / math.sqrt(2.0)


def grouped_users(traces: CellTraces, clients: int | None) -> np.ndarray:
    """Return the client of each user (users,): its own, or one of equal groups of neighbours, from west to east.

    Raises ValueError for more clients than users.
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
    """Federation of clients that train without sharing their traces; `seed` is of weights, batches and noise.

    With `garbage`, v is pulled towards new random weights in place of the global model: a control of whether v learns
    from the global model, or any penalty would do.
    """

    num_cells, num_users, num_clients = 0, 0, 0

    def __init__(self, shape: Shape, rounds: FederatedRounds | None = None, seed: int = 0, *, garbage: bool = False):
        self.shape, self.seed, self.garbage = shape, seed, garbage
        self.rounds = FederatedRounds() if rounds is None else rounds

    def fit(self, traces: CellTraces, *, shared: bool = True, personal: bool = True) -> Self:
        """Train w, v or both, from the same new weights.

        Raises ValueError if a client has no stretch of X + H steps or there are more clients than users, and
        FloatingPointError for a non-finite loss.
        """
        r = self.rounds
        self.channels, samples = samples_of(traces, self.shape.length, self.shape.horizon)
        self.client = grouped_users(traces, r.clients)
        own = _own_samples(self.client, samples)
        # Separate generators: v gets the same batches whether w is trained, noised or replaced.
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
            if personal:  # v is pulled towards the model of the start of the round
                for _ in range(r.steps):
                    v.step(self.stack, samples, _batch(v_batches, own, r.batch), towards, r.penalty)
        self.personal = v.weights.detach()
        return self

    def _released(self, change: torch.Tensor, noise: np.random.Generator) -> torch.Tensor:
        """Return the broadcast change (P,) of the global model from the clients' changes (K, P)."""
        r = self.rounds
        if r.upload_noise == 0.0 == r.download_noise:
            return change.mean(dim=0)
        norm = change.norm(dim=1, keepdim=True)
        uploads = change * (r.clip / norm.clamp(min=r.clip))
        uploads = uploads + r.upload_noise * r.clip * _normal(noise, uploads.shape)
        total = uploads.sum(dim=0) + r.download_noise * r.clip * _normal(noise, uploads.shape[1:])
        return total / len(change)

    def noise_over_clip(self) -> float:
        """Return the expected norm of a round's noise on the average, √P times its deviation, over C."""
        r, clients = self.rounds, self.num_clients
        return math.sqrt(self.stack.size * (clients * r.upload_noise**2 + r.download_noise**2)) / clients

    def model(self, which: str) -> FederatedForecaster:
        """Return the forecaster "w", the global model for all users, or "v", each client's own."""
        if which not in ("w", "v"):
            raise ValueError(f"which must be 'w' or 'v', got {which!r}")
        return FederatedForecaster(self, personal=which == "v")


def _normal(rng: np.random.Generator, shape: torch.Size) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def _own_samples(client: np.ndarray, samples: Samples) -> list[np.ndarray]:
    """Return the indices of each client's samples; ValueError if a client has none."""
    owner = client[samples.user.numpy()]
    own = [np.flatnonzero(owner == k) for k in range(int(client.max()) + 1)]
    for k, mine in enumerate(own):
        if not len(mine):
            raise ValueError(f"client {k} has no window to learn from: its traces are too short")
    return own


def _batch(rng: np.random.Generator, own: list[np.ndarray], size: int) -> torch.Tensor:
    """Draw the samples (K, B) of one step of all clients, with replacement."""
    sizes = np.array([len(mine) for mine in own])
    picked = rng.integers(sizes[:, None], size=(len(own), size))
    return torch.from_numpy(np.stack([mine[p] for mine, p in zip(own, picked, strict=True)]))


class FederatedForecaster:
    """`CellForecaster` of a federation: the global model, or each client's own (for unknown users the global one)."""

    def __init__(self, federation: Federation, *, personal: bool):
        self.federation, self.personal = federation, personal

    def fit(self, traces: CellTraces) -> Self:
        """Train the whole federation from new weights."""
        self.federation.fit(traces)
        return self

    @torch.no_grad()
    def predict_proba(self, history: History, horizon: int) -> np.ndarray:
        """Predict as `CellForecaster.predict_proba`."""
        f = self.federation
        check_question(self, history, horizon, f.num_cells, f.num_users)
        history = last_steps(history, horizon, f.shape)
        x, past = f.channels.of_history(history)
        client = np.where((history.user >= 0) & self.personal, f.client[history.user], -1)
        found = np.empty((len(client), horizon, f.num_cells))
        for k in np.unique(client):
            rows = np.flatnonzero(client == k)
            weights = f.shared if k < 0 else f.personal[k]
            output = f.stack.call(weights, x[rows], past[rows])
            found[rows] = probabilities(f.stack.network, output, horizon, f.channels.site)
        return found
