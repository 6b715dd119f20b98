"""Sets of users on servers: their worth, the best partition, and all sets that a bound does not exclude."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.association.pricing import REGIMES, Prices, items, limits
from dtenv.oracle.knapsack import WITHIN, relaxed_rest, sort_items
from dtenv.physics.barrier import is_violated
from dtenv.tasks.association.slot import Constants, Slot, serve_server, server_score


@compiled
def worth_of_sets(
    c: Constants, slot: Slot, s: int, members: np.ndarray, penalised: bool, users: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """Server s's term (n,) of the slot's score for each of n sets of users with masks `members` (n, U).

    `penalised`: whether violations of C2 and C3 are charged as in the score; otherwise such a set is worth -inf. users
    and slopes are work arrays of allocation.
    """
    count, num_users = members.shape
    server = np.empty(num_users, np.int64)
    history, utility, worth = np.zeros(num_users), np.zeros(num_users), np.zeros(count)
    for n in range(count):
        for u in range(num_users):
            server[u] = s if members[n, u] else -1
        worth[n] = server_score(c, slot, server, s, users, slopes, history, utility)
        if not penalised:
            _, synchronisation, load, _, _ = serve_server(c, slot, server, s, users, slopes, history, utility)
            if is_violated(load, slot.compute_capacity[s]) or is_violated(synchronisation, slot.sync_capacity[s]):
                worth[n] = -np.inf
    return worth


@compiled
def best_partition(worth: np.ndarray, server: np.ndarray) -> float:
    """Partition all users among the servers to maximise the sum of worth, by a dynamic programme over sets.

    worth (S, 2^U) is of each set on each server, user u in it where bit u is set; it may be -inf. Returns the sum, and
    writes each user's server (U,); if infeasible it returns -inf and leaves `server` unchanged.
    """
    num_servers, num_sets = worth.shape
    best = worth[0].copy()  # best worth of the first s servers for each set of users
    given = np.zeros((num_servers, num_sets), np.int64)  # the last server's subset in it
    for users in range(num_sets):
        given[0, users] = users
    for s in range(1, num_servers):
        # Large sets first, as a set's best uses its subsets' values before this server.
        for users in range(num_sets - 1, -1, -1):
            most, part = best[users] + worth[s, 0], 0
            subset = users
            while subset > 0:
                value = best[users ^ subset] + worth[s, subset]
                if value > most:
                    most, part = value, subset
                subset = (subset - 1) & users
            best[users] = most
            given[s, users] = part
    users = num_sets - 1
    if best[users] > -np.inf:
        for s in range(num_servers - 1, -1, -1):
            part = given[s, users]
            for u in range(len(server)):
                if (part >> u) & 1:
                    server[u] = s
            users ^= part
    return best[num_sets - 1]


@compiled
def sets_above(prices: Prices, s: int, dual: np.ndarray, multiplier: np.ndarray, least: float, sets: np.ndarray) -> int:
    """Write all sets A on server s whose bound of V(A) - Σ_A π_u is at least `least` into `sets`, as bit masks, int64.

    Sets may occur several times. multiplier (REGIMES, K) is the one of each interval, from `price_server`. Returns the
    number of sets, or -1 if they do not fit.
    """
    num_users, weight = len(dual), prices.sync[s]
    value, order = np.zeros(num_users), np.zeros(num_users, np.int64)
    taken = np.zeros(num_users, np.bool_)
    found = 0
    for regime in range(REGIMES if prices.penalised else 1):
        room, charge = limits(prices, s, regime)
        for i in range(prices.worth.shape[1]):
            total, used = items(prices, s, regime, i, multiplier[regime, i], dual, value), 0.0
            sort_items(value, weight, order)
            depth = 0
            while True:
                # Descend, taking users that fit, while the relaxation of the rest reaches `least`.
                bound = total + relaxed_rest(value, weight, order, depth, used, room, charge)
                while bound >= least and depth < num_users:
                    u = order[depth]
                    taken[depth] = charge != WITHIN or used + weight[u] <= room
                    if taken[depth]:
                        total += value[u]
                        used += weight[u]
                    depth += 1
                    bound = total + relaxed_rest(value, weight, order, depth, used, room, charge)
                if bound >= least:
                    if found == len(sets):
                        return -1
                    sets[found] = 0
                    for k in range(num_users):
                        if taken[k]:
                            sets[found] |= 1 << order[k]
                    found += 1
                # Backtrack to the last user taken and exclude it.
                depth -= 1
                while depth >= 0 and not taken[depth]:
                    depth -= 1
                if depth < 0:
                    break
                total -= value[order[depth]]
                used -= weight[order[depth]]
                taken[depth] = False
                depth += 1
    return found
