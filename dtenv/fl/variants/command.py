"""Variants of federated training side by side: python -m dtenv.fl variants --data digits --out FOLDER."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dtenv.fl.data.images import load_images
from dtenv.fl.experiment import Row, Setting, run_seeds
from dtenv.fl.variants.catalogue import VARIANTS, recipe_of
from dtenv.fl.variants.report import picture, table
from dtenv.reporting import jsonl


@dataclass(frozen=True, kw_only=True)
class VariantsTable(Setting):
    """Settings of the table. What is in the folder already is not trained again."""

    out: Path
    """where to write rows.jsonl, table.md and picture.png"""
    data: str = "digits"
    """digits, a folder of MNIST's four IDX files, or an .npz"""
    variants: tuple[str, ...] = ()
    """by name; by default all"""
    seeds: int = 5
    """how many"""
    first_seed: int = 0
    """the first of them"""
    rounds: int = 15
    """rounds of every variant"""
    steps: int | None = None
    """gradient steps of a round, in place of two epochs"""
    learning_rate: float = 0.05
    """of the clients"""


def main(settings: VariantsTable) -> None:
    """Train what is missing, a variant at a time, and write table and picture of all there is."""
    names = settings.variants or tuple(VARIANTS)
    recipes = {
        name: recipe_of(name, settings.rounds, steps=settings.steps, learning_rate=settings.learning_rate)
        for name in dict.fromkeys(("fedavg", *names))
    }
    if settings.seeds < 2:
        raise ValueError(f"seeds must be at least 2, got {settings.seeds!r}: one has no interval")
    images = load_images(settings.data)
    settings.check(images)
    manifest = _manifest(settings, images.name, images.sha256)
    jsonl.check_settings(settings.out, manifest)
    rows = jsonl.read(settings.out / "rows.jsonl")
    seeds = tuple(range(settings.first_seed, settings.first_seed + settings.seeds))
    wanted = {name: _missing(rows, name, seeds) for name in recipes}
    left = sum(bool(missing) for missing in wanted.values()) * settings.rounds
    with tqdm(total=left, desc="rounds", unit="round", disable=left == 0) as bar:
        for name, missing in wanted.items():
            if missing:
                bar.set_postfix_str(name)
                made = run_seeds(images, settings, recipes[name], missing, tick=bar.update)
                rows += [{"variant": name} | row for row in made]
                jsonl.append(settings.out / "rows.jsonl", rows[-len(made) :])
    shown = {key: value for key, value in manifest.items() if key != "sha256"}
    (settings.out / "table.md").write_text(table(rows, shown), encoding="utf-8")
    title = f"{images.name}, {settings.skew} labels, φ = {settings.emd:g}, D = {settings.samples}"
    picture(rows, settings.out / "picture.png", title)
    print(settings.out / "table.md")


def _manifest(settings: VariantsTable, name: str, sha256: str) -> dict[str, Any]:
    """What all rows of a folder have in common."""
    fields = ("skew", "emd", "samples", "unequal", "clients", "hidden", "rounds", "steps", "learning_rate", "test_size")
    values = {field: getattr(settings, field) for field in fields}
    return {"data": name, "sha256": sha256, **values, "hidden": list(settings.hidden)}


def _missing(rows: list[Row], name: str, seeds: tuple[int, ...]) -> tuple[int, ...]:
    done = {row["seed"] for row in rows if row["variant"] == name}
    return tuple(seed for seed in seeds if seed not in done)
