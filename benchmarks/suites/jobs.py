"""Jobs of a suite: evaluate a heuristic, train and evaluate a learner, or bound an episode.

A job is self-contained, so that it runs anywhere, and returns all its results: rows, files, a summary.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import agents
from agents.training.checkpoint import load_policy
from agents.training.files import sibling
from agents.training.gif import record_gif
from agents.training.tracking import Tracker
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import run_episodes
from benchmarks.suites.suite import Cell, Suite, Training
from dtenv.oracle import episode_bound

POINTS = 60
"""Points stored of every learning curve."""

CURVE = ("reward", "score", "objective", "utility", "energy", "system_cost", "episodic_return")
"""Columns of a learning curve, where the environment and the learner have them."""


@dataclass(frozen=True)
class Result:
    """Result of a job."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """one per episode"""
    training: dict[str, Any] | None = None
    """summary of the training"""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """files of the trained policy, by name"""
    bounds: list[dict[str, Any]] = field(default_factory=list)
    """one per bounded episode"""


@dataclass(frozen=True)
class Play:
    """Evaluation of a heuristic on the held-out episodes of a cell."""

    cell: Cell
    agent: str
    seeds: tuple[int, ...]
    training_seed: int = 0

    @property
    def name(self) -> str:
        """The job's name."""
        return f"{self.cell.name} {self.agent}"

    @property
    def steps(self) -> int:
        """Amount of work, in slots."""
        return len(self.seeds) * self.cell.resolve().value("num_slots")

    def run(self) -> Result:
        """Play the episodes."""
        scenario = self.cell.resolve()
        policy = agents.load(self.agent, self.cell.env_id, scenario=scenario)
        rows = run_episodes(policy, self.cell.env_id, scenario, self.seeds)
        return Result([{**row, "cell": self.cell.name, "training_seed": 0} for row in rows])


@dataclass(frozen=True)
class Train:
    """Training of a learner on a cell from one seed, and its evaluation on the held-out episodes."""

    cell: Cell
    training: Training
    training_seed: int
    seeds: tuple[int, ...]
    folder: Path
    """folder of the policy and, during the training, of the run's state"""
    track: bool = False
    """log to Weights & Biases"""

    @property
    def agent(self) -> str:
        """Label of the learner in tables."""
        return self.training.label

    @property
    def name(self) -> str:
        """The job's name."""
        return f"{self.cell.name} {self.agent} {self.training_seed}"

    @property
    def steps(self) -> int:
        """Amount of work, in slots."""
        return self.args.total_steps + len(self.seeds) * self.cell.resolve().value("num_slots")

    @property
    def policy(self) -> Path:
        """File of the trained policy."""
        return self.folder / (re.sub(r"[^\w.=]+", "-", self.name) + ".safetensors")

    @property
    def summary(self) -> Path:
        """File of the finished training's seconds and learning curve."""
        return sibling(self.policy, ".training.json")

    @property
    def _learner(self) -> Any:
        return importlib.import_module(f"agents.{self.training.learner}")

    @property
    def args(self) -> Any:
        """Settings of the learner."""
        cell, sites = self.cell, self.cell.resolve().SITES
        fields = {("num_servers" if name == sites else name): value for name, value in cell.fields.items()}
        fields |= {"env_id": cell.env_id, "scenario": cell.scenario, "seed": self.training_seed}
        return self._learner.Args(**{**fields, **self.training.settings}).with_recipe()

    def run(self) -> Result:
        """Train, unless that is done, and play the held-out episodes."""
        cell, scenario = self.cell, self.cell.resolve()
        about = {"cell": cell.name, "agent": self.agent, "training_seed": self.training_seed}
        enabled = self.track and not self.summary.exists()
        with Tracker(
            self.args, enabled=enabled, name=self.name, learner=self.agent, folder=self.folder.parent
        ) as tracker:
            if not self.summary.exists():
                self._train(tracker)
            policy = load_policy(self.training.learner, cell.env_id, scenario, self.policy)
            rows = [{**row, **about} for row in run_episodes(policy, cell.env_id, scenario, self.seeds)]
            tracker.log_policy(self.policy)
            tracker.log_table("held-out episodes", rows)
            if tracker.enabled:
                record_gif(sibling(self.policy, ".gif"), cell.env_id, policy, scenario, self.seeds[0])
                tracker.log_media("film", sibling(self.policy, ".gif"))
        files = (self.policy, sibling(self.policy, ".json"), self.summary)
        training = {**about, **json.loads(self.summary.read_text())}
        return Result(rows, training, {path.name: path.read_bytes() for path in files})

    def _train(self, tracker: Tracker) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        resume = sibling(self.policy, ".state.safetensors").exists()
        path = sibling(self.policy, ".curve.jsonl")
        before = path.read_text().splitlines(keepends=True) if resume and path.exists() else []
        with path.open("w", buffering=1) as file:
            file.writelines(line for line in before if line.endswith("\n"))  # a kill may have cut the last one

            def report(row: dict[str, Any]) -> None:
                file.write(json.dumps(row) + "\n")
                tracker.log(row)

            self._learner.train(dataclasses.replace(self.args, save=self.policy, resume=resume), report=report)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        steps = {row["global_step"]: row for row in rows if "charts/progress" in row}  # resumed runs repeat some
        curve = [steps[step] for step in sorted(steps)]
        if curve[-1]["charts/progress"] < 1.0:  # Ctrl-C left an unfinished training, which can be resumed
            raise KeyboardInterrupt
        last, thinned = curve[-1], [curve[i] for i in np.unique(np.linspace(0, len(curve) - 1, POINTS).astype(int))]
        written = {"steps": last["global_step"], "seconds": last["charts/seconds"], "curve": [*map(_point, thinned)]}
        unfinished = self.summary.with_suffix(".part")
        unfinished.write_text(json.dumps(written) + "\n")
        unfinished.replace(self.summary)  # atomic, because its existence marks the training as done
        path.unlink()


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    means = {name: row[f"charts/{name}"] for name in CURVE if np.isfinite(row.get(f"charts/{name}", np.nan))}
    return {"steps": row["global_step"], "seconds": round(row["charts/seconds"], 3), **means}


@dataclass(frozen=True)
class Bound:
    """Proof of a bound on the score of one held-out episode of a cell."""

    cell: Cell
    seed: int

    @property
    def name(self) -> str:
        """The job's name."""
        return f"{self.cell.name} bound of {self.seed}"

    @property
    def steps(self) -> int:
        """Amount of work, in slots."""
        return self.cell.resolve().value("num_slots")

    def run(self) -> Result:
        """Prove the bound."""
        env_id = self.cell.env_id
        solution = episode_bound(env_id, self.cell.resolve(), self.seed, **ENV_SETTINGS[env_id].bound)
        row = {"cell": self.cell.name, "seed": self.seed, "bound": solution.bound, "proof": solution.proof}
        return Result(bounds=[row])


Job = Play | Train | Bound


def jobs(suite: Suite, folder: Path, track: bool = False) -> Iterator[Job]:
    """Yield the jobs of a suite with results in `folder`, long ones first; `track` logs trainings to W&B."""
    cells = [(cell, tuple(suite.evaluation_seeds(cell.env_id))) for cell in suite.cells]
    for seed in range(1, suite.seeds + 1):
        for cell, seeds in cells:
            for training in cell.trainings:
                if seed <= (training.seeds or seed):
                    yield Train(cell, training, seed, seeds, folder / "policies", track)
    for cell, seeds in cells:
        for name in cell.rules():
            yield Play(cell, name, seeds)
        for seed in seeds[: cell.bounds]:
            yield Bound(cell, seed)
