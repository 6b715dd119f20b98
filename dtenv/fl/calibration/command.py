"""Calibration of a utility profile: train the grid, fit, plot, and refuse profiles that fit badly.

python -m dtenv.fl calibrate --data digits --out runs/digits.json
python -m dtenv.fl calibrate --summary benchmarks/results/calibration --out table.md
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import dtenv
from dtenv.fl.calibration.fit import Fit, curve, fit
from dtenv.fl.calibration.grid import Grid, Row, train_grid
from dtenv.fl.calibration.picture import draw
from dtenv.fl.calibration.summary import table_of_folder
from dtenv.fl.costs import DELTA
from dtenv.fl.data.images import Images, load_images
from dtenv.fl.metrics import METRICS
from dtenv.fl.parts.compression import FLOAT_BYTES
from dtenv.fl.recipe import Recipe
from dtenv.fl.training.network import Perceptron
from dtenv.fl.variants.catalogue import recipe_of
from dtenv.reporting.source import commit
from dtenv.utility_profile import UtilityProfile, check_publishable, load, save
from dtenv.validation import one_of

REFUSED = 2
"""Exit status if the measurements are complete but the profile may not be published."""


@dataclass(kw_only=True)
class Calibrate:
    """Settings of a calibration."""

    data: str = ""
    """digits, a folder of MNIST's four IDX files, or an .npz"""
    out: Path = Path()
    """file of the profile, .json, next to its rows, report and plot; with summary, a Markdown file"""
    summary: Path | None = None
    """print a table of the reports in this folder, and write it to out if given, without training"""
    evidence: Path | None = None
    """another folder for rows, report and plot"""
    rows: Path | None = None
    """rows of another calibration to use and extend, for example for another metric"""
    skew: str = "missing"
    """construction of the label skew: missing, missing-same, major, major-same"""
    metric: str = "personalised-balanced"
    """published accuracy: global, personalised-balanced or personalised-own; all are stored"""
    variant: str = "fedavg"
    """variant of training, a name of `dtenv.fl.variants.catalogue.VARIANTS`"""
    sizes: tuple[int, ...] = (100, 200, 400, 700, 1200, 2000)
    """D, samples of every client"""
    emds: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    """φ, earth mover's distances to the balanced mix"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """seeds of every cell of the grid"""
    clients: int = 10
    """number of clients of a federation"""
    rounds: int | None = None
    """rounds, in place of the variant's"""
    steps: int | None = None
    """gradient steps per round for any D, in place of epochs"""
    processes: int = 2
    """number of parallel trainings"""

    def __post_init__(self) -> None:
        if self.summary is not None:
            return
        one_of(self, "metric", list(METRICS))
        if not self.data:
            raise ValueError("data must be given: digits, a folder of IDX files or an .npz")
        if self.out.suffix != ".json":
            raise ValueError(f"out must end in .json, got {str(self.out)!r}")
        self.grid()  # checks the other fields

    def sibling(self, suffix: str) -> Path:
        """Return a file of the evidence."""
        return (self.evidence or self.out.parent) / f"{self.out.stem}{suffix}"

    @property
    def recipe(self) -> Recipe:
        """Recipe of the variant, with `rounds` and `steps` if given."""
        return recipe_of(self.variant, self.rounds, steps=self.steps)

    def grid(self) -> Grid:
        """Return the training grid."""
        names = ("data", "skew", "variant", "recipe", "sizes", "emds", "seeds", "clients")
        return Grid(**{name: getattr(self, name) for name in names})

    def command(self, images: Images) -> str:
        """Return the command that reproduces the calibration, with names in place of paths."""
        words = ["python -m dtenv.fl calibrate", f"--data {images.name}", f"--skew {self.skew}"]
        words += [f"--metric {self.metric}", f"--variant {self.variant}"]
        for name in ("sizes", "emds", "seeds"):
            words.append(f"--{name} {' '.join(f'{value:g}' for value in getattr(self, name))}")
        words += [f"--{name} {value}" for name, value in self.changed().items()]
        return " ".join([*words, f"--clients {self.clients}", f"--out {self.out.name}"])

    def changed(self) -> dict[str, int]:
        """Return rounds and steps where they replace the variant's."""
        return {name: value for name in ("rounds", "steps") if (value := getattr(self, name)) is not None}


