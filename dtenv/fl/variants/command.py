"""Variants of federated training side by side: python -m dtenv.fl variants --data digits --out FOLDER."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dtenv.fl.data.images import load_images
from dtenv.fl.experiment import Row, Setting, run_seeds
from dtenv.fl.variants.catalogue import VARIANTS, recipe_of
from dtenv.fl.variants.report import picture, table


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
    rows = _kept(settings.out, manifest)
    seeds = tuple(range(settings.first_seed, settings.first_seed + settings.seeds))
    wanted = {name: _missing(rows, name, seeds) for name in recipes}
    left = sum(bool(missing) for missing in wanted.values()) * settings.rounds
    with tqdm(total=left, desc="rounds", unit="round", disable=left == 0) as bar:
        for name, missing in wanted.items():
            if missing:
                bar.set_postfix_str(name)
                made = run_seeds(images, settings, recipes[name], missing, tick=bar.update)
                rows += [{"variant": name} | row for row in made]
                _append(settings.out / "rows.jsonl", rows[-len(made) :])
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


def _kept(out: Path, manifest: dict[str, Any]) -> list[Row]:
    """Rows that are in the folder.

    Raises:
        ValueError: they are of other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    about, file = out / "settings.json", out / "rows.jsonl"
    if about.exists():
        before = json.loads(about.read_text(encoding="utf-8"))
        differing = [key for key in manifest if before.get(key) != manifest[key]]
        if differing:
            key = differing[0]
            raise ValueError(f"out {str(out)!r} has rows with {key} {before.get(key)!r}, got {manifest[key]!r}")
    about.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a line cut off as it was written is trained again
    if len(whole) < len(lines):
        file.write_text("".join(whole), encoding="utf-8")
    return [json.loads(line) for line in whole]


def _missing(rows: list[Row], name: str, seeds: tuple[int, ...]) -> tuple[int, ...]:
    done = {row["seed"] for row in rows if row["variant"] == name}
    return tuple(seed for seed in seeds if seed not in done)


def _append(file: Path, rows: list[Row]) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write("".join(json.dumps(row) + "\n" for row in rows))
