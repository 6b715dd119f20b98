"""What a forecast is worth to DTMigration-v0, in return: to a planner by horizon, and to a learner that observes it.

python -m benchmarks forecast-value --cases waypoint --out docs/results/forecast-value
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import agents
from agents.heuristics.migration_planner import Planner
from benchmarks.evaluate import manifest, run_episodes
from benchmarks.forecast_value.cases import ENV_ID, HORIZON, Case, habits, kaist, unfold, waypoint
from benchmarks.forecast_value.forecasters import (
    NETWORKS,
    ORACLES,
    TABLES,
    Made,
    Remembered,
    accuracy,
    networks,
    table_or_oracle,
)
from benchmarks.forecast_value.tables import draw, tables
from benchmarks.suites.suite import HELD_OUT
from dtenv.oracle import episode_bound
from dtenv.reporting import jsonl
from dtenv.scenario import MigrationScenario

CASES = ("waypoint", "kaist", "habits", "kaist-seconds", "habits-seconds")
PRICES = {"kaist": 1.0, "habits": 0.3}
"""Of a migration in slots, over the preset's; elsewhere it takes as many seconds."""
OF_WALKS = ("kaist", "kaist-seconds")
SHORT = ("none", "constant velocity", "Markov", "hour-Markov", "oracle: station", "oracle: all")
"""Forecasters where a migration costs next to nothing; neither networks nor learners are asked there."""
KEY = ("case", "agent", "forecaster", "horizon", "seed")
"""What tells rows apart."""
RECORDED = 32
"""Episodes that a learner records at once: half of its recipe's, for more gradient steps in the same time."""
STEPS = (1, 5, 10, 20)
"""Slots ahead whose accuracy is kept."""


@dataclass
class ForecastValue:
    """Settings of the benchmark."""

    cases: tuple[str, ...] = tuple(name for name in CASES if name not in OF_WALKS)
    """of "waypoint"; "kaist" and "kaist-seconds", which need sites and trace; "habits" and "habits-seconds\""""
    sites: Path | None = None
    """file of station sites, for "kaist\""""
    trace: Path | None = None
    """file of recorded walks, for "kaist\""""
    slot_seconds: float = 10.0
    """of "kaist\""""
    apart_m: float = 300.0
    """between the sites of "kaist\""""
    window_m: float = 1400.0
    """side of the square of "kaist\""""
    episodes: int = 100
    """held-out episodes"""
    horizons: tuple[int, ...] = (1, 2, 5, 10, 15, 20)
    """of the planner"""
    forecasters: tuple[str, ...] = (*ORACLES, *TABLES)
    """that the planner gets"""
    networks: tuple[str, ...] = tuple(NETWORKS)
    """trained forecasters that it gets too; none in "waypoint\""""
    clients: int | None = 24
    """of federations where users are strangers; elsewhere every user is one"""
    learners: tuple[str, ...] = ("none", "constant velocity", "hour-Markov", "oracle: station", "oracle: all")
    """forecasters that learners observe, one after another; of NETWORKS those of the first seed"""
    seeds: int = 5
    """of learners, and of trained forecasters"""
    steps: int = 128_000
    """slots that a learner records, of 32 episodes at once"""
    out: Path = Path("runs/forecast-value")
    """folder to write to, or to go on with"""


