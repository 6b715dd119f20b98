"""Exogenous tape of DTAssociation-v0."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import as_record, compiled
from dtenv.scenario.association import AssociationScenario
from dtenv.world.pcg64 import fill_uniform, integer
from dtenv.world.sites import draw_sites
from dtenv.world.walks import Recorded, Walk, draw_walks


class AssociationRanges(NamedTuple):
    """Ranges of the uniform draws."""

    least_samples: int
    most_samples: int
    least_twin_bits: float
    most_twin_bits: float
    least_cycles: float
    most_cycles: float
    least_compute: float
    most_compute: float
    least_sync: float
    most_sync: float

    @classmethod
    def record(cls, scenario: AssociationScenario) -> np.ndarray:
        """Kernel record of a scenario's ranges and its `Walk`."""
        network, data = scenario.network, scenario.data
        ranges = cls(
            *map(int, data.samples),
            *map(float, (*data.twin_bits, *network.cycles_per_bit)),
            *map(float, (*network.compute_capacity, *network.sync_capacity)),
        )
        return as_record(Walk.of(scenario.mobility, network.area_m), ranges)


class AssociationTape(NamedTuple):
    """Exogenous data of B episodes. Slot 0 precedes the first decision, slot T + 1 is for the last observation."""

    user_xy: np.ndarray  # (B, T + 2, U, 2) metres
    samples: np.ndarray  # (B, T + 2, U) new samples
    twin_bits: np.ndarray  # (B, U)
    emd: np.ndarray  # (B, U)
    server_xy: np.ndarray  # (B, S, 2) metres
    cycles_per_bit: np.ndarray  # (B, S)
    compute_capacity: np.ndarray  # (B, S)
    sync_capacity: np.ndarray  # (B, S)
    random_history: np.ndarray  # (B, T + 2, U) γ of Baseline 3; (B, 0, U) unless history="random"


def empty_association_tape(scenario: AssociationScenario, batch: int) -> AssociationTape:
    """Allocate the tape of `batch` episodes."""
    slots, users, servers = scenario.episode.num_slots + 2, scenario.network.num_users, scenario.network.num_servers
    random_slots = slots if scenario.episode.history == "random" else 0
    return AssociationTape(
        user_xy=np.empty((batch, slots, users, 2)),
        samples=np.empty((batch, slots, users)),
        twin_bits=np.empty((batch, users)),
        emd=np.tile(scenario.data.user_emd(users), (batch, 1)),
        server_xy=np.empty((batch, servers, 2)),
        cycles_per_bit=np.empty((batch, servers)),
        compute_capacity=np.empty((batch, servers)),
        sync_capacity=np.empty((batch, servers)),
        random_history=np.empty((batch, random_slots, users)),
    )


@compiled
def draw_association(stream: np.ndarray, r: Any, recorded: Recorded, tape: AssociationTape, b: int) -> None:
    """Draw one episode into row b of the tape; r is from `AssociationRanges.record`."""
    draw_walks(stream, r, recorded, tape.user_xy[b])
    samples = tape.samples[b]
    for t in range(samples.shape[0]):
        for u in range(samples.shape[1]):
            samples[t, u] = integer(stream, r.least_samples, r.most_samples)
    fill_uniform(stream, r.least_twin_bits, r.most_twin_bits, tape.twin_bits[b])
    draw_sites(stream, recorded, r.area_m, 0.0, tape.server_xy[b])
    fill_uniform(stream, r.least_cycles, r.most_cycles, tape.cycles_per_bit[b])
    fill_uniform(stream, r.least_compute, r.most_compute, tape.compute_capacity[b])
    fill_uniform(stream, r.least_sync, r.most_sync, tape.sync_capacity[b])
    for t in range(tape.random_history.shape[1]):
        fill_uniform(stream, 0.0, 1.0, tape.random_history[b, t])
