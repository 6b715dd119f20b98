"""Inputs of the networks: time and coordinates of the serving site, the three sequences of (Li 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from dtenv.forecasting import CellTraces, History, Windows, windows
from dtenv.traces.clocks import DAY_S

CHANNELS = 3


class Samples(NamedTuple):
    """Windows as inputs and targets of networks."""

    x: torch.Tensor  # (n, 3, X) days since the midnight before now, and standardised coordinates
    past: torch.Tensor  # (n, X) cells of these coordinates
    ahead: torch.Tensor  # (n, 3, H) the same for the steps to predict
    cell: torch.Tensor  # (n, H) cells of these steps
    user: torch.Tensor  # (n,)


@dataclass(frozen=True)
class Channels:
    """Normalisation of cells and times, from the sites only, so that nothing is learned from users."""

    site: torch.Tensor  # (cells, 2) standardised coordinates, float32

    @classmethod
    def of(cls, site_xy: np.ndarray) -> Channels:
        """Return the channels of base stations at `site_xy` (cells, 2), in metres."""
        spread = max(float(np.std(site_xy - site_xy.mean(axis=0))), 1e-9)  # one scale for both axes
        return cls(torch.from_numpy(((site_xy - site_xy.mean(axis=0)) / spread).astype(np.float32)))

    def of_history(self, history: History) -> tuple[torch.Tensor, torch.Tensor]:
        """Return x (n, 3, X) and cells (n, X); unknown cells are set to the first known one, unknown times to 0."""
        known = history.cell >= 0
        first = np.where(known, np.arange(known.shape[1]), known.shape[1]).min(axis=1)
        cell = np.where(known, history.cell, np.take_along_axis(history.cell, first[:, None], axis=1))
        return self._stack(cell, history.time_s, history.time_s[:, -1:]), torch.from_numpy(cell)

    def of_windows(self, seen: Windows) -> Samples:
        """Return samples of windows."""
        ahead = self._stack(seen.target, seen.time_s, seen.history.time_s[:, -1:])
        user, target = torch.from_numpy(seen.history.user), torch.from_numpy(seen.target)
        return Samples(*self.of_history(seen.history), ahead, target, user)

    def _stack(self, cell: np.ndarray, time_s: np.ndarray, now_s: np.ndarray) -> torch.Tensor:
        days = np.nan_to_num((time_s - np.floor(now_s / DAY_S) * DAY_S) / DAY_S).astype(np.float32)
        places = self.site[torch.from_numpy(cell)].movedim(-1, 1)
        return torch.cat([torch.from_numpy(days)[:, None], places], dim=1)


def samples_of(traces: CellTraces, length: int, horizon: int) -> tuple[Channels, Samples]:
    """Return the channels and all training windows of traces; ValueError if no stretch is long enough."""
    channels = Channels.of(traces.site_xy)
    return channels, channels.of_windows(windows(traces, length, horizon))
