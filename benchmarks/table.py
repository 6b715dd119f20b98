"""Shipped agents and heuristics on held-out episodes of several presets or sizes: the published tables.

python -m benchmarks.table --out benchmarks/results/balanced
python -m benchmarks.table --env-id DTPlacementMA-v0 --out benchmarks/results/placement
python -m benchmarks.table --env-id DTMigration-v0 --out benchmarks/results/migration
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

import agents
from benchmarks.bounds import bound_rows
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, run_episodes, write_study
from benchmarks.statistics import mean_interval, paired, ranking
from dtenv import presets
from dtenv.reporting.markdown import markdown_table
from dtenv.scenario import Scenario


@dataclass
class Table:
    """Settings of the table; defaults are those of the environment's published one."""

    env_id: Literal["DTAssociation-v0", "DTPlacementMA-v0", "DTMigration-v0"] = "DTAssociation-v0"
    """the environment"""
    scenarios: tuple[str, ...] = ()
    """names of presets"""
    servers: tuple[int, ...] = ()
    """numbers of servers or stations, each with every preset"""
    agents: tuple[str, ...] = ()
    """names of heuristics, and of learners with a shipped policy; by default all"""
    episodes: int | None = None
    """held-out episodes of every agent on every scenario"""
    num_slots: int | None = None
    """slots of an episode"""
    bounds: bool = True
    """whether to bound every episode"""
    known_bounds: Path | None = None
    """rows.csv of an earlier table, whose bounds are reused: proofs take most of the time"""
    out: Path = Path("runs/table")
    """folder to write to"""

    def cells(self) -> list[Scenario]:
        """Scenarios in the table's order."""
        report, found = ENV_SETTINGS[self.env_id], []
        slots = {} if self.num_slots is None else {"num_slots": self.num_slots}
        for name in self.scenarios or report.table_scenarios:
            preset = presets.resolve(name, self.env_id, **{**report.overrides, **slots})
            for sites in self.servers or report.table_sites:
                found.append(preset if sites is None else preset.override(**{preset.SITES: sites}))
        return found


def main(table: Table) -> None:
    """Run all agents on all scenarios and write rows, manifest and a Markdown table."""
    report, env_id, cells = ENV_SETTINGS[table.env_id], table.env_id, table.cells()
    names = {cell: table.agents or (*agents.HEURISTICS[env_id], *agents.shipped(env_id, cell.name)) for cell in cells}
    seeds = list(EVALUATION_SEEDS[: table.episodes or report.table_episodes])
    rows, lines = [], []
    with tqdm(total=sum(map(len, names.values())), desc="held-out episodes", unit="agent") as bar:
        for scenario in cells:
            own = []
            for name in names[scenario]:
                own += run_episodes(agents.load(name, env_id, scenario=scenario), env_id, scenario, seeds)
                bar.update()
            bound = bound_rows(env_id, scenario, seeds, own, table.known_bounds) if table.bounds else ""
            title = f"`{scenario.name}`"
            if table.servers or report.table_sites != (None,):
                title += f", {report.sites[0]} = {scenario.num_sites}"
            lines += [f"{title}, {len(seeds)} held-out episodes of {scenario.value('num_slots')} slots:", ""]
            lines += [*markdown(env_id, own), ""]
            lines += [bound, ""] if bound else []
            rows += own
    write_study(table.out, rows, manifest(*cells, episodes=len(seeds)), "\n".join(lines))


def markdown(env_id: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of one scenario's table, best score first."""
    report = ENV_SETTINGS[env_id]
    reference = report.reference
    ratio = report.ratio if report.ratio and any(row["agent"] == report.ratio[1] for row in rows) else None
    ranked = ranking(rows, reference, report.figures, report.zero)
    heads = ["agent", "score a slot [95 %]", f"paired, minus {reference}"]
    if ratio:
        head = next(figure.head for figure in report.figures if figure.column == ratio[0])
        heads.append(f"{head} / {ratio[1]}'s")
    if "gap_to_bound" in ranked[0]:
        heads.append(f"gap to bound (0 {report.zero}, 1 bound)")
    heads += [figure.head for figure in report.figures]
    table = []
    for line in ranked:
        agent = line["agent"]
        cells = [agent, str(line["score"]), "" if agent == reference else f"{line['difference']:+.4f}"]
        if ratio:
            column, best = ratio
            cells.append("" if agent == best else f"{mean_interval(np.divide(*paired(rows, agent, best, column))):.3f}")
        if "gap_to_bound" in line:
            cells.append(f"{line['gap_to_bound']:.3f}")
        cells += [format(line[figure.column], figure.spec) for figure in report.figures]
        table.append(cells)
    return markdown_table(heads, table, right=len(report.figures))


if __name__ == "__main__":
    main(tyro.cli(Table))
