"""What DTMigration tells of federated rounds over its twins, and of their miners' consensus (Khan 2022)."""

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
    """Sites (B,) where models are aggregated: the cloud, or else the station from which all are nearest together."""
    if scenario.deployment.has_cloud:
        return np.full(len(wired_m), wired_m.shape[1] - 1)
    return wired_m.sum(axis=2).argmin(axis=1)


def round_of(
    scenario: MigrationScenario, update_s: np.ndarray, host: np.ndarray, up: np.ndarray, wired_m: np.ndarray
) -> dict[str, np.ndarray]:
    """A federated round in which every twin, once up to date, sends its model from its host to the aggregator.

    Args:
        scenario: what is fixed.
        update_s: (B, N) T_upd of the twins.
        host: (B, N) their sites.
        up: (B, M) whether servers work: whoever is on one that does not sends nothing, and to one nobody does.
        wired_m: (B, M, M) between sites.

    Returns:
        Seconds of the round, the share of twins in it and their mean staleness, (B,) each; an asynchronous round is
        the time in which as many updates come as there are twins.
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
    found = play(ready_s, rounds.round_deadline_s)
    return {"round": found.seconds, "round_share": found.share, "staleness": found.staleness}


def consensus_joules(rounds: Rounds) -> float:
    """Joules that the miners take for one block."""
    costs = float(rounds.miner_j_per_bit), float(rounds.verify_j)
    if rounds.consensus == "pbft":
        return pbft_energy(rounds.num_miners, float(rounds.block_bits), float(rounds.vote_bits), *costs)
    if rounds.consensus == "dpos":
        return dpos_energy(rounds.num_miners, float(rounds.block_bits), *costs)
    return 0.0


def consensus_of(scenario: MigrationScenario, batch: int) -> dict[str, np.ndarray]:
    """Seconds that every update waits for the miners' block, a part of T_upd, and its joules, (B,) each."""
    seconds, joules = consensus_seconds(scenario.rounds), consensus_joules(scenario.rounds)
    return {"latency_consensus": np.full(batch, seconds), "consensus_energy": np.full(batch, joules)}
