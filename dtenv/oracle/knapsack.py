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
def sort_items(value: np.ndarray, weight: np.ndarray, order: np.ndarray) -> None:
    """The items into `order` (n,), by falling value a weight."""
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
def relaxed_knapsack(value: np.ndarray, weight: np.ndarray, room: float, charge: float, order: np.ndarray) -> float:
    """`relaxed_rest` of all items, in any order; order (n,) is a work array."""
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
    """Most value of items taken whole, by depth-first branch and bound.

    Args:
        value: (n,).
        weight: (n,), not negative.
        room: what weights must stay within; or with a charge must reach.
        charge: of every weight beyond the room, or WITHIN.
        order: work array (n,), whole numbers.
        stack: work array (n,), bool.
        chosen: (n,), bool: set to what is taken.

    Returns:
        The most value, -inf if there is none; after MOST_NODES an upper bound of it, and `chosen` is the best found.
    """
    count = len(value)
    sort_items(value, weight, order)
    chosen[:] = False
    best, total, used = -np.inf, 0.0, 0.0
    depth = 0
    for _ in range(MOST_NODES):
        # Go down, taking what fits, as long as the relaxation of the rest promises more than the best.
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
        # Go back to the last item taken, and leave it out.
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
