"""The main job: train PPO briefly, compare it with the heuristics on held-out seeds, draw what came of it.

python -m benchmarks.demo                                       # synthetic sites and walks
python -m benchmarks.demo --sites sites.csv --trace walks.csv   # real ones
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import tyro
from PIL import Image
from tqdm import tqdm

import agents
from agents import ppo
from agents.policy import Policy
from agents.tracking import Tracker
from benchmarks import plots
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_rows
from benchmarks.statistics import ranking
from dtenv.scenario import AssociationScenario
from dtenv.traces import scenario_from_options

ENV_ID = "DTAssociation-v0"


@dataclass
class Demo:
    """Settings of the demonstration."""

    scenario: str = "balanced"
    """name of a preset"""
    num_servers: int = 15
    """edge servers, S"""
    num_slots: int = 60
    """slots of an episode"""
    sites: str | None = None
    """file of station sites, together with --trace"""
    trace: str | None = None
    """file or folder of recorded walks, together with --sites"""
    episodes: int = 24
    """held-out episodes for every agent"""
    total_steps: int = 150_000
    """PPO's environment steps; with 0 the heuristics are compared alone"""
    seed: int = 1
    """of the training"""
    out: Path = Path("runs/demo")
    """where to write"""

    def resolve(self) -> AssociationScenario:
        """The scenario to run on."""
        fields = {"num_servers": self.num_servers, "num_slots": self.num_slots}
        return scenario_from_options(self.scenario, self.sites, self.trace, **fields)


def main(demo: Demo) -> None:
    """Train, evaluate, rank, draw, and say where everything lies."""
    start = time.perf_counter()
    scenario = demo.resolve()
    demo.out.mkdir(parents=True, exist_ok=True)
    about = describe(scenario)
    print(about)
    with Tracker(demo, enabled=True, name=f"demo__{ENV_ID}__{demo.seed}", folder=demo.out) as tracker:
        curve: list[dict[str, Any]] = []
        policies: list[Policy] = [make(scenario) for make in agents.HEURISTICS.values()]
        if demo.total_steps:
            policies.append(train(demo, scenario, curve, tracker))
        rows = evaluate(policies, scenario, list(EVALUATION_SEEDS[: demo.episodes]))
        table = ranking(rows, reference="hysteresis")
        print_table(table, demo.episodes)
        for line in table:
            tracker.log({f"evaluation/{line['agent']}": line["score"].mean})

        write_rows(demo.out / "rows.csv", rows)
        files = {"rows.csv": "one row an episode and agent"}
        plots.comparison(demo.out / "comparison.png", table, about)
        files["comparison.png"] = "scores with intervals"
        if curve:
            write_rows(demo.out / "learning_curve.csv", curve)
            levels = {line["agent"]: line["score"].mean for line in table if line["agent"] in SHOWN}
            plots.learning_curve(demo.out / "learning_curve.png", curve, levels, about)
            files["learning_curve.csv"] = "one row a rollout"
            files["learning_curve.png"] = "PPO's score while it learns"
        shown = policies[-1]
        animate(demo.out / "policy.gif", shown, scenario, EVALUATION_SEEDS[0])
        files["policy.gif"] = f"{shown.name} playing held-out seed {EVALUATION_SEEDS[0]}"
        for name in files:
            if name.endswith((".png", ".gif")):
                tracker.log_media(name.split(".")[0], demo.out / name)
        record = manifest(scenario, settings=dataclasses.asdict(demo), seconds=round(time.perf_counter() - start, 1))
        (demo.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        files["manifest.json"] = "command, commit, versions, scenario"
        if demo.total_steps:
            files["ppo.safetensors"] = 'the policy: agents.load("ppo", …, checkpoint=…)'
        print(f"\nwritten to {demo.out}/ in {time.perf_counter() - start:.0f} s:")
        for name, what in files.items():
            print(f"  {name:<20} {what}")
        print(f"  {'wandb/':<20} the run's W&B log, offline; `wandb sync` uploads it")


SHOWN = ("nearest", "stay", "hysteresis", "local-search")


def describe(scenario: AssociationScenario) -> str:
    """One or two lines on what is being run."""
    network = scenario.network
    text = f"{ENV_ID} '{scenario.name}': {network.num_users} users, {network.num_servers} servers, "
    text += f"{scenario.episode.num_slots} slots of {scenario.mobility.slot_seconds:g} s"
    recording = scenario.mobility.recording
    return text if recording is None else f"{text}\n{recording.provenance['note']}"


def train(demo: Demo, scenario: AssociationScenario, curve: list[dict[str, Any]], tracker: Tracker) -> Policy:
    """PPO on training seeds, with a progress bar; fills `curve`."""
    args = ppo.Args(
        total_steps=demo.total_steps, num_slots=demo.num_slots, seed=demo.seed, save=demo.out / "ppo.safetensors"
    )
    with ppo.progress_bar() as show:

        def report(row: dict[str, Any]) -> None:
            tracker.log(row)
            show(row)
            if row["charts/phase"] != "warm start":
                curve.append(row)

        return ppo.train(args, scenario, report)


def evaluate(policies: Sequence[Policy], scenario: AssociationScenario, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of all policies on the same held-out episodes."""
    rows: list[dict[str, Any]] = []
    slots = len(policies) * len(seeds) * scenario.episode.num_slots
    with tqdm(total=slots, desc="held-out episodes", unit="slot", bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar:
        for policy in policies:
            bar.set_postfix_str(policy.name)
            rows += run_episodes(policy, ENV_ID, scenario, seeds, progress=bar.update)
    return rows


def print_table(table: Sequence[Mapping[str, Any]], episodes: int) -> None:
    """The ranked table."""
    print(f"\nscore a slot: mean over {episodes} held-out episodes and 95 % interval; all agents on the same episodes")
    print(f"{'':>2}  {'agent':<15}{'score':<28}{'paired, minus hysteresis':<30}{'energy':>8}{'moves':>7}{'broken':>8}")
    for place, line in enumerate(table, 1):
        difference = "" if line["agent"] == "hysteresis" else f"{line['difference']:+.4f}"
        print(
            f"{place:>2}  {line['agent']:<15}{line['score']!s:<28}{difference:<30}"
            f"{line['energy']:>8,.0f}{line['migrations']:>7.2f}{line['violation_rate']:>8.1%}"
        )
    print("energy: summed over servers, unshaped; moves: twins migrated; broken: slots with a violated constraint")


def animate(path: Path, policy: Policy, scenario: AssociationScenario, seed: int, slots: int = 40) -> None:
    """The first slots of one episode as a GIF."""
    env = gym.make(ENV_ID, scenario=scenario.override(**policy.overrides), render_mode="rgb_array")
    obs, _ = env.reset(seed=seed)
    policy.reset(seed)
    frames = []
    for _ in range(min(slots, scenario.episode.num_slots)):
        obs, *_ = env.step(policy.act(obs))
        picture: Any = env.render()
        frames.append(Image.fromarray(picture).quantize(256))
    env.close()
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=250, loop=0, optimize=True)


if __name__ == "__main__":
    main(tyro.cli(Demo))
