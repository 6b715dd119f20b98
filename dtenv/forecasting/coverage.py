"""From forecast positions to serving stations, as somebody who knows the radio model and the present gains makes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.scenario.forecaster import FORECASTERS, Forecaster, Unfolded, certain
from dtenv.tasks.migration.slot import Constants
from dtenv.tasks.uplink import choose_access, link_gains


class Coverage:
    """Serving stations where a forecaster of positions expects the users.

    Path loss follows the positions, the shadowing that is seen now fades with the way walked, and the environment's
    rule of hand-over is applied to what remains.

    Args:
        scenario: a MigrationScenario.
        forecaster: of positions, an object or its name.

    Raises:
        ValueError: the forecaster predicts no positions.
    """

    def __init__(self, scenario: Any, forecaster: str | Forecaster = "constant-velocity"):
        found = FORECASTERS.get(forecaster) if isinstance(forecaster, str) else forecaster
        if not isinstance(found, Forecaster):
            raise ValueError(f"forecaster must predict positions, got {forecaster!r}")
        self.forecaster, self._constants = found, Constants.of(scenario)
        self._decorrelation_m = float(scenario.radio.shadowing_decorrelation_m)

    def stations(self, unfolded: Unfolded, horizon: int) -> np.ndarray:
        """As `dtenv.forecasting.StationForecaster.stations`, looking ahead if the forecaster of positions does."""
        expected = self.forecaster.positions(unfolded.user_xy.copy(), horizon, unfolded.area_m)
        legs = np.diff(expected, axis=2, prepend=unfolded.user_xy[:, :, None])
        walked_m = np.cumsum(np.hypot(legs[..., 0], legs[..., 1]), axis=2)
        station = np.empty((*unfolded.access.shape, horizon), np.int64)
        u = unfolded
        cover(
            self._constants,
            u.user_xy,
            u.gain_db,
            u.access,
            u.station_xy,
            self._decorrelation_m,
            expected,
            walked_m,
            station,
        )
        return certain(station, len(unfolded.station_xy))


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
    """`expect_access` from every slot for every user, into station (slots, n, H)."""
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
    """Access stations of a user's next slots, by the environment's rule on expected gains.

    Args:
        c: the scenario's constants.
        user_xy: (2,) where the user is, metres.
        gain_db: (M,) gains there; what they are above path loss alone is taken for shadowing.
        access: the station that serves it now.
        station_xy: (M, 2) metres.
        decorrelation_m: distance over which shadowing fades to 1/e.
        expected: positions (H, 2) in the next slots, metres.
        walked_m: (H,) metres walked by then.
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
