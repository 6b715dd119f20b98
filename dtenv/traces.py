"""Real station sites and mobility traces, read as their publishers offer them, made into a scenario.

Coordinates stay as published (degrees or local metres) until a square window is chosen; one projection
around its centre then makes metres of degrees.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtenv.presets import resolve
from dtenv.recording import Recording
from dtenv.scenario import AssociationScenario

LAYOUTS = """understood are
  sites: EUA/ACMA (SITE_ID,LATITUDE,LONGITUDE,…); Ireland (bs_lat,bs_long); OpenCelliD (radio,mcc,…,lon,lat,…, with or
    without header); Shanghai Telecom's stations; any table of x_m,y_m or latitude|lat,longitude|lon|lng|long
  traces: trace,time_s with x_m,y_m or latitude,longitude; Shanghai Telecom (start time,end time,user id with latitude,
    longitude or location(latitude/lontitude)); users who stand still (coordinates and no time); cabspotting (.txt of
    lat lon occupancy unixtime); GeoLife (.plt); a folder of new_*.txt or, at any depth, *.plt"""
ALIASES = {"lat": "latitude", "bs_lat": "latitude", "location(latitude/lontitude)": "location"}
ALIASES |= dict.fromkeys(("lon", "lng", "long", "bs_long"), "longitude")
CABSPOTTING = "latitude longitude occupancy unixtime".split()
GEOLIFE, GEOLIFE_PREAMBLE = "latitude longitude zero altitude_ft days date time".split(), 6
GEOLIFE_BAD_FIX = "400.166666666667"  # the release's one latitude off the globe: locationtech/geowave#411
OPENCELLID = "radio mcc net area cell unit lon lat range samples changeable created updated averageSignal".split()
RADIOS = ("GSM", "CDMA", "UMTS", "LTE", "NR", "NBIOT")
DAY_S = 86400.0
EQUATOR_M, ECCENTRICITY_SQUARED = 6378137.0, 6.69437999014e-3  # WGS 84
GAP = 5.0  # slots and median intervals: a longer silence breaks a walk

FilePath = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Coordinates out of a file or folder."""

    source: str  # its base name
    sha256: str  # digest of the file; of a folder, that of its sorted names and contents
    coordinates: np.ndarray  # (places, 2) latitude, longitude in degrees where geographic, else x, y in metres
    geographic: bool

    def metres(self, centre: np.ndarray) -> np.ndarray:
        """(places, 2) metres east and north of a centre that is given as these places are."""
        return project(*self.coordinates.T, centre) if self.geographic else self.coordinates - centre


