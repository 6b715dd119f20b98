"""Seasons: whose instances nobody knows before, and everybody afterwards.

Instance `index` of a season has the seed HMAC-SHA256(secret, season ":" index), cut to 63 bits. The SHA-256 of the
secret is published before the season, the secret after it. The season "validation" has seeds that everybody knows.

    leaderboards/seasons/NAME/season.json   the commitment, the tracks' hashes; once revealed, the secret
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evaluate import EVALUATION_SEEDS

SEASONS = Path(__file__).parent / "seasons"
"""One folder a season."""

VALIDATION = "validation"
"""The season whose seeds are public."""

VALIDATION_SEEDS = EVALUATION_SEEDS[400_000:]
"""Episodes that no suite, table or tuning has."""

SECRET_BYTES = 32


class SeasonError(ValueError):
    """A season's file or secret is not what it should be; the message says what is wrong."""


@dataclass(frozen=True)
class Season:
    """A name, and the seeds of its instances once the secret is known."""

    name: str
    commitment: str | None = None
    """SHA-256 of the secret, in hexadecimal; None for validation"""
    secret: bytes | None = None

    def seed(self, index: int) -> int:
        """Of an instance.

        Raises:
            SeasonError: the secret is not known.
        """
        if self.name == VALIDATION:
            return VALIDATION_SEEDS[index]
        if self.secret is None:
            raise SeasonError(f"season {self.name!r} has not been revealed: its instances need the secret")
        digest = hmac.new(self.secret, f"{self.name}:{index}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    @property
    def folder(self) -> Path:
        """Of its rows."""
        return SEASONS / self.name

    def with_secret(self, secret: bytes) -> Season:
        """The season, its seeds known.

        Raises:
            SeasonError: it is not the secret that the season was committed to.
        """
        if hashlib.sha256(secret).hexdigest() != self.commitment:
            raise SeasonError(
                f"secret must have the SHA-256 {self.commitment} that season {self.name!r} was committed to, "
                f"got {hashlib.sha256(secret).hexdigest()}"
            )
        return Season(self.name, self.commitment, secret)


NAME = r"\d{4}\.\d+"
"""Of a season: a year and a number."""


def known() -> list[str]:
    """Names of the seasons, the newest first; without validation."""
    names = [path.parent.name for path in SEASONS.glob("*/season.json") if re.fullmatch(NAME, path.parent.name)]
    return sorted(names, key=lambda name: [*map(int, name.split("."))], reverse=True)


def read(name: str) -> Season:
    """A season by name, with its secret if it was revealed.

    Raises:
        SeasonError: there is no such season, or its file is broken.
    """
    if name == VALIDATION:
        return Season(VALIDATION)
    path = SEASONS / name / "season.json"
    if name not in known():
        told = ", ".join([*known(), VALIDATION])
        raise SeasonError(f"season must be one of {told}, got {name!r}")
    about = about_season(path)
    season = Season(name, about["commitment"])
    return season if about.get("secret") is None else season.with_secret(bytes.fromhex(about["secret"]))


def about_season(path: Path) -> dict[str, Any]:
    """What season.json says.

    Raises:
        SeasonError: no JSON, or no commitment in it.
    """
    try:
        about = json.loads(path.read_text())
        if re.fullmatch(r"[0-9a-f]{64}", about["commitment"]) is None:
            raise SeasonError(f"{path}: commitment must be 64 hexadecimal digits, got {about['commitment']!r}")
        return about
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SeasonError(f"{path}: no season: {type(error).__name__}: {error}") from None


def write(path: Path, about: Mapping[str, Any]) -> None:
    """Write a season's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about, indent=1) + "\n")
