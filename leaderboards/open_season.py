"""Begins a season: draws its secret, and publishes what binds us to it.

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
    """its name, such as 2027.1"""
    secret: Path
    """file to write the secret to, outside the repository or ignored by it; whoever loses it cannot rank"""


def main(settings: OpenSeason) -> None:
    """Write the secret, and the season's file with the commitment."""
    path = seasons.SEASONS / settings.season / "season.json"
    if re.fullmatch(seasons.NAME, settings.season) is None:
        raise SystemExit(f"season must be a year and a number, such as 2027.1, got {settings.season!r}")
    if path.exists():
        raise SystemExit(f"season {settings.season!r} was begun: {path}")
    secret = secrets.token_bytes(seasons.SECRET_BYTES)
    settings.secret.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(settings.secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret.hex() + "\n")
    except FileExistsError:
        raise SystemExit(f"secret: {str(settings.secret)!r} exists, and is not overwritten") from None
    about = {
        "season": settings.season,
        "opened": time.strftime("%Y-%m-%d", time.gmtime()),
        "commitment": hashlib.sha256(secret).hexdigest(),
        "dtenv": dtenv.__version__,
        "tracks": {name: track.sha256 for name, track in TRACKS.items()},
        "secret": None,
    }
    seasons.write(path, about)
    print(f"{path}: commit it before anybody submits; the secret is in {settings.secret}")


def read_secret(path: Path) -> bytes:
    """The secret that a file holds.

    Raises:
        SeasonError: it holds none.
    """
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise seasons.SeasonError(f"secret: {str(path)!r} holds none: {error}") from None
    if len(secret) != seasons.SECRET_BYTES:
        raise seasons.SeasonError(f"secret: {str(path)!r} must hold {seasons.SECRET_BYTES} bytes, got {len(secret)}")
    return secret
