"""What a suite is made of: an agent on held-out episodes, trained first where it learns; the bound of an episode.

A job says itself, wherever it runs, all that it needs, and gives back all that it made: rows, files, a summary.
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
from agents.training.gif import film
from agents.training.tracking import Tracker
from benchmarks.env_settings import REPORTS
from benchmarks.evaluate import run_episodes
from benchmarks.suites.suite import Cell, Suite, Training
from dtenv.oracle import episode_bound

POINTS = 60
"""Points kept of every learning curve."""

CURVE = ("reward", "score", "objective", "utility", "energy", "system_cost", "episodic_return")
"""What a learning curve has of a rollout, where its environment and learner tell it."""


@dataclass(frozen=True)
class Result:
    """What a job gives back."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """one an episode"""
    training: dict[str, Any] | None = None
    """summary of the training"""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """the trained policy's, by name"""
    bounds: list[dict[str, Any]] = field(default_factory=list)
    """one a bounded episode"""


@dataclass(frozen=True)
class Play:
    """A heuristic on the held-out episodes of a cell."""

    cell: Cell
    agent: str
    seeds: tuple[int, ...]
    training_seed: int = 0

    @property
    def name(self) -> str:
        """Of the job."""
        return f"{self.cell.name} {self.agent}"

    @property
    def steps(self) -> int:
        """How much there is to do, in slots."""
        return len(self.seeds) * self.cell.resolve().value("num_slots")

    def run(self) -> Result:
        """Play."""
        scenario = self.cell.resolve()
        policy = agents.load(self.agent, self.cell.env_id, scenario=scenario)
        rows = run_episodes(policy, self.cell.env_id, scenario, self.seeds)
        return Result([{**row, "cell": self.cell.name, "training_seed": 0} for row in rows])


