"""Station sites and recorded walks, read from the files that their publishers offer or from your own.

Coordinates stay as published (degrees or local metres) until a square window is chosen; one projection
around its centre then makes metres of degrees.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dtenv.traces.clocks import DAY_S, seconds_of
from dtenv.traces.columns import ENDS, WORDS, assigned, candidates, words_of
from dtenv.traces.geometry import contiguous, project
from dtenv.traces.tables import CABSPOTTING, GEOLIFE, Table, read_table

LAYOUTS = """understood are
  sites: EUA/ACMA (SITE_ID,LATITUDE,LONGITUDE,…); Ireland (bs_lat,bs_long); OpenCelliD (radio,mcc,…,lon,lat,…, with or
    without header); Shanghai Telecom's stations; any table of x_m,y_m or latitude|lat,longitude|lon|lng|long
  traces: a user, a time, and x_m,y_m or latitude,longitude, by names such as taxi,t,lat,lng or vehicle_id,datetime,x,y;
    Shanghai Telecom (start time,end time,user id with latitude,longitude or location(latitude/lontitude)); users who
    stand still (coordinates alone); cabspotting (.txt of lat lon occupancy unixtime); GeoLife (.plt); a folder of
    new_*.txt or, at any depth, *.plt
  Other names: columns={"user": …, "time": …, "lat": …, "lon": …} (or "x", "y" in metres), --columns user=… time=…"""
GEOLIFE_BAD_FIX = "400.166666666667"  # the release's one latitude off the globe: locationtech/geowave#411
TELEPORT_MPS = 150.0
"""Faster than any vehicle on the ground: between two such fixes a user has teleported."""

FilePath = str | os.PathLike[str]
Columns = Mapping[str, str | None]
"""Names of a file's columns by role: "user", "time", "lat" and "lon" in degrees, or "x" and "y" in metres."""


@dataclass(frozen=True, eq=False)
class Places:
    """Coordinates from a file or folder."""

    source: str
    """Base name of the file or folder."""
    sha256: str
    """Digest of the file; of a folder, that of its sorted names and contents."""
    coordinates: np.ndarray
    """(places, 2): latitude and longitude in degrees if geographic, else x, y in metres."""
    geographic: bool

    def metres(self, centre: np.ndarray) -> np.ndarray:
        """(places, 2) metres east and north of a centre given in the coordinates of these places."""
        a, b = self.coordinates.T
        return project(a, b, centre) if self.geographic else self.coordinates - centre


class Sites(Places):
    """Positions of stations, each once."""


@dataclass(frozen=True, eq=False)
class Walks(Places):
    """Positions of users, sorted by walk and then by time; no time occurs twice in a walk."""

    walk: np.ndarray
    """(places,) number of the walk of each place."""
    time_s: np.ndarray
    """(places,) seconds from an origin of the source's own."""
    until_s: np.ndarray
    """(places,) last second at which a user is known to be there; infinite for users who stand still."""
    stepwise: bool
    """Whether users stay at a place until the next one (stations), instead of walking there in a straight line."""
    remarks: dict[str, Any] = field(default_factory=dict)
    """Counts of odd rows ("repeated", "teleports", "motionless walks"), the columns read, and the clock."""

    @property
    def interval_s(self) -> float:
        """Median seconds between successive places of a walk; nan if no walk has two."""
        seconds = np.diff(self.time_s)[np.diff(self.walk) == 0]
        return float(np.median(seconds)) if seconds.size else math.nan


def read_sites(path: FilePath, columns: Columns | None = None) -> Sites:
    """Station sites of a file in one of LAYOUTS; co-located entries count once.

    Args:
        path: .csv or .xlsx file, compressed or not.
        columns: names of its columns by role; by default recognised by their names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown layout, no rows, or a malformed row: the message names file, line, field and value.
        ImportError: pyarrow, or for .xlsx openpyxl, is not installed.
    """
    file = Path(os.path.abspath(path))
    if not file.is_file():
        raise FileNotFoundError(f"no such file of sites: {path}")
    data = file.read_bytes()
    table = read_table(file.name, data)
    roles = _roles(table, columns or {}, sites=True)
    table = _located(table, roles)
    places, geographic = _coordinates(table, roles)
    return Sites(file.name, hashlib.sha256(data).hexdigest(), np.unique(places, axis=0), geographic)


