"""Jobs of a season: play an entry on all instances of its track; prove the bound of an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dtenv.oracle import episode_bound
from leaderboards.entries import Entry
from leaderboards.play import Played, play
from leaderboards.season import Season
from leaderboards.tracks import Track, find


@dataclass(frozen=True)
class PlayEntry:
    """Play an entry on all instances of its track."""

    entry: Entry
    season: Season

    @property
    def name(self) -> str:
        """Name of the job."""
        return f"{self.entry.track} {self.entry.name}"

    def run(self) -> Played:
        """Play the episodes."""
        return play(self.entry, self.season)


@dataclass(frozen=True)
class Prove:
    """Prove an upper bound of every policy's score on an instance."""

    track: str
    cell: str
    index: int
    season: Season

    @property
    def name(self) -> str:
        """Name of the job."""
        return f"{self.track} bound of {self.index} of {self.cell}"

    def run(self) -> dict[str, Any]:
        """Prove the bound; returns a row of bounds.csv."""
        track = find(self.track)
        scenario = next(cell for cell in track.cells if cell.name == self.cell).resolve()
        solution = episode_bound(track.env_id, scenario, self.season.seed(self.index), **track.proof)
        instance = {"env_id": track.env_id, "cell": self.cell, "index": self.index}
        return {**instance, "bound": solution.bound, "proof": solution.proof}


def proofs(track: Track, season: Season, known: set[tuple[str, str, int]]) -> list[Prove]:
    """Jobs for the missing bounds of a track; `known` ones by environment, cell and index."""
    return [
        Prove(track.name, cell.name, index, season)
        for cell in track.cells
        for index in range(track.episodes)
        if (track.env_id, cell.name, index) not in known
    ]
