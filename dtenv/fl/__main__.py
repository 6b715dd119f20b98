"""python -m dtenv.fl forecast …"""

from __future__ import annotations

import importlib
import sys

import tyro

COMMANDS = {
    "forecast": ("forecast.command", "Forecast", "tables of forecasters of the serving cell (Li 2025)"),
}
"""Module, settings and what a command does, by its name."""


def main(arguments: list[str]) -> None:
    """Run the command that the first argument names."""
    name = arguments[0] if arguments else "--help"
    told = "\n".join(f"  {command:<10} {about}" for command, (_, _, about) in COMMANDS.items())
    usage = f"usage: python -m dtenv.fl COMMAND …\n\n{told}\n\n`python -m dtenv.fl COMMAND --help` tells more."
    if name in ("-h", "--help"):
        print(usage)
        return
    if name not in COMMANDS:
        raise SystemExit(f"command must be one of {', '.join(COMMANDS)}, got {name!r}\n\n{usage}")
    module, settings, _ = COMMANDS[name]
    command = importlib.import_module(f"dtenv.fl.{module}")
    command.main(tyro.cli(getattr(command, settings), args=arguments[1:], prog=f"python -m dtenv.fl {name}"))


if __name__ == "__main__":
    main(sys.argv[1:])
