"""Myopic plan and bound of every policy over several slots of DTAssociation (Zhou 2025)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.oracle.association.columns import COARSE, Columns
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.association.slot import FEW_USERS, enumerate_all, load_kernels, solve, starts_of
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.replay import row_of, slots_left
from dtenv.oracle.solution import Solution
from dtenv.tasks.association.slot import CERTIFICATE
from dtenv.tasks.association.task import AssociationTask

BOUND_TOLERANCE = 1e-4
"""Tolerance of the slots' bounds."""


def solve_episode(
    task: AssociationTask,
    b: int = 0,
    *,
    horizon: int | None = None,
    plan: bool = True,
    time_limit: float = 120.0,
    progress: bool = False,
) -> Solution:
    """Clairvoyant bound of the mean score of any policy in the next slots, and a plan.

    The plan is myopic. The bound makes migration free from the second slot on, which decouples the slots.

    Args:
        task: holds the tape and the current state, and stays unchanged.
        b: row of the task.
        horizon: number of slots; None for all that are left.
        plan: whether to compute a plan too.
        time_limit: seconds; afterwards twins stay where they are and the bounds of the remaining slots are weak.
        progress: whether to show a bar.

    Returns:
        action: list of one environment action per slot, None without a plan. The value holds under the scenario's own
        `history`, the bound under any; both are mean scores per slot.

    Raises:
        ValueError: the episode is over, or horizon or time_limit is out of range.
    """
    slots = slots_left(task, b, horizon)
    row = row_of(task, b)
    free = task.constants[0].copy()
    free["n_mig"] = 0.0
    actions: list[Any] = []
    values, bounds, dual = [], [], None
    few = task.scenario.network.num_users <= FEW_USERS
    load_kernels(few)
    with SolveBudget("clairvoyant bound", time_limit, progress) as budget:
        for ahead in range(slots):
            slot = row.slot()
            if ahead == 0 or plan:
                myopic = solve(Problem(task.constants[0], slot, penalised=True), budget, exact=ahead == 0)
            if ahead == 0:
                bounds.append(myopic.bound)
            else:
                bound, dual = bound_of(Problem(free, slot, penalised=True), budget, dual)
                bounds.append(bound)
            if plan:
                actions.append(play(row, myopic.action))
                values.append(row.info()["score"])
            else:
                row.step(row.state.server)
            budget.report(
                np.mean(values) if plan else -math.inf, float(np.mean(bounds)), f"slot {ahead + 1} of {slots}"
            )
        value = math.fsum(values) / slots if plan else -math.inf
        bound = max(value, math.fsum(bounds) / slots)
        apart = f"slots apart, with migration free after the first: {'enumeration' if few else 'column generation'}"
        proof = myopic.proof if slots == 1 else apart
        return Solution(actions if plan else None, value, bound, proof, budget.seconds)


def play(row: AssociationTask, server: np.ndarray) -> Any:
    """Step a task of one row with an association (U,); return the environment's action for it."""
    if row.scenario.episode.history != "action":
        row.step(server[None])
        return server
    history = Problem(row.constants[0], row.slot(), penalised=True).history(server)
    row.step(server[None], history[None])
    return {"server": server, "history": history}


def bound_of(problem: Problem, budget: SolveBudget, dual: np.ndarray | None) -> tuple[float, np.ndarray | None]:
    """Bound of one slot within BOUND_TOLERANCE of its relaxation, and its duals; `dual` are initial duals or None."""
    if problem.num_users <= FEW_USERS:
        return enumerate_all(problem, budget).bound, None
    columns = Columns(problem, starts_of(problem), budget, dual)
    columns.generate(COARSE, BOUND_TOLERANCE)
    return columns.bound + CERTIFICATE, columns.dual
