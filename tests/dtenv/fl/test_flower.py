"""The Flower app, and dtenv's aggregation rules compared with the functions of Flower.

Flower lives in an environment of its own (examples/flower/README.md): elsewhere all but the settings is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import ROOT

from dtenv.fl.data.images import load_images
from dtenv.fl.federation import Recipe, draw_clients, federate
from dtenv.fl.parts.aggregation import CoordinateMedian, FairMean, Mean, MultiKrum, TrimmedMean, Uploads
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron

tomllib = pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")
CONFIG = tomllib.loads((ROOT / "examples/flower/pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]
ABSENT = "Flower is installed in an environment of its own; examples/flower/README.md says how"


def uploads(clients: int = 9, size: int = 40) -> tuple[Uploads, list]:
    rng = np.random.default_rng(3)
    update, samples = rng.normal(size=(clients, size)).astype(np.float32), rng.integers(10, 90, clients)
    update[0] *= 20.0
    weight = torch.from_numpy(samples / samples.sum()).float()[None]
    ours = Uploads(
        torch.from_numpy(update)[None],
        weight,
        torch.from_numpy(rng.uniform(0.5, 2.0, clients)).float()[None],
        torch.arange(clients)[None],
        clients,
    )
    return ours, [([row], int(n)) for row, n in zip(update, samples, strict=True)]


def combined(rule, given: Uploads) -> np.ndarray:
    return rule.combine(given, None)[0][0].numpy()


@pytest.fixture
def published():
    pytest.importorskip("flwr", reason=ABSENT)
    from flwr.server.strategy import aggregate

    return aggregate


def test_mean_is_flowers(published):
    ours, theirs = uploads()
    np.testing.assert_allclose(combined(Mean(), ours), published.aggregate(theirs)[0], atol=1e-5)


def test_median_is_flowers(published):
    for clients in (8, 9):
        ours, theirs = uploads(clients)
        np.testing.assert_allclose(combined(CoordinateMedian(), ours), published.aggregate_median(theirs)[0], atol=1e-5)


def test_trimmed_mean_is_flowers(published):
    ours, theirs = uploads(10)
    expected = published.aggregate_trimmed_avg(theirs, 0.2)[0]
    np.testing.assert_allclose(combined(TrimmedMean(assumed=0.2), ours), expected, atol=1e-5)


def test_multi_krum_chooses_whom_flower_chooses(published):
    # Flower weighs those chosen by their samples, so that all have the same here.
    ours, theirs = uploads(10)
    theirs = [(row, 7) for row, _ in theirs]
    expected = published.aggregate_krum(theirs, 2, 8)[0]
    np.testing.assert_allclose(combined(MultiKrum(assumed=0.2), ours), expected, atol=1e-5)


def test_q_ffl_is_flowers(published):
    ours, _ = uploads()
    rule = FairMean(q=2.0, learning_rate=0.5)
    loss = ours.loss[0].double().numpy()
    steep = 1.0 / rule.learning_rate
    # Flower is handed gradients, before minus after, and takes a step down.
    gradient = -steep * ours.update[0].double().numpy()
    deltas = [[f**rule.q * g] for f, g in zip(loss, gradient, strict=True)]
    divisors = rule.q * loss ** (rule.q - 1) * (gradient**2).sum(axis=1) + steep * loss**rule.q
    moved = published.aggregate_qffl([np.zeros(gradient.shape[1])], deltas, list(divisors))[0]
    np.testing.assert_allclose(combined(rule, ours), moved, atol=1e-5)


def test_the_apps_settings_are_the_laboratorys():
    local = Recipe().local
    given = (CONFIG["epochs"], CONFIG["batch"], CONFIG["learning-rate"], CONFIG["momentum"], CONFIG["rounds"])
    assert given == (local.epochs, local.batch, local.learning_rate, local.momentum, Recipe().rounds)


@pytest.mark.slow
def test_a_run_of_the_app_trains_what_federate_trains(tmp_path):
    if shutil.which("flwr", path=str(Path(sys.executable).parent)) is None:
        pytest.skip(ABSENT)
    (tmp_path / "config.toml").write_text(
        '[superlink]\ndefault = "local"\n\n[superlink.local]\naddress = ":local:"\noptions.num-supernodes = 4\n'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"FLWR_HOME": str(tmp_path), "FLWR_TELEMETRY_ENABLED": "0", "PATH": path, "PYTHONPATH": str(ROOT)}
    out = tmp_path / "weights.npy"
    command = [
        "flwr",
        "run",
        "examples/flower",
        "--stream",
        "--run-config",
        f"clients=4 rounds=2 samples=50 out='{out}'",
    ]
    try:
        subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=True, timeout=300, capture_output=True)
    finally:  # the SuperLink that Flower starts for a simulation goes on by itself; its database is in FLWR_HOME
        subprocess.run(["pkill", "-f", str(tmp_path)], check=False)
    images, streams = load_images("digits"), Streams.of([CONFIG["seed"]])
    network = Perceptron(inputs=images.pixels, classes=images.classes, hidden=(CONFIG["hidden"],))
    clients = draw_clients(images, CONFIG["skew"], [CONFIG["emd"]], 50, 4, streams)
    expected = federate(network, images, clients, Recipe(rounds=2), streams).weights[0].numpy()
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)
