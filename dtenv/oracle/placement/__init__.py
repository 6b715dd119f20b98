"""Solvers of DTPlacementMA: optimum of a slot, bound and plan of an episode (Lu 2021)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.placement.costs import PENALISED, as_constants, check_slot, costs_of
from dtenv.oracle.placement.episode import Lookahead
from dtenv.oracle.placement.milp import Part
from dtenv.oracle.placement.optimum import solve
from dtenv.oracle.solution import Solution
from dtenv.scenario.placement import PlacementScenario
from dtenv.tasks.placement.slot import Slot
from dtenv.tasks.placement.task import PlacementTask

EXACT_PAIRS = 200
"""Most pairs of user and station for which the default gap of a slot is EXACT_GAP."""

EXACT_GAP, USUAL_GAP = 1e-9, 1e-5


def solve_slot(
    constants: Any,
    slot: Slot,
    *,
    deadlines: str = PENALISED,
    time_limit: float = 30.0,
    progress: bool = False,
    gap: float | None = None,
) -> Solution:
    """Myopic optimum: the best association of one slot. Its hosts are the stations with twins.

    Args:
        constants: a task's record of constants, or `Constants`.
        slot: state and exogenous inputs of the slot.
        deadlines: "penalised": the score, which loses `deadline_penalty` times the share of late users; "ignore": the
            objective (26) less the cost of moves; "hard": that objective, subject to no late user.
        time_limit: seconds.
        progress: whether to show a bar.
        gap: relative gap at which to stop; by default 1e-9 for small slots and 1e-5 for large ones.

    Returns:
        action: server (N,).

    Raises:
        TypeError: constants has another type.
        ValueError: a field is out of range, or makes a cost nan or too large.
        ModuleNotFoundError: HiGHS is needed and missing.
    """
    record, slot = as_constants(constants), check_slot(slot)
    if gap is None:
        gap = EXACT_GAP if slot.gain_db.size <= EXACT_PAIRS else USUAL_GAP
    _check_gap(gap)
    load_kernels()
    with SolveBudget("placement, a slot", time_limit, progress) as budget:
        return solve(record, slot, costs_of(record, slot, deadlines), deadlines, Part(budget), gap)


def solve_episode(
    task: PlacementTask,
    b: int = 0,
    *,
    horizon: int | None = None,
    time_limit: float = 600.0,
    progress: bool = False,
    gap: float = 1e-4,
) -> Solution:
    """Clairvoyant bound of the mean score of the next slots, and a plan.

    Where moves are free and the initial latency is always charged, slots are independent, and the plan is optimal
    within the slots' gaps. Otherwise the bound treats every twin as unmoved in all slots after the first.

    Args:
        task: stays unchanged.
        b: row of the task.
        horizon: number of slots; by default to the end of the episode.
        time_limit: seconds, divided among the slots.
        progress: whether to show a bar.
        gap: relative gap at which a slot's search ends.

    Returns:
        action: server (horizon, N), for action mode "association".

    Raises:
        ValueError: the episode is over, horizon or gap is out of range, or a number makes a cost nan or too large.
        ModuleNotFoundError: HiGHS is needed and missing.
    """
    _check_gap(gap)
    lookahead = Lookahead(task, b, horizon)
    load_kernels()
    with SolveBudget("placement, an episode", time_limit, progress) as budget:
        return lookahead.solve(budget, gap)


@cache
def load_kernels() -> None:
    """Compile or load all kernels, so that no time limit is spent on it."""
    task = PlacementTask(PlacementScenario().override(num_users=2, num_stations=2, num_slots=1))
    task.reset(0, np.random.default_rng(0))
    with SolveBudget("kernels") as budget:
        ahead = Lookahead(task, 0, 1)
        ahead.solve(budget, 0.0)
        solve(ahead.record, ahead.slots[0], costs_of(ahead.record, ahead.slots[0]), PENALISED, Part(budget), 0.0, 0)


def _check_gap(gap: float) -> None:
    if not 0.0 <= gap < math.inf:
        raise ValueError(f"gap must be finite and nonnegative, got {gap!r}")
