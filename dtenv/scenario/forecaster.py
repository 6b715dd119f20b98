"""Forecasters of users' positions and serving stations, for observations and for policies that plan ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from dtenv.validation import is_bool


@runtime_checkable
class Forecaster(Protocol):
    """Protocol of forecasters of positions."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """Forecast positions of the next slots, from every slot.

        Args:
            walks: positions (slots, users, 2), metres. The forecast of slot t may use walks[: t + 1] only.
            horizon: H, slots to predict.
            area_m: side of the square.

        Returns:
            (slots, users, H, 2), metres; [t, u, h] is the position expected in slot t + 1 + h.
        """


class ExogenousEpisode(NamedTuple):
    """Exogenous trajectory of an episode of DTMigration, for the agent's `n` users."""

    user_xy: np.ndarray  # (slots, n, 2) metres
    access: np.ndarray  # (slots, n) access stations
    gain_db: np.ndarray  # (slots, n, M)
    station_xy: np.ndarray  # (M, 2) metres
    area_m: float  # side of the square


@runtime_checkable
class StationForecaster(Protocol):
    """Protocol of forecasters of serving stations, for DTMigration."""

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """Probabilities (slots, n, H, M) of the serving stations in the next slots, from every slot.

        [t, u, h] are the stations' probabilities of serving user u in slot t + 1 + h, which sum to 1, or to 0 where
        there is no forecast.

        Args:
            unfolded: the episode. The forecast of slot t may use its first t + 1 slots only.
            horizon: H, slots to predict.
        """


class ConstantVelocity:
    """Users continue at the velocity of the last slot, up to the edge of the square."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """As `Forecaster.positions`; in slot 0 users are expected to stay."""
        step = np.diff(walks, axis=0, prepend=walks[:1])
        ahead = np.arange(1, horizon + 1)[:, None]
        return np.clip(walks[:, :, None] + ahead * step[:, :, None], 0.0, area_m)


class Oracle:
    """True positions, up to the end of the walk: the best possible forecast."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """As `Forecaster.positions`, but with knowledge of the future."""
        return walks[slots_ahead(len(walks), horizon)].transpose(0, 2, 1, 3)


FORECASTERS: dict[str, Forecaster | None] = {"none": None, "constant-velocity": ConstantVelocity(), "oracle": Oracle()}
"""Forecasters by name; with "none" the observation has no forecast."""

NONE, CONSTANT_VELOCITY, ORACLE = (list(FORECASTERS).index(name) for name in ("none", "constant-velocity", "oracle"))
GIVEN = len(FORECASTERS)


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """A forecast of serving stations plus oracle information on channel and load; itself a forecaster.

    Separate switches show the value of each kind of information. Forecast positions count as the nearest station.
    """

    forecast: str | Forecaster | StationForecaster = "none"
    """Forecast of serving stations: a forecaster's name or object."""
    channel: bool = False
    """Whether to observe the true wireless latency of the next slots: gains, shadowing and uplink sharing."""
    load: bool = False
    """Whether to observe the true computing latency at every station in the next slots; control="focal" only."""

    def __post_init__(self) -> None:
        check_forecaster("forecast", self.forecast)
        is_bool(self, "channel", "load")

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """As `StationForecaster.stations`, from the inner forecast."""
        given = FORECASTERS[self.forecast] if isinstance(self.forecast, str) else self.forecast
        if given is None:
            return np.zeros((*unfolded.access.shape, horizon, len(unfolded.station_xy)))
        if isinstance(given, StationForecaster):
            return given.stations(unfolded, horizon)
        expected = given.positions(unfolded.user_xy.copy(), horizon, unfolded.area_m)
        away = np.square(np.asarray(expected)[..., None, :] - unfolded.station_xy).sum(axis=-1)
        return one_hot(away.argmin(axis=-1), len(unfolded.station_xy))


def check_forecaster(name: str, forecaster: Any) -> None:
    """Raise ValueError, naming the field, if this is no forecaster."""
    if isinstance(forecaster, str):
        if forecaster not in FORECASTERS:
            raise ValueError(f"{name} must be one of {', '.join(FORECASTERS)}, got {forecaster!r}")
    elif not isinstance(forecaster, Forecaster | StationForecaster):
        known = ", ".join(FORECASTERS)
        raise ValueError(f"{name} must be one of {known} or a Forecaster or StationForecaster, got {forecaster!r}")


def forecaster_code(forecaster: str | Forecaster | StationForecaster) -> int:
    """Kernels' code of a scenario's forecaster; GIVEN for an object that forecasts positions.

    NONE for an object that forecasts stations, whose probabilities enter the observation elsewhere.
    """
    if isinstance(forecaster, str):
        return list(FORECASTERS).index(forecaster)
    return NONE if isinstance(forecaster, StationForecaster) else GIVEN


def slots_ahead(slots: int, horizon: int) -> np.ndarray:
    """Indices (slots, H) of the next slots from every slot, clipped to the last."""
    return np.minimum(np.arange(slots)[:, None] + np.arange(1, horizon + 1), slots - 1)


def one_hot(station: np.ndarray, stations: int) -> np.ndarray:
    """One-hot probabilities (…, M) of forecasts (…) of one station, or cell, each."""
    return (station[..., None] == np.arange(stations)).astype(np.float64)
