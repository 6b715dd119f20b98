"""python -m leaderboards pack | validate | evaluate | rank | reveal | rederive | build …"""

from __future__ import annotations

import sys

from dtenv.cli import dispatch

COMMANDS = {
    "tracks": ("list_tracks", "List", "list the tracks"),
    "pack": ("pack", "Pack", "make a submission of one of our agents' checkpoints"),
    "validate": ("validate", "Validate", "say everything that is wrong with a submission"),
    "evaluate": ("evaluate", "Evaluate", "run a submission on the public validation instances"),
    "open": ("open_season", "OpenSeason", "begin a season: draw its secret, publish its commitment (maintainers)"),
    "rank": ("rank", "Rank", "run entries on a season's hidden instances (maintainers)"),
    "reveal": ("reveal_season", "Reveal", "publish a season's secret (maintainers)"),
    "rederive": ("rederive", "Rederive", "run a revealed season again and compare every number"),
    "build": ("build", "Build", "write the tables and the page from stored rows; --check tells whether they are stale"),
}
"""Module, settings and what a command does, by its name."""

if __name__ == "__main__":
    sys.exit(dispatch("leaderboards", COMMANDS, sys.argv[1:]))
