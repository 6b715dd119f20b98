"""Positions of servers and base stations."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.world.pcg64 import sample_without_replacement, uniform
from dtenv.world.walks import Recorded

TRIES = 1000
"""Positions tried for a site before all sites are redrawn, as earlier ones may have left no room."""


@compiled
def draw_sites(stream: np.ndarray, recorded: Recorded, area_m: float, separation_m: float, xy: np.ndarray) -> None:
    """Fill xy (sites, 2), metres, with recorded sites, or uniform ones at least `separation_m` apart.

    The scenario's validation keeps the separation small enough for a fast end.
    """
    if len(recorded.site_xy) > 0:
        sample_without_replacement(stream, len(recorded.site_xy), xy[:, 0])
        for s in range(len(xy)):
            site = int(xy[s, 0])
            xy[s, 0], xy[s, 1] = recorded.site_xy[site, 0], recorded.site_xy[site, 1]
        return
    while not _scatter(stream, area_m, separation_m, xy):
        pass


@compiled
def _scatter(stream: np.ndarray, area_m: float, separation_m: float, xy: np.ndarray) -> bool:
    """Fill xy with uniform sites at least `separation_m` apart; return whether all found room."""
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
    """Fill xy (2,) with a uniform position."""
    xy[0] = uniform(stream, 0.0, area_m)
    xy[1] = uniform(stream, 0.0, area_m)


@compiled
def _crowded(xy: np.ndarray, s: int, separation_m: float) -> bool:
    """Whether site s is too close to an earlier one."""
    crowded = False
    for other in range(s):
        crowded |= np.hypot(xy[other, 0] - xy[s, 0], xy[other, 1] - xy[s, 1]) < separation_m
    return crowded
