"""Result of a solver: an action, its value, and a proven upper bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dtenv.physics.barrier import FEASIBILITY_TOLERANCE


@dataclass(frozen=True)
class Solution:
    """An achieved value and a proven upper bound; larger is better. Over several slots both are means per slot."""

    action: Any
    """Action that achieves `value`, or a list of them, one per slot; None where none was found or none exists."""
    value: float
    """Value of `action`, computed by the environment's own kernels; -inf without an action."""
    bound: float
    """Upper bound on the value of any action; -inf where the constraints are proven infeasible."""
    proof: str
    """Method that proves the bound, such as "enumeration" or "MILP"."""
    seconds: float
    """Time spent, seconds."""

    @property
    def gap(self) -> float:
        """bound - value: 0 where the action is proven optimal or infeasibility is proven, inf where none was found."""
        return 0.0 if self.infeasible else self.bound - self.value

    @property
    def infeasible(self) -> bool:
        """Whether the constraints are proven infeasible."""
        return self.bound == -math.inf

    def as_dict(self) -> dict[str, Any]:
        """Fields and gap by name."""
        names = ("action", "value", "bound", "gap", "proof", "seconds")
        return {name: getattr(self, name) for name in names}


class BoundExceeded(AssertionError):
    """A value above a proven bound: a bug in dtenv, not in the agent."""


def tolerance(bound: float) -> float:
    """Amount by which rounding alone may lift a value above a bound."""
    return FEASIBILITY_TOLERANCE * max(1.0, abs(bound))


def check_bound(value: float, bound: float, what: str) -> None:
    """Raise BoundExceeded, naming `what` achieved the value, if it exceeds the bound by more than the tolerance."""
    if value > bound + tolerance(bound):
        raise BoundExceeded(f"{what} achieved {value!r}, more than the proven bound {bound!r}: please report this")