def read_trace(path: FilePath, columns: Columns | None = None) -> Walks:
    """Walks of a file, or of a folder of cabspotting or GeoLife files, in one of LAYOUTS.

    Of rows with the same walk and time the last counts. Shanghai's rows without coordinates are left out, and
    so is the one fix of GeoLife's release that lies off the globe. The order of rows does not matter.

    Args:
        path: file or folder.
        columns: names of its columns by role; by default recognised by their names. Given without "time", users stand
            still; with "user": None the file is one walk.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `read_sites`.
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
        table = read_table(name, data)
        roles = _roles(table, columns or {})
        table = _located(table, roles)
        places, geographic = _coordinates(table, roles)
        code, users, time, until, clock = _clock(table, roles)
        numbered = np.array([numbers.setdefault((name, user), len(numbers)) for user in users])[code]
        parts.append((numbered, time, until, places))
    walk, time, until, places = map(np.concatenate, zip(*parts, strict=True))
    if geographic and len(files) > 1:
        places[:, 1] = contiguous(places[:, 1])
    order = np.lexsort((time, walk))  # stable: rows of one time stay in the file's order
    last = np.append((np.diff(walk[order]) != 0) | (np.diff(time[order]) != 0), True)
    repeated, order = int((~last).sum()), order[last]
    walk, time, until, places, stepwise = walk[order], time[order], until[order], places[order], "until" in roles
    for held in np.split(until, np.flatnonzero(np.diff(walk)) + 1) if stepwise else ():
        np.maximum.accumulate(held, out=held)  # sessions overlap: a user is seen until the latest end
    named = {role: table.header[at] for role, at in roles.items()}
    odd = {"repeated": repeated} | (_oddities(walk, time, places, geographic) if np.isfinite(until).all() else {})
    remarks = {"columns": named, "clock": clock} | odd
    return Walks(root.name, digest.hexdigest(), places, geographic, walk, time, until, stepwise, remarks)


def _roles(table: Table, columns: Columns, sites: bool = False) -> dict[str, int]:
    """The column of each role: "user", "time", "until", "date", "lat", "lon", "x", "y", "location".

    Raises:
        ValueError: columns that are needed are missing or cannot be told apart.
    """
    at, header = assigned(table.source, table.header, columns), table.header
    if header in (GEOLIFE, CABSPOTTING):
        if sites:
            raise _unknown(table, "this is a walk, no table of sites")
        return {"lat": 0, "lon": 1, "time": header.index("unixtime" if header == CABSPOTTING else "days")}
    found = candidates(header)
    found = {role: [i for i in places if i not in at.values()] for role, places in found.items()}
    at |= _place_roles(table, columns, at, found)
    if "time" not in columns:
        at |= _time_roles(table, found["time"])
    if "user" not in columns:
        at |= _user_role(table, [i for i in found["user"] if i not in at.values()], sites)
    if sites:
        if {"user", "time"} <= at.keys() and "until" not in at:
            raise _unknown(table, "these are walks, no table of sites")
        return {role: i for role, i in at.items() if role not in ("user", "time", "date") or "until" in at}
    if "time" in at and "user" not in at and columns.get("user", "") is not None:
        raise _unknown(table, "no column names the user; if the file is one walk, say columns={'user': None}")
    if "time" not in at:
        others = [name for i, name in enumerate(header) if i not in at.values()]
        if others and columns.get("time", "") is not None:
            raise _unknown(
                table, f"no column names the time ({', '.join(others)} unknown); if users stand still, say None"
            )
        if "user" in at and len(table.codes(at["user"])[1]) < len(table.columns[0]):
            raise _unknown(table, f"{header[at['user']]} repeats, and no column names the time")
    return at


def _place_roles(table: Table, columns: Columns, at: dict[str, int], found: dict[str, list[int]]) -> dict[str, int]:
    """The columns of coordinates that the caller did not name."""
    given = at.keys() & {"lat", "lon", "x", "y"}
    for pair in (("lat", "lon"), ("x", "y")):
        if given & set(pair):
            if not given <= set(pair) or any(role not in at and len(found[role]) != 1 for role in pair):
                raise _unknown(table, "columns must name lat and lon, or x and y")
            return {role: at.get(role, found[role][0] if found[role] else -1) for role in pair}
        if all(len(found[role]) == 1 for role in pair):
            roles = {role: found[role][0] for role in pair}
            if pair == ("x", "y") and not any(len(words_of(table.header[i])) > 1 for i in roles.values()):
                x, y = (np.abs(table.numbers(i)).max() for i in roles.values())
                if x <= 180.0 and y <= 90.0:
                    raise _unknown(
                        table,
                        "x and y could be metres or degrees: say columns={'x': …, 'y': …} or {'lon': …, 'lat': …}",
                    )
            return roles
    places = [i for i, name in enumerate(table.header) if name.strip().lower() == "location(latitude/lontitude)"]
    if len(places) != 1:
        raise _unknown(table, "no two columns name latitude and longitude, or x and y")
    return {"location": places[0]}


def _time_roles(table: Table, found: list[int]) -> dict[str, int]:
    names = {i: words_of(table.header[i]) for i in found}
    ends = [i for i in found if set(names[i]) & set(ENDS)]
    starts = [i for i in found if set(names[i]) & {"start", "begin", "from", "arrival"}]
    if len(ends) == len(starts) == 1:
        return {"time": starts[0], "until": ends[0]}
    date = [i for i in found if names[i] == ["date"]]
    time = [i for i in found if names[i] == ["time"]]
    if len(found) == 2 and date and time:
        return {"time": time[0], "date": date[0]}
    if len(found) > 1:
        raise _unknown(
            table, f"{', '.join(table.header[i] for i in found)} could be the time: say columns={{'time': …}}"
        )
    return dict(zip(["time"], found, strict=False))


WEAK = {"id", "uid", "mac", "node", "device", "object", "entity"}
"""Words of sites' names as well."""