class Sites(Places):
    """Where stations stand, each place once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Walks(Places):
    """Where users were, sorted by walk and then by time; no time stands twice in a walk."""

    walk: np.ndarray  # (places,) number of the walk that a place belongs to
    time_s: np.ndarray  # (places,) seconds from an origin of the source's own
    until_s: np.ndarray  # (places,) last second a user is known to be there; infinite for users who stand still
    stepwise: bool  # users hold a place until the next (stations), rather than go there in a straight line

    @property
    def interval_s(self) -> float:
        """Median seconds between successive places of a walk; nan where no walk has two."""
        seconds = np.diff(self.time_s)[np.diff(self.walk) == 0]
        return float(np.median(seconds)) if seconds.size else math.nan


def read_sites(path: FilePath) -> Sites:
    """Station sites of a .csv, .csv.gz or .xlsx file in one of LAYOUTS; co-located entries count once.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown layout, no rows, or a malformed row: the message names file, line, field and value.
        ImportError: an .xlsx file where openpyxl is absent.
    """
    file = Path(os.path.abspath(path))
    if not file.is_file():
        raise FileNotFoundError(f"no such file of sites: {path}")
    data = file.read_bytes()
    table = _read_table(file.name, data)
    if table.at.keys() & {"time_s", "unixtime", "days"}:  # places on a walk are no stations
        raise table.unknown()
    places, geographic = table.coordinates()
    digest = hashlib.sha256(data).hexdigest()
    return Sites(source=file.name, sha256=digest, coordinates=np.unique(places, axis=0), geographic=geographic)


def read_trace(path: FilePath) -> Walks:
    """Walks of a file, or of a folder of cabspotting or GeoLife files, in one of LAYOUTS.

    Of rows with the same walk and time the last counts. Shanghai's rows without coordinates are left out, and
    so is the one fix of GeoLife's release that lies off the globe. Raises as `read_sites` does.
    """
    root = Path(os.path.abspath(path))
    files = [root] if root.is_file() else sorted(root.rglob("*.plt")) or sorted(root.glob("new_*.txt"))
    if not files:
        raise FileNotFoundError(f"no such trace, or a folder without *.plt and new_*.txt: {path}")
    digest, numbers, parts = hashlib.sha256(), {}, []
    for file in files:
        name, data = file.relative_to(root.parent).as_posix(), file.read_bytes()
        digest.update(data if file == root else name.encode() + b"\0" + data)
        table = _read_table(name, data)
        users, time, until = table.clock()
        places, geographic = table.coordinates()
        walk = [numbers.setdefault((name, user), len(numbers)) for user in users]
        parts.append((np.array(walk), np.array(time), np.array(until), places))
    walk, time, until, places = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((time, walk))  # stable: rows of one time stay in the file's order
    order = order[np.append((np.diff(walk[order]) != 0) | (np.diff(time[order]) != 0), True)]
    walk, time, until, stepwise = walk[order], time[order], until[order], "start time" in table.at
    for held in np.split(until, np.flatnonzero(np.diff(walk)) + 1) if stepwise else ():
        np.maximum.accumulate(held, out=held)  # sessions overlap: a user is seen until the latest end
    known = {"source": root.name, "sha256": digest.hexdigest(), "geographic": geographic, "stepwise": stepwise}
    return Walks(coordinates=places[order], walk=walk, time_s=time, until_s=until, **known)


class _Table(NamedTuple):
    source: str
    header: list[str]
    at: dict[str, int]  # column of every lower-case name, its aliases resolved
    rows: list[tuple[int, list[str]]]  # line in the file from 1, cells

    def column(self, name: str, parse: Callable[[str], Any]) -> list[Any]:
        """A column's values; to the ValueError("must …") of `parse`, file, line, field and value are added."""
        at, values = self.at[name], []
        for line, row in self.rows:
            try:
                values.append(parse(row[at]))
            except (ValueError, IndexError) as error:
                fault = f"{error}, got {row[at]!r}" if at < len(row) else f"is missing, the row has {len(row)} columns"
                raise ValueError(f"{self.source}:{line}: {self.header[at]} {fault}") from None
        return values

    def coordinates(self) -> tuple[np.ndarray, bool]:
        """Coordinates (rows, 2), and whether they are geographic."""
        if {"latitude", "longitude"} <= self.at.keys():
            return np.column_stack([self.column("latitude", _latitude), self.column("longitude", _longitude)]), True
        if "location" in self.at:
            return np.array(self.column("location", _location)), True
        if {"x_m", "y_m"} <= self.at.keys():
            return np.column_stack([self.column("x_m", _number), self.column("y_m", _number)]), False
        raise self.unknown()

    def clock(self) -> tuple[Any, Any, Any]:
        """User, second, and second until when, of every row."""
        if {"start time", "end time", "user id"} <= self.at.keys():
            time, until = self.column("start time", _moment), self.column("end time", _moment)
            return self.column("user id", str), time, np.maximum(time, until)
        users, still = [""] * len(self.rows), np.zeros(len(self.rows))  # one walk a file
        if {"trace", "time_s"} <= self.at.keys():
            users, time = self.column("trace", str), self.column("time_s", _number)
        elif "unixtime" in self.at:
            time = self.column("unixtime", _number)
        elif "days" in self.at:
            time = np.round(np.array(self.column("days", _number)) * DAY_S, 3)  # its ten decimals hold 9 µs
        elif any(word in name for name in self.at for word in ("trace", "time", "date")):
            raise self.unknown()  # users who move must not pass for users who stand still
        else:
            return range(len(users)), still, still + math.inf
        return users, time, time

    def unknown(self) -> ValueError:
        return ValueError(f"{self.source}: unknown header {','.join(self.header)!r}; {LAYOUTS}")


