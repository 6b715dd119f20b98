"""The myopic optimum as a policy: every slot's best decision, proven, from the observation.

It takes up to seconds per slot, so it is a reference for other agents. Needs the extra "oracle".
"""

from __future__ import annotations

from typing import Any

import numpy as np


def association(constants: Any, slot: Any, server: np.ndarray) -> None:
    """Write the association of highest score to server (U,), by `dtenv.oracle.association.solve_slot`."""
    from dtenv.oracle.association import solve_slot  # its solvers are optional

    server[:] = solve_slot(constants, slot).action


def placement(constants: Any, slot: Any, server: np.ndarray) -> None:
    """Write the stations of highest score to server (N,), by `dtenv.oracle.placement.solve_slot`."""
    from dtenv.oracle.placement import solve_slot

    server[:] = solve_slot(constants, slot).action
