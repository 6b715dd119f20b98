"""Open a season: draw its secret and publish the commitment.

python -m leaderboards open 2027.1 --secret ~/2027.1.secret
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

import dtenv
from leaderboards import season as seasons
from leaderboards.tracks import TRACKS


@dataclass
class OpenSeason:
    """Settings."""

    season: tyro.conf.Positional[str]
    """name of the season, such as 2027.1"""
    secret: Path
    """file to write the secret to, outside the repository or ignored by it; ranking needs it"""


def main(settings: OpenSeason) -> None:
    """Write the secret, and season.json with the commitment."""
    path = seasons.SEASONS / settings.season / "season.json"
    if re.fullmatch(seasons.NAME, settings.season) is None:
        raise SystemExit(f"season must be a year and a number, such as 2027.1, got {settings.season!r}")
    if path.exists():
        raise SystemExit(f"season {settings.season!r} is already open: {path}")
    secret = secrets.token_bytes(seasons.SECRET_BYTES)
    settings.secret.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(settings.secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret.hex() + "\n")
    except FileExistsError:
        raise SystemExit(f"secret: {str(settings.secret)!r} exists and is not overwritten") from None
    about = {
        "season": settings.season,
        "opened": time.strftime("%Y-%m-%d", time.gmtime()),
        "commitment": hashlib.sha256(secret).hexdigest(),
        "dtenv": dtenv.__version__,
        "tracks": {name: track.sha256 for name, track in TRACKS.items()},
        "secret": None,
    }
    seasons.write(path, about)
    print(f"{path}: commit it before the first submission; the secret is in {settings.secret}")


def read_secret(path: Path) -> bytes:
    """Read the secret from a file; SeasonError if it contains none."""
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise seasons.SeasonError(f"secret: {str(path)!r} must be a file of hex digits: {error}") from None
    if len(secret) != seasons.SECRET_BYTES:
        raise seasons.SeasonError(f"secret: {str(path)!r} must hold {seasons.SECRET_BYTES} bytes, got {len(secret)}")
    return secret
