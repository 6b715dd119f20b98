"""Training harness of all learners: seeding, progress, tracking, resumable state, clean interruption."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
import tyro
from tqdm import tqdm

from agents.training.files import check_target, sibling
from agents.training.saved_state import load_state, save_state
from agents.training.tracking import Tracker
from dtenv import presets
from dtenv.scenario import Scenario

TRAINING_SEEDS = 1_000_000
"""First seed of training episodes; evaluation seeds lie below."""

FILMED_SEED = 99_999
"""Seed of the episode that a tracked run shows at its end, one of the tuning seeds."""

Report = Callable[[dict[str, Any]], None]
"""Receives a row of `charts/…` and `losses/…`."""

MAY_CHANGE = {"resume", "save", "checkpoint_minutes", "track", "wandb_project", "threads"}
"""Settings that do not affect learning: a run may be resumed with other values of them."""


def silent(row: dict[str, Any]) -> None:
    """Report nothing."""


@dataclass
class RunArgs:
    """Settings of every learner's run."""

    learner: ClassVar[str] = ""
    """name of the learner"""
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """values of the settings that are None by default, by environment"""

    env_id: str = "DTAssociation-v0"
    """the environment"""
    scenario: str | None = None
    """name of a preset; by default the environment's first"""
    num_users: int | None = None
    """number of users, in place of the preset's"""
    num_servers: int | None = None
    """number of servers, S, or stations, M, in place of the preset's"""
    emd: float | None = None
    """φ, in place of the preset's, where it has one"""
    num_slots: int | None = None
    """slots of a training episode; by default the preset's"""
    seed: int = 1
    """seed of network, environments and sampling"""
    save: Path | None = None
    """file of the policy (.safetensors); the run's state is kept in the same folder until it ends"""
    resume: bool = False
    """continue from the state saved with --save, as if never interrupted"""
    checkpoint_minutes: float = 2.0
    """minutes between saved states"""
    track: bool = False
    """log to Weights & Biases (offline unless WANDB_MODE says otherwise)"""
    wandb_project: str = "dtenv"
    """project to log to"""
    threads: int = 1
    """threads of torch, and of the environments"""

    def resolve(self) -> Scenario:
        """The scenario to train on; raises ValueError for an unknown preset or field, named in the message."""
        sites = presets.resolve(None, self.env_id).SITES
        given = {"num_users": self.num_users, sites: self.num_servers, "emd": self.emd, "num_slots": self.num_slots}
        given = {name: value for name, value in given.items() if value is not None}
        return presets.resolve(self.scenario, self.env_id, **given)

    def with_recipe(self) -> Any:
        """These settings, with the environment's recipe in place of None.

        Raises:
            ValueError: the learner has recipes, but none for the environment.
        """
        if self.recipes and self.env_id not in self.recipes:
            raise ValueError(f"env_id must be one of {', '.join(self.recipes)} for {self.learner}, got {self.env_id!r}")
        recipe = self.recipes.get(self.env_id, {})
        return dataclasses.replace(self, **{name: v for name, v in recipe.items() if getattr(self, name) is None})

    @property
    def first_seed(self) -> int:
        """First seed of the run's training episodes."""
        return TRAINING_SEEDS * (1 + self.seed)


