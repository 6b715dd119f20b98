"""The training grid that a utility profile is fitted to: federations at every data size, distance φ and seed.

A training of one data size and seed, at all distances at once, is a job; its rows are appended to a file when it is
over, so that whatever ends a run costs the jobs under way alone.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dtenv.fl.costs import Costs, costs
from dtenv.fl.data.clients import draw_clients
from dtenv.fl.data.images import Images, load_images
from dtenv.fl.data.skew import SKEWS, client_counts
from dtenv.fl.federation import federate
from dtenv.fl.metrics import METRICS, assess, fine_tune
from dtenv.fl.outcome import Diverged
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron
from dtenv.reporting import jsonl
from dtenv.validation import numbers, one_of, positive_integer


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is trained."""

    data: str
    """Of `dtenv.fl.data.images.load_images`."""
    skew: str = "missing"
    variant: str = "fedavg"
    """What the recipe is called."""
    recipe: Recipe = field(default_factory=Recipe)
    sizes: tuple[int, ...] = (100, 200, 400, 700, 1200, 2000)
    """D, samples of every client."""
    emds: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    """φ of every client."""
    seeds: tuple[int, ...] = (0, 1, 2)
    clients: int = 10
    hidden: tuple[int, ...] = (64,)
    test_size: int = 2000

    def __post_init__(self) -> None:
        one_of(self, "skew", list(SKEWS))
        positive_integer(self, "clients", "test_size")
        for name, low in (("sizes", 1), ("seeds", 0)):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values) or not all(v == int(v) >= low for v in values):
                raise ValueError(
                    f"{name} must be distinct whole numbers of at least {low}, and not none, got {values!r}"
                )
        if not self.emds or len(set(numbers("emds", self.emds))) < len(self.emds):
            raise ValueError(f"emds must be distinct numbers, and not none, got {self.emds!r}")

    def settings(self, images: Images) -> dict[str, Any]:
        """What a row depends on besides its place in the grid: rows of other settings are not to be mixed with it."""
        return {
            "data": images.name,
            "sha256": images.sha256,
            "skew": self.skew,
            "variant": self.variant,
            "recipe": described(self.recipe),
            "clients": self.clients,
            "hidden": list(self.hidden),
            "test_size": self.test_size,
        }


class Job(NamedTuple):
    """One training: a data size and seed, and the distances that are still to do."""

    samples: int
    seed: int
    emds: tuple[float, ...]


Row = dict[str, Any]
"""samples, emd, seed, diverged, and METRICS and Costs, which are None where it diverged."""


