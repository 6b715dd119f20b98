"""Optima of single slots: remaining gap and seconds of their proofs.

python -m benchmarks.optima --out benchmarks/results/optima
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from tqdm import tqdm

import agents
from benchmarks.evaluate import EVALUATION_SEEDS, manifest, write_study
from dtenv import presets
from dtenv.oracle import Solution, check_bound
from dtenv.oracle.association import solve_slot as solve_association
from dtenv.oracle.placement import solve_slot as solve_placement
from dtenv.oracle.replay import replay
from dtenv.reporting.markdown import markdown_table
from dtenv.scenario import Scenario

PLAYERS = {"DTAssociation-v0": ("nearest", "hysteresis", "local-search"), "DTPlacementMA-v0": ("nearest",)}
"""Agents that are played up to the slots that are solved."""

CLOSED = 1e-8
"""Gap that counts as closed where "nearest" is optimal: the allocation's certificate leaves as much open."""

EVERY = 4
"""Every fourth slot is solved."""


@dataclass
class Optima:
    """Settings of the table."""

    episodes: int = 4
    """held-out episodes of every agent that is played"""
    num_slots: int = 12
    """slots of an episode, of which every fourth is solved"""
    time_limit: float = 10.0
    """seconds for an association; a placement gets three times that"""
    servers: tuple[int, ...] = (9, 15, 21)
    """numbers of servers of `balanced`"""
    placements: tuple[str, ...] = ("paper-80x5", "paper-100x10")
    """presets of placement"""
    out: Path = Path("runs/optima")
    """folder to write to"""


def main(settings: Optima) -> None:
    """Solve slots, and write rows, manifest and a Markdown table."""
    associations = [presets.resolve("balanced", num_servers=s, num_slots=settings.num_slots) for s in settings.servers]
    placements = [
        presets.resolve(name, "DTPlacementMA-v0", num_slots=settings.num_slots, action="association")
        for name in settings.placements
    ]
    rows = []
    for scenario in associations:
        for about, task, nearest in slots("DTAssociation-v0", scenario, settings):
            solution = solve_association(task.constants[0], task.slot(), time_limit=settings.time_limit)
            rows.append(row_of(about, "", solution, nearest))
    for scenario in placements:
        for about, task, nearest in slots("DTPlacementMA-v0", scenario, settings):
            for deadlines in ("ignore", "penalised", "hard"):
                limit = 3.0 * settings.time_limit
                solution = solve_placement(task.constants[0], task.slot(), deadlines=deadlines, time_limit=limit)
                rows.append(row_of(about, deadlines, solution, nearest))
    write_study(settings.out, rows, manifest(*associations, *placements), "\n".join(markdown(rows)) + "\n")


def slots(env_id: str, scenario: Scenario, settings: Optima) -> Iterator[tuple[dict[str, Any], Any, float]]:
    """Yield every fourth slot of agents' episodes: scenario, seed and slot, the task, and the score of "nearest"."""
    env: Any = gym.make(env_id, scenario=scenario).unwrapped
    nearest = agents.load("nearest", env_id, scenario=scenario)
    played = [(name, seed) for name in PLAYERS[env_id] for seed in EVALUATION_SEEDS[: settings.episodes]]
    for name, seed in tqdm(played, desc=f"{scenario.name}, {scenario.num_sites}", unit="episode"):
        policy = agents.load(name, env_id, scenario=scenario)
        obs, _ = env.reset(seed=seed)
        for t in range(settings.num_slots):
            if t % EVERY == 0:
                about = {"scenario": scenario.name, "sites": scenario.num_sites, "deadlines": "", "seed": seed}
                yield about | {"slot": t + 1}, env.task, replay(env.task, 0, [nearest.act(obs)])[0]
            obs, *_ = env.step(policy.act(obs))


def row_of(about: dict[str, Any], deadlines: str, solution: Solution, nearest: float) -> dict[str, Any]:
    """Row of a solved slot."""
    if deadlines in ("", "penalised"):  # whose value is the score
        check_bound(nearest, solution.bound, "nearest")
    return {
        **about,
        "deadlines": deadlines,
        "value": solution.value,
        "bound": solution.bound,
        "nearest": nearest,
        "gap": solution.gap,
        "gap_of_spread": solution.gap / (solution.value - nearest) if solution.value > nearest else np.nan,
        "gap_of_value": solution.gap / abs(solution.value),
        "seconds": solution.seconds,
        "proof": solution.proof,
    }


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """Table with one line per scenario, size and treatment of deadlines."""
    heads = ["slots", "", "solved", "gap of value: median", "90 %", "largest", "gap ≤ 1 % of spread"]
    heads += ["s: median", "90 %", "most"]
    table = []
    for kind in dict.fromkeys((row["scenario"], row["sites"], row["deadlines"]) for row in rows):
        scenario, sites, deadlines = kind
        own = [row for row in rows if (row["scenario"], row["sites"], row["deadlines"]) == kind]
        gaps = [row["gap_of_value"] for row in own if np.isfinite(row["value"])]
        seconds = [row["seconds"] for row in own]
        close = np.mean([row["gap"] <= max(0.01 * (row["value"] - row["nearest"]), CLOSED) for row in own])
        infeasible = sum("infeasible" in row["proof"] for row in own)
        counts = {"infeasible": infeasible, "open": len(own) - len(gaps) - infeasible}
        notes = ", ".join(f"{count} {name}" for name, count in counts.items() if count > 0)
        cells = [f"`{scenario}`", f"deadlines: {deadlines}"] if deadlines else [f"`{scenario}`, S = {sites}", "score"]
        cells.append(f"{len(own)} ({notes})" if notes else f"{len(own)}")
        cells += [f"{np.quantile(gaps, q):.1e}" for q in (0.5, 0.9, 1.0)]
        cells.append(f"{close:.0%}" if deadlines in ("", "penalised") else "")
        cells += [f"{np.quantile(seconds, q):.2f}" for q in (0.5, 0.9, 1.0)]
        table.append(cells)
    lines = markdown_table(heads, table, right=len(heads) - 2)
    return [*lines, "", "Spread: from what `nearest` scores in the slot to the best found."]


if __name__ == "__main__":
    main(tyro.cli(Optima))
