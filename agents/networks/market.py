"""A slot of DTPlacementMA-v0 as a market for computing, read from batches of observations.

Units: prices are relative to `price_level`, loads and computing are shares of the totals over users and stations, and
a detour is a wired latency over s_i times the price level. User i chooses the host k with the least `detour_ik +
price_k`; with divisible users, computing and wired latencies are minimal where every price equals the marginal
computing latency, price_k = load_k / compute_k: λ_k = 2 S_k / F_k in the units of the decoding.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement.decode import PRICE_SPAN
from dtenv.tasks.placement.entries import LINK, STATION, USER
from dtenv.tasks.placement.kernels import Scale
from dtenv.tasks.placement.slot import Constants, update_weight
from dtenv.tasks.placement.task import PlacementTask

SHUT = 1e3
"""Price of a station that does not host."""

FIRST = tuple(5.0 * 20.0 ** (step / 9) for step in range(10))
AGAIN = tuple(10.0 * 5.0 ** (step / 4) for step in range(5))
LAST = tuple(10.0 * 30.0 ** (step / 11) for step in range(12))
"""Sharpness of users' choices in Newton steps: from scratch, after a station has closed, and at the end."""

FARTHEST = 0.25
"""Largest step of a price, since full Newton steps overshoot far from the solution."""

STEP = 0.5 / math.log(PRICE_SPAN)
"""Change of the environment's number for a price per unit of the price's logarithm."""


class Market(NamedTuple):
    """A batch of slots (B) with N users and M stations."""

    detour: Tensor  # (B, N, M)
    size: Tensor  # (B, N) shares of Σ s
    compute: Tensor  # (B, M) shares of Σ F
    capacity: Tensor  # (B, M) twins, over N
    slack_s: Tensor  # (B, N) deadline less wireless latency
    wired_s: Tensor  # (B, N, M) wired latency of building the twin (7)
    computing_s: Tensor  # (B, N) computing latency (9) of building it at relative price 1
    worth: Tensor  # (B,) loss of score per unit of all users' detour or price, over the cost of a host
    fixed: Tensor  # (B,) part of the score that no placement changes: transmission (4), (19)

    def rows(self, index: Tensor) -> Market:
        """The market of some rows."""
        return Market(*(field[index] for field in self))


class MarketReader:
    """Reads the central controller's observations of a scenario, which combine those of all stations."""

    def __init__(self, scenario: PlacementScenario):
        self.layout = PlacementTask(scenario).layout
        self.scale, self.constants = Scale.of(scenario), Constants.of(scenario)
        self.cycles_per_bit, self.power_w = float(scenario.twins.cycles_per_bit), float(scenario.radio.transmit_power_w)
        self.host_cost = max(self.constants.beta * self.constants.host_cost, 1e-3)

    def __call__(self, obs: Tensor) -> Market:
        """The market of observations (B, size)."""
        view = self.layout.split(obs)
        users, stations, links = view["users"], view["stations"], view["links"]
        c, scale = self.constants, self.scale
        data, update = users[..., USER.data_bits] * scale.data_bits, users[..., USER.update_bits] * scale.update_bits
        bits = data + float(update_weight(c)) * update
        root = (self.cycles_per_bit * bits).sqrt()  # s_i
        total, cycles = root.sum(-1), stations[..., STATION.compute_hz].sum(-1) * scale.compute_hz
        level = 2.0 * total / cycles
        metres = links[..., LINK.wired] * math.sqrt(2.0) * scale.area_m
        slack_s = users[..., USER.slack] * scale.deadline_s
        wireless_s = users[..., USER.deadline] * scale.deadline_s - slack_s
        transmitting = wireless_s * (c.alpha * bits / data + c.beta * self.power_w)
        return Market(
            detour=c.wired_s_per_bit_m * bits[..., None] * metres / (root * level[:, None])[..., None],
            size=root / total[:, None],
            compute=stations[..., STATION.compute_hz] * scale.compute_hz / cycles[:, None],
            capacity=stations[..., STATION.capacity],
            slack_s=slack_s,
            wired_s=c.wired_s_per_bit_m * data[..., None] * metres,
            computing_s=self.cycles_per_bit * data / root * 0.5 * level[:, None],
            worth=c.alpha * level * total / users.shape[1] / self.host_cost,
            fixed=-transmitting.mean(-1),
        )


