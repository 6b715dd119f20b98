"""Real sites and walks, ready to be drawn from: what dtenv.traces makes and dtenv.world consumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """Server sites and users' walks inside one square window, in metres from its lower left corner.

    Walks are cut into *segments*: stretches, unbroken and inside the window throughout, that are long
    enough for an episode. An episode gives every user one segment.
    """

    site_xy: np.ndarray
    """Sites, (sites, 2), metres."""
    walk_xy: np.ndarray
    """All resampled positions one after another, (points, 2), metres, one point a slot."""
    segment_start: np.ndarray
    """First point of every segment, (segments,), an index into walk_xy."""
    segment_slots: int
    """Points that every segment has at least."""
    area_m: float
    """Side of the window, metres."""
    slot_seconds: float
    provenance: dict[str, Any] = field(default_factory=dict)
    """File names, digests and window, for manifests and pictures."""

    def check(self, name: str, stations: int, num_slots: int) -> None:
        """Raise ValueError where this recording is too small for a scenario whose field `name` counts stations."""
        if stations > len(self.site_xy):
            raise ValueError(f"{name} must be at most the window's {len(self.site_xy)} sites, got {stations}")
        if num_slots + 2 > self.segment_slots:
            raise ValueError(
                f"num_slots must be at most {self.segment_slots - 2} for these walks, got {num_slots}; "
                "cut the recording for longer episodes with scenario_from_traces(..., num_slots=…)"
            )
