"""Shadowing of users' links to stations."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.geometry import euclidean
from dtenv.scenario.edge import Radio
from dtenv.world.normals import standard_normal, word_of


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


@compiled
def shadow_slot(r: Any, key: np.uint64, t: int, user_xy: np.ndarray, shadowing_db: np.ndarray) -> None:
    """Shadowing of slot t into shadowing_db (users, stations), which holds that of the slot before.

    Gudmundson's (1991) autoregression: correlation exp(-distance walked / decorrelation distance). A part of it, of
    variance share `site_correlation`, is common to all stations of a user.

    Args:
        r: has the fields of `Shadowing`.
        key: the episode's; its normal variates are numbered.
        t: the slot; slot 0 has none before it.
        user_xy: walks (slots, users, 2), metres.
        shadowing_db: updated; not looked at in slot 0.
    """
    users, stations = shadowing_db.shape
    deviation_db, decorrelation_m = r.shadowing_db, r.decorrelation_m
    common, own = math.sqrt(r.site_correlation), math.sqrt(1.0 - r.site_correlation)
    n = t * users * (stations + 1)
    for u in range(users):
        kept = 0.0
        if t > 0 and decorrelation_m > 0.0:
            moved = euclidean(user_xy[t, u, 0], user_xy[t, u, 1], user_xy[t - 1, u, 0], user_xy[t - 1, u, 1])
            kept = math.exp(-moved / decorrelation_m)
        fresh = deviation_db * math.sqrt(1.0 - kept * kept)
        shared = common * standard_normal(word_of(key, n))
        for s in range(stations):
            n += 1
            last = kept * shadowing_db[u, s] if t > 0 else 0.0
            shadowing_db[u, s] = last + fresh * (shared + own * standard_normal(word_of(key, n)))
        n += 1
