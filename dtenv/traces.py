"""Real station sites and mobility traces, read from the files their publishers offer, made into a scenario.

    scenario_from_traces("site-optus-melbCBD.csv", "kaist_30s.csv.gz", num_users=20, num_slots=60)

Coordinates stay as published (degrees or local metres) until a window is chosen; then one equirectangular
projection around its centre turns them into metres. `SITE_LAYOUTS` and `TRACE_LAYOUTS` list what is understood.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dtenv.presets import resolve
from dtenv.recording import Recording
from dtenv.scenario import AssociationScenario

SITE_LAYOUTS = (
    "EUA/ACMA sites (SITE_ID,LATITUDE,LONGITUDE,…); Ireland base stations (bs_lat,bs_long); OpenCelliD "
    "(radio,mcc,net,area,cell,unit,lon,lat,…; its header line may be missing); Shanghai Telecom (its stations); "
    "any table with x_m,y_m or with latitude|lat and longitude|lon|lng|long"
)
TRACE_LAYOUTS = (
    "trace,time_s,x_m,y_m or trace,time_s,latitude,longitude; Shanghai Telecom (start time,end time,user id and "
    "latitude,longitude or location(latitude/lontitude)); users that stand still (latitude,longitude or x_m,y_m, "
    "no time); cabspotting (.txt: lat lon occupancy unixtime); GeoLife (.plt); a folder of new_*.txt or of *.plt"
)
LATITUDES, LONGITUDES = ("latitude", "lat", "bs_lat"), ("longitude", "lon", "lng", "long", "bs_long")
CAB = "latitude longitude occupancy unixtime".split()
GEOLIFE = "latitude longitude zero altitude_ft days day clock".split()
GEOLIFE_PREAMBLE = 6
GEOLIFE_BAD_FIX = "400.166666666667"
"""Latitude of the one fix off the globe in the release (user 020; github.com/locationtech/geowave/pull/411)."""
OPENCELLID = "radio mcc net area cell unit lon lat range samples changeable created updated averageSignal".split()
RADIOS = ("GSM", "CDMA", "UMTS", "LTE", "NR", "NBIOT")
GZIP_MAGIC = b"\x1f\x8b"

EQUATOR_M, ECCENTRICITY_SQUARED = 6378137.0, 6.69437999014e-3  # WGS 84
DAY_S = 86400.0
GAP = 5.0  # slots, or median intervals: a longer silence breaks a walk

FilePath = str | os.PathLike[str]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sites:
    """Distinct places of stations."""

    source: str
    """Base name of the file."""
    sha256: str
    coordinates: np.ndarray
    """(sites, 2), sorted: latitude and longitude in degrees where `geographic`, else x and y in metres."""
    geographic: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Walks:
    """Where users were, and when: points sorted by walk, then by time, no time twice in a walk."""

    source: str
    """Base name of the file or folder."""
    sha256: str
    """Digest of the file; of a folder, that of its files' sorted names and contents."""
    coordinates: np.ndarray
    """(points, 2): latitude and longitude in degrees where `geographic`, else x and y in metres."""
    geographic: bool
    walk: np.ndarray
    """(points,) whole numbers: which walk a point belongs to."""
    time_s: np.ndarray
    """(points,) seconds, from an origin of the file's own."""
    until_s: np.ndarray
    """(points,) seconds up to which the point is known to hold: its own time, the end of the session at a
    station, or infinity for users that stand still."""
    stepwise: bool
    """True holds a position until the next one (stations); False walks straight between the two."""

    @property
    def interval_s(self) -> float:
        """Median seconds between successive points of a walk; nan where no walk has two."""
        steps = np.diff(self.time_s)[np.diff(self.walk) == 0]
        return float(np.median(steps)) if steps.size else math.nan


def read_sites(path: FilePath) -> Sites:
    """Station sites of a .csv, .csv.gz or .xlsx file in one of SITE_LAYOUTS; co-located entries count once.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown layout, no rows, or a malformed row; the message names file, line, field and value.
        ImportError: an .xlsx file, and openpyxl is not installed.
    """
    file = Path(os.path.abspath(path))
    if not file.is_file():
        raise FileNotFoundError(f"no such file of sites: {path}")
    data = file.read_bytes()
    table = _read_table(file.name, data)
    if table.has("time_s", "unixtime", "days"):
        raise table.unknown(SITE_LAYOUTS)
    coordinates, geographic = _coordinates(table, SITE_LAYOUTS)
    digest = hashlib.sha256(data).hexdigest()
    return Sites(
        source=file.name, sha256=digest, coordinates=np.unique(coordinates, axis=0), geographic=geographic
    )


