"""Mobility of users in every task: random waypoints, Gauss-Markov or recorded walks (the papers name no model)."""

from __future__ import annotations

from dataclasses import dataclass

from dtenv.scenario.recording import Recording
from dtenv.validation import Range, in_unit_interval, one_of, ordered_pair, positive

WALKS = ("random-waypoint", "gauss-markov")
FARTHEST = 1e4
"""Most sides of the square that a user may walk in a slot: random waypoints draw one or two legs for each."""


@dataclass(frozen=True, kw_only=True)
class Mobility:
    """Walks (our choice)."""

    walk: str = "random-waypoint"
    """"random-waypoint": straight legs to uniform points; "gauss-markov": speed and heading with memory."""
    speed_mps: Range = (1.0, 2.0)
    """Metres per second: uniform per leg of random waypoints; the range of a Gauss-Markov walker's speed."""
    walk_memory: float = 0.9
    """Share of a Gauss-Markov walker's speed and heading kept after a second, in [0, 1]."""
    slot_seconds: float = 1.0
    """Duration of a slot, seconds."""
    recording: Recording | None = None
    """Real sites and walks instead of random ones; see dtenv.traces."""

    def __post_init__(self) -> None:
        one_of(self, "walk", WALKS)
        ordered_pair(self, 0.0, "speed_mps")
        in_unit_interval(self, "walk_memory")
        positive(self, "slot_seconds")
        if self.recording is not None and not isinstance(self.recording, Recording):
            raise ValueError(f"recording must be a Recording (dtenv.traces), got {self.recording!r}")

    def check(self, field: str, sites: int, num_slots: int, area_m: float) -> None:
        """Raise ValueError if the walks do not fit a scenario whose `field` counts sites."""
        if self.recording is not None:
            self.recording.check(field, sites, num_slots)
        elif self.speed_mps[1] * self.slot_seconds > FARTHEST * area_m:
            raise ValueError(
                f"speed_mps must cross a square of area_m {area_m:g} at most {FARTHEST:g} times in a slot of "
                f"slot_seconds {self.slot_seconds:g}, got {self.speed_mps!r}"
            )
