"""The tape of DTPlacementMA-v0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.scenario.placement import PlacementScenario
from dtenv.world.channel import draw_shadowing
from dtenv.world.sites import draw_sites
from dtenv.world.walks import draw_walks


class PlacementTape(NamedTuple):
    """Everything exogenous of a batch of episodes (B). Slot 0 lies before the first decision, slot T + 1
    after the last, for the last observation.
    """

    user_xy: np.ndarray  # (B, T + 2, N, 2) metres
    data_bits: np.ndarray  # (B, T + 2, N) D_i
    update_bits: np.ndarray  # (B, T + 2, N) ΔD_i
    deadline_s: np.ndarray  # (B, N) τ_i
    station_xy: np.ndarray  # (B, M, 2) metres
    compute_hz: np.ndarray  # (B, T + 2, M) F_k
    shadowing_db: np.ndarray  # (B, T + 2, N, M)


def empty_placement_tape(scenario: PlacementScenario, batch: int) -> PlacementTape:
    """Room for `batch` episodes."""
    slots, users, stations = scenario.episode.num_slots + 2, scenario.network.num_users, scenario.network.num_stations
    return PlacementTape(
        user_xy=np.empty((batch, slots, users, 2)),
        data_bits=np.empty((batch, slots, users)),
        update_bits=np.empty((batch, slots, users)),
        deadline_s=np.empty((batch, users)),
        station_xy=np.empty((batch, stations, 2)),
        compute_hz=np.empty((batch, slots, stations)),
        shadowing_db=np.empty((batch, slots, users, stations)),
    )


def draw_placement(rng: np.random.Generator, scenario: PlacementScenario, tape: PlacementTape, b: int) -> None:
    """Draw one episode into row b of the tape."""
    network, mobility, twins = scenario.network, scenario.mobility, scenario.twins
    draw_walks(rng, mobility, network.area_m, tape.user_xy[b])
    tape.data_bits[b] = rng.uniform(*twins.data_bits, tape.data_bits[b].shape)
    tape.update_bits[b] = rng.uniform(*twins.update_bits, tape.update_bits[b].shape)
    tape.deadline_s[b] = rng.uniform(*scenario.objective.deadline_s, network.num_users)
    draw_sites(rng, mobility.recording, network.area_m, network.separation_m, tape.station_xy[b])
    tape.compute_hz[b] = rng.uniform(*network.compute_hz, tape.compute_hz[b].shape)
    draw_shadowing(rng, scenario.radio, tape.user_xy[b], tape.shadowing_db[b])
