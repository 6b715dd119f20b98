"""Searches what a W&B sweep file says, without an account: the same parameters, distributions, method and metric.

    python -m benchmarks search benchmarks/sweeps/association-ppo.yaml --trials 20
    python -m benchmarks search benchmarks/sweeps/association-grid.yaml --workers 2
    python -m benchmarks search benchmarks/sweeps/placement-mappo.yaml --ray

A trial's score is its policy's on tuning episodes, which no table shows. Which trials there are depends on file and
seed alone, so that a search goes on where it stopped, and neither workers nor Ray change what it finds. "bayes" is
Optuna's tree-structured Parzen estimator, told in batches; W&B's own is a Gaussian process. No trial is stopped early.
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
from benchmarks.env_settings import REPORTS
from benchmarks.evaluate import TUNING_SEEDS, cores, manifest, run_episodes
from benchmarks.search.sweep_files import Sweep, read
from benchmarks.suites.results import append
from benchmarks.workers import JobFailed, RayAddress, play

TRIALS = 20
"""Of a random or bayes search whose file has no run_cap."""

BATCH = 4
"""Trials of "bayes" between which it learns nothing: as many work side by side, and no more."""

SHOWN = 20
"""Lines of the printed table."""


@dataclass
class Search:
    """Settings of a search."""

    file: tyro.conf.Positional[Path]
    """W&B's sweep file, such as those in benchmarks/sweeps"""
    trials: int | None = None
    """how many; by default the file's run_cap, else 20; a grid's, all"""
    seed: int = 1
    """of what is drawn"""
    episodes: int = 16
    """tuning episodes by which a trial is scored"""
    workers: int = cores()
    """processes side by side, a thread each"""
    ray: RayAddress = None
    """work on Ray, started on this machine, or on the cluster at an address"""
    out: Path | None = None
    """where to write; by default runs/search/NAME"""


@dataclass(frozen=True)
class Trial:
    """One training with the parameters of a trial, and its score on tuning episodes."""

    number: int
    sweep: Sweep
    parameters: Mapping[str, Any]
    episodes: int

    @property
    def name(self) -> str:
        """Such as "trial 3"."""
        return f"trial {self.number}"

    def run(self) -> dict[str, float]:
        """Score on tuning episodes, mean score of the last tenth of the training, and its seconds."""
        args = self.sweep.args(self.parameters)
        told: list[dict[str, Any]] = []
        policy = importlib.import_module(self.sweep.module).train(args, report=told.append)
        curve = [row for row in told if "charts/progress" in row]
        if curve[-1]["charts/progress"] < 1.0:  # a Ctrl-C leaves half a training
            raise KeyboardInterrupt
        scenario = dataclasses.replace(args, num_slots=None).resolve(**REPORTS[args.env_id].overrides)
        seeds = TUNING_SEEDS[-self.episodes :]
        rows = run_episodes(policy, args.env_id, scenario, seeds)
        last = curve[-max(1, len(curve) // 10) :]
        return {
            "score": float(np.mean([row["score"] for row in rows])),
            "training_score": float(np.nanmean([row["charts/score"] for row in last])),
            "seconds": curve[-1]["charts/seconds"],
        }


FIGURES = ("score", "training_score", "seconds")


class Trials:
    """The folder of a search: search.json says what is searched, trials.csv has a row a trial, appended as it ends.

    Raises:
        ValueError: the folder holds something else; the message says what.
    """

    def __init__(self, folder: Path, sweep: Sweep, settings: Search):
        self.folder, self.names = folder, [*sweep.parameters]
        self.columns = ["trial", *self.names, *FIGURES]
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
                    raise ValueError(
                        f"out: {folder} holds another search, whose {name} is {was.get(name)}, not {value}"
                    )
        elif folder.exists() and any(folder.iterdir()):
            raise ValueError(f"out: {folder} holds other files, and no search")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"search": about, **manifest()}, indent=1, default=str) + "\n")
        self.rows = self._read()

    def _read(self) -> dict[int, dict[str, str]]:
        path = self.folder / "trials.csv"
        if not path.exists():
            return {}
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]  # an interrupted write leaves half a line
        if whole != text:
            path.write_text(whole)
        rows: dict[int, dict[str, str]] = {}
        for line, row in enumerate(csv.DictReader(io.StringIO(whole)), 2):
            if list(row) != self.columns or None in row.values():
                raise ValueError(f"{path} line {line}: must have the fields {', '.join(self.columns)}")
            if int(row["trial"]) in rows:
                raise ValueError(f"{path} line {line}: trial {row['trial']} stands there twice")
            rows[int(row["trial"])] = row
        return rows

    def result(self, trial: Trial) -> float | None:
        """Its score, if it has been run.

        Raises:
            ValueError: the file has it with other parameters.
        """
        row = self.rows.get(trial.number)
        if row is None:
            return None
        for name, value in trial.parameters.items():
            if row[name] != str(value):
                path = self.folder / "trials.csv"
                raise ValueError(f"{path}: trial {trial.number} must have {name} {value}, got {row[name]!r}")
        return float(row["score"])

    def keep(self, trial: Trial, result: Mapping[str, float]) -> None:
        """Append a trial's row."""
        values = [trial.number, *trial.parameters.values(), *(result[name] for name in FIGURES)]
        row = dict(zip(self.columns, map(str, values), strict=True))
        lines = io.StringIO()
        writer = csv.DictWriter(lines, self.columns, lineterminator="\n")
        if not (self.folder / "trials.csv").exists():
            writer.writeheader()
        writer.writerow(row)
        append(self.folder / "trials.csv", lines.getvalue())
        self.rows[trial.number] = row

    def ranked(self, total: int) -> list[dict[str, str]]:
        """Rows of the first trials, the best first."""
        rows = (row for number, row in self.rows.items() if number <= total)
        return sorted(rows, key=lambda row: (-float(row["score"]), int(row["trial"])))


