"""Transfer for DTMigration-v0 (Lu 2021, eqs 32-34): samples needed with and without it, and other numbers of stations.

python -m benchmarks.transfer --out benchmarks/results/transfer
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from tqdm import tqdm

from agents.hindsight import EpisodeRecorder, gained
from agents.networks.station_features import StationFeatures
from agents.training.rollout import training_envs
from agents.transfer import Args, Place, arrive, source_places, source_round, target_round
from benchmarks.bounds import episode_bounds
from benchmarks.evaluate import manifest, write_study
from benchmarks.plotting import ACCENT, GRID, INK, MUTED, new_axes, save
from benchmarks.statistics import mean_interval
from benchmarks.suites.suite import HELD_OUT
from dtenv import presets
from dtenv.reporting.markdown import markdown_table
from dtenv.scenario import Scenario

SCRATCH, AVERAGED, FULL = "from scratch", "sources' mean (32)", "transfer (32)-(34)"

SHARE = 0.95
"""Samples are counted up to this share of the final score from scratch, on a scale where never moving is 0."""


@dataclass
class Transfer:
    """Settings of the benchmark."""

    scenario: str = "balanced"
    """name of the target's preset"""
    seeds: int = 5
    """training seeds"""
    episodes: int = 64
    """held-out episodes"""
    rounds: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
    """rounds after which the greedy policy is evaluated; training ends with the last"""
    stations: tuple[int, ...] = (5, 15, 20)
    """numbers of stations to which the policy from scratch is moved"""
    learner: Args = field(default_factory=lambda: Args(rounds=32, source_rounds=24))
    """settings of the learner"""
    out: Path = Path("runs/transfer")
    """folder to write to"""


class Examination:
    """Held-out episodes of a scenario, and their headroom: mean bound minus the score of never moving."""

    def __init__(self, scenario: Scenario, episodes: int):
        seeds = HELD_OUT[:episodes]
        bounds = episode_bounds("DTMigration-v0", scenario, seeds)
        read = Place(Args(num_envs=1), scenario, 0).network.read
        recorder = EpisodeRecorder(training_envs(Args(), scenario, episodes), read, seeds[0])
        self.recording: StationFeatures = recorder.record()
        self.headroom = float(np.mean([bound.bound for bound in bounds])) - recorder.score

    @torch.no_grad()
    def grade(self, network: Any) -> float:
        """Score of the greedy policy on a scale from never moving, 0, to the clairvoyant bound, 1."""
        return gained(network, self.recording, greedy=True).mean().item() / self.headroom


def main(settings: Transfer) -> None:
    """Train with every seed, and write rows, manifest, a Markdown table and the curves."""
    torch.set_num_threads(1)
    args = dataclasses.replace(settings.learner, rounds=settings.rounds[-1])
    target = presets.resolve(settings.scenario, "DTMigration-v0")
    moved = {m: target.override(num_stations=m) for m in settings.stations}
    bar = tqdm(total=settings.seeds * (3 + len(moved)), desc="transfer", unit="run")
    exam = Examination(target, settings.episodes)
    exams = {m: Examination(scenario, settings.episodes) for m, scenario in moved.items()}
    rows: list[dict[str, Any]] = []
    for seed in range(1, settings.seeds + 1):
        own = dataclasses.replace(args, seed=seed)
        torch.manual_seed(seed)
        sources = source_places(own, target)
        for source in sources:
            for done in range(own.source_rounds):
                source_round(source, done / own.source_rounds)
        finals: dict[str, Place] = {}
        for variant in (SCRATCH, AVERAGED, FULL):
            finals[variant], curve = run(variant, own, target, sources, exam, settings.rounds)
            slots = own.num_envs * target.value("num_slots")
            about = {"learner": variant, "seed": seed, "stations": target.num_sites}
            rows += [about | {"samples": done * slots, "grade": grade} for done, grade in curve]
            bar.update()
        for m, scenario in moved.items():
            there, _ = run(SCRATCH, own, scenario, [], exams[m], settings.rounds[-1:])
            for name, trained in (("moved", finals[SCRATCH]), ("trained there", there)):
                single = dataclasses.replace(own, num_envs=1)
                grade = exams[m].grade(Place(single, scenario, 0, trained.network.state_dict()).network)
                rows.append({"learner": name, "seed": seed, "stations": m, "samples": 0, "grade": grade})
            bar.update()
    bar.close()
    record = manifest(target, settings=dataclasses.asdict(settings))
    write_study(settings.out, rows, record, "\n".join(lines(rows, target.num_sites)))
    draw_curves(settings.out / "curves.png", rows, target)


