"""Observations and actions of a track as hashable data; a submission names the hash that it was made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.observation import Block, Layout
from dtenv.tasks.registry import task_of
from leaderboards.tracks import FACES, Track


@dataclass(frozen=True)
class Spec:
    """Observations and actions of every cell of a track."""

    track: Track
    layouts: tuple[Layout, ...]
    """observation layouts, one per cell"""
    actions: tuple[spaces.Space, ...]
    """action spaces, one per cell"""
    overrides: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The spec as JSON data."""
        cells = [
            {
                "cell": cell.name,
                "scenario": cell.resolve().override(**self.overrides).as_dict(),
                "observation": [_block_dict(block) for block in layout.blocks],
                "action": space_dict(action),
            }
            for cell, layout, action in zip(self.track.cells, self.layouts, self.actions, strict=True)
        ]
        return {"env_id": self.track.env_id, "track": self.track.name, "cells": cells}

    @property
    def sha256(self) -> str:
        """Hash of the spec."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True, default=str).encode()).hexdigest()


def _block_dict(block: Block) -> dict[str, Any]:
    entries = [name for name, _ in block.entries]
    return {"name": block.name, "shape": block.full_shape, "entries": entries, "low": block.low, "high": block.high}


def spec_of(track: Track, overrides: Mapping[str, Any] | None = None) -> Spec:
    """Return a track's spec, with overrides of scenario fields that a submission may choose.

    Raises ValueError for a field that cannot be chosen or an unknown value.
    """
    overrides, faces = dict(overrides or {}), FACES[track.env_id]
    for name, value in overrides.items():
        if name not in faces:
            known = ", ".join(faces) or "none"
            raise ValueError(f"overrides: {name!r} cannot be chosen in {track.name!r}; choosable fields: {known}")
        if value not in faces[name]:
            raise ValueError(f"overrides: {name} must be one of {', '.join(faces[name])}, got {value!r}")
    scenarios = [cell.resolve().override(**overrides) for cell in track.cells]
    tasks = [task_of(scenario) for scenario in scenarios]
    return Spec(track, tuple(t.layout for t in tasks), tuple(t.action_space for t in tasks), overrides)


def space_dict(space: spaces.Space) -> dict[str, Any]:
    """An action space as JSON data; TypeError for other spaces than those of dtenv's environments."""
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "shape": []}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": np.asarray(space.nvec).tolist(), "shape": list(space.shape)}
    if isinstance(space, spaces.Box):
        ends = {"low": float(space.low.min()), "high": float(space.high.max())}
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **ends}
    raise TypeError(f"space must be Discrete, MultiDiscrete or Box, got {space!r}")
