"""An association that meets C2 and C3, or the proof that there is none (Zhou 2025, eqs 23b, 23c)."""

from __future__ import annotations

import math

import numpy as np

from dtenv.oracle.association.problem import Problem
from dtenv.oracle.highs import limit_time, new_model
from dtenv.oracle.search import Search
from dtenv.physics.barrier import FEASIBILITY_TOLERANCE
from dtenv.tasks.association_slot import fresh_load, link_energy


def find_feasible(problem: Problem, search: Search) -> tuple[np.ndarray | None, str]:
    """An association (U,) that meets both with no history, γ = 0, by an integer program.

    Returns:
        None where there is none, or none was found; and how that is known.
    """
    from highspy import HighsModelStatus

    c, slot = problem.c, problem.slot
    users, servers = range(problem.num_users), range(problem.num_servers)
    # Without a margin first, as the solver's own tolerance may use up the environment's.
    for margin in (0.0, FEASIBILITY_TOLERANCE):
        model = new_model(search)
        limit_time(model, search.left)
        on = [[model.addBinary() for _ in servers] for _ in users]
        for u in users:
            model.addConstr(sum(on[u]) == 1)
        for s in servers:
            load = [fresh_load(c, slot, u, s) / slot.compute_capacity[s] for u in users]
            energy = [link_energy(c, slot, u, s) / slot.sync_capacity[s] for u in users]
            model.addConstr(sum(load[u] * on[u][s] for u in users) <= 1.0 + margin)
            model.addConstr(sum(energy[u] * on[u][s] for u in users) <= 1.0 + margin)
        model.run()
        if model.getModelStatus() == HighsModelStatus.kOptimal:
            values = np.array(model.getSolution().col_value).reshape(problem.num_users, problem.num_servers)
            server = values.argmax(axis=1)
            if problem.worth(server) > -math.inf:
                return server, "MILP"
        elif model.getModelStatus() != HighsModelStatus.kInfeasible:
            return None, "time limit"
    return None, "MILP"
