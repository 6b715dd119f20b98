"""Policies trained on one topology, run unchanged on others: generalisation of an equivariant network.

    python -m benchmarks run balanced
    python -m benchmarks.topology --out benchmarks/results/learning/topology

Uses the trained policies of the suite `balanced` from the folder of its run. 0 is nearest on the topology that is run,
1 is local search there; the topology that a policy was trained on is in bold.
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
from benchmarks.suites.tables import progress_between
from dtenv.reporting.markdown import markdown_table

ENV_ID, LABEL, ENDS = "DTAssociation-v0", "ppo", ("nearest", "local-search")
TOPOLOGIES = ((20, 9), (20, 15), (20, 21), (20, 30), (10, 15), (30, 15))
"""Users and servers."""


@dataclass
class Topology:
    """Settings of the study."""

    seeds: int = 5
    """trainings, from seeds 1, 2, …"""
    episodes: int = 50
    """held-out episodes"""
    policies: Path = Path("runs/balanced/policies")
    """folder of the suite's trained policies"""
    out: Path = Path("runs/topology")
    """folder to write to"""


def main(settings: Topology) -> None:
    """Run every policy on every topology, and write rows, table and manifest."""
    cells = SUITES["balanced"].cells
    seeds = list(HELD_OUT[: settings.episodes])
    targets = [cells[0].resolve().override(num_users=u, num_servers=s) for u, s in TOPOLOGIES]
    table: list[list[str]] = []
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(cells) * len(targets), desc="held-out episodes", unit="cell") as bar:
        ends = {}
        for target in targets:
            played = [run_episodes(agents.load(name, ENV_ID, scenario=target), ENV_ID, target, seeds) for name in ENDS]
            ends[target] = [{**row, "training_seed": 0} for own in played for row in own]
            rows += ends[target]
        for cell in cells:
            training = next(training for training in cell.trainings if training.label == LABEL)
            trained_at = f"S = {cell.resolve().num_sites}"
            label = f"{LABEL}, {trained_at}"
            table.append([trained_at])
            for target in targets:
                own = []
                for seed in range(1, settings.seeds + 1):
                    job = Train(cell, training, seed, (), settings.policies)
                    policy = load_policy(training.learner, ENV_ID, target, job.policy)
                    about = {"agent": label, "training_seed": seed}
                    own += [{**row, **about} for row in run_episodes(policy, ENV_ID, target, seeds)]
                bar.update()
                rows += own
                scores = {name: score_matrix([*own, *ends[target]], name) for name in (label, *ENDS)}
                text = f"{progress_between(scores, label, *ENDS):.2f}"
                table[-1].append(f"**{text}**" if target == cell.resolve() else text)
    record = manifest(*targets, seeds=settings.seeds, episodes=settings.episodes)
    heads = ["trained at", *(f"U = {u}, S = {s}" for u, s in TOPOLOGIES)]
    write_study(settings.out, rows, record, "\n".join(markdown_table(heads, table)) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Topology))
