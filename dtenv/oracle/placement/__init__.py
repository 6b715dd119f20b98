"""Exact optima of DTPlacementMA: the best association of a slot, and a bound and a plan of an episode (Lu 2021)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from dtenv.oracle.placement.costs import PENALISED, as_constants, check_slot, costs_of
from dtenv.oracle.placement.episode import Lookahead
from dtenv.oracle.placement.milp import Part
from dtenv.oracle.placement.optimum import solve
from dtenv.oracle.search import Search
from dtenv.oracle.solution import Solution
from dtenv.scenario.placement import PlacementScenario
from dtenv.tasks.placement.slot import Slot
from dtenv.tasks.placement.task import PlacementTask

EXACT_PAIRS = 200
"""Pairs of user and station up to which the default gap of a slot is EXACT_GAP."""

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
    """The best association of one slot (myopic); hosts are the stations with twins, as an idle host only costs.

    Args:
        constants: a task's record of constants, or `Constants`.
        slot: what is known of the slot.
        deadlines: "penalised": the score, which loses `deadline_penalty` by the share of late users; "ignore": the
            objective (26), less the cost of moves; "hard": the objective, of associations with nobody late.
        time_limit: seconds.
        progress: whether to show a bar.
        gap: relative gap at which to stop; by default 1e-9 for small slots and 1e-5 for large ones.

    Returns:
        A Solution whose action is server (N,).

    Raises:
        TypeError: constants are neither.
        ValueError: a field is out of range, or gives costs without a value.
        ModuleNotFoundError: HiGHS is needed and missing.
    """
    record, slot = as_constants(constants), check_slot(slot)
    if gap is None:
        gap = EXACT_GAP if slot.gain_db.size <= EXACT_PAIRS else USUAL_GAP
    _check_gap(gap)
    load_kernels()
    with Search("placement, a slot", time_limit, progress) as search:
        return solve(record, slot, costs_of(record, slot, deadlines), deadlines, Part(search), gap)


def solve_episode(
    task: PlacementTask,
    b: int = 0,
    *,
    horizon: int | None = None,
    time_limit: float = 600.0,
    progress: bool = False,
    gap: float = 1e-4,
) -> Solution:
    """A plan of the next slots, and a bound of their mean score that holds for whoever knows all of them (clairvoyant).

    Where moves cost nothing and the initial latency is always charged, slots do not depend on each other, and the plan
    is optimal up to the slots' gaps. Else the bound takes slots after the first as if every twin had stayed
    wherever it is.

    Args:
        task: is left as it is.
        b: the row.
        horizon: slots ahead; by default to the episode's end.
        time_limit: seconds, shared out among slots.
        progress: whether to show a bar.
        gap: relative gap at which a slot's search ends.

    Returns:
        A Solution whose action is server (horizon, N), to be played in action mode "association".

    Raises:
        ValueError: there is no slot to decide, horizon is out of range, or a number gives costs without a value.
        ModuleNotFoundError: HiGHS is needed and missing.
    """
    _check_gap(gap)
    lookahead = Lookahead(task, b, horizon)
    load_kernels()
    with Search("placement, an episode", time_limit, progress) as search:
        return lookahead.solve(search, gap)


@cache
def load_kernels() -> None:
    """Compile or load all that a search runs, so that no time limit is spent on it."""
    task = PlacementTask(PlacementScenario().override(num_users=2, num_stations=2, num_slots=1))
    task.begin(0, np.random.default_rng(0))
    with Search("kernels") as search:
        ahead = Lookahead(task, 0, 1)
        ahead.solve(search, 0.0)
        solve(ahead.record, ahead.slots[0], costs_of(ahead.record, ahead.slots[0]), PENALISED, Part(search), 0.0, 0)


def _check_gap(gap: float) -> None:
    if not 0.0 <= gap < math.inf:
        raise ValueError(f"gap must be a finite number, not negative, got {gap!r}")
