"""Knapsacks: items of most value whose weights stay within a room, or, if they must exceed it, are charged beyond it.

Taking items in part gives an upper bound; items then go by falling value a weight.
"""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled

MOST_NODES = 10_000
"""Leaves of the search after which it gives a bound in place of the optimum."""

WEIGHTLESS = 1e-300
"""Added to a weight that is divided by."""

WITHIN = -1.0
"""In place of a charge a weight: weights have to stay within the room."""


@compiled
def sort_items(value: np.ndarray, weight: np.ndarray, free: np.ndarray, order: np.ndarray) -> int:
    """The items that are `free` into `order`, by falling value a weight; returns how many."""
    count = 0
    for u in range(len(value)):
        if not free[u]:
            continue
        ratio = value[u] / (weight[u] + WEIGHTLESS)
        i = count
        while i > 0 and value[order[i - 1]] / (weight[order[i - 1]] + WEIGHTLESS) < ratio:
            order[i] = order[i - 1]
            i -= 1
        order[i] = u
        count += 1
    return count


@compiled
def relaxed_rest(
    value: np.ndarray, weight: np.ndarray, order: np.ndarray, first: int, used: float, room: float, charge: float
) -> float:
    """Most value that sorted items from place `first` on can add when they may be taken in part.

    Args:
        value: of items.
        weight: of items, not negative.
        order: items by falling value a weight.
        first: items before this place are decided.
        used: weight of those taken.
        room: what weights must stay within; or with a charge must reach.
        charge: of every weight beyond the room, or WITHIN. The charge for all the weight is included.

    Returns:
        -inf where the items cannot reach the room although they must.
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
def relaxed_knapsack(
    value: np.ndarray,
    weight: np.ndarray,
    free: np.ndarray,
    used: float,
    room: float,
    charge: float,
    order: np.ndarray,
) -> float:
    """`relaxed_rest` of all items that are `free`; order (n,) is a work array."""
    total, need = 0.0, used
    least = max(charge, 0.0)
    for u in range(len(value)):
        if free[u] and value[u] > least * weight[u]:
            total += value[u]
            need += weight[u]
    if charge == WITHIN and need <= room:
        return total
    if charge != WITHIN and need >= room:
        return total - charge * (need - room)
    count = sort_items(value, weight, free, order)
    return relaxed_rest(value, weight, order[:count], 0, used, room, charge)


@compiled
def knapsack(
    value: np.ndarray,
    weight: np.ndarray,
    free: np.ndarray,
    used: float,
    room: float,
    charge: float,
    order: np.ndarray,
    stack: np.ndarray,
    chosen: np.ndarray,
) -> float:
    """Most value of items taken whole, by depth-first branch and bound.

    Args:
        value: (n,).
        weight: (n,), not negative.
        free: (n,) which items there are.
        used: weight that is there already.
        room: as for `relaxed_rest`.
        charge: likewise.
        order: work array (n,), whole numbers.
        stack: work array (n,), bool.
        chosen: (n,), bool: set to what is taken.

    Returns:
        The most value, -inf if there is none; after MOST_NODES an upper bound of it, and `chosen` is the best found.
    """
    count = sort_items(value, weight, free, order)
    sorted_items = order[:count]
    chosen[:] = False
    best, total = -np.inf, 0.0
    depth = nodes = 0
    while True:
        rest = relaxed_rest(value, weight, sorted_items, depth, used, room, charge)
        while total + rest > best and depth < count:
            u = order[depth]
            stack[depth] = charge != WITHIN or used + weight[u] <= room
            if stack[depth]:
                total += value[u]
                used += weight[u]
            depth += 1
            rest = relaxed_rest(value, weight, sorted_items, depth, used, room, charge)
        if total + rest > best:
            best = total + rest
            chosen[:] = False
            for i in range(count):
                if stack[i]:
                    chosen[order[i]] = True
        nodes += 1
        # Go back to the last item taken, and leave it out.
        depth -= 1
        while depth >= 0 and not stack[depth]:
            depth -= 1
        if depth < 0:
            return best
        if nodes > MOST_NODES:
            for i in range(depth, -1, -1):  # undo
                if stack[i]:
                    total -= value[order[i]]
                    used -= weight[order[i]]
            return relaxed_rest(value, weight, sorted_items, 0, used, room, charge)
        total -= value[order[depth]]
        used -= weight[order[depth]]
        stack[depth] = False
        depth += 1
