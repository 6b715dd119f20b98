"""python -m dtenv.fl calibrate | calibrations | variants …"""

from __future__ import annotations

import importlib
import sys

import tyro

COMMANDS = {
    "calibrate": ("calibrate", "Calibrate", "train a grid, fit the data utility to it, and write a utility profile"),
    "calibrations": ("calibrations", "Calibrations", "print a table of calibrations from their reports"),
    "variants": ("variants_table", "VariantsTable", "variants of federated training side by side"),
}
"""Module, settings and what a command does, by its name."""


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names; returns its exit status."""
    name = arguments[0] if arguments else "--help"
    if name not in COMMANDS:
        wide = max(map(len, COMMANDS))
        told = "\n".join(f"  {command:<{wide}}  {about}" for command, (_, _, about) in COMMANDS.items())
        usage = f"usage: python -m dtenv.fl COMMAND …\n\n{told}\n\n`python -m dtenv.fl COMMAND --help` tells more."
        if name in ("-h", "--help"):
            print(usage)
            return 0
        raise SystemExit(f"command must be one of {', '.join(COMMANDS)}, got {name!r}\n\n{usage}")
    module, settings, _ = COMMANDS[name]
    command = importlib.import_module(f"dtenv.fl.{module}")
    return (
        command.main(tyro.cli(getattr(command, settings), args=arguments[1:], prog=f"python -m dtenv.fl {name}")) or 0
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
