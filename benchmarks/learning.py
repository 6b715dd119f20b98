"""Trains the learners of a study from several seeds, and holds them against heuristics on the same held-out episodes.

    python -m benchmarks.learning balanced --out docs/results/learning/balanced

Every training's policy and curve are kept as soon as it ends: called again, only what is missing is trained. Seeds of
trainings and of episodes are both resampled for the intervals.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

import agents
from agents.checkpoint import load_policy
from benchmarks import learning_plots
from benchmarks.bounds import bound_rows
from benchmarks.evaluate import EVALUATION_SEEDS, cores, manifest, run_episodes, write_rows
from benchmarks.learning_report import tables
from benchmarks.reports import REPORTS
from benchmarks.studies import STUDIES, Cell, Training

HELD_OUT = EVALUATION_SEEDS[1000:]
"""Episodes that no table shows and by which no setting was chosen."""

POINTS = 60
"""Points kept of every learning curve."""


@dataclass
class Learning:
    """Settings of a study's run."""

    study: tyro.conf.Positional[str]
    """one of benchmarks.studies"""
    seeds: int = 5
    """trainings of every learner, from seeds 1, 2, …"""
    episodes: int | None = None
    """held-out episodes; by default those of the environment's table, and 50 at least"""
    jobs: int = cores()
    """trainings side by side, a thread each"""
    policies: Path = Path("runs/learning")
    """where the trained policies are kept"""
    out: Path = Path("runs/learning")
    """where to write"""


@dataclass(frozen=True)
class Job:
    """One training from one seed."""

    cell: Cell
    training: Training
    seed: int
    folder: Path

    @property
    def stem(self) -> Path:
        """Where its files lie, without an ending."""
        words = [self.cell.scenario, str(self.cell.resolve().num_sites), self.training.label, str(self.seed)]
        return self.folder / "-".join(words).replace(", ", "-").replace(" ", "-")

    @property
    def policy(self) -> Path:
        """Where the trained policy lies."""
        return self.stem.with_suffix(".safetensors")

    @property
    def summary(self) -> Path:
        """Where its time and curve lie."""
        return self.stem.with_suffix(".training.json")

    def run(self) -> Path:
        """Train and write."""
        learner = importlib.import_module(f"agents.{self.training.learner}")
        args = learner.Args(
            env_id=self.cell.env_id,
            scenario=self.cell.scenario,
            seed=self.seed,
            num_servers=self.cell.sites,
            save=self.policy,
            **self.training.settings,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        resume = self.policy.with_suffix(".state.safetensors").exists()
        curve_path = self.stem.with_suffix(".curve.jsonl")
        with curve_path.open("a" if resume else "w", buffering=1) as file:
            learner.train(
                dataclasses.replace(args, resume=resume), report=lambda row: file.write(json.dumps(row) + "\n")
            )
        told = [json.loads(line) for line in curve_path.read_text().splitlines()]
        steps = {row["global_step"]: row for row in told if "charts/progress" in row}  # resumed runs repeat some
        curve = [steps[step] for step in sorted(steps)]
        last, thinned = curve[-1], [curve[i] for i in np.unique(np.linspace(0, len(curve) - 1, POINTS).astype(int))]
        parts = ("env", "inference", "learning")
        spent = {name: last.get(f"seconds/{name}", float("nan")) for name in parts}
        points = [
            {"steps": row["global_step"], "seconds": row["charts/seconds"], "score": row["charts/score"]}
            for row in thinned
        ]
        summary = {"agent": self.training.label, "training_seed": self.seed, "steps": last["global_step"]}
        written = {**summary, "seconds": last["charts/seconds"], **spent, "curve": points}
        self.summary.write_text(json.dumps(written) + "\n")
        return self.stem

    def rows(self, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """The trained policy on held-out episodes."""
        cell, scenario = self.cell, self.cell.resolve()
        policy = load_policy(self.training.learner, cell.env_id, scenario, self.policy)
        about = {"agent": self.training.label, "training_seed": self.seed}
        return [{**row, **about} for row in run_episodes(policy, cell.env_id, scenario, seeds)]

    def done(self) -> bool:
        """Whether it has been run."""
        return self.summary.exists()


def main(settings: Learning) -> None:
    """Train what is missing, evaluate, and write rows, curves, tables, plots and a manifest."""
    if settings.study not in STUDIES:
        raise SystemExit(f"study must be one of {', '.join(STUDIES)}, got {settings.study!r}")
    cells = STUDIES[settings.study]
    folder = settings.policies / settings.study
    jobs = [
        Job(cell, training, seed, folder)
        for seed in range(1, settings.seeds + 1)
        for cell in cells
        for training in cell.trainings
        if seed <= (training.seeds or seed)
    ]
    train(jobs, settings.jobs)
    rows, trainings, lines = [], [], []
    for cell in cells:
        seeds = list(HELD_OUT[: settings.episodes or max(50, REPORTS[cell.env_id].table_episodes)])
        own = heuristic_rows(cell, seeds)
        for job in (job for job in jobs if job.cell is cell):
            own += job.rows(seeds)
            summary = json.loads(job.summary.read_text())
            trainings.append({"scenario": cell.scenario, "num_servers": cell.resolve().num_sites, **summary})
        said = bound_rows(cell.env_id, cell.resolve(), seeds[: cell.bounds], own) if cell.bounds else ""
        lines += tables(cell, own, trainings, said)
        rows += own
    settings.out.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_rows(settings.out / "rows.csv", [{name: row.get(name, "") for name in columns} for row in rows])
    flat = [{k: v for k, v in row.items() if k != "curve"} for row in trainings]
    write_rows(settings.out / "trainings.csv", flat)
    learning_plots.curves(settings.out / "curves.png", cells, trainings, rows)
    (settings.out / "table.md").write_text("\n".join(lines) + "\n")
    record = manifest(*(cell.resolve() for cell in cells), seeds=settings.seeds)
    (settings.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    print("\n".join(lines))
    print(f"written to {settings.out}/")


def train(jobs: list[Job], side_by_side: int) -> None:
    """Run the jobs that have not been."""
    missing = [job for job in jobs if not job.done()]
    with tqdm(total=len(missing), desc="trainings", unit="run") as bar:
        if side_by_side == 1 or len(missing) <= 1:
            for job in missing:
                bar.set_postfix_str(job.run().name)
                bar.update()
            return
        with ProcessPoolExecutor(side_by_side, multiprocessing.get_context("spawn")) as pool:
            for ended in as_completed([pool.submit(job.run) for job in missing]):
                bar.set_postfix_str(ended.result().name)
                bar.update()


def heuristic_rows(cell: Cell, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the environment's heuristics."""
    rows: list[dict[str, Any]] = []
    for name in agents.HEURISTICS[cell.env_id]:
        policy = agents.load(name, cell.env_id, scenario=cell.resolve())
        own = run_episodes(policy, cell.env_id, cell.resolve(), seeds)
        rows += [{**row, "training_seed": 0} for row in own]
    return rows


if __name__ == "__main__":
    main(tyro.cli(Learning))
