"""Feasibility of C2 and C3: an association that meets both, or a proof that none exists (Zhou 2025, eqs 23b, 23c)."""

from __future__ import annotations

import math

import numpy as np

from dtenv.oracle.association.pricing import MARGIN
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.highs import limit_time, new_model
from dtenv.tasks.association.slot import fresh_load, link_energy

NEGLIGIBLE = 1e-9
"""Share of a capacity that HiGHS would drop from a row."""


def find_feasible(problem: Problem, budget: SolveBudget) -> tuple[np.ndarray | None, str]:
    """Find an association (U,) that meets C2 and C3 with no history, γ = 0, by an integer program.

    Returns the association, or None, and the proof of infeasibility, empty where it is not proven.
    """
    c, slot = problem.c, problem.slot
    users, servers = range(problem.num_users), range(problem.num_servers)
    load = np.array([[fresh_load(c, slot, u, s) / slot.compute_capacity[s] for s in servers] for u in users])
    energy = np.array([[link_energy(c, slot, u, s) / slot.sync_capacity[s] for s in servers] for u in users])
    fits = np.maximum(load, energy) <= MARGIN
    if not fits.any(axis=1).all():
        return None, f"user {np.flatnonzero(~fits.any(axis=1))[0]} breaks C2 or C3 alone on every server"
    # First without a margin, as the solver's tolerance may use up the environment's.
    for room in (1.0, MARGIN):
        infeasible, server = _pack(load, energy, fits, room, budget)
        if server is not None and problem.worth(server) > -math.inf:
            return server, ""
    return None, "MILP" if infeasible else ""


def _pack(
    load: np.ndarray, energy: np.ndarray, fits: np.ndarray, room: float, budget: SolveBudget
) -> tuple[bool, np.ndarray | None]:
    """Find servers (U,) where no load and no energy (U, S) exceeds `room`; return whether infeasible, and them."""
    from highspy import HighsModelStatus

    model = new_model(budget)
    limit_time(model, budget.seconds_left)
    u, s = np.nonzero(fits)
    on = [model.addBinary() for _ in u]
    for user in range(len(load)):
        model.addConstr(sum(on[j] for j in np.flatnonzero(u == user)) == 1)
    for need in (load, energy):
        for server in range(load.shape[1]):
            columns = [j for j in np.flatnonzero(s == server) if need[u[j], server] > NEGLIGIBLE]
            if columns:
                model.addConstr(sum(float(need[u[j], server]) * on[j] for j in columns) <= room)
    model.run()
    if model.getModelStatus() == HighsModelStatus.kInfeasible:
        return True, None
    if model.getModelStatus() != HighsModelStatus.kOptimal:
        return False, None
    taken = np.flatnonzero(np.array(model.getSolution().col_value) > 0.5)
    chosen = np.empty(len(load), np.int64)
    chosen[u[taken]] = s[taken]
    return False, chosen
