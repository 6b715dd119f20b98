"""All terms of one slot of DTAssociation under an association κ (Zhou 2025, eqs 11-15, 21-25).

`evaluate` is the model: the environment's step, the scoring of instances and bounds all call it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv import allocation
from dtenv.compiled import kernel
from dtenv.physics.barrier import (
    floored_barrier,
    is_violated,
    literal_barrier,
    smooth_barrier,
    violation_penalty,
)
from dtenv.physics.energy import normalised_energy
from dtenv.tasks.association_slot import OPTIMAL_BARRIER, Constants, Slot, chain_users, host, list_chain


class Terms(NamedTuple):
    """What `evaluate` leaves, for a batch (B)."""

    history: np.ndarray  # (B, U) γ
    utility: np.ndarray  # (B, U) ρ
    energy: np.ndarray  # (B, S, 4) migration, synchronisation, computation, transfer
    totals: np.ndarray  # (B, TOTALS)


# Columns of Terms.totals.
OBJECTIVE = 0  # e (22)
SCORE = 1  # e minus the penalties of violated constraints
REWARD = 2
UTILITY = 3  # mean ρ
MIGRATION = 4  # energy, summed over servers (13)
SYNCHRONISATION = 5  # (14)
COMPUTATION = 6  # (15)
LATENCY = 7  # mean upload time, seconds, the time in (14)
EXCESS = 8  # sum of the relative excess of violated constraints
VIOLATIONS = 9  # how many are violated
MIGRATIONS = 10  # twins moved
CERTIFIED_VALUE = 11  # what the allocation's program attains
CERTIFIED_BOUND = 12  # and what is proven to be its upper bound
TRANSFER = 13  # energy of models, which the paper neglects
TOTALS = 14


class Work(NamedTuple):
    """Work arrays of a batch (B)."""

    users: np.ndarray  # (B, rows, U), see allocation
    slopes: np.ndarray  # (B, rows, MAX_SLOPES)


def new_terms(batch: int, num_users: int, num_servers: int) -> Terms:
    """Room for the terms of a batch of slots."""
    return Terms(
        np.zeros((batch, num_users)),
        np.zeros((batch, num_users)),
        np.zeros((batch, num_servers, 4)),
        np.zeros((batch, TOTALS)),
    )


def new_work(batch: int, num_users: int) -> Work:
    """Work arrays for a batch of slots."""
    users, slopes = allocation.work_arrays(num_users)
    return Work(np.tile(users, (batch, 1, 1)), np.tile(slopes, (batch, 1, 1)))


@kernel
def evaluate(c: Constants, slot: Slot, server: np.ndarray, users: np.ndarray, slopes: np.ndarray, terms: Terms, b: int):
    """Terms of one slot under κ = server (U,), into row b of `terms`; γ is read from it where c.mode is GIVEN."""
    num_users, num_servers = len(server), len(slot.compute_capacity)
    history, utility, totals = terms.history[b], terms.utility[b], terms.totals[b]
    f0, curve, reward, barrier_program = c.f0, c.barrier_curve, c.reward, c.mode == OPTIMAL_BARRIER
    moved = sent = computed = transferred = spent = penalty = barrier = program_barrier = gap = violations = excess = (
        0.0
    )
    chain_users(server, terms.energy[b, :, 0], users)  # which is written anew below
    for s in range(num_servers):
        q, p = slot.compute_capacity[s], slot.sync_capacity[s]
        n = list_chain(int(terms.energy[b, s, 0]), users)
        migration, synchronisation, load, transfer, server_gap = host(c, slot, s, n, users, slopes, history, utility)
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
            if reward == 0:
                barrier += smooth_barrier(load, q, curve) + smooth_barrier(synchronisation, p, curve)
        if reward == 1:
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
    totals[OBJECTIVE] = objective
    totals[SCORE] = score
    totals[REWARD] = score if reward == 3 else objective - barrier
    totals[UTILITY] = mean_utility
    totals[MIGRATION] = moved
    totals[SYNCHRONISATION] = sent
    totals[COMPUTATION] = computed
    totals[TRANSFER] = transferred
    totals[LATENCY] = latency
    totals[EXCESS] = excess
    totals[VIOLATIONS] = violations
    totals[MIGRATIONS] = migrations
    totals[CERTIFIED_VALUE] = objective - program_barrier
    totals[CERTIFIED_BOUND] = objective - program_barrier + gap
