"""Where users will be and who will serve them: forecasters, for observations and for policies that look ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from dtenv.validation import is_bool


@runtime_checkable
class Forecaster(Protocol):
    """Predicts positions; any object with this method may stand in a scenario."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """Positions of the next slots, seen from every slot.

        Args:
            walks: positions (slots, users, 2), metres. The prediction made in slot t may use walks[: t + 1] alone.
            horizon: H, slots to predict.
            area_m: side of the square.

        Returns:
            (slots, users, H, 2), metres; [t, u, h] is the position expected in slot t + 1 + h.
        """


class Unfolded(NamedTuple):
    """An episode of DTMigration as it goes on whatever the agent does, for the agent's `n` users."""

    user_xy: np.ndarray  # (slots, n, 2) metres
    access: np.ndarray  # (slots, n) access stations, which serve the users
    gain_db: np.ndarray  # (slots, n, M)
    station_xy: np.ndarray  # (M, 2) metres
    area_m: float  # side of the square


@runtime_checkable
class StationForecaster(Protocol):
    """Predicts which stations will serve users; any object with this method may stand in DTMigration's scenario."""

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """Chances of the stations in the next slots, seen from every slot.

        Args:
            unfolded: the episode. The prediction made in slot t may use its first t + 1 slots alone.
            horizon: H, slots to predict.

        Returns:
            (slots, n, H, M) chances; [t, u, h] are those of serving user u in slot t + 1 + h, and add up to 1, or are
            all 0 where nothing is predicted.
        """


class ConstantVelocity:
    """Users go on as they went in the last slot, and stop at the edge of the square."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """As `Forecaster.positions`; in slot 0 users are expected to stay."""
        step = np.diff(walks, axis=0, prepend=walks[:1])
        ahead = np.arange(1, horizon + 1)[:, None]
        return np.clip(walks[:, :, None] + ahead * step[:, :, None], 0.0, area_m)


class Oracle:
    """The true positions, up to the end of the walk: what no forecaster can beat."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """As `Forecaster.positions`, but looks ahead."""
        return walks[slots_ahead(len(walks), horizon)].transpose(0, 2, 1, 3)


FORECASTERS: dict[str, Forecaster | None] = {"none": None, "constant-velocity": ConstantVelocity(), "oracle": Oracle()}
"""Forecasters by name; with "none" the observation says nothing of the future."""

NONE, CONSTANT_VELOCITY, ORACLE = (list(FORECASTERS).index(name) for name in ("none", "constant-velocity", "oracle"))
GIVEN = len(FORECASTERS)


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """A forecast of serving stations, and beside it what an oracle says of the rest of the future: itself a forecaster.

    Switches are apart so that one sees which future is worth something. Positions count as the station nearest to
    them.
    """

    forecast: str | Forecaster | StationForecaster = "none"
    """Which stations will serve the users: a forecaster's name or object."""
    channel: bool = False
    """Whether the true wireless latency of the next slots is told: gains, shadowing and who shares the uplink."""
    load: bool = False
    """Whether the true computing latency at every station in the next slots is told; with control="focal" alone."""

    def __post_init__(self) -> None:
        check_forecaster("forecast", self.forecast)
        is_bool(self, "channel", "load")

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """As `StationForecaster.stations`, by the forecast within."""
        given = FORECASTERS[self.forecast] if isinstance(self.forecast, str) else self.forecast
        if given is None:
            return np.zeros((*unfolded.access.shape, horizon, len(unfolded.station_xy)))
        if isinstance(given, StationForecaster):
            return given.stations(unfolded, horizon)
        expected = given.positions(unfolded.user_xy.copy(), horizon, unfolded.area_m)
        away = np.square(np.asarray(expected)[..., None, :] - unfolded.station_xy).sum(axis=-1)
        return certain(away.argmin(axis=-1), len(unfolded.station_xy))


def check_forecaster(name: str, forecaster: Any) -> None:
    """Raise ValueError, naming the field, where this is no forecaster."""
    if isinstance(forecaster, str):
        if forecaster not in FORECASTERS:
            raise ValueError(f"{name} must be one of {', '.join(FORECASTERS)}, got {forecaster!r}")
    elif not isinstance(forecaster, Forecaster | StationForecaster):
        known = ", ".join(FORECASTERS)
        raise ValueError(f"{name} must be one of {known} or a Forecaster or StationForecaster, got {forecaster!r}")


def kind_of(forecaster: str | Forecaster | StationForecaster) -> int:
    """A scenario's forecaster as kernels take it: one of those above, GIVEN for an object that predicts positions.

    NONE where stations are predicted: their chances are told otherwise.
    """
    if isinstance(forecaster, str):
        return list(FORECASTERS).index(forecaster)
    return NONE if isinstance(forecaster, StationForecaster) else GIVEN


def slots_ahead(slots: int, horizon: int) -> np.ndarray:
    """The next slots seen from every slot, (slots, H); the last one for all that lie beyond it."""
    return np.minimum(np.arange(slots)[:, None] + np.arange(1, horizon + 1), slots - 1)


def certain(station: np.ndarray, stations: int) -> np.ndarray:
    """Chances (…, M) of forecasts (…) that name one station, or cell, each."""
    return (station[..., None] == np.arange(stations)).astype(np.float64)
