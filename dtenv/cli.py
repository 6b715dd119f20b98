"""How a package's command line hands over to one of its commands."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

Commands = Mapping[str, tuple[str, str, str]]
"""Module, settings and what a command does, by its name."""


def dispatch(package: str, commands: Commands, arguments: list[str]) -> int:
    """Hand the arguments to the command of a package that the first one names.

    Args:
        package: its name; commands are its modules, each with a dataclass of settings and `main(settings)`.
        commands: the known ones.
        arguments: of the command line.

    Returns:
        The exit status: what the command's `main` returned, or 0.

    Raises:
        SystemExit: the command is unknown, or its settings are.
    """
    name = arguments[0] if arguments else "--help"
    if name not in commands:
        wide = max(map(len, commands))
        told = "\n".join(f"  {command:<{wide}}  {about}" for command, (_, _, about) in commands.items())
        usage = f"usage: python -m {package} COMMAND …\n\n{told}\n\n`python -m {package} COMMAND --help` tells more."
        if name in ("-h", "--help"):
            print(usage)
            return 0
        raise SystemExit(f"command must be one of {', '.join(commands)}, got {name!r}\n\n{usage}")
    import tyro  # of the extras that have commands

    module, settings, _ = commands[name]
    command = importlib.import_module(f"{package}.{module}")
    read = tyro.cli(getattr(command, settings), args=arguments[1:], prog=f"python -m {package} {name}")
    return command.main(read) or 0