def main(settings: Search) -> None:
    """Run the trials that are missing, print them ranked, and write the best."""
    try:
        if settings.episodes < 1 or (settings.trials is not None and settings.trials < 1):
            name = "episodes" if settings.episodes < 1 else "trials"
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
        sweep = read(settings.file)
        folder = settings.out or Path("runs/search") / settings.file.stem
        trials = Trials(folder, sweep, settings)
        if sweep.stops_early:
            print("early_terminate is W&B's; here every trial is trained to its end")
        best = search(sweep, settings, trials)
    except (ValueError, OSError, ImportError, JobFailed) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on with what is missing") from None
    (folder / "best.yaml").write_text(yaml.safe_dump(best, sort_keys=False))
    print(f"written to {folder}/")


def search(sweep: Sweep, settings: Search, trials: Trials) -> dict[str, Any]:
    """Run what is missing; the best trial with its command."""
    known: dict[int, Trial] = {}
    total = settings.trials or sweep.run_cap or TRIALS
    if sweep.method == "grid":
        levels = list(sweep.grid())
        total = min(len(levels), settings.trials or len(levels))

    with tqdm(total=total, desc=settings.file.stem, unit="trial", smoothing=0.0) as bar:

        def play_missing(parameters: Sequence[Mapping[str, Any]]) -> list[float]:
            """Scores of the next trials."""
            batch = [Trial(len(known) + i, sweep, chosen, settings.episodes) for i, chosen in enumerate(parameters, 1)]
            known.update({trial.number: trial for trial in batch})
            for trial in batch:
                sweep.args(trial.parameters)  # refused before anything is trained
            missing = [trial for trial in batch if trials.result(trial) is None]
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
    varied = [name for name, of in sweep.parameters.items() if of["distribution"] != "constant"]
    ranked = trials.ranked(total)
    print_table(ranked, varied, settings.episodes)
    best = known[int(ranked[0]["trial"])]
    words = [*sweep.words, *(f"--{name}={value}" for name, value in best.parameters.items())]
    command = " ".join(["python -m", sweep.module, *words])
    print(f"best: {command}")
    score = float(ranked[0]["score"])
    return {"trial": best.number, "score": score, "parameters": dict(best.parameters), "command": command}


def bayes(sweep: Sweep, seed: int, total: int, scores: Callable[[list[dict[str, Any]]], list[float]]) -> None:
    """Let Optuna ask for batches of trials, and tell it their scores in order, whichever ended first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    while len(study.trials) < total:
        asked = [study.ask() for _ in range(min(BATCH, total - len(study.trials)))]
        for trial, score in zip(asked, scores([sweep.suggest(trial) for trial in asked]), strict=True):
            study.tell(trial, score)


def print_table(rows: Sequence[Mapping[str, str]], names: Sequence[str], episodes: int) -> None:
    """The best trials, ranked."""
    print(f"score a slot: mean over {episodes} tuning episodes")
    heads = ["trial", *names, "score"]
    table = [[_short(row[name]) for name in heads] for row in rows[:SHOWN]]
    widths = [max(map(len, column)) for column in zip(heads, *table, strict=True)]
    for line in [heads, *table]:
        print("  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True)))


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


if __name__ == "__main__":
    main(tyro.cli(Search))
