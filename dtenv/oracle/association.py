"""The best association of one slot, and all of its historical data together (Zhou 2025, eqs 22-26)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from dtenv.oracle.association_columns import COARSE, FINE, Columns
from dtenv.oracle.association_feasible import find_feasible
from dtenv.oracle.association_problem import Problem
from dtenv.oracle.association_sets import best_partition, worth_of_sets
from dtenv.oracle.replay import row_of, slots_left
from dtenv.oracle.search import Search
from dtenv.oracle.solution import Solution
from dtenv.scenario.association import AssociationScenario, Network
from dtenv.tasks.association import AssociationTask
from dtenv.tasks.association_nearest import nearest_with_room
from dtenv.tasks.association_slot import CERTIFICATE, Slot

FEW_USERS = 9
"""Users up to which all of their sets are looked at."""

BOUND_TOLERANCE = 1e-4
"""To which the slots of an episode are bounded."""

CONSTRAINTS = ("penalised", "hard")


def solve_slot(
    constants: Any,
    slot: Slot,
    *,
    constraints: str = "penalised",
    time_limit: float = 10.0,
    progress: bool = False,
) -> Solution:
    """The myopic optimum: the association κ of most score in one slot, γ being optimal (26) whatever the scenario says.

    Args:
        constants: of the scenario, `task.constants[0]` or association_slot.Constants.
        slot: what is known of the slot.
        constraints: "penalised" maximises the score, which charges for breaking C2 and C3; "hard" maximises e of (22)
            over what meets both.
        time_limit: seconds.
        progress: whether to show a bar.

    Returns:
        action: κ, (U,); None where no association meets hard constraints.

    Raises:
        ValueError: constraints is neither word, or time_limit is not positive.
    """
    if constraints not in CONSTRAINTS:
        raise ValueError(f"constraints must be one of {', '.join(CONSTRAINTS)}, got {constraints!r}")
    problem = Problem(constants, slot, constraints == "penalised")
    compile_kernels()
    with Search("association of one slot", time_limit, progress) as search:
        return solve(problem, search)


def solve(problem: Problem, search: Search, exact: bool = True) -> Solution:
    """Solve one slot; with `exact` off, stop once no column is missing."""
    if problem.num_users <= FEW_USERS:
        return _enumerate(problem, search)
    starts = _starts(problem)
    if not problem.penalised and all(problem.worth(start) == -math.inf for start in starts):
        server, verdict = find_feasible(problem, search)
        if server is None:
            return Solution(None, -math.inf, -math.inf, f"infeasible: {verdict}", search.seconds)
        starts = [server]
    columns = Columns(problem, starts, search)
    pricing = columns.generate(COARSE)
    proof = "column generation"
    if exact and not search.over:
        pricing = columns.generate(FINE)
    columns.choose()
    if exact and not search.over:
        columns.close(pricing)
        if columns.bound <= columns.value + CERTIFICATE:
            proof = "column generation, and every set of users that could be better"
    bound = max(columns.bound, columns.value) + CERTIFICATE  # as the columns' worth is known to that
    value = -math.inf if columns.best is None else problem.value(columns.best)
    return Solution(columns.best, value, bound, proof, search.seconds)


@cache
def compile_kernels() -> None:
    """Solve a slot of two users, so that compiling does not count as searching."""
    task = AssociationTask(AssociationScenario(network=Network(num_users=2, num_servers=2)))
    task.begin(0, np.random.default_rng(0))
    problem = Problem(task.constants[0], task.slot(), penalised=True)
    with Search("kernels") as search:
        columns = Columns(problem, _starts(problem), search)
        columns.close(columns.generate(COARSE))
        _enumerate(problem, search)


def _enumerate(problem: Problem, search: Search) -> Solution:
    sets = (np.arange(1 << problem.num_users)[:, None] >> np.arange(problem.num_users)) & 1 == 1
    servers = range(problem.num_servers)
    worth = [worth_of_sets(problem.c, problem.slot, s, sets, problem.penalised, *problem.work) for s in servers]
    server = np.full(problem.num_users, -1, np.int64)
    if best_partition(np.array(worth), server) == -math.inf:
        return Solution(None, -math.inf, -math.inf, "infeasible: enumeration", search.seconds)
    value = problem.value(server)
    return Solution(server, value, value + CERTIFICATE, "enumeration", search.seconds)


def _starts(problem: Problem) -> list[np.ndarray]:
    """Associations to begin with: all twins as they are, and the nearest server with room."""
    nearest = np.zeros(problem.num_users, np.int64)
    nearest_with_room(problem.c, problem.slot, nearest)
    return [problem.slot.previous_server.astype(np.int64), nearest]


def solve_episode(
    task: AssociationTask,
    b: int = 0,
    *,
    horizon: int | None = None,
    plan: bool = True,
    time_limit: float = 120.0,
    progress: bool = False,
) -> Solution:
    """A clairvoyant plan for the slots to come, and a bound of what any policy can score in them.

    The plan is myopic, slot after slot. The bound lets twins move for free into every slot but the first, which makes
    the slots independent; each is bounded on its own.

    Args:
        task: holds the tape and the state from which to go on; it is left as it is.
        b: its row.
        horizon: slots, at most those left; None for all of them.
        plan: whether to look for a plan; the bound alone takes a third of the time.
        time_limit: seconds; when it is over, twins stay and what bounds the slots left is weak.
        progress: whether to show a bar.

    Returns:
        action: the environment's action for every slot, a list; None without a plan. value and bound: mean score a
        slot, the value under the scenario's own `history`, the bound whatever that is.

    Raises:
        ValueError: the episode is over, or horizon or time_limit is out of range.
    """
    slots = slots_left(task, b, horizon)
    row = row_of(task, b)
    free = task.constants[0].copy()
    free["n_mig"] = 0.0
    actions: list[Any] = []
    values, bounds, dual = [], [], None
    compile_kernels()
    with Search("clairvoyant bound", time_limit, progress) as search:
        for ahead in range(slots):
            slot = row.slot()
            if ahead == 0 or plan:
                myopic = solve(Problem(task.constants[0], slot, penalised=True), search, exact=ahead == 0)
            if ahead == 0:
                bounds.append(myopic.bound)
            else:
                bound, dual = bound_of(Problem(free, slot, penalised=True), search, dual)
                bounds.append(bound)
            if plan:
                actions.append(play(row, myopic.action))
                values.append(row.info()["score"])
            else:
                row.advance(row.state.server)
            search.tell(np.mean(values) if plan else -math.inf, float(np.mean(bounds)), f"slot {ahead + 1} of {slots}")
        value = math.fsum(values) / slots if plan else -math.inf
        bound = max(value, math.fsum(bounds) / slots)
        proof = myopic.proof if slots == 1 else "slots apart, with migration free after the first: column generation"
        return Solution(actions if plan else None, value, bound, proof, search.seconds)


def play(row: AssociationTask, server: np.ndarray) -> Any:
    """Play an association (U,) in a task of one row; returns the environment's action for it."""
    if row.scenario.episode.history != "action":
        row.advance(server[None])
        return server
    history = Problem(row.constants[0], row.slot(), penalised=True).history(server)
    row.advance(server[None], history[None])
    return {"server": server, "history": history}


def bound_of(problem: Problem, search: Search, dual: np.ndarray | None) -> tuple[float, np.ndarray | None]:
    """A bound of one slot, to BOUND_TOLERANCE of its relaxation, and its duals, for duals to begin with or None."""
    if problem.num_users <= FEW_USERS:
        return _enumerate(problem, search).bound, None
    columns = Columns(problem, _starts(problem), search, dual)
    columns.generate(COARSE, BOUND_TOLERANCE)
    return columns.bound + CERTIFICATE, columns.dual
