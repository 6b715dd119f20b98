"""The GPU benchmark: it runs on the simulated device, and exits with one line where there is no GPU."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from paths import ROOT

from benchmarks.speed.operations import count

TINY = {
    "DTAssociation-v0": {"num_users": 2, "num_servers": 2, "num_slots": 1},
    "DTPlacementMA-v0": {"num_users": 3, "num_stations": 2, "num_slots": 1},
    "DTMigration-v0": {"num_users": 3, "num_stations": 2, "num_slots": 1},
}
SCRIPT = """
import json, sys
from pathlib import Path
from benchmarks import speed_cuda
speed_cuda.on_cpu = lambda *given: 1.0  # whose kernels are compiled
settings = speed_cuda.SpeedCuda(batches=(2, 3), repeats=1, out=Path(sys.argv[1]))
speed_cuda.main(settings, json.loads(sys.argv[2]))
"""


def run(*command, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", *command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_it_runs_on_the_simulated_device(tmp_path):
    simulated = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    done = run("-c", SCRIPT, str(tmp_path), json.dumps(TINY), **simulated)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "speed.csv").open()))
    assert [(row["env_id"], row["num_envs"]) for row in rows] == [(name, n) for name in TINY for n in ("2", "3")]
    assert all(float(row[name]) > 0.0 for row in rows for name in row if name != "env_id")
    assert json.loads((tmp_path / "manifest.json").read_text())["repeats"] == 1
    assert (tmp_path / "speed.png").stat().st_size > 1000


def test_without_a_gpu_it_says_so_in_a_line():
    done = run("-m", "benchmarks.speed.cuda", CUDA_VISIBLE_DEVICES="", NUMBA_ENABLE_CUDASIM="0")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "needs an NVIDIA GPU" in done.stderr


@pytest.mark.parametrize("env_id", TINY)
def test_larger_networks_take_more_arithmetic(env_id):
    size = "num_users" if env_id == "DTAssociation-v0" else "num_stations"
    few, many = (count(env_id, TINY[env_id] | {size: n}) for n in (2, 6))
    assert 20.0 < few["operations"] < many["operations"]


def test_numbers_count_what_is_done_to_them():
    from benchmarks.speed import operations

    before = operations.COUNTED["operations"]
    x = operations.Number(3.0)
    assert (2.0 * x - np.float64(1.0)) / x**2 == 5.0 / 9.0 and x > np.int64(2)
    assert operations.COUNTED["operations"] == before + 4