def run(
    variant: str, args: Args, scenario: Scenario, sources: Sequence[Place], exam: Examination, rounds: Sequence[int]
) -> tuple[Place, list[tuple[int, float]]]:
    """Train one variant in the target; return it and its grades after the given rounds."""
    torch.manual_seed(args.seed)
    full = variant == FULL
    target = Place(dataclasses.replace(args, merge=full), scenario, args.first_seed)
    sources = [] if variant == SCRATCH else sources
    first = arrive(target, sources) if sources else None
    curve = []
    for done in range(rounds[-1] + 1):
        if done in rounds:
            curve.append((done, exam.grade(target.network)))
        if done < rounds[-1]:
            target_round(target, sources, first if full else None, done / rounds[-1])
    return target, curve


def curves(rows: Sequence[Mapping[str, Any]], learner: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples (R,) and grades (seeds, R) of a variant in the target."""
    own = [row for row in rows if row["learner"] == learner]
    samples = np.unique([row["samples"] for row in own])
    return samples, np.array([row["grade"] for row in own]).reshape(-1, len(samples))


def samples_needed(samples: np.ndarray, grades: np.ndarray, level: float) -> np.ndarray:
    """Samples after which each seed's grade first reaches the level, (seeds,); infinite where it never does."""
    reached = grades >= level
    return np.where(reached.any(1), samples[reached.argmax(1)], np.inf)


def lines(rows: Sequence[Mapping[str, Any]], stations: int) -> list[str]:
    """Lines of the page: a table of the variants, and one of the numbers of stations."""
    level = SHARE * curves(rows, SCRATCH)[1][:, -1].mean()
    variants = []
    for learner in (SCRATCH, AVERAGED, FULL):
        samples, grades = curves(rows, learner)
        needed = samples_needed(samples, grades, level)
        by_seed = ", ".join("never" if np.isinf(n) else f"{n:,.0f}" for n in needed)
        ends = [f"{mean_interval(grades[:, end]):.3f}" for end in (0, -1)]
        variants.append([learner, *ends, by_seed, f"{np.median(needed):,.0f}"])
    moved = []
    for m in sorted({row["stations"] for row in rows if row["learner"] == "moved"}):
        moved.append([m])
        for name in ("moved", "trained there"):
            reached = [row["grade"] for row in rows if (row["learner"], row["stations"]) == (name, m)]
            moved[-1].append(f"{mean_interval(reached):.3f}")
    return [
        "Grade: the greedy policy's score on held-out episodes, 0 for never moving, 1 for the clairvoyant bound; "
        "mean over training seeds [95 %].",
        "",
        *markdown_table(
            ["learner", "no samples", "final", f"samples to {level:.3f}, seed by seed", "median"], variants
        ),
        "",
        f"{level:.3f} is {SHARE:.0%} of what is reached from scratch in the end. Samples are slots of the target.",
        "",
        *markdown_table(["stations", f"moved from {stations}, unchanged", "trained there from scratch"], moved),
        "",
    ]


def draw_curves(path: Path, rows: Sequence[Mapping[str, Any]], target: Scenario) -> None:
    """Plot each variant's grade over samples, with intervals over seeds."""
    title = f"DTMigration-v0 {target.name}: {len(curves(rows, FULL)[1])} training seeds, mean and 95 % interval"
    figure, axes = new_axes(8.0, 4.2, title)
    for learner, colour in ((SCRATCH, MUTED), (AVERAGED, INK), (FULL, ACCENT)):
        samples, grades = curves(rows, learner)
        spread = [mean_interval(column) for column in grades.T]
        axes.plot(samples, grades.mean(0), color=colour, linewidth=2.0, marker="o", markersize=3.5, label=learner)
        axes.fill_between(samples, [s.low for s in spread], [s.high for s in spread], color=colour, alpha=0.15, lw=0)
    level = SHARE * curves(rows, SCRATCH)[1][:, -1].mean()
    axes.axhline(level, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    small = {"textcoords": "offset points", "ha": "right", "fontsize": 8, "color": MUTED}
    axes.annotate(f"{SHARE:.0%} of scratch's last", (1.0, level), (0, -10), ("axes fraction", "data"), **small)
    axes.set(ylim=(-0.1, 1.0), xlabel="samples: slots of the target", ylabel="share of never → clairvoyant bound")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.1))
    axes.grid(axis="y", color=GRID)
    save(figure, path)


if __name__ == "__main__":
    main(tyro.cli(Transfer))
