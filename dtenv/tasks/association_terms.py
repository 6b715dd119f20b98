"""All terms of one slot of DTAssociation under an association κ (Zhou 2025, eqs 11-15, 21-25).

`evaluate` is the model: the environment's step, the scoring of instances and bounds all call it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv import allocation
from dtenv.compiled import compiled
from dtenv.physics.barrier import (
    floored_barrier,
    is_violated,
    literal_barrier,
    smooth_barrier,
    violation_penalty,
)
from dtenv.physics.energy import normalised_energy
from dtenv.tasks.association_slot import OPTIMAL_BARRIER, Constants, Slot, serve


class Terms(NamedTuple):
    """What `evaluate` leaves, for a batch (B)."""

    history: np.ndarray  # (B, U) γ
    utility: np.ndarray  # (B, U) ρ
    energy: np.ndarray  # (B, S, 3) migration, synchronisation, computation
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
TOTALS = 13


class Work(NamedTuple):
    """Work arrays of a batch (B)."""

    users: np.ndarray  # (B, rows, U), see allocation
    slopes: np.ndarray  # (B, rows, MAX_SLOPES)


def new_terms(batch: int, num_users: int, num_servers: int) -> Terms:
    """Room for the terms of a batch of slots."""
    return Terms(
        np.zeros((batch, num_users)),
        np.zeros((batch, num_users)),
        np.zeros((batch, num_servers, 3)),
        np.zeros((batch, TOTALS)),
    )


def new_work(batch: int, num_users: int) -> Work:
    """Work arrays for a batch of slots."""
    users, slopes = allocation.work_arrays(num_users)
    return Work(np.tile(users, (batch, 1, 1)), np.tile(slopes, (batch, 1, 1)))


@compiled
def evaluate(c: Constants, slot: Slot, server: np.ndarray, users: np.ndarray, slopes: np.ndarray, terms: Terms, b: int):
    """Terms of one slot under κ = server (U,), into row b of `terms`; γ is read from it where c.mode is GIVEN."""
    num_users, num_servers = len(server), len(slot.compute_capacity)
    history, utility, totals = terms.history[b], terms.utility[b], terms.totals[b]
    spent = penalty = barrier = program_barrier = gap = 0.0
    totals[:] = 0.0
    for s in range(num_servers):
        q, p = slot.compute_capacity[s], slot.sync_capacity[s]
        migration, synchronisation, load, server_gap = serve(c, slot, server, s, users, slopes, history, utility)
        terms.energy[b, s, 0] = migration
        terms.energy[b, s, 1] = synchronisation
        terms.energy[b, s, 2] = load
        totals[MIGRATION] += migration
        totals[SYNCHRONISATION] += synchronisation
        totals[COMPUTATION] += load
        spent += normalised_energy(migration + synchronisation + load, c.f0)
        gap += server_gap
        penalty += violation_penalty(load, q) + violation_penalty(synchronisation, p)
        if is_violated(load, q):
            totals[VIOLATIONS] += 1.0
            totals[EXCESS] += load / q - 1.0
        if is_violated(synchronisation, p):
            totals[VIOLATIONS] += 1.0
            totals[EXCESS] += synchronisation / p - 1.0
        if c.reward == 0:
            barrier += smooth_barrier(load, q, c.barrier_curve) + smooth_barrier(synchronisation, p, c.barrier_curve)
        elif c.reward == 1:
            barrier += floored_barrier(load, q, c.barrier_curve) + floored_barrier(synchronisation, p, c.barrier_curve)
        if c.mode == OPTIMAL_BARRIER and load < q:
            program_barrier += literal_barrier(load, q, c.barrier_curve)
    for u in range(num_users):
        totals[UTILITY] += utility[u] / num_users
        totals[LATENCY] += slot.samples[u] * c.bits_per_sample / c.rate_bps / num_users
        totals[MIGRATIONS] += 1.0 if server[u] != slot.previous_server[u] else 0.0
    objective = c.beta1 * totals[UTILITY] - c.beta2 / num_servers * spent
    totals[OBJECTIVE] = objective
    totals[SCORE] = objective - penalty
    totals[REWARD] = totals[SCORE] if c.reward == 3 else objective - barrier
    totals[CERTIFIED_VALUE] = objective - program_barrier
    totals[CERTIFIED_BOUND] = objective - program_barrier + gap
