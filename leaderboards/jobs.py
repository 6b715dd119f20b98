"""What a season is made of: an entry on all instances of its track; the proven bound of an instance."""

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
    """An entry on all instances of its track."""

    entry: Entry
    season: Season

    @property
    def name(self) -> str:
        """Of the job."""
        return f"{self.entry.track} {self.entry.name}"

    def run(self) -> Played:
        """Play."""
        return play(self.entry, self.season)


@dataclass(frozen=True)
class Prove:
    """What no policy's score can exceed on an instance."""

    track: str
    cell: str
    index: int
    season: Season

    @property
    def name(self) -> str:
        """Of the job."""
        return f"{self.track} bound of {self.index} of {self.cell}"

    @property
    def _cell(self) -> Any:
        return next(cell for cell in find(self.track).cells if cell.name == self.cell)

    def run(self) -> dict[str, Any]:
        """Prove it: a row of bounds.csv."""
        track: Track = find(self.track)
        seed = self.season.seed(self.index)
        solution = episode_bound(track.env_id, self._cell.resolve(), seed, **track.proof)
        about = {"env_id": track.env_id, "cell": self.cell, "index": self.index}
        return {**about, "bound": solution.bound, "proof": solution.proof}


def proofs(track: Track, season: Season, known: set[tuple[str, str, int]]) -> list[Prove]:
    """The bounds of a track's instances that are not known yet, by environment, cell and index."""
    return [
        Prove(track.name, cell.name, index, season)
        for cell in track.cells
        for index in range(track.episodes)
        if (track.env_id, cell.name, index) not in known
    ]
