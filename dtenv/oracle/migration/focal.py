"""Focal migration: scores of slots for one user among others whose moves are known."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration.row import fill_prices
from dtenv.tasks.migration.batch import TERM, unflatten
from dtenv.tasks.migration.kernels import evaluate
from dtenv.tasks.migration.slot import add_loads


@compiled
def tabulate_focal(arrays: tuple[np.ndarray, ...], table: np.ndarray, moving: np.ndarray) -> None:
    """Write a focal user's scores of the next slots on each station, without prices of moves, into table (H, M, 1).

    arrays are a flat batch of one, whose state and terms are overwritten. `fill_prices` fills moving (P, M, M, 1).
    """
    batch = unflatten(arrays)
    first, server, loads = batch.state.slot[0], batch.state.server[0], batch.state.loads[0]
    for h in range(table.shape[0]):
        server[:] = batch.course.background[0, first + h]
        for k in range(table.shape[1]):
            server[0] = batch.state.previous[0, 0] = k
            add_loads(batch.constants[0], server, batch.course.weight[0], loads)
            evaluate(batch, 0, first + h)
            table[h, k, 0] = batch.terms.totals[0, TERM.score] + batch.terms.totals[0, TERM.price]
    fill_prices(batch, first, moving)
