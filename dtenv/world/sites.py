"""Where servers and base stations stand."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.world.pcg64 import distinct, uniform
from dtenv.world.walks import Recorded

TRIES = 1000
"""Places that a site is offered before all are drawn anew: the ones before may have left no room."""


@compiled
def draw_sites(stream: np.ndarray, recorded: Recorded, area_m: float, separation_m: float, xy: np.ndarray) -> None:
    """Sites into xy (sites, 2), metres: recorded ones, or uniform ones at least `separation_m` apart.

    The scenario keeps the separation small enough for this to end soon.
    """
    if len(recorded.site_xy) > 0:
        distinct(stream, len(recorded.site_xy), xy[:, 0])
        for s in range(len(xy)):
            site = int(xy[s, 0])
            xy[s, 0], xy[s, 1] = recorded.site_xy[site, 0], recorded.site_xy[site, 1]
        return
    while not _scatter(stream, area_m, separation_m, xy):
        pass


@compiled
def _scatter(stream: np.ndarray, area_m: float, separation_m: float, xy: np.ndarray) -> bool:
    """Uniform sites at least `separation_m` apart into xy; whether all found room."""
    for s in range(len(xy)):
        _place(stream, area_m, xy[s])
    for s in range(1, len(xy)):
        tries = 0
        while _crowded(xy, s, separation_m):
            if tries == TRIES:
                return False
            tries += 1
            _place(stream, area_m, xy[s])
    return True


@compiled
def _place(stream: np.ndarray, area_m: float, xy: np.ndarray) -> None:
    """A uniform place into xy (2,)."""
    xy[0] = uniform(stream, 0.0, area_m)
    xy[1] = uniform(stream, 0.0, area_m)


@compiled
def _crowded(xy: np.ndarray, s: int, separation_m: float) -> bool:
    """Whether site s stands too near to one before it."""
    crowded = False
    for other in range(s):
        crowded |= np.hypot(xy[other, 0] - xy[s, 0], xy[other, 1] - xy[s, 1]) < separation_m
    return crowded
