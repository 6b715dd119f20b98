"""Features of a user's stations from a DTMigration observation, in units of utility, without parameters."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dtenv.scenario import MigrationScenario
from dtenv.tasks.migration.batch import Scale
from dtenv.tasks.migration.entries import LINK, STATION, USER
from dtenv.tasks.migration.slot import Constants, seats_of
from dtenv.tasks.migration.task import MigrationTask

AHEAD_SLOTS = (3.0, 8.0, 16.0, 30.0, 60.0)
"""Numbers of slots ahead at which stations are evaluated, at the user's constant velocity."""

STEP_M = 15.0
"""Unit of steps, metres: the same in every scenario, so that weights serve all."""

LARGEST = 5.0
"""Bound on the absolute value of features."""


class StationFeatures(NamedTuple):
    """Features of B observations, K users and M stations; for a focal user only `host` depends on its past choices."""

    station: Tensor  # (B, K, M, FEATURES), independent of the twin's host
    worth: Tensor  # (B, K, M, 1 + ahead) score of a slot there, less a part common to all stations: now, then ahead
    price: Tensor  # (B, K, M, M) price of moving from a station (axis -2) to another (axis -1), in units of score
    wired: Tensor  # (B, 1, M, M) distance between stations, over the square's side
    host: Tensor  # (B, K, M) 1 at the twin's host
    room: Tensor  # (B, K, M) 1 where the twin may be
    walked_m: Tensor  # (B, K) distance since the last slot


