"""Hyper-parameter search of a W&B sweep file without an account: same parameters, distributions, method and metric.

    python -m benchmarks search benchmarks/sweeps/association-ppo.yaml --trials 20
    python -m benchmarks search benchmarks/sweeps/association-grid.yaml --workers 2
    python -m benchmarks search benchmarks/sweeps/placement-mappo.yaml --ray

A trial's score is its policy's on tuning episodes, which no table uses. The trials depend on file and seed only, so
that an interrupted search continues, and workers or Ray do not change the result. "bayes" is Optuna's tree-structured
Parzen estimator, updated in batches; W&B's is a Gaussian process. No trial is stopped early.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml
from tqdm import tqdm

import dtenv
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import TUNING_SEEDS, cores, manifest, run_episodes
from benchmarks.search.sweep_files import Sweep, read
from benchmarks.suites.results import append
from benchmarks.workers import JobFailed, RayAddress, play
from dtenv.reporting.markdown import markdown_table

TRIALS = 20
"""Number of trials of a random or bayes search whose file has no run_cap."""

BATCH = 4
"""Trials of "bayes" between two updates; at most as many run in parallel."""

SHOWN = 20
"""Rows of the printed table."""


@dataclass
class SweepSearch:
    """Settings of a search."""

    file: tyro.conf.Positional[Path]
    """W&B's sweep file, such as those in benchmarks/sweeps"""
    trials: int | None = None
    """number of trials; by default all of a grid, else the file's run_cap or 20"""
    seed: int = 1
    """seed of random and bayes draws"""
    episodes: int = 16
    """tuning episodes by which a trial is scored"""
    workers: int = cores()
    """parallel processes of one thread each"""
    ray: RayAddress = None
    """run on Ray, started on this machine, or on the cluster at an address"""
    out: Path | None = None
    """folder to write to; by default runs/search/NAME"""


@dataclass(frozen=True)
class Trial:
    """Training with the parameters of a trial, and evaluation on tuning episodes."""

    number: int
    sweep: Sweep
    parameters: Mapping[str, Any]
    episodes: int

    @property
    def name(self) -> str:
        """Name of the job, such as "trial 3"."""
        return f"trial {self.number}"

    def run(self) -> dict[str, float]:
        """Return the score on tuning episodes, the mean score of the last tenth of the training, and its seconds."""
        args = self.sweep.args(self.parameters)
        reports: list[dict[str, Any]] = []
        policy = importlib.import_module(self.sweep.module).train(args, report=reports.append)
        curve = [row for row in reports if "charts/progress" in row]
        if curve[-1]["charts/progress"] < 1.0:  # Ctrl-C ends a training early
            raise KeyboardInterrupt
        scenario = dataclasses.replace(args, num_slots=None).resolve().override(**ENV_SETTINGS[args.env_id].overrides)
        rows = run_episodes(policy, args.env_id, scenario, TUNING_SEEDS[-self.episodes :])
        last = curve[-max(1, len(curve) // 10) :]
        return {
            "score": float(np.mean([row["score"] for row in rows])),
            "training_score": float(np.nanmean([row["charts/score"] for row in last])),
            "seconds": curve[-1]["charts/seconds"],
        }


FIGURES = ("score", "training_score", "seconds")


class Trials:
    """Folder of a search: search.json has its settings, trials.csv one row per finished trial.

    Raises:
        ValueError: the folder holds something else; the message names it.
    """

    def __init__(self, folder: Path, sweep: Sweep, settings: SweepSearch):
        self.path = folder / "trials.csv"
        self.columns = ["trial", *sweep.parameters, *FIGURES]
        about = {
            "command": [sweep.module, *sweep.words],
            "method": sweep.method,
            "parameters": sweep.parameters,
            "seed": settings.seed,
            "episodes": settings.episodes,
            "dtenv": dtenv.__version__,
        }
        about = json.loads(json.dumps(about))
        path = folder / "search.json"
        if path.exists():
            was = json.loads(path.read_text())["search"]
            for name, value in about.items():
                if was.get(name) != value:
                    message = f"out: {folder} holds another search, whose {name} is {was.get(name)}, not {value}"
                    raise ValueError(message)
        elif folder.exists() and any(folder.iterdir()):
            raise ValueError(f"out: {folder} holds other files and no search")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"search": about, **manifest()}, indent=1, default=str) + "\n")
        self.rows = self._read()

    def _read(self) -> dict[int, dict[str, str]]:
        if not self.path.exists():
            return {}
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]  # an interrupted write leaves half a line
        if whole != text:
            self.path.write_text(whole)
        rows: dict[int, dict[str, str]] = {}
        for line, row in enumerate(csv.DictReader(io.StringIO(whole)), 2):
            if list(row) != self.columns or None in row.values():
                raise ValueError(f"{self.path} line {line}: must have the fields {', '.join(self.columns)}")
            if int(row["trial"]) in rows:
                raise ValueError(f"{self.path} line {line}: trial {row['trial']} occurs twice")
            rows[int(row["trial"])] = row
        return rows

    def holds(self, trial: Trial) -> bool:
        """Whether a trial has been run.

        Raises:
            ValueError: the file has it with other parameters.
        """
        row = self.rows.get(trial.number)
        if row is None:
            return False
        for name, value in trial.parameters.items():
            if row[name] != str(value):
                raise ValueError(f"{self.path}: trial {trial.number} must have {name} {value}, got {row[name]!r}")
        return True

    def keep(self, trial: Trial, result: Mapping[str, float]) -> None:
        """Append the row of a trial."""
        values = [trial.number, *trial.parameters.values(), *(result[name] for name in FIGURES)]
        row = dict(zip(self.columns, map(str, values), strict=True))
        lines = io.StringIO()
        writer = csv.DictWriter(lines, self.columns, lineterminator="\n")
        if not self.path.exists():
            writer.writeheader()
        writer.writerow(row)
        append(self.path, lines.getvalue())
        self.rows[trial.number] = row

    def ranked(self, total: int) -> list[dict[str, str]]:
        """Rows of the first `total` trials, best score first."""
        rows = (row for number, row in self.rows.items() if number <= total)
        return sorted(rows, key=lambda row: (-float(row["score"]), int(row["trial"])))


