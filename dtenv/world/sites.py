"""Where servers and base stations stand."""

from __future__ import annotations

import numpy as np

from dtenv.recording import Recording


def draw_sites(
    rng: np.random.Generator, recording: Recording | None, area_m: float, separation_m: float, xy: np.ndarray
) -> None:
    """Sites into xy (sites, 2), metres: recorded ones, or uniform ones at least `separation_m` apart.

    The scenario keeps the separation small enough for this to end soon.
    """
    if recording is not None:
        xy[:] = recording.site_xy[rng.permutation(len(recording.site_xy))[: len(xy)]]
        return
    xy[:] = rng.uniform(0.0, area_m, xy.shape)
    for s in range(1, len(xy)):
        while (np.hypot(*(xy[:s] - xy[s]).T) < separation_m).any():
            xy[s] = rng.uniform(0.0, area_m, 2)
