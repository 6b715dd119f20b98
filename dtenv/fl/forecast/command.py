"""python -m dtenv.fl forecast: how well cells are forecast, the free baselines always beside the networks."""

from __future__ import annotations

import json
import math
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import dtenv
from dtenv.fl.forecast.federation import Rounds
from dtenv.fl.forecast.roster import DEFAULT, FREE, MODELS, Recipe
from dtenv.fl.forecast.rows import Row, read_rows
from dtenv.fl.forecast.source import Source
from dtenv.fl.forecast.table import draw, table
from dtenv.fl.forecast.training import Optimisation
from dtenv.fl.forecast.trunks import TRUNKS
from dtenv.forecasting import CellTraces, later_part, score, windows
from dtenv.reporting import jsonl


@dataclass
class Forecast:
    """Settings of the table."""

    data: str = "epr"
    """"epr", users who explore and return; or a file or folder of traces"""
    sites: str = "grid"
    """"grid", a hexagonal one; a file of sites; or "own", the stations that recorded sessions name"""
    slots: str = "hourly"
    """"hourly", "sessions" (records), or seconds"""
    models: tuple[str, ...] = DEFAULT
    """networks (trs-pre, lstm, …; with -class those that classify), local, federated, garbage, private"""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """each with users, weights and batches of its own"""
    users: int = 30
    """of a file with more, each seed draws as many"""
    days: int = 28
    """of users who explore and return"""
    side_m: float = 10000.0
    """square that holds the grid"""
    spacing_m: float = 950.0
    """of the grid"""
    train_share: float = 0.8
    """of every user's steps; the later ones are predicted"""
    length: int = 16
    """X, steps of history"""
    horizon: int = 20
    """steps predicted"""
    width: int = 16
    """of the networks"""
    central: Optimisation = field(default_factory=Optimisation)
    """of centralised networks"""
    rounds: Rounds = field(default_factory=Rounds)
    """of federated ones"""
    federated_trunk: str = "trs-pre"
    """what is federated, with a head that classifies"""
    epsilons: tuple[float, ...] = (8.0,)
    """what "private" is to cost against who sees the broadcasts"""
    delta: float = 1e-5
    """δ"""
    out: Path = Path("runs/forecast")
    """folder to write to, or to go on with"""


