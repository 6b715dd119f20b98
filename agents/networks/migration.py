"""Actor-critic network for DTMigration-v0 that serves any number of stations, for one focal user or several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks.decision import Decision, choose, orthogonal
from agents.networks.station_features import FeatureExtractor, StationFeatures, from_any, from_host
from dtenv.scenario import MigrationScenario

FULL = -1e9
"""Logit of a station that the twin may not use."""


class Equivariant(nn.Module):
    """Shared encoder of stations, which also see the maximum over all; a pair layer scores moves from host to station.

    Permuting stations permutes the scores. Decisions depend on the present observation alone. With control="joint"
    users share all weights and decide independently. The weights serve other scenarios too.

    Args:
        scenario: scenario of the observations.
        stay: initial logit of staying.
        values: outputs of the critic: the value of rewards, or with 2 those of rewards and of costs.
        reader: reader of the observations.
    """

    def __init__(
        self,
        scenario: MigrationScenario,
        stay: float = 3.0,
        values: int = 1,
        reader: type[FeatureExtractor] = FeatureExtractor,
    ):
        super().__init__()
        width, pair = 48, 24  # of the stations' encoder, and of the pair layer
        self.read = reader(scenario)
        self.scalar = scenario.episode.control == "focal"
        self.encoder = orthogonal(nn.Linear(reader.FEATURES, width))
        self.mix_own, self.mix_best = orthogonal(nn.Linear(width, width)), orthogonal(nn.Linear(width, width))
        self.target, self.source = orthogonal(nn.Linear(width, pair)), orthogonal(nn.Linear(width, pair))
        self.move = orthogonal(nn.Linear(reader.PAIR_FEATURES, pair))
        self.score = orthogonal(nn.Linear(pair, 1), 0.01)
        self.stay = nn.Parameter(torch.tensor(stay))
        first, second = orthogonal(nn.Linear(3 * width, width)), orthogonal(nn.Linear(width, width))
        self.critic = nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Linear(width, values))

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions."""
        outlook = self.read(obs)
        stations = self.encode(outlook)
        here = (stations * outlook.host[..., None]).sum(-2)  # (B, K, width)
        moves = torch.relu(self.target(stations) + self.source(here)[..., None, :] + self.move(from_host(outlook)))
        logits = self.score(moves).squeeze(-1) + self.stay * outlook.host
        state = torch.cat([here, stations.mean(-2), stations.amax(-2)], -1)
        value = self.critic(state).mean(1).squeeze(-1)  # over users
        return choose(logits.masked_fill(outlook.room < 0.5, FULL), value, action, greedy, self.scalar)

    def moves(self, outlook: StationFeatures) -> Tensor:
        """Log-probabilities (B, K, M, M) of moving to every station if the twin is at the station of axis -2."""
        stations = self.encode(outlook)
        ends = self.target(stations)[..., None, :, :] + self.source(stations)[..., :, None, :]
        stay = self.stay * torch.eye(stations.shape[-2])
        return (self.score(torch.relu(ends + self.move(from_any(outlook)))).squeeze(-1) + stay).log_softmax(-1)

    def encode(self, outlook: StationFeatures) -> Tensor:
        """Embeddings of stations (B, K, M, width), independent of the twin's host."""
        alone = torch.relu(self.encoder(outlook.station))
        return torch.relu(self.mix_own(alone) + self.mix_best(alone.amax(-2, keepdim=True)))
