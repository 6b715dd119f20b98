"""Focal migration: what is best for one user among others whose moves are known, by dynamic programming."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration.row import fill_prices
from dtenv.tasks.migration_batch import TERM, named
from dtenv.tasks.migration_slot import add_loads
from dtenv.tasks.migration_step import evaluate


@compiled
def tabulate_focal(arrays: tuple[np.ndarray, ...], table: np.ndarray, moving: np.ndarray) -> None:
    """What the next slots are worth to a focal user.

    Args:
        arrays: a flat batch of one; state and terms are overwritten.
        table: scores (H, M) on each station without the price of moving there, written.
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
            table[h, k] = batch.terms.totals[0, TERM.score] + batch.terms.totals[0, TERM.price]
    fill_prices(batch, first, moving)


@compiled
def best_path(table: np.ndarray, moving: np.ndarray, server: int, choice: np.ndarray, path: np.ndarray) -> float:
    """The greatest sum of `table` (H, M) less `moving` (M, M) along a path from `server`; ties stay.

    Args:
        table: what a station is worth in each slot.
        moving: prices (P, M, M) of moves; of one slot or of each.
        server: station before the first slot.
        choice: work array (H, M) of integers.
        path: stations (H,), written.
    """
    slots, stations = table.shape
    value, ahead = np.zeros(stations), np.empty(stations)
    for h in range(slots - 1, -1, -1):
        for k in range(stations):
            ahead[k] = table[h, k] + value[k]
        prices = moving[min(h, len(moving) - 1)]
        for k in range(stations):
            value[k], choice[h, k] = ahead[k] - prices[k, k], k
            for s in range(stations):
                net = ahead[s] - prices[k, s]
                if net > value[k]:
                    value[k], choice[h, k] = net, s
    k = server
    for h in range(slots):
        k = choice[h, k]
        path[h] = k
    return value[server]
