"""Run a suite: train and evaluate agents, bound episodes, and store every result as its job ends.

    python -m benchmarks run smoke --out runs/smoke
    python -m benchmarks run zhou2025-quick --workers 2
    python -m benchmarks run balanced --agents ppo local-search --seeds 3 --ray

Run again, it does the missing jobs; it never overwrites results. Rows depend on the suite alone, not on the kind and
number of workers or on the loss of some.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from benchmarks.evaluate import cores, manifest
from benchmarks.suites import results
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.jobs import Bound, Job, Result, jobs
from benchmarks.suites.results import ResultsError
from benchmarks.suites.suite import Suite
from benchmarks.suites.tables import write_tables
from benchmarks.workers import JobFailed, RayAddress, play
from dtenv.reporting.compressed import unpack


@dataclass
class RunSuite:
    """Settings of a suite's run."""

    suite: tyro.conf.Positional[str]
    """name of a suite, see `python -m benchmarks suites`"""
    agents: tuple[str, ...] = ()
    """some of the suite's agents, by their names in tables; by default all"""
    seeds: int | None = None
    """trainings of every learner, from seeds 1, 2, …; by default the suite's number"""
    workers: int = cores()
    """parallel processes, with one thread each"""
    track: bool = False
    """log every training to Weights & Biases (offline unless WANDB_MODE says otherwise)"""
    ray: RayAddress = None
    """work on Ray, started on this machine, or on the cluster at an address"""
    out: Path | None = None
    """folder to write to; by default runs/SUITE"""


def main(settings: RunSuite) -> None:
    """Do the missing jobs, then write tables and learning curves."""
    if settings.suite not in SUITES:
        raise SystemExit(f"suite must be one of {', '.join(SUITES)}, got {settings.suite!r}")
    folder = settings.out or Path("runs") / settings.suite
    try:
        if settings.workers < 1:
            raise ValueError(f"workers must be at least 1, got {settings.workers}")
        whole = SUITES[settings.suite]
        suite = whole.select(settings.agents, settings.seeds)
        begin(folder, whole)
        left = missing(suite, folder, settings.track)
        known = trained(folder)
        note_run(folder, settings)
        work(left, known, folder, whole, settings)
        print("\n".join(write_tables(results.load(folder))))
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; run the same command again to do the missing jobs") from None
    print(f"written to {folder}/")


def begin(folder: Path, suite: Suite) -> None:
    """Create the folder with its manifest; raise ResultsError if it holds something other than this suite's results."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.json"
    if path.exists():
        _, begun = results.read_manifest(folder)
        if begun.name != suite.name:
            raise ResultsError(f"{folder}: holds suite {begun.name!r}; give {suite.name!r} a folder of its own (--out)")
        return
    if any(folder.iterdir()):
        raise ResultsError(f"{folder}: holds other files, and no results; give the run a folder of its own (--out)")
    about = {"suite": suite.name, "suite_sha256": suite.sha256, "format": results.FORMAT, "date": _now()}
    record = manifest(*(cell.resolve() for cell in suite.cells), **about)
    path.write_text(json.dumps(record, indent=1, default=str) + "\n")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def note_run(folder: Path, settings: RunSuite) -> None:
    """Append date, command, commit and machine of this run to runs.jsonl."""
    about = {name: value for name, value in manifest().items() if not name.startswith("scenario")}
    results.append(folder / "runs.jsonl", json.dumps({"date": _now(), **about, "workers": settings.workers}) + "\n")


def missing(suite: Suite, folder: Path, track: bool = False) -> list[Job]:
    """Jobs without results in the folder; a last job that an interrupted write cut short is truncated.

    Raises:
        ResultsError: the folder's files are broken.
    """
    every = list(jobs(suite, folder, track))
    due = {_key(job): len(job.seeds) for job in every if not isinstance(job, Bound)}
    done = _blocks(folder / "rows.csv", SUITES[suite.name], due)
    _cut_line(folder / "bounds.csv")
    done |= {(row["cell"], row["seed"]) for row in results.read_bounds(folder)}
    return [job for job in every if _key(job) not in done]


def _key(job: Job) -> tuple[Any, ...]:
    if isinstance(job, Bound):
        return job.cell.name, job.seed
    return job.cell.name, job.agent, job.training_seed


def _blocks(path: Path, suite: Suite, due: dict[tuple[Any, ...], int]) -> set[tuple[Any, ...]]:
    """Keys of the jobs with rows in a file. A job's rows are written at once, so only the last can be cut short."""
    _cut_line(path)
    if not path.exists() or not path.stat().st_size:
        return set()
    numbered = list(results.read_rows(path, results.columns(suite)))
    keys = [results.block_of(row) for row in results.unique(path, numbered, results.KEY)]
    if keys and keys.count(keys[-1]) < due.get(keys[-1], 0):
        print(f"{path}: the rows of {' '.join(map(str, keys[-1]))} were cut short and are made again")
        os.truncate(path, numbered[keys.index(keys[-1])][1])
        return {*keys} - {keys[-1]}
    return {*keys}


def _cut_line(path: Path) -> None:
    """Remove an incomplete last line; a compressed file, which may be appended to, is unpacked."""
    unpack(path)
    data = path.read_bytes() if path.exists() else b""
    if data and not data.endswith(b"\n"):
        print(f"{path}: its last line was cut short and is made again")
        os.truncate(path, data.rfind(b"\n") + 1)


def trained(folder: Path) -> set[tuple[Any, ...]]:
    """Keys of the trainings with a summary in the folder; their rows may still be missing."""
    _cut_line(folder / "trainings.jsonl")
    return {results.block_of(training) for training in results.read_trainings(folder)}


def work(left: Sequence[Job], known: set[tuple[Any, ...]], folder: Path, suite: Suite, settings: RunSuite) -> None:
    """Do the jobs and store their results, with a progress bar; `known` are the trainings with a summary."""
    total = sum(job.steps for job in left)
    with tqdm(total=total, desc=suite.name, unit="slot", unit_scale=True, smoothing=0.0) as bar:
        bar.set_postfix_str(f"{len(left)} jobs")
        for job, result in play(left, workers=settings.workers, ray=settings.ray):
            if _key(job) in known:  # interrupted between its summary and its rows
                result = dataclasses.replace(result, training=None)
            keep(folder, suite, result)
            bar.update(job.steps)
            bar.set_postfix_str(job.name)


def keep(folder: Path, suite: Suite, result: Result) -> None:
    """Store a job's result: files first and rows last, since rows mark it as done."""
    for name, data in result.files.items():
        path = folder / "policies" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
    if result.training is not None:
        results.append(folder / "trainings.jsonl", json.dumps(result.training) + "\n")
    results.append_rows(folder / "rows.csv", results.columns(suite), result.rows)
    results.append_rows(folder / "bounds.csv", results.BOUND_COLUMNS, result.bounds)


if __name__ == "__main__":
    main(tyro.cli(RunSuite))
