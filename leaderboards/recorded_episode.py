"""One episode as animation data: the world shared by all entries, and the decisions of one entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Codes of servers or stations, one character each."""


class FilmRecorder:
    """Record an episode slot by slot; with a focal user, of that user only.

    `env` is an environment of `gymnasium.make`, unwrapped, just reset. Raises ValueError for more than 36 servers.
    """

    def __init__(self, env: Any):
        task = self._task = env.task
        tape, area_m = task.tape, env.scenario.network.area_m
        slots = env.scenario.episode.num_slots
        focal = hasattr(task, "joint") and not task.joint
        self._users = slice(1) if focal else slice(None)
        sites = tape.server_xy[0] if hasattr(tape, "server_xy") else tape.station_xy[0]
        if len(sites) > len(DIGITS):
            raise ValueError(f"a film has at most {len(DIGITS)} servers, got {len(sites)}")
        decimals = 1 if area_m < 1000 else 0
        self._world: dict[str, Any] = {
            "area_m": float(area_m),
            "sites": rounded(sites, decimals),
            "users": rounded(tape.user_xy[0, 1 : slots + 1, self._users], decimals),
            "first": digits(task.state.server[0, self._users]),
        }
        if focal:
            self._world["access"] = digits(task.course.access[0, 1 : slots + 1, 0])
        self._film: dict[str, list[Any]] = {"hosts": [], "score": [], "violated": [], "migrations": []}

    def step(self, info: Mapping[str, Any]) -> None:
        """Record the slot that was just played from its `info`."""
        film = self._film
        film["hosts"].append(digits(self._task.state.server[0, self._users]))
        film["score"].append(round(float(info["score"]), 5))
        film["violated"].append(int(not info["feasible"]))
        film["migrations"].append(int(info["migrations"]))

    def world(self) -> dict[str, Any]:
        """Return the part that is the same for all entries.

        Keys: area_m, the side of the square in metres; sites [S][x, y] and users [slots][U][x, y] in metres; first, the
        twins' servers before slot 1, one character per user; with a focal user access, its access station in every
        slot.
        """
        return self._world

    def film(self) -> dict[str, Any]:
        """Return the entry's decisions by slot.

        Keys: hosts, the twins' servers, one character per user; score; violated, 1 or 0; migrations, the number of
        moves.
        """
        return self._film


def digits(servers: Iterable[int]) -> str:
    """Encode server indices, one character each."""
    return "".join(DIGITS[int(server)] for server in servers)


def rounded(metres: np.ndarray, decimals: int) -> list[Any]:
    """Round positions to nested lists, of integers without decimals."""
    near = np.round(metres, decimals)
    return near.tolist() if decimals else near.astype(int).tolist()
