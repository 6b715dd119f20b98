"""One slot of DTAssociation: its data, and the terms of one server (Zhou 2025, eqs 11-15).

`dtenv.tasks.association.terms` sums over servers; local search and bounds evaluate single servers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled, inlined, kernel
from dtenv.physics.barrier import violation_penalty
from dtenv.physics.energy import (
    computation_energy,
    migration_energy,
    model_transfer_energy,
    normalised_energy,
    synchronisation_energy,
)
from dtenv.physics.geometry import manhattan
from dtenv.physics.utility import data_power, data_utility, utility_ceiling
from dtenv.scenario.association import REWARDS, AssociationScenario, Data, Energy, Learning, Objective, Radio
from dtenv.tasks.association.allocation import (
    BEST,
    CEILING,
    COST,
    EMD,
    FOLLOWER,
    FRESH,
    HIGH_UTILITY,
    LOW_UTILITY,
    PAST,
    USER,
    Program,
    allocate,
    prepare,
)

BARRIER_REWARD, LITERAL_REWARD, SCORE_REWARD = (REWARDS.index(name) for name in ("barrier", "literal", "score"))
GIVEN, OPTIMAL, OPTIMAL_BARRIER = 0, 1, 2
MODES = {"optimal": OPTIMAL, "optimal-barrier": OPTIMAL_BARRIER, "random": GIVEN, "none": GIVEN, "action": GIVEN}
"""Source of γ by the scenario's `history`."""

CERTIFICATE = 1e-9
"""Proven gap of the environment's allocation, summed over the servers of a slot."""


class Constants(NamedTuple):
    """Parameters of a scenario, for kernels."""

    alpha1: float
    alpha2: float
    alpha3: float
    alpha4: float
    alpha5: float
    alpha6: float
    epochs: float  # E_s + E_{u,s}, times the compute factor: (15) is proportional to both
    bits_per_sample: float
    rate_bps: float
    n_mig: float
    n_syn: float
    n_cmp: float
    migrate_current_data: bool
    transfer: float  # energy of models per server with twins
    f0: float
    beta1: float
    beta2: float
    barrier_curve: float
    reward: int  # index into REWARDS
    mode: int  # GIVEN, OPTIMAL or OPTIMAL_BARRIER
    certificate: float = CERTIFICATE  # proven gap of the allocation, summed over servers

    @classmethod
    def of(cls, scenario: AssociationScenario) -> Constants:
        """Constants of a scenario."""
        groups = scenario.learning, scenario.radio, scenario.energy, scenario.objective, scenario.data
        mode, transfer = MODES[scenario.episode.history], model_transfer_energy(scenario.n_agg, scenario.model_bits)
        return cls.of_groups(*groups, mode, scenario.learning.compute_factor, transfer)

    @classmethod
    def of_groups(
        cls,
        learning: Learning,
        radio: Radio,
        energy: Energy,
        objective: Objective,
        data: Data,
        mode: int,
        compute_factor: float = 1.0,
        transfer: float = 0.0,
    ) -> Constants:
        """Constants of the groups that determine a slot's terms."""
        return cls(
            **{f"alpha{k}": a for k, a in enumerate(learning.alpha, 1)},
            epochs=learning.epochs * compute_factor,
            bits_per_sample=float(data.bits_per_sample),
            rate_bps=radio.rate_bps,
            n_mig=float(energy.n_mig),
            n_syn=float(energy.n_syn),
            n_cmp=float(energy.n_cmp),
            migrate_current_data=bool(energy.migrate_current_data),
            transfer=float(transfer),
            f0=float(objective.f0),
            beta1=float(objective.beta1),
            beta2=float(objective.beta2),
            barrier_curve=float(objective.barrier_curve),
            reward=REWARDS.index(objective.reward),
            mode=mode,
        )


class Slot(NamedTuple):
    """Data of one slot, known to the agent: (U,) users, (S,) servers."""

    user_xy: np.ndarray  # (U, 2) metres
    samples: np.ndarray  # (U,) D_t
    previous_samples: np.ndarray  # (U,) D_{t-1}
    twin_bits: np.ndarray  # (U,)
    emd: np.ndarray  # (U,)
    previous_server: np.ndarray  # (U,) κ^{t-1}, integers
    server_xy: np.ndarray  # (S, 2) metres
    cycles_per_bit: np.ndarray  # (S,)
    compute_capacity: np.ndarray  # (S,)
    sync_capacity: np.ndarray  # (S,)


@kernel
def link_energy(c: Constants, slot: Slot, u: int, s: int) -> float:
    """Energy of synchronising user u with server s (14)."""
    distance = manhattan(slot.user_xy[u, 0], slot.user_xy[u, 1], slot.server_xy[s, 0], slot.server_xy[s, 1])
    return synchronisation_energy(c.n_syn, slot.samples[u] * c.bits_per_sample, c.rate_bps, distance)


@kernel
def move_distance(slot: Slot, u: int, s: int) -> float:
    """Distance of moving user u's twin to server s, metres."""
    p = slot.previous_server[u]
    return manhattan(slot.server_xy[p, 0], slot.server_xy[p, 1], slot.server_xy[s, 0], slot.server_xy[s, 1])


@kernel
def fresh_load(c: Constants, slot: Slot, u: int, s: int) -> float:
    """Computation energy of user u's new data alone on server s (15)."""
    return computation_energy(c.n_cmp, slot.cycles_per_bit[s], slot.samples[u] * c.bits_per_sample, c.epochs)


@kernel
def unit_load_of(c: Constants, slot: Slot, s: int) -> float:
    """Computation energy of one sample on server s (15)."""
    return computation_energy(c.n_cmp, slot.cycles_per_bit[s], c.bits_per_sample, c.epochs)


