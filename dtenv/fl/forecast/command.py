"""python -m dtenv.fl forecast: accuracy of forecasters of the serving cell, networks and baselines."""

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
from dtenv.fl.forecast.federation import FederatedRounds
from dtenv.fl.forecast.roster import DEFAULT, FREE, MODELS, ForecastRecipe
from dtenv.fl.forecast.rows import Row, read_rows
from dtenv.fl.forecast.source import Source
from dtenv.fl.forecast.table import draw, table
from dtenv.fl.forecast.training import Optimisation
from dtenv.fl.forecast.trunks import TRUNKS
from dtenv.forecasting import CellTraces, later_part, score, windows
from dtenv.reporting import jsonl


@dataclass
class Forecast:
    """Settings of the comparison of forecasters."""

    data: str = "epr"
    """"epr" (exploration and preferential return), or a file or folder of traces"""
    sites: str = "grid"
    """"grid" (hexagonal), a file of sites, or "own" (the stations named by recorded sessions)"""
    slots: str = "hourly"
    """"hourly", "sessions" (records), or seconds"""
    models: tuple[str, ...] = DEFAULT
    """networks (trs-pre, lstm, …; -class for classifiers), local, federated, garbage, private"""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """seeds of users, weights and batches"""
    users: int = 30
    """number of users; each seed draws as many of a file with more"""
    days: int = 28
    """days of "epr" users"""
    side_m: float = 10000.0
    """side of the square of the grid"""
    spacing_m: float = 950.0
    """distance of neighbouring sites of the grid"""
    train_share: float = 0.8
    """training share of each user's steps; the later ones are predicted"""
    length: int = 16
    """X, steps of history"""
    horizon: int = 20
    """number of predicted steps"""
    width: int = 16
    """width of the networks"""
    central: Optimisation = field(default_factory=Optimisation)
    """training of centralised networks"""
    rounds: FederatedRounds = field(default_factory=FederatedRounds)
    """training of federated networks"""
    federated_trunk: str = "trs-pre"
    """trunk of federated networks, which classify"""
    epsilons: tuple[float, ...] = (8.0,)
    """ε of "private" against observers of the broadcasts"""
    delta: float = 1e-5
    """δ of every ε"""
    out: Path = Path("runs/forecast")
    """folder to write to or to continue"""


