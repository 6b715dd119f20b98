"""Places on the globe: longitudes that wrap, metres around a place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

EQUATOR_M, ECCENTRICITY_SQUARED = 6378137.0, 6.69437999014e-3
"""Of the WGS 84 ellipsoid."""
POLAR_DEG = 85.0
"""Nearer to a pole metres are those of a plane that touches the globe: meridians run together there."""


def wrapped(longitude: Any) -> Any:
    """Longitudes in [-180, 180)."""
    longitude = np.asarray(longitude)
    inside = (longitude >= -180.0) & (longitude < 180.0)
    return np.where(inside, longitude, (longitude + 180.0) % 360.0 - 180.0)  # as given where they lie inside already


def contiguous(longitude: np.ndarray) -> np.ndarray:
    """Longitudes shifted by whole turns so that the jump between -180 and 180 lies in the widest gap between them.

    Values that do not straddle the date line come back as they are, in [-180, 180).
    """
    around = wrapped(longitude)
    values = np.unique(around)
    if len(values) < 2 or values[-1] - values[0] <= 180.0:
        return around
    gaps = np.append(np.diff(values), values[0] + 360.0 - values[-1])
    cut = int(gaps.argmax())
    if cut == len(values) - 1:
        return around
    return np.where(around > values[cut], around - 360.0, around)


def project(latitude: Any, longitude: Any, origin: Any) -> np.ndarray:
    """Local metres (…, 2) east and north of an origin (latitude, longitude); all in degrees.

    Equirectangular with the radii of the WGS 84 ellipsoid at the origin: distances hold to 0.1 % within ten kilometres.
    Within five degrees of a pole coordinates are those of the plane that touches the ellipsoid at the origin.
    """
    bend = 1.0 - ECCENTRICITY_SQUARED * math.sin(math.radians(origin[0])) ** 2
    normal = EQUATOR_M / math.sqrt(bend)
    if abs(origin[0]) > POLAR_DEG:
        return _on_plane(latitude, longitude, origin)
    radii = normal * math.cos(math.radians(origin[0])), normal * (1.0 - ECCENTRICITY_SQUARED) / bend
    degrees = np.stack([np.subtract(longitude, origin[1]), np.subtract(latitude, origin[0])], axis=-1)
    return np.radians((degrees + 180.0) % 360.0 - 180.0) * radii  # the short way round, across the date line


def earth_centred(latitude: Any, longitude: Any) -> np.ndarray:
    """Coordinates (…, 3) in metres from the centre of the Earth."""
    phi, lam = np.radians(latitude), np.radians(longitude)
    normal = EQUATOR_M / np.sqrt(1.0 - ECCENTRICITY_SQUARED * np.sin(phi) ** 2)
    axes = np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), (1.0 - ECCENTRICITY_SQUARED) * np.sin(phi)
    return np.stack([normal * axis for axis in axes], axis=-1)


def _on_plane(latitude: Any, longitude: Any, origin: Any) -> np.ndarray:
    phi, lam = math.radians(origin[0]), math.radians(origin[1])
    east = np.array([-math.sin(lam), math.cos(lam), 0.0])
    north = np.array([-math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi)])
    away = earth_centred(latitude, longitude) - earth_centred(origin[0], origin[1])
    return np.stack([away @ east, away @ north], axis=-1)