@kernel
def list_users(server: np.ndarray, s: int, users: np.ndarray) -> int:
    """Write the users u with server[u] == s, in order, into users[USER]; return their number."""
    n = 0
    for u in range(len(server)):  # without a branch, which would be unpredictable
        users[USER, n] = u
        n += server[u] == s
    return n


@kernel
def link_users_by_server(server: np.ndarray, first: np.ndarray, users: np.ndarray) -> None:
    """Link every server's users in order: first (S,) is the first user, users[FOLLOWER] the next; -1 for none."""
    for s in range(len(first)):
        first[s] = -1
    for u in range(len(server) - 1, -1, -1):
        s = server[u]
        if 0 <= s < len(first):
            users[FOLLOWER, u] = first[s]
            first[s] = u


@kernel
def list_linked_users(first: int, users: np.ndarray) -> int:
    """Write the users of a chain, in order, into users[USER]; return their number."""
    n, u = 0, first
    while u >= 0:
        users[USER, n] = u
        u = int(users[FOLLOWER, u])
        n += 1
    return n


@kernel
def load_user(
    c: Constants, slot: Slot, u: int, s: int, unit_load: float, users: np.ndarray, n: int
) -> tuple[float, float, float]:
    """Write user u on server s into column n of the allocation's work array `users`.

    Returns the user's energy of migration (13), synchronisation (14) and computation (15) without history (γ = 0).
    """
    distance = move_distance(slot, u, s)
    moved_bits = slot.twin_bits[u]
    if c.migrate_current_data:
        moved_bits += slot.samples[u] * c.bits_per_sample
    users[FRESH, n] = slot.samples[u]
    users[PAST, n] = slot.previous_samples[u]
    users[EMD, n] = emd = slot.emd[u]
    if n > 0 and emd == users[EMD, n - 1]:
        users[CEILING, n] = users[CEILING, n - 1]
    else:
        users[CEILING, n] = utility_ceiling(emd, c.alpha4, c.alpha5, c.alpha6)
    users[COST, n] = migration_energy(c.n_mig, distance, c.bits_per_sample) + unit_load
    return migration_energy(c.n_mig, distance, moved_bits), link_energy(c, slot, u, s), fresh_load(c, slot, u, s)


@compiled
def program_of(
    c: Constants, num_users: int, num_servers: int, energy: float, load: float, unit_load: float, capacity: float
) -> Program:
    """Scalars of one server's program, from its energy and load without history."""
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


@kernel
def serve_server(
    c: Constants,
    slot: Slot,
    server: np.ndarray,
    s: int,
    users: np.ndarray,
    slopes: np.ndarray,
    history: np.ndarray,
    utility: np.ndarray,
) -> tuple[float, float, float, float, float]:
    """Allocate γ (by c.mode) to the users u with server[u] == s and sum up the terms of server s.

    `users` and `slopes` are work arrays of the allocation. γ (U,) `history` is written for the server's users, or read
    if c.mode is GIVEN; ρ (U,) `utility` is written. Returns the energy of migration (13), synchronisation (14),
    computation (15) and the model's transfer, and the allocation's proven gap.
    """
    return host_users(c, slot, s, list_users(server, s, users), users, slopes, history, utility)


@inlined
def host_users(
    c: Constants,
    slot: Slot,
    s: int,
    n: int,
    users: np.ndarray,
    slopes: np.ndarray,
    history: np.ndarray,
    utility: np.ndarray,
) -> tuple[float, float, float, float, float]:
    """`serve_server` for the first n users in users[USER]."""
    given = c.mode == GIVEN
    alpha1, alpha2, alpha3 = c.alpha1, c.alpha2, c.alpha3
    unit_load = unit_load_of(c, slot, s)
    migration = synchronisation = load = gap = 0.0
    transfer = c.transfer if n > 0 else 0.0  # a server without twins has no model to send
    for i in range(n):
        moving, sending, training = load_user(c, slot, int(users[USER, i]), s, unit_load, users, i)
        migration += moving
        synchronisation += sending
        load += training
    if n > 0 and not given:
        num_users, num_servers = len(history), len(slot.compute_capacity)
        energy = migration + synchronisation + load + transfer
        program = program_of(c, num_users, num_servers, energy, load, unit_load, slot.compute_capacity[s])
        prepare(users, n, program)
        value, bound = allocate(users, slopes, n, program, 0.5 * c.certificate / num_servers)
        gap = value - bound
    for i in range(n):
        u = int(users[USER, i])
        past = users[PAST, i]
        if given:
            taken = history[u] * past
        else:
            taken = users[BEST, i]
            history[u] = taken / past if past > 0.0 else 0.0
        if not given and taken == 0.0:
            utility[u] = users[LOW_UTILITY, i]
        elif not given and taken == past:
            utility[u] = users[HIGH_UTILITY, i]
        else:
            v = users[CEILING, i]
            utility[u] = data_utility(data_power(users[FRESH, i] + taken, v, alpha3), v, alpha1, alpha2)
        migration += (users[COST, i] - unit_load) * taken
        load += unit_load * taken
    return migration, synchronisation, load, transfer, gap


@kernel
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
    """Contribution of server s to the slot's score; the sum over servers equals that of `evaluate`."""
    migration, synchronisation, load, transfer, _ = serve_server(c, slot, server, s, users, slopes, history, utility)
    worth = 0.0
    for u in range(len(server)):
        if server[u] == s:
            worth += utility[u]
    energy = normalised_energy(migration + synchronisation + load + transfer, c.f0)
    penalty = violation_penalty(load, slot.compute_capacity[s]) + violation_penalty(
        synchronisation, slot.sync_capacity[s]
    )
    return c.beta1 / len(server) * worth - c.beta2 / len(slot.compute_capacity) * energy - penalty