def read_trace(path: FilePath) -> Walks:
    """Walks of a file, or of a folder of cabspotting or GeoLife files, in one of TRACE_LAYOUTS.

    Points are sorted by time; of points with the same walk and time the last in the file counts. Shanghai's
    rows without coordinates are left out, and so is GeoLife's one known fix off the globe.

    Raises:
        FileNotFoundError: there is no such file, or the folder holds no file that is understood.
        ValueError: unknown layout, no rows, or a malformed row; the message names file, line, field and value.
        ImportError: an .xlsx file, and openpyxl is not installed.
    """
    root = Path(os.path.abspath(path))
    files = [root] if root.is_file() else sorted(root.rglob("*.plt")) or sorted(root.glob("new_*.txt"))
    if not files:
        raise FileNotFoundError(f"no such file, or no folder of *.plt or new_*.txt files: {path}")
    digest, parts, keys = hashlib.sha256(), [], {}
    for file in files:
        data, name = file.read_bytes(), file.relative_to(root.parent).as_posix()
        if file != root:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(data)
        part = _points(_read_table(name, data))
        walk = [keys.setdefault((name, user), len(keys)) for user in part.user]
        parts.append(part._replace(user=np.array(walk)))
    user, time, until, coordinates = (np.concatenate([part[k] for part in parts]) for k in range(4))
    order = np.lexsort((time, user))
    order = order[np.append((np.diff(user[order]) != 0) | (np.diff(time[order]) != 0), True)]
    user, time, until, coordinates = user[order], time[order], until[order], coordinates[order]
    for held in np.split(until, np.flatnonzero(np.diff(user)) + 1) if parts[0].stepwise else ():
        np.maximum.accumulate(held, out=held)  # sessions may overlap: the user was seen until the latest end
    return Walks(
        source=root.name,
        sha256=digest.hexdigest(),
        coordinates=coordinates,
        geographic=parts[0].geographic,
        walk=user,
        time_s=time,
        until_s=until,
        stepwise=parts[0].stepwise,
    )


def project(latitude: Any, longitude: Any, origin: tuple[float, float]) -> np.ndarray:
    """Local equirectangular metres (…, 2), east and north of the origin (latitude, longitude), all degrees.

    The radii are those of the WGS 84 ellipsoid at the origin: right to 0.1 % within some ten kilometres.
    """
    sine, cosine = math.sin(math.radians(origin[0])), math.cos(math.radians(origin[0]))
    bend = 1.0 - ECCENTRICITY_SQUARED * sine**2
    meridian_m = EQUATOR_M * (1.0 - ECCENTRICITY_SQUARED) / bend**1.5
    parallel_m = EQUATOR_M / math.sqrt(bend) * cosine
    east = (np.asarray(longitude, dtype=np.float64) - origin[1] + 180.0) % 360.0 - 180.0  # the short way round
    north = np.asarray(latitude, dtype=np.float64) - origin[0]
    return np.stack([np.radians(east) * parallel_m, np.radians(north) * meridian_m], axis=-1)


