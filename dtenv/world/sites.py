"""Where servers and base stations stand."""

from __future__ import annotations

import numpy as np

from dtenv.recording import Recording

TRIES = 1000
"""Places that a site is offered before all are drawn anew: the ones before may have left no room."""


def draw_sites(
    rng: np.random.Generator, recording: Recording | None, area_m: float, separation_m: float, xy: np.ndarray
) -> None:
    """Sites into xy (sites, 2), metres: recorded ones, or uniform ones at least `separation_m` apart.

    The scenario keeps the separation small enough for this to end soon.
    """
    if recording is not None:
        xy[:] = recording.site_xy[rng.permutation(len(recording.site_xy))[: len(xy)]]
        return
    while not _scatter(rng, area_m, separation_m, xy):
        pass


def _scatter(rng: np.random.Generator, area_m: float, separation_m: float, xy: np.ndarray) -> bool:
    """Uniform sites at least `separation_m` apart into xy; whether all found room."""
    xy[:] = rng.uniform(0.0, area_m, xy.shape)
    for s in range(1, len(xy)):
        tries = 0
        while (np.hypot(*(xy[:s] - xy[s]).T) < separation_m).any():
            if tries == TRIES:
                return False
            tries += 1
            xy[s] = rng.uniform(0.0, area_m, 2)
    return True
