"""Correlated log-normal shadowing of the links between users and stations."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled, kernel
from dtenv.physics.geometry import euclidean, squared_distance
from dtenv.scenario.edge import Radio
from dtenv.world.normals import first_normal, second_normal, word_of

_LOG2_E = 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_SHIFT = 1.5 * 2.0**52
_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(11, -1, -1))


class Shadowing(NamedTuple):
    """Parameters of log-normal shadowing, for kernels."""

    shadowing_db: float  # standard deviation
    decorrelation_m: float
    site_correlation: float  # fraction of the variance common to all stations of a user

    @classmethod
    def of(cls, radio: Radio) -> Shadowing:
        """Values of a `Radio` group."""
        return cls(
            float(radio.shadowing_db), float(radio.shadowing_decorrelation_m), float(radio.shadowing_site_correlation)
        )


@kernel
def shadow_slot(r: Any, key: np.uint64, t: int, user_xy: np.ndarray, shadowing_db: np.ndarray) -> None:
    """Advance shadowing_db (users, stations) from slot t - 1 to slot t; its content is ignored in slot 0.

    Autoregression with correlation exp(-distance walked / decorrelation distance) (Gudmundson 1991), and between a
    user's stations `site_correlation`. r has the fields of `Shadowing`, key is the episode's, user_xy the walks.
    """
    users, stations = shadowing_db.shape
    own, common = station_shares(r.site_correlation, stations)
    deviation_db, decorrelation_m = r.shadowing_db, r.decorrelation_m
    pairs = (stations + 1) // 2
    for u in range(users):
        kept = 0.0
        if t > 0:
            moved = euclidean(user_xy[t, u, 0], user_xy[t, u, 1], user_xy[t - 1, u, 0], user_xy[t - 1, u, 1])
            kept = correlation(decorrelation_m, moved)
        fresh = deviation_db * math.sqrt(1.0 - kept * kept)
        total = 0.0
        for p in range(pairs):
            word, s = word_of(key, (t * pairs + p) * users + u), 2 * p
            first = first_normal(word)
            shadowing_db[u, s] = (kept * shadowing_db[u, s] if t > 0 else 0.0) + fresh * own * first
            total += first
            if s + 1 < stations:
                second = second_normal(word)
                shadowing_db[u, s + 1] = (kept * shadowing_db[u, s + 1] if t > 0 else 0.0) + fresh * own * second
                total += second
        for s in range(stations):
            shadowing_db[u, s] += fresh * common * total


class ShadowingWork(NamedTuple):
    """Work arrays of `shadow_links`."""

    kept: np.ndarray  # (users,) correlation with the previous slot
    fresh: np.ndarray  # (users,) standard deviation of the innovation, dB
    total: np.ndarray  # (users,) sum of a user's normal variates
    variate: np.ndarray  # (stations, users)


@kernel
def shadow_links(
    r: Any, key: np.uint64, t: int, user_xy: np.ndarray, work: ShadowingWork, shadowing_db: np.ndarray
) -> None:
    """Vectorised `shadow_slot` with the same bits, into shadowing_db (stations, users), station by station."""
    stations, users = shadowing_db.shape
    own, common = station_shares(r.site_correlation, stations)
    deviation_db, decorrelation_m = r.shadowing_db, r.decorrelation_m
    kept, fresh, total, variate = work
    pairs = (stations + 1) // 2
    if t == 0:
        kept[:] = 0.0
        shadowing_db[:] = 0.0
    else:
        correlations(decorrelation_m, user_xy[t - 1], user_xy[t], kept)
    for u in range(users):
        fresh[u] = deviation_db * math.sqrt(1.0 - kept[u] * kept[u])
        total[u] = 0.0
    for p in range(pairs):
        s, n = 2 * p, (t * pairs + p) * users
        draw_normals(key, n, variate[s], variate[min(s + 1, stations - 1)], s + 1 < stations)
    for s in range(stations):
        add_to(total, variate[s])
    for u in range(users):
        total[u] = fresh[u] * common * total[u]
        fresh[u] = fresh[u] * own
    for s in range(stations):
        advance_shadowing(kept, fresh, variate[s], total, shadowing_db[s])


@kernel
def draw_normals(key: np.uint64, n: int, first: np.ndarray, second: np.ndarray, both: bool) -> None:
    """Fill first (users,), and with `both` second (users,), with the normal variates of words n, n + 1, …"""
    if both:
        for u in range(len(first)):
            word = word_of(key, n + u)
            first[u] = first_normal(word)
            second[u] = second_normal(word)
    else:
        for u in range(len(first)):
            first[u] = first_normal(word_of(key, n + u))


@kernel
def add_to(total: np.ndarray, variate: np.ndarray) -> None:
    """Add variate (users,) to total (users,)."""
    for u in range(len(total)):
        total[u] += variate[u]


@kernel
def advance_shadowing(
    kept: np.ndarray, fresh: np.ndarray, variate: np.ndarray, common: np.ndarray, shadowing_db: np.ndarray
) -> None:
    """Advance the autoregression of a station's links by one slot; arrays (users,)."""
    for u in range(len(shadowing_db)):
        shadowing_db[u] = kept[u] * shadowing_db[u] + fresh[u] * variate[u] + common[u]


@kernel
def correlations(decorrelation_m: float, before: np.ndarray, now: np.ndarray, kept: np.ndarray) -> None:
    """Fill kept (users,) with the `correlation` of users who walked from before (users, 2) to now (users, 2)."""
    if before.shape[1] != 2 or now.shape[1] != 2:  # never; constant strides let coordinates load as vectors
        return
    for u in range(len(kept)):
        kept[u] = squared_distance(now[u, 0], now[u, 1], before[u, 0], before[u, 1])
    for u in range(len(kept)):
        kept[u] = correlation(decorrelation_m, math.sqrt(kept[u]))


@compiled
def station_shares(site_correlation: float, stations: int) -> tuple[float, float]:
    """Weights in a link of its own normal variate and of the sum over its user's links.

    They form the symmetric square root of the correlation matrix, which has `site_correlation` off its diagonal.
    """
    own = math.sqrt(1.0 - site_correlation)
    return own, (math.sqrt(1.0 - site_correlation + stations * site_correlation) - own) / stations


@compiled
def correlation(decorrelation_m: float, moved_m: float) -> float:
    """Correlation of shadowing over a walk of `moved_m`."""
    return decay(moved_m / decorrelation_m) if decorrelation_m > 0.0 else 0.0


@compiled
def decay(x: float) -> float:
    """Vectorisable exp(-x) for x >= 0, to a relative error of 4e-16; x is clipped at 700."""
    x = x if x < 700.0 else 700.0
    shifted = x * -_LOG2_E + _SHIFT  # a sum this large is an integer: its last bits are the power of two
    whole = shifted - _SHIFT
    z = -x - whole * _LN_2_HIGH - whole * _LN_2_LOW
    series = 1.0 / 479001600.0
    for term in _FACTORIALS:
        series = series * z + term
    bits = np.float64(series).view(np.int64) + (np.float64(shifted).view(np.int64) << np.int64(52))
    return np.int64(bits).view(np.float64)