def main(settings: Calibrate) -> int:
    """Train, fit, write and plot; return 0, or REFUSED if the profile may not be published."""
    if settings.summary is not None:
        lines = table_of_folder(settings.summary)
        print("\n".join(lines))
        if settings.out != Path():
            settings.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return 0
    images, grid = load_images(settings.data), settings.grid()
    started = time.perf_counter()
    with tqdm(total=len(grid.sizes) * len(grid.emds) * len(grid.seeds), desc=settings.out.stem, unit="cell") as bar:
        file = settings.rows or settings.sibling(".rows.jsonl")
        rows = train_grid(grid, images, file, processes=settings.processes, tick=bar.update)
        trained = int(bar.n)
        bar.update(len(rows) - trained)
    fits = {metric: fitted(rows, metric) for metric in METRICS}
    chosen = fits[settings.metric]
    profile = None if isinstance(chosen, str) else profile_of(settings, images, rows, chosen)
    refused = chosen if profile is None else refusal(profile, rows)
    report = {
        "name": settings.out.stem,
        "metric": settings.metric,
        "refused": refused,
        "cells": len(rows),
        "cells_trained_now": trained,
        "wall_s": round(time.perf_counter() - started, 1),
        "processes": settings.processes,
        "diverged": sum(row["diverged"] for row in rows),
        "fits": {metric: described_fit(found, rows, metric) for metric, found in fits.items()},
        "provenance": provenance(settings, images, rows),
    }
    settings.sibling(".fit.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    picture(settings, images, rows, chosen)
    print("\n".join(summary(report)))
    if profile is None or refused is not None:
        print(f"not published: {refused}")
        return REFUSED
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    save(profile, settings.out)
    print(f"wrote {settings.out}")
    return 0


def points(rows: list[Row], metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return D, φ and accuracy of every cell that did not diverge, (cells,) each."""
    kept, names = [row for row in rows if not row["diverged"]], ("samples", "emd", metric)
    samples, emd, accuracy = (np.array([row[name] for row in kept], dtype=float) for name in names)
    return samples, emd, accuracy


def fitted(rows: list[Row], metric: str) -> Fit | str:
    """Return the fit of a metric, or the error message."""
    try:
        return fit(*points(rows, metric))
    except ValueError as error:
        return str(error)


def profile_of(settings: Calibrate, images: Images, rows: list[Row], found: Fit) -> UtilityProfile:
    """Return the profile of a fit, publishable or not; its ε is the largest of any cell."""
    recipe, size = settings.recipe, Perceptron(inputs=images.pixels, classes=images.classes).size
    whole = recipe.pruning is None and recipe.distillation is None  # otherwise the downlink is not modelled
    epsilons = [row["epsilon"] for row in rows if row["epsilon"] is not None]
    return UtilityProfile(
        name=settings.out.stem,
        alpha=found.alpha,
        label="calibrated",
        data=images.name,
        skew=settings.skew,
        metric=settings.metric,
        variant=settings.variant,
        samples=(min(settings.sizes), max(settings.sizes)),
        emd=(min(settings.emds), max(settings.emds)),
        uplink_bytes=_mean(rows, "upload_bytes"),
        downlink_bytes=float(FLOAT_BYTES * size) if whole else None,
        compute_factor=_mean(rows, "compute"),
        epsilon=max(epsilons) if epsilons else None,
        delta=DELTA if epsilons else None,
        rounds=recipe.rounds,
        fit=found.as_dict(),
        provenance=provenance(settings, images, rows),
    )


def _mean(rows: list[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows if not row["diverged"]]))


def refusal(profile: UtilityProfile, rows: list[Row]) -> str | None:
    """Return why a profile may not be published, or None."""
    diverged = sum(row["diverged"] for row in rows)
    if diverged:
        return f"{diverged} of {len(rows)} cells diverged, so the curve describes only the others"
    if profile.fit is not None and "falls-with-samples" in profile.fit["flags"]:
        return (
            "measured accuracy falls with more data at some φ, which (11) cannot follow, as its coefficients are "
            "positive; noise for privacy that outweighs what is learned does so, or fine-tuning that lasts too long"
        )
    try:
        check_publishable(profile)
    except ValueError as error:
        return str(error)
    return None


def described_fit(found: Fit | str, rows: list[Row], metric: str) -> dict[str, Any]:
    """Return a fit, the published curve's error on the same points, and accuracies by φ relative to the lowest φ."""
    samples, emd, accuracy = points(rows, metric)
    published = load("zhou-2025")
    published_error: dict[str, Any] = {}
    if len(accuracy):
        most = samples.max()
        at_most = samples == most
        means = {d: float(accuracy[at_most & (emd == d)].mean()) for d in np.unique(emd[at_most]).tolist()}
        first = min(means)
        published_error = {
            "published_rmse": float(np.sqrt(np.mean((accuracy - published.utility(samples, emd)) ** 2))),
            "drop_at_largest_size": {
                f"{d:g}": {
                    "measured": mean / means[first],
                    "published": float(published.utility(most, d) / published.utility(most, first)),
                }
                for d, mean in means.items()
            },
        }
    if isinstance(found, str):
        return {"failed": found, **published_error}
    return {"alpha": list(found.alpha), **found.as_dict(), **published_error}


def provenance(settings: Calibrate, images: Images, rows: list[Row]) -> dict[str, Any]:
    """Return what is needed for reproduction: names, digests, recipe and versions, without paths."""
    protected = {row["protects"] for row in rows if row["protects"]}
    return {
        "command": settings.command(images),
        **settings.grid().settings(images),
        "seeds": list(settings.seeds),
        **({"epsilon_protects": " and ".join(sorted(protected))} if protected else {}),
        "dtenv": dtenv.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "scipy", "torch")},
    }


