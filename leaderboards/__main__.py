"""python -m leaderboards pack | validate | evaluate | rank | reveal | rederive | build …"""

from __future__ import annotations

import sys

from dtenv.cli import dispatch, report

COMMANDS = {
    "tracks": ("list_tracks", "List", "list the tracks"),
    "pack": ("pack", "Pack", "export a checkpoint of this repository as a submission"),
    "validate": ("validate", "Validate", "report every problem of a submission"),
    "evaluate": ("evaluate", "Evaluate", "run a submission on the public validation instances"),
    "open": ("open_season", "OpenSeason", "open a season: draw its secret, publish its commitment (maintainers)"),
    "rank": ("rank", "Rank", "run entries on a season's hidden instances (maintainers)"),
    "reveal": ("reveal_season", "Reveal", "publish a season's secret (maintainers)"),
    "rederive": ("rederive", "Rederive", "rerun a revealed season and compare every number"),
    "build": ("build", "Build", "write the tables and the page from stored rows; --check fails if they are stale"),
}
"""Module, settings class and description of each command."""

if __name__ == "__main__":
    sys.exit(report(lambda: dispatch("leaderboards", COMMANDS, sys.argv[1:])))