class FeatureExtractor:
    """Reads observations of a scenario, with the same features for any number of stations.

    Stations are evaluated ahead at the user's constant velocity: path loss follows the position, shadowing fades to its
    mean, and the access station follows a softmax over gains, whose temperature grows as shadowing becomes unknown. The
    wired latency is that of the mean distance to the access station; the load is held.
    """

    FEATURES = 6 + 2 + 3 + 4 + 7 + 3 * len(AHEAD_SLOTS) + 1
    PAIR_FEATURES = 1 + len(AHEAD_SLOTS) + 3

    def __init__(self, scenario: MigrationScenario):
        radio = scenario.radio
        self.layout = MigrationTask(scenario).layout
        self.scale, self.constants = Scale.of(scenario), Constants.of(scenario)
        self.seats = torch.tensor([max(seats_of(self.constants, k), 1) for k in range(scenario.network.num_stations)])
        self.decorrelation_m = float(radio.shadowing_decorrelation_m)
        # Differences of Gumbel variates of this scale have the deviation of a difference of two links' shadowing.
        self.shadowing_db = (
            math.sqrt(6.0) / math.pi * radio.shadowing_db * math.sqrt(1 - radio.shadowing_site_correlation)
        )

    @torch.no_grad()
    def __call__(self, obs: Tensor) -> StationFeatures:
        """StationFeatures of observations (B, size)."""
        view = self.layout.split(obs)
        users, stations, links = view["users"], view["stations"], view["links"]
        c, area_m = self.constants, self.scale.area_m
        host, room = links[..., LINK.hosts], links[..., LINK.room]
        xy, station_xy = 0.5 * area_m * users[..., None, :2], 0.5 * area_m * stations[:, None, :, :2]  # from the centre
        step = users[..., None, USER.dx : USER.dy + 1] * self.scale.step_m
        wired_m = (station_xy - station_xy.transpose(1, 2)).norm(dim=-1)[:, None]  # (B, 1, M, M)
        if c.cloud >= 0:
            wired_m[..., c.cloud, : c.cloud] = wired_m[..., : c.cloud, c.cloud] = c.cloud_distance_m
        deadline_s = (users[..., USER.deadline] * self.scale.deadline_s)[..., None]
        time_s = torch.full_like(deadline_s, c.utility_time_s) if c.utility_time_s > 0.0 else deadline_s
        most = c.utility_beta * torch.exp(deadline_s / time_s)
        latency_s = -time_s * links[..., LINK.worth].clamp(min=torch.finfo(torch.float32).tiny).log()
        wired_s_per_m = c.wired_s_per_bit_m * self.scale.update_bits * users[..., USER.update_bits, None]
        side_m = area_m if c.cloud < 0 else self.scale.wire_m / math.sqrt(2.0)
        unwired_s = latency_s - wired_s_per_m * math.sqrt(2.0) * side_m * links[..., LINK.wired]
        now = most * links[..., LINK.worth] - c.deadline_penalty * (latency_s > deadline_s)

        # The stations ahead
        distance_m = (station_xy - xy).norm(dim=-1)
        span_db = self.scale.most_gain_db - self.scale.least_gain_db
        gain_db = 0.5 * (links[..., LINK.gain] + 1.0) * span_db + self.scale.least_gain_db
        shadowing_db = gain_db + self.loss_db(distance_m)  # a gain here
        walked_m = step.norm(dim=-1)
        worth, chances, distances = [now], [], []
        for slots in AHEAD_SLOTS:
            there = (xy + slots * step).clamp(-0.5 * area_m, 0.5 * area_m)
            then_m = (station_xy - there).norm(dim=-1)
            kept = torch.exp(-slots * walked_m / self.decorrelation_m) if self.decorrelation_m > 0.0 else 0.0 * walked_m
            expected_db = kept * shadowing_db - self.loss_db(then_m) + c.handover_margin_db * links[..., LINK.access]
            temperature_db = 1.0 + self.shadowing_db * (1.0 - kept * kept).clamp(min=0.0).sqrt()
            expected_db[..., c.stations :] = -torch.inf  # the cloud has no radio
            chance = torch.softmax(expected_db / temperature_db, -1)  # of being the access station
            then_s = unwired_s + wired_s_per_m * (chance[..., None, :] @ wired_m).squeeze(-2)
            late = torch.sigmoid(20.0 * (then_s / deadline_s - 1.0))
            worth.append(most * torch.exp(-then_s / time_s) - c.deadline_penalty * late)
            chances.append(chance)
            distances.append(then_m / area_m)

        towards = ((station_xy - xy) * step).sum(-1) / (distance_m + 1.0) / STEP_M
        computing = unwired_s / deadline_s - users[..., USER.wireless, None]
        others = stations[:, None, :, STATION.twins] - host / self.seats  # other twins there
        own = [now, distance_m / area_m, towards, shadowing_db / 20.0, computing, others, walked_m / STEP_M]
        shown = (USER.x, USER.y, USER.data_bits, USER.update_bits, USER.deadline, USER.wireless)
        parts = [
            *users[..., None, shown].unbind(-1),
            *(step / STEP_M).unbind(-1),
            *stations[:, None, :, (STATION.x, STATION.y, STATION.compute_hz)].unbind(-1),
            *links[..., (LINK.gain, LINK.access, LINK.wired, LINK.latency)].unbind(-1),
            *own,
            *worth[1:],
            *chances,
            *distances,
            view["forecast"].mean(-1),
        ]
        station = torch.stack([part.expand_as(now) for part in parts], -1).clamp(-LARGEST, LARGEST)
        bits = (users[..., USER.data_bits] * self.scale.data_bits)[..., None, None]
        price = c.kappa * (c.downtime_s + c.wired_s_per_bit_m * bits * wired_m) / c.slot_seconds
        price = price * (1.0 - torch.eye(now.shape[-1]))
        return StationFeatures(station, torch.stack(worth, -1), price, wired_m / area_m, host, room, walked_m[..., 0])

    def loss_db(self, distance_m: Tensor) -> Tensor:
        """Path loss, dB, as in dtenv.physics.radio."""
        c = self.constants
        return c.path_loss_km_db + c.path_loss_decade_db * torch.log10(distance_m.clamp(min=c.min_distance_m) / 1000.0)


def from_host(outlook: StationFeatures) -> Tensor:
    """Features (B, K, M, PAIR_FEATURES) of moving from the twin's host to every station."""
    host = outlook.host[..., None]
    here = (outlook.worth * host).sum(-2, keepdim=True)
    price, wired = (outlook.price * host).sum(-2), (outlook.wired * host).sum(-2)
    return _features(outlook.worth - here, price, wired)


def from_any(outlook: StationFeatures) -> Tensor:
    """Features (B, K, M, M, PAIR_FEATURES) of moving from every station (axis -3) to every station (axis -2)."""
    gained = outlook.worth[..., None, :, :] - outlook.worth[..., :, None, :]
    return _features(gained, outlook.price, outlook.wired.expand_as(outlook.price))


def _features(gained: Tensor, price: Tensor, wired: Tensor) -> Tensor:
    moved: Any = (price > 0.0).to(price.dtype)
    return torch.cat([gained, torch.stack([price, moved, wired], -1)], -1).clamp(-LARGEST, LARGEST)
