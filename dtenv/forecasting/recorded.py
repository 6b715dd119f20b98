"""Sequences of serving cells from recorded walks and sessions."""

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
    """Nearest site of every user, slot by slot, or record by record if `slot_seconds` is None.

    Slotted walks break at gaps of more than five slots and five median intervals (as in `scenario_from_traces`), and
    where they leave the square that contains the sites. Records of sessions (Shanghai Telecom) are kept; records of
    walks start whenever the serving cell changes.

    Args:
        walks: from `dtenv.traces.read_trace`, one user each.
        sites: from `read_sites`; or (cells, 2) metres around the middle of the walks' fullest window, such as
            `hexagonal_sites`; or None for sessions at stations, which are the sites then.
        slot_seconds: length of a slot, or None.

    Raises:
        ValueError: walks that are no sessions lack sites, users stand still, or no walk is near the sites.
    """
    if slot_seconds is not None:
        positive_number("slot_seconds", slot_seconds)
    if np.isinf(walks.until_s).any():
        raise ValueError(f"{walks.source}: users stand still, so there is nothing to predict")
    xy, site_xy = _in_metres(walks, sites)
    half = np.abs(site_xy).max() if sites is not None else math.inf
    if slot_seconds is None:
        place, user, stretch, time_s = xy, walks.walk, walks.walk, walks.time_s
    else:
        place, user, stretch, time_s = resample(walks, xy, slot_seconds, points=2)
    near = np.abs(place).max(axis=1) <= half
    if not near.any():
        raise ValueError(f"{walks.source}: no walk enters the square of {2 * half:g} m that contains the sites")
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
    """Return walks (places, 2) and sites (cells, 2) in metres from a common centre."""
    if sites is None:
        if not walks.stepwise:
            raise ValueError(f"{walks.source}: walks that are not sessions at stations need sites")
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
    """Index (places,) of the site nearest to each place (places, 2), metres."""
    found = np.empty(len(xy), dtype=np.int64)
    for start in range(0, len(xy), ROWS):
        apart = xy[start : start + ROWS, None] - site_xy
        found[start : start + ROWS] = np.einsum("psk,psk->ps", apart, apart).argmin(axis=1)
    return found


def hexagonal_sites(side_m: float, spacing_m: float) -> np.ndarray:
    """Sites (cells, 2) of a hexagonal grid, metres from the middle of a square; ValueError for fewer than two."""
    positive_number("side_m", side_m)
    positive_number("spacing_m", spacing_m)
    row_m, reach = spacing_m * math.sqrt(0.75), math.ceil(side_m / spacing_m) + 1
    j, i = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    xy = np.stack([(i + 0.5 * (j % 2)) * spacing_m, j * row_m], axis=-1).reshape(-1, 2)
    xy = xy[np.abs(xy).max(axis=1) <= 0.5 * side_m]
    if len(xy) < 2:
        raise ValueError(f"spacing_m must leave two sites in side_m={side_m:g}, got {spacing_m!r}")
    return xy
