"""End a season: publish its secret, so that anyone can rerun it.

python -m leaderboards reveal 2027.1 --secret ~/2027.1.secret
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from leaderboards import season as seasons
from leaderboards.open_season import read_secret


@dataclass
class Reveal:
    """Settings."""

    season: tyro.conf.Positional[str]
    """name of the season"""
    secret: Path
    """file with the secret"""


def main(settings: Reveal) -> None:
    """Write the secret into season.json if it matches the commitment."""
    try:
        secret = read_secret(settings.secret)
        season = seasons.read(settings.season).with_secret(secret)
    except seasons.SeasonError as error:
        raise SystemExit(str(error)) from None
    path = season.folder / "season.json"
    about = seasons.about_season(path)
    seasons.write(path, {**about, "secret": secret.hex(), "revealed": time.strftime("%Y-%m-%d", time.gmtime())})
    print(f"{path}: the secret is published; `python -m leaderboards rederive {season.name}` reruns the season")
