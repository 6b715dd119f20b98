"""python -m benchmarks run | report | figure | search | dataset | marl-eval …"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import tyro

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
    "marl-eval": ("marl_eval", "MarlEval", "export results as marl-eval's JSON"),
}
"""Module, settings and what a command does, by its name."""


def dispatch(package: str, commands: Mapping[str, tuple[str, str, str]], arguments: list[str]) -> None:
    """Hand the arguments to the command of a package that the first one names."""
    name = arguments[0] if arguments else "--help"
    if name not in commands:
        wide = max(map(len, commands))
        told = "\n".join(f"  {command:<{wide}}  {about}" for command, (_, _, about) in commands.items())
        usage = f"usage: python -m {package} COMMAND …\n\n{told}\n\n`python -m {package} COMMAND --help` tells more."
        if name in ("-h", "--help"):
            print(usage)
            return
        raise SystemExit(f"command must be one of {', '.join(commands)}, got {name!r}\n\n{usage}")
    module, settings, _ = commands[name]
    command = importlib.import_module(f"{package}.{module}")
    command.main(tyro.cli(getattr(command, settings), args=arguments[1:], prog=f"python -m {package} {name}"))


def main(arguments: list[str]) -> None:
    """Run one of this package's."""
    dispatch("benchmarks", COMMANDS, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
