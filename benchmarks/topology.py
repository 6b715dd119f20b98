"""Policies trained on one topology, run unchanged on others: what an equivariant network carries over.

    python -m benchmarks run balanced
    python -m benchmarks.topology --out docs/results/learning/topology

Takes the trained policies of the suite `balanced` from where its run left them. 0 is nearest on the topology that is
run, 1 is local search there; the numbers that a policy was trained with are in bold.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

import agents
from agents.training.checkpoint import load_policy
from benchmarks.evaluate import manifest, run_episodes, write_study
from benchmarks.statistics import score_matrix
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.jobs import Train
from benchmarks.suites.suite import HELD_OUT
from benchmarks.suites.tables import way
from dtenv.reporting.markdown import markdown_table
from dtenv.scenario import Scenario

ENV_ID, LABEL = "DTAssociation-v0", "ppo"
TOPOLOGIES = ((20, 9), (20, 15), (20, 21), (20, 30), (10, 15), (30, 15))
"""Users and servers."""


@dataclass
class Topology:
    """Settings."""

    seeds: int = 5
    """trainings, from seeds 1, 2, …"""
    episodes: int = 50
    """held-out episodes"""
    policies: Path = Path("runs/balanced/policies")
    """where the suite's run left them"""
    out: Path = Path("runs/topology")
    """where to write"""


def main(settings: Topology) -> None:
    """Run every policy on every topology, and write rows, table and manifest."""
    cells = SUITES["balanced"].cells
    seeds = list(HELD_OUT[: settings.episodes])
    targets: list[Scenario] = [cells[0].resolve().override(num_users=u, num_servers=s) for u, s in TOPOLOGIES]
    heads = [f"U = {u}, S = {s}" for u, s in TOPOLOGIES]
    table = []
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(cells) * len(targets), desc="held-out episodes", unit="cell") as bar:
        ends = {target: [] for target in targets}
        for target, own in ends.items():
            for name in ("nearest", "local-search"):
                played = run_episodes(agents.load(name, ENV_ID, scenario=target), ENV_ID, target, seeds)
                own += [{**row, "training_seed": 0} for row in played]
        rows += [row for own in ends.values() for row in own]
        for cell in cells:
            training = next(training for training in cell.trainings if training.label == LABEL)
            told = []
            for target in targets:
                label, own = f"{LABEL}, S = {cell.resolve().num_sites}", []
                for seed in range(1, settings.seeds + 1):
                    job = Train(cell, training, seed, (), settings.policies)
                    policy = load_policy(training.learner, ENV_ID, target, job.policy)
                    about = {"agent": label, "training_seed": seed}
                    own += [{**row, **about} for row in run_episodes(policy, ENV_ID, target, seeds)]
                bar.update()
                rows += own
                names = (label, "nearest", "local-search")
                scores = {name: score_matrix([*own, *ends[target]], name) for name in names}
                text = f"{way(scores, label, 'nearest', 'local-search'):.2f}"
                told.append(f"**{text}**" if target == cell.resolve() else text)
            table.append([f"S = {cell.resolve().num_sites}", *told])
    record = manifest(*targets, seeds=settings.seeds, episodes=settings.episodes)
    write_study(settings.out, rows, record, "\n".join(markdown_table(["trained at", *heads], table)) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Topology))