class Run:
    """One run of a learner: `with Run(args, report) as run: for iteration in run.over(n, parts): …`.

    Seeds every generator at its start. The first Ctrl-C ends the loop after the current iteration and saves the state,
    if the run has a path for it; the second raises KeyboardInterrupt as usual.

    Attributes:
        interrupted: whether to stop.
        complete: whether all iterations are done.
        resumed: whether this run continues from a saved state.
        total: number of iterations.
    """

    def __init__(self, args: RunArgs, report: Report = silent):
        if args.resume and args.save is None:
            raise ValueError("resume=True needs save: the state is kept in the policy's folder")
        if args.save is not None:
            check_target(args.save)
        self.args, self._report = args, report
        self.interrupted, self.complete, self.total = False, False, 0
        self._settings = {
            name: value if isinstance(value, int | float | str | None) else str(value)
            for name, value in dataclasses.asdict(args).items()
            if name not in MAY_CHANGE
        }
        self._saved = self._load() if args.resume else None
        self.resumed = self._saved is not None
        self._seconds = self._saved["seconds"] if self._saved else 0.0

    @property
    def state_path(self) -> Path | None:
        """File of the run's state, None for a run that is not saved."""
        return None if self.args.save is None else sibling(self.args.save, ".state.safetensors")

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training so far, including those before it was resumed."""
        return self._seconds + time.perf_counter() - self._start

    def over(self, iterations: int, parts: Mapping[str, Any]) -> Iterator[int]:
        """Yield the iterations of the run, from the saved one on; none if it was interrupted before the first.

        `parts` is what changes between iterations, each with state_dict() and load_state_dict(state).
        """
        first, self.total = 0, iterations
        if self._saved is not None:
            first = self._saved["iteration"]
            for name, part in parts.items():
                part.load_state_dict(self._saved["parts"][name])
            torch.set_rng_state(self._saved["torch"])
            self._saved = None
        if self.interrupted:  # in a warm start, from within which no state can continue
            return
        kept = time.perf_counter()
        for iteration in range(first, iterations):
            yield iteration
            due = time.perf_counter() - kept > 60.0 * self.args.checkpoint_minutes
            if self.state_path is not None and iteration + 1 < iterations and (due or self.interrupted):
                try:
                    self._keep(iteration + 1, parts)
                except OSError as error:  # a full disk, say: the last good state stays
                    warnings.warn(f"the state was not saved: {error}", stacklevel=2)
                kept = time.perf_counter()
            if self.interrupted:
                return
        if self.state_path is not None:
            self._keep(iterations, parts)  # until the policy is safely saved
        self.complete = True

    def report(self, row: dict[str, Any]) -> None:
        """Report a row, with the run's seconds and speed."""
        seconds = self.seconds
        speed = {"charts/SPS": row["global_step"] / seconds} if "global_step" in row else {}
        self._report({"charts/seconds": seconds, **speed, **row})

    def report_iteration(
        self,
        iteration: int,
        steps: int,
        phase: str,
        charts: Mapping[str, float],
        losses: Mapping[str, Any] = MappingProxyType({}),
        seconds: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Report an iteration of `steps` environment steps, its `charts/…`, losses (numbers or tensors), seconds."""
        row = {"charts/phase": phase, "global_step": (iteration + 1) * steps}
        row |= {"charts/progress": (iteration + 1) / self.total, **charts}
        row |= {f"losses/{name}": x.item() if isinstance(x, torch.Tensor) else x for name, x in losses.items()}
        self.report(row | {f"seconds/{name}": spent for name, spent in seconds.items()})

    def __enter__(self) -> Run:
        random.seed(self.args.seed)
        np.random.seed(self.args.seed)  # noqa: NPY002 (used by dependencies)
        torch.manual_seed(self.args.seed)
        torch.set_num_threads(self.args.threads)
        self._start = time.perf_counter()
        self._handler: Any = None
        if threading.current_thread() is threading.main_thread():  # other threads receive no signals
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self.complete and error is None and self.state_path is not None:
            self.state_path.unlink(missing_ok=True)

    def _interrupt(self, *_: Any) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def _keep(self, iteration: int, parts: Mapping[str, Any]) -> None:
        assert self.state_path is not None
        state = {name: part.state_dict() for name, part in parts.items()}
        tree = {"learner": self.args.learner, "settings": self._settings, "iteration": iteration, "parts": state}
        save_state(self.state_path, {**tree, "seconds": self.seconds, "torch": torch.get_rng_state()})

    def _load(self) -> dict[str, Any]:
        assert self.state_path is not None
        saved, learner = load_state(self.state_path), self.args.learner
        if saved["learner"] != learner:
            raise ValueError(f"{str(self.state_path)!r} is the state of {saved['learner']!r}, not of {learner!r}")
        for name, value in self._settings.items():
            was = saved["settings"].get(name, value)  # an older version may lack the setting
            if was != value:
                raise ValueError(f"{name} must be {was!r} to resume {str(self.state_path)!r}, got {value!r}")
        return saved


class ProgressBar:
    """Progress bar with the time, the score and steps per second of the rows reported.

    Rows of a warm start have "charts/phase" and no "charts/progress".
    """

    def __init__(self, title: str):
        self._bar = tqdm(total=1000, desc=title, bar_format="{l_bar}{bar}| {elapsed}{postfix}")

    def __call__(self, row: dict[str, Any]) -> None:
        """Show a row."""
        if "charts/progress" not in row:
            self._bar.set_postfix_str(str(row.get("charts/phase", "")))
            return
        self._bar.n = round(1000 * row["charts/progress"])
        self._bar.set_postfix_str(f"score {row['charts/score']:.4f}, {row['charts/SPS']:.0f} steps/s")

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def main(train: Callable[..., Any], settings: type[RunArgs]) -> None:
    """Call `train` with the settings from the command line, with a progress bar and, if requested, W&B.

    A tracked run also saves its policy, by default in runs/, and logs an episode of it as a GIF and a table.
    """
    args, learner = tyro.cli(settings).with_recipe(), settings.learner
    name = f"{args.env_id}__{learner}__{args.seed}__{int(time.time())}"
    if args.track and args.save is None:
        args = dataclasses.replace(args, save=Path("runs") / f"{name}__{os.getpid()}.safetensors")
    with (
        Tracker(args, enabled=args.track, name=name, learner=learner, project=args.wandb_project) as tracker,
        ProgressBar(f"training {learner}") as bar,
        suppress(KeyboardInterrupt),
    ):

        def report(row: dict[str, Any]) -> None:
            tracker.log(row)
            bar(row)

        policy = train(args, report=report)
        if args.track:
            tracker.log_policy(args.save)
            if find_spec("pygame") and find_spec("PIL"):
                from agents.training.gif import record_gif  # needs an extra

                picture = sibling(args.save, ".gif")
                tracker.log_table("episode", record_gif(picture, args.env_id, policy, args.resolve(), FILMED_SEED))
                tracker.log_media("film", picture)
