"""The myopic optimum as a policy: every slot's best decision with its proof, from what the observation shows.

A measure for other agents rather than one to deploy: a slot takes up to seconds. Needs the extra "oracle".
"""

from __future__ import annotations

from typing import Any

import numpy as np


def association(constants: Any, slot: Any, server: np.ndarray) -> None:
    """Write the association of most score into server (U,), as `dtenv.oracle.association.solve_slot` finds it."""
    from dtenv.oracle.association import solve_slot  # its solvers are optional

    server[:] = solve_slot(constants, slot).action


def placement(constants: Any, slot: Any, server: np.ndarray) -> None:
    """Write the stations of most score into server (N,), as `dtenv.oracle.placement.solve_slot` finds them."""
    from dtenv.oracle.placement import solve_slot

    server[:] = solve_slot(constants, slot).action
