"""Runs a suite: trains what is to be trained, plays what is to be compared, and keeps every result as it ends.

    python -m benchmarks run smoke --out runs/smoke
    python -m benchmarks run zhou2025-quick --workers 2
    python -m benchmarks run balanced --agents ppo local-search --seeds 3 --ray

Called again, it goes on with what is missing; what stands is never written over. Rows depend on the suite alone, not
on who works, how many do, or which of them are lost.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from benchmarks.evaluate import cores, manifest
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.jobs import Bound, Job, Result, Train, jobs
from benchmarks.suites.results import (
    BOUND_COLUMNS,
    FORMAT,
    KEY,
    ResultsError,
    append,
    append_rows,
    columns,
    load,
    read_manifest,
    read_rows,
    read_trainings,
    unique,
)
from benchmarks.suites.suite import Suite
from benchmarks.suites.tables import write_tables
from benchmarks.workers import JobFailed, RayAddress, play


@dataclass
class RunSuite:
    """Settings of a suite's run."""

    suite: tyro.conf.Positional[str]
    """one of benchmarks.suites.catalogue"""
    agents: tuple[str, ...] = ()
    """some of the suite's agents, as its tables call them; by default all"""
    seeds: int | None = None
    """trainings of every learner, from seeds 1, 2, …; by default the suite's number"""
    workers: int = cores()
    """processes side by side, a thread each"""
    track: bool = False
    """log every training to Weights & Biases (offline unless WANDB_MODE says otherwise)"""
    ray: RayAddress = None
    """work on Ray, started on this machine, or on the cluster at an address"""
    out: Path | None = None
    """where to write; by default runs/SUITE"""


def main(settings: RunSuite) -> None:
    """Run what is missing, then write tables and learning curves."""
    if settings.suite not in SUITES:
        raise SystemExit(f"suite must be one of {', '.join(SUITES)}, got {settings.suite!r}")
    folder = settings.out or Path("runs") / settings.suite
    try:
        if settings.workers < 1:
            raise ValueError(f"workers must be at least 1, got {settings.workers}")
        whole = SUITES[settings.suite]
        suite = whole.select(settings.agents, settings.seeds)
        begin(folder, whole)
        left, told = missing(suite, folder, settings.track), trained(folder)
        note_run(folder, settings)
        work(left, told, folder, whole, settings)
        print("\n".join(write_tables(load(folder))))
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on with what is missing") from None
    print(f"written to {folder}/")


def begin(folder: Path, suite: Suite) -> None:
    """Make the folder, or see that it may be gone on with.

    Raises:
        ResultsError: something else stands there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.json"
    if path.exists():
        _, begun = read_manifest(folder)
        if begun.name != suite.name:
            raise ResultsError(f"{folder}: holds suite {begun.name!r}; give {suite.name!r} a folder of its own (--out)")
        return
    if any(folder.iterdir()):
        raise ResultsError(f"{folder}: holds other files, and no results; give the run a folder of its own (--out)")
    about = {"suite": suite.name, "suite_sha256": suite.sha256, "format": FORMAT, "date": _now()}
    record = manifest(*(cell.resolve() for cell in suite.cells), **about)
    path.write_text(json.dumps(record, indent=1, default=str) + "\n")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def note_run(folder: Path, settings: RunSuite) -> None:
    """Note that the suite is run into this folder, by which command and commit, on what."""
    told = {name: value for name, value in manifest().items() if not name.startswith("scenario")}
    append(folder / "runs.jsonl", json.dumps({"date": _now(), **told, "workers": settings.workers}) + "\n")


def missing(suite: Suite, folder: Path, track: bool = False) -> list[Job]:
    """The jobs whose results are not in the folder yet; what an interrupted write left of a last job is cut off.

    Raises:
        ResultsError: the folder's files are broken.
    """
    every = list(jobs(suite, folder, track))
    whole = SUITES[suite.name]
    due = {(job.cell.name, job.agent, job.training_seed): len(job.seeds) for job in every if not isinstance(job, Bound)}
    have = _blocks(folder / "rows.csv", whole, due)
    path = folder / "bounds.csv"
    _cut_line(path)
    proven = unique(path, read_rows(path, BOUND_COLUMNS), ("cell", "seed")) if path.exists() else []
    bounded = {(row["cell"], row["seed"]) for row in proven}

    def done(job: Job) -> bool:
        if isinstance(job, Bound):
            return (job.cell.name, job.seed) in bounded
        return (job.cell.name, job.agent, job.training_seed) in have

    return [job for job in every if not done(job)]


def _blocks(path: Path, suite: Suite, due: dict[tuple[str, str, int], int]) -> set[tuple[str, str, int]]:
    """The jobs that a file has rows of. A job's rows are written at once: only the last can be cut short."""
    if not path.exists():
        return set()
    _cut_line(path)
    if not path.stat().st_size:
        return set()
    numbered = list(read_rows(path, columns(suite)))
    rows = unique(path, numbered, KEY)
    keys = [(row["cell"], row["agent"], row["training_seed"]) for row in rows]
    if keys:
        last = keys[-1]
        if keys.count(last) < due.get(last, 0):
            start = numbered[keys.index(last)][1]
            print(f"{path}: the rows of {' '.join(map(str, last))} were cut short and are made again")
            _truncate(path, start)
            return {*keys} - {last}
    return {*keys}


def _cut_line(path: Path) -> None:
    """Cut off a last line that was not written to its end."""
    data = path.read_bytes() if path.exists() else b""
    if data and not data.endswith(b"\n"):
        print(f"{path}: its last line was cut short and is made again")
        _truncate(path, data.rfind(b"\n") + 1)


def _truncate(path: Path, size: int) -> None:
    with path.open("rb+") as file:
        file.truncate(size)


def trained(folder: Path) -> set[tuple[str, str, int]]:
    """The trainings that the folder has a summary of; their rows may be missing yet."""
    _cut_line(folder / "trainings.jsonl")
    return {(row["cell"], row["agent"], row["training_seed"]) for row in read_trainings(folder)}


def work(left: Sequence[Job], told: Container[Any], folder: Path, suite: Suite, settings: RunSuite) -> None:
    """Do the jobs and keep what they give, with a bar over all that is to do."""
    total = sum(job.steps for job in left)
    with tqdm(total=total, desc=suite.name, unit="slot", unit_scale=True, smoothing=0.0) as bar:
        bar.set_postfix_str(f"{len(left)} jobs")
        for job, result in play(left, workers=settings.workers, ray=settings.ray):
            if isinstance(job, Train) and (job.cell.name, job.agent, job.training_seed) in told:
                result = dataclasses.replace(result, training=None)  # it was interrupted before its rows were kept
            keep(folder, suite, result)
            bar.update(job.steps)
            bar.set_postfix_str(job.name)


def keep(folder: Path, suite: Suite, result: Result) -> None:
    """Write a job's result: files first and rows last, which say that it is done."""
    for name, data in result.files.items():
        path = folder / "policies" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
    if result.training is not None:
        append(folder / "trainings.jsonl", json.dumps(result.training) + "\n")
    append_rows(folder / "rows.csv", columns(suite), result.rows)
    append_rows(folder / "bounds.csv", BOUND_COLUMNS, result.bounds)


if __name__ == "__main__":
    main(tyro.cli(RunSuite))
