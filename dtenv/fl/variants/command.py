"""Comparison of federated-training variants: python -m dtenv.fl variants --data digits --out FOLDER."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dtenv.fl.data.images import load_images
from dtenv.fl.experiment import Setting, run_seeds
from dtenv.fl.variants.catalogue import VARIANTS, recipe_of
from dtenv.fl.variants.report import picture, table
from dtenv.reporting import jsonl

MANIFEST = ("skew", "emd", "samples", "unequal", "clients", "hidden", "rounds", "steps", "learning_rate", "test_size")
"""Settings shared by all rows of a folder."""


@dataclass(frozen=True, kw_only=True)
class VariantsTable(Setting):
    """Settings of the table; rows already in the folder are not trained again."""

    out: Path
    """folder of rows.jsonl, table.md and picture.png"""
    data: str = "digits"
    """digits, a folder of MNIST's four IDX files, or an .npz"""
    variants: tuple[str, ...] = ()
    """names of the variants, by default all"""
    seeds: int = 5
    """number of seeds"""
    first_seed: int = 0
    """first seed"""
    rounds: int = 15
    """rounds of every variant"""
    steps: int | None = None
    """gradient steps per round, in place of two epochs"""
    learning_rate: float = 0.05
    """learning rate of the clients"""


def main(settings: VariantsTable) -> None:
    """Train the missing rows, one variant at a time, and write table and plot of all rows."""
    names = settings.variants or tuple(VARIANTS)
    recipes = {
        name: recipe_of(name, settings.rounds, steps=settings.steps, learning_rate=settings.learning_rate)
        for name in dict.fromkeys(("fedavg", *names))
    }
    if settings.seeds < 2:
        raise ValueError(f"seeds must be at least 2 for an interval, got {settings.seeds!r}")
    images = load_images(settings.data)
    settings.check(images)
    manifest = {"data": images.name, "sha256": images.sha256, **{name: getattr(settings, name) for name in MANIFEST}}
    manifest["hidden"] = list(settings.hidden)
    jsonl.check_settings(settings.out, manifest)
    rows = jsonl.read(settings.out / "rows.jsonl")
    seeds = tuple(range(settings.first_seed, settings.first_seed + settings.seeds))
    done = {(row["variant"], row["seed"]) for row in rows}
    wanted = {name: tuple(seed for seed in seeds if (name, seed) not in done) for name in recipes}
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
