"""Distances."""

import math

from dtenv.compiled import compiled


@compiled
def manhattan(x1: float, y1: float, x2: float, y2: float) -> float:
    """Manhattan distance in metres, l of (Zhou 2025, eqs 13-14)."""
    return abs(x1 - x2) + abs(y1 - y2)


@compiled
def squared_distance(x1: float, y1: float, x2: float, y2: float) -> float:
    """Square of the Euclidean distance, m²; for loops that take the roots in a later pass."""
    return (x1 - x2) ** 2 + (y1 - y2) ** 2


@compiled
def euclidean(x1: float, y1: float, x2: float, y2: float) -> float:
    """Euclidean distance in metres, d of (Lu 2021, eq. 5)."""
    return math.sqrt(squared_distance(x1, y1, x2, y2))
