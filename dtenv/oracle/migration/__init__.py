"""Solvers of DTMigration: optimum of a slot, best plan of a known episode."""

from __future__ import annotations

import numpy as np

from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.migration.dual import plan_paths
from dtenv.oracle.migration.focal import tabulate_focal
from dtenv.oracle.migration.joint import JointSearch, load_kernels
from dtenv.oracle.migration.row import play, price_rows, single_row
from dtenv.oracle.replay import slots_left
from dtenv.oracle.solution import Solution, check_bound
from dtenv.tasks.migration.task import MigrationTask


def solve_slot(task: MigrationTask, b: int = 0, *, time_limit: float = 10.0, progress: bool = False) -> Solution:
    """Myopic optimum: the best score of the next slot of row b.

    Args:
        task: stays unchanged.
        b: row of the task.
        time_limit: seconds.
        progress: whether to show a bar.

    Returns:
        action: a focal user's best station, proven by enumeration; with control="joint" all users' stations (N,), with
        a proven bound.

    Raises:
        ValueError: no such row, its episode has not begun or is over, or time_limit is not positive.
    """
    if task.joint:
        found = solve_episode(task, b, horizon=1, time_limit=time_limit, progress=progress)
        return Solution(found.action[0], found.value, found.bound, found.proof, found.seconds)
    with SolveBudget("slot", time_limit, progress) as budget:
        slots_left(task, b, 1)
        stations = task.scenario.network.num_stations
        scores = [float(play(task, b, np.array([[k]]))[0]) for k in range(stations)]
        best = max(range(stations), key=lambda k: (scores[k], k == task.server(b)))  # ties: the current station
        return Solution(best, scores[best], scores[best], "enumeration", budget.seconds)


def solve_episode(
    task: MigrationTask, b: int = 0, *, horizon: int | None = None, time_limit: float = 60.0, progress: bool = False
) -> Solution:
    """Clairvoyant optimum: the best mean score of the next slots of row b, whose future is known.

    Args:
        task: stays unchanged.
        b: row of the task.
        horizon: number of slots; None for all that are left.
        time_limit: seconds.
        progress: whether to show a bar.

    Returns:
        action: a focal user's stations (H,), proven optimal by dynamic programming; with control="joint" all users'
        (H, N), with a proven bound, which is attained where users do not couple and nearly attained elsewhere.

    Raises:
        ValueError: no such row, its episode has not begun or is over, or horizon or time_limit is not positive.
    """
    slots = slots_left(task, b, horizon)
    if task.joint:
        load_kernels()
    with SolveBudget("episode", time_limit, progress) as budget:
        if task.joint:
            joint = JointSearch(task, b, slots, budget)
            joint.run()
            return Solution(joint.plan, joint.value, joint.bound, joint.proof, budget.seconds)
        stations = task.scenario.network.num_stations
        batch = single_row(task, b)
        table, moving = np.empty((slots, stations, 1)), np.empty((price_rows(batch, slots), stations, stations, 1))
        tabulate_focal(batch.flatten(), table, moving)
        choice, path = np.empty((slots, stations, 1), np.int64), np.empty((slots, 1), np.int64)
        total = plan_paths(table, moving, np.array([task.server(b)]), choice, path)
        value = float(play(task, b, path).mean())
        check_bound(value, total / slots, "a focal plan")
        return Solution(path[:, 0], value, max(value, total / slots), "dynamic programming", budget.seconds)
