"""Entries of the leaderboards: heuristics, learners whose network cannot be exported, and submissions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import agents
from leaderboards.submission import SUBMISSIONS, Submission, read, submissions
from leaderboards.tracks import TRACKS, Track

Kind = Literal["heuristic", "learner", "submission"]

BY_NAME: Mapping[str, tuple[str, ...]] = {"placement-paper-100x10": ("mappo",)}
"""Learners whose checkpoint is loaded from this repository, as a network that solves a market is not a fixed graph."""


@dataclass(frozen=True)
class Entry:
    """One agent on one track."""

    name: str
    kind: Kind
    track: str
    folder: Path | None = None
    """folder of a submission"""

    def submission(self) -> Submission:
        """Read and validate the submission; SubmissionError lists every problem."""
        assert self.folder is not None
        return read(self.folder, others=None)

    @property
    def policy_sha256(self) -> str:
        """Hash of a submission's graph or of a learner's weights; empty for a heuristic."""
        if self.kind == "heuristic":
            return ""
        path = self.weights if self.folder is None else self.folder / "policy.onnx"
        return hashlib.sha256(path.read_bytes()).hexdigest()

    @property
    def weights(self) -> Path:
        """Checkpoint of a learner."""
        cell = TRACKS[self.track].cells[0]
        return agents.CHECKPOINTS / f"{self.name}-{cell.env_id}-{cell.scenario}.safetensors"

    def parameters(self) -> int | None:
        """Number of learned parameters; None for a heuristic."""
        if self.folder is not None:
            return self.submission().parameters
        if self.kind == "heuristic":
            return None
        from safetensors.numpy import load_file  # an extra

        return sum(array.size for array in load_file(self.weights).values())


def by_name(track: Track) -> list[Entry]:
    """Heuristics and learners of a track."""
    heuristics = [Entry(name, "heuristic", track.name) for name in agents.HEURISTICS[track.env_id]]
    return heuristics + [Entry(name, "learner", track.name) for name in BY_NAME.get(track.name, ())]


def from_submission(submission: Submission) -> Entry:
    """Entry of a submission."""
    return Entry(submission.name, "submission", submission.track.name, submission.folder)


def all_entries(names: Sequence[str] = (), tracks: Sequence[str] = ()) -> list[Entry]:
    """Return all entries, or those with the given names or tracks, without invalid submissions.

    Raises ValueError for an unknown name or track.
    """
    for name in tracks:
        if name not in TRACKS:
            raise ValueError(f"tracks: must be among {', '.join(TRACKS)}, got {name!r}")
    found = [entry for track in TRACKS.values() for entry in by_name(track)] + [
        *map(from_submission, submissions(SUBMISSIONS)[0])
    ]
    found = [entry for entry in found if not tracks or entry.track in tracks]
    known = {entry.name for entry in found}
    for name in names:
        if name not in known:
            raise ValueError(f"entries: must be among {', '.join(sorted(known))}, got {name!r}")
    return [entry for entry in found if not names or entry.name in names]


def about(entry: Entry) -> str:
    """Description of a heuristic or learner in one line."""
    return ABOUT[TRACKS[entry.track].env_id][entry.name]


_ANY = "Uniformly random decisions in every slot."

ABOUT: Mapping[str, Mapping[str, str]] = {
    "DTAssociation-v0": {
        "random": _ANY,
        "pack": "All twins on as few servers as possible.",
        "nearest-random": "The nearest server with room, historical data drawn at random: Baseline 3 of (Zhou 2025).",
        "nearest": "The nearest server with room: Baseline 2 of (Zhou 2025).",
        "stay": "The nearest server with room at first, without migrations afterwards.",
        "hysteresis": "Moves a twin once another server is nearer by a margin, tuned on separate seeds.",
        "local-search": "The best single moves of one slot, until none improves it; does not look ahead.",
    },
    "DTPlacementMA-v0": {
        "random": "Stations for users, drawn uniformly every slot.",
        "nearest": "Every user's nearest station: a baseline of (Lu 2021).",
        "constant": "Every station asks the same price, every slot.",
        "at-access": "Twins where their users are connected.",
        "least-loaded": "One user after another, to the station with the least load.",
        "greedy-add": "Adds hosts one by one while that lowers the cost.",
        "local-search": "The best moves of users and hosts of one slot, until none improves it.",
        "mappo": "Base stations trained jointly (agents/mappo.py), run from this repository: not a fixed graph.",
    },
    "DTMigration-v0": {
        "random": _ANY,
        "never": "Leaves the twin where it began.",
        "best-latency": "The station of least latency, every slot: Algorithm 3 of (Lu 2021) read as an argmax.",
        "best-latency-literal": "Algorithm 3 of (Lu 2021) as it is printed.",
        "payback": "Moves where the gain pays for the migration within ten slots.",
        "lookahead": "Plans fifteen slots ahead, assuming that the user goes straight on.",
    },
}
