"""Deterministic actors and critics of stations for DTPlacementMA-v0 with action="price" (Lu 2021, Section V-A).

Unlike agents/networks/placement.py it solves no equilibrium: each station's users are summed up and encoded, and
stations then see the mean and the maximum over all, since "all the agents share the same system state".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks.decision import Decision, orthogonal
from agents.networks.market import STEP
from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement.entries import LINK, USER
from dtenv.tasks.placement.task import PlacementTask

REACH = 2.0
"""Largest distance of prices from the price level, as a logarithm."""

FEATURES = 17
"""Number of features of a station from `stations_view`."""

HIDDEN = 64
"""Width of the layers."""


def stations_view(view: dict[str, Tensor]) -> Tensor:
    """Features of stations and sums over their users, (B, M, FEATURES), from the blocks of the observation.

    A user counts for the stations near its access station by wire, more for the nearer ones.
    """
    users, stations, links = view["users"], view["stations"], view["links"]
    wired, access = links[..., LINK.wired], links[..., LINK.access]
    per_station = wired.shape[2] / wired.shape[1]  # from means over all users to means per station
    near = torch.softmax(-12.0 * wired, -1)
    own = users[..., [USER.data_bits, USER.update_bits, USER.slack]]
    apart = (stations[..., None, :2] - stations[..., None, :, :2]).norm(dim=-1)
    entries = [
        stations,
        near.sum(1)[..., None] * per_station,
        near.transpose(1, 2) @ own * per_station,
        access.transpose(1, 2) @ own * per_station,
        torch.stack([(1.0 - wired / reach).relu().mean(1) for reach in (0.15, 0.3, 0.6)], -1),
        torch.exp(-2.0 * apart).sum(-1, keepdim=True) / 2.0,
    ]
    return torch.cat(entries, -1)


class Encoder(nn.Module):
    """Encoder of stations (B, M, HIDDEN) from their features, with `numbers` entries of their actions."""

    def __init__(self, numbers: int):
        super().__init__()
        self.inward = orthogonal(nn.Linear(FEATURES + numbers, HIDDEN))
        self.mix = orthogonal(nn.Linear(3 * HIDDEN, HIDDEN))
        self.norms = nn.ModuleList([nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)])

    def forward(self, *entries: Tensor) -> Tensor:
        """Encode the entries (B, M, …), concatenated."""
        station = self.norms[0](self.inward(torch.cat(entries, -1))).tanh()
        most, mean = station.amax(1, keepdim=True), station.mean(1, keepdim=True)
        shared = torch.cat([station, most.expand_as(station), mean.expand_as(station)], -1)
        return self.norms[1](self.mix(shared)).tanh()


class Actor(nn.Module):
    """A bid for hosting and a price for every station, (B, M, 2) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.head = Encoder(0), orthogonal(nn.Linear(HIDDEN, 2), 0.01)

    def forward(self, seen: Tensor) -> Tensor:
        """Actions (B, M, 2) for features (B, M, FEATURES)."""
        bid, price = self.head(self.encode(seen)).tanh().unbind(-1)
        return torch.stack([(0.75 + 0.5 * bid).clamp(0.0, 1.0), 0.5 + STEP * REACH * price], -1)


class Critic(nn.Module):
    """Q(s, a_1 … a_M) of (31), (B, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.head = Encoder(3), orthogonal(nn.Linear(HIDDEN, 1), 1.0)

    def forward(self, seen: Tensor, action: Tensor) -> Tensor:
        """Value of actions (B, M, 2), read as bids, smoothed hosting decisions and prices."""
        bid, price = action.unbind(-1)
        numbers = torch.stack([2.0 * bid - 1.0, (16.0 * (bid - 0.5)).tanh(), 2.0 * (price - 0.5) / STEP], -1)
        return self.head(self.encode(seen, numbers)).mean(1)


class Actors(nn.Module):
    """One actor for all stations, or `count` of them."""

    def __init__(self, count: int):
        super().__init__()
        self.each = nn.ModuleList([Actor() for _ in range(count)])

    def forward(self, seen: Tensor) -> Tensor:
        """Actions (B, M, 2)."""
        if len(self.each) == 1:
            return self.each[0](seen)
        return torch.stack([actor(seen)[:, k] for k, actor in enumerate(self.each)], 1)


class Critics(nn.Module):
    """One critic for all stations, or `count` of them."""

    def __init__(self, count: int):
        super().__init__()
        self.each = nn.ModuleList([Critic() for _ in range(count)])

    def forward(self, seen: Tensor, action: Tensor) -> Tensor:
        """Values (B, K) of all stations' actions (B, M, 2), one per critic."""
        return torch.cat([critic(seen, action) for critic in self.each], -1)

    def of_own(self, seen: Tensor, chosen: Tensor, played: Tensor) -> Tensor:
        """Values (B, K) that actors follow (30): critic k's, of station k's chosen action with the others' played ones.

        A shared critic evaluates all chosen actions together: the sum of its stations' gradients.
        """
        if len(self.each) == 1:
            return self.each[0](seen, chosen)
        values = []
        for k, critic in enumerate(self.each):
            action = torch.cat([played[:, :k], chosen[:, k : k + 1], played[:, k + 1 :]], 1)
            values.append(critic(seen, action))
        return torch.cat(values, -1)


class Deterministic(nn.Module):
    """Actors and critics of stations, `shared` or one of each per station; shared ones serve any number of stations."""

    def __init__(self, scenario: PlacementScenario, shared: bool = True):
        super().__init__()
        count = 1 if shared else scenario.network.num_stations
        self.layout = PlacementTask(scenario).layout
        self.actors, self.critics = Actors(count), Critics(count)

    def see(self, obs: Tensor) -> Tensor:
        """Features (B, M, FEATURES) for actors and critics; they use no parameters, so replay stores them for `obs`."""
        return stations_view(self.layout.split(obs))

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, (B, 2 M), or evaluate the given actions."""
        seen = self.see(obs)
        chosen = self.actors(seen).flatten(1) if action is None else action
        value = self.critics(seen, chosen.unflatten(-1, (-1, 2))).mean(-1)
        nothing = torch.zeros_like(chosen[:, ::2])
        return Decision(chosen, nothing, nothing, value)
