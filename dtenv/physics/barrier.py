"""How the constraints C2 and C3 enter a reward or a score (Zhou 2025, eqs 23-25)."""

import math

from dtenv.compiled import compiled

FEASIBILITY_TOLERANCE = 1e-9
"""Relative excess up to which a constraint counts as met: one number for environments, masks and bounds."""

LITERAL_FLOOR = 1e-9
"""Smallest slack that the literal barrier sees in a reward, which has to be finite."""

VIOLATION_FIXED = 0.04
VIOLATION_SLOPE = 0.4
"""Price of a violated constraint in the score: fixed + slope x relative excess (our choice). e alone can rise
by breaking C3, which costs it nothing."""


@compiled
def is_violated(load: float, capacity: float) -> bool:
    """Whether a load breaks its constraint by more than the tolerance."""
    return load > capacity * (1.0 + FEASIBILITY_TOLERANCE)


@compiled
def violation_penalty(load: float, capacity: float) -> float:
    """What a score loses by one constraint: 0 where it is met."""
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
    """`literal_barrier` with the slack held at LITERAL_FLOOR or more."""
    return -math.log(max(capacity - load, LITERAL_FLOOR)) / curve


@compiled
def smooth_barrier(load: float, capacity: float, curve: float) -> float:
    """Barrier of the relative slack: -ln(slack) / f inside, finite and once differentiable everywhere.

    From a slack of 1 / 2f on it goes over into the score's penalty, so that far outside it differs from
    `violation_penalty` by a constant. An idle server costs 0, unlike under (24).
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
