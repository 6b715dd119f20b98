"""python -m benchmarks run | report | figure | search | dataset …"""

from __future__ import annotations

import sys

from dtenv.cli import dispatch, report

COMMANDS = {
    "suites": ("suites.catalogue", "List", "list the suites"),
    "run": ("suites.run", "RunSuite", "run a suite into a folder of results, or continue it"),
    "report": ("report.command", "WriteReport", "write a run as one HTML file"),
    "aggregate": ("aggregate", "Aggregate", "agents over all scenarios of a run: IQM, optimality gap, profiles"),
    "deployment": ("deployment.command", "DeploymentStudy", "Table I of Khan 2022: twins at edge, cloud or both"),
    "figure": ("figures.command", "DrawFigure", "draw a figure of the papers, or the page of their claims"),
    "search": ("search.command", "SweepSearch", "search a W&B sweep file without an account"),
    "dataset": ("dataset", "Dataset", "write a Minari dataset of an environment's episodes"),
    "profiles": ("profiles.command", "Profiles", "cross-evaluate policies of all utility profiles"),
    "forecast-value": ("forecast_value.command", "ForecastValue", "value of forecasts in DTMigration-v0, in return"),
    "demo": ("demo", "Demo", "train, compare with heuristics and the proven bound, plot"),
    "table": ("table", "Table", "shipped agents and heuristics on held-out episodes, as a table"),
    "optima": ("optima", "Optima", "gap and time of proofs of single-slot optima"),
    "headroom": ("headroom", "Headroom", "headroom of every preset: heuristics, best known plan, bound"),
    "falsify": ("falsify", "Falsify", "try to exceed the proven bounds"),
    "tune": ("tune", "Tune", "choose the constants of heuristics on tuning seeds"),
    "topology": ("topology", "Topology", "trained policies on other numbers of users and servers"),
    "transfer": ("transfer", "Transfer", "samples that DTMigration-v0 needs with and without transfer (Lu 2021)"),
    "wallclock": ("wallclock", "WallClock", "PPO on the batch against Stable-Baselines3's PPO, in seconds"),
    "speed": ("speed.command", "Speed", "steps a second, memory and start-up time"),
    "speed-cuda": ("speed.cuda", "SpeedCuda", "steps a second on a GPU"),
}
"""Module, settings class and description of each command."""


def main(arguments: list[str]) -> int:
    """Run a command of this package and return its exit status."""
    return dispatch("benchmarks", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(report(lambda: main(sys.argv[1:])))
