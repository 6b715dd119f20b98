"""Federated rounds over DTMigration's twins, and their miners' consensus (Khan 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.physics.aggregation import asynchronous_round, synchronous_round
from dtenv.physics.consensus import dpos_energy, pbft_energy
from dtenv.physics.latency import wired_latency
from dtenv.scenario.deployment import Rounds
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration.slot import consensus_seconds


def aggregator_of(scenario: MigrationScenario, wired_m: np.ndarray) -> np.ndarray:
    """Aggregating sites (B,): the cloud, or else the station with the least total distance to all others."""
    if scenario.deployment.has_cloud:
        return np.full(len(wired_m), wired_m.shape[1] - 1)
    return wired_m.sum(axis=2).argmin(axis=1)


def round_of(
    scenario: MigrationScenario, update_s: np.ndarray, host: np.ndarray, up: np.ndarray, wired_m: np.ndarray
) -> dict[str, np.ndarray]:
    """Federated round in which every twin, after its update, sends its model from its host to the aggregator.

    Takes T_upd update_s (B, N), the twins' sites host (B, N), whether servers work, up (B, M), and wired_m (B, M, M).
    Twins on a failed server send nothing; a failed aggregator receives nothing. Returns the seconds of the round, the
    share of twins in it and their mean staleness, (B,) each; an asynchronous round lasts for as many updates as twins.
    """
    rows, rounds = np.arange(len(host)), scenario.rounds
    aggregator = aggregator_of(scenario, wired_m)
    metres: Any = wired_m[rows[:, None], host, aggregator[:, None]]
    sent_s = wired_latency(float(scenario.twins.wired_s_per_bit_m), float(rounds.model_bits), metres)
    if scenario.deployment.has_cloud:
        sent_s = sent_s + scenario.deployment.cloud_latency_s * (host != aggregator[:, None])
    reached = up[rows[:, None], host] & up[rows, aggregator][:, None]
    ready_s = np.where(reached, update_s + sent_s, np.inf)
    play = synchronous_round if rounds.aggregation == "synchronous" else asynchronous_round
    return dict(zip(("round", "round_share", "staleness"), play(ready_s, rounds.round_deadline_s), strict=True))


def consensus_joules(rounds: Rounds) -> float:
    """Joules of the miners for one block."""
    costs = float(rounds.miner_j_per_bit), float(rounds.verify_j)
    if rounds.consensus == "pbft":
        return pbft_energy(rounds.num_miners, float(rounds.block_bits), float(rounds.vote_bits), *costs)
    if rounds.consensus == "dpos":
        return dpos_energy(rounds.num_miners, float(rounds.block_bits), *costs)
    return 0.0


def consensus_of(scenario: MigrationScenario, batch: int) -> dict[str, np.ndarray]:
    """Seconds that every update waits for the miners' block, a part of T_upd, and its joules, (B,) each."""
    costs = {"latency_consensus": consensus_seconds, "consensus_energy": consensus_joules}
    return {name: np.full(batch, cost(scenario.rounds)) for name, cost in costs.items()}
