"""python -m dtenv: list, describe and render (score has a file of its own)."""

import os
import subprocess
import sys

import pytest
from paths import ROOT
from PIL import Image

from dtenv.__main__ import main
from dtenv.tasks.association.entries import LINKS, SERVERS, USERS


def test_list_names_every_preset(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("DTAssociation-v0", "balanced", "paper", "sequential"))


def test_describe_names_every_entry_and_setting(capsys):
    assert main(["describe", "DTAssociation-v0", "--scenario", "sequential"]) == 0
    said = capsys.readouterr().out
    for name, meaning in USERS + SERVERS + LINKS:
        assert name in said and meaning in said
    assert "n_mig" in said and "3e-05" in said
    assert "1480" in said or "1479" in said  # 20 x 8 + 15 x 8 + 20 x 15 x 4 entries


def test_render_writes_pictures(tmp_path, capsys):
    still, film = tmp_path / "slot.png", tmp_path / "episode.gif"
    assert main(["render", "DTAssociation-v0", "--out", str(still), "--slot", "2"]) == 0
    assert main(["render", "DTAssociation-v0", "--out", str(film), "--slot", "3"]) == 0
    assert Image.open(still).size == (1080, 720) and Image.open(film).n_frames == 3
    assert "wrote" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "DTAssociation-v0", "--out", "x.bmp"], "--out must end in .png or .gif"),
        (["render", "DTAssociation-v0", "--slot", "0"], "--slot must be an integer in 1..100, got 0"),
        (["describe", "DTAssociation-v0", "--scenario", "balancd"], "did you mean 'balanced'"),
        (["describe", "DTAssociation-v0", "--sites", "sites.csv"], "--sites and --trace go together"),
        (["describe", "DTAssociation-v0", "--sites", "no.csv", "--trace", "no.csv"], "no.csv"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def command(*words, **environment):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-m", *words], capture_output=True, cwd=ROOT, env=env, timeout=300)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("dtenv", "render", "DTAssociation-v0", "--slot", "4000", "--out", "x.png"),
            b"--slot must be an integer in 1..100, got 4000",
        ),
        (("dtenv", "describe", "DTAssociation-v0", "--scenario", "balance"), b"scenario 'balance' is unknown"),
        (("dtenv", "score", "nowhere.json"), b"FileNotFoundError: "),
        (
            ("dtenv", "describe", "DTMigration-v0", "--sites", "a", "--trace", "b", "--columns", "user"),
            b"--columns must be role=name",
        ),
        (("benchmarks", "report", "nowhere"), b"no results"),
    ],
)
def test_errors_of_input_are_a_line_and_a_status(words, message):
    done = command(*words)
    assert done.returncode == (2 if words[0] == "dtenv" else done.returncode) != 0
    assert message in done.stderr and b"Traceback" not in done.stderr


def test_a_terminal_without_greek_and_a_closed_pipe_are_no_errors():
    done = command("dtenv", "describe", "DTAssociation-v0", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and b"settings" in done.stdout and done.stderr == b""
    line = f"{sys.executable} -m dtenv describe DTPlacementMA-v0 | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, cwd=ROOT)
    assert done.stderr == b"" and done.stdout.startswith(b"DTPlacementMA-v0")
