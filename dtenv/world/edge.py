"""What the tapes of placement and migration have in common: what is drawn uniformly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import as_record
from dtenv.validation import Range
from dtenv.world.shadowing import Shadowing
from dtenv.world.walks import Walk


class EdgeRanges(NamedTuple):
    """Ranges of the draws, beside the fields of `Walk` and `Shadowing`."""

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
        """The numbers of a scenario, of its walks and of its channel, and `more` groups, as kernels take them."""
        network, twins = scenario.network, scenario.twins
        ranges = cls(
            float(network.separation_m),
            *(float(bits) for bits in twins.data_bits),
            *(float(bits) for bits in twins.update_bits),
            *(float(seconds) for seconds in deadline_s),
            *(float(cycles) for cycles in network.compute_hz),
        )
        # First, as Numba wonders about a record whose fields begin with all of another one's.
        return as_record(*more, Walk.of(scenario.mobility, network.area_m), Shadowing.of(scenario.radio), ranges)
