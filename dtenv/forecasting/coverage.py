"""Serving stations from forecast positions, by the radio model and the current gains."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.scenario.forecaster import FORECASTERS, ExogenousEpisode, Forecaster, one_hot
from dtenv.tasks.migration.slot import Constants
from dtenv.tasks.uplink import choose_access, link_gains


class Coverage:
    """Serving stations at the positions that a forecaster of positions predicts.

    Path loss follows from the positions, the current shadowing decays with the distance walked, and the environment's
    handover rule is applied to the resulting gains.

    Args:
        scenario: a MigrationScenario.
        forecaster: forecaster of positions or its name; ValueError if it predicts no positions.
    """

    def __init__(self, scenario: Any, forecaster: str | Forecaster = "constant-velocity"):
        found = FORECASTERS.get(forecaster) if isinstance(forecaster, str) else forecaster
        if not isinstance(found, Forecaster):
            raise ValueError(f"forecaster must predict positions, got {forecaster!r}")
        self.forecaster, self._constants = found, Constants.of(scenario)
        self._decorrelation_m = float(scenario.radio.shadowing_decorrelation_m)

    def stations(self, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
        """Implement `dtenv.forecasting.StationForecaster.stations`; causal if the forecaster of positions is."""
        u = unfolded
        expected = self.forecaster.positions(u.user_xy.copy(), horizon, u.area_m)
        legs = np.diff(expected, axis=2, prepend=u.user_xy[:, :, None])
        walked_m = np.cumsum(np.hypot(legs[..., 0], legs[..., 1]), axis=2)
        station = np.empty((*u.access.shape, horizon), np.int64)
        radio = self._constants, u.user_xy, u.gain_db, u.access, u.station_xy, self._decorrelation_m
        cover(*radio, expected, walked_m, station)
        return one_hot(station, len(u.station_xy))


@compiled
def cover(
    c: Constants,
    user_xy: np.ndarray,
    gain_db: np.ndarray,
    access: np.ndarray,
    station_xy: np.ndarray,
    decorrelation_m: float,
    expected: np.ndarray,
    walked_m: np.ndarray,
    station: np.ndarray,
) -> None:
    """Apply `expect_access` in every slot to every user; writes station (slots, n, H)."""
    for t in range(station.shape[0]):
        for u in range(station.shape[1]):
            expect_access(
                c, user_xy[t, u], gain_db[t, u], access[t, u], station_xy, decorrelation_m, expected[t, u],
                walked_m[t, u], station[t, u],
            )  # fmt: skip


@compiled
def expect_access(
    c: Constants,
    user_xy: np.ndarray,
    gain_db: np.ndarray,
    access: int,
    station_xy: np.ndarray,
    decorrelation_m: float,
    expected: np.ndarray,
    walked_m: np.ndarray,
    station: np.ndarray,
) -> None:
    """Access stations of a user's next slots, by the environment's handover rule on expected gains.

    Args:
        c: constants of the scenario.
        user_xy: (2,) current position, metres.
        gain_db: (M,) current gains; their difference to path loss is the shadowing.
        access: current access station.
        station_xy: (M, 2) metres.
        decorrelation_m: distance over which shadowing decays to 1/e.
        expected: positions (H, 2) in the next slots, metres.
        walked_m: (H,) metres walked until then.
        station: (H,), written.
    """
    stations = len(station_xy)
    xy, gain = np.empty((1, 2)), np.zeros((1, stations))
    seen, shadowing = np.zeros((1, stations)), np.zeros((1, stations))
    serving = np.full(1, access)
    xy[0] = user_xy
    link_gains(c, xy, station_xy, shadowing, gain)
    seen[0] = gain[0] - gain_db
    for h in range(len(station)):
        xy[0] = expected[h]
        kept = np.exp(-walked_m[h] / decorrelation_m) if decorrelation_m > 0.0 else 0.0
        shadowing[:] = kept * seen
        link_gains(c, xy, station_xy, shadowing, gain)
        choose_access(c, xy, station_xy, gain, serving)
        station[h] = serving[0]