def scenario_from_traces(
    sites: FilePath | Sites,
    trace: FilePath | Walks,
    *,
    scenario: str | AssociationScenario = "balanced",
    window_m: float | None = None,
    slot_seconds: float | None = None,
    keep_tradeoff: bool = True,
    centre: tuple[float, float] | None = None,
    **overrides: Any,
) -> AssociationScenario:
    """A scenario whose servers stand on real sites and whose users follow recorded walks.

    All sites of a square window are kept; an episode draws num_servers of them. Where sites and walks share a
    frame (both geographic, or both local metres) and any walk enters the window, walks are taken from it.
    Otherwise the walks' own densest window of the same size is laid over it, and provenance says so. Walks
    are resampled every slot; a silence above five slots and five median intervals breaks them; they are cut
    into segments of num_slots + 2 points that never leave the window.

    Args:
        sites: a file for `read_sites`, or what it returned.
        trace: a file or folder for `read_trace`, or what it returned.
        scenario: preset's name or scenario to start from.
        window_m: side of the window, metres; by default the least whole number that holds num_servers sites
            around `centre`.
        slot_seconds: length of a slot; by default the trace's median interval (users that stand still: the
            scenario's).
        keep_tradeoff: divide n_mig and n_syn by window_m / (the scenario's area_m). The paper's energy a metre
            was chosen for a 120 m square; moving and staying weigh the same on a wider window only if crossing
            it costs the same. False keeps the unit costs; a unit cost given in `overrides` is kept as given.
        centre: (latitude, longitude) or (x_m, y_m) of the window, as the sites are given; by default the site
            that has num_servers sites in the smallest square around it.
        **overrides: single fields of the scenario by name (num_users, num_servers, num_slots, …).

    Raises:
        FileNotFoundError, ImportError: as `read_sites` and `read_trace`.
        TypeError: an unknown field, or one that the files decide (area_m, recording).
        ValueError: a malformed file or value, too few sites in the window, or no walk that stays long enough.
    """
    for name in {"area_m", "recording"} & overrides.keys():
        raise TypeError(f"{name} comes from the files here; window_m sets the side of the square")
    if window_m is not None and not (math.isfinite(window_m) and window_m > 0):
        raise ValueError(f"window_m must be a positive number of metres, got {window_m!r}")
    # A recording of the scenario handed in would be checked against the overrides, and is replaced anyway.
    base = resolve(scenario, recording=None, **overrides)
    sites = sites if isinstance(sites, Sites) else read_sites(sites)
    walks = trace if isinstance(trace, Walks) else read_trace(trace)
    if slot_seconds is None:
        slot_seconds = base.mobility.slot_seconds if math.isnan(walks.interval_s) else walks.interval_s
    base = base.override(slot_seconds=slot_seconds)

    place, side, site_xy = _site_window(sites, base.network.num_servers, centre, window_m)
    walks_place = place
    overlaid = sites.geographic != walks.geographic or not _inside(_metres(walks, place), side).any()
    if overlaid:
        walks_place = _densest_place(walks, side)
    points = base.episode.num_slots + 2
    xy, stretch = _resample(walks, _metres(walks, walks_place), slot_seconds, points)
    runs = list(_runs(_inside(xy, side), stretch))
    kept = [(first, length) for first, length in runs if length >= points]
    if not kept:
        longest = max((length for _, length in runs), default=0)
        raise ValueError(
            f"{walks.source}: no walk stays in the window of {side:g} m for the {points} slots of {slot_seconds:g} s "
            f"that num_slots {points - 2} needs; the longest stretch found is {longest} slots: choose a larger "
            "window_m" + (f" or num_slots of at most {longest - 2}" if longest > 2 else "")
        )
    stride = max(1, base.episode.num_slots // 4)  # segments overlap: diversity from few walks
    moved = np.cumsum([0] + [length for _, length in kept])
    starts = [np.arange(to, to + length - points + 1, stride) for to, (_, length) in zip(moved, kept, strict=False)]
    apart = f"sites and walkers come from different places: walks from {walks.source} are laid over the window of "
    recording = Recording(
        site_xy=np.clip(site_xy + side / 2, 0.0, side),
        walk_xy=np.clip(np.concatenate([xy[a : a + n] for a, n in kept]) + side / 2, 0.0, side),
        segment_start=np.concatenate(starts),
        segment_slots=points,
        area_m=side,
        slot_seconds=float(slot_seconds),
        provenance={
            "sites_file": sites.source,
            "sites_sha256": sites.sha256,
            "trace_file": walks.source,
            "trace_sha256": walks.sha256,
            "window_m": side,
            "centre": [float(v) for v in place],
            "walks_centre": [float(v) for v in walks_place],
            "sites": len(site_xy),
            "walks": len({int(stretch[a][0]) for a, _ in kept}),
            "segments": sum(map(len, starts)),
            "overlaid": overlaid,
            "keep_tradeoff": keep_tradeoff,
            "note": apart + sites.source if overlaid else "sites and walks share one window",
        },
    )
    wider = side / base.network.area_m if keep_tradeoff else 1.0
    costs = {name: getattr(base.energy, name) / wider for name in ("n_mig", "n_syn") if name not in overrides}
    return base.override(recording=recording, area_m=side, **costs)