def _user_role(table: Table, found: list[int], sites: bool) -> dict[str, int]:
    strong = [i for i in found if WORDS["user"] & set(words_of(table.header[i])) - WEAK]
    chosen = strong if strong or sites else found
    if len(chosen) > 1:
        raise _unknown(
            table, f"{', '.join(table.header[i] for i in chosen)} could be the user: say columns={{'user': …}}"
        )
    return dict(zip(["user"], chosen, strict=False))


def _unknown(table: Table, why: str) -> ValueError:
    return ValueError(f"{table.source}:1: unknown header {','.join(table.header)!r}; {LAYOUTS}\n  Here: {why}")


def _located(table: Table, roles: dict[str, int]) -> Table:
    """The table without GeoLife's bad fix, and without sessions at stations of unknown place (Shanghai Telecom)."""
    known = np.ones(len(table.columns[0]), np.bool_)
    if table.header == GEOLIFE:
        known = np.array([text != GEOLIFE_BAD_FIX for text in table.columns[0].to_pylist()])
    for role in ("lat", "lon", "location") if "until" in roles else ():
        if role in roles:
            texts = table.columns[roles[role]].to_pylist()
            known &= [text is None or {"", "nan"}.isdisjoint(text.strip().lower().split("/")) for text in texts]
    if not known.any():
        raise ValueError(f"{table.source}: holds no rows of places")
    return table if known.all() else table.keep(known)


def _coordinates(table: Table, roles: dict[str, int]) -> tuple[np.ndarray, bool]:
    """Coordinates (rows, 2), and whether they are geographic."""
    if "x" in roles:
        return np.column_stack([table.numbers(roles["x"]), table.numbers(roles["y"])]), False
    if "location" in roles:
        latitude, longitude = _split(table, roles["location"])
    else:
        latitude, longitude = table.numbers(roles["lat"], 90), table.numbers(roles["lon"], 360)
    low = longitude < -180.0
    if longitude.max() > 180.0 and longitude.min() < 0.0:  # degrees east of 180 where no place is west of 0
        low |= longitude > 180.0
    if low.any():
        raise table.fault(int(low.argmax()), roles.get("lon", roles.get("location", 0)), "must lie in [-180, 180]")
    return np.column_stack([latitude, contiguous(longitude)]), True


def _split(table: Table, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of cells such as 31.2/121.4."""
    codes, texts = table.codes(column)
    pairs = np.full((len(texts), 2), np.nan)
    for code, text in enumerate(texts):
        try:
            pairs[code] = [float(part) for part in text.split("/")]
        except ValueError:
            raise table.fault(
                int(np.argmax(codes == code)), column, "must be latitude/longitude, two numbers"
            ) from None
    if not np.isfinite(pairs).all() or (np.abs(pairs) > (90.0, 180.0)).any():
        wrong = ~np.isfinite(pairs).all(axis=1) | (np.abs(pairs) > (90.0, 180.0)).any(axis=1)
        raise table.fault(
            int(np.argmax(wrong[codes])), column, "must be a latitude in [-90, 90] and a longitude in [-180, 180]"
        )
    return pairs[codes, 0], pairs[codes, 1]


def _clock(table: Table, roles: dict[str, int]) -> tuple[np.ndarray, Sequence[Any], np.ndarray, np.ndarray, str]:
    """Number of each row's user, the users, seconds of its time, seconds until when, and what the seconds count."""
    rows = len(table.columns[0])
    if "time" not in roles:
        return np.arange(rows), range(rows), np.zeros(rows), np.full(rows, math.inf), "none"
    code, users = table.codes(roles["user"]) if "user" in roles else (np.zeros(rows, np.int64), [""])
    if table.header == GEOLIFE:
        time = np.round(table.numbers(roles["time"]) * DAY_S, 3)  # days with ten decimals: 9 µs
        return code, users, time, time, "GMT"
    if "date" in roles:
        table = table.joined(roles["date"], roles["time"])
    clock = seconds_of(table, roles["time"])
    if "until" not in roles:
        return code, users, clock.seconds, clock.seconds, clock.kind
    return code, users, clock.seconds, np.maximum(clock.seconds, seconds_of(table, roles["until"]).seconds), clock.kind


def _oddities(walk: np.ndarray, time: np.ndarray, places: np.ndarray, geographic: bool) -> dict[str, int]:
    """Number of steps faster than any vehicle, and of walks that never move."""
    same = np.diff(walk) == 0
    step = np.diff(places, axis=0)
    moved = np.bincount(walk[1:], same & step.any(axis=1), minlength=walk[-1] + 1) > 0
    if geographic:
        step = project(step[:, 0], step[:, 1], (0.0, 0.0))
        step[:, 0] *= np.cos(np.radians(places[1:, 0]))
    fast = same & (np.hypot(*step.T) > TELEPORT_MPS * np.diff(time))
    several = np.bincount(walk, minlength=walk[-1] + 1) > 1
    return {"teleports": int(fast.sum()), "motionless walks": int((several & ~moved).sum())}
