"""Train a learner briefly, compare it with the heuristics on held-out seeds, and plot the results.

python -m benchmarks.demo                                       # synthetic sites and walks
python -m benchmarks.demo --sites sites.csv --trace walks.csv   # recorded ones
python -m benchmarks.demo --env-id DTMigration-v0               # another environment and its learner
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

import agents
from agents.policy import Policy
from agents.training.gif import record_gif
from agents.training.run import ProgressBar
from agents.training.tracking import Tracker
from benchmarks import plotting
from benchmarks.bounds import bound_rows
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_rows
from benchmarks.statistics import ranking
from benchmarks.table import markdown
from dtenv import presets
from dtenv.scenario import Scenario
from dtenv.traces import scenario_from_options


@dataclass
class Demo:
    """Settings of the demonstration."""

    env_id: Literal["DTAssociation-v0", "DTPlacementMA-v0", "DTMigration-v0"] = "DTAssociation-v0"
    """the environment"""
    scenario: str | None = None
    """name of a preset; by default the environment's first"""
    num_users: int | None = None
    """users; by default the preset's"""
    num_servers: int | None = None
    """servers, S, or stations, M; by default the preset's"""
    num_slots: int | None = None
    """slots of an episode; by default the preset's, in DTAssociation-v0 60"""
    sites: str | None = None
    """file of station sites, together with --trace"""
    trace: str | None = None
    """file or folder of recorded walks, together with --sites"""
    columns: tuple[str, ...] = ()
    """columns of the trace by role, such as user=taxi time=t lat=y lon=x; by default recognised by name"""
    episodes: int | None = None
    """held-out episodes for every agent; by default 24, in DTMigration-v0 96"""
    total_steps: int | None = None
    """environment steps of the training, by default some minutes; with 0 only the heuristics are compared"""
    seed: int = 1
    """seed of the training"""
    bounds: bool = True
    """whether to bound every held-out episode"""
    out: Path | None = None
    """folder to write to; by default runs/demo, runs/demo-placement or runs/demo-migration"""

    def resolve(self) -> Scenario:
        """Return the scenario."""
        sites = presets.resolve(None, self.env_id).SITES
        given = {"num_users": self.num_users, sites: self.num_servers, "num_slots": self.num_slots}
        fields = {name: value for name, value in given.items() if value is not None}
        fields = {**ENV_SETTINGS[self.env_id].overrides, **fields}
        return scenario_from_options(self.scenario, self.sites, self.trace, self.env_id, self.columns, **fields)