def main(settings: ForecastValue) -> None:
    """Measure what is not in the folder's rows yet, row after row; then write tables, picture and manifest.

    Raises:
        ValueError: a case, forecaster or network that is not known, or a horizon beyond 1 … 20.
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
    """Enter a run into the folder's manifest, beside those before it that had other settings."""
    path = settings.out / "manifest.json"
    told = dataclasses.asdict(settings)
    told |= {name: value.name for name, value in told.items() if isinstance(value, Path)}
    told = json.loads(json.dumps(told))
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    if all(run["settings"] != told for run in runs):
        about = manifest(*scenarios, command="python -m benchmarks forecast-value", settings=told)
        path.write_text(json.dumps({"runs": [*runs, about]}, indent=1, default=str) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none if there is no such file; of rows that two runs made at once, the first."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in jsonl.read(path):
        found.setdefault(tuple(row[name] for name in KEY), row)
    return sorted(found.values(), key=lambda row: CASES.index(row["case"]))


def check(settings: ForecastValue) -> None:
    """Refuse names that are not known."""
    known = (*ORACLES, *TABLES)
    rows = tuple(name for names in NETWORKS.values() for name in names)
    for field, given, allowed in (
        ("cases", settings.cases, CASES),
        ("forecasters", settings.forecasters, known),
        ("networks", settings.networks, tuple(NETWORKS)),
        ("learners", settings.learners, (*known, *rows)),
        ("horizons", settings.horizons, range(1, HORIZON + 1)),
    ):
        for i, value in enumerate(given):
            if value not in allowed:
                raise ValueError(f"{field}[{i}] must be one of {', '.join(map(str, allowed))}, got {value!r}")
    for i, name in enumerate(settings.cases):
        for field in ("sites", "trace"):
            if name in OF_WALKS and getattr(settings, field) is None:
                raise ValueError(f"{field} must be a file where cases[{i}] is {name!r}, got None")
    if settings.episodes < 2 or settings.seeds < 1:
        raise ValueError(f"episodes must be at least 2 and seeds 1, got {settings.episodes} and {settings.seeds}")


def make(name: str, settings: ForecastValue) -> Case:
    """A case by its name."""
    if name == "waypoint":
        return waypoint()
    if name.startswith("habits"):
        return habits(PRICES.get(name))
    assert settings.sites is not None and settings.trace is not None  # by check
    return kaist(
        settings.sites, settings.trace, settings.slot_seconds, settings.apart_m, settings.window_m, PRICES.get(name)
    )


def measure(case: Case, settings: ForecastValue, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a case that are not there yet."""
    done = {(row["agent"], row["forecaster"], row["horizon"], row["seed"]) for row in rows if row["case"] == case.name}
    seeds = list(HELD_OUT[: settings.episodes])
    episodes: list[Any] = []

    def unfolded() -> list[Any]:
        if not episodes:
            episodes.extend(unfold(case.scored, seeds))
        return episodes

    short = case.name == "habits-seconds"
    for agent in ("never", "best-latency", "payback", "lookahead", "bound"):
        if (agent, None, None, None) not in done:
            row = {"case": case.name, "title": case.title, "agent": agent, "forecaster": None, "horizon": None}
            row |= {"seed": None, "scores": reference(agent, case.scored, seeds)}
            if agent == "never":
                row["clusters"] = [i if case.cluster is None else case.cluster(e) for i, e in enumerate(unfolded())]
            yield row
    bar = tqdm(desc=case.name, unit="row")
    for name in settings.forecasters:
        if (short and name not in SHORT) or (name == "hour-Markov" and case.known is None):
            continue
        if any(("planner", name, h, None) not in done for h in settings.horizons):
            yield from counted(bar, planned(case, table_or_oracle(case, name), settings, seeds, unfolded(), done))
    kept: dict[str, Made] = {}
    for model in settings.networks if case.history == "access" and not short else ():
        for seed in range(1, settings.seeds + 1):
            wanted = [name for name in NETWORKS[model] if name in settings.learners and seed == 1]
            todo = [
                name for name in NETWORKS[model] for h in settings.horizons if ("planner", name, h, seed) not in done
            ]
            learning = any(
                ("learner", name, HORIZON, s + 1) not in done for name in wanted for s in range(settings.seeds)
            )
            if not todo and not learning:
                continue
            clients = None if case.known is not None else settings.clients
            for made in networks(case, model, seed, clients):
                if made.name in wanted:
                    kept[made.name] = made
                yield from counted(bar, planned(case, made, settings, seeds, unfolded(), done))
    for name in settings.learners if not short else ():
        todo = [s for s in range(1, settings.seeds + 1) if ("learner", name, HORIZON, s) not in done]
        if not todo or (name not in kept and name not in (*ORACLES, *TABLES)):
            continue
        made = kept.get(name) or table_or_oracle(case, name)
        for seed in todo:
            yield from counted(bar, [learned(case, made, settings.steps, seed, seeds)])
    bar.close()


def counted(bar: Any, rows: Any) -> Iterator[dict[str, Any]]:
    """Rows, shown by a bar."""
    for row in rows:
        bar.set_postfix_str(f"{row['agent']}, {row['forecaster']}")
        bar.update()
        yield row


def reference(agent: str, scenario: MigrationScenario, seeds: Sequence[int]) -> list[float]:
    """Scores of an agent that is told nothing, or the proven bound."""
    if agent == "bound":
        return rounded([episode_bound(ENV_ID, scenario, seed).bound for seed in seeds])
    policy = agents.load(agent, ENV_ID, scenario=scenario)
    return rounded([row["score"] for row in run_episodes(policy, ENV_ID, scenario, seeds)])


def planned(
    case: Case, made: Made, settings: ForecastValue, seeds: Sequence[int], episodes: list[Any], done: set[Any]
) -> Iterator[dict[str, Any]]:
    """The planner's rows with a forecaster, by horizon; the first tells how often it is right."""
    assert isinstance(made.forecaster, Remembered)
    scenario = case.scored.override(forecaster=made.forecaster.told())
    told = accuracy(made.forecaster, episodes, STEPS) | {"epsilon": made.epsilon}
    for horizon in settings.horizons:
        if ("planner", made.name, horizon, made.seed) in done:
            continue
        found = run_episodes(Planner(scenario, horizon), ENV_ID, scenario, seeds)
        row = {"case": case.name, "agent": "planner", "forecaster": made.name, "horizon": horizon, "seed": made.seed}
        moves = float(np.mean([f["migrations"] * f["slots"] for f in found]))
        yield row | {"scores": rounded([f["score"] for f in found]), "migrations": round(moves, 2)} | told


def learned(case: Case, made: Made, steps: int, seed: int, seeds: Sequence[int]) -> dict[str, Any]:
    """The row of a learner that observes a forecaster's forecasts."""
    import torch

    from agents.hindsight import Args, train

    assert isinstance(made.forecaster, Remembered)
    torch.set_num_threads(1)
    start, told = time.perf_counter(), made.forecaster.told()
    args = Args(network="foreseeing", total_steps=steps, num_envs=RECORDED, seed=seed, threads=1)
    policy = train(args, scenario=case.training.override(forecaster=told))
    found = run_episodes(policy, ENV_ID, case.scored.override(forecaster=told), seeds)
    row = {"case": case.name, "agent": "learner", "forecaster": made.name, "horizon": HORIZON, "seed": seed}
    row |= {"scores": rounded([f["score"] for f in found]), "seconds": round(time.perf_counter() - start, 1)}
    moves = float(np.mean([f["migrations"] * f["slots"] for f in found]))
    return row | {"migrations": round(moves, 2), "steps": steps}


def rounded(scores: Sequence[float]) -> list[float]:
    """Scores to five decimals, for files that one can read."""
    return [round(float(score), 5) for score in scores]
