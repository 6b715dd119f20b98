"""Shipped agents and heuristics on held-out episodes, for several numbers of servers: the README's table.

python -m benchmarks.table --out docs/results
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

import agents
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_rows
from benchmarks.statistics import ranking
from dtenv import presets

ENV_ID = "DTAssociation-v0"


@dataclass
class Table:
    """Settings of the table."""

    scenario: str = "balanced"
    """name of a preset"""
    servers: tuple[int, ...] = (9, 15, 21)
    """numbers of servers, S"""
    agents: tuple[str, ...] = (*agents.HEURISTICS, *agents.LEARNERS)
    """heuristics and learners by name; learners by their shipped checkpoints"""
    episodes: int = 40
    """held-out episodes for each agent and number of servers"""
    num_slots: int = 60
    """slots of an episode"""
    out: Path = Path("runs/table")
    """where to write"""


def main(table: Table) -> None:
    """Run everything and write rows, manifest and a Markdown table."""
    seeds = list(EVALUATION_SEEDS[: table.episodes])
    rows, lines = [], []
    cells = [(servers, name) for servers in table.servers for name in table.agents]
    for servers, name in tqdm(cells, desc="held-out episodes", unit="agent"):
        scenario = presets.resolve(table.scenario, num_servers=servers, num_slots=table.num_slots)
        rows += run_episodes(agents.load(name, ENV_ID, scenario=scenario), ENV_ID, scenario, seeds)
    for servers in table.servers:
        own = [row for row in rows if row["num_servers"] == servers]
        lines += [
            f"`{table.scenario}`, S = {servers}, {table.episodes} held-out episodes of {table.num_slots} slots:",
            "",
            "| agent | score a slot [95 %] | paired, minus hysteresis | raw energy | twins moved | slots broken |",
            "|---|---|---|---:|---:|---:|",
        ]
        for line in ranking(own, reference="hysteresis"):
            difference = "" if line["agent"] == "hysteresis" else f"{line['difference']:+.4f}"
            lines.append(
                f"| {line['agent']} | {line['score']} | {difference} | {line['energy']:,.0f} "
                f"| {line['migrations']:.2f} | {line['violation_rate']:.1%} |"
            )
        lines.append("")
    record = manifest(presets.resolve(table.scenario), servers=table.servers, episodes=table.episodes)
    table.out.mkdir(parents=True, exist_ok=True)
    write_rows(table.out / "rows.csv", rows)
    (table.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    (table.out / "table.md").write_text("\n".join(lines))
    print("\n".join(lines))
    print(f"written to {table.out}/")


if __name__ == "__main__":
    main(tyro.cli(Table))