def main(demo: Demo) -> None:
    """Train, evaluate, rank, plot, and print what was written."""
    start = time.perf_counter()
    env_id, report, scenario = demo.env_id, ENV_SETTINGS[demo.env_id], demo.resolve()
    out = demo.out or Path("runs") / report.demo_out
    out.mkdir(parents=True, exist_ok=True)
    about = describe(env_id, scenario)
    print(about)
    learns = demo.total_steps != 0
    learner = report.demo_learner
    name = f"demo__{env_id}__{demo.seed}"
    with Tracker(demo, enabled=True, name=name, learner=learner if learns else "heuristics", folder=out) as tracker:
        curve: list[dict[str, Any]] = []
        policies: list[Policy] = [make(scenario) for make in agents.HEURISTICS[env_id].values()]
        if learns:
            policies.append(train(demo, scenario, out / f"{learner}.safetensors", curve, tracker))
        seeds = list(EVALUATION_SEEDS[: demo.episodes or report.demo_episodes])
        rows = evaluate(env_id, policies, scenario, seeds)
        bound_note = bound_rows(env_id, scenario, seeds, rows) if demo.bounds else ""
        table = ranking(rows, report.reference, report.figures, report.zero)
        print(f"\n{len(seeds)} held-out episodes, the same for all agents:\n")
        print(*markdown(env_id, rows), "", sep="\n")
        print(textwrap.fill("; ".join(f"{figure.head}: {figure.note}" for figure in report.figures), 110))
        line_at = None
        if bound_note:
            print(textwrap.fill(bound_note, 110))
            bounds = {row["seed"]: row["bound"] for row in rows if row["bound"] is not None}
            line_at = float(np.mean(list(bounds.values()))), f"proven bound of {len(bounds)} episodes"
            tracker.log({"evaluation/bound": line_at[0]})
        for line in table:
            tracker.log({f"evaluation/{line['agent']}": line["score"].mean})

        write_rows(out / "rows.csv", rows)
        files = {"rows.csv": "one row per episode and agent"}
        drawn = [figure for figure in report.figures if figure.column in report.drawn]
        plotting.comparison(out / "comparison.png", table, about, drawn, line_at, (learner,))
        files["comparison.png"] = "scores with intervals"
        if curve:
            write_rows(out / "learning_curve.csv", curve)
            levels = {line["agent"]: line["score"].mean for line in table if line["agent"] in report.levels}
            plotting.learning_curve(out / "learning_curve.png", curve, levels, about, learner)
            files["learning_curve.csv"] = "one row per rollout"
            files["learning_curve.png"] = f"{learner}'s score during training"
        best = next(policy for policy in policies if policy.name == table[0]["agent"])
        shown = policies[-1] if learns else best
        record_gif(out / "policy.gif", env_id, shown, scenario, seeds[0])
        files["policy.gif"] = f"{shown.name} playing held-out seed {seeds[0]}"
        for name in files:
            if name.endswith((".png", ".gif")):
                tracker.log_media(name.split(".")[0], out / name)
        record = manifest(scenario, settings=dataclasses.asdict(demo), seconds=round(time.perf_counter() - start, 1))
        (out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        files["manifest.json"] = "command, commit, versions, scenario"
        if learns:
            files[f"{learner}.safetensors"] = f'the policy: agents.load("{learner}", …, checkpoint=…)'
        files["wandb/"] = "W&B log of the run, offline; `wandb sync` uploads it"
        print(f"\nwritten to {out}/ in {time.perf_counter() - start:.0f} s:")
        for name, what in files.items():
            print(f"  {name:<20} {what}")


def describe(env_id: str, scenario: Scenario) -> str:
    """Environment, scenario and sizes in a line, and the source of recorded walks in another."""
    text = f"{env_id} '{scenario.name}': {scenario.value('num_users')} users, "
    text += f"{scenario.num_sites} {ENV_SETTINGS[env_id].sites[1]}, "
    text += f"{scenario.value('num_slots')} slots of {scenario.value('slot_seconds'):g} s"
    recording = scenario.value("recording")
    return text if recording is None else f"{text}\n{recording.provenance['note']}"


def train(demo: Demo, scenario: Scenario, save: Path, curve: list[dict[str, Any]], tracker: Tracker) -> Policy:
    """Train the environment's learner with a progress bar; append its rows to `curve`."""
    name = ENV_SETTINGS[demo.env_id].demo_learner
    learner = importlib.import_module(f"agents.{name}")
    steps = demo.total_steps or ENV_SETTINGS[demo.env_id].demo_steps
    sizes = {"total_steps": steps, "num_slots": scenario.value("num_slots")}
    args = learner.Args(env_id=demo.env_id, seed=demo.seed, save=save, **sizes)
    with ProgressBar(f"training {name}") as show:

        def report(row: dict[str, Any]) -> None:
            tracker.log(row)
            show(row)
            if "charts/progress" in row:
                curve.append(row)

        return learner.train(args, scenario=scenario, report=report)


def evaluate(env_id: str, policies: Sequence[Policy], scenario: Scenario, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of all policies on the same held-out episodes."""
    rows: list[dict[str, Any]] = []
    slots = len(policies) * len(seeds) * scenario.value("num_slots")
    with tqdm(total=slots, desc="held-out episodes", unit="slot", bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar:
        for policy in policies:
            bar.set_postfix_str(policy.name)
            rows += run_episodes(policy, env_id, scenario, seeds, progress=bar.update)
    return rows


if __name__ == "__main__":
    main(tyro.cli(Demo))
