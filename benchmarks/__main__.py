"""python -m benchmarks run | report | figure | search | dataset | marl-eval …"""

from __future__ import annotations

import importlib
import sys

import tyro

COMMANDS = {
    "suites": ("suites", "List", "list the suites"),
    "run": ("run", "RunSuite", "run a suite into a folder of results, or go on with it"),
    "report": ("report", "WriteReport", "write a run as one HTML file"),
    "aggregate": ("aggregate", "Aggregate", "agents over all scenarios of a run: IQM, optimality gap, profiles"),
    "figure": ("figure", "DrawFigure", "draw a figure of the papers, or the page of their claims"),
    "search": ("search", "Search", "search a W&B sweep file without an account"),
    "dataset": ("dataset", "Dataset", "write a Minari dataset of an environment's episodes"),
    "marl-eval": ("marl_eval", "MarlEval", "export results as marl-eval's JSON"),
}
"""Module, settings and what a command does, by its name."""


def main(arguments: list[str]) -> None:
    """Hand the arguments to the command that the first one names."""
    name = arguments[0] if arguments else "--help"
    if name not in COMMANDS:
        wide = max(map(len, COMMANDS))
        told = "\n".join(f"  {command:<{wide}}  {about}" for command, (_, _, about) in COMMANDS.items())
        usage = f"usage: python -m benchmarks COMMAND …\n\n{told}\n\n`python -m benchmarks COMMAND --help` tells more."
        if name in ("-h", "--help"):
            print(usage)
            return
        raise SystemExit(f"command must be one of {', '.join(COMMANDS)}, got {name!r}\n\n{usage}")
    module, settings, _ = COMMANDS[name]
    command = importlib.import_module(f"benchmarks.{module}")
    command.main(tyro.cli(getattr(command, settings), args=arguments[1:], prog=f"python -m benchmarks {name}"))


if __name__ == "__main__":
    main(sys.argv[1:])
