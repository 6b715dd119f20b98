"""Oracles of DTMigration's serving stations: how much a forecast is worth at best, and how good it has to be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dtenv.scenario.forecaster import Unfolded, certain, slots_ahead
from dtenv.validation import in_unit_interval, integer, is_bool


class AccessOracle:
    """The true access stations, up to the end of the episode."""

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """As `dtenv.forecasting.StationForecaster.stations`, but looks ahead."""
        return certain(true_stations(unfolded, horizon), len(unfolded.station_xy))


@dataclass(frozen=True, kw_only=True)
class NoisyOracle:
    """The true access stations, but where the forecast errs: with a chance p for each user, slot and slot ahead.

    Errors are independent and name another station uniformly. They follow from the episode and `seed`, so that an
    episode is forecast alike every time; and what errs at one p errs at every greater one.
    """

    p: float
    """Chance that a forecast is wrong."""
    calibrated: bool = False
    """Whether the forecaster says how sure it is: 1 - p of the station it names, the rest shared by the others."""
    seed: int = 0

    def __post_init__(self) -> None:
        in_unit_interval(self, "p")
        is_bool(self, "calibrated")
        integer("seed", self.seed, low=0)

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """As `dtenv.forecasting.StationForecaster.stations`, but looks ahead."""
        station, stations = true_stations(unfolded, horizon), len(unfolded.station_xy)
        if stations == 1:
            return certain(station, stations)
        rng = np.random.default_rng([self.seed, episode_key(unfolded)])
        wrong = rng.random(station.shape) < self.p
        other = (station + rng.integers(1, stations, station.shape)) % stations
        named = certain(np.where(wrong, other, station), stations)
        if not self.calibrated:
            return named
        rest = self.p / (stations - 1)
        return rest + (1.0 - self.p - rest) * named


def true_stations(unfolded: Unfolded, horizon: int) -> np.ndarray:
    """The access stations (slots, n, H) of the next slots."""
    return unfolded.access[slots_ahead(len(unfolded.access), horizon)].transpose(0, 2, 1)


def episode_key(unfolded: Unfolded) -> int:
    """A number that follows from an episode's walks and stations, for draws of a forecaster's own."""
    digest = hashlib.blake2b(unfolded.user_xy.tobytes(), digest_size=8)
    digest.update(unfolded.station_xy.tobytes())
    return int.from_bytes(digest.digest(), "little")
