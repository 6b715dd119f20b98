"""Terms of one slot of DTAssociation under an association κ (Zhou 2025, eqs 11-15, 21-25).

`evaluate` is the model, called by the environment's step, the scoring of instances and the bounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import kernel
from dtenv.physics.barrier import floored_barrier, is_violated, literal_barrier, smooth_barrier, violation_penalty
from dtenv.physics.energy import normalised_energy
from dtenv.tasks.association import allocation
from dtenv.tasks.association.slot import (
    BARRIER_REWARD,
    LITERAL_REWARD,
    OPTIMAL_BARRIER,
    SCORE_REWARD,
    Constants,
    Slot,
    host_users,
    link_users_by_server,
    list_linked_users,
)


class Terms(NamedTuple):
    """Results of `evaluate` for B slots."""

    history: np.ndarray  # (B, U) γ
    utility: np.ndarray  # (B, U) ρ
    energy: np.ndarray  # (B, S, 4) migration, synchronisation, computation, transfer
    totals: np.ndarray  # (B, len(TOTAL))
    first: np.ndarray  # (B, S) work array: every server's first user, from `link_users_by_server`


class Totals(NamedTuple):
    """Columns of Terms.totals."""

    objective: int = 0  # e (22)
    score: int = 1  # e minus the penalties of violated constraints
    reward: int = 2
    utility: int = 3  # mean ρ
    migration: int = 4  # energy, summed over servers (13)
    synchronisation: int = 5  # (14)
    computation: int = 6  # (15)
    latency: int = 7  # mean upload time, seconds, the time in (14)
    excess: int = 8  # sum of the relative excess of violated constraints
    violations: int = 9  # number of violated constraints
    migrations: int = 10  # twins moved
    certified_value: int = 11  # attained value of the allocation's program
    certified_bound: int = 12  # proven upper bound of it
    transfer: int = 13  # energy of models, neglected by the paper


TOTAL = Totals()


class Work(NamedTuple):
    """Work arrays of B slots, see allocation."""

    users: np.ndarray  # (B, rows, U)
    slopes: np.ndarray  # (B, rows, MAX_SLOPES)


def new_terms(batch: int, num_users: int, num_servers: int) -> Terms:
    """Allocate the terms of `batch` slots."""
    shapes = (num_users,), (num_users,), (num_servers, 4), (len(TOTAL),)
    history, utility, energy, totals = (np.zeros((batch, *shape)) for shape in shapes)
    return Terms(history, utility, energy, totals, np.zeros((batch, num_servers), np.int64))


def new_work(batch: int, num_users: int) -> Work:
    """Allocate the work arrays of `batch` slots."""
    users, slopes = allocation.work_arrays(num_users)
    return Work(np.tile(users, (batch, 1, 1)), np.tile(slopes, (batch, 1, 1)))


@kernel
def evaluate(c: Constants, slot: Slot, server: np.ndarray, users: np.ndarray, slopes: np.ndarray, terms: Terms, b: int):
    """Write the terms of one slot under κ = server (U,) to row b of `terms`; with c.mode GIVEN, γ is read there."""
    num_users, num_servers = len(server), len(slot.compute_capacity)
    history, utility, totals, first = terms.history[b], terms.utility[b], terms.totals[b], terms.first[b]
    f0, curve, reward, barrier_program = c.f0, c.barrier_curve, c.reward, c.mode == OPTIMAL_BARRIER
    moved = sent = computed = transferred = spent = penalty = barrier = program_barrier = gap = violations = excess = (
        0.0
    )
    link_users_by_server(server, first, users)
    for s in range(num_servers):
        q, p = slot.compute_capacity[s], slot.sync_capacity[s]
        n = list_linked_users(first[s], users)
        migration, synchronisation, load, transfer, server_gap = host_users(
            c, slot, s, n, users, slopes, history, utility
        )
        terms.energy[b, s, 0] = migration
        terms.energy[b, s, 1] = synchronisation
        terms.energy[b, s, 2] = load
        terms.energy[b, s, 3] = transfer
        if n > 0:  # an idle server adds nothing
            moved += migration
            sent += synchronisation
            computed += load
            transferred += transfer
            spent += normalised_energy(migration + synchronisation + load + transfer, f0)
            gap += server_gap
            penalty += violation_penalty(load, q) + violation_penalty(synchronisation, p)
            if is_violated(load, q):
                violations += 1.0
                excess += load / q - 1.0
            if is_violated(synchronisation, p):
                violations += 1.0
                excess += synchronisation / p - 1.0
            if reward == BARRIER_REWARD:
                barrier += smooth_barrier(load, q, curve) + smooth_barrier(synchronisation, p, curve)
        if reward == LITERAL_REWARD:
            barrier += floored_barrier(load, q, curve) + floored_barrier(synchronisation, p, curve)
        if barrier_program and load < q:
            program_barrier += literal_barrier(load, q, curve)
    mean_utility = latency = migrations = 0.0
    bits_per_sample, rate = c.bits_per_sample, c.rate_bps
    for u in range(num_users):
        mean_utility += utility[u] / num_users
        latency += slot.samples[u] * bits_per_sample / rate / num_users
        migrations += 1.0 if server[u] != slot.previous_server[u] else 0.0
    objective = c.beta1 * mean_utility - c.beta2 / num_servers * spent
    score = objective - penalty
    totals[TOTAL.objective] = objective
    totals[TOTAL.score] = score
    totals[TOTAL.reward] = score if reward == SCORE_REWARD else objective - barrier
    totals[TOTAL.utility] = mean_utility
    totals[TOTAL.migration] = moved
    totals[TOTAL.synchronisation] = sent
    totals[TOTAL.computation] = computed
    totals[TOTAL.transfer] = transferred
    totals[TOTAL.latency] = latency
    totals[TOTAL.excess] = excess
    totals[TOTAL.violations] = violations
    totals[TOTAL.migrations] = migrations
    totals[TOTAL.certified_value] = objective - program_barrier
    totals[TOTAL.certified_bound] = objective - program_barrier + gap
