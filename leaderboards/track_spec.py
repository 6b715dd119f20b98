"""What a policy is shown and asked for in a track, as data with a hash: a submission names the hash it was made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.observation import Layout
from dtenv.tasks.registry import task_of
from leaderboards.tracks import FACES, Track


@dataclass(frozen=True)
class Spec:
    """Observations and actions of every cell of a track."""

    track: Track
    layouts: tuple[Layout, ...]
    """of observations, one a cell"""
    actions: tuple[spaces.Space, ...]
    """one a cell"""
    overrides: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything that it says, for JSON."""
        cells = [
            {
                "cell": cell.name,
                "scenario": cell.resolve().override(**self.overrides).as_dict(),
                "observation": [
                    {
                        "name": block.name,
                        "shape": block.full_shape,
                        "entries": [name for name, _ in block.entries],
                        "low": block.low,
                        "high": block.high,
                    }
                    for block in layout.blocks
                ],
                "action": space_dict(action),
            }
            for cell, layout, action in zip(self.track.cells, self.layouts, self.actions, strict=True)
        ]
        return {"env_id": self.track.env_id, "track": self.track.name, "cells": cells}

    @property
    def sha256(self) -> str:
        """Of what it says."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True, default=str).encode()).hexdigest()


def spec_of(track: Track, overrides: Mapping[str, Any] | None = None) -> Spec:
    """What policies of a track are shown and asked for.

    Args:
        track: which.
        overrides: of the scenarios' fields that a submission may choose, such as {"action": "price"}.

    Raises:
        ValueError: a field that may not be chosen, or a value that it does not have.
    """
    overrides, faces = dict(overrides or {}), FACES[track.env_id]
    for name, value in overrides.items():
        if name not in faces:
            known = ", ".join(faces) or "none"
            raise ValueError(f"overrides: {name!r} cannot be chosen in {track.name!r}; fields that can: {known}")
        if value not in faces[name]:
            raise ValueError(f"overrides: {name} must be one of {', '.join(faces[name])}, got {value!r}")
    scenarios = [cell.resolve().override(**overrides) for cell in track.cells]
    tasks = [task_of(scenario) for scenario in scenarios]
    return Spec(track, tuple(t.layout for t in tasks), tuple(t.action_space for t in tasks), overrides)


def space_dict(space: spaces.Space) -> dict[str, Any]:
    """A space of actions, for JSON.

    Raises:
        TypeError: none that dtenv's environments have.
    """
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "shape": []}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": np.asarray(space.nvec).tolist(), "shape": list(space.shape)}
    if isinstance(space, spaces.Box):
        ends = {"low": float(space.low.min()), "high": float(space.high.max())}
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **ends}
    raise TypeError(f"space must be Discrete, MultiDiscrete or Box, got {space!r}")
