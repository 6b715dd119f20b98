"""Every command is found by its name and by the former names in stored manifests."""

import importlib.util
import subprocess
import sys

import pytest
from paths import ROOT

from benchmarks import OLD_SPELLINGS
from benchmarks.__main__ import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_settings_and_main(name):
    module, settings, _ = COMMANDS[name]
    command = importlib.import_module(f"benchmarks.{module}")
    assert callable(getattr(command, settings)) and callable(command.main)


@pytest.mark.parametrize("name", OLD_SPELLINGS)
def test_old_spellings_name_files_of_this_package_alone(name):
    spec = importlib.util.find_spec(f"benchmarks.{name}")
    assert spec is not None and spec.origin == str(ROOT / "benchmarks" / OLD_SPELLINGS[name])
    assert importlib.util.find_spec(name.split(".")[0]) is None  # a module of the same name outside the package


def test_an_old_spelling_runs():
    done = subprocess.run([sys.executable, "-m", "benchmarks.run", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "usage" in done.stdout, done.stderr
