"""Recorded walks and sessions made into sequences of serving cells."""

from __future__ import annotations

import math

import numpy as np

from dtenv.forecasting.cell_traces import CellTraces
from dtenv.traces.files import Sites, Walks
from dtenv.traces.scenarios import fullest, resample
from dtenv.validation import positive_number

ROWS = 4096


def cells_of_walks(
    walks: Walks, sites: Sites | np.ndarray | None = None, slot_seconds: float | None = None
) -> CellTraces:
    """Which site is nearest to every user, slot by slot, or record by record where `slot_seconds` is None.

    Slotted walks break where they are silent for more than five slots and five median intervals (as in
    `scenario_from_traces`) and where they leave the square that holds the sites. Records of sessions (Shanghai Telecom)
    stay as they are; of walks, a record begins whenever another cell serves.

    Args:
        walks: from `dtenv.traces.read_trace`. Each is a user.
        sites: from `read_sites`; or (cells, 2) metres around the middle of the walks' fullest window, such as
            `hexagonal_sites`; or None where walks are sessions at stations: these are the sites.
        slot_seconds: length of a slot, or None.

    Raises:
        ValueError: no sites for walks that are no sessions, users who stand still, or nobody is near the sites.
    """
    if slot_seconds is not None:
        positive_number("slot_seconds", slot_seconds)
    if np.isinf(walks.until_s).any():
        raise ValueError(f"{walks.source}: its users stand still, there is nothing to predict")
    xy, site_xy = _in_metres(walks, sites)
    half = np.abs(site_xy).max() if sites is not None else math.inf
    if slot_seconds is None:
        place, user, stretch, time_s = xy, walks.walk, walks.walk, walks.time_s
    else:
        place, user, stretch, time_s = resample(walks, xy, slot_seconds, points=2)
    near = np.abs(place).max(axis=1) <= half
    if not near.any():
        raise ValueError(f"{walks.source}: no walk enters the square of {2 * half:g} m that holds the sites")
    cell = nearest_sites(place, site_xy)
    breaks = np.append(True, (np.diff(stretch) != 0) | (np.diff(near) != 0))
    begins = breaks | np.append(True, np.diff(cell) != 0)
    keep = near & begins if slot_seconds is None and not walks.stepwise else near
    users, numbers = np.unique(user[keep], return_inverse=True)
    return CellTraces(
        cell=cell[keep],
        user=numbers,
        stretch=np.cumsum(breaks)[keep],
        time_s=time_s[keep],
        site_xy=site_xy,
        num_users=len(users),
        slot_seconds=slot_seconds,
        source=walks.source,
    )


def _in_metres(walks: Walks, sites: Sites | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Walks (places, 2) and sites (cells, 2), metres from one centre."""
    if sites is None:
        if not walks.stepwise:
            raise ValueError(f"{walks.source}: these walks are no sessions at stations, sites are needed")
        stations = np.unique(walks.coordinates, axis=0)
        centre = np.median(stations, axis=0)
        around = Sites(walks.source, walks.sha256, stations, walks.geographic)
        return walks.metres(centre), around.metres(centre)
    if isinstance(sites, Sites):
        centre = 0.5 * (sites.coordinates.min(axis=0) + sites.coordinates.max(axis=0))
        site_xy = sites.metres(centre)
        half = np.abs(site_xy).max()
        if sites.geographic == walks.geographic and (np.abs(walks.metres(centre)).max(axis=1) <= half).any():
            return walks.metres(centre), site_xy
    else:
        site_xy = np.asarray(sites, dtype=np.float64)
        if site_xy.ndim != 2 or site_xy.shape[1] != 2 or not np.isfinite(site_xy).all() or not site_xy.any():
            raise ValueError(f"sites must be (cells, 2) finite metres, got shape {site_xy.shape}")
    return walks.metres(fullest(walks, 2.0 * np.abs(site_xy).max())), site_xy


def nearest_sites(xy: np.ndarray, site_xy: np.ndarray) -> np.ndarray:
    """Index (places,) of the site that is nearest to each place (places, 2), metres."""
    found = np.empty(len(xy), dtype=np.int64)
    for start in range(0, len(xy), ROWS):
        apart = xy[start : start + ROWS, None] - site_xy
        found[start : start + ROWS] = np.einsum("psk,psk->ps", apart, apart).argmin(axis=1)
    return found


def hexagonal_sites(side_m: float, spacing_m: float) -> np.ndarray:
    """Sites (cells, 2) of a hexagonal grid, metres from the middle of a square.

    Raises:
        ValueError: side_m or spacing_m is not positive, or the square holds fewer than two sites.
    """
    for name, value in (("side_m", side_m), ("spacing_m", spacing_m)):
        positive_number(name, value)
    row_m, reach = spacing_m * math.sqrt(0.75), math.ceil(side_m / spacing_m) + 1
    j, i = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    xy = np.stack([(i + 0.5 * (j % 2)) * spacing_m, j * row_m], axis=-1).reshape(-1, 2)
    xy = xy[np.abs(xy).max(axis=1) <= 0.5 * side_m]
    if len(xy) < 2:
        raise ValueError(f"spacing_m must leave two sites in side_m={side_m:g}, got {spacing_m!r}")
    return xy
