"""Actor-critic networks for DTPlacementMA-v0 with action="price": every station's bid for hosting and its price.

All take the central controller's observation, which contains the stations' own: in `SequentialMarket` stations share it
(Lu 2021, Section V-A: "all the agents share the same system state"), in `LocalPerceptron` each sees its part alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal
from torch.nn.functional import one_hot

import agents.networks.market as markets
from agents.networks.decision import Decision
from agents.networks.market import Choices, Market, as_action, choices, equilibrium
from agents.networks.perceptron import stack
from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement.entries import LINK, USER
from dtenv.tasks.placement.task import PlacementTask

NOISE = 0.2
"""Initial standard deviation of a price's logarithm, where prices are learned."""

SHIFT = 10.0
"""Number larger than any `least`, for stations that do not count."""


class Decided(NamedTuple):
    """Features and decisions of `SequentialMarket`, computed once per rollout and evaluated in every pass over it."""

    turn: Tensor  # (B, M, turn features) of the station whose turn it is, turn by turn
    station: Tensor  # (B, M) station whose turn it is
    may: Tensor  # (B, M) whether it may close: the other hosts have room for all
    stays: Tensor  # (B, M) whether it hosts, turn by turn
    host: Tensor  # (B, M) the same by station
    price: Tensor  # (B, M) equilibrium prices, as the environment's numbers
    state: Tensor  # (B, state features) for the central critic
    own: Tensor  # (B, M, own features) for the stations' critics

    def rows(self, index: Tensor) -> Decided:
        """Some rows of the batch."""
        return Decided(*(field[index] for field in self))


class SequentialMarket(nn.Module):
    """Stations announce in turn whether they host; prices are those of the resulting equilibrium.

    Initially all host. The station whose closing costs least has the next turn and decides to stay or to close; prices
    then return to equilibrium, and so on until each has had its turn. Users' choices and equilibrium prices between two
    announcements have no parameters (`agents.networks.market`); only the decisions to close are learned. Any number of
    users and stations; permuting stations permutes the decision.

    The critic is "central", of all stations, or "local", one estimate per station from its own observation.
    """

    def __init__(self, scenario: PlacementScenario, critic: str = "central"):
        super().__init__()
        self.read, self.central = markets.MarketReader(scenario), critic == "central"
        self.close = stack(10, 1, 0.01, 64)
        features = 8 if self.central else 10
        self.critic = nn.Sequential(Whiten(features), stack(features, 1, 1.0, 64))

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions (B, 2 M)."""
        return self.judge(self.look(obs, action, greedy), action, greedy)

    @torch.no_grad()
    def look(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decided:
        """Features of all decisions, with announcements drawn or taken from the given actions."""
        market = self.read(obs)
        given = None if action is None else action.unflatten(-1, (-1, 2))[..., 0] > 0.5
        host = torch.ones_like(market.compute)
        price = equilibrium(market, host, markets.even_prices(market, host), markets.FIRST)
        seen = choices(market, host, price)
        state, waiting = self.state(market, price, seen), host.bool()
        rows = torch.arange(len(host))
        turns, order, mays, stays = [], [], [], []
        for _ in range(host.shape[1]):
            missed = (seen.least + seen.most).masked_fill(~waiting, torch.inf)
            k = missed.argmin(-1)
            turn = self.turn(market, host, price, seen, k)
            may = (market.capacity * host).sum(-1) - market.capacity[rows, k] > 1.0 - 1e-6
            chance = self.close(turn).squeeze(-1)
            if given is not None:
                closes = ~given[rows, k]
            elif greedy:
                closes = chance > 0.0
            else:
                closes = torch.bernoulli(chance.sigmoid()).bool()
            closes = closes & may
            waiting = waiting & ~one_hot(k, host.shape[1]).bool()
            host = host - one_hot(k, host.shape[1]) * closes[:, None]
            changed = closes.nonzero().squeeze(-1)
            if len(changed):
                fewer, open_ = market.rows(changed), host[changed]
                price = price.index_copy(0, changed, equilibrium(fewer, open_, price[changed], markets.AGAIN))
                again = choices(fewer, open_, price[changed])
                seen = Choices(*(old.index_copy(0, changed, new) for old, new in zip(seen, again, strict=True)))
            turns.append(turn), order.append(k), mays.append(may), stays.append(~closes)
        price = equilibrium(market, host, price, markets.LAST)
        turn_, station, may, stay = (torch.stack(x, 1) for x in (turns, order, mays, stays))
        own = own_view(self.read.layout.split(obs))
        return Decided(turn_, station, may, stay, host, as_action(price), state, own)

    def judge(self, seen: Decided, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decision of the announcements and their prices, or that of the given actions."""
        closing = Bernoulli(logits=self.close(seen.turn).squeeze(-1), validate_args=False)
        announced = torch.where(seen.may, closing.log_prob((~seen.stays).float()), 0.0)
        uncertain = torch.where(seen.may, closing.entropy(), 0.0)
        log_prob = torch.zeros_like(announced).scatter(1, seen.station, announced)
        entropy = torch.zeros_like(uncertain).scatter(1, seen.station, uncertain)
        if action is None:
            action = torch.stack([seen.host, seen.price], -1).flatten(1)
        value = self.critic(seen.state if self.central else seen.own).squeeze(-1)
        return Decision(action, log_prob, entropy, value)

    def turn(self, market: Market, host: Tensor, price: Tensor, seen: Choices, k: Tensor) -> Tensor:
        """Features (B, 10) of station k (B,) at its turn."""
        rows, stations = torch.arange(len(host)), host.shape[1]
        others = (seen.least + SHIFT * (1.0 - host)).masked_fill(one_hot(k, stations).bool(), SHIFT)
        room = (market.capacity * host).sum(-1) - market.capacity[rows, k] - 1.0
        entries = [
            seen.least[rows, k],
            seen.most[rows, k],
            others.amin(-1).clamp(max=4.0),
            price[rows, k],
            (market.compute * host).sum(-1),
            market.compute[rows, k] * stations,
            seen.load[rows, k] * stations,
            seen.twins[rows, k] / market.capacity[rows, k],
            room.clamp(max=2.0),
            20.0 * seen.late.sum(-1),
        ]
        return torch.stack(entries, -1).clamp(-4.0, 4.0)

    def state(self, market: Market, price: Tensor, seen: Choices) -> Tensor:
        """Features (B, 8) of the central critic, while all stations host."""
        chosen = (market.detour + price[:, None]).amin(-1) * market.size
        balanced = chosen.sum(-1) - 0.5 * (market.compute * price.square()).sum(-1)
        entries = [
            market.fixed,
            balanced * market.worth,
            10.0 * seen.late.sum(-1),
            10.0 * seen.nearly.sum(-1),
            seen.least.clamp(max=4.0).mean(-1),
            seen.least.clamp(max=1.0).mean(-1),
            seen.most.clamp(max=1.0).mean(-1),
            market.slack_s.mean(-1),
        ]
        return torch.stack(entries, -1)


