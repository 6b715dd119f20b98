"""Two-level aggregation: edge servers average their clients, and the cloud periodically averages them."""

from __future__ import annotations

from dataclasses import dataclass

from dtenv.validation import positive_integer


@dataclass(frozen=True, kw_only=True)
class Dispersed:
    """Equal groups of consecutive clients; a client communicates with its edge server only."""

    groups: int = 2
    edge_rounds: int = 5
    """Rounds of the groups between aggregations at the cloud."""

    def __post_init__(self) -> None:
        positive_integer(self, "groups", "edge_rounds")

    def to_cloud(self, i: int, rounds: int) -> bool:
        """Return whether round i ends at the cloud; the last one does."""
        return (i + 1) % self.edge_rounds == 0 or i + 1 == rounds
