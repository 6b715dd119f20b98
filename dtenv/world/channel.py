"""Shadowing of users' links to stations."""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.geometry import euclidean
from dtenv.scenario.edge import Radio


def draw_shadowing(rng: np.random.Generator, radio: Radio, user_xy: np.ndarray, shadowing_db: np.ndarray) -> None:
    """Log-normal shadowing into shadowing_db (slots, users, stations), dB, along walks (slots, users, 2)."""
    correlated_shadowing(
        rng,
        user_xy,
        float(radio.shadowing_db),
        float(radio.shadowing_decorrelation_m),
        float(radio.shadowing_site_correlation),
        shadowing_db,
    )


@compiled
def correlated_shadowing(
    rng: np.random.Generator,
    user_xy: np.ndarray,
    deviation_db: float,
    decorrelation_m: float,
    site_correlation: float,
    shadowing_db: np.ndarray,
) -> None:
    """Gudmundson's autoregressive shadowing: correlation exp(-distance walked / decorrelation distance).

    A part of it, of variance share `site_correlation`, is common to all stations of a user.
    """
    slots, users, stations = shadowing_db.shape
    common, own = math.sqrt(site_correlation), math.sqrt(1.0 - site_correlation)
    for t in range(slots):
        for u in range(users):
            kept = 0.0
            if t > 0 and decorrelation_m > 0.0:
                moved = euclidean(user_xy[t, u, 0], user_xy[t, u, 1], user_xy[t - 1, u, 0], user_xy[t - 1, u, 1])
                kept = math.exp(-moved / decorrelation_m)
            fresh = deviation_db * math.sqrt(1.0 - kept * kept)
            shared = common * rng.standard_normal()
            for s in range(stations):
                before = kept * shadowing_db[t - 1, u, s] if t > 0 else 0.0
                shadowing_db[t, u, s] = before + fresh * (shared + own * rng.standard_normal())
