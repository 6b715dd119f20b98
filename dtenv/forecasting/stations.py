"""From forecasters of cells (dtenv.forecasting) to DTMigration's serving stations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtenv.forecasting.baselines import CellForecaster
from dtenv.forecasting.cell_traces import History
from dtenv.forecasting.recorded import nearest_sites
from dtenv.scenario.forecaster import Unfolded, certain
from dtenv.validation import one_of, positive_integer

ON_SITE_M = 1e-3
"""How far a station may stand from the site that it is taken for, metres."""

Known = Callable[[Unfolded], tuple[np.ndarray, np.ndarray]]


class CellForecast:
    """Serving stations by what a fitted forecaster makes of the cells a user has been through in the episode.

    With history="access" cells are the sites on which the episode's stations stand, and the past is which of them
    served the user. Sites without a station are left out, and the others' chances add up to 1. With history="place"
    cells are places, such as a grid, the past is which of them the user was nearest to, and a station serves the
    places nearest to it: for stations that stand elsewhere in every episode.

    Args:
        forecaster: fitted to traces of other episodes.
        site_xy: (cells, 2) metres, as stations stand in the square.
        history: "access" or "place".
        length: X, slots that the forecaster looks back on.
        known: users (n,) and times (slots, n), seconds, of an episode, as in the traces fitted to; by default users
            are strangers (-1) and times unknown (nan).

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        forecaster: CellForecaster,
        site_xy: np.ndarray,
        *,
        history: str = "access",
        length: int = 16,
        known: Known | None = None,
    ):
        self.forecaster, self.site_xy, self.history, self.length = forecaster, np.asarray(site_xy), history, length
        one_of(self, "history", ("access", "place"))
        positive_integer(self, "length")
        if self.site_xy.ndim != 2 or self.site_xy.shape[1] != 2 or not np.isfinite(self.site_xy).all():
            raise ValueError(f"site_xy must be (cells, 2) finite metres, got shape {self.site_xy.shape}")
        self.known = strangers if known is None else known

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """As `dtenv.forecasting.StationForecaster.stations`; the forecaster sees cells up to the slot alone.

        Raises:
            ValueError: with history="access" a station that stands on none of the sites.
        """
        slots, users = unfolded.access.shape
        cell = self.cells(unfolded)
        user, time_s = self.known(unfolded)
        asked = History.of(
            past(cell, self.length, -1), np.tile(user, slots), past(np.asarray(time_s, float), self.length, np.nan)
        )
        chance = self.forecaster.predict_proba(asked, horizon).reshape(slots, users, horizon, -1)
        return self._on_stations(chance, unfolded.station_xy)

    def cells(self, unfolded: Unfolded) -> np.ndarray:
        """The cells (slots, n) that users are in."""
        if self.history == "access":
            return self._sites_of(unfolded.station_xy)[unfolded.access]
        xy = unfolded.user_xy
        return nearest_sites(xy.reshape(-1, 2), self.site_xy).reshape(xy.shape[:2])

    def _sites_of(self, station_xy: np.ndarray) -> np.ndarray:
        site = nearest_sites(station_xy, self.site_xy)
        away = np.hypot(*(station_xy - self.site_xy[site]).T)
        if away.max() > ON_SITE_M:
            k = int(away.argmax())
            raise ValueError(f"station {k} must stand on one of the sites, got {station_xy[k]}, {away[k]:g} m from any")
        return site

    def _on_stations(self, chance: np.ndarray, station_xy: np.ndarray) -> np.ndarray:
        """Chances (…, M) of the stations, from those (…, cells) of the cells."""
        if self.history == "access":
            found = chance[..., self._sites_of(station_xy)]
        else:
            serves = nearest_sites(self.site_xy, station_xy)
            found = chance @ certain(serves, len(station_xy))
        total = found.sum(axis=-1, keepdims=True)
        return np.divide(found, total, out=np.zeros_like(found), where=total > 0.0)


def strangers(unfolded: Unfolded) -> tuple[np.ndarray, np.ndarray]:
    """Nobody is known, nor what time it is."""
    return np.full(unfolded.access.shape[1], -1), np.full(unfolded.access.shape, np.nan)


def past(values: np.ndarray, length: int, unknown: float) -> np.ndarray:
    """The last `length` of values (slots, n) in every slot, oldest first: (slots * n, length)."""
    before = np.full((length - 1, values.shape[1]), unknown, dtype=values.dtype)
    whole = np.concatenate([before, values])
    windows = np.lib.stride_tricks.sliding_window_view(whole, length, axis=0)
    return windows.reshape(-1, length)