def described(value: Any) -> Any:
    """A recipe, and any dataclass in it, as JSON holds it: fields by name, beside the name of the class."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: described(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, **fields}
    return [described(v) for v in value] if isinstance(value, list | tuple) else value


def train_grid(
    grid: Grid, images: Images, file: Path, *, processes: int = 2, tick: Callable[[int], object] = lambda rows: None
) -> list[Row]:
    """Train whatever cells of a grid the file lacks, and add them to it.

    Args:
        grid: what to train.
        images: its data.
        file: JSON lines: settings first, then a row a cell. It is made where it is not there.
        processes: trainings at a time; with more than one, each has its own process and thread.
        tick: called with how many rows were added, after every job.

    Returns:
        The grid's rows, by size, distance and seed.

    Raises:
        ValueError: no assignment of samples reaches a distance, a label has too few images, or the file is of other
            settings; the message names what differs. All of it before anything is trained.
    """
    for samples in grid.sizes:
        for emd in grid.emds:
            wanted = client_counts(grid.skew, emd, samples, images.classes, grid.clients).sum(axis=0)
            short = wanted - np.bincount(images.y.numpy(), minlength=images.classes)
            if (short > 0).any():
                label = int(short.argmax())
                raise ValueError(
                    f"{images.name} has {wanted[label] - short[label]} images of label {label}, clients of {samples} "
                    f"samples at emd {emd:g} need {wanted[label]}"
                )
    rows = read_rows(file, grid.settings(images)) if file.exists() else {}
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        jsonl.append(file, [grid.settings(images)])
    for done in _trained(grid, images, list(jobs(grid, rows)), processes):
        jsonl.append(file, done)
        rows.update({_cell(row): row for row in done})
        tick(len(done))
    return [rows[samples, emd, seed] for samples in grid.sizes for emd in grid.emds for seed in grid.seeds]


def jobs(grid: Grid, rows: dict[tuple[int, float, int], Row]) -> Iterator[Job]:
    """What is left to train, the largest first, so that processes end together."""
    for samples in sorted(grid.sizes, reverse=True):
        for seed in grid.seeds:
            left = tuple(emd for emd in grid.emds if (samples, emd, seed) not in rows)
            if left:
                yield Job(samples, seed, left)


def read_rows(file: Path, settings: dict[str, Any]) -> dict[tuple[int, float, int], Row]:
    """Rows of a file by (samples, emd, seed).

    Raises:
        ValueError: the file is of other settings, or not such a file.
    """
    try:
        first, *rest = jsonl.read(file)
        rows = {_cell(row): row for row in rest}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is not a file of training rows") from None
    for name, value in json.loads(json.dumps(settings)).items():
        if first.get(name) != value:
            found = first.get(name)
            raise ValueError(f"{file} holds rows of other settings: {name} is {found!r} there and {value!r} here")
    return rows


def train_job(grid: Grid, images: Images, job: Job) -> list[Row]:
    """Train a job and measure it by all METRICS; distances that diverge are told of, and the others trained again."""
    network = Perceptron(inputs=images.pixels, classes=images.classes, hidden=grid.hidden)
    rows, left = [], list(job.emds)
    while left:
        streams = Streams.of([job.seed] * len(left))
        clients = draw_clients(images, grid.skew, left, job.samples, grid.clients, streams)
        try:
            outcome = federate(network, images, clients, grid.recipe, streams, test_size=grid.test_size)
        except Diverged as error:
            rows += [_row(job, emd) for emd, bad in zip(left, error.outcome.diverged, strict=True) if bad]
            left = [emd for emd, bad in zip(left, error.outcome.diverged, strict=True) if not bad]
            continue
        own = outcome.personal
        if own is None:
            own = fine_tune(network, images, clients, outcome.weights, grid.recipe, streams, frozen=outcome.frozen)
            outcome = outcome._replace(personal=own)
        finite = torch.isfinite(own).flatten(1).all(dim=1).tolist()
        accuracy = assess(network, images, clients, outcome, grid.recipe, streams, test_size=grid.test_size)
        measured = {metric: accuracy.of(metric).tolist() for metric in METRICS}
        cost = costs(grid.recipe, network, outcome, clients.sizes)
        for i, emd in enumerate(left):
            values = {metric: round(of[i], 6) for metric, of in measured.items()}
            rows.append(_row(job, emd, values, cost) if finite[i] else _row(job, emd))
        break
    return rows


def _row(job: Job, emd: float, values: dict[str, float] | None = None, cost: Costs | None = None) -> Row:
    measured = dict.fromkeys(METRICS) if values is None else values
    spent = dict.fromkeys(Costs._fields) if cost is None else cost._asdict()
    return {"samples": job.samples, "emd": emd, "seed": job.seed, "diverged": values is None, **measured, **spent}


def _cell(row: Row) -> tuple[int, float, int]:
    return row["samples"], row["emd"], row["seed"]


def _trained(grid: Grid, images: Images, left: Sequence[Job], processes: int) -> Iterator[list[Row]]:
    """Rows of every job, in the order in which they end."""
    if processes == 1 or len(left) < 2:
        yield from (train_job(grid, images, job) for job in left)
        return
    spawn = multiprocessing.get_context("spawn")  # forked threads of torch hang
    pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start, initargs=(grid,))
    with pool:
        pending: list[Future[list[Row]]] = [pool.submit(_work, job) for job in left]
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_HELD: dict[str, Any] = {}
"""What a process trains on, loaded once by itself: 200 MB of images are slower to send."""


def _start(grid: Grid) -> None:
    torch.set_num_threads(1)
    _HELD.update(grid=grid, images=load_images(grid.data))


def _work(job: Job) -> list[Row]:
    return train_job(_HELD["grid"], _HELD["images"], job)
