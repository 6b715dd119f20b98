"""PPO on the batch against Stable-Baselines3's PPO on its own vector env of the single environment, in one run.

    python -m benchmarks.wallclock --out docs/results/wallclock

Same network (two perceptrons), same hyper-parameters, same number of environment steps, a torch thread each; trainings
take turns, so that what else the machine does falls on both. What is compared is wall-clock time and the score of the
final policies on the same held-out episodes; beside it, where our time goes.
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
from benchmarks.statistics import Interval, score_matrix, two_way_interval
from dtenv import presets

ENV_ID = "DTMigration-v0"
WIDTH, ENVS, STEPS, EPOCHS, MINIBATCHES = 64, 256, 32, 2, 4
RATE, GAMMA, LAMBDA, CLIP = 1e-3, 0.98, 0.95, 0.2


@dataclass
class WallClock:
    """Settings."""

    seeds: int = 5
    """trainings of either, from seeds 1, 2, …"""
    total_steps: int = 1_000_000
    """environment steps of a training"""
    episodes: int = 100
    """held-out episodes"""
    out: Path = Path("runs/wallclock")
    """where to write"""


def ours(seed: int, steps: int) -> tuple[Any, dict[str, Any]]:
    """Train our PPO; the policy, and the last row reported."""
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


def theirs(seed: int, steps: int) -> tuple[Any, dict[str, Any]]:
    """Train SB3's PPO likewise; its loss weighs the critic twice as much at the same coefficient."""
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
    """Train in turns, evaluate, and write rows, table and manifest."""
    scenario, seeds = presets.resolve(None, ENV_ID), list(EVALUATION_SEEDS[: settings.episodes])
    learners = {"dtenv ppo, batch": ours, "SB3 PPO, DummyVecEnv": theirs}
    trainings: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(learners) * settings.seeds, desc="trainings", unit="run") as bar:
        for learner in learners.values():  # kernels are compiled and loaded outside the clock
            learner(0, 2 * ENVS * STEPS)
        for seed in range(1, settings.seeds + 1):
            for name, learner in learners.items():
                policy, last = learner(seed, settings.total_steps)
                about = {"agent": name, "training_seed": seed}
                parts = {k.removeprefix("seconds/"): v for k, v in last.items() if k.startswith("seconds/")}
                trainings.append(
                    {**about, "steps": last["global_step"], "seconds": last["charts/seconds"]}
                    | {part: parts.get(part, "") for part in ("env", "inference", "learning")}
                )
                rows += [{**row, **about} for row in run_episodes(policy, ENV_ID, scenario, seeds)]
                bar.update()
    record = manifest(scenario, seeds=settings.seeds, total_steps=settings.total_steps)
    write_study(settings.out, rows, record, "\n".join(table(settings, trainings, rows)) + "\n")
    write_rows(settings.out / "trainings.csv", trainings)


def table(settings: WallClock, trainings: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[str]:
    """The lines of the table: speed with the range over seeds, scores with intervals, shares of our time."""
    names = list(dict.fromkeys(t["agent"] for t in trainings))
    times = {name: np.array([t["seconds"] for t in trainings if t["agent"] == name]) for name in names}
    lines = [
        f"{ENV_ID}, {settings.total_steps:,} steps, {settings.seeds} trainings of each in turns, "
        f"{settings.episodes} held-out episodes:",
        "",
        "| learner | seconds, median (range) | env-steps/s | score a slot [95 %] |",
        "|---|---|---:|---|",
    ]
    for name in names:
        spent, steps = times[name], np.mean([t["steps"] for t in trainings if t["agent"] == name])
        score = two_way_interval(score_matrix(rows, name))
        range_ = f"{np.median(spent):.1f} ({spent.min():.1f} to {spent.max():.1f})"
        lines.append(f"| {name} | {range_} | {steps / np.median(spent):,.0f} | {score} |")
    first, second = names
    ratio = times[second] / times[first]
    difference: Interval = two_way_interval(score_matrix(rows, first) - score_matrix(rows, second))
    lines += ["", f"Ratio of seconds, turn by turn: {np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})."]
    lines += [f"Difference of scores, paired over episodes and seeds: {difference:+.4f}."]
    own = [t for t in trainings if t["agent"] == first]
    shares = {
        part: sum(t[part] for t in own) / sum(t["seconds"] for t in own) for part in ("env", "inference", "learning")
    }
    told = ", ".join(f"{part} {share:.0%}" for part, share in shares.items())
    return [*lines, f"Where ours goes: {told}; the rest is gathering, reports and the beginning."]


if __name__ == "__main__":
    main(tyro.cli(WallClock))
