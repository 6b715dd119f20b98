"""What one slot of DTAssociation is worth under an association κ (Zhou 2025).

`evaluate` is the model: the terms of one slot (eqs 11-15, 21-25) under an association κ. The environment's
step, the scoring of instances, local search and bounds all call it, or `serve`, its part of one server.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv import allocation
from dtenv.allocation import BEST, CEILING, COST, FRESH, PAST, Program, allocate, prepare
from dtenv.compiled import compiled
from dtenv.physics.barrier import (
    floored_barrier,
    is_violated,
    literal_barrier,
    smooth_barrier,
    violation_penalty,
)
from dtenv.physics.energy import (
    computation_energy,
    migration_energy,
    normalised_energy,
    synchronisation_energy,
)
from dtenv.physics.geometry import manhattan
from dtenv.physics.utility import data_power, data_utility, utility_ceiling
from dtenv.scenario.association import REWARDS, AssociationScenario, Data, Energy, Learning, Objective, Radio

GIVEN, OPTIMAL, OPTIMAL_BARRIER = 0, 1, 2
MODES = {"optimal": OPTIMAL, "optimal-barrier": OPTIMAL_BARRIER, "random": GIVEN, "none": GIVEN, "action": GIVEN}
"""How γ comes about, by the scenario's `history`."""

CERTIFICATE = 1e-9
"""Proven gap of the environment's allocation, summed over the servers of a slot."""


class Constants(NamedTuple):
    """A scenario's numbers, as kernels take them."""

    alpha1: float
    alpha2: float
    alpha3: float
    alpha4: float
    alpha5: float
    alpha6: float
    epochs: float
    bits_per_sample: float
    rate_bps: float
    n_mig: float
    n_syn: float
    n_cmp: float
    migrate_current_data: bool
    f0: float
    beta1: float
    beta2: float
    barrier_curve: float
    reward: int  # index into REWARDS
    mode: int  # GIVEN, OPTIMAL or OPTIMAL_BARRIER
    certificate: float = CERTIFICATE  # proven gap of the allocation, summed over servers

    @classmethod
    def of(cls, scenario: AssociationScenario) -> Constants:
        """The constants of a scenario."""
        return cls.of_groups(
            scenario.learning,
            scenario.radio,
            scenario.energy,
            scenario.objective,
            scenario.data,
            mode=MODES[scenario.episode.history],
        )

    @classmethod
    def of_groups(
        cls, learning: Learning, radio: Radio, energy: Energy, objective: Objective, data: Data, mode: int
    ) -> Constants:
        """The constants of the groups that a slot's worth depends on."""
        return cls(
            **{f"alpha{k}": a for k, a in enumerate(learning.alpha, 1)},
            epochs=learning.epochs,
            bits_per_sample=float(data.bits_per_sample),
            rate_bps=radio.rate_bps,
            n_mig=float(energy.n_mig),
            n_syn=float(energy.n_syn),
            n_cmp=float(energy.n_cmp),
            migrate_current_data=bool(energy.migrate_current_data),
            f0=float(objective.f0),
            beta1=float(objective.beta1),
            beta2=float(objective.beta2),
            barrier_curve=float(objective.barrier_curve),
            reward=REWARDS.index(objective.reward),
            mode=mode,
        )


class Slot(NamedTuple):
    """What is known when the twins of one slot are to be associated: (U,) users, (S,) servers."""

    user_xy: np.ndarray  # (U, 2) metres
    samples: np.ndarray  # (U,) D_t
    previous_samples: np.ndarray  # (U,) D_{t-1}
    twin_bits: np.ndarray  # (U,)
    emd: np.ndarray  # (U,)
    previous_server: np.ndarray  # (U,) κ^{t-1}, whole numbers
    server_xy: np.ndarray  # (S, 2) metres
    cycles_per_bit: np.ndarray  # (S,)
    compute_capacity: np.ndarray  # (S,)
    sync_capacity: np.ndarray  # (S,)


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
def link_energy(c: Constants, slot: Slot, u: int, s: int) -> float:
    """Energy of synchronising user u with server s (14)."""
    distance = manhattan(slot.user_xy[u, 0], slot.user_xy[u, 1], slot.server_xy[s, 0], slot.server_xy[s, 1])
    return synchronisation_energy(c.n_syn, slot.samples[u] * c.bits_per_sample, c.rate_bps, distance)


@compiled
def move_distance(slot: Slot, u: int, s: int) -> float:
    """Distance that user u's twin travels to server s, metres."""
    p = slot.previous_server[u]
    return manhattan(slot.server_xy[p, 0], slot.server_xy[p, 1], slot.server_xy[s, 0], slot.server_xy[s, 1])


@compiled
def fresh_load(c: Constants, slot: Slot, u: int, s: int) -> float:
    """Computation energy of user u's new data alone on server s (15)."""
    return computation_energy(c.n_cmp, slot.cycles_per_bit[s], slot.samples[u] * c.bits_per_sample, c.epochs)


