"""Recorded sites and walks, made by dtenv.traces and sampled by dtenv.world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """Server sites and users' walks inside one square window, in metres from its lower left corner.

    Walks are cut into *segments*: unbroken stretches inside the window that are long enough for an episode. An episode
    assigns one segment to every user.
    """

    site_xy: np.ndarray
    """Sites, (sites, 2), metres."""
    walk_xy: np.ndarray
    """All resampled positions in sequence, (points, 2), metres, one point per slot."""
    segment_start: np.ndarray
    """First point of every segment, (segments,), an index into walk_xy."""
    segment_slots: int
    """Minimum number of points of a segment."""
    area_m: float
    """Side of the window, metres."""
    slot_seconds: float
    provenance: dict[str, Any] = field(default_factory=dict)
    """File names, digests and window, for manifests and plots."""

    def __post_init__(self) -> None:
        if len(self.site_xy) == 0:
            raise ValueError("site_xy must hold at least one site, got none")
        starts, last = np.asarray(self.segment_start), len(self.walk_xy) - self.segment_slots
        if starts.size == 0:
            raise ValueError("segment_start must hold at least one segment, got none")
        if starts.min() < 0 or starts.max() > last:  # else kernels read past the walks
            wrong = starts[(starts < 0) | (starts > last)][0]
            raise ValueError(
                f"segment_start must lie in [0, {last}] for {len(self.walk_xy)} points and segments of "
                f"{self.segment_slots}, got {wrong}"
            )

    def check(self, name: str, stations: int, num_slots: int) -> None:
        """Raise ValueError if this recording is too small for a scenario whose field `name` counts stations."""
        if stations > len(self.site_xy):
            raise ValueError(f"{name} must be at most the window's {len(self.site_xy)} sites, got {stations}")
        if num_slots + 2 > self.segment_slots:
            raise ValueError(
                f"num_slots must be at most {self.segment_slots - 2} for these walks, got {num_slots}; "
                "cut the recording for longer episodes with scenario_from_traces(..., num_slots=…)"
            )
