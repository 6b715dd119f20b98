"""Source of the command's traces: simulated users who explore and return, or recorded ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dtenv.forecasting import CellTraces, cells_of_walks, hexagonal_sites, later_part, windows
from dtenv.forecasting.habits import HOUR_S, explore_and_return, records_of_stays, slots_of_stays
from dtenv.traces.files import Sites, read_sites, read_trace

EPR, GRID, OWN = "epr", "grid", "own"


class Source:
    """Traces by seed. The arguments are the fields of `command.Forecast` of the same names.

    Recorded users without a window in the training share of their steps are left out. Raises ValueError or
    FileNotFoundError for an invalid setting or file.
    """

    def __init__(
        self,
        *,
        data: str,
        sites: str,
        slots: str,
        users: int,
        days: int,
        side_m: float,
        spacing_m: float,
        train_share: float,
        length: int,
        horizon: int,
    ):
        for name, value in (("users", users), ("days", days)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")
        self.slot_seconds = slot_length(slots)
        self.users, self.days = users, days
        if data == EPR and sites == OWN:
            raise ValueError(f"sites must be {GRID!r} or a file where data is {EPR!r}, got {sites!r}")
        self.digests: dict[str, str] = {}
        """SHA-256 of the files read"""
        read: Sites | np.ndarray | None = None if sites == OWN else hexagonal_sites(side_m, spacing_m)
        if sites not in (GRID, OWN):
            read = read_sites(Path(sites))
            self.digests["sites"] = read.sha256
        self.recorded = None
        if data != EPR:
            walks = read_trace(Path(data))
            self.digests["data"] = walks.sha256
            found = cells_of_walks(walks, read, self.slot_seconds)
            learnt = windows(found.part(~later_part(found, train_share)), length, horizon).history.user
            self.recorded = found.of_users(learnt)
        if isinstance(read, Sites):
            middle = 0.5 * (read.coordinates.min(axis=0) + read.coordinates.max(axis=0))
            self.site_xy = read.metres(middle)
        elif read is not None:
            self.site_xy = read

    def traces(self, seed: int) -> CellTraces:
        """Return the traces of a seed, with its own users or its own draw of the recorded users."""
        rng = np.random.default_rng(seed)
        if self.recorded is not None:
            if self.users >= self.recorded.num_users:
                return self.recorded
            return self.recorded.of_users(rng.choice(self.recorded.num_users, size=self.users, replace=False))
        stays = explore_and_return(rng, self.site_xy, self.users, self.days)
        if self.slot_seconds is None:
            return records_of_stays(rng, stays, self.site_xy)
        return slots_of_stays(rng, stays, self.site_xy, self.slot_seconds)


def slot_length(slots: str) -> float | None:
    """Return the seconds of a slot, or None for records of sessions; ValueError for another setting."""
    if slots == "sessions":
        return None
    try:
        seconds = HOUR_S if slots == "hourly" else float(slots)
    except ValueError:
        seconds = float("nan")
    if not 0.0 < seconds < float("inf"):
        raise ValueError(f"slots must be 'hourly', 'sessions' or a positive number of seconds, got {slots!r}")
    return seconds