@dataclass(frozen=True)
class Train:
    """A learner on a cell, from one seed; then what it learned on the held-out episodes."""

    cell: Cell
    training: Training
    training_seed: int
    seeds: tuple[int, ...]
    folder: Path
    """where the policy and, while it is trained, the state of the run lie"""
    track: bool = False
    """log to Weights & Biases"""

    @property
    def agent(self) -> str:
        """As tables call it."""
        return self.training.label

    @property
    def name(self) -> str:
        """Of the job."""
        return f"{self.cell.name} {self.agent} {self.training_seed}"

    @property
    def steps(self) -> int:
        """How much there is to do, in slots."""
        return self.args.total_steps + len(self.seeds) * self.cell.resolve().value("num_slots")

    @property
    def policy(self) -> Path:
        """Where the trained policy lies."""
        return self.folder / (re.sub(r"[^\w.=]+", "-", self.name) + ".safetensors")

    @property
    def summary(self) -> Path:
        """Where its time and curve lie, once it is trained."""
        return self.policy.with_suffix(".training.json")

    @property
    def _learner(self) -> Any:
        return importlib.import_module(f"agents.{self.training.learner}")

    @property
    def args(self) -> Any:
        """The learner's settings."""
        cell, learner = self.cell, self._learner
        fields = {("num_servers" if name == cell.resolve().SITES else name): v for name, v in cell.fields.items()}
        given = {**fields, **self.training.settings}
        args = learner.Args(env_id=cell.env_id, scenario=cell.scenario, seed=self.training_seed, **given)
        return args.with_recipe()

    def run(self) -> Result:
        """Train, unless that is done, and play."""
        scenario, about = self.cell.resolve(), {"cell": self.cell.name, "agent": self.agent}
        about["training_seed"] = self.training_seed
        with Tracker(
            self.args,
            enabled=self.track and not self.summary.exists(),
            name=self.name,
            learner=self.agent,
            folder=self.folder.parent,
        ) as tracker:
            if not self.summary.exists():
                self._train(tracker)
            policy = load_policy(self.training.learner, self.cell.env_id, scenario, self.policy)
            rows = [{**row, **about} for row in run_episodes(policy, self.cell.env_id, scenario, self.seeds)]
            tracker.log_policy(self.policy)
            tracker.log_table("held-out episodes", rows)
            if tracker.enabled:
                film(self.policy.with_suffix(".gif"), self.cell.env_id, policy, scenario, self.seeds[0])
                tracker.log_media("film", self.policy.with_suffix(".gif"))
        files = (self.policy, self.policy.with_suffix(".json"), self.summary)
        training = {**about, **json.loads(self.summary.read_text())}
        return Result(rows, training, {path.name: path.read_bytes() for path in files})

    def _train(self, tracker: Tracker) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        resume = self.policy.with_suffix(".state.safetensors").exists()
        told_path = self.policy.with_suffix(".curve.jsonl")
        before = told_path.read_text().splitlines(keepends=True) if resume and told_path.exists() else []
        with told_path.open("w", buffering=1) as file:
            file.writelines(line for line in before if line.endswith("\n"))  # a kill may have cut the last one

            def report(row: dict[str, Any]) -> None:
                file.write(json.dumps(row) + "\n")
                tracker.log(row)

            self._learner.train(dataclasses.replace(self.args, save=self.policy, resume=resume), report=report)
        told = [json.loads(line) for line in told_path.read_text().splitlines()]
        steps = {row["global_step"]: row for row in told if "charts/progress" in row}  # resumed runs repeat some
        curve = [steps[step] for step in sorted(steps)]
        if curve[-1]["charts/progress"] < 1.0:  # a Ctrl-C left half a training, and its state to go on from
            raise KeyboardInterrupt
        last, thinned = curve[-1], [curve[i] for i in np.unique(np.linspace(0, len(curve) - 1, POINTS).astype(int))]
        written = {"steps": last["global_step"], "seconds": last["charts/seconds"], "curve": [*map(_point, thinned)]}
        unfinished = self.summary.with_suffix(".part")
        unfinished.write_text(json.dumps(written) + "\n")
        unfinished.replace(self.summary)  # at once: it says that the training is done
        told_path.unlink()


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    means = {name: row[f"charts/{name}"] for name in CURVE if np.isfinite(row.get(f"charts/{name}", np.nan))}
    return {"steps": row["global_step"], "seconds": round(row["charts/seconds"], 3), **means}


@dataclass(frozen=True)
class Bound:
    """What no policy's score can exceed on one held-out episode of a cell."""

    cell: Cell
    seed: int

    @property
    def name(self) -> str:
        """Of the job."""
        return f"{self.cell.name} bound of {self.seed}"

    @property
    def steps(self) -> int:
        """How much there is to do, in slots."""
        return self.cell.resolve().value("num_slots")

    def run(self) -> Result:
        """Prove it."""
        env_id = self.cell.env_id
        solution = episode_bound(env_id, self.cell.resolve(), self.seed, **REPORTS[env_id].bound)
        row = {"cell": self.cell.name, "seed": self.seed, "bound": solution.bound, "proof": solution.proof}
        return Result(bounds=[row])


Job = Play | Train | Bound


def jobs(suite: Suite, folder: Path, track: bool = False) -> Iterator[Job]:
    """All of a suite's, the long ones first.

    Args:
        suite: with the agents that are to run.
        folder: of the results.
        track: whether trainings are logged to Weights & Biases.
    """
    for seed in range(1, suite.seeds + 1):
        for cell in suite.cells:
            for training in cell.trainings:
                if seed <= (training.seeds or seed):
                    seeds = tuple(suite.evaluation_seeds(cell.env_id))
                    yield Train(cell, training, seed, seeds, folder / "policies", track)
    for cell in suite.cells:
        seeds = tuple(suite.evaluation_seeds(cell.env_id))
        for name in cell.rules():
            yield Play(cell, name, seeds)
        for seed in seeds[: cell.bounds]:
            yield Bound(cell, seed)
