"""Local search for a good association of one slot of DTPlacementMA, the start of the exact search.

Twins move and swap, stations open and close, then random kicks follow. The cost is a sum over stations, so a move needs
the evaluation of two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.placement.costs import PairCosts

KICKS = 8
"""Default number of descents from the best association with some twins moved at random."""
KICKED = 0.15
"""Share of twins that a kick moves."""
LEAST_GAIN = 1e-12
"""Least gain of a change, as a share of the costs."""


def local_search(
    costs: PairCosts, starts: list[np.ndarray], over: Callable[[], bool], kicks: int = KICKS
) -> tuple[np.ndarray, float]:
    """Locally optimal association (N,) within capacities, which hold all users, and its cost, inf if forbidden.

    Descents begin from a greedy association and from starts, whose twins at -1 or beyond a capacity are placed
    greedily; `kicks` more from the best with some twins moved at random. The search stops after a descent if over().
    """
    finite = np.isfinite(costs.cost)
    spread = np.where(finite, costs.cost, 0.0).max() + costs.host + costs.slope.max() * costs.weight.sum()
    dear = 10.0 * len(costs.weight) * (spread + 1e-300)  # above the cost of any feasible association
    cost = np.where(finite, costs.cost, dear)
    late = costs.late if np.isfinite(costs.late) else dear
    bounded = costs._replace(cost=cost, late=late)
    rng, moved = np.random.default_rng(0), max(1, int(KICKED * len(costs.weight)))
    begin = [np.full(len(costs.weight), -1), *starts]
    best, least = np.empty(0, np.int64), np.inf
    for number in range(len(begin) + kicks):
        server = best.copy() if number >= len(begin) else np.array(begin[number], dtype=np.int64)
        kick = rng.integers(costs.slope.shape, size=(moved if number >= len(begin) else 0, 2))
        value = _descend(bounded, server, kick)
        if value < least:
            best, least = server, value
        if over():
            break
    return best, least if least < dear else np.inf


@compiled
def association_cost(costs: PairCosts, server: np.ndarray) -> float:
    """Cost of an association (N,)."""
    total = 0.0
    for k in range(costs.slope.shape[1]):
        total += station_cost(costs, server, k)
    return total


@compiled
def station_cost(costs: PairCosts, server: np.ndarray, k: int) -> float:
    """Cost of station k under an association (N,), where -1 is no station."""
    load, slope, twins = 0.0, 0.0, 0
    for u in range(len(server)):
        if server[u] == k:
            load += costs.weight[u]
            slope += costs.slope[u, k]
            twins += 1
    if twins == 0:
        return 0.0
    level = twins - 1 if costs.by_count else 0
    total = costs.host + slope * load
    for u in range(len(server)):
        if server[u] == k:
            total += costs.cost[u, k, level]
            if load > costs.limit[u, k, level]:
                total += costs.late
    return total


@compiled
def _descend(costs: PairCosts, server: np.ndarray, kick: np.ndarray) -> float:
    """Improve `server` in place, after moves (…, 2) of users to stations with room; return its cost."""
    num_users, num_stations = costs.slope.shape
    held, worth = np.zeros(num_stations, np.int64), np.zeros(num_stations)
    for u in range(num_users):
        if server[u] >= 0 and held[server[u]] < costs.capacity[server[u]]:
            held[server[u]] += 1
        else:
            server[u] = -1
    _fill_in(costs, server, held, -1)
    for move in range(len(kick)):
        u, k = kick[move]
        if held[k] < costs.capacity[k]:
            held[server[u]] -= 1
            held[k] += 1
            server[u] = k
    return _settle(costs, server, held, worth)


@compiled
def _fill_in(costs: PairCosts, server: np.ndarray, held: np.ndarray, banned: int) -> None:
    """Place twins that have no station (-1), each where it costs least but not on `banned`; held (M,) is written."""
    held[:] = 0
    for u in range(len(server)):
        if server[u] >= 0:
            held[server[u]] += 1
    for u in np.argsort(-costs.weight):
        if server[u] >= 0:
            continue
        best, least = -1, np.inf
        for k in range(len(held)):
            if k == banned or held[k] >= costs.capacity[k]:
                continue
            before = station_cost(costs, server, k)
            server[u] = k
            added = station_cost(costs, server, k) - before
            server[u] = -1
            if best < 0 or added < least:
                best, least = k, added
        server[u] = best
        held[best] += 1


@compiled
def _settle(costs: PairCosts, server: np.ndarray, held: np.ndarray, worth: np.ndarray) -> float:
    """Move, open, close and swap until nothing gains; return the cost."""
    trial = server.copy()
    best = _move_all(costs, server, held, worth)
    improved = True
    while improved:
        improved = False
        for k in range(len(held)):
            trial[:] = server
            if not _open_or_close(costs, trial, held, worth, k):
                continue
            if _move_all(costs, trial, held, worth) < best - LEAST_GAIN * abs(best):
                best, improved = worth.sum(), True
                server[:] = trial
        if not improved:
            _move_all(costs, server, held, worth)
            improved = _swap(costs, server, worth)
            best = worth.sum()
    return best


@compiled
def _open_or_close(costs: PairCosts, server: np.ndarray, held: np.ndarray, worth: np.ndarray, k: int) -> bool:
    """Close station k, or open it for all twins that gain by it at no hosting cost; return whether possible."""
    held[:] = 0
    for u in range(len(server)):
        held[server[u]] += 1
    if held[k] == 0:
        for s in range(len(held)):
            worth[s] = station_cost(costs, server, s)
        worth[k] = costs.host  # charged already
        return _move(costs, server, held, worth, k)
    room = -len(server)
    for s in range(len(held)):
        room += costs.capacity[s] if s != k else 0
    if room < 0:
        return False
    for u in range(len(server)):
        if server[u] == k:
            server[u] = -1
    _fill_in(costs, server, held, k)
    return True


@compiled
def _move_all(costs: PairCosts, server: np.ndarray, held: np.ndarray, worth: np.ndarray) -> float:
    """Move single twins until none gains; held and worth (M,) are written; return the cost."""
    held[:] = 0
    for u in range(len(server)):
        held[server[u]] += 1
    for k in range(len(held)):
        worth[k] = station_cost(costs, server, k)
    while _move(costs, server, held, worth, -1):
        pass
    return worth.sum()


@compiled
def _move(costs: PairCosts, server: np.ndarray, held: np.ndarray, worth: np.ndarray, only: int) -> bool:
    """One pass of single moves, to the station `only` or, if -1, to any; return whether one gained."""
    num_users, num_stations = costs.slope.shape
    least_gain, any_moved = LEAST_GAIN * np.abs(worth).sum(), False
    for u in range(num_users):
        home = server[u]
        if home == only:
            continue
        server[u] = -1
        without = station_cost(costs, server, home)
        target, gain, target_worth = home, least_gain, 0.0
        for k in range(num_stations):
            if k == home or held[k] >= costs.capacity[k] or (only >= 0 and k != only):
                continue
            server[u] = k
            value = station_cost(costs, server, k)
            if worth[home] + worth[k] - without - value > gain:
                target, gain, target_worth = k, worth[home] + worth[k] - without - value, value
        server[u] = target
        if target != home:
            worth[home], worth[target] = without, target_worth
            held[home] -= 1
            held[target] += 1
            any_moved = True
    return any_moved


@compiled
def _swap(costs: PairCosts, server: np.ndarray, worth: np.ndarray) -> bool:
    """One pass of swaps of two twins; return whether one gained."""
    least_gain, any_moved = LEAST_GAIN * np.abs(worth).sum(), False
    for u in range(len(server)):
        for v in range(u + 1, len(server)):
            a, b = server[u], server[v]
            if a == b:
                continue
            server[u], server[v] = b, a
            at_a, at_b = station_cost(costs, server, a), station_cost(costs, server, b)
            if worth[a] + worth[b] - at_a - at_b > least_gain:
                worth[a], worth[b] = at_a, at_b
                any_moved = True
            else:
                server[u], server[v] = a, b
    return any_moved
