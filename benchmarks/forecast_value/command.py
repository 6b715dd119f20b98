"""Value of forecasts to DTMigration-v0 in return: to a planner, by horizon, and to a learner that observes them.

python -m benchmarks forecast-value --cases waypoint --out benchmarks/results/forecast-value
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import agents
from agents.heuristics.migration_planner import Planner
from agents.policy import Policy
from benchmarks.evaluate import manifest, run_episodes
from benchmarks.forecast_value.cases import ENV_ID, HORIZON, Case, exogenous_episodes, habits, kaist, waypoint
from benchmarks.forecast_value.forecasters import NETWORKS, ORACLES, TABLES, Made, accuracy, networks, table_or_oracle
from benchmarks.forecast_value.tables import draw, tables
from benchmarks.suites.suite import HELD_OUT
from dtenv.oracle import episode_bound
from dtenv.reporting import jsonl
from dtenv.scenario import MigrationScenario

CASES = ("waypoint", "kaist", "habits", "kaist-seconds", "habits-seconds")
PRICES = {"kaist": 1.0, "habits": 0.3}
"""Price of a migration in slots, relative to the preset's; in other cases it takes the preset's seconds."""
OF_WALKS = ("kaist", "kaist-seconds")
SHORT = ("none", "constant velocity", "Markov", "hour-Markov", "oracle: station", "oracle: all")
"""Forecasters where a migration costs next to nothing; networks and learners are skipped there."""
KEY = ("case", "agent", "forecaster", "horizon", "seed")
"""Columns that identify a row."""
RECORDED = 32
"""Episodes that a learner records at once: half of its recipe's, for more gradient steps in the same time."""
STEPS = (1, 5, 10, 20)
"""Slots ahead at which accuracy is stored."""


@dataclass
class ForecastValue:
    """Settings of the benchmark."""

    cases: tuple[str, ...] = tuple(name for name in CASES if name not in OF_WALKS)
    """among "waypoint"; "kaist" and "kaist-seconds", which need sites and trace; "habits" and "habits-seconds\""""
    sites: Path | None = None
    """file of station sites, for "kaist\""""
    trace: Path | None = None
    """file of recorded walks, for "kaist\""""
    slot_seconds: float = 10.0
    """seconds per slot of "kaist\""""
    apart_m: float = 300.0
    """least distance between the sites of "kaist", metres"""
    window_m: float = 1400.0
    """side of the square of "kaist", metres"""
    episodes: int = 100
    """held-out episodes"""
    horizons: tuple[int, ...] = (1, 2, 5, 10, 15, 20)
    """horizons of the planner"""
    forecasters: tuple[str, ...] = (*ORACLES, *TABLES)
    """forecasters for the planner"""
    networks: tuple[str, ...] = tuple(NETWORKS)
    """trained forecasters for the planner; none in "waypoint\""""
    clients: int | None = 24
    """clients of a federation where users are unknown; elsewhere every user is a client"""
    learners: tuple[str, ...] = ("none", "constant velocity", "hour-Markov", "oracle: station", "oracle: all")
    """forecasters that learners observe, one after another; of NETWORKS those of the first seed"""
    seeds: int = 5
    """trainings of each learner and of each trained forecaster"""
    steps: int = 128_000
    """slots that a learner records, from 32 episodes at once"""
    out: Path = Path("runs/forecast-value")
    """folder to write to, or to resume"""


