"""Shadowing of users' links to stations."""

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
    """Log-normal shadowing, as kernels take it."""

    shadowing_db: float  # standard deviation
    decorrelation_m: float
    site_correlation: float  # share of the variance that all stations of a user have in common

    @classmethod
    def of(cls, radio: Radio) -> Shadowing:
        """The numbers of a group."""
        return cls(
            float(radio.shadowing_db), float(radio.shadowing_decorrelation_m), float(radio.shadowing_site_correlation)
        )


@kernel
def shadow_slot(r: Any, key: np.uint64, t: int, user_xy: np.ndarray, shadowing_db: np.ndarray) -> None:
    """Shadowing of slot t into shadowing_db (users, stations), which holds that of the slot before.

    Gudmundson's (1991) autoregression: correlation exp(-distance walked / decorrelation distance); between a user's
    stations `site_correlation`.

    Args:
        r: has the fields of `Shadowing`.
        key: the episode's; its normal variates are numbered, those of a slot's users side by side.
        t: the slot; slot 0 has none before it.
        user_xy: walks (slots, users, 2), metres.
        shadowing_db: updated; not looked at in slot 0.
    """
    users, stations = shadowing_db.shape
    own, common = station_shares(r.site_correlation, stations)
    deviation_db, decorrelation_m = r.shadowing_db, r.decorrelation_m
    pairs = (stations + 1) // 2
    for u in range(users):
        kept = 0.0
        if t > 0:
            moved = euclidean(user_xy[t, u, 0], user_xy[t, u, 1], user_xy[t - 1, u, 0], user_xy[t - 1, u, 1])
            kept = kept_share(decorrelation_m, moved)
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


class Fading(NamedTuple):
    """Work arrays of `shadow_links`."""

    kept: np.ndarray  # (users,) correlation with the slot before
    fresh: np.ndarray  # (users,) deviation of what is new, dB
    total: np.ndarray  # (users,) of a user's normal variates
    variate: np.ndarray  # (stations, users)


@kernel
def shadow_links(r: Any, key: np.uint64, t: int, user_xy: np.ndarray, work: Fading, shadowing_db: np.ndarray) -> None:
    """`shadow_slot`, the same bits, into shadowing_db (stations, users), station by station: loops that vectorise."""
    stations, users = shadowing_db.shape
    own, common = station_shares(r.site_correlation, stations)
    deviation_db, decorrelation_m = r.shadowing_db, r.decorrelation_m
    kept, fresh, total, variate = work
    pairs = (stations + 1) // 2
    if t == 0:
        kept[:] = 0.0
        shadowing_db[:] = 0.0
    else:
        keep_shares(decorrelation_m, user_xy[t - 1], user_xy[t], kept)
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
        go_on(kept, fresh, variate[s], total, shadowing_db[s])


@kernel
def draw_normals(key: np.uint64, n: int, first: np.ndarray, second: np.ndarray, both: bool) -> None:
    """The normal variates of words from number n on into first (users,) and, if both, second (users,)."""
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
def go_on(
    kept: np.ndarray, fresh: np.ndarray, variate: np.ndarray, common: np.ndarray, shadowing_db: np.ndarray
) -> None:
    """A slot of the autoregression of a station's links, (users,) each."""
    for u in range(len(shadowing_db)):
        shadowing_db[u] = kept[u] * shadowing_db[u] + fresh[u] * variate[u] + common[u]


@kernel
def keep_shares(decorrelation_m: float, before: np.ndarray, now: np.ndarray, kept: np.ndarray) -> None:
    """`kept_share` of users who walked from before (users, 2) to now (users, 2) into kept (users,)."""
    if before.shape[1] != 2 or now.shape[1] != 2:  # never; constant strides let coordinates load as vectors
        return
    for u in range(len(kept)):
        kept[u] = squared_distance(now[u, 0], now[u, 1], before[u, 0], before[u, 1])
    for u in range(len(kept)):
        kept[u] = kept_share(decorrelation_m, math.sqrt(kept[u]))


@compiled
def station_shares(site_correlation: float, stations: int) -> tuple[float, float]:
    """What a link takes of its own normal variate and of the sum of all its user's.

    The symmetric square root of the matrix of correlations, which has `site_correlation` off its diagonal.
    """
    own = math.sqrt(1.0 - site_correlation)
    return own, (math.sqrt(1.0 - site_correlation + stations * site_correlation) - own) / stations


@compiled
def kept_share(decorrelation_m: float, moved_m: float) -> float:
    """Correlation of a user's shadowing with that of so many metres before."""
    return decay(moved_m / decorrelation_m) if decorrelation_m > 0.0 else 0.0


@compiled
def decay(x: float) -> float:
    """exp(-x) for x >= 0, to 4e-16 of it, in operations that vectorise; from 700 on as at 700."""
    x = x if x < 700.0 else 700.0
    shifted = x * -_LOG2_E + _SHIFT  # a sum this large is whole: the last bits are the power of two
    whole = shifted - _SHIFT
    z = -x - whole * _LN_2_HIGH - whole * _LN_2_LOW
    series = 1.0 / 479001600.0
    for term in _FACTORIALS:
        series = series * z + term
    bits = np.float64(series).view(np.int64) + (np.float64(shifted).view(np.int64) << np.int64(52))
    return np.int64(bits).view(np.float64)
