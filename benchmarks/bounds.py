"""Proven bounds of episodes, several at a time: what no policy's score can exceed on a seed."""

from __future__ import annotations

import csv
import itertools
import math
import multiprocessing
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.env_settings import REPORTS
from benchmarks.evaluate import cores
from benchmarks.statistics import mean_interval
from dtenv.oracle import Solution, check_bound, episode_bound
from dtenv.scenario import Scenario

FEW = 3
"""Episodes that are bounded one by one: starting processes takes seconds."""


def episode_bounds(env_id: str, scenario: Scenario, seeds: Sequence[int], **settings: Any) -> list[Solution]:
    """The clairvoyant bound of every seed's episode, in the seeds' order.

    Args:
        env_id: the environment.
        scenario: what is fixed.
        seeds: one an episode.
        **settings: of the environment's solve_episode, beside those of benchmarks.env_settings.
    """
    solve = partial(episode_bound, env_id, scenario, **{**REPORTS[env_id].bound, **settings})
    bar = partial(tqdm, total=len(seeds), desc="bounds", unit="episode", leave=False)
    if len(seeds) <= FEW or cores() == 1:
        return [solve(seed) for seed in bar(seeds)]
    # Not forked: a child of a process with threads may wait for ever for a lock that one of them held.
    with ProcessPoolExecutor(min(cores(), len(seeds)), multiprocessing.get_context("spawn")) as pool:
        return list(bar(pool.map(solve, seeds)))


def add_bounds(rows: Sequence[dict[str, Any]], seeds: Sequence[int], solutions: Sequence[Solution]) -> None:
    """Enter the bound of every row into its column "bound", None where its seed's episode has none.

    Raises:
        BoundExceeded: an agent scored more than a proven bound: an error of dtenv's.
    """
    bounds = {seed: solution.bound for seed, solution in zip(seeds, solutions, strict=False)}
    for row in rows:
        row["bound"] = bounds.get(row["seed"])
        if row["bound"] is not None:
            check_bound(row["score"], row["bound"], f"{row['agent']} on seed {row['seed']} of {row['scenario']}")


def known_bounds(path: Path, scenario: Scenario, seeds: Sequence[int]) -> list[Solution]:
    """Bounds of the first seeds' episodes that were proven before, as the rows of a table have them.

    Args:
        path: rows.csv of a table of the same scenario, whose table.md lies beside it and names the proof; what is
            checked of the scenario is its name and its sizes.
        scenario: what is fixed.
        seeds: one an episode.

    Raises:
        ValueError: the file has no bound for the first of the seeds.
    """
    sizes = [str(scenario.value("num_users")), str(scenario.num_sites), str(scenario.value("num_slots"))]
    with path.open(newline="") as file:
        own = [row for row in csv.DictReader(file) if row["scenario"] == scenario.name and row.get("bound")]
    own = [row for row in own if [row["num_users"], row["num_servers"], row["slots"]] == sizes]
    bounds = {int(row["seed"]): float(row["bound"]) for row in own}
    first = list(itertools.takewhile(bounds.__contains__, seeds))
    if not first:
        raise ValueError(f"{str(path)!r} has no bound of {scenario.name!r} ({', '.join(sizes)}) on seed {seeds[0]}")
    proofs = set(re.findall(r"Proof: (.*)\.", path.with_name("table.md").read_text()))
    return [Solution(None, -math.inf, bounds[seed], "; ".join(sorted(proofs)), 0.0) for seed in first]


def bound_rows(
    env_id: str, scenario: Scenario, seeds: Sequence[int], rows: Sequence[dict[str, Any]], known: Path | None = None
) -> str:
    """Bound as many of the seeds' episodes as benchmarks.env_settings asks for, and enter the bounds into the rows.

    Args:
        env_id: the environment.
        scenario: what is fixed.
        seeds: one an episode.
        rows: of all agents.
        known: rows with bounds that were proven before, in place of new proofs.

    Returns:
        One line on the mean bound, its episodes and its proof.
    """
    seeds = seeds[: REPORTS[env_id].bound_episodes]
    solutions = episode_bounds(env_id, scenario, seeds) if known is None else known_bounds(known, scenario, seeds)
    seeds = seeds[: len(solutions)]
    add_bounds(rows, seeds, solutions)
    return bound_line([solution.bound for solution in solutions], sorted({solution.proof for solution in solutions}))


def bound_line(bounds: Sequence[float], proofs: Sequence[str]) -> str:
    """What tables say of bounds."""
    mean = mean_interval(bounds)
    return f"Proven bound of any policy, over {len(bounds)} episodes: {mean}. Proof: {'; '.join(proofs)}."
