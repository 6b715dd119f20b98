"""Trials on Ray Tune: which ones is settled before, so Tune has only to run them, and again where a worker is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # quiet, and read when Tune is imported
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # a Ctrl-C is raised, not taken for an end

import ray
from ray import tune

from benchmarks.workers import RETRIES, Job, JobFailed, connect, one_thread


class Keeping(tune.Callback):
    """Keeps what trials report, each once: a worker may be lost after it has reported, and its job begun again."""

    def __init__(self, jobs: Sequence[Job], keep: Callable[[Any, Any], None]):
        self.missing, self.keep = dict(enumerate(jobs)), keep
        self.failed: JobFailed | None = None

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Called by Tune."""
        if "result" in result and (job := self.missing.pop(trial.config["job"], None)) is not None:
            self.keep(job, result["result"])
        if "error" in result and self.failed is None:
            name, error = self.missing[trial.config["job"]].name, result["error"]
            self.failed = JobFailed(f"job {name!r} failed: {type(error).__name__}: {error}")
            self.failed.__cause__ = error

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it beside its own state, from which no search is restored."""
        return {}


class Failed(tune.Stopper):
    """Ends all trials when a job has raised."""

    def __init__(self, keeping: Keeping):
        self.keeping = keeping

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether to stop a trial."""
        return False

    def stop_all(self) -> bool:
        """Whether to stop all of them."""
        return self.keeping.failed is not None


def play_on_tune(jobs: Sequence[Job], address: str, workers: int, keep: Callable[[Any, Any], None]) -> None:
    """Run jobs.

    Args:
        jobs: of unlike names.
        address: as in benchmarks.workers.play.
        workers: cores of "local".
        keep: called with every job and its result, exactly once, as they end.

    Raises:
        JobFailed: from the job's own exception, or after its worker was lost more than RETRIES times.
        ConnectionError: no cluster answers at the address.
    """
    if not jobs:
        return

    def trainable(config: dict[str, Any], jobs: Sequence[Job]) -> None:
        one_thread()
        try:
            told = {"result": jobs[config["job"]].run()}
        except Exception as error:  # the job's own: Tune would try again
            told = {"error": error}
        tune.report(told)

    ours, keeping = connect(address, workers), Keeping(jobs, keep)
    try:
        with tempfile.TemporaryDirectory() as folder:
            tune.Tuner(
                tune.with_resources(tune.with_parameters(trainable, jobs=list(jobs)), {"cpu": 1}),
                param_space={"job": tune.grid_search(list(range(len(jobs))))},
                tune_config=tune.TuneConfig(reuse_actors=True),
                run_config=tune.RunConfig(
                    storage_path=folder,
                    verbose=0,
                    stop=Failed(keeping),
                    callbacks=[keeping],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                ),
            ).fit()
    finally:
        if ours:
            ray.shutdown()
    if keeping.failed is not None:
        raise keeping.failed
    for job in keeping.missing.values():
        raise JobFailed(f"job {job.name!r} failed: its worker was lost {RETRIES + 1} times")
