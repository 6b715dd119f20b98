"""Features of a user's stations from the forecast in a DTMigration observation.

The reader of agents.networks.station_features extrapolates the user's velocity. This one uses the scenario's forecast
and nothing else about the future, so that networks differ by the forecast alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agents.networks.migration import Equivariant
from agents.networks.station_features import LARGEST, FeatureExtractor, StationFeatures
from dtenv.scenario import MigrationScenario
from dtenv.tasks.migration.entries import LINK, USER

ENDS = (2, 5, 10, 20)
"""Last slots of the windows over which forecasts are averaged; beyond the scenario's horizon its last slot is used."""


class ForeseeingReader(FeatureExtractor):
    """Reads the present, and each station's mean score and chance of serving in each window of the forecast."""

    PRESENT = 6 + 2 + 3 + 4 + 7
    FEATURES = PRESENT + 2 * len(ENDS)
    PAIR_FEATURES = 1 + len(ENDS) + 3

    def __init__(self, scenario: MigrationScenario):
        super().__init__(scenario)
        horizon, begins = scenario.episode.horizon, (0, *ENDS[:-1])
        self.windows = [range(min(a, horizon - 1), min(b, horizon)) for a, b in zip(begins, ENDS, strict=True)]

    @torch.no_grad()
    def __call__(self, obs: Tensor) -> StationFeatures:
        """StationFeatures of observations (B, size)."""
        outlook = super().__call__(obs)
        score, chance = self.foreseen(obs)
        station = torch.cat([outlook.station[..., : self.PRESENT], score, chance], -1).clamp(-LARGEST, LARGEST)
        return outlook._replace(station=station, worth=torch.cat([outlook.worth[..., :1], score], -1))

    def foreseen(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast score of a slot on each station, and its chance of serving, (B, K, M, windows).

        What is not forecast is held at its present value, as in agents.heuristics.migration_planner.
        """
        view, c = self.layout.split(obs), self.constants
        users, links, xy = view["users"], view["links"], 0.5 * self.scale.area_m * view["stations"][:, None, :, :2]
        deadline_s = (users[..., USER.deadline] * self.scale.deadline_s)[..., None, None]
        time_s: Any = torch.full_like(deadline_s, c.utility_time_s) if c.utility_time_s > 0.0 else deadline_s
        most = c.utility_beta * torch.exp(deadline_s / time_s)
        bits = (users[..., USER.update_bits] * self.scale.update_bits)[..., None, None]
        wired_s = c.wired_s_per_bit_m * bits * (xy[:, :, :, None] - xy[:, :, None]).norm(dim=-1)  # (B, K, M, M)
        access = links[..., LINK.access]
        wireless_s = users[..., USER.wireless, None] * deadline_s[..., 0]  # (B, K, 1)
        seconds_now = seconds(time_s[..., 0], links[..., LINK.worth])
        computing_s = seconds_now - wireless_s - (access[..., None, :] @ wired_s).squeeze(-2)
        scores, chances = [], []
        for window in self.windows:
            total_score, total_chance = 0.0, 0.0
            for h in window:
                chance = view["forecast"][..., h]
                chance = torch.where(chance.sum(-1, keepdim=True) > 0.0, chance, access)
                chance = chance / chance.sum(-1, keepdim=True)
                ahead_s = wireless_s
                if "channel" in view:
                    ahead_s = seconds(time_s[..., 0], view["channel"][..., h, None])
                ahead_s = ahead_s + (seconds(time_s[..., 0], view["load"][..., h]) if "load" in view else computing_s)
                latency_s = ahead_s[..., None, :] + wired_s  # (B, K, serving, M)
                score = most * torch.exp(-latency_s / time_s) - c.deadline_penalty * (latency_s > deadline_s)
                total_score = total_score + (chance[..., None, :] @ score).squeeze(-2)
                total_chance = total_chance + chance
            scores.append(total_score / len(window))
            chances.append(total_chance / len(window))
        return torch.stack(scores, -1), torch.stack(chances, -1)


def seconds(time_s: Tensor, left: Tensor) -> Tensor:
    """Latency, s, for which exp(-latency / time) equals `left`."""
    return -time_s * left.clamp(min=torch.finfo(torch.float32).tiny).log()


def forecast_features(scenario: MigrationScenario, **options: Any) -> Equivariant:
    """Build the equivariant network that reads forecasts."""
    return Equivariant(scenario, reader=ForeseeingReader, **options)
