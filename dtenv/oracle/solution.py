"""What a solver of this folder gives: an action, what it achieves, and what nothing can exceed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dtenv.physics.barrier import FEASIBILITY_TOLERANCE


@dataclass(frozen=True)
class Solution:
    """An achieved value and a proven upper bound of it; more is better, costs are negative.

    Of one slot the value is that slot's, of several their mean, as tables give a score a slot.
    """

    action: Any
    """what achieves `value`: one slot's action, or one a slot; None where none was found or none exists"""
    value: float
    """achieved by `action`, from the environment's own kernels; -inf without one"""
    bound: float
    """no action achieves more; -inf where it is proven that no action meets the constraints"""
    proof: str
    """how the bound is proven, such as "enumeration" or "MILP" """
    seconds: float
    """spent"""

    @property
    def gap(self) -> float:
        """bound - value: 0 where the action is proven best or none exists, inf where none was found."""
        return 0.0 if self.infeasible else self.bound - self.value

    @property
    def infeasible(self) -> bool:
        """Whether it is proven that no action meets the constraints."""
        return self.bound == -math.inf

    def as_dict(self) -> dict[str, Any]:
        """The fields and the gap, by name."""
        names = ("action", "value", "bound", "gap", "proof", "seconds")
        return {name: getattr(self, name) for name in names}


class BoundExceeded(AssertionError):
    """An achieved value above a proven bound: an error of dtenv's, never of the agent's."""


def tolerance(bound: float) -> float:
    """By how much a value may exceed a bound through rounding alone."""
    return FEASIBILITY_TOLERANCE * max(1.0, abs(bound))


def check_bound(value: float, bound: float, what: str) -> None:
    """Raise if a value beats a proven bound by more than the tolerance.

    Args:
        value: achieved.
        bound: proven.
        what: what achieved it, for the message.

    Raises:
        BoundExceeded: it does.
    """
    if value > bound + tolerance(bound):
        raise BoundExceeded(f"{what} achieved {value!r}, more than the proven bound {bound!r}: please report this")
