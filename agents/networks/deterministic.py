"""Deterministic actors and critics of stations for DTPlacementMA-v0 with action="price" (Lu 2021, Section V-A).

No physics here: what stations see is encoded, what users have in common is averaged, and stations see the mean and
the most of all, since "all the agents share the same system state".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks.decision import Decision, orthogonal
from agents.networks.market import STEP
from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement import PlacementTask

REACH = 2.0
"""How far prices reach from the price level, as a logarithm."""


class Encoder(nn.Module):
    """Stations' features (B, M, hidden) from the network's observation, and their actions where they are given."""

    def __init__(self, scenario: PlacementScenario, numbers: int, hidden: int, pairs: int = 16):
        super().__init__()
        self.layout = PlacementTask(scenario).layout
        self.pair = orthogonal(nn.Linear(7, pairs))
        self.inward = orthogonal(nn.Linear(6 + 3 * pairs + numbers, hidden))
        self.mix = orthogonal(nn.Linear(3 * hidden, hidden))
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])

    def forward(self, obs: Tensor, *numbers: Tensor) -> Tensor:
        """Encode."""
        view = self.layout.split(obs)
        users, stations, links = view["users"], view["stations"], view["links"]
        own = users[..., None, [2, 3, 5]].expand(*links.shape[:3], 3)
        wired = links[..., 3:]
        entries = torch.cat([own, links[..., [0, 1]], 4.0 * wired, (1.0 - 8.0 * wired).relu()], -1)
        pair = self.pair(entries).relu()
        near = torch.exp(-8.0 * wired)
        near = near / near.sum(2, keepdim=True)  # how much of a user is a station's, if all are alike
        own_users = (near * pair).sum(1) * (links.shape[2] / links.shape[1])
        seen = [stations, pair.mean(1), own_users, (links[..., 1:2] * pair).mean(1) * links.shape[2]]
        station = self.norms[0](self.inward(torch.cat([*seen, *numbers], -1))).tanh()
        most, mean = station.amax(1, keepdim=True), station.mean(1, keepdim=True)
        told = torch.cat([station, most.expand_as(station), mean.expand_as(station)], -1)
        return self.norms[1](self.mix(told)).tanh()


class Actor(nn.Module):
    """A bid for hosting and a price for every station, (B, M, 2) in [0, 1]."""

    def __init__(self, scenario: PlacementScenario, hidden: int = 64):
        super().__init__()
        self.encode, self.head = Encoder(scenario, 0, hidden), orthogonal(nn.Linear(hidden, 2), 0.01)

    def forward(self, obs: Tensor) -> Tensor:
        """Decide."""
        bid, price = self.head(self.encode(obs)).tanh().unbind(-1)
        return torch.stack([(0.75 + 0.5 * bid).clamp(0.0, 1.0), 0.5 + STEP * REACH * price], -1)


class Critic(nn.Module):
    """Q(s, a_1 … a_M) as (31) has it, (B, 1)."""

    def __init__(self, scenario: PlacementScenario, hidden: int = 64):
        super().__init__()
        self.encode, self.head = Encoder(scenario, 3, hidden), orthogonal(nn.Linear(hidden, 1), 1.0)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """Judge actions (B, M, 2): the bids, whether they suffice, smoothly, and the prices."""
        bid, price = action.unbind(-1)
        numbers = torch.stack([2.0 * bid - 1.0, (16.0 * (bid - 0.5)).tanh(), 2.0 * (price - 0.5) / STEP], -1)
        return self.head(self.encode(obs, numbers)).mean(1)


class Actors(nn.Module):
    """One actor for all stations, or one of each."""

    def __init__(self, scenario: PlacementScenario, shared: bool):
        super().__init__()
        count = 1 if shared else scenario.network.num_stations
        self.each = nn.ModuleList([Actor(scenario) for _ in range(count)])

    def forward(self, obs: Tensor) -> Tensor:
        """Actions (B, M, 2)."""
        if len(self.each) == 1:
            return self.each[0](obs)
        return torch.stack([actor(obs)[:, k] for k, actor in enumerate(self.each)], 1)


class Critics(nn.Module):
    """One critic for all stations, or one of each."""

    def __init__(self, scenario: PlacementScenario, shared: bool):
        super().__init__()
        count = 1 if shared else scenario.network.num_stations
        self.each = nn.ModuleList([Critic(scenario) for _ in range(count)])

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """Values (B, K) of all stations' actions (B, M, 2), one a critic."""
        return torch.cat([critic(obs, action) for critic in self.each], -1)

    def of_own(self, obs: Tensor, chosen: Tensor, played: Tensor) -> Tensor:
        """Values (B, K) that actors follow (30): critic k's, with station k's chosen action beside the played ones.

        A shared critic judges all chosen actions together: the sum of its stations' gradients.
        """
        if len(self.each) == 1:
            return self.each[0](obs, chosen)
        values = []
        for k, critic in enumerate(self.each):
            beside = torch.cat([played[:, :k], chosen[:, k : k + 1], played[:, k + 1 :]], 1)
            values.append(critic(obs, beside))
        return torch.cat(values, -1)


class Deterministic(nn.Module):
    """Actors and critics.

    Args:
        scenario: what observations are of.
        shared: whether stations share one of each. Then any number of users and stations is served.
    """

    def __init__(self, scenario: PlacementScenario, shared: bool = True):
        super().__init__()
        self.actors, self.critics = Actors(scenario, shared), Critics(scenario, shared)

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """The actors' decision, (B, 2 M), or the value of the given one."""
        chosen = self.actors(obs).flatten(1) if action is None else action
        value = self.critics(obs, chosen.unflatten(-1, (-1, 2))).mean(-1)
        nothing = torch.zeros(len(obs), chosen.shape[1] // 2)
        return Decision(chosen, nothing, nothing, value)
