"""Barriers and penalties for the constraints C2 and C3 in rewards and scores (Zhou 2025, eqs 23-25)."""

import math

from dtenv.compiled import compiled

FEASIBILITY_TOLERANCE = 1e-9
"""Relative excess up to which a constraint counts as met, in environments, masks and bounds alike."""

LITERAL_FLOOR = 1e-9
"""Smallest slack of the literal barrier in a reward, which has to stay finite."""

VIOLATION_FIXED = 0.04
VIOLATION_SLOPE = 0.4
"""Price of a violation in the score: fixed + slope x relative excess (our choice); e itself ignores C3."""


@compiled
def is_violated(load: float, capacity: float) -> bool:
    """Whether a load exceeds its capacity by more than the tolerance."""
    return load > capacity * (1.0 + FEASIBILITY_TOLERANCE)


@compiled
def violation_penalty(load: float, capacity: float) -> float:
    """Penalty of one constraint in the score; 0 where it is met."""
    if not is_violated(load, capacity):
        return 0.0
    return VIOLATION_FIXED + VIOLATION_SLOPE * (load / capacity - 1.0)


@compiled
def literal_barrier(load: float, capacity: float, curve: float) -> float:
    """B(load - capacity) of (Zhou 2025, eq. 24): -ln(slack) / f, infinite without slack."""
    slack = capacity - load
    if slack <= 0.0:
        return math.inf
    return -math.log(slack) / curve


@compiled
def floored_barrier(load: float, capacity: float, curve: float) -> float:
    """`literal_barrier` with the slack clipped from below at LITERAL_FLOOR."""
    return -math.log(max(capacity - load, LITERAL_FLOOR)) / curve


@compiled
def smooth_barrier(load: float, capacity: float, curve: float) -> float:
    """Barrier -ln(slack) / f of the relative slack, finite and once differentiable everywhere.

    Below a slack of 1 / 2f it turns into `violation_penalty`, up to a constant. An idle server costs 0, unlike in (24).
    """
    slack = 1.0 - load / capacity
    join = min(0.5, 0.5 / curve)
    if slack >= join:
        return -math.log(slack) / curve
    beyond = join - slack
    # Same slope on both sides of the join: fixed / width + VIOLATION_SLOPE = 1 / (f * join).
    width = VIOLATION_FIXED / (1.0 / (curve * join) - VIOLATION_SLOPE)
    rise = VIOLATION_FIXED * (1.0 - math.exp(-beyond / width))
    return -math.log(join) / curve + rise + VIOLATION_SLOPE * beyond
