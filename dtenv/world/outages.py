"""Outages of servers: exogenous, drawn with the episode."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.scenario.migration import MigrationScenario
from dtenv.world.pcg64 import random


class OutageRates(NamedTuple):
    """Number of stations, range of the cloud's computing, and probabilities per slot of failure and repair."""

    stations: int  # sites with a radio, which come first
    least_cloud: float
    most_cloud: float
    station_fails: float
    cloud_fails: float
    is_repaired: float

    @classmethod
    def of(cls, scenario: MigrationScenario) -> OutageRates:
        """Values of a scenario."""
        deployment, slot_s = scenario.deployment, scenario.mobility.slot_seconds
        return cls(
            scenario.num_sites,
            *deployment.cloud_compute_hz,
            chance(deployment.failure_rate_per_s, slot_s),
            chance(deployment.cloud_failure_rate_per_s, slot_s),
            chance(1.0 / deployment.repair_s, slot_s),
        )


def chance(rate_per_s: float, seconds: float) -> float:
    """Probability of an event of constant rate within `seconds`."""
    return -math.expm1(-rate_per_s * seconds)


@compiled
def draw_outages(stream: np.ndarray, r: Any, up: np.ndarray) -> None:
    """Draw into up (slots, M) whether each site's server works: a two-state Markov chain each, up in slot 0.

    r has the fields of `OutageRates`; `up` has no rows if servers never fail. The cloud is drawn after the stations.
    """
    if len(up) == 0:
        return
    for k in range(up.shape[1]):
        fails = r.station_fails if k < r.stations else r.cloud_fails
        up[0, k] = True
        for t in range(1, len(up)):
            x = random(stream)
            up[t, k] = x >= fails if up[t - 1, k] else x < r.is_repaired
