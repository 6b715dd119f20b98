"""Knapsacks: maximise the value of items, with a capacity `room` or a charge per unit of weight beyond it.

The fractional relaxation, which takes items in falling order of value per weight, gives an upper bound.
"""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled

MOST_NODES = 10_000
"""Limit on the leaves of the search; beyond it the result is a bound instead of the optimum."""
WEIGHTLESS = 1e-300
"""Added to weights in denominators."""
WITHIN = -1.0
"""Value of `charge` for a hard capacity."""


@compiled
def sort_items(value: np.ndarray, weight: np.ndarray, order: np.ndarray) -> None:
    """Write the items into `order` (n,) by falling value per weight."""
    for u in range(len(value)):
        ratio = value[u] / (weight[u] + WEIGHTLESS)
        i = u
        while i > 0 and value[order[i - 1]] / (weight[order[i - 1]] + WEIGHTLESS) < ratio:
            order[i] = order[i - 1]
            i -= 1
        order[i] = u


@compiled
def relaxed_rest(
    value: np.ndarray, weight: np.ndarray, order: np.ndarray, first: int, used: float, room: float, charge: float
) -> float:
    """Upper bound on the value that sorted items from place `first` on can add, fractional items allowed.

    `order` (n,) sorts the items by falling value per weight; `used` is the weight already taken; weights are
    nonnegative. With charge WITHIN the total weight must not exceed `room`. Otherwise it must reach `room`, and the
    result includes the charge for all weight beyond it; -inf where the items cannot reach it.
    """
    total = 0.0
    for i in range(first, len(order)):
        u = order[i]
        v, w = value[u], weight[u]
        if charge == WITHIN:
            if v <= 0.0:
                break
            if used + w > room:
                total += v * (room - used) / w
                break
        elif used >= room:
            if v <= charge * w:
                break
        elif used + w > room and v <= charge * w:
            total += v * (room - used) / w
            used = room
            break
        total += v
        used += w
    if charge != WITHIN:
        if used < room:
            return -np.inf
        total -= charge * (used - room)
    return total


@compiled
def relaxed_knapsack(value: np.ndarray, weight: np.ndarray, room: float, charge: float, order: np.ndarray) -> float:
    """`relaxed_rest` of all items, in any order; `order` (n,) is a work array."""
    total = used = 0.0
    least = max(charge, 0.0)
    for u in range(len(value)):
        if value[u] > least * weight[u]:
            total += value[u]
            used += weight[u]
    if charge == WITHIN and used <= room:
        return total
    if charge != WITHIN and used >= room:
        return total - charge * (used - room)
    sort_items(value, weight, order)
    return relaxed_rest(value, weight, order, 0, 0.0, room, charge)


@compiled
def knapsack(
    value: np.ndarray,
    weight: np.ndarray,
    room: float,
    charge: float,
    order: np.ndarray,
    stack: np.ndarray,
    chosen: np.ndarray,
) -> float:
    """Maximum value of whole items, by depth-first branch and bound; `chosen` (n,), bool, is set to the items taken.

    value and weight are (n,), weights nonnegative; room and charge are as in `relaxed_rest`; order (n,) of integers and
    stack (n,) of booleans are work arrays. Returns -inf if infeasible, and an upper bound, with the best set found,
    after MOST_NODES leaves.
    """
    count = len(value)
    sort_items(value, weight, order)
    chosen[:] = False
    best, total, used = -np.inf, 0.0, 0.0
    depth = 0
    for _ in range(MOST_NODES):
        # Descend, taking items that fit, while the relaxation of the rest exceeds the best value.
        rest = relaxed_rest(value, weight, order, depth, used, room, charge)
        while total + rest > best and depth < count:
            u = order[depth]
            stack[depth] = charge != WITHIN or used + weight[u] <= room
            if stack[depth]:
                total += value[u]
                used += weight[u]
            depth += 1
            rest = relaxed_rest(value, weight, order, depth, used, room, charge)
        if total + rest > best:
            best = total + rest
            chosen[:] = False
            for i in range(count):
                if stack[i]:
                    chosen[order[i]] = True
        # Backtrack to the last item taken and exclude it.
        depth -= 1
        while depth >= 0 and not stack[depth]:
            depth -= 1
        if depth < 0:
            return best
        total -= value[order[depth]]
        used -= weight[order[depth]]
        stack[depth] = False
        depth += 1
    return relaxed_rest(value, weight, order, 0, 0.0, room, charge)
