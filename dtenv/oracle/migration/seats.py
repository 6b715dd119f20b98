"""Maximum gain of a station that sells seats in one slot: the stations' part of migration's Lagrangian bound.

A station chooses a set S of users to maximise the sum over S of worth - λ, where each user's worth falls with the total
load. With equal shares the load is the number of twins: for each number n, the n users of largest gain at that load are
optimal. With slices worth does not depend on the load. With square-root shares, ranges of load are halved where that
may lower the bound: within a range a user is worth no more than at its lower end, and the twins weigh no more than its
upper end, so the fractional knapsack is an upper bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration.row import slot_score
from dtenv.scenario.edge import EQUAL, SLICE

RANGES = 32
"""Number of load ranges, with square-root shares, between whose ends worth is interpolated."""
PARTS = 16
"""Finest division of a range; both are powers of two, so that halving reaches every part."""
ROUNDING = 1e-12
"""Relative rounding error of sums of weights, and of a drop by the deadline penalty."""


def load_levels(sharing: int, weight: np.ndarray, capacity: int) -> np.ndarray:
    """Loads (J,) at which worth is tabulated: numbers of twins up to `capacity`, or ends of ranges of weight (N,)."""
    most = min(capacity, len(weight))
    if sharing == SLICE:
        return np.full(1, float(most))
    if sharing == EQUAL:
        return np.arange(1.0, most + 1.0)
    return np.linspace(weight.min(), np.sort(weight)[-most:].sum(), RANGES + 1)


@compiled
def tabulate(batch: Any, first: int, load: np.ndarray, table: np.ndarray) -> None:
    """Fill worth of every user on every station at every load (J,) into table (H, M, J, N), from slot `first` on.

    Loads below the user's own weight are extrapolated, which keeps worth convex in the load.
    """
    weight = batch.course.weight[0]
    for h in range(table.shape[0]):
        for k in range(table.shape[1]):
            for j in range(table.shape[2]):
                for u in range(table.shape[3]):
                    table[h, k, j, u] = slot_score(batch, first + h, u, k, load[j] - weight[u])


@compiled
def fill(
    net: np.ndarray, weight: np.ndarray, room: float, order: np.ndarray, rate: np.ndarray, share: np.ndarray
) -> tuple[float, int]:
    """Fractional knapsack: maximum gain of positive `net` (N,) within a total weight, best rates first.

    Returns the gain and the number of users with a share: entries of order and of share, in [0, 1]; rate is a work
    array.
    """
    count, load = 0, 0.0
    for u in range(len(net)):
        if net[u] <= 0.0:
            continue
        here = net[u] / weight[u]
        if load >= room and here <= rate[count - 1]:
            continue
        n = count
        while n > 0 and rate[n - 1] < here:
            order[n], rate[n] = order[n - 1], rate[n - 1]
            n -= 1
        order[n], rate[n] = u, here
        count += 1
        load += weight[u]
        while load - weight[order[count - 1]] >= room:  # the last no longer has a positive share
            count -= 1
            load -= weight[order[count]]
    total = 0.0
    for i in range(count):
        u = order[i]
        share[i] = min(1.0, max(0.0, room / weight[u]))
        total += share[i] * net[u]
        room -= weight[u]
    return total, count


@compiled
def sell_by_number(
    table: np.ndarray, prices: np.ndarray, load: np.ndarray, work: np.ndarray, order: np.ndarray, sold: np.ndarray
) -> float:
    """Maximum gain of a station whose twins all weigh the same; `sold` (N,) is set to the users' shares in [0, 1].

    table is worth (J, N) at load (J,) twins, prices are λ (N,); work (4, N) and order (N,) of integers are work arrays.
    """
    net, rate, share, ones = work[0], work[1], work[2], work[3]
    ones[:] = 1.0
    sold[:] = 0.0
    best = 0.0
    for j in range(len(load)):
        for u in range(len(prices)):
            net[u] = table[j, u] - prices[u]
        value, count = fill(net, ones, load[j], order, rate, share)
        if value > best:
            best = value
            sold[:] = 0.0
            for i in range(count):
                sold[order[i]] = share[i]
    return best


@compiled
def fill_range(
    table: np.ndarray,
    prices: np.ndarray,
    load: np.ndarray,
    weight: np.ndarray,
    seats: int,
    penalty: float,
    start: int,
    stop: int,
    work: np.ndarray,
    order: np.ndarray,
) -> tuple[float, int]:
    """Upper bound on the gain of a station with twins of a weight between two parts of ranges, as from `fill`."""
    net, rate, share, ones = work[0], work[1], work[2], work[3]
    j, part = start // PARTS, start % PARTS / PARTS
    most = load[stop // PARTS]
    if stop % PARTS > 0:
        most += (load[stop // PARTS + 1] - most) * (stop % PARTS / PARTS)
    most *= 1.0 + ROUNDING
    for u in range(len(prices)):
        # Worth is convex, so it lies below its chord, except where it drops by the deadline penalty.
        here, drop = table[j, u], table[j, u] - table[j + 1, u]
        if penalty == 0.0 or drop < penalty * (1.0 - ROUNDING):
            here -= part * drop
        net[u] = here - prices[u] if weight[u] <= most else 0.0
    value, count = fill(net, weight, most, order, rate, share)
    if count > seats:  # the number of twins is bounded too: take the smaller bound
        ones[:] = 1.0
        fewer, picked = fill(net, ones, float(seats), order, rate, share)
        if fewer < value:
            return fewer, picked
        return fill(net, weight, most, order, rate, share)
    return value, count


@compiled
def sell_by_load(
    table: np.ndarray,
    prices: np.ndarray,
    load: np.ndarray,
    weight: np.ndarray,
    seats: int,
    penalty: float,
    finest: int,
    likely: int,
    work: np.ndarray,
    order: np.ndarray,
    ranges: np.ndarray,
    sold: np.ndarray,
) -> tuple[float, int]:
    """Upper bound on the gain of a station whose twins differ in weight, and the part of load ranges that attains it.

    table is worth (J, N) at the ends load (J,) of ranges, prices λ (N,), weight (N,) the twins', seats N_k, penalty the
    drop of a user's worth when it is late. Ranges are halved down to `finest` parts, a power of two up to PARTS, first
    around the part `likely`. work (4, N), order (N,) of integers and ranges (·, 2) of integers are work arrays; sold
    (N,) is set to the users' shares in [0, 1].
    """
    sold[:] = 0.0
    best, where, waiting = 0.0, likely // finest * finest, 2
    ranges[0] = 0, (len(load) - 1) * PARTS
    ranges[1] = where, where + finest
    while waiting > 0:
        waiting -= 1
        start, stop = ranges[waiting]
        value, count = fill_range(table, prices, load, weight, seats, penalty, start, stop, work, order)
        if value <= best:
            continue
        if stop - start > finest:
            middle = (start + stop) // 2
            ranges[waiting] = start, middle
            ranges[waiting + 1] = middle, stop
            waiting += 2
            continue
        best, where = value, start
        sold[:] = 0.0
        for i in range(count):
            sold[order[i]] = work[2, i]
    return best, where
