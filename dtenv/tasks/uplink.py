"""Access stations, channel gains and uplink rates (Lu 2021, eq. 3), shared by placement and migration."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.geometry import euclidean, squared_distance
from dtenv.physics.radio import db_to_ratio, path_loss_db, uplink_rate
from dtenv.scenario.edge import ACCESSES, Network, Radio

STRONGEST, NEAREST, DIRECT = (ACCESSES.index(name) for name in ("strongest", "nearest", "direct"))


class Uplink(NamedTuple):
    """Radio parameters for kernels; `Constants` of placement and migration begin with the same fields."""

    bandwidth_hz: float
    noise_w_per_hz: float
    min_distance_m: float
    path_loss_km_db: float
    path_loss_decade_db: float
    handover_margin_db: float
    access: int  # STRONGEST, NEAREST or DIRECT
    shares_bandwidth: bool
    nats: float  # 1, or ln 2 for rates by the natural logarithm

    @classmethod
    def of(cls, radio: Radio) -> Uplink:
        """Values of a `Radio` group."""
        return cls(
            float(radio.bandwidth_hz),
            radio.noise_w_per_hz,
            float(radio.min_distance_m),
            float(radio.path_loss_km_db),
            float(radio.path_loss_decade_db),
            float(radio.handover_margin_db),
            ACCESSES.index(radio.access),
            radio.bandwidth_sharing == "equal",
            1.0 if radio.rate_logarithm == "log2" else math.log(2.0),
        )


def gain_range_db(radio: Radio, network: Network) -> tuple[float, float]:
    """Range of channel gains in the square with six standard deviations of shadowing either way, dB."""
    spread = 6.0 * radio.shadowing_db
    model = radio.min_distance_m, radio.path_loss_km_db, radio.path_loss_decade_db
    near, far = (path_loss_db(metres, *model) for metres in (radio.min_distance_m, math.sqrt(2.0) * network.area_m))
    return -far - spread - 1.0, -near + spread + 1.0


@compiled
def scaled_gain(gain_db: float, least_db: float, most_db: float) -> float:
    """Scale a gain to -1 … 1 over a range, clipped, for observations."""
    share = (gain_db - least_db) / (most_db - least_db)
    return min(max(2.0 * share - 1.0, -1.0), 1.0)


def unscaled_gain(scaled: np.ndarray, least_db: float, most_db: float) -> np.ndarray:
    """Invert `scaled_gain` where it did not clip; gains in dB."""
    return 0.5 * (scaled + 1.0) * (most_db - least_db) + least_db


@compiled
def link_gains(
    up: Any, user_xy: np.ndarray, station_xy: np.ndarray, shadowing_db: np.ndarray, gain_db: np.ndarray
) -> None:
    """Fill gain_db (N, at least M) with one slot's channel gains to station_xy (M, 2), dB; shadowing is a loss."""
    # Locals, as the compiler cannot rule out that writes to gain_db change the record.
    nearest, at_km, decade = up.min_distance_m, up.path_loss_km_db, up.path_loss_decade_db
    # Two passes, as a loop with a call of the logarithm keeps nothing in registers.
    for u in range(len(user_xy)):
        x, y, row = user_xy[u, 0], user_xy[u, 1], gain_db[u]
        for s in range(len(station_xy)):
            row[s] = squared_distance(x, y, station_xy[s, 0], station_xy[s, 1])
    for u in range(len(user_xy)):
        row, shadowing = gain_db[u], shadowing_db[u]
        for s in range(len(station_xy)):
            row[s] = -path_loss_db(math.sqrt(row[s]), nearest, at_km, decade) - shadowing[s]


@compiled
def choose_access(
    up: Any, user_xy: np.ndarray, station_xy: np.ndarray, gain_db: np.ndarray, access: np.ndarray
) -> None:
    """Update every user's access station in access (N,), from that of the previous slot, or -1 at the start.

    A station is kept until another one's gain exceeds its own by more than the hand-over margin.
    """
    for u in range(len(access)):
        best, most = 0, -math.inf
        for s in range(len(station_xy)):
            if up.access == NEAREST:
                worth = -euclidean(user_xy[u, 0], user_xy[u, 1], station_xy[s, 0], station_xy[s, 1])
            else:
                worth = gain_db[u, s]
            if worth > most:
                best, most = s, worth
        before = access[u]
        if up.access != NEAREST and before >= 0 and gain_db[u, best] <= gain_db[u, before] + up.handover_margin_db:
            best = before
        access[u] = best


@compiled
def link_rate(up: Any, power_w: float, gain_db: float, users: float) -> float:
    """Uplink rate of one of `users` at a station, bit/s (Lu 2021, eq. 3)."""
    bandwidth = up.bandwidth_hz / users if up.shares_bandwidth else up.bandwidth_hz
    return up.nats * uplink_rate(bandwidth, power_w, db_to_ratio(gain_db), bandwidth * up.noise_w_per_hz)


@compiled
def wired_distances(station_xy: np.ndarray, wired_m: np.ndarray) -> None:
    """Fill wired_m (M, M) with the distances between stations, metres."""
    for j in range(len(station_xy)):
        for k in range(len(station_xy)):
            wired_m[j, k] = euclidean(station_xy[j, 0], station_xy[j, 1], station_xy[k, 0], station_xy[k, 1])
