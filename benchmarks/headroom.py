"""Headroom of every preset: random and naive agents, the best heuristic, the best known plan and the proven bound.

python -m benchmarks.headroom --out benchmarks/results/headroom
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

import agents
from benchmarks.bounds import add_bounds, episode_bounds
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_study
from benchmarks.statistics import mean_interval, ratio_interval
from dtenv import presets
from dtenv.reporting.markdown import markdown_table

KNOWN = "the bound's own plan"
"""Agent name of rows with a solver's plan, which is clairvoyant where plans may be."""


@dataclass
class Headroom:
    """Settings of the table."""

    env_ids: tuple[str, ...] = tuple(ENV_SETTINGS)
    """environments"""
    scenarios: tuple[str, ...] = ()
    """presets, by default all of them"""
    episodes: int | None = None
    """held-out episodes; by default the environment's own number"""
    out: Path = Path("runs/headroom")
    """folder to write to"""


def main(settings: Headroom) -> None:
    """Run all heuristics and bounds, and write rows, manifest and a Markdown table."""
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    played = []
    for env_id in settings.env_ids:
        report, proofs, table = ENV_SETTINGS[env_id], set[str](), []
        names = [name for name in presets.PRESETS[env_id] if not settings.scenarios or name in settings.scenarios]
        scenarios = [presets.resolve(name, env_id, **report.headroom_overrides) for name in names]
        for scenario in tqdm(scenarios, desc=env_id, unit="preset"):
            seeds = list(EVALUATION_SEEDS[: settings.episodes or report.headroom_episodes])
            policies = [agents.load(name, env_id, scenario=scenario) for name in agents.HEURISTICS[env_id]]
            own = [row for policy in policies for row in run_episodes(policy, env_id, scenario, seeds)]
            solutions = episode_bounds(env_id, scenario, seeds, **report.headroom_bound)
            same = {key: own[0][key] for key in ("env_id", "scenario", "num_users", "num_servers", "slots")}
            own += [
                {"agent": KNOWN, "seed": seed, "score": solution.value, **same}
                for seed, solution in zip(seeds, solutions, strict=True)
            ]
            add_bounds(own, seeds, solutions)
            proofs |= {solution.proof for solution in solutions}
            rows += [{column: row[column] for column in ("agent", "seed", *same, "score", "bound")} for row in own]
            table.append(line(env_id, own))
        if scenarios:
            slots = scenarios[0].value("num_slots")
            heads = ["preset", "random", report.zero, "best heuristic", "best known", "bound"]
            heads += [f"headroom over {report.zero}", "known of it"]
            lines += [f"`{env_id}`, score a slot over episodes of {slots} slots, mean [95 %]:", ""]
            lines += [*markdown_table(heads, table), "", f"Bounds: {'; '.join(sorted(proofs))}.", ""]
        played += scenarios
    write_study(settings.out, rows, manifest(*played), "\n".join(lines))


def line(env_id: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Table cells of one preset."""
    names = dict.fromkeys(row["agent"] for row in rows)
    scores = {name: np.array([row["score"] for row in rows if row["agent"] == name]) for name in names}
    zero = scores[ENV_SETTINGS[env_id].zero]
    bound = np.array([row["bound"] for row in rows[: len(zero)]])
    best = max((name for name in scores if name != KNOWN), key=lambda name: scores[name].mean())
    known = np.max(list(scores.values()), axis=0)
    return [
        f"`{rows[0]['scenario']}`",
        str(mean_interval(scores["random"])),
        str(mean_interval(zero)),
        f"{best} {mean_interval(scores[best])}",
        str(mean_interval(known)),
        str(mean_interval(bound)),
        f"{ratio_interval(bound - zero, np.abs(bound)):.1%}",  # relative to the size of the bound
        f"{ratio_interval(known - zero, bound - zero):.1%}",
    ]


if __name__ == "__main__":
    main(tyro.cli(Headroom))
