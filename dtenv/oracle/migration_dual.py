"""Lagrangian bound of joint migration: users plan alone against prices of seats, stations sell seats alone.

Let x[t, k, u] say that user u's twin is on station k in slot t. The score is a sum over users of worth, which depends
on the station's whole load, less prices of moves. Copy x into y, on which worth is counted, and relax x = y with
multipliers λ[t, k, u]. For every λ

    L(λ) = Σ_u max over paths of (Σ_t λ[t, k_t, u] - prices)  +  Σ_{t, k} max over sets S of Σ_{u in S} (worth - λ)

is an upper bound of the sum of scores. The users' part is a dynamic programme over stations. A station's part goes by
levels of its load: on level j a twin is worth no more than at that level's least load, and the twins weigh no more
than its greatest; what no set exceeds is then the linear relaxation of a knapsack. With equal shares a level is a
number of twins and with slices there is one level, so that the station's part is exact; with square-root shares levels
are ranges of load.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration_row import worth
from dtenv.scenario.edge import EQUAL, SLICE

RANGES = 64
"""Levels of load with square-root shares."""
SLACK = 1e-12
"""By how much, relatively, a level is wider than computed, for the rounding of sums of weights."""


def levels(sharing: int, weight: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest load (J,) of each level, which together hold every load of up to `capacity` twins (N,)."""
    most = min(capacity, len(weight))
    if sharing == SLICE:
        return np.ones(1), np.full(1, float(most))
    if sharing == EQUAL:
        twins = np.arange(1.0, most + 1.0)
        return twins, twins
    edges = np.linspace(weight.min(), np.sort(weight)[-most:].sum(), RANGES + 1)
    return edges[:-1] * (1.0 - SLACK), edges[1:] * (1.0 + SLACK)


@compiled
def tabulate(batch: Any, first: int, least: np.ndarray, table: np.ndarray) -> None:
    """Worth of every user on every station at every level's least load into table (H, M, J, N), from slot `first`."""
    weight = batch.course.weight[0]
    for h in range(table.shape[0]):
        for k in range(table.shape[1]):
            for j in range(table.shape[2]):
                for u in range(table.shape[3]):
                    table[h, k, j, u] = worth(batch, first + h, u, k, max(least[j] - weight[u], 0.0))


@compiled
def fill(
    net: np.ndarray, weight: np.ndarray, room: float, order: np.ndarray, rate: np.ndarray, share: np.ndarray
) -> tuple[float, int]:
    """Linear relaxation of a knapsack: most gain of positive `net` (N,) within a total weight, best rates first.

    Returns:
        The gain, and how many users share in it: entries of order and of share, in [0, 1]; rate is a work array.
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
        while load - weight[order[count - 1]] >= room:  # the last no longer fits in any part
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
def sell_seats(
    table: np.ndarray,
    prices: np.ndarray,
    weight: np.ndarray,
    most: np.ndarray,
    seats: int,
    work: np.ndarray,
    order: np.ndarray,
    sold: np.ndarray,
) -> float:
    """Most that one station in one slot can gain, and whom it sells to.

    Args:
        table: worth (J, N), falling with the level.
        prices: λ (N,).
        weight: of twins (N,).
        most: greatest load (J,).
        seats: N_k.
        work: work array (4, N).
        order: work array (N,) of integers.
        sold: shares of users (N,) in [0, 1], written.
    """
    net, rate, share, ones = work[0], work[1], work[2], work[3]
    best = 0.0
    sold[:] = 0.0
    for j in range(len(most)):
        total = 0.0
        for u in range(len(prices)):
            net[u] = table[j, u] - prices[u]
            total += max(net[u], 0.0)
        if total <= best:  # so do all later levels
            break
        value, count = fill(net, weight, most[j], order, rate, share)
        if count > seats and value > best:  # nor more than so many twins: of two bounds the smaller is one
            ones[:] = 1.0
            fewer, picked = fill(net, ones, float(seats), order, rate, share)
            if fewer < value:
                value, count = fewer, picked
            else:
                value, count = fill(net, weight, most[j], order, rate, share)
        if value > best:
            best = value
            sold[:] = 0.0
            for i in range(count):
                sold[order[i]] = share[i]
    return best


@compiled
def plan_paths(prices: np.ndarray, moving: np.ndarray, server: np.ndarray, choice: np.ndarray, path: np.ndarray) -> float:
    """Most that users gain, each on its own, at λ (H, M, N) a seat and `moving` (M, M, N) a move.

    Args:
        prices: what a user gets for a seat, λ.
        moving: what it pays to move from a station to another.
        server: stations (N,) to begin from.
        choice: work array (H, M, N) of integers.
        path: stations (H, N), written.
    """
    slots, stations, users = prices.shape
    value, ahead = np.zeros((stations, users)), np.empty((stations, users))
    for h in range(slots - 1, -1, -1):
        for k in range(stations):
            for u in range(users):
                ahead[k, u] = prices[h, k, u] + value[k, u]
        for k in range(stations):
            for u in range(users):
                value[k, u] = ahead[k, u]
                choice[h, k, u] = k
            for s in range(stations):
                for u in range(users):
                    net = ahead[s, u] - moving[k, s, u]
                    better = net > value[k, u]
                    value[k, u] = net if better else value[k, u]
                    choice[h, k, u] = s if better else choice[h, k, u]
    total = 0.0
    for u in range(users):
        k = server[u]
        total += value[k, u]
        for h in range(slots):
            k = choice[h, k, u]
            path[h, u] = k
    return total


@compiled
def relax(
    table: np.ndarray,
    prices: np.ndarray,
    moving: np.ndarray,
    server: np.ndarray,
    weight: np.ndarray,
    most: np.ndarray,
    seats: int,
    choice: np.ndarray,
    path: np.ndarray,
    slope: np.ndarray,
) -> float:
    """L(λ), with a subgradient, x - y, into slope (H, M, N); other arguments as above."""
    slots, stations, users = prices.shape
    work, order = np.empty((4, users)), np.empty(users, np.int64)
    total = plan_paths(prices, moving, server, choice, path)
    for h in range(slots):
        for k in range(stations):
            total += sell_seats(
                table[h, k], prices[h, k], weight, most, seats, work, order, slope[h, k]
            )
            for u in range(users):
                slope[h, k, u] = -slope[h, k, u]
        for u in range(users):
            slope[h, path[h, u], u] += 1.0
    return total
