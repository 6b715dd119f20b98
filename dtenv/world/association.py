"""The tape of DTAssociation-v0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.scenario.association import AssociationScenario
from dtenv.world.sites import draw_sites
from dtenv.world.walks import draw_walks


class AssociationTape(NamedTuple):
    """Everything exogenous of a batch of episodes (B). Slot 0 lies before the first decision, slot T + 1
    after the last, so that slot t knows D_{t-1} and the last observation has a slot to show.
    """

    user_xy: np.ndarray  # (B, T + 2, U, 2) metres
    samples: np.ndarray  # (B, T + 2, U) new samples
    twin_bits: np.ndarray  # (B, U)
    emd: np.ndarray  # (B, U)
    server_xy: np.ndarray  # (B, S, 2) metres
    cycles_per_bit: np.ndarray  # (B, S)
    compute_capacity: np.ndarray  # (B, S)
    sync_capacity: np.ndarray  # (B, S)
    random_history: np.ndarray  # (B, T + 2, U) γ of Baseline 3; (B, 0, U) where not asked for


def empty_association_tape(scenario: AssociationScenario, batch: int) -> AssociationTape:
    """Room for `batch` episodes."""
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


def draw_association(rng: np.random.Generator, scenario: AssociationScenario, tape: AssociationTape, b: int) -> None:
    """Draw one episode into row b of the tape."""
    network, mobility, data = scenario.network, scenario.mobility, scenario.data
    draw_walks(rng, mobility, network.area_m, tape.user_xy[b])
    low, high = data.samples
    tape.samples[b] = rng.integers(int(low), int(high), tape.samples[b].shape, endpoint=True)
    tape.twin_bits[b] = rng.uniform(*data.twin_bits, tape.twin_bits[b].shape)
    draw_sites(rng, mobility.recording, network.area_m, 0.0, tape.server_xy[b])
    tape.cycles_per_bit[b] = rng.uniform(*network.cycles_per_bit, network.num_servers)
    tape.compute_capacity[b] = rng.uniform(*network.compute_capacity, network.num_servers)
    tape.sync_capacity[b] = rng.uniform(*network.sync_capacity, network.num_servers)
    if tape.random_history.shape[1]:
        tape.random_history[b] = rng.random(tape.random_history[b].shape)
