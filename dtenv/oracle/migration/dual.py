"""Lagrangian bound of joint migration: users plan alone at given prices of seats, stations sell seats alone.

Let x[t, k, u] be 1 if user u's twin is on station k in slot t. The sum of scores is the users' worth, which depends on
their stations' loads, less prices of moves. Copy x into y, count worth on y, and relax x = y with multipliers λ[t, k,
u]. Then for every λ

    L(λ) = Σ_u max over paths of (Σ_t λ[t, k_t, u] - prices of moves)
           + Σ_{t, k} max over sets S of Σ_{u in S} (worth - λ[t, k, u])

is an upper bound on it. The users' part is a dynamic programme over stations; dtenv.oracle.migration.seats has the
stations' part.
"""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration.seats import sell_by_load, sell_by_number
from dtenv.scenario.edge import SQRT


@compiled
def plan_paths(
    prices: np.ndarray, moving: np.ndarray, server: np.ndarray, choice: np.ndarray, path: np.ndarray
) -> float:
    """Maximum gain of users planning alone, each slot on a station paying λ and each move costing `moving`.

    prices are λ (H, M, N), moving is (P, M, M, N) with P 1 or H, server (N,) the initial stations; path (H, N) is
    written, choice (H, M, N) is a work array of integers.
    """
    slots, stations, users = prices.shape
    value, ahead = np.zeros((stations, users)), np.empty((stations, users))
    for h in range(slots - 1, -1, -1):
        for k in range(stations):
            for u in range(users):
                ahead[k, u] = prices[h, k, u] + value[k, u]
        costs = moving[min(h, len(moving) - 1)]
        for k in range(stations):
            for u in range(users):
                value[k, u] = ahead[k, u] - costs[k, k, u]
                choice[h, k, u] = k
            for s in range(stations):
                for u in range(users):
                    net = ahead[s, u] - costs[k, s, u]
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
    sharing: int,
    penalty: float,
    seats: np.ndarray,
    table: np.ndarray,
    load: np.ndarray,
    weight: np.ndarray,
    moving: np.ndarray,
    server: np.ndarray,
    prices: np.ndarray,
    finest: int,
    likely: np.ndarray,
    choice: np.ndarray,
    path: np.ndarray,
    slope: np.ndarray,
) -> float:
    """L(λ), an upper bound on the sum of users' scores, for prices λ (H, M, N).

    seats is N_k (M,), table the worth (H, M, J, N) at loads load (J,), weight (N,) the twins', penalty the price of a
    late slot, moving (P, M, M, N) the prices of moves, server (N,) the initial stations. Load ranges are halved down to
    `finest` parts, a power of two, first around `likely` (H, M), which is updated. Written: users' stations path (H,
    N), and a subgradient slope (H, M, N), x - y. choice (H, M, N) is a work array of integers.
    """
    slots, stations, users = prices.shape
    work, order = np.empty((4, users)), np.empty(users, np.int64)
    ranges = np.empty((64, 2), np.int64)
    numbers = np.minimum(load.reshape(1, -1), seats.reshape(-1, 1))  # numbers of twins, unused with SQRT
    total = plan_paths(prices, moving, server, choice, path)
    for h in range(slots):
        for k in range(stations):
            sold = slope[h, k]
            if seats[k] == 0:
                sold[:] = 0.0
            elif sharing == SQRT:
                gain, likely[h, k] = sell_by_load(
                    table[h, k],
                    prices[h, k],
                    load,
                    weight,
                    seats[k],
                    penalty,
                    finest,
                    likely[h, k],
                    work,
                    order,
                    ranges,
                    sold,
                )
                total += gain
            else:
                total += sell_by_number(
                    table[h, k], prices[h, k], numbers[k, : min(len(load), seats[k])], work, order, sold
                )
            for u in range(users):
                sold[u] = -sold[u]
        for u in range(users):
            slope[h, path[h, u], u] += 1.0
    return total
