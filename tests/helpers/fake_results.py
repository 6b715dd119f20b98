"""Results of a suite that nobody ran: rows and curves made by formulas, so that what a figure must say is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.results import Results
from benchmarks.suites.suite import Cell

Measure = Callable[[Cell, str], dict[str, float]]
"""Means of an agent's columns on a cell."""
Shape = Callable[[Cell, str, float], dict[str, float]]
"""Columns of a learner's curve on a cell at a share of its training."""


def made(
    suite: str,
    measure: Measure,
    shape: Shape | None = None,
    *,
    episodes: int = 6,
    trainings: int = 1,
    noise: float = 1e-3,
) -> Results:
    """Results of every agent on every cell, with noise of its own a training and an episode."""
    rng = np.random.default_rng(0)
    whole = SUITES[suite]
    rows, curves = [], []
    for cell in whole.cells:
        scenario = cell.resolve()
        about = {"cell": cell.name, "env_id": cell.env_id, "scenario": cell.scenario}
        about |= {"num_users": scenario.value("num_users"), "num_servers": scenario.num_sites, "slots": 10}
        for agent, seeds in players(cell, trainings):
            means = measure(cell, agent)
            for training in seeds:
                for seed in range(100, 100 + episodes):
                    columns = {
                        name: means.get(name, 0.5) * (1.0 + noise * rng.normal())
                        for name in ENV_SETTINGS[cell.env_id].columns
                    }
                    rows.append(
                        {**about, "agent": agent, "training_seed": training, "seed": seed, **columns, "bound": None}
                    )
        for training in cell.trainings if shape else ():
            for seed in range(1, trainings + 1):
                total = training.settings.get("total_steps", 10_000)
                curve = [
                    {"steps": int(share * total), "seconds": 60.0 * share, **shape(cell, training.label, share)}
                    for share in np.linspace(0.02, 1.0, 50)
                ]
                told = {"cell": cell.name, "agent": training.label, "training_seed": seed}
                curves.append({**told, "steps": total, "seconds": 60.0, "curve": curve})
    manifest = {"commit": "0" * 40, "suite": suite, "dtenv": "0", "date": "2026-01-01T00:00:00Z", "command": "made"}
    manifest |= {"python": "3.11", "packages": {"numpy": "2"}, "machine": "none"}
    return Results(Path("made"), whole, manifest, rows, curves, [])


def players(cell: Cell, trainings: int) -> list[tuple[str, Sequence[int]]]:
    """Agents of a cell with their training seeds."""
    learned: list[tuple[str, Any]] = [(t.label, range(1, trainings + 1)) for t in cell.trainings]
    return [*learned, *((name, (0,)) for name in cell.rules())]
