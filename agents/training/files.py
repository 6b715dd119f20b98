"""Files of a saved policy: their names, a check of the target before training, writes that survive a crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

SUFFIX = ".safetensors"


def sibling(path: Path, ending: str) -> Path:
    """File next to a policy's: `lr-0.1.safetensors` and `lr-0.1` both have `lr-0.1.json`."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ending)


def check_target(path: Path) -> None:
    """Make the folder of a policy that is to be saved, and check that the policy's files can be written there.

    Raises:
        ValueError: one of the files is a folder, or the folder is a file or cannot be written to.
    """
    for file in (path, sibling(path, ".json"), sibling(path, ".state.safetensors")):
        if file.is_dir():
            raise ValueError(f"save must be a file, got the folder {str(file)!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(f".{path.name}.{os.getpid()}")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"save must be a file that can be written, got {str(path)!r}: {error}") from None


def write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file by what `write` writes, once that is on the disk; on an error the old file stays.

    Args:
        path: the file.
        write: writes the new content to the path it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