def picture(settings: Calibrate, images: Images, rows: list[Row], found: Fit | str) -> None:
    """Plot the points, fit and published curve of the chosen metric."""
    samples, emd, accuracy = points(rows, settings.metric)
    if not len(accuracy):
        return
    fitted = None if isinstance(found, str) else partial(curve, alpha=found.alpha)
    parts = [images.name, settings.skew, settings.variant]
    title = ", ".join([*parts, *(f"{name} {value}" for name, value in settings.changed().items())])
    published, label = load("zhou-2025").utility, f"accuracy, {settings.metric}"
    draw(settings.sibling(".png"), title, samples, emd, accuracy, fitted, published, label)


def summary(report: dict[str, Any]) -> list[str]:
    """Return a line per metric: RMSE, spread of seeds, R², held-out RMSE, the rival's, the published curve's, flags."""
    lines = [f"{'metric':<22}{'RMSE':>8}{'seeds':>8}{'R²':>8}{'held out':>10}{'rival':>8}{'published':>11}  flags"]
    for metric, found in report["fits"].items():
        if "failed" in found:
            lines.append(f"{metric:<22} no fit: {found['failed']}")
            continue
        spread = "-" if found["repeat_sd"] is None else f"{found['repeat_sd']:.4f}"
        lines.append(
            f"{metric:<22}{found['rmse']:>8.4f}{spread:>8}{found['r2']:>8.3f}{found['held_out_rmse']:>10.4f}"
            f"{found['rival']['rmse']:>8.4f}{found['published_rmse']:>11.4f}  {' '.join(found['flags']) or 'none'}"
        )
    return lines
