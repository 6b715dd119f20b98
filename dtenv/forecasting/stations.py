"""Adapter from forecasters of cells to DTMigration's serving stations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtenv.forecasting.baselines import CellForecaster
from dtenv.forecasting.cell_traces import History
from dtenv.forecasting.recorded import nearest_sites
from dtenv.scenario.forecaster import ExogenousEpisode, one_hot
from dtenv.validation import one_of, positive_integer

ON_SITE_M = 1e-3
"""Largest distance between a station and its site, metres."""

Known = Callable[[ExogenousEpisode], tuple[np.ndarray, np.ndarray]]


class CellForecast:
    """Serving stations from a fitted forecaster's predictions on the cells that a user visited in the episode.

    With history="access" cells are the sites of the episode's stations, and the history is which of them served the
    user. Sites without a station are dropped, and the probabilities of the others renormalised. With history="place",
    for stations at other positions in every episode, cells are places, such as a grid, the history is the nearest place
    of the user, and a station serves the places nearest to it.

    Args:
        forecaster: fitted to traces of other episodes.
        site_xy: (cells, 2) metres, in the coordinates of the stations.
        history: "access" or "place".
        length: X, number of past slots that the forecaster sees.
        known: function from an episode to its users (n,) and times (slots, n), seconds, as in the fitted traces; by
            default users (-1) and times (nan) are unknown.
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
        self.known = anonymous if known is None else known

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """Implement `dtenv.forecasting.StationForecaster.stations`; the forecaster sees cells up to the current slot.

        Raises ValueError if history="access" and a station is on none of the sites.
        """
        slots, users = unfolded.access.shape
        user, time_s = self.known(unfolded)
        cell, time_s = (
            trailing_windows(self.cells(unfolded), self.length, -1),
            trailing_windows(np.asarray(time_s, float), self.length, np.nan),
        )
        history = History.of(cell, np.tile(user, slots), time_s)
        chance = self.forecaster.predict_proba(history, horizon).reshape(slots, users, horizon, -1)
        return self._on_stations(chance, unfolded.station_xy)

    def cells(self, unfolded: ExogenousEpisode) -> np.ndarray:
        """Cells (slots, n) of the users."""
        if self.history == "access":
            return self._sites_of(unfolded.station_xy)[unfolded.access]
        xy = unfolded.user_xy
        return nearest_sites(xy.reshape(-1, 2), self.site_xy).reshape(xy.shape[:2])

    def _sites_of(self, station_xy: np.ndarray) -> np.ndarray:
        site = nearest_sites(station_xy, self.site_xy)
        away = np.hypot(*(station_xy - self.site_xy[site]).T)
        if away.max() > ON_SITE_M:
            k = int(away.argmax())
            raise ValueError(f"station {k} must be on one of the sites, got {station_xy[k]}, {away[k]:g} m from any")
        return site

    def _on_stations(self, chance: np.ndarray, station_xy: np.ndarray) -> np.ndarray:
        """Probabilities (…, M) of the stations, from those (…, cells) of the cells."""
        if self.history == "access":
            found = chance[..., self._sites_of(station_xy)]
        else:
            found = chance @ one_hot(nearest_sites(self.site_xy, station_xy), len(station_xy))
        total = found.sum(axis=-1, keepdims=True)
        return np.divide(found, total, out=np.zeros_like(found), where=total > 0.0)


def anonymous(unfolded: ExogenousEpisode) -> tuple[np.ndarray, np.ndarray]:
    """Unknown users at unknown times."""
    return np.full(unfolded.access.shape[1], -1), np.full(unfolded.access.shape, np.nan)


def trailing_windows(values: np.ndarray, length: int, unknown: float) -> np.ndarray:
    """Last `length` of the values (slots, n) in every slot, oldest first: (slots * n, length)."""
    padded = np.pad(values, ((length - 1, 0), (0, 0)), constant_values=unknown)
    return np.lib.stride_tricks.sliding_window_view(padded, length, axis=0).reshape(-1, length)
