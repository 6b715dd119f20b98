"""The commit that rows were made by."""

from __future__ import annotations

import subprocess
from pathlib import Path

PUBLISHED = ("docs/results", "leaderboards/seasons")
"""Folders of results, which a run changes without changing what it runs."""


def commit() -> str:
    """The commit of this source, with "-dirty" where tracked files outside PUBLISHED differ from it.

    "unknown" outside a repository, or in one that does not track this file, such as that of an environment's folder.
    """
    here = Path(__file__)
    excluded = [f":(top,exclude){folder}" for folder in PUBLISHED]
    commands = (
        ["ls-files", "--error-unmatch", here.name],
        ["rev-parse", "HEAD"],
        ["status", "--porcelain", "-uno", "--", ":/", *excluded],
    )
    try:
        _, head, changes = (
            subprocess.run(["git", *words], cwd=here.parent, capture_output=True, text=True, check=True).stdout.strip()
            for words in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("-dirty" if changes else "")
