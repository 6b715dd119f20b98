"""The tape of DTMigration-v0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.scenario.migration import MigrationScenario
from dtenv.world.channel import draw_shadowing
from dtenv.world.sites import draw_sites
from dtenv.world.walks import draw_walks


class MigrationTape(NamedTuple):
    """Everything that is drawn for a batch of episodes (B), but for shadowing, of which the task keeps what it needs.

    Slot 0 lies before the first decision, slot T + 1 after the last, for the last observation.
    """

    user_xy: np.ndarray  # (B, T + 2, N, 2) metres
    data_bits: np.ndarray  # (B, N) D_i, what a migration moves
    update_bits: np.ndarray  # (B, N) ΔD_i
    deadline_s: np.ndarray  # (B, N) τ_i of an update
    station_xy: np.ndarray  # (B, M, 2) metres
    compute_hz: np.ndarray  # (B, M) F_k


def empty_migration_tape(scenario: MigrationScenario, batch: int) -> MigrationTape:
    """Room for `batch` episodes."""
    slots, users, stations = scenario.episode.num_slots + 2, scenario.network.num_users, scenario.network.num_stations
    return MigrationTape(
        user_xy=np.empty((batch, slots, users, 2)),
        data_bits=np.empty((batch, users)),
        update_bits=np.empty((batch, users)),
        deadline_s=np.empty((batch, users)),
        station_xy=np.empty((batch, stations, 2)),
        compute_hz=np.empty((batch, stations)),
    )


def draw_migration(
    rng: np.random.Generator, scenario: MigrationScenario, tape: MigrationTape, b: int, shadowing_db: np.ndarray
) -> None:
    """Draw one episode into row b of the tape and its shadowing into shadowing_db (T + 2, N, M), dB."""
    network, mobility, twins = scenario.network, scenario.mobility, scenario.twins
    draw_walks(rng, mobility, network.area_m, tape.user_xy[b])
    tape.data_bits[b] = rng.uniform(*twins.data_bits, network.num_users)
    tape.update_bits[b] = rng.uniform(*twins.update_bits, network.num_users)
    tape.deadline_s[b] = rng.uniform(*scenario.objective.update_deadline_s, network.num_users)
    draw_sites(rng, mobility.recording, network.area_m, network.separation_m, tape.station_xy[b])
    tape.compute_hz[b] = rng.uniform(*network.compute_hz, network.num_stations)
    draw_shadowing(rng, scenario.radio, tape.user_xy[b], shadowing_db)
