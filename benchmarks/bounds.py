"""Proven bounds on the score of any policy in an episode, computed in parallel."""

from __future__ import annotations

import csv
import io
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

from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import cores
from benchmarks.statistics import mean_interval
from dtenv.oracle import Solution, check_bound, episode_bound
from dtenv.reporting.compressed import read_text
from dtenv.scenario import Scenario

FEW = 3
"""Number of episodes up to which bounds are computed one by one: starting processes takes seconds."""


def episode_bounds(env_id: str, scenario: Scenario, seeds: Sequence[int], **settings: Any) -> list[Solution]:
    """Return the clairvoyant bound of each seed's episode.

    `settings` are those of the environment's solve_episode, in addition to `bound` of benchmarks.env_settings.
    """
    solve = partial(episode_bound, env_id, scenario, **{**ENV_SETTINGS[env_id].bound, **settings})
    bar = partial(tqdm, total=len(seeds), desc="bounds", unit="episode", leave=False)
    if len(seeds) <= FEW or cores() == 1:
        return [solve(seed) for seed in bar(seeds)]
    # Spawned, not forked: the child of a process with threads may wait forever for a lock that one of them held.
    with ProcessPoolExecutor(min(cores(), len(seeds)), multiprocessing.get_context("spawn")) as pool:
        return list(bar(pool.map(solve, seeds)))


def add_bounds(rows: Sequence[dict[str, Any]], seeds: Sequence[int], solutions: Sequence[Solution]) -> None:
    """Add a column "bound" to rows, None where the seed's episode has no bound.

    Raises:
        BoundExceeded: an agent scored more than a proven bound, which is a bug in dtenv.
    """
    bounds = {seed: solution.bound for seed, solution in zip(seeds, solutions, strict=False)}
    for row in rows:
        row["bound"] = bounds.get(row["seed"])
        if row["bound"] is not None:
            check_bound(row["score"], row["bound"], f"{row['agent']} on seed {row['seed']} of {row['scenario']}")


def known_bounds(path: Path, scenario: Scenario, seeds: Sequence[int]) -> list[Solution]:
    """Read the bounds of the first seeds' episodes from the rows.csv of an earlier table.

    The table.md next to it names the proof. Of the scenario, its name and sizes are compared.

    Raises:
        ValueError: the file has no bound for the first seed.
    """
    sizes = [str(scenario.value("num_users")), str(scenario.num_sites), str(scenario.value("num_slots"))]
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    own = [row for row in rows if row["scenario"] == scenario.name and row.get("bound")]
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
    """Bound the first `bound_episodes` of the seeds, add the bounds to the rows and return the table's line on them.

    With `known`, the rows.csv of an earlier table, its bounds are used instead of new proofs.
    """
    seeds = seeds[: ENV_SETTINGS[env_id].bound_episodes]
    solutions = episode_bounds(env_id, scenario, seeds) if known is None else known_bounds(known, scenario, seeds)
    add_bounds(rows, seeds, solutions)
    return bound_line([solution.bound for solution in solutions], sorted({solution.proof for solution in solutions}))


def bound_line(bounds: Sequence[float], proofs: Sequence[str]) -> str:
    """Line below a table: mean bound, number of episodes and proofs."""
    mean = mean_interval(bounds)
    return f"Proven bound of any policy, over {len(bounds)} episodes: {mean}. Proof: {'; '.join(proofs)}."
