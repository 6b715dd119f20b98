"""Roles of the columns of a recording (user, time, place): recognised by name, or given by the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping

ROLES = ("user", "time", "lat", "lon", "x", "y")
NAMES = {
    "user": """agent animal anonid bike boat bus cab car client customer device driver entity id imei imsi individual
        mac mmsi msisdn node object participant pedestrian people person phone plate scooter ship subject subscriber
        taxi trace track traj trajectory trip truck ue uid user userid vehicle veh walk walker""",
    "time": """at clock date dates datetime dt epoch fixtime gmt gpstime instant moment ms sec second seconds secs t
        time timestamp times timestep tick ts unix unixtime utc when""",
    "lat": "lat latitude latitudes",
    "lon": "lng lon long longitude longitudes",
    "x": "easting eastings x",
    "y": "northing northings y",
}
"""Words of a column's name that give it a role."""
WORDS = {role: frozenset(words.split()) for role, words in NAMES.items()}
ENDS = ("end", "until", "stop", "to", "finish")
"""Words of the time at which a user left a place."""


def words_of(name: str) -> list[str]:
    """A column's name as lower-case words: "UserID (s)" gives user, id and s."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip())
    return re.findall(r"[a-z]+", parts.lower())


def assigned(source: str, header: list[str], columns: Mapping[str, str | None]) -> dict[str, int]:
    """Places of the columns that the caller names, by role.

    Raises:
        ValueError: a role or a column that does not exist.
    """
    at = {}
    for role, name in columns.items():
        if role not in ROLES:
            raise ValueError(f"columns: roles are {', '.join(ROLES)}, got {role!r}")
        if name is None:
            continue
        found = [i for i, own in enumerate(header) if own.strip().lower() == name.strip().lower()]
        if len(found) != 1:
            raise ValueError(f"{source}:1: columns[{role!r}] must be one of {', '.join(header)}, got {name!r}")
        at[role] = found[0]
    return at


def candidates(header: list[str]) -> dict[str, list[int]]:
    """Places of the columns whose names fit each role."""
    found: dict[str, list[int]] = {role: [] for role in ROLES}
    for i, name in enumerate(header):
        words = words_of(name)
        for role in ("lat", "lon", "time", "x", "y", "user"):
            fits = [word for word in words if word in WORDS[role]]
            if fits and (role not in ("x", "y") or words[0] == fits[0] or words[-1] == fits[0]):
                if role == "time" and WORDS["user"] & set(words) and words[-1] == "id":
                    continue  # "trip time id" is an id
                found[role].append(i)
                break
    return found