def main(settings: ForecastValue) -> None:
    """Measure and store the rows that the folder lacks, one by one; then write tables, picture and manifest.

    Raises:
        ValueError: unknown case, forecaster or network, or a horizon outside 1 … 20.
        FileNotFoundError: no data for "kaist".
    """
    check(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    path = settings.out / "rows.jsonl"
    rows = read(path)
    cases = [make(name, settings) for name in settings.cases]
    note(settings, [case.scored for case in cases])
    for case in cases:
        for row in measure(case, settings, rows):
            rows.append(row)
            jsonl.append(path, [row])
    rows = read(path)
    text = tables(rows)
    (settings.out / "table.md").write_text(text)
    draw(settings.out / "return-by-horizon.png", rows)
    print(text)
    print(f"written to {settings.out}/")


def note(settings: ForecastValue, scenarios: Sequence[MigrationScenario]) -> None:
    """Add a run to the folder's manifest, unless one with the same settings is there."""
    path = settings.out / "manifest.json"
    own = json.loads(json.dumps(dataclasses.asdict(settings), default=lambda path: path.name))
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    if all(run["settings"] != own for run in runs):
        about = manifest(*scenarios, command="python -m benchmarks forecast-value", settings=own)
        path.write_text(json.dumps({"runs": [*runs, about]}, indent=1, default=str) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a file, none if it does not exist; of rows that two runs measured at once, the first."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in jsonl.read(path):
        found.setdefault(tuple(row[name] for name in KEY), row)
    return sorted(found.values(), key=lambda row: CASES.index(row["case"]))


def check(settings: ForecastValue) -> None:
    """Raise ValueError for unknown names and numbers out of range."""
    known = (*ORACLES, *TABLES)
    allowed_values: dict[str, Sequence[Any]] = {
        "cases": CASES,
        "forecasters": known,
        "networks": tuple(NETWORKS),
        "learners": (*known, *(name for names in NETWORKS.values() for name in names)),
        "horizons": range(1, HORIZON + 1),
    }
    for field, allowed in allowed_values.items():
        for i, value in enumerate(getattr(settings, field)):
            if value not in allowed:
                raise ValueError(f"{field}[{i}] must be one of {', '.join(map(str, allowed))}, got {value!r}")
    for i, name in enumerate(settings.cases):
        for field in ("sites", "trace"):
            if name in OF_WALKS and getattr(settings, field) is None:
                raise ValueError(f"{field} must be a file where cases[{i}] is {name!r}, got None")
    if settings.episodes < 2 or settings.seeds < 1:
        raise ValueError(f"episodes must be at least 2 and seeds 1, got {settings.episodes} and {settings.seeds}")


def make(name: str, settings: ForecastValue) -> Case:
    """Build a case by its name."""
    if name == "waypoint":
        return waypoint()
    if name.startswith("habits"):
        return habits(PRICES.get(name))
    assert settings.sites is not None and settings.trace is not None  # by check
    return kaist(
        settings.sites, settings.trace, settings.slot_seconds, settings.apart_m, settings.window_m, PRICES.get(name)
    )


def measure(case: Case, settings: ForecastValue, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a case that are missing."""
    done = {(row["agent"], row["forecaster"], row["horizon"], row["seed"]) for row in rows if row["case"] == case.name}
    seeds = list(HELD_OUT[: settings.episodes])
    trainings = range(1, settings.seeds + 1)
    episodes = cache(lambda: exogenous_episodes(case.scored, seeds))
    short = case.name == "habits-seconds"
    for agent in ("never", "best-latency", "payback", "lookahead", "bound"):
        if (agent, None, None, None) not in done:
            row = {"case": case.name, "title": case.title, "agent": agent, "forecaster": None, "horizon": None}
            row |= {"seed": None, "scores": reference(agent, case.scored, seeds)}
            if agent == "never":
                row["clusters"] = [i if case.cluster is None else case.cluster(e) for i, e in enumerate(episodes())]
            yield row
    bar = tqdm(desc=case.name, unit="row")
    for name in settings.forecasters:
        if (short and name not in SHORT) or (name == "hour-Markov" and case.known is None):
            continue
        if any(("planner", name, h, None) not in done for h in settings.horizons):
            yield from counted(bar, planned(case, table_or_oracle(case, name), settings, seeds, episodes(), done))
    kept: dict[str, Made] = {}
    for model in settings.networks if case.history == "access" and not short else ():
        for seed in trainings:
            wanted = [name for name in NETWORKS[model] if name in settings.learners and seed == 1]
            due = {("planner", name, h, seed) for name in NETWORKS[model] for h in settings.horizons}
            due |= {("learner", name, HORIZON, s) for name in wanted for s in trainings}
            if due <= done:
                continue
            clients = None if case.known is not None else settings.clients
            for made in networks(case, model, seed, clients):
                if made.name in wanted:
                    kept[made.name] = made
                yield from counted(bar, planned(case, made, settings, seeds, episodes(), done))
    for name in settings.learners if not short else ():
        todo = [s for s in trainings if ("learner", name, HORIZON, s) not in done]
        if not todo or (name not in kept and name not in (*ORACLES, *TABLES)):
            continue
        made = kept.get(name) or table_or_oracle(case, name)
        for seed in todo:
            yield from counted(bar, [learned(case, made, settings.steps, seed, seeds)])
    bar.close()


def counted(bar: Any, rows: Any) -> Iterator[dict[str, Any]]:
    """Yield rows and advance a progress bar."""
    for row in rows:
        bar.set_postfix_str(f"{row['agent']}, {row['forecaster']}")
        bar.update()
        yield row


def reference(agent: str, scenario: MigrationScenario, seeds: Sequence[int]) -> list[float]:
    """Scores of an agent without forecasts, or the proven bound."""
    if agent == "bound":
        return [round(float(episode_bound(ENV_ID, scenario, seed).bound), 5) for seed in seeds]
    return played(agents.load(agent, ENV_ID, scenario=scenario), scenario, seeds)[0]


def played(policy: Policy, scenario: MigrationScenario, seeds: Sequence[int]) -> tuple[list[float], float]:
    """Scores of a policy's episodes, to five decimals, and the mean number of migrations."""
    rows = run_episodes(policy, ENV_ID, scenario, seeds)
    moves = float(np.mean([row["migrations"] * row["slots"] for row in rows]))
    return [round(float(row["score"]), 5) for row in rows], round(moves, 2)


def planned(
    case: Case, made: Made, settings: ForecastValue, seeds: Sequence[int], episodes: list[Any], done: set[Any]
) -> Iterator[dict[str, Any]]:
    """Yield the missing rows of the planner with a forecaster, by horizon, each with the forecaster's accuracy."""
    scenario = case.scored.override(forecaster=made.forecaster.served())
    about = accuracy(made.forecaster, episodes, STEPS) | {"epsilon": made.epsilon}
    for horizon in settings.horizons:
        if ("planner", made.name, horizon, made.seed) in done:
            continue
        scores, moves = played(Planner(scenario, horizon), scenario, seeds)
        row = {"case": case.name, "agent": "planner", "forecaster": made.name, "horizon": horizon, "seed": made.seed}
        yield row | {"scores": scores, "migrations": moves} | about


def learned(case: Case, made: Made, steps: int, seed: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Train a learner that observes a forecaster's forecasts, and return its row."""
    import torch

    from agents.hindsight import Args, train

    torch.set_num_threads(1)
    start, forecaster = time.perf_counter(), made.forecaster.served()
    args = Args(network="foreseeing", total_steps=steps, num_envs=RECORDED, seed=seed, threads=1)
    policy = train(args, scenario=case.training.override(forecaster=forecaster))
    scores, moves = played(policy, case.scored.override(forecaster=forecaster), seeds)
    row = {"case": case.name, "agent": "learner", "forecaster": made.name, "horizon": HORIZON, "seed": seed}
    seconds = round(time.perf_counter() - start, 1)
    return row | {"scores": scores, "seconds": seconds, "migrations": moves, "steps": steps}
