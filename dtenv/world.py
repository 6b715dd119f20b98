"""The only random file: draws one episode's exogenous tape from one NumPy Generator.

Users are drawn before servers, so scenarios that differ in their servers alone share users' walks and
data (common random numbers); what only some scenarios need is drawn last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.recording import Recording
from dtenv.scenario import AssociationScenario


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
    if mobility.recording is None:
        step = np.array(mobility.speed_mps) * mobility.slot_seconds
        random_waypoints(rng, network.area_m, step[0], step[1], tape.user_xy[b])
    else:
        recorded_walks(rng, mobility.recording, tape.user_xy[b])
    low, high = data.samples
    tape.samples[b] = rng.integers(int(low), int(high), tape.samples[b].shape, endpoint=True)
    tape.twin_bits[b] = rng.uniform(*data.twin_bits, tape.twin_bits[b].shape)
    if mobility.recording is None:
        tape.server_xy[b] = rng.uniform(0.0, network.area_m, tape.server_xy[b].shape)
    else:
        sites = mobility.recording.site_xy
        tape.server_xy[b] = sites[rng.permutation(len(sites))[: network.num_servers]]
    tape.cycles_per_bit[b] = rng.uniform(*network.cycles_per_bit, network.num_servers)
    tape.compute_capacity[b] = rng.uniform(*network.compute_capacity, network.num_servers)
    tape.sync_capacity[b] = rng.uniform(*network.sync_capacity, network.num_servers)
    if tape.random_history.shape[1]:
        tape.random_history[b] = rng.random(tape.random_history[b].shape)


@compiled
def random_waypoints(rng: np.random.Generator, area_m: float, slowest: float, fastest: float, xy: np.ndarray) -> None:
    """Random-waypoint walks into xy (slots, users, 2): straight legs to uniform points, no pause.

    Args:
        rng: the episode's generator.
        area_m: side of the square, metres.
        slowest: least distance walked a slot, metres; drawn uniformly up to `fastest` for each leg.
        fastest: greatest distance walked a slot, metres.
        xy: filled in place.
    """
    slots, users, _ = xy.shape
    for u in range(users):
        x, y = rng.random() * area_m, rng.random() * area_m
        goal_x, goal_y, speed = x, y, 0.0
        xy[0, u, 0], xy[0, u, 1] = x, y
        for t in range(1, slots):
            slot_left = 1.0  # a leg may end, and the next begin, within a slot
            while fastest > 0.0:
                away = np.hypot(goal_x - x, goal_y - y)
                if away > speed * slot_left:
                    x += (goal_x - x) / away * speed * slot_left
                    y += (goal_y - y) / away * speed * slot_left
                    break
                slot_left -= away / speed if speed > 0.0 else 0.0
                x, y = goal_x, goal_y
                goal_x, goal_y = rng.random() * area_m, rng.random() * area_m
                speed = slowest + (fastest - slowest) * rng.random()
            xy[t, u, 0], xy[t, u, 1] = x, y


def recorded_walks(rng: np.random.Generator, recording: Recording, xy: np.ndarray) -> None:
    """Recorded segments into xy (slots, users, 2): different ones while there are enough."""
    slots, users, _ = xy.shape
    count = len(recording.segment_start)
    chosen = rng.choice(count, users, replace=count < users)
    points = recording.segment_start[chosen][None, :] + np.arange(slots)[:, None]
    xy[:] = recording.walk_xy[points]
