"""Training grid of a utility profile: federations at every data size, distance φ and seed.

A job trains one data size and seed at all distances at once and appends its rows to a file when it ends, so that an
interrupted run loses only unfinished jobs.
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

import torch

from dtenv.fl.costs import Costs, costs
from dtenv.fl.data.clients import draw_clients
from dtenv.fl.data.images import Images, load_images
from dtenv.fl.data.skew import SKEWS, check_supply, client_counts
from dtenv.fl.federation import federate
from dtenv.fl.metrics import METRICS, evaluate, fine_tune
from dtenv.fl.outcome import Diverged
from dtenv.fl.recipe import Recipe
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron
from dtenv.reporting import jsonl
from dtenv.validation import numbers, one_of, positive_integer


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Settings of the training grid."""

    data: str
    """Source for `dtenv.fl.data.images.load_images`."""
    skew: str = "missing"
    variant: str = "fedavg"
    """Name of the recipe."""
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
                raise ValueError(f"{name} must be distinct integers of at least {low}, at least one, got {values!r}")
        if not self.emds or len(set(numbers("emds", self.emds))) < len(self.emds):
            raise ValueError(f"emds must be distinct numbers, at least one, got {self.emds!r}")

    def settings(self, images: Images) -> dict[str, Any]:
        """Return the settings that all rows of a file share, apart from their cells of the grid."""
        names = ("skew", "variant", "recipe", "clients", "hidden", "test_size")
        values = {name: described(getattr(self, name)) for name in names}
        return {"data": images.name, "sha256": images.sha256, **values}


class GridJob(NamedTuple):
    """One training: a data size, a seed, and the missing distances."""

    samples: int
    seed: int
    emds: tuple[float, ...]


Row = dict[str, Any]
"""samples, emd, seed, diverged, METRICS and Costs; the last two are None if the training diverged."""


def described(value: Any) -> Any:
    """Return a recipe as JSON values: dataclasses as their fields by name and the name of the class."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: described(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, **fields}
    return [described(v) for v in value] if isinstance(value, list | tuple) else value


def train_grid(
    grid: Grid, images: Images, file: Path, *, processes: int = 2, tick: Callable[[int], object] = lambda rows: None
) -> list[Row]:
    """Train the cells of a grid that the file lacks, append them, and return all rows by size, distance and seed.

    The file holds JSON lines: settings, then a row per cell. Each of several `processes` has one thread; `tick` is
    called with the number of added rows after every job. Raises ValueError, before training, if a distance cannot be
    reached, a label has too few images, or the file has other settings.
    """
    for samples in grid.sizes:
        for emd in grid.emds:
            counts = client_counts(grid.skew, emd, samples, images.classes, grid.clients)
            check_supply(images, counts, f"clients of {samples} samples at emd {emd:g}")
    rows = read_rows(file, grid.settings(images)) if file.exists() else {}
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        jsonl.append(file, [grid.settings(images)])
    for done in _trained(grid, images, list(jobs(grid, rows)), processes):
        jsonl.append(file, done)
        rows.update({_cell(row): row for row in done})
        tick(len(done))
    return [rows[samples, emd, seed] for samples in grid.sizes for emd in grid.emds for seed in grid.seeds]


def jobs(grid: Grid, rows: dict[tuple[int, float, int], Row]) -> Iterator[GridJob]:
    """Yield the missing jobs, the largest first, so that processes end together."""
    for samples in sorted(grid.sizes, reverse=True):
        for seed in grid.seeds:
            left = tuple(emd for emd in grid.emds if (samples, emd, seed) not in rows)
            if left:
                yield GridJob(samples, seed, left)


def read_rows(file: Path, settings: dict[str, Any]) -> dict[tuple[int, float, int], Row]:
    """Return the rows of a file by (samples, emd, seed); ValueError for other settings, or another kind of file."""
    try:
        first, *rest = jsonl.read(file)
        rows = {_cell(row): row for row in rest}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is not a file of training rows") from None
    for name, value in json.loads(json.dumps(settings)).items():
        if (found := first.get(name)) != value:
            raise ValueError(f"{file} holds rows of other settings: {name} is {found!r} there and {value!r} here")
    return rows


def train_job(grid: Grid, images: Images, job: GridJob) -> list[Row]:
    """Train a job and measure all METRICS; if some distances diverge, the others are trained again."""
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
        accuracy = evaluate(network, images, clients, outcome, grid.recipe, streams, test_size=grid.test_size)
        measured = {metric: accuracy.of(metric).tolist() for metric in METRICS}
        cost = costs(grid.recipe, network, outcome, clients.sizes)
        for i, emd in enumerate(left):
            values = {metric: round(of[i], 6) for metric, of in measured.items()}
            rows.append(_row(job, emd, values, cost) if finite[i] else _row(job, emd))
        break
    return rows


def _row(job: GridJob, emd: float, values: dict[str, float] | None = None, cost: Costs | None = None) -> Row:
    measured = dict.fromkeys(METRICS) if values is None else values
    spent = dict.fromkeys(Costs._fields) if cost is None else cost._asdict()
    return {"samples": job.samples, "emd": emd, "seed": job.seed, "diverged": values is None, **measured, **spent}


def _cell(row: Row) -> tuple[int, float, int]:
    return row["samples"], row["emd"], row["seed"]


def _trained(grid: Grid, images: Images, left: Sequence[GridJob], processes: int) -> Iterator[list[Row]]:
    """Yield the rows of each job, in order of completion."""
    if processes == 1 or len(left) < 2:
        yield from (train_job(grid, images, job) for job in left)
        return
    spawn = multiprocessing.get_context("spawn")  # torch hangs after a fork
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_start, initargs=(grid,)) as pool:
        pending: list[Future[list[Row]]] = [pool.submit(_work, job) for job in left]
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_HELD: dict[str, Any] = {}
"""Grid and images of a worker process, which loads them once: sending 200 MB of images is slower."""


def _start(grid: Grid) -> None:
    torch.set_num_threads(1)
    _HELD.update(grid=grid, images=load_images(grid.data))


def _work(job: GridJob) -> list[Row]:
    return train_job(_HELD["grid"], _HELD["images"], job)
