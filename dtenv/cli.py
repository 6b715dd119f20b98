"""Dispatch `python -m PACKAGE COMMAND …` to the module of the command."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

Commands = Mapping[str, tuple[str, str, str]]
"""By command name: its module, the class of its settings, and its description."""


def dispatch(package: str, commands: Commands, arguments: list[str]) -> int:
    """Run the command named by the first argument and return its exit status.

    A command is a module of the package with a dataclass of settings and `main(settings)`. Raises SystemExit if the
    command or one of its settings is unknown.
    """
    name = arguments[0] if arguments else "--help"
    if name not in commands:
        wide = max(map(len, commands))
        listed = "\n".join(f"  {command:<{wide}}  {about}" for command, (_, _, about) in commands.items())
        usage = f"usage: python -m {package} COMMAND …\n\n{listed}\n\nSettings: `python -m {package} COMMAND --help`."
        if name in ("-h", "--help"):
            print(usage)
            return 0
        raise SystemExit(f"command must be one of {', '.join(commands)}, got {name!r}\n\n{usage}")
    import tyro  # installed by the extras that have commands

    module, settings, _ = commands[name]
    command = importlib.import_module(f"{package}.{module}")
    read = tyro.cli(getattr(command, settings), args=arguments[1:], prog=f"python -m {package} {name}")
    return command.main(read) or 0
