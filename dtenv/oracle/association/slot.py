"""Optimal association of one slot, with optimal historical data (Zhou 2025, eqs 22-26)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from dtenv.oracle.association.columns import COARSE, FINE, MOST_USERS, Columns
from dtenv.oracle.association.feasible import find_feasible
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.association.sets import best_partition, worth_of_sets
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.solution import Solution
from dtenv.scenario.association import AssociationScenario, Network
from dtenv.tasks.association.nearest import nearest_with_room
from dtenv.tasks.association.slot import CERTIFICATE, Slot
from dtenv.tasks.association.task import AssociationTask

FEW_USERS = 9
"""Most users for which all sets are enumerated."""

CONSTRAINTS = ("penalised", "hard")


def solve_slot(
    constants: Any, slot: Slot, *, constraints: str = "penalised", time_limit: float = 10.0, progress: bool = False
) -> Solution:
    """Myopic optimum: the association κ that maximises one slot's score, with optimal γ (26) whatever `history` is.

    Args:
        constants: the scenario's, `task.constants[0]` or `tasks.association.slot.Constants`.
        slot: state and exogenous inputs of the slot.
        constraints: "penalised" maximises the score, which penalises violations of C2 and C3; "hard" maximises e of
            (22) subject to both.
        time_limit: seconds.
        progress: whether to show a bar.

    Returns:
        action: κ, (U,); None where hard constraints are infeasible.

    Raises:
        ValueError: constraints is neither word, or time_limit is not positive.
    """
    if constraints not in CONSTRAINTS:
        raise ValueError(f"constraints must be one of {', '.join(CONSTRAINTS)}, got {constraints!r}")
    problem = Problem(constants, slot, constraints == "penalised")
    load_kernels(problem.num_users <= FEW_USERS)
    with SolveBudget("association of one slot", time_limit, progress) as budget:
        return solve(problem, budget)


def solve(problem: Problem, budget: SolveBudget, exact: bool = True) -> Solution:
    """Solve one slot; with `exact` False, stop once no column is missing."""
    if problem.num_users <= FEW_USERS:
        return enumerate_all(problem, budget)
    starts = starts_of(problem)
    if not problem.penalised and all(problem.worth(start) == -math.inf for start in starts):
        server, none = find_feasible(problem, budget)
        if none:
            return Solution(None, -math.inf, -math.inf, f"infeasible: {none}", budget.seconds)
        if server is None:  # unknown in time: the penalised bound holds for hard constraints too
            charged = Columns(Problem(problem.c, problem.slot, penalised=True), starts, budget)
            charged.generate(COARSE)
            return Solution(None, -math.inf, charged.bound + CERTIFICATE, "column generation", budget.seconds)
        starts = [server]
    columns = Columns(problem, starts, budget)
    pricing = columns.generate(COARSE)
    proof = "column generation"
    exact = exact and problem.num_users <= MOST_USERS
    if exact and not budget.exhausted:
        pricing = columns.generate(FINE)
    columns.choose()
    if exact and not budget.exhausted:
        columns.close(pricing)
        if columns.bound <= columns.value + CERTIFICATE:
            proof = "column generation, and every set of users that could be better"
    bound = max(columns.bound, columns.value) + CERTIFICATE  # the accuracy of the columns' worth
    value = -math.inf if columns.best is None else problem.value(columns.best)
    return Solution(columns.best, value, bound, proof, budget.seconds)


@cache
def load_kernels(few: bool) -> None:
    """Compile or load the kernels for few or many users, so that no time limit is spent on it."""
    task = AssociationTask(AssociationScenario(network=Network(num_users=2, num_servers=2)))
    task.reset(0, np.random.default_rng(0))
    problem = Problem(task.constants[0], task.slot(), penalised=True)
    with SolveBudget("kernels") as budget:
        if few:
            enumerate_all(problem, budget)
        else:
            columns = Columns(problem, starts_of(problem), budget)
            columns.close(columns.generate(COARSE))


def enumerate_all(problem: Problem, budget: SolveBudget) -> Solution:
    """Solve a slot of few users by enumeration of their sets on every server."""
    sets = (np.arange(1 << problem.num_users)[:, None] >> np.arange(problem.num_users)) & 1 == 1
    servers = range(problem.num_servers)
    worth = [worth_of_sets(problem.c, problem.slot, s, sets, problem.penalised, *problem.work) for s in servers]
    server = np.full(problem.num_users, -1, np.int64)
    if best_partition(np.array(worth), server) == -math.inf:
        return Solution(None, -math.inf, -math.inf, "infeasible: enumeration", budget.seconds)
    value = problem.value(server)
    return Solution(server, value, value + CERTIFICATE, "enumeration", budget.seconds)


def starts_of(problem: Problem) -> list[np.ndarray]:
    """Initial associations: all twins where they are, and the nearest server with room."""
    nearest = np.zeros(problem.num_users, np.int64)
    nearest_with_room(problem.c, problem.slot, nearest)
    return [problem.slot.previous_server.astype(np.int64), nearest]
