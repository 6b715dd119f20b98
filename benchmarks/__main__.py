"""python -m benchmarks run | report | figure | search | dataset …"""

from __future__ import annotations

import sys

from dtenv.cli import dispatch

COMMANDS = {
    "suites": ("suites.catalogue", "List", "list the suites"),
    "run": ("suites.run", "RunSuite", "run a suite into a folder of results, or go on with it"),
    "report": ("report.command", "WriteReport", "write a run as one HTML file"),
    "aggregate": ("aggregate", "Aggregate", "agents over all scenarios of a run: IQM, optimality gap, profiles"),
    "deployment": (
        "deployment.command",
        "Deployment",
        "twins at the edge, in the cloud or on both, beside Table I of Khan 2022",
    ),
    "figure": ("figures.command", "DrawFigure", "draw a figure of the papers, or the page of their claims"),
    "search": ("search.command", "Search", "search a W&B sweep file without an account"),
    "dataset": ("dataset", "Dataset", "write a Minari dataset of an environment's episodes"),
    "profiles": ("profiles.command", "Profiles", "policies of all utility profiles under all profiles"),
    "forecast-value": (
        "forecast_value.command",
        "ForecastValue",
        "what a forecast is worth to DTMigration-v0, in return",
    ),
    "demo": ("demo", "Demo", "train, compare with heuristics and the proven bound, draw"),
    "table": ("table", "Table", "shipped agents and heuristics on held-out episodes, as a table"),
    "optima": ("optima", "Optima", "how closely and how fast the optimum of one slot is proven"),
    "headroom": ("headroom", "Headroom", "what there is to gain in every preset: heuristics, best known plan, bound"),
    "falsify": ("falsify", "Falsify", "try to exceed the proven bounds"),
    "tune": ("tune", "Tune", "choose the constants of heuristics, on seeds of their own"),
    "topology": ("topology", "Topology", "trained policies on other numbers of users and servers"),
    "transfer": ("transfer", "Transfer", "samples that DTMigration-v0 needs with and without transfer (Lu 2021)"),
    "wallclock": ("wallclock", "WallClock", "PPO on the batch against Stable-Baselines3's PPO, in seconds"),
    "speed": ("speed.command", "Speed", "steps a second, memory and start-up time"),
    "speed-cuda": ("speed.cuda", "SpeedCuda", "steps a second on a GPU"),
}
"""Module, settings and what a command does, by its name."""


def main(arguments: list[str]) -> int:
    """Run one of this package's; returns its exit status."""
    return dispatch("benchmarks", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
