"""Exogenous tape of DTMigration-v0."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.scenario.migration import MigrationScenario
from dtenv.world.outages import draw_outages
from dtenv.world.pcg64 import fill_uniform, next_word, uniform
from dtenv.world.sites import draw_sites
from dtenv.world.walks import Recorded, draw_walks


class MigrationTape(NamedTuple):
    """Exogenous data of B episodes. Slot 0 precedes the first decision, slot T + 1 is for the last observation.

    `shadow_slot` computes shadowing from its key. A cloud is the last of the M sites; its position has no meaning.
    """

    user_xy: np.ndarray  # (B, T + 2, N, 2) metres
    data_bits: np.ndarray  # (B, N) D_i, moved by a migration
    update_bits: np.ndarray  # (B, N) ΔD_i
    deadline_s: np.ndarray  # (B, N) τ_i of an update
    station_xy: np.ndarray  # (B, M, 2) metres
    compute_hz: np.ndarray  # (B, M) F_k
    shadowing_key: np.ndarray  # (B,) of the normal variates
    up: np.ndarray  # (B, T + 2, M) bool, whether a site's server works; (B, 0, M) if none can fail


def empty_migration_tape(scenario: MigrationScenario, batch: int) -> MigrationTape:
    """Allocate the tape of `batch` episodes."""
    slots, users, stations = scenario.episode.num_slots + 2, scenario.network.num_users, scenario.network.num_stations
    return MigrationTape(
        user_xy=np.empty((batch, slots, users, 2)),
        data_bits=np.empty((batch, users)),
        update_bits=np.empty((batch, users)),
        deadline_s=np.empty((batch, users)),
        station_xy=np.empty((batch, stations, 2)),
        compute_hz=np.empty((batch, stations)),
        shadowing_key=np.empty(batch, np.uint64),
        up=np.ones((batch, slots if scenario.deployment.fails else 0, stations), np.bool_),
    )


@compiled
def draw_migration(stream: np.ndarray, r: Any, recorded: Recorded, tape: MigrationTape, b: int) -> None:
    """Draw one episode into row b of the tape; r is from `EdgeRanges.record` with `Servers`.

    The cloud is drawn last, so a seed gives the same walks, stations and channels with and without it.
    """
    n = r.stations
    draw_walks(stream, r, recorded, tape.user_xy[b])
    fill_uniform(stream, r.least_data, r.most_data, tape.data_bits[b])
    fill_uniform(stream, r.least_update, r.most_update, tape.update_bits[b])
    fill_uniform(stream, r.least_deadline, r.most_deadline, tape.deadline_s[b])
    draw_sites(stream, recorded, r.area_m, r.separation_m, tape.station_xy[b, :n])
    fill_uniform(stream, r.least_compute, r.most_compute, tape.compute_hz[b, :n])
    tape.shadowing_key[b] = next_word(stream)
    draw_outages(stream, r, tape.up[b])
    for k in range(n, tape.compute_hz.shape[1]):
        tape.station_xy[b, k, 0] = tape.station_xy[b, k, 1] = 0.5 * r.area_m
        tape.compute_hz[b, k] = uniform(stream, r.least_cloud, r.most_cloud)
