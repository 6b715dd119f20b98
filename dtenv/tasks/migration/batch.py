"""Arrays of a batch of DTMigration episodes, and the divisors of its observations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import inlined
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.episodes import ends, flatten
from dtenv.tasks.migration.background import CachedDecisions
from dtenv.tasks.migration.exogenous import Exogenous, Work
from dtenv.tasks.migration.slot import Constants, creation_seconds, downtime_price, migration_price
from dtenv.tasks.uplink import gain_range_db
from dtenv.world.migration import MigrationTape
from dtenv.world.walks import Recorded


class State(NamedTuple):
    """Mutable state of B episodes."""

    server: np.ndarray  # (B, N) hosts: last slot's for the agent's users, this slot's for others
    previous: np.ndarray  # (B, N) in the slot before, for rendering
    slot: np.ndarray  # (B,) slot to decide, 1 … T; T + 1 at the end
    loads: np.ndarray  # (B, 2, M) computing weight and twins of every station under `server`


class TermColumns(NamedTuple):
    """Columns of Terms.totals; the first USER_TERMS are those of Terms.users too."""

    wireless: int = 0  # seconds, of an update
    wired: int = 1
    compute: int = 2
    update: int = 3  # T_upd (11)
    energy: int = 4  # joules (19)
    utility: int = 5  # U (20)
    price: int = 6  # of a migration
    downtime: int = 7  # T_mig, seconds
    late: int = 8  # 1 if T_upd exceeds the deadline
    reward: int = 9
    score: int = 10
    migrations: int = 11
    handovers: int = 12  # changes of access station
    refused: int = 13  # migrations to a full station or one that is down
    creations: int = 14
    isolations: int = 15  # slots without service
    releases: int = 16  # seats freed by moving or being created elsewhere


TERM = TermColumns()
USER_TERMS = TERM.late + 1


class Terms(NamedTuple):
    """Terms of the last slot of B episodes."""

    users: np.ndarray  # (B, n, USER_TERMS)
    totals: np.ndarray  # (B, len(TERM))


SLOW_BPS = 1e6
"""Uplink rate, bit/s, below which observations clip the price of creating a twin."""


class Scale(NamedTuple):
    """Divisors that scale observations to [-1, 1]."""

    area_m: float
    step_m: float  # longest walk in one slot
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
        """Upper ends of a scenario's ranges."""
        network, mobility, twins, c = scenario.network, scenario.mobility, scenario.twins, Constants.of(scenario)
        wire_m = float(np.sqrt(2.0) * network.area_m)
        if c.cloud >= 0:
            wire_m = max(wire_m, c.cloud_distance_m)
        dearest = migration_price(c, float(twins.data_bits[1]), wire_m)
        if c.has_lifecycle:
            dearest = max(dearest, downtime_price(c, creation_seconds(c, float(twins.data_bits[1]), SLOW_BPS, wire_m)))
        step_m = max(mobility.speed_mps[1] * mobility.slot_seconds, 1e-9)
        bits = max(twins.data_bits[1], 1e-9), max(twins.update_bits[1], 1e-9)
        compute_hz = max(network.compute_hz[1], scenario.deployment.cloud_compute_hz[1] if c.cloud >= 0 else 0.0)
        times = scenario.objective.update_deadline_s[1], compute_hz, max(dearest, 1e-9)
        return cls(float(network.area_m), step_m, *bits, *times, wire_m, *gain_range_db(scenario.radio, network))


class Batch(NamedTuple):
    """All arrays of B episodes."""

    tape: MigrationTape
    course: Exogenous
    state: State
    terms: Terms
    work: Work
    looks: CachedDecisions
    recorded: Recorded
    streams: np.ndarray  # (B, WORDS) random generators
    ranges: np.ndarray  # (1,) record of EdgeRanges
    expected: np.ndarray  # (B, T + 2, n, H, 2) positions from a user-defined forecaster; else (B, 0, …)
    forecast_obs: (
        np.ndarray
    )  # (B, T + 2, ·) float32, forecast blocks of the observation for forecast stations; else (B, 0, 0)
    obs: np.ndarray  # (B, layout.size) float32
    mask: np.ndarray  # (B, n, M) bool
    constants: np.ndarray  # (1,) record of Constants
    scale: np.ndarray  # (1,) record of Scale

    def flatten(self) -> tuple[np.ndarray, ...]:
        """Arrays as one plain tuple."""
        return flatten(self)


_GROUPS = MigrationTape, Exogenous, State, Terms, Work, CachedDecisions, Recorded
_TAPE, _COURSE, _STATE, _TERMS, _WORK, _LOOKS, _RECORDED = ends(*_GROUPS)


@inlined
def unflatten(arrays):
    """Rebuild a `Batch` from its `flatten` tuple, inside a kernel."""
    return Batch(
        MigrationTape(*arrays[:_TAPE]),
        Exogenous(*arrays[_TAPE:_COURSE]),
        State(*arrays[_COURSE:_STATE]),
        Terms(*arrays[_STATE:_TERMS]),
        Work(*arrays[_TERMS:_WORK]),
        CachedDecisions(*arrays[_WORK:_LOOKS]),
        Recorded(*arrays[_LOOKS:_RECORDED]),
        *arrays[_RECORDED:],
    )