def main(settings: SweepSearch) -> None:
    """Run missing trials, print the ranking, and write the best."""
    try:
        for name, value in (("episodes", settings.episodes), ("trials", settings.trials)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        sweep = read(settings.file)
        folder = settings.out or Path("runs/search") / settings.file.stem
        trials = Trials(folder, sweep, settings)
        if sweep.stops_early:
            print("early_terminate is ignored: every trial is trained to its end")
        best = search(sweep, settings, trials)
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command continues the search") from None
    (folder / "best.yaml").write_text(yaml.safe_dump(best, sort_keys=False))
    print(f"written to {folder}/")


def search(sweep: Sweep, settings: SweepSearch, trials: Trials) -> dict[str, Any]:
    """Run missing trials; return the best one with its command."""
    known: dict[int, Trial] = {}
    total = settings.trials or sweep.run_cap or TRIALS
    if sweep.method == "grid":
        levels = list(sweep.grid())
        total = min(len(levels), settings.trials or len(levels))
    with tqdm(total=total, desc=settings.file.stem, unit="trial", smoothing=0.0) as bar:

        def play_missing(parameters: Sequence[Mapping[str, Any]]) -> list[float]:
            batch = [Trial(len(known) + i, sweep, chosen, settings.episodes) for i, chosen in enumerate(parameters, 1)]
            known.update({trial.number: trial for trial in batch})
            for trial in batch:
                sweep.args(trial.parameters)  # raises ValueError before any training
            missing = [trial for trial in batch if not trials.holds(trial)]
            bar.update(len(batch) - len(missing))
            for trial, result in play(missing, workers=settings.workers, ray=settings.ray):
                trials.keep(trial, result)
                bar.set_postfix_str(f"best {trials.ranked(total)[0]['score']:.8}")
                bar.update()
            return [float(trials.rows[trial.number]["score"]) for trial in batch]

        if sweep.method == "bayes":
            bayes(sweep, settings.seed, total, play_missing)
        else:
            source: Iterator[dict[str, Any]] = iter(levels) if sweep.method == "grid" else sweep.draws(settings.seed)
            play_missing(list(itertools.islice(source, total)))
    ranked = trials.ranked(total)
    varied = [name for name, of in sweep.parameters.items() if of["distribution"] != "constant"]
    heads = ["trial", *varied, "score"]
    print(f"score a slot: mean over {settings.episodes} tuning episodes")
    print(*markdown_table(heads, [[_short(row[name]) for name in heads] for row in ranked[:SHOWN]]), sep="\n")
    best = known[int(ranked[0]["trial"])]
    words = [*sweep.words, *(f"--{name}={value}" for name, value in best.parameters.items())]
    command = " ".join(["python -m", sweep.module, *words])
    print(f"best: {command}")
    about = {"trial": best.number, "score": float(ranked[0]["score"])}
    return about | {"parameters": dict(best.parameters), "command": command}


def bayes(sweep: Sweep, seed: int, total: int, scores: Callable[[list[dict[str, Any]]], list[float]]) -> None:
    """Evaluate Optuna's trials in batches; it receives their scores in order, whichever ended first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    while len(study.trials) < total:
        asked = [study.ask() for _ in range(min(BATCH, total - len(study.trials)))]
        for trial, score in zip(asked, scores([sweep.suggest(trial) for trial in asked]), strict=True):
            study.tell(trial, score)


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


if __name__ == "__main__":
    main(tyro.cli(SweepSearch))