def _read_table(source: str, data: bytes) -> _Table:
    kind = Path(source.removesuffix(".gz")).suffix
    try:
        if kind == ".xlsx":
            rows = list(enumerate(_sheet(data), start=1))
        else:
            text = (gzip.decompress(data) if source.endswith(".gz") else data).decode("utf-8-sig", "replace")
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=" " if kind == ".txt" else ",")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise ValueError(f"{source}: {error}") from None
    rows = [(line, row) for line, row in rows if any(row)]
    if kind == ".plt":
        header = GEOLIFE
        rows = [(line, row) for line, row in rows if line > GEOLIFE_PREAMBLE and row[0] != GEOLIFE_BAD_FIX]
    elif kind == ".txt":
        header = CABSPOTTING
    else:
        header = OPENCELLID if rows and rows[0][1][0].upper() in RADIOS else rows.pop(0)[1] if rows else []
    names = [name.strip().lower() for name in header]
    at = {ALIASES.get(name, name): i for i, name in enumerate(names)}
    if "start time" in at:  # Shanghai's file has sessions at stations whose place is not known
        where = [at[name] for name in ("latitude", "longitude", "location") if name in at]
        rows = [(n, row) for n, row in rows if not any(i < len(row) and _is_nowhere(row[i]) for i in where)]
    if not rows:
        raise ValueError(f"{source}: holds no rows of places")
    return _Table(source, header, at, rows)


def _sheet(data: bytes) -> list[list[str]]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ImportError("reading .xlsx needs openpyxl: pip install openpyxl (or save the sheet as .csv)") from None
    sheet = load_workbook(io.BytesIO(data), read_only=True, data_only=True).active
    return [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]


def _is_nowhere(text: str) -> bool:
    return any(part.strip().lower() in ("", "nan") for part in text.split("/"))


def _number(text: str, limit: float = math.inf) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if not math.isfinite(value):
        raise ValueError("must be finite")
    if abs(value) > limit:
        raise ValueError(f"must lie in [-{limit}, {limit}]")
    return value


_latitude, _longitude = partial(_number, limit=90), partial(_number, limit=180)


def _location(text: str) -> tuple[float, float]:
    latitude, _, longitude = text.partition("/")
    return _latitude(latitude), _longitude(longitude)


@lru_cache(maxsize=1 << 16)  # half a month has 21,600 minutes, and strptime is slow
def _moment(text: str) -> float:
    """Seconds since 1970 on the city's own clock."""
    try:
        moment = datetime.strptime(text, "%d/%m/%y %H:%M") if "/" in text else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time like 2014-06-01 10:22:00 or 01/06/14 10:22") from None
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()


