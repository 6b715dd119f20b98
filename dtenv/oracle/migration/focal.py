"""Focal migration: what slots are worth to one user among others whose moves are known."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration.row import fill_prices
from dtenv.tasks.migration.batch import TERM, named
from dtenv.tasks.migration.kernels import evaluate
from dtenv.tasks.migration.slot import add_loads


@compiled
def tabulate_focal(arrays: tuple[np.ndarray, ...], table: np.ndarray, moving: np.ndarray) -> None:
    """What the next slots are worth to a focal user.

    Args:
        arrays: a flat batch of one; state and terms are overwritten.
        table: scores (H, M, 1) on each station without the price of moving there, written.
        moving: prices (P, M, M, 1) of `fill_prices`, written.
    """
    batch = named(arrays)
    first, server, loads = batch.state.slot[0], batch.state.server[0], batch.state.loads[0]
    for h in range(table.shape[0]):
        server[:] = batch.course.background[0, first + h]
        for k in range(table.shape[1]):
            server[0] = batch.state.previous[0, 0] = k
            add_loads(batch.constants[0], server, batch.course.weight[0], loads)
            evaluate(batch, 0, first + h)
            table[h, k, 0] = batch.terms.totals[0, TERM.score] + batch.terms.totals[0, TERM.price]
    fill_prices(batch, first, moving)
