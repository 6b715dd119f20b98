"""Oracles of DTMigration's serving stations, perfect and noisy: upper bounds on the value of a forecast."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dtenv.scenario.forecaster import ExogenousEpisode, one_hot, slots_ahead
from dtenv.validation import in_unit_interval, integer, is_bool


class AccessOracle:
    """True access stations up to the end of the episode."""

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """Implement `dtenv.forecasting.StationForecaster.stations`, from the future of the episode."""
        return one_hot(true_stations(unfolded, horizon), len(unfolded.station_xy))


@dataclass(frozen=True, kw_only=True)
class NoisyOracle:
    """True access stations with errors of probability p for each user, slot and slot ahead.

    Errors are independent and predict another station uniformly. They are a function of the episode and `seed`, so an
    episode always gets the same forecast, and the errors at one p are a subset of those at a greater one.
    """

    p: float
    """Probability that a forecast is wrong."""
    calibrated: bool = False
    """Whether the predicted station gets probability 1 - p and the others share the rest, instead of 1 and 0."""
    seed: int = 0

    def __post_init__(self) -> None:
        in_unit_interval(self, "p")
        is_bool(self, "calibrated")
        integer("seed", self.seed, low=0)

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """Implement `dtenv.forecasting.StationForecaster.stations`, from the future of the episode."""
        station, stations = true_stations(unfolded, horizon), len(unfolded.station_xy)
        if stations == 1:
            return one_hot(station, stations)
        rng = np.random.default_rng([self.seed, episode_key(unfolded)])
        wrong = rng.random(station.shape) < self.p
        other = (station + rng.integers(1, stations, station.shape)) % stations
        named = one_hot(np.where(wrong, other, station), stations)
        if not self.calibrated:
            return named
        rest = self.p / (stations - 1)
        return rest + (1.0 - self.p - rest) * named


def true_stations(unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
    """Access stations (slots, n, H) of the next slots."""
    return unfolded.access[slots_ahead(len(unfolded.access), horizon)].transpose(0, 2, 1)


def episode_key(unfolded: ExogenousEpisode) -> int:
    """Hash of an episode's walks and stations, a seed for a forecaster's draws."""
    digest = hashlib.blake2b(unfolded.user_xy.tobytes(), digest_size=8)
    digest.update(unfolded.station_xy.tobytes())
    return int.from_bytes(digest.digest(), "little")
