"""Exogenous tape of DTPlacementMA-v0."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.scenario.placement import PlacementScenario
from dtenv.world.pcg64 import fill_uniform, next_word
from dtenv.world.sites import draw_sites
from dtenv.world.walks import Recorded, draw_walks


class PlacementTape(NamedTuple):
    """Exogenous data of B episodes. Slot 0 precedes the first decision, slot T + 1 is for the last observation.

    `shadow_slot` computes shadowing from its key.
    """

    user_xy: np.ndarray  # (B, T + 2, N, 2) metres
    data_bits: np.ndarray  # (B, T + 2, N) D_i
    update_bits: np.ndarray  # (B, T + 2, N) ΔD_i
    deadline_s: np.ndarray  # (B, N) τ_i
    station_xy: np.ndarray  # (B, M, 2) metres
    compute_hz: np.ndarray  # (B, T + 2, M) F_k
    shadowing_key: np.ndarray  # (B,) of the normal variates


def empty_placement_tape(scenario: PlacementScenario, batch: int) -> PlacementTape:
    """Allocate the tape of `batch` episodes."""
    slots, users, stations = scenario.episode.num_slots + 2, scenario.network.num_users, scenario.network.num_stations
    return PlacementTape(
        user_xy=np.empty((batch, slots, users, 2)),
        data_bits=np.empty((batch, slots, users)),
        update_bits=np.empty((batch, slots, users)),
        deadline_s=np.empty((batch, users)),
        station_xy=np.empty((batch, stations, 2)),
        compute_hz=np.empty((batch, slots, stations)),
        shadowing_key=np.empty(batch, np.uint64),
    )


@compiled
def draw_placement(stream: np.ndarray, r: Any, recorded: Recorded, tape: PlacementTape, b: int) -> None:
    """Draw one episode into row b of the tape; r is from `EdgeRanges.record`."""
    slots = tape.user_xy.shape[1]
    draw_walks(stream, r, recorded, tape.user_xy[b])
    for t in range(slots):
        fill_uniform(stream, r.least_data, r.most_data, tape.data_bits[b, t])
    for t in range(slots):
        fill_uniform(stream, r.least_update, r.most_update, tape.update_bits[b, t])
    fill_uniform(stream, r.least_deadline, r.most_deadline, tape.deadline_s[b])
    draw_sites(stream, recorded, r.area_m, r.separation_m, tape.station_xy[b])
    for t in range(slots):
        fill_uniform(stream, r.least_compute, r.most_compute, tape.compute_hz[b, t])
    tape.shadowing_key[b] = next_word(stream)
