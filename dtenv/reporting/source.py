"""Source commit of result rows."""

from __future__ import annotations

import subprocess
from pathlib import Path

PUBLISHED = ("benchmarks/results", "leaderboards/seasons")
"""Folders of results; changes there do not change the code."""


def commit() -> str:
    """Return the commit of this source, with "-dirty" if tracked files outside PUBLISHED differ from it.

    "unknown" outside a repository, or in one that does not track this file, as with a virtual environment inside it.
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