def project(latitude: Any, longitude: Any, origin: Any) -> np.ndarray:
    """Local equirectangular metres (…, 2) east and north of an origin (latitude, longitude); all in degrees.

    The radii are those of the WGS 84 ellipsoid at the origin: distances hold to 0.1 % within ten kilometres.
    """
    bend = 1.0 - ECCENTRICITY_SQUARED * math.sin(math.radians(origin[0])) ** 2
    normal = EQUATOR_M / math.sqrt(bend)
    radii = normal * math.cos(math.radians(origin[0])), normal * (1.0 - ECCENTRICITY_SQUARED) / bend
    degrees = np.stack([np.subtract(longitude, origin[1]), np.subtract(latitude, origin[0])], axis=-1)
    return np.radians((degrees + 180.0) % 360.0 - 180.0) * radii  # the short way round, across the date line


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

    All sites of a square window are kept; an episode draws num_servers of them. Where sites and walks are both
    geographic or both in local metres, and any walk enters the window, walks are taken from it. Otherwise the
    walks' own fullest window of that size is laid over it, and the recording's provenance says so. Walks are
    resampled every slot, broken where they are silent for more than five slots and five median intervals, and
    cut into overlapping segments of num_slots + 2 points that stay inside the window.

    Args:
        sites: file for `read_sites`, or what it returned.
        trace: file or folder for `read_trace`, or what it returned.
        scenario: preset's name or scenario to start from.
        window_m: side of the window, metres; by default the least whole number that holds num_servers sites.
        slot_seconds: by default the trace's median interval, or the scenario's where all users stand still.
        keep_tradeoff: divide n_mig and n_syn by window_m / (the scenario's area_m). The paper's energy a metre
            belongs to a square of 120 m; on a wider one, moving and staying keep their balance only if crossing
            the square costs the same. False keeps both, and one given in `overrides` is kept in any case.
        centre: middle of the window, (latitude, longitude) or (x_m, y_m) as the sites are given; by default
            the site around which the smallest square holds num_servers sites.
        **overrides: single fields of the scenario by name: num_users, num_servers, num_slots, …

    Raises:
        FileNotFoundError, ImportError: as `read_sites` and `read_trace`.
        TypeError: unknown field, or one that the files decide (area_m, recording).
        ValueError: malformed file or value, too few sites in the window, or no walk long enough in it.
    """
    if overrides.keys() & {"area_m", "recording"}:
        raise TypeError("area_m and recording come from the files here; window_m sets the side of the square")
    # A recording that the scenario brings would be checked against the overrides, though it is to be replaced.
    base = resolve(scenario, recording=None, **overrides)
    sites = sites if isinstance(sites, Sites) else read_sites(sites)
    walks = trace if isinstance(trace, Walks) else read_trace(trace)
    if slot_seconds is None:
        slot_seconds = base.mobility.slot_seconds if math.isnan(walks.interval_s) else walks.interval_s
    base = base.override(slot_seconds=slot_seconds)  # refuses one that is not positive
    place, side = _window(sites, base.network.num_servers, centre, window_m)
    site_xy = sites.metres(place)
    site_xy = site_xy[_inside(site_xy, side)]
    overlaid = sites.geographic != walks.geographic or not _inside(walks.metres(place), side).any()
    walks_place = _fullest(walks, side) if overlaid else place
    walk_xy, segment_start, count = _segments(walks, walks_place, side, slot_seconds, base.episode.num_slots)
    apart = f"sites and walkers come from different places: walks from {walks.source} are laid over the window of "
    provenance = {
        "sites_file": sites.source,
        "sites_sha256": sites.sha256,
        "trace_file": walks.source,
        "trace_sha256": walks.sha256,
        "window_m": side,
        "centre": place.tolist(),
        "walks_centre": walks_place.tolist(),
        "sites": len(site_xy),
        "walks": count,
        "segments": len(segment_start),
        "overlaid": bool(overlaid),
        "keep_tradeoff": keep_tradeoff,
        "note": apart + sites.source if overlaid else "sites and walks share one window",
    }
    recording = Recording(
        site_xy=site_xy + side / 2,
        walk_xy=walk_xy + side / 2,
        segment_start=segment_start,
        segment_slots=base.episode.num_slots + 2,
        area_m=side,
        slot_seconds=float(slot_seconds),
        provenance=provenance,
    )
    wider = side / base.network.area_m if keep_tradeoff else 1.0
    costs = {name: getattr(base.energy, name) / wider for name in ("n_mig", "n_syn") if name not in overrides}
    return base.override(recording=recording, area_m=side, **costs)


def _inside(xy: np.ndarray, side: float) -> np.ndarray:
    return np.abs(xy).max(axis=1) <= side / 2


def _window(sites: Sites, servers: int, centre: Any, window_m: float | None) -> tuple[np.ndarray, float]:
    """Centre, as the sites are given, and side in metres of a square that holds at least `servers` sites."""
    wanted = max(servers, 2)  # the smallest square that holds one site is a point
    place = np.array(_densest_site(sites, wanted) if centre is None else centre, dtype=np.float64)
    if place.shape != (2,) or not np.isfinite(place).all():
        raise ValueError(f"centre must be two finite numbers, got {centre!r}")
    away = np.abs(sites.metres(place)).max(axis=1)
    side = max(1, math.ceil(2.0 * np.sort(away)[:wanted][-1])) if window_m is None else window_m
    if not (math.isfinite(side) and side > 0):
        raise ValueError(f"window_m must be a positive number of metres, got {side!r}")
    held = np.count_nonzero(away <= side / 2)
    if held < servers:
        raise ValueError(
            f"the window of {side:g} m around ({place[0]:.6g}, {place[1]:.6g}) in {sites.source} holds {held} sites, "
            f"num_servers needs {servers}: choose a larger window_m, another centre or a smaller num_servers"
        )
    return place, float(side)


def _densest_site(sites: Sites, wanted: int) -> np.ndarray:
    """The site around which the smallest square holds `wanted` sites."""
    x, y = sites.coordinates.T
    metre = np.ones(len(x))
    if sites.geographic:  # Mercator is true to shape everywhere, so a country may be searched at once
        phi = np.radians(np.clip(x, -89.0, 89.0))
        x, y, metre = np.radians(y), np.arcsinh(np.tan(phi)), np.cos(phi)
    order = np.argsort(x, kind="stable")
    x, y, metre = x[order], y[order], metre[order]
    best, least = 0, math.inf
    for i in range(len(x)):
        reach = least / metre[i]
        near = slice(*np.searchsorted(x, (x[i] - reach, x[i] + reach)))  # farther ones make no smaller square
        away = np.maximum(np.abs(x[near] - x[i]), np.abs(y[near] - y[i]))
        if np.count_nonzero(away < reach) >= wanted:
            best, least = i, np.partition(away, wanted - 1)[wanted - 1] * metre[i]
    return sites.coordinates[order[best]]


def _fullest(walks: Walks, side: float) -> np.ndarray:
    """Median of the walks' places in the fullest cell of a grid of windows."""
    cell = np.floor(walks.metres(np.median(walks.coordinates, axis=0)) / side).astype(np.int64)
    _, cell, places = np.unique(cell[:, 0] * 2**32 + cell[:, 1], return_inverse=True, return_counts=True)
    return np.median(walks.coordinates[cell == places.argmax()], axis=0)


def _segments(walks: Walks, centre: np.ndarray, side: float, slot_seconds: float, num_slots: int) -> tuple:
    """Places (points, 2) every slot, metres from the centre; where segments start; how many walks have one."""
    points = num_slots + 2
    xy, walk, stretch = _resample(walks, walks.metres(centre), slot_seconds, points)
    run = np.where(_inside(xy, side), stretch, -1)
    first = np.flatnonzero(np.append(True, np.diff(run) != 0))
    length = np.diff(np.append(first, len(run))) * (run[first] >= 0)
    longest = length.max()
    if longest < points:
        raise ValueError(
            f"{walks.source}: no walk stays in its window of {side:g} m for the {points} slots of {slot_seconds:g} s "
            f"that num_slots={num_slots} needs, the longest stretch found has {longest}: choose a larger window_m"
            + (f" or num_slots of at most {longest - 2}" if longest > 2 else "")
        )
    kept = np.repeat(length >= points, np.diff(np.append(first, len(run))))
    first, length = first[length >= points], length[length >= points]
    stride = max(1, num_slots // 4)  # overlapping segments: diversity from few walks
    begin = np.cumsum(length) - length
    starts = [b + np.arange(0, n - points + 1, stride) for b, n in zip(begin, length, strict=True)]
    return xy[kept], np.concatenate(starts), len(np.unique(walk[first]))


def _resample(walks: Walks, xy: np.ndarray, slot_seconds: float, points: int) -> tuple[np.ndarray, ...]:
    """Places (ticks, 2) a slot apart, and the walk and the unbroken stretch (ticks,) that each belongs to."""
    gap = GAP * np.fmax(slot_seconds, walks.interval_s)
    time, until = walks.time_s, walks.until_s
    breaks = np.append(True, (np.diff(walks.walk) != 0) | (time[1:] - until[:-1] > gap))
    first, owner = np.flatnonzero(breaks), np.cumsum(breaks) - 1
    span = until[np.append(first[1:], len(time)) - 1] - time[first]
    span[np.isinf(span)] = (points - 1) * slot_seconds  # who stands still has one segment
    origin = np.cumsum(span + slot_seconds) - span  # all stretches in a row on one clock, for a single search
    clock = time - time[first][owner] + origin[owner]
    ticks = (span / slot_seconds + 1e-6).astype(np.int64) + 1
    stretch = np.repeat(np.arange(len(first)), ticks)
    tick = np.arange(len(stretch)) - (np.cumsum(ticks) - ticks)[stretch]
    now = origin[stretch] + np.minimum(tick * slot_seconds, span[stretch])
    if walks.stepwise:
        places = xy[np.searchsorted(clock, now, side="right") - 1]
    else:
        places = np.column_stack([np.interp(now, clock, xy[:, axis]) for axis in (0, 1)])
    return places, walks.walk[first][stretch], stretch
