"""Seasons: instances from a secret that is committed to first and published afterwards.

Instance `index` of a season has the seed HMAC-SHA256(secret, season ":" index), cut to 63 bits. The SHA-256 of the
secret is published before the season, the secret after it. The season "validation" has public seeds.

    leaderboards/seasons/NAME/season.json   commitment and hashes of the tracks; once revealed, the secret
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
"""Folder of the seasons, one subfolder each."""

VALIDATION = "validation"
"""Name of the season with public seeds."""

VALIDATION_SEEDS = EVALUATION_SEEDS[400_000:]
"""Seeds of the validation instances, used by no suite, table or tuning."""

SECRET_BYTES = 32


class SeasonError(ValueError):
    """A season's file or secret is invalid."""


@dataclass(frozen=True)
class Season:
    """Name of a season, and the seeds of its instances once the secret is known."""

    name: str
    commitment: str | None = None
    """SHA-256 of the secret, in hexadecimal; None for validation"""
    secret: bytes | None = None

    def seed(self, index: int) -> int:
        """Seed of an instance; SeasonError if the secret is not known."""
        if self.name == VALIDATION:
            return VALIDATION_SEEDS[index]
        if self.secret is None:
            raise SeasonError(f"season {self.name!r} has not been revealed: its instances need the secret")
        digest = hmac.new(self.secret, f"{self.name}:{index}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    @property
    def folder(self) -> Path:
        """Folder of the season's files."""
        return SEASONS / self.name

    def with_secret(self, secret: bytes) -> Season:
        """Return the season with its secret; SeasonError if that does not match the commitment."""
        digest = hashlib.sha256(secret).hexdigest()
        if digest != self.commitment:
            raise SeasonError(f"secret must have the SHA-256 {self.commitment} of season {self.name!r}, got {digest}")
        return Season(self.name, self.commitment, secret)


NAME = r"\d{4}\.\d+"
"""Pattern of a season's name: a year and a number."""


def known() -> list[str]:
    """Names of the seasons without validation, newest first."""
    names = [path.parent.name for path in SEASONS.glob("*/season.json") if re.fullmatch(NAME, path.parent.name)]
    return sorted(names, key=lambda name: [*map(int, name.split("."))], reverse=True)


def read(name: str) -> Season:
    """Read a season by name, with its secret if revealed; SeasonError if it is unknown or its file is invalid."""
    if name == VALIDATION:
        return Season(VALIDATION)
    if name not in known():
        raise SeasonError(f"season must be one of {', '.join([*known(), VALIDATION])}, got {name!r}")
    about = about_season(SEASONS / name / "season.json")
    season = Season(name, about["commitment"])
    return season if about.get("secret") is None else season.with_secret(bytes.fromhex(about["secret"]))


def about_season(path: Path) -> dict[str, Any]:
    """Read season.json; SeasonError unless it is JSON with a commitment."""
    try:
        about = json.loads(path.read_text())
        if re.fullmatch(r"[0-9a-f]{64}", about["commitment"]) is None:
            raise SeasonError(f"{path}: commitment must be 64 hexadecimal digits, got {about['commitment']!r}")
        return about
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SeasonError(f"{path}: not a valid season: {type(error).__name__}: {error}") from None


def write(path: Path, about: Mapping[str, Any]) -> None:
    """Write a season's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about, indent=1) + "\n")
