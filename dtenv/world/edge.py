"""Ranges of the uniform draws shared by placement and migration."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import as_record
from dtenv.validation import Range
from dtenv.world.shadowing import Shadowing
from dtenv.world.walks import Walk


class EdgeRanges(NamedTuple):
    """Ranges of the uniform draws."""

    separation_m: float
    least_data: float
    most_data: float
    least_update: float
    most_update: float
    least_deadline: float
    most_deadline: float
    least_compute: float
    most_compute: float

    @classmethod
    def record(cls, scenario: Any, deadline_s: Range, *more: Any) -> np.ndarray:
        """Kernel record of a scenario's ranges, `Walk`, `Shadowing` and `more` groups."""
        network, twins = scenario.network, scenario.twins
        ranges = cls(
            float(network.separation_m),
            *map(float, (*twins.data_bits, *twins.update_bits)),
            *map(float, (*deadline_s, *network.compute_hz)),
        )
        # `more` first: Numba confuses a record with another one whose fields are a prefix of its own.
        return as_record(*more, Walk.of(scenario.mobility, network.area_m), Shadowing.of(scenario.radio), ranges)
