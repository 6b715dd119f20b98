"""python -m benchmarks run | report | figure | search | dataset | marl-eval …"""

from __future__ import annotations

import sys

from dtenv.commands import dispatch

COMMANDS = {
    "suites": ("suites", "List", "list the suites"),
    "run": ("run", "RunSuite", "run a suite into a folder of results, or go on with it"),
    "report": ("report", "WriteReport", "write a run as one HTML file"),
    "aggregate": ("aggregate", "Aggregate", "agents over all scenarios of a run: IQM, optimality gap, profiles"),
    "deployment": (
        "deployment",
        "Deployment",
        "twins at the edge, in the cloud or on both, beside Table I of Khan 2022",
    ),
    "figure": ("figure", "DrawFigure", "draw a figure of the papers, or the page of their claims"),
    "search": ("search", "Search", "search a W&B sweep file without an account"),
    "dataset": ("dataset", "Dataset", "write a Minari dataset of an environment's episodes"),
    "profiles": ("profiles", "Profiles", "policies of all utility profiles under all profiles"),
    "forecast-value": ("forecast_value", "ForecastValue", "what a forecast is worth to DTMigration-v0, in return"),
    "marl-eval": ("marl_eval", "MarlEval", "export results as marl-eval's JSON"),
}
"""Module, settings and what a command does, by its name."""


def main(arguments: list[str]) -> int:
    """Run one of this package's; returns its exit status."""
    return dispatch("benchmarks", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
