"""Readers of station sites and mobility traces in the formats of their publishers.

Coordinates stay as published (degrees or local metres) until a square window is chosen; one projection around its
centre then converts degrees to metres.
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

LAYOUTS = """understood are
  sites: EUA/ACMA (SITE_ID,LATITUDE,LONGITUDE,…); Ireland (bs_lat,bs_long); OpenCelliD (radio,mcc,…,lon,lat,…, with or
    without header); Shanghai Telecom's stations; any table of x_m,y_m or latitude|lat,longitude|lon|lng|long
  traces: trace,time_s with x_m,y_m or latitude,longitude; Shanghai Telecom (start time,end time,user id with latitude,
    longitude or location(latitude/lontitude)); users who stand still (coordinates and no time); cabspotting (.txt of
    lat lon occupancy unixtime); GeoLife (.plt); a folder of new_*.txt or, at any depth, *.plt"""
ALIASES = {"lat": "latitude", "bs_lat": "latitude", "location(latitude/lontitude)": "location"}
ALIASES |= dict.fromkeys(("lon", "lng", "long", "bs_long"), "longitude")
CABSPOTTING = ["latitude", "longitude", "occupancy", "unixtime"]
GEOLIFE, GEOLIFE_PREAMBLE = ["latitude", "longitude", "zero", "altitude_ft", "days", "date", "time"], 6
GEOLIFE_BAD_FIX = "400.166666666667"  # the release's one latitude off the globe: locationtech/geowave#411
OPENCELLID = ["radio", "mcc", "net", "area", "cell", "unit", "lon", "lat"]
RADIOS = ("GSM", "CDMA", "UMTS", "LTE", "NR", "NBIOT")
CLOCKS = {"time_s", "unixtime", "days"}  # times of moving users; without one users hold a place
DAY_S = 86400.0
EQUATOR_M, ECCENTRICITY_SQUARED = 6378137.0, 6.69437999014e-3  # WGS 84

FilePath = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Places:
    """Coordinates from a file or folder."""

    source: str  # base name
    sha256: str  # digest of the file, or of a folder's sorted names and contents
    coordinates: np.ndarray  # (places, 2) latitude, longitude in degrees if geographic, else x, y in metres
    geographic: bool

    def metres(self, centre: np.ndarray) -> np.ndarray:
        """(places, 2) metres east and north of a centre, which is in the same coordinates as the places."""
        a, b = self.coordinates.T
        return project(a, b, centre) if self.geographic else self.coordinates - centre


class Sites(Places):
    """Sites of stations, each place once."""


@dataclass(frozen=True, eq=False)
class Walks(Places):
    """Places of users, sorted by walk, then by time; times within a walk are distinct."""

    walk: np.ndarray  # (places,) number of the walk
    time_s: np.ndarray  # (places,) seconds from the source's own origin
    until_s: np.ndarray  # (places,) last second that the user is known to be there; infinite for users who stand still
    stepwise: bool  # users hold a place until the next one (stations) instead of moving in a straight line

    @property
    def interval_s(self) -> float:
        """Median seconds between successive places of a walk; nan if no walk has two."""
        seconds = np.diff(self.time_s)[np.diff(self.walk) == 0]
        return float(np.median(seconds)) if seconds.size else math.nan


def read_sites(path: FilePath) -> Sites:
    """Read station sites from a .csv, .csv.gz or .xlsx file in one of LAYOUTS; co-located entries count once.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown layout, no rows, or a malformed row: the message names file, line, field and value.
        ImportError: an .xlsx file without openpyxl.
    """
    file = Path(os.path.abspath(path))
    if not file.is_file():
        raise FileNotFoundError(f"no such file of sites: {path}")
    data = file.read_bytes()
    table = _read_table(file.name, data)
    if table.at.keys() & CLOCKS:  # places of a walk, not stations
        raise table.unknown()
    places, geographic = table.coordinates()
    return Sites(file.name, hashlib.sha256(data).hexdigest(), np.unique(places, axis=0), geographic)


def read_trace(path: FilePath) -> Walks:
    """Read walks from a file, or from a folder of cabspotting or GeoLife files, in one of LAYOUTS.

    The last of several rows with the same walk and time counts. Shanghai's rows without coordinates and the one fix of
    GeoLife's release off the globe are dropped. Raises the errors of `read_sites`.
    """
    root = Path(os.path.abspath(path))
    files = [root] if root.is_file() else sorted(root.rglob("*.plt")) or sorted(root.glob("new_*.txt"))
    if not files:
        raise FileNotFoundError(f"no such trace, or a folder without *.plt and new_*.txt: {path}")
    digest, parts = hashlib.sha256(), []
    numbers: dict[tuple[str, Any], int] = {}
    for file in files:
        name, data = file.relative_to(root.parent).as_posix(), file.read_bytes()
        digest.update(data if file == root else file.relative_to(root).as_posix().encode() + b"\0" + data)
        table = _read_table(name, data)
        places, geographic = table.coordinates()
        users, time, until = table.clock()
        numbered = [numbers.setdefault((name, user), len(numbers)) for user in users]
        parts.append((np.array(numbered), np.array(time), np.array(until), places))
    walk, time, until, places = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((time, walk))  # stable: rows of equal time keep the file's order
    order = order[np.append((np.diff(walk[order]) != 0) | (np.diff(time[order]) != 0), True)]
    walk, time, until, stepwise = walk[order], time[order], until[order], not table.at.keys() & CLOCKS
    for held in np.split(until, np.flatnonzero(np.diff(walk)) + 1) if stepwise else ():
        np.maximum.accumulate(held, out=held)  # sessions overlap: a user is present until the latest end
    return Walks(root.name, digest.hexdigest(), places[order], geographic, walk, time, until, stepwise)


class _Table(NamedTuple):
    source: str
    header: list[str]
    at: dict[str, int]  # column index by lower-case name, with aliases resolved
    rows: list[tuple[int, list[str]]]  # line number in the file, from 1, and cells

    def column(self, name: str, parse: Callable[[str], Any]) -> list[Any]:
        """Parse a column; adds file, line, field and value to the ValueError("must …") of `parse`."""
        at, values = self.at[name], []
        for line, row in self.rows:
            try:
                values.append(parse(row[at]))
            except (ValueError, IndexError) as error:
                fault = f"{error}, got {row[at]!r}" if at < len(row) else f"is missing, the row has {len(row)} columns"
                raise ValueError(f"{self.source}:{line}: {self.header[at]} {fault}") from None
        return values

    def coordinates(self) -> tuple[np.ndarray, bool]:
        """Return coordinates (rows, 2), and whether they are geographic."""
        if {"latitude", "longitude"} <= self.at.keys():
            latitude = self.column("latitude", partial(_number, limit=90))
            return np.column_stack([latitude, self.column("longitude", partial(_number, limit=180))]), True
        if "location" in self.at:
            return np.array(self.column("location", _location)), True
        if {"x_m", "y_m"} <= self.at.keys():
            return np.column_stack([self.column("x_m", _number), self.column("y_m", _number)]), False
        raise self.unknown()

    def clock(self) -> tuple[Any, Any, Any]:
        """Return user, start and end in seconds of every row."""
        if {"start time", "end time", "user id"} <= self.at.keys():
            time, until = self.column("start time", _moment), self.column("end time", _moment)
            return self.column("user id", str), time, np.maximum(time, until)
        users, still = [""] * len(self.rows), np.zeros(len(self.rows))  # one walk a file
        if {"trace", "time_s"} <= self.at.keys():
            users, time = self.column("trace", str), self.column("time_s", _number)
        elif "unixtime" in self.at:
            time = self.column("unixtime", _number)
        elif "days" in self.at:
            time = [round(days * DAY_S, 3) for days in self.column("days", _number)]  # ten decimals: 9 µs
        elif any(word in name for name in self.at for word in ("trace", "time", "date")):
            raise self.unknown()  # moving users must not be read as users who stand still
        else:
            return range(len(users)), still, still + math.inf
        return users, time, time

    def unknown(self) -> ValueError:
        return ValueError(f"{self.source}: unknown header {','.join(self.header)!r}; {LAYOUTS}")


def _read_table(source: str, data: bytes) -> _Table:
    kind = Path(source.removesuffix(".gz")).suffix.lower()
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
    where = [at[name] for name in ("latitude", "longitude", "location") if name in at]
    if where and "start time" in at:  # Shanghai's file has sessions at stations of unknown position
        rows = [
            (line, row)
            for line, row in rows
            if len(row) <= max(where) or {"", "nan"}.isdisjoint("/".join(row[i] for i in where).lower().split("/"))
        ]
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


def _location(text: str) -> tuple[float, float]:
    latitude, _, longitude = text.partition("/")
    return _number(latitude, 90), _number(longitude, 180)


@lru_cache(maxsize=1 << 16)  # half a month has 21,600 minutes, and strptime is slow
def _moment(text: str) -> float:
    """Seconds since 1970 in the city's local time."""
    try:
        moment = datetime.strptime(text, "%d/%m/%y %H:%M") if "/" in text else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time like 2014-06-01 10:22:00 or 01/06/14 10:22") from None
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()


def project(latitude: Any, longitude: Any, origin: Any) -> np.ndarray:
    """Equirectangular projection: metres (…, 2) east and north of an origin (latitude, longitude); angles in degrees.

    The radii are those of the WGS 84 ellipsoid at the origin: distances are exact to 0.1 % within ten kilometres.
    """
    bend = 1.0 - ECCENTRICITY_SQUARED * math.sin(math.radians(origin[0])) ** 2
    normal = EQUATOR_M / math.sqrt(bend)
    radii = normal * math.cos(math.radians(origin[0])), normal * (1.0 - ECCENTRICITY_SQUARED) / bend
    degrees = np.stack([np.subtract(longitude, origin[1]), np.subtract(latitude, origin[0])], axis=-1)
    return np.radians((degrees + 180.0) % 360.0 - 180.0) * radii  # the shorter way across the date line
