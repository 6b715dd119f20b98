"""Command that lists the tracks."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboards.track_spec import spec_of
from leaderboards.tracks import TRACKS


@dataclass
class List:
    """List the tracks."""


def main(_: List) -> None:
    """Print every track with its instances, observations and actions."""
    for track in TRACKS.values():
        spec = spec_of(track)
        sizes = sorted({layout.size for layout in spec.layouts})
        print(f"{track.name}: {track.about}")
        print(f"  {track.episodes * len(track.cells)} instances; 0 is {track.reference}; spec {spec.sha256}")
        print(f"  obs (batch, {' | '.join(map(str, sizes))}) -> action {' | '.join(map(str, spec.actions))}")
