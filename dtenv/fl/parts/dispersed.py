"""Aggregation in two levels: edge servers average their clients, and the cloud averages them now and then."""

from __future__ import annotations

from dataclasses import dataclass

from dtenv.validation import positive_integer


@dataclass(frozen=True, kw_only=True)
class Dispersed:
    """Groups of as many clients each, by their number; a client talks to its edge server alone."""

    groups: int = 2
    edge_rounds: int = 5
    """Rounds of the groups from one aggregation at the cloud to the next."""

    def __post_init__(self) -> None:
        positive_integer(self, "groups", "edge_rounds")

    def to_cloud(self, i: int, rounds: int) -> bool:
        """Whether round i ends at the cloud; the last one does."""
        return (i + 1) % self.edge_rounds == 0 or i + 1 == rounds