@compiled
def unit_load_of(c: Constants, slot: Slot, s: int) -> float:
    """Computation energy of one sample on server s (15)."""
    return computation_energy(c.n_cmp, slot.cycles_per_bit[s], c.bits_per_sample, c.epochs)


@compiled
def enlist(
    c: Constants, slot: Slot, u: int, s: int, unit_load: float, users: np.ndarray, n: int
) -> tuple[float, float, float]:
    """Write user u on server s into column n of allocation's work array `users`.

    Returns:
        The user's energy of migration (13), synchronisation (14) and computation (15) with no history, γ = 0.
    """
    distance = move_distance(slot, u, s)
    moved_bits = slot.twin_bits[u]
    if c.migrate_current_data:
        moved_bits += slot.samples[u] * c.bits_per_sample
    users[FRESH, n] = slot.samples[u]
    users[PAST, n] = slot.previous_samples[u]
    users[CEILING, n] = utility_ceiling(slot.emd[u], c.alpha4, c.alpha5, c.alpha6)
    users[COST, n] = migration_energy(c.n_mig, distance, c.bits_per_sample) + unit_load
    return migration_energy(c.n_mig, distance, moved_bits), link_energy(c, slot, u, s), fresh_load(c, slot, u, s)


@compiled
def program_of(
    c: Constants, num_users: int, num_servers: int, energy: float, load: float, unit_load: float, capacity: float
) -> Program:
    """The scalars of one server's program, for its energy and its load without history."""
    return Program(
        c.beta1 / num_users,
        c.beta2 / num_servers,
        c.f0,
        c.alpha1,
        c.alpha2,
        c.alpha3,
        energy,
        load,
        unit_load,
        capacity,
        c.barrier_curve if c.mode == OPTIMAL_BARRIER else 0.0,
    )


@compiled
def serve(
    c: Constants,
    slot: Slot,
    server: np.ndarray,
    s: int,
    users: np.ndarray,
    slopes: np.ndarray,
    history: np.ndarray,
    utility: np.ndarray,
) -> tuple[float, float, float, float]:
    """Host on server s the users u with server[u] == s: allocate γ (by c.mode) and add up the terms.

    Args:
        c: the scenario's constants.
        slot: what is known of the slot.
        server: κ, (U,).
        s: the server.
        users: work array of allocation.
        slopes: work array of allocation.
        history: γ (U,), written for the users served; read instead where c.mode is GIVEN.
        utility: ρ (U,), written for the users served.

    Returns:
        Energy of migration (13), synchronisation (14) and computation (15), and the allocation's proven gap.
    """
    num_users, num_servers = len(server), len(slot.compute_capacity)
    unit_load = unit_load_of(c, slot, s)
    n = 0
    migration = synchronisation = load = 0.0
    for u in range(num_users):
        if server[u] != s:
            continue
        moving, sending, training = enlist(c, slot, u, s, unit_load, users, n)
        migration += moving
        synchronisation += sending
        load += training
        n += 1
    gap = 0.0
    if c.mode != GIVEN:
        energy = migration + synchronisation + load
        program = program_of(c, num_users, num_servers, energy, load, unit_load, slot.compute_capacity[s])
        prepare(users, n, program)
        value, bound = allocate(users, slopes, n, program, 0.5 * c.certificate / num_servers)
        gap = value - bound
    n = 0
    for u in range(num_users):
        if server[u] != s:
            continue
        past = users[PAST, n]
        if c.mode == GIVEN:
            taken = history[u] * past
        else:
            taken = users[BEST, n]
            history[u] = taken / past if past > 0.0 else 0.0
        v = users[CEILING, n]
        utility[u] = data_utility(data_power(users[FRESH, n] + taken, v, c.alpha3), v, c.alpha1, c.alpha2)
        migration += (users[COST, n] - unit_load) * taken
        load += unit_load * taken
        n += 1
    return migration, synchronisation, load, gap


@compiled
def server_score(
    c: Constants,
    slot: Slot,
    server: np.ndarray,
    s: int,
    users: np.ndarray,
    slopes: np.ndarray,
    history: np.ndarray,
    utility: np.ndarray,
) -> float:
    """Server s's part of the slot's score: over all servers these add up to what `evaluate` gives."""
    migration, synchronisation, load, _ = serve(c, slot, server, s, users, slopes, history, utility)
    worth = 0.0
    for u in range(len(server)):
        if server[u] == s:
            worth += utility[u]
    energy = normalised_energy(migration + synchronisation + load, c.f0)
    penalty = violation_penalty(load, slot.compute_capacity[s]) + violation_penalty(
        synchronisation, slot.sync_capacity[s]
    )
    return c.beta1 / len(server) * worth - c.beta2 / len(slot.compute_capacity) * energy - penalty


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
