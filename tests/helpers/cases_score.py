"""What tests of `python -m dtenv score` share: published examples, the command, what it prints, and comparisons."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
from paths import ROOT, SHARED

from dtenv.__main__ import main

EXAMPLES = SHARED / "models" / "examples"


def matches(ours, expected, name="report"):
    """Every expected number, list and object is in ours, to 1e-9 relative."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            matches(ours[key], value, f"{name}.{key}")
    elif isinstance(expected, bool | str):
        assert ours == expected, name
    else:
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def command(*arguments, text=None):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "dtenv", "score", *arguments],
        cwd=ROOT,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(text, monkeypatch, capsys):
    """The one line that the command prints on standard error; nothing else, and status 2."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["score", "-"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n") and err.count("\n") == 1
    return err


NAN, INFINITY = float("nan"), float("inf")
