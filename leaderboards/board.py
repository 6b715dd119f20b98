"""What tables and the page are made of: tracks, their standings, and every instance's score."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.statistics import Interval
from leaderboards.tracks import Track


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An entry's episode."""

    cell: str
    index: int
    score: float
    normalised: float | None
    violation_rate: float
    status: str
    bound: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An entry in a track."""

    entry: str
    kind: str
    place: int | None
    feasible: bool
    iqm: Interval
    score: Interval
    gap: float
    violation_rate: float
    failed: dict[str, int] = field(default_factory=dict)
    decisions_per_second: float | None = None
    parameters: int | None = None
    authors: list[str] = field(default_factory=list)
    about: str = ""
    manifest: dict[str, Any] | None = None
    instances: list[Instance] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TrackBoard:
    """A track's standings."""

    track: Track
    standings: list[Standing]
    instances: int
    without_headroom: int
    film: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Board:
    """A season."""

    season: str
    revealed: bool
    commitment: str
    dtenv: str
    commit: str
    tracks: list[TrackBoard]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