def equilibrium(market: Market, host: Tensor, price: Tensor, sharpness: tuple[float, ...]) -> Tensor:
    """Prices (B, M) that approximately equal the marginal computing latencies of the resulting load.

    Newton steps of at most FARTHEST on load / compute - price, one per `sharpness` of the users' softmax choices, from
    the given prices (B, M). Stations with `host` (B, M) equal to 0 are shut.
    """
    shut = SHUT * (1.0 - host)
    eye = torch.eye(host.shape[1])
    for beta in sharpness:
        chosen = torch.softmax(-beta * (market.detour + (price + shut)[:, None]), -1)
        load = chosen * market.size[..., None]
        total = load.sum(1)
        slope = beta * (torch.diag_embed(total) - load.transpose(1, 2) @ chosen) / market.compute[..., None]
        step = torch.linalg.solve(eye + slope, total / market.compute - price)
        step = step * (FARTHEST / step.abs().amax(-1, keepdim=True)).clamp(max=1.0)
        price = (price + step).clamp(1.0 / PRICE_SPAN, PRICE_SPAN)
    return price


def even_prices(market: Market, host: Tensor) -> Tensor:
    """Prices (B, M) of hosts that share the load in proportion to their computing."""
    return (1.0 / (market.compute * host).sum(-1, keepdim=True)).expand_as(host).clamp(1.0 / PRICE_SPAN, PRICE_SPAN)


class Choices(NamedTuple):
    """Users' choices under prices, by station, (B, M)."""

    load: Tensor  # share of Σ s
    twins: Tensor  # over N
    least: (
        Tensor  # lower bound on the loss of closing the station, over a host's cost: its users at other hosts' prices
    )
    most: Tensor  # upper bound: all its users at their second choice
    late: Tensor  # users that miss their deadline, over N
    nearly: Tensor  # users within a tenth of a second of it, over N


def choices(market: Market, host: Tensor, price: Tensor) -> Choices:
    """Users' choices under prices (B, M), regardless of capacities.

    `least` follows from weak duality at the given prices, `most` from one feasible placement without the station.
    """
    cost = market.detour + (price + SHUT * (1.0 - host))[:, None]
    ranked = cost.topk(2, dim=-1, largest=False)
    first, second = (
        torch.nn.functional.one_hot(ranked.indices[..., place], host.shape[1]).to(cost) for place in (0, 1)
    )
    load = first * market.size[..., None]
    extra = (load * (ranked.values[..., 1:] - ranked.values[..., :1])).sum(1)
    moved = load.transpose(1, 2) @ second  # (B, M, M) from station to station
    least = extra + 0.5 * market.compute * price.square()
    most = least + 0.5 * (moved.square() / market.compute[:, None]).sum(-1)
    waiting = market.wired_s + market.computing_s[..., None] * price[:, None]
    margin = ((market.slack_s[..., None] - waiting) * first).sum(-1)  # (B, N)
    users = market.size.shape[1]
    late = (first * (margin < 0.0)[..., None]).sum(1) / users
    nearly = (first * (margin.abs() < 0.1)[..., None]).sum(1) / users
    worth = market.worth[:, None]
    return Choices(load.sum(1), first.mean(1), least * worth, most * worth, late, nearly)


def as_action(price: Tensor) -> Tensor:
    """Relative prices as the environment's numbers: 0.5 is the price level, 0 and 1 this over and times PRICE_SPAN."""
    return 0.5 + STEP * price.log()
