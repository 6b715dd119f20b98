"""Ends a season: publishes its secret, by which anybody can run it again.

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
    """its name"""
    secret: Path
    """file of the secret"""


def main(settings: Reveal) -> None:
    """Write the secret into the season's file, if it is the one that it was committed to."""
    try:
        season = seasons.read(settings.season).with_secret(read_secret(settings.secret))
    except seasons.SeasonError as error:
        raise SystemExit(str(error)) from None
    assert season.secret is not None
    path = season.folder / "season.json"
    about = seasons.about_season(path)
    seasons.write(path, {**about, "secret": season.secret.hex(), "revealed": time.strftime("%Y-%m-%d", time.gmtime())})
    print(f"{path}: the secret is there for all; `python -m leaderboards rederive {season.name}` runs the season again")