def main(settings: Forecast) -> None:
    """Train and score every model with every seed, and write rows, manifest, table and picture.

    Raises:
        ValueError, FileNotFoundError: settings or files that are wrong, or a folder of other settings.
    """
    torch.set_num_threads(1)
    recipe, source = recipe_of(settings), source_of(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    path = settings.out / "rows.jsonl"
    rows = read_rows(path)
    write_manifest(settings, source)
    names = (*FREE, *settings.models)
    done = {(row["seed"], row["model"]) for row in rows}
    todo = [
        (seed, model)
        for seed in settings.seeds
        for model in names
        if not all((seed, row) in done for row in recipe.rows_of(model))
    ]
    prepared: tuple[int, tuple[CellTraces, Any]] | None = None
    for seed, model in (bar := tqdm(todo, desc="forecast", unit="model")):
        bar.set_postfix_str(f"seed {seed}, {model}")
        if prepared is None or prepared[0] != seed:
            prepared = seed, parts(settings, source.traces(seed))
        made = rows_of(recipe, model, *prepared[1], seed)
        made = [row for row in made if (row["seed"], row["model"]) not in done]
        jsonl.append(path, made)
        rows += made
    order = [row for model in names for row in recipe.rows_of(model)]
    rows = [row for row in rows if row["model"] in order and row["seed"] in settings.seeds]
    rows.sort(key=lambda row: order.index(row["model"]))
    title = told(settings)
    text = table(rows, title)
    (settings.out / "table.md").write_text(text, encoding="utf-8")
    draw(settings.out / "accuracy.png", rows, title)
    print(text)
    print(f"written: {settings.out}/table.md, accuracy.png, rows.jsonl, manifest.json")


def recipe_of(settings: Forecast) -> Recipe:
    """How models are trained.

    Raises:
        ValueError: a setting out of its range; the message names it.
    """
    for i, model in enumerate(settings.models):
        if model not in MODELS:
            raise ValueError(f"models[{i}] must be one of {', '.join(MODELS)}, got {model!r}")
    for name in ("models", "seeds"):
        given = getattr(settings, name)
        if len(set(given)) != len(given):
            raise ValueError(f"{name} must differ, got {given!r}")
    if not settings.seeds or min(settings.seeds) < 0:
        raise ValueError(f"seeds must be whole numbers of at least 0, got {settings.seeds!r}")
    if settings.federated_trunk not in TRUNKS:
        raise ValueError(f"federated_trunk must be one of {', '.join(TRUNKS)}, got {settings.federated_trunk!r}")
    if settings.rounds.upload_noise or settings.rounds.download_noise:
        raise ValueError("upload_noise and download_noise follow from epsilons here; leave them at 0")
    if "private" in settings.models and not settings.epsilons:
        raise ValueError("epsilons must name at least one ε for the model 'private'")
    if settings.rounds.clients is not None and settings.rounds.clients > settings.users:
        raise ValueError(f"clients must be at most users={settings.users}, got {settings.rounds.clients}")
    names = ("length", "horizon", "width", "central", "rounds", "federated_trunk", "epsilons", "delta")
    return Recipe(**{name: getattr(settings, name) for name in names})


def source_of(settings: Forecast) -> Source:
    """Where traces come from; raises as `Source` does."""
    names = ("data", "sites", "slots", "users", "days", "side_m", "spacing_m", "train_share", "length", "horizon")
    return Source(**{name: getattr(settings, name) for name in names})


def parts(settings: Forecast, traces: CellTraces) -> tuple[CellTraces, Any]:
    """What is learnt from, and the windows that are predicted."""
    later = later_part(traces, settings.train_share)
    return traces.part(~later), windows(traces, settings.length, settings.horizon, later)


def rows_of(recipe: Recipe, model: str, train: CellTraces, seen: Any, seed: int) -> list[Row]:
    """Train a model and score its forecasters."""
    made, started = [], time.perf_counter()
    for trained in recipe.train(model, train, seed):
        seconds, found = time.perf_counter() - started, score(trained.forecaster, seen)
        row: Row = {"seed": seed, "model": trained.name}
        for name, of in found._asdict().items():
            row[name] = [None if math.isnan(value) else round(value, 6) for value in of.tolist()]
        row |= {"windows": len(seen.target), "train_seconds": round(seconds, 3)}
        if trained.privacy is not None:
            row |= {
                f"epsilon_{whom}": round(getattr(trained.privacy, f"of_{whom}"), 6)
                for whom in ("broadcasts", "uploads")
            }
            row["noise_over_clip"] = round(trained.noise_over_clip, 6)
        made.append(row)
        started = time.perf_counter()
    return made


def told(settings: Forecast) -> str:
    """What was measured, in a line."""
    where = {"grid": "a hexagonal grid", "own": "the sessions' own"}.get(settings.sites, Path(settings.sites).name)
    who = "explore and return" if settings.data == "epr" else Path(settings.data).name
    slots = {"sessions": "session records", "hourly": "hourly slots"}.get(settings.slots, f"{settings.slots} s slots")
    return f"{who}: {settings.users} users, {slots}, sites: {where}, history of {settings.length}"


def write_manifest(settings: Forecast, source: Source) -> None:
    """Settings and versions.

    Raises:
        ValueError: the folder's settings are others, but for models and seeds, which may change.
    """
    chosen = asdict(settings)
    chosen.pop("out")
    chosen |= {name: Path(chosen[name]).name for name in source.digests}  # a path says where somebody keeps a file
    chosen = json.loads(json.dumps(chosen))
    path = settings.out / "manifest.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))["settings"]
        for name, value in chosen.items():
            if name not in ("models", "seeds") and before.get(name) != value:
                raise ValueError(
                    f"{path}: holds results of {name} {before.get(name)!r}, got {value!r}; choose another out"
                )
    about = {
        "settings": chosen,
        "sha256": source.digests,
        "versions": {
            "dtenv": dtenv.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    path.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
