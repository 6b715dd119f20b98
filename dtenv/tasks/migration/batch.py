"""What a batch of DTMigration's episodes consists of, and the divisors of its observations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import inlined
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.episodes import ends, flat
from dtenv.tasks.migration.background import Looks
from dtenv.tasks.migration.exogenous import Course, Work
from dtenv.tasks.migration.slot import Constants, creation_seconds, migration_price, stop_price
from dtenv.tasks.uplink import gain_range_db
from dtenv.world.migration import MigrationTape
from dtenv.world.walks import Recorded


class State(NamedTuple):
    """What an episode's past leaves to its future, for a batch (B)."""

    server: np.ndarray  # (B, N) stations that host the twins: of the agent's users since the last slot, of others now
    previous: np.ndarray  # (B, N) in the slot before, for pictures
    slot: np.ndarray  # (B,) the slot to be decided, 1 … T; T + 1 at the end
    loads: np.ndarray  # (B, 2, M) computing weights and twins of every station under `server`


class TermColumns(NamedTuple):
    """Columns of Terms: of users the first USER_TERMS, of totals all; the others are of totals alone."""

    wireless: int = 0  # seconds, of an update
    wired: int = 1
    compute: int = 2
    update: int = 3  # T_upd (11)
    energy: int = 4  # joules (19)
    utility: int = 5  # U (20)
    price: int = 6  # of a migration
    downtime: int = 7  # T_mig, seconds
    late: int = 8  # 1 where T_upd is past the deadline
    reward: int = 9
    score: int = 10
    migrations: int = 11
    handovers: int = 12  # changes of access station
    refused: int = 13  # migrations to a full station or one that is down, which stay undone
    creations: int = 14
    isolations: int = 15  # slots without service
    releases: int = 16  # seats given up, by moving or being created elsewhere


TERM = TermColumns()
USER_TERMS = TERM.late + 1


class Terms(NamedTuple):
    """What the last slot was worth, for a batch (B)."""

    users: np.ndarray  # (B, n, USER_TERMS)
    totals: np.ndarray  # (B, len(TERM)), the first as the columns of users


SLOW_BPS = 1e6
"""Uplink rate below which the price of creating a twin is clipped in observations."""


class Scale(NamedTuple):
    """Divisors that bring observations into [-1, 1]."""

    area_m: float
    step_m: float  # fastest walk of one slot
    data_bits: float
    update_bits: float
    deadline_s: float
    compute_hz: float
    price: float
    wire_m: float  # longest wire
    least_gain_db: float
    most_gain_db: float

    @classmethod
    def of(cls, scenario: MigrationScenario) -> Scale:
        """The upper ends of a scenario's ranges."""
        network, mobility, twins, c = scenario.network, scenario.mobility, scenario.twins, Constants.of(scenario)
        wire_m = float(np.sqrt(2.0) * network.area_m)
        if c.cloud >= 0:
            wire_m = max(wire_m, c.cloud_distance_m)
        dearest = migration_price(c, float(twins.data_bits[1]), wire_m)
        if c.lives:
            dearest = max(dearest, stop_price(c, creation_seconds(c, float(twins.data_bits[1]), SLOW_BPS, wire_m)))
        return cls(
            float(network.area_m),
            max(mobility.speed_mps[1] * mobility.slot_seconds, 1e-9),
            max(twins.data_bits[1], 1e-9),
            max(twins.update_bits[1], 1e-9),
            scenario.objective.update_deadline_s[1],
            max(network.compute_hz[1], scenario.deployment.cloud_compute_hz[1] if c.cloud >= 0 else 0.0),
            max(dearest, 1e-9),
            wire_m,
            *gain_range_db(scenario.radio, network),
        )


class Batch(NamedTuple):
    """All arrays of a batch of episodes."""

    tape: MigrationTape
    course: Course
    state: State
    terms: Terms
    work: Work
    looks: Looks
    recorded: Recorded
    streams: np.ndarray  # (B, WORDS) what episodes are drawn with
    ranges: np.ndarray  # (1,) record of EdgeRanges
    expected: np.ndarray  # (B, T + 2, n, H, 2) positions that a forecaster gave; (B, 0, …) unless it is one's own
    told: np.ndarray  # (B, T + 2, ·) float32, what observations end with where stations are forecast; else (B, 0, 0)
    obs: np.ndarray  # (B, layout.size) float32
    mask: np.ndarray  # (B, n, M) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale

    def flat(self) -> tuple[np.ndarray, ...]:
        """The arrays as one plain tuple."""
        return flat(self)


_TAPE, _COURSE, _STATE, _TERMS, _WORK, _LOOKS, _RECORDED = ends(
    MigrationTape, Course, State, Terms, Work, Looks, Recorded
)


@inlined
def named(arrays):
    """The `Batch` of its `flat` tuple, inside a kernel."""
    return Batch(
        MigrationTape(*arrays[:_TAPE]),
        Course(*arrays[_TAPE:_COURSE]),
        State(*arrays[_COURSE:_STATE]),
        Terms(*arrays[_STATE:_TERMS]),
        Work(*arrays[_TERMS:_WORK]),
        Looks(*arrays[_WORK:_LOOKS]),
        Recorded(*arrays[_LOOKS:_RECORDED]),
        *arrays[_RECORDED:],
    )
