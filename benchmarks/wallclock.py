"""PPO on the batch against Stable-Baselines3's PPO on its own vector env of the single environment, in one run.

    python -m benchmarks.wallclock --out benchmarks/results/wallclock

Same network (two perceptrons), hyper-parameters and number of environment steps, one torch thread each; trainings
alternate, so that other load of the machine affects both. The table compares wall-clock time and the final policies'
scores on the same held-out episodes, and splits our time into parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

from agents import ppo, sb3
from agents.networks import build
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_rows, write_study
from benchmarks.statistics import score_matrix, two_way_interval
from dtenv import presets
from dtenv.reporting.markdown import markdown_table

ENV_ID = "DTMigration-v0"
WIDTH, ENVS, STEPS, EPOCHS, MINIBATCHES = 64, 256, 32, 2, 4
RATE, GAMMA, LAMBDA, CLIP = 1e-3, 0.98, 0.95, 0.2
PARTS = ("env", "inference", "learning")
"""Timed parts of our training."""


@dataclass
class WallClock:
    """Settings of the comparison."""

    seeds: int = 5
    """trainings of each learner, from seeds 1, 2, …"""
    total_steps: int = 1_000_000
    """environment steps of a training"""
    episodes: int = 100
    """held-out episodes"""
    out: Path = Path("runs/wallclock")
    """folder to write to"""


def ours(seed: int, steps: int) -> tuple[Any, dict[str, Any]]:
    """Train our PPO; return the policy and the last row reported."""
    args = ppo.Args(
        env_id=ENV_ID,
        network="perceptron",
        seed=seed,
        total_steps=steps,
        num_envs=ENVS,
        num_steps=STEPS,
        update_epochs=EPOCHS,
        num_minibatches=MINIBATCHES,
        learning_rate=RATE,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
        clip_coef=CLIP,
    )
    network = build(ENV_ID, "perceptron", presets.resolve(None, ENV_ID), hidden=WIDTH)
    rows: list[dict[str, Any]] = []
    return ppo.train(args, network=network, report=rows.append), rows[-1]


def train_sb3(seed: int, steps: int) -> tuple[Any, dict[str, Any]]:
    """Train SB3's PPO with the same settings; its loss weighs the critic twice as much at the same coefficient."""
    settings = {
        "learning_rate": RATE,
        "n_steps": STEPS,
        "batch_size": ENVS * STEPS // MINIBATCHES,
        "n_epochs": EPOCHS,
        "gamma": GAMMA,
        "gae_lambda": LAMBDA,
        "clip_range": CLIP,
        "vf_coef": 0.5 * ppo.VF_COEF,
        "max_grad_norm": ppo.MAX_GRAD_NORM,
        "ent_coef": ppo.Args.ent_coef,
    }
    nets = {"pi": [WIDTH, WIDTH], "vf": [WIDTH, WIDTH]}
    args = sb3.Args(
        algorithm="PPO",
        env_id=ENV_ID,
        vec="dummy",
        seed=seed,
        total_steps=steps,
        num_envs=ENVS,
        anneal=True,
        scaled_reward=True,
        settings=json.dumps(settings),
        policy_kwargs=json.dumps({"net_arch": nets, "activation_fn": "Tanh"}),
    )
    rows: list[dict[str, Any]] = []
    return sb3.train(args, report=rows.append), rows[-1]


def main(settings: WallClock) -> None:
    """Train both alternately, evaluate, and write rows, table and manifest."""
    scenario, seeds = presets.resolve(None, ENV_ID), list(EVALUATION_SEEDS[: settings.episodes])
    learners = {"dtenv ppo, batch": ours, "SB3 PPO, DummyVecEnv": train_sb3}
    trainings: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(learners) * settings.seeds, desc="trainings", unit="run") as bar:
        for learner in learners.values():  # compile and load kernels before anything is timed
            learner(0, 2 * ENVS * STEPS)
        for seed in range(1, settings.seeds + 1):
            for name, learner in learners.items():
                policy, last = learner(seed, settings.total_steps)
                about = {"agent": name, "training_seed": seed}
                parts = {k.removeprefix("seconds/"): v for k, v in last.items() if k.startswith("seconds/")}
                trainings.append(
                    {**about, "steps": last["global_step"], "seconds": last["charts/seconds"]}
                    | {part: parts.get(part, "") for part in PARTS}
                )
                rows += [{**row, **about} for row in run_episodes(policy, ENV_ID, scenario, seeds)]
                bar.update()
    record = manifest(scenario, seeds=settings.seeds, total_steps=settings.total_steps)
    write_study(settings.out, rows, record, "\n".join(table(settings, trainings, rows)) + "\n")
    write_rows(settings.out / "trainings.csv", trainings)


def table(settings: WallClock, trainings: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the page: speed with the range over seeds, scores with intervals, shares of our time."""
    by_learner: dict[str, list[dict[str, Any]]] = {}
    for training in trainings:
        by_learner.setdefault(training["agent"], []).append(training)
    times = {name: np.array([training["seconds"] for training in own]) for name, own in by_learner.items()}
    learners = []
    for name, own in by_learner.items():
        spent = f"{np.median(times[name]):.1f} ({times[name].min():.1f} to {times[name].max():.1f})"
        speed = np.mean([training["steps"] for training in own]) / np.median(times[name])
        learners.append([name, spent, f"{speed:,.0f}", two_way_interval(score_matrix(rows, name))])
    first, second = by_learner
    ratio = times[second] / times[first]
    difference = two_way_interval(score_matrix(rows, first) - score_matrix(rows, second))
    shares = ", ".join(
        f"{part} {sum(training[part] for training in by_learner[first]) / sum(times[first]):.0%}" for part in PARTS
    )
    heads = ["learner", "seconds, median (range)", "env-steps/s", "score a slot [95 %]"]
    return [
        f"{ENV_ID}, {settings.total_steps:,} steps, {settings.seeds} trainings of each in turns, "
        f"{settings.episodes} held-out episodes:",
        "",
        *markdown_table(heads, learners, right=[2]),
        "",
        f"Ratio of seconds, turn by turn: {np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f}).",
        f"Difference of scores, paired over episodes and seeds: {difference:+.4f}.",
        f"Where ours goes: {shares}; the rest is gathering, reports and the beginning.",
    ]


if __name__ == "__main__":
    main(tyro.cli(WallClock))
