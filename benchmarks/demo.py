"""The main job: train a learner briefly, compare it with the heuristics on held-out seeds, draw what came of it.

python -m benchmarks.demo                                       # synthetic sites and walks
python -m benchmarks.demo --sites sites.csv --trace walks.csv   # real ones
python -m benchmarks.demo --env-id DTMigration-v0               # another environment, and its learner
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

import agents
from agents.policy import Policy
from agents.training.gif import film
from agents.training.run import ProgressBar
from agents.training.tracking import Tracker
from benchmarks import plotting as plots
from benchmarks.bounds import bound_rows
from benchmarks.env_settings import REPORTS, Report
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_rows
from benchmarks.statistics import ranking
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
    episodes: int | None = None
    """held-out episodes for every agent; by default 24, in DTMigration-v0 96"""
    total_steps: int | None = None
    """the learner's environment steps, by default some minutes of them; with 0 the heuristics are compared alone"""
    seed: int = 1
    """of the training"""
    bounds: bool = True
    """whether to bound every held-out episode"""
    out: Path | None = None
    """where to write; by default runs/demo, runs/demo-placement or runs/demo-migration"""

    def resolve(self) -> Scenario:
        """The scenario to run on."""
        given = {
            "num_users": self.num_users,
            presets.resolve(None, self.env_id).SITES: self.num_servers,
            "num_slots": self.num_slots,
        }
        fields = {name: value for name, value in given.items() if value is not None}
        fields = {**REPORTS[self.env_id].overrides, **fields}
        return scenario_from_options(self.scenario, self.sites, self.trace, self.env_id, **fields)


def main(demo: Demo) -> None:
    """Train, evaluate, rank, draw, and say where everything lies."""
    start = time.perf_counter()
    report = REPORTS[demo.env_id]
    out = demo.out or Path("runs") / report.demo_out
    scenario = demo.resolve()
    out.mkdir(parents=True, exist_ok=True)
    about = describe(demo.env_id, scenario)
    print(about)
    learns = demo.total_steps != 0
    learner = report.demo_learner
    name = f"demo__{demo.env_id}__{demo.seed}"
    with Tracker(demo, enabled=True, name=name, learner=learner if learns else "heuristics", folder=out) as tracker:
        curve: list[dict[str, Any]] = []
        policies: list[Policy] = [make(scenario) for make in agents.HEURISTICS[demo.env_id].values()]
        if learns:
            policies.append(train(demo, scenario, out / f"{learner}.safetensors", curve, tracker))
        seeds = list(EVALUATION_SEEDS[: demo.episodes or report.demo_episodes])
        rows = evaluate(demo.env_id, policies, scenario, seeds)
        said = bound_rows(demo.env_id, scenario, seeds, rows) if demo.bounds else ""
        table = ranking(rows, report.reference, report.figures, report.zero)
        print_table(table, report, len(seeds))
        line_at = None
        if said:
            print(textwrap.fill(f"to bound: how far on the way from {report.zero}, 0, to the bound, 1. {said}", 110))
            bounds = {row["seed"]: row["bound"] for row in rows if row["bound"] is not None}
            line_at = float(np.mean(list(bounds.values()))), f"proven bound of {len(bounds)} episodes"
            tracker.log({"evaluation/bound": line_at[0]})
        for line in table:
            tracker.log({f"evaluation/{line['agent']}": line["score"].mean})

        write_rows(out / "rows.csv", rows)
        files = {"rows.csv": "one row an episode and agent"}
        beside = [figure for figure in report.figures if figure.column in report.drawn]
        plots.comparison(out / "comparison.png", table, about, beside, line_at, (learner,))
        files["comparison.png"] = "scores with intervals"
        if curve:
            write_rows(out / "learning_curve.csv", curve)
            levels = {line["agent"]: line["score"].mean for line in table if line["agent"] in report.levels}
            plots.learning_curve(out / "learning_curve.png", curve, levels, about, learner)
            files["learning_curve.csv"] = "one row a rollout"
            files["learning_curve.png"] = f"{learner}'s score while it learns"
        best = next(policy for policy in policies if policy.name == table[0]["agent"])
        shown = policies[-1] if learns else best
        film(out / "policy.gif", demo.env_id, shown, scenario, seeds[0])
        files["policy.gif"] = f"{shown.name} playing held-out seed {seeds[0]}"
        for name in files:
            if name.endswith((".png", ".gif")):
                tracker.log_media(name.split(".")[0], out / name)
        record = manifest(scenario, settings=dataclasses.asdict(demo), seconds=round(time.perf_counter() - start, 1))
        (out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
        files["manifest.json"] = "command, commit, versions, scenario"
        if learns:
            files[f"{learner}.safetensors"] = f'the policy: agents.load("{learner}", …, checkpoint=…)'
        print(f"\nwritten to {out}/ in {time.perf_counter() - start:.0f} s:")
        for name, what in files.items():
            print(f"  {name:<20} {what}")
        print(f"  {'wandb/':<20} the run's W&B log, offline; `wandb sync` uploads it")


def describe(env_id: str, scenario: Scenario) -> str:
    """One or two lines on what is being run."""
    text = f"{env_id} '{scenario.name}': {scenario.value('num_users')} users, "
    text += f"{scenario.num_sites} {REPORTS[env_id].sites[1]}, "
    text += f"{scenario.value('num_slots')} slots of {scenario.value('slot_seconds'):g} s"
    recording = scenario.value("recording")
    return text if recording is None else f"{text}\n{recording.provenance['note']}"


def train(demo: Demo, scenario: Any, save: Path, curve: list[dict[str, Any]], tracker: Tracker) -> Policy:
    """The environment's learner on training seeds, with a progress bar; fills `curve`."""
    about = REPORTS[demo.env_id]
    learner = importlib.import_module(f"agents.{about.demo_learner}")
    args = learner.Args(
        env_id=demo.env_id,
        total_steps=demo.total_steps or about.demo_steps,
        num_slots=scenario.value("num_slots"),
        seed=demo.seed,
        save=save,
    )
    with ProgressBar(f"training {about.demo_learner}") as show:

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


def print_table(table: Sequence[Mapping[str, Any]], report: Report, episodes: int) -> None:
    """The ranked table."""
    print(f"\nscore a slot: mean over {episodes} held-out episodes and 95 % interval; all agents on the same episodes")
    head = f"{'':>2}  {'agent':<22}{'score':<28}{f'paired, minus {report.reference}':<28}"
    widths = [max(8, len(figure.short) + 2) for figure in report.figures]
    bounded = "gap_to_bound" in table[0]
    head += f"{'to bound':<10}" if bounded else ""
    print(head + "".join(f"{figure.short:>{w}}" for figure, w in zip(report.figures, widths, strict=True)))
    for place, line in enumerate(table, 1):
        difference = "" if line["agent"] == report.reference else f"{line['difference']:+.4f}"
        shown = [format(line[figure.column], figure.spec) for figure in report.figures]
        print(
            f"{place:>2}  {line['agent']:<22}{line['score']!s:<28}{difference:<28}"
            + (f"{line['gap_to_bound'].mean:<10.3f}" if bounded else "")
            + "".join(f"{text:>{w}}" for text, w in zip(shown, widths, strict=True))
        )
    print(textwrap.fill("; ".join(f"{figure.short}: {figure.note}" for figure in report.figures), 110))


if __name__ == "__main__":
    main(tyro.cli(Demo))
