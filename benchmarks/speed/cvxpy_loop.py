"""The allocation of DTAssociation-v0 in CVXPY, a contender in speed.

The program (Zhou 2025, eq. 26) is not convex (tanh is concave in γ) and CVXPY refuses it as printed. So the energy
term is replaced by its tangent, an upper bound, and the convex program solved until γ converges, to a local minimum.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np

from dtenv.compiled import as_record
from dtenv.physics.energy import computation_energy, migration_energy, normalised_energy_slope
from dtenv.physics.utility import utility_ceiling
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association.slot import Constants, Slot, fresh_load, link_energy, move_distance

ITERATIONS = 20
TOLERANCE = 1e-3  # of γ, ten times the solver's own noise


class CvxpyAllocation:
    """Solver for slots of one scenario; its parametrised problem is built once."""

    def __init__(self, scenario: AssociationScenario):
        c = self._c = Constants.of(scenario)
        users, servers = scenario.network.num_users, scenario.network.num_servers
        emd = scenario.data.user_emd(users)
        ceiling = np.array([utility_ceiling(phi, c.alpha4, c.alpha5, c.alpha6) for phi in emd])
        self._gamma = cp.Variable(users, nonneg=True)
        self._fresh, self._past = cp.Parameter(users, nonneg=True), cp.Parameter(users, nonneg=True)
        self._slope = cp.Parameter(users, nonneg=True)  # the tangent's slope in each γ
        self._load = cp.Parameter((servers, users), nonneg=True)
        self._room = cp.Parameter(servers)
        data = c.alpha3 * (self._fresh + cp.multiply(self._past, self._gamma))
        # One atom per distinct ceiling: with one EMD for all users, a single vector power.
        powers = [cp.power(data[np.flatnonzero(ceiling == v)], float(v), approx=False) for v in np.unique(ceiling)]
        worth = -c.alpha1 * cp.sum(cp.exp(-c.alpha2 * cp.hstack(powers)))
        cost = cp.sum(cp.multiply(self._slope, self._gamma))
        self._problem = cp.Problem(
            cp.Minimize(-worth + cost), [self._gamma <= 1.0, self._load @ self._gamma <= self._room]
        )

    def solve(self, slot: Slot, server: np.ndarray) -> np.ndarray:
        """γ (U,) for one slot under the association `server` (U,), starting from 0.5."""
        c, users = self._c, len(server)
        record = as_record(c)[0]
        base = np.zeros(len(slot.compute_capacity))  # energy at γ = 0
        fresh = np.zeros_like(base)
        extra, load = np.zeros(users), np.zeros((len(base), users))
        for u, s in enumerate(server):
            distance = move_distance(slot, u, s)
            bits = slot.previous_samples[u] * c.bits_per_sample
            load[s, u] = computation_energy(c.n_cmp, slot.cycles_per_bit[s], bits, c.epochs)
            extra[u] = load[s, u] + migration_energy(c.n_mig, distance, bits)
            moved = slot.twin_bits[u] + slot.samples[u] * c.bits_per_sample * c.migrate_current_data
            fresh[s] += fresh_load(record, slot, u, s)
            base[s] += fresh_load(record, slot, u, s) + link_energy(record, slot, u, s)
            base[s] += migration_energy(c.n_mig, distance, moved)
        base[np.unique(server)] += c.transfer
        self._fresh.value, self._past.value = slot.samples, slot.previous_samples
        self._load.value, self._room.value = load, np.maximum(slot.compute_capacity - fresh, 0.0)
        gamma = np.full(users, 0.5)
        for _ in range(ITERATIONS):
            energy = base + np.bincount(server, weights=extra * gamma, minlength=len(base))
            slope = np.array([normalised_energy_slope(z, c.f0) for z in energy])
            self._slope.value = c.beta2 / len(base) * slope[server] * extra * users / c.beta1
            self._problem.solve(solver=cp.CLARABEL)
            update = np.clip(self._gamma.value, 0.0, 1.0)
            if np.abs(update - gamma).max() < TOLERANCE:
                return update
            gamma = update
        return gamma