def main(settings: Forecast) -> None:
    """Train and score every model with every seed, and write rows, manifest, table and plot.

    Raises ValueError or FileNotFoundError for invalid settings or files, or a folder of other settings.
    """
    torch.set_num_threads(1)
    recipe, source = recipe_of(settings), source_of(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    path = settings.out / "rows.jsonl"
    rows = read_rows(path)
    write_manifest(settings, source)
    names = (*FREE, *settings.models)
    done = {(row["seed"], row["model"]) for row in rows}
    pairs = [(seed, model) for seed in settings.seeds for model in names]
    todo = [(seed, model) for seed, model in pairs if not {(seed, row) for row in recipe.rows_of(model)} <= done]
    prepared: tuple[int, tuple[CellTraces, Any]] | None = None
    for seed, model in (bar := tqdm(todo, desc="forecast", unit="model")):
        bar.set_postfix_str(f"seed {seed}, {model}")
        if prepared is None or prepared[0] != seed:
            prepared = seed, parts(settings, source.traces(seed))
        made = [row for row in rows_of(recipe, model, *prepared[1], seed) if (seed, row["model"]) not in done]
        jsonl.append(path, made)
        rows += made
    order = [row for model in names for row in recipe.rows_of(model)]
    rows = [row for row in rows if row["model"] in order and row["seed"] in settings.seeds]
    rows.sort(key=lambda row: order.index(row["model"]))
    title = title_of(settings)
    text = table(rows, title)
    (settings.out / "table.md").write_text(text, encoding="utf-8")
    draw(settings.out / "accuracy.png", rows, title)
    print(text)
    print(f"written: {settings.out}/table.md, accuracy.png, rows.jsonl, manifest.json")


def recipe_of(settings: Forecast) -> ForecastRecipe:
    """Return the training recipe; raises ValueError for a setting out of range, named in the message."""
    for i, model in enumerate(settings.models):
        if model not in MODELS:
            raise ValueError(f"models[{i}] must be one of {', '.join(MODELS)}, got {model!r}")
    for name in ("models", "seeds"):
        given = getattr(settings, name)
        if len(set(given)) != len(given):
            raise ValueError(f"{name} must differ, got {given!r}")
    if not settings.seeds or min(settings.seeds) < 0:
        raise ValueError(f"seeds must be non-negative integers, at least one, got {settings.seeds!r}")
    if settings.federated_trunk not in TRUNKS:
        raise ValueError(f"federated_trunk must be one of {', '.join(TRUNKS)}, got {settings.federated_trunk!r}")
    if settings.rounds.upload_noise or settings.rounds.download_noise:
        raise ValueError("upload_noise and download_noise must be 0 here, as epsilons determine them")
    if "private" in settings.models and not settings.epsilons:
        raise ValueError("epsilons must hold at least one ε for the model 'private'")
    if settings.rounds.clients is not None and settings.rounds.clients > settings.users:
        raise ValueError(f"clients must be at most users={settings.users}, got {settings.rounds.clients}")
    names = ("length", "horizon", "width", "central", "rounds", "federated_trunk", "epsilons", "delta")
    return ForecastRecipe(**{name: getattr(settings, name) for name in names})


def source_of(settings: Forecast) -> Source:
    """Return the source of traces; raises as `Source` does."""
    names = ("data", "sites", "slots", "users", "days", "side_m", "spacing_m", "train_share", "length", "horizon")
    return Source(**{name: getattr(settings, name) for name in names})


def parts(settings: Forecast, traces: CellTraces) -> tuple[CellTraces, Any]:
    """Return the training traces, and the windows to predict."""
    later = later_part(traces, settings.train_share)
    return traces.part(~later), windows(traces, settings.length, settings.horizon, later)


def rows_of(recipe: ForecastRecipe, model: str, train: CellTraces, seen: Any, seed: int) -> list[Row]:
    """Train a model, and return the rows of its forecasters."""
    made, started = [], time.perf_counter()
    for trained in recipe.train(model, train, seed):
        seconds, found = time.perf_counter() - started, score(trained.forecaster, seen)
        row: Row = {"seed": seed, "model": trained.name}
        for name, of in found._asdict().items():
            row[name] = [None if math.isnan(value) else round(value, 6) for value in of.tolist()]
        row |= {"windows": len(seen.target), "train_seconds": round(seconds, 3)}
        if trained.privacy is not None:
            row["epsilon_broadcasts"] = round(trained.privacy.of_broadcasts, 6)
            row["epsilon_uploads"] = round(trained.privacy.of_uploads, 6)
            row["noise_over_clip"] = round(trained.noise_over_clip, 6)
        made.append(row)
        started = time.perf_counter()
    return made


def title_of(settings: Forecast) -> str:
    """Return a one-line title of the settings."""
    where = {"grid": "a hexagonal grid", "own": "the sessions' own"}.get(settings.sites, Path(settings.sites).name)
    who = "explore and return" if settings.data == "epr" else Path(settings.data).name
    slots = {"sessions": "session records", "hourly": "hourly slots"}.get(settings.slots, f"{settings.slots} s slots")
    return f"{who}: {settings.users} users, {slots}, sites: {where}, history of {settings.length}"


def write_manifest(settings: Forecast, source: Source) -> None:
    """Write settings and versions; raises ValueError if the folder's settings differ, except models and seeds."""
    chosen = {name: value for name, value in asdict(settings).items() if name != "out"}
    chosen |= {name: Path(chosen[name]).name for name in source.digests}  # file names, not local paths
    chosen = json.loads(json.dumps(chosen))
    path = settings.out / "manifest.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))["settings"]
        for name, value in chosen.items():
            if name not in ("models", "seeds") and before.get(name) != value:
                raise ValueError(
                    f"{path}: holds results of {name} {before.get(name)!r}, got {value!r}; choose another out"
                )
    versions = {"dtenv": dtenv.__version__, "torch": torch.__version__, "numpy": np.__version__}
    versions["python"] = platform.python_version()
    about = {"settings": chosen, "sha256": source.digests, "versions": versions}
    path.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
