"""Command lines: `python -m PACKAGE COMMAND …` runs the command's module, and errors become a line and a status."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping

from gymnasium.error import Error as GymnasiumError

INVALID = 2
"""Exit status for invalid input."""
EXPECTED = (ValueError, TypeError, OSError, ImportError, GymnasiumError)
"""Errors that a command's input can cause."""

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


def report(run: Callable[[], int | None]) -> int:
    """Run a command; return its exit status, or 2 after one line on standard error for an error in its input.

    DTENV_TRACEBACK=1 shows where such an error was raised. Characters that the terminal lacks are replaced, and a
    reader that closes the pipe (`| head`) ends the command without an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = run() or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the interpreter's last flush does not fail, too
        return 0
    except EXPECTED as error:
        if os.environ.get("DTENV_TRACEBACK"):
            raise
        named = f"{type(error).__name__}: " if not isinstance(error, ValueError | ImportError) else ""
        print(f"{named}{error}", file=sys.stderr)
        return INVALID
