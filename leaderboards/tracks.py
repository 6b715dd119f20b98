"""Tracks: scenarios, instances, reference and bound settings that are ranked together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.suites.suite import Cell

FAILED_EPISODE_AGENT = "random"
"""Entry whose score is assigned to an episode in which an agent was late, crashed or gave an invalid action."""

LONG_TIME_LIMIT = {"time_limit": 3600.0}
"""Time limit of proofs in seconds, long enough that slow machines prove the same bounds."""

FACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "DTAssociation-v0": {},
    "DTPlacementMA-v0": {"action": ("price", "bid", "binary", "association")},
    "DTMigration-v0": {},
}
"""Scenario fields that a submission may choose, by environment, with their values."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """Scenarios whose instances form one ranking."""

    name: str
    """key in manifests, rows and links, such as "association-balanced" """
    title: str
    """title on the page"""
    about: str
    """description in one line"""
    cells: tuple[Cell, ...]
    """one scenario, or several that one policy must serve"""
    episodes: int
    """number of instances per cell"""
    bound: Mapping[str, Any] = field(default_factory=dict)
    """settings of the bounds' proofs that differ from those of benchmarks.env_settings"""
    allowed_violations: float = 0.0
    """maximum share of slots with a violated constraint of a feasible entry"""

    @property
    def env_id(self) -> str:
        """Environment of all cells."""
        return self.cells[0].env_id

    @property
    def reference(self) -> str:
        """Name of the entry that scores 0 on every instance."""
        return ENV_SETTINGS[self.env_id].zero

    @property
    def fixed_size(self) -> bool:
        """Whether the track has a single scenario, and so a fixed number of users and sites."""
        return len(self.cells) == 1

    @property
    def proof(self) -> dict[str, Any]:
        """Settings of the environment's `solve_episode`."""
        return {**ENV_SETTINGS[self.env_id].bound, **self.bound}

    @property
    def sha256(self) -> str:
        """Hash of everything that the ranking depends on, including every scenario field."""
        fixed = {
            "name": self.name,
            "cells": [[cell.name, cell.env_id, cell.resolve().as_dict()] for cell in self.cells],
            "episodes": self.episodes,
            "bound": self.proof,
            "reference": self.reference,
            "worst": FAILED_EPISODE_AGENT,
            "allowed_violations": self.allowed_violations,
        }
        return hashlib.sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()


def _track(family: str, cell: Cell, about: str, **settings: Any) -> Track:
    title = f"{family.capitalize()}, {cell.scenario}"
    return Track(name=f"{family}-{cell.scenario}", title=title, about=about, cells=(cell,), **settings)


def _association(preset: str, about: str) -> Track:
    cell = Cell("DTAssociation-v0", preset, fields={"num_servers": 15})
    return _track("association", cell, about, episodes=32, bound=LONG_TIME_LIMIT)


def _placement(preset: str, about: str, slots: int = 3, episodes: int = 12, gap: float = 1e-4) -> Track:
    cell, bound = Cell("DTPlacementMA-v0", preset, fields={"num_slots": slots}), {**LONG_TIME_LIMIT, "gap": gap}
    # Violated deadlines are priced in the objective: the optimum has some.
    return _track("placement", cell, about, episodes=episodes, bound=bound, allowed_violations=1.0)


def _migration(preset: str, about: str) -> Track:
    # The best plans miss the deadline in a few slots.
    return _track("migration", Cell("DTMigration-v0", preset), about, episodes=200, allowed_violations=0.005)


_ALL = (
    _association(
        "balanced",
        "Table II of (Zhou 2025) with more expensive synchronisation: staying, packing and nearest all lose.",
    ),
    _association(
        "sequential",
        "Migration is cheap and distance expensive: the best decision of each slot is not the best overall.",
    ),
    _association("paper", "Table II of (Zhou 2025) to the letter, S = 15."),
    Track(
        name="association-topology",
        title="Association, any number of servers",
        about="One policy for S = 9, 15 and 21 of the preset balanced.",
        cells=tuple(Cell("DTAssociation-v0", "balanced", fields={"num_servers": s}) for s in (9, 15, 21)),
        episodes=16,
        bound=LONG_TIME_LIMIT,
    ),
    _placement("small-20x5", "20 users, 5 stations.", slots=10, episodes=24),
    _placement("small-50x5", "50 users, 5 stations."),
    _placement("paper-80x5", "(Lu 2021, Table II), 80 users, 5 stations."),
    _placement("paper-100x5", "(Lu 2021, Table II), 100 users, 5 stations; bounds proven to 2 %.", gap=0.02),
    _placement("paper-80x10", "(Lu 2021, Table II), 80 users, 10 stations."),
    _placement("paper-100x10", "(Lu 2021, Table II), 100 users, 10 stations."),
    _migration("balanced", "One user among others whose stations' shadowing is correlated."),
    _migration("ping-pong", "Shadowing of stations independent: chasing the best one does not pay."),
    _migration("gauss-markov", "Users who keep their course."),
)

TRACKS: dict[str, Track] = {track.name: track for track in _ALL}
"""Tracks by name, in the order of the page. Literal presets are left out: with the formulas as printed, the hosts of
twins hardly matter. So is strict-100x10: a bound to 1 % takes more than a minute."""


def find(name: str) -> Track:
    """Return a track by name; ValueError if it is unknown."""
    if name not in TRACKS:
        raise ValueError(f"track must be one of {', '.join(TRACKS)}, got {name!r}")
    return TRACKS[name]