def own_view(view: dict[str, Tensor]) -> Tensor:
    """Every station's own observation with users averaged, (B, M, 10), from the central controller's blocks."""
    users, stations, wired = view["users"], view["stations"], view["links"][..., LINK.wired]
    own = users[:, :, [USER.data_bits, USER.update_bits, USER.slack]]
    mean = own.mean(1)[:, None].expand(-1, stations.shape[1], -1)
    return torch.cat([mean, stations, wired.mean(1)[..., None]], -1)


class Whiten(nn.Module):
    """Scales features to zero mean and unit deviation, as measured on the first batch in training."""

    def __init__(self, features: int):
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("spread", torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Whitened features (…, features)."""
        if self.training and not self.spread.any():
            rows = x.detach().flatten(0, -2)
            self.centre.copy_(rows.mean(0))
            self.spread.copy_(rows.std(0) + 1e-3)
        return (x - self.centre) / self.spread.clamp(min=1e-3)


class LocalPerceptron(nn.Module):
    """One perceptron that every station applies to its own observation, without communication.

    Hosting and prices are decided at the same time. Execution is decentralised; a central critic is used in training
    only. It serves only the numbers of users and stations for which it was built. The critic is `SequentialMarket`'s.
    """

    def __init__(self, scenario: PlacementScenario, critic: str = "central"):
        super().__init__()
        task = PlacementTask(scenario)
        self.layout, self.central = task.layout, critic == "central"
        self.actor = stack(task.station_layout.size, 2, 0.01)
        self.log_noise = nn.Parameter(torch.tensor(NOISE).log())
        self.critic = stack(task.layout.size if self.central else task.station_layout.size, 1, 1.0)

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions (B, 2 M)."""
        return self.judge(self.look(obs), action, greedy)

    def look(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Views:
        """The observations with the stations' own."""
        return Views(obs, stations_see(self.layout.split(obs)))

    def judge(self, seen: Views, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions."""
        bid, price = self.actor(seen.own).unbind(-1)
        hosting = Bernoulli(logits=4.0 * bid + 2.0, validate_args=False)  # initially, seven in eight host
        pricing = Normal(0.5 + markets.STEP * 4.0 * price, markets.STEP * self.log_noise.exp(), validate_args=False)
        if action is None:
            host = hosting.probs if greedy else hosting.sample()
            number = pricing.mean if greedy else pricing.sample()
            action = torch.stack([host, number], -1).flatten(1)
        host, number = action.unflatten(-1, (-1, 2)).unbind(-1)
        host = (host > 0.5).float()
        log_prob = hosting.log_prob(host) + pricing.log_prob(number)
        value = self.critic(seen.obs if self.central else seen.own).squeeze(-1)
        return Decision(action, log_prob, hosting.entropy() + pricing.entropy(), value)


class Views(NamedTuple):
    """Observations of the central controller and of the stations."""

    obs: Tensor  # (B, size)
    own: Tensor  # (B, M, own size)

    def rows(self, index: Tensor) -> Views:
        """Some rows of the batch."""
        return Views(self.obs[index], self.own[index])


def stations_see(view: dict[str, Tensor]) -> Tensor:
    """Every station's own observation (B, M, …), from the central controller's blocks."""
    users, stations, links = view["users"], view["stations"], view["links"]
    batch, count = stations.shape[:2]
    rows = users[:, None, :, [USER.data_bits, USER.update_bits, USER.slack]].expand(-1, count, -1, -1)
    linked = links[..., [LINK.gain, LINK.hosted, LINK.wired]].transpose(1, 2)
    which = torch.eye(count).expand(batch, -1, -1)
    return torch.cat([stations, which, torch.cat([rows, linked], -1).flatten(2)], -1)
