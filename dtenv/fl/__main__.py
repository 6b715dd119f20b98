"""python -m dtenv.fl theorem | variants | calibrate | forecast …"""

from __future__ import annotations

import sys

from dtenv.cli import dispatch

COMMANDS = {
    "variants": ("variants.command", "VariantsTable", "what every variant of federated training changes (Liu 2020)"),
    "calibrate": (
        "calibration.command",
        "Calibrate",
        "train the grid of Fig. 3 of (Zhou 2025) and fit a utility profile",
    ),
    "theorem": ("theorem.command", "Theorem", "Theorem 1 of (Zhou 2025): its bounds beside measured losses"),
    "forecast": ("forecast.command", "Forecast", "tables of forecasters of the serving cell (Li 2025)"),
}
"""Module, settings and what a command does, by its name."""


def main(arguments: list[str]) -> int:
    """Run one of this package's; returns its exit status."""
    if arguments[:1] == ["calibrations"]:  # its name before
        arguments = ["calibrate", "--summary", *arguments[1:]]
    return dispatch("dtenv.fl", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
