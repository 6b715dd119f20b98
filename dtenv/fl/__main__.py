"""python -m dtenv.fl theorem | variants | calibrate | forecast …"""

from __future__ import annotations

import sys

from dtenv.cli import dispatch, report

COMMANDS = {
    "variants": ("variants.command", "VariantsTable", "compare variants of federated training (Liu 2020)"),
    "calibrate": ("calibration.command", "Calibrate", "train the grid of (Zhou 2025, Fig. 3), fit a utility profile"),
    "theorem": ("theorem.command", "Theorem", "compare the bounds of (Zhou 2025, Theorem 1) with measured losses"),
    "forecast": ("forecast.command", "Forecast", "compare forecasters of the serving cell (Li 2025)"),
}
"""Module, settings class and summary of each command."""


def main(arguments: list[str]) -> int:
    """Run a command of this package and return its exit status."""
    if arguments[:1] == ["calibrations"]:  # former name
        arguments = ["calibrate", "--summary", *arguments[1:]]
    return dispatch("dtenv.fl", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(report(lambda: main(sys.argv[1:])))
