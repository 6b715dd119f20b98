"""Job executors: serial, local processes, or Ray.

A job must give the same result wherever and however often it is run: jobs of a lost worker are run again.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated, Any, Protocol

from tyro.constructors import PrimitiveConstructorSpec

RETRIES = 3
"""Retries after lost workers: of each job on Ray, in a row without any result with local processes."""

BACKLOG = 2
"""Tasks submitted to Ray per core: one running, one waiting, so that the object store stays small."""

PACKAGES = ("dtenv", "agents", "benchmarks")
"""Packages sent to machines without our working tree."""

RayAddress = Annotated[
    str | None,
    PrimitiveConstructorSpec(
        nargs=(0, 1),
        metavar="[ADDRESS]",
        instance_from_str=lambda words: words[0] if words else "local",
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [] if value is None else [value],
    ),
]
"""Type of the setting `ray`: None without the flag, "local" with `--ray`, ADDRESS with `--ray ADDRESS`."""


class Job(Protocol):
    """Picklable, deterministic unit of work."""

    @property
    def name(self) -> str:
        """Unique name of the job."""

    def run(self) -> Any:
        """Return the picklable result."""


class JobFailed(RuntimeError):
    """Error of a job that raised or lost its worker too often; the message names it."""


def play(jobs: Sequence[Job], *, workers: int = 1, ray: str | None = None) -> Iterator[tuple[Job, Any]]:
    """Yield every job once with its result, in order of completion. PyTorch has one thread per job.

    Args:
        jobs: jobs of different names.
        workers: number of local processes (1: this process), or of cores of a "local" Ray.
        ray: "local" starts Ray on this machine; "auto", "host:port" or, with ray[client], "ray://host:port" connects to
            a cluster and uses all its cores. Ray is shut down afterwards unless it was running before.

    Raises:
        JobFailed: from the job's own exception, or after its worker was lost more than RETRIES times.
        ConnectionError: no cluster answers at the address.
        ValueError: two jobs of one name, or fewer than one worker.
    """
    name, count = max(Counter(job.name for job in jobs).items(), key=lambda item: item[1], default=("", 0))
    if count > 1:
        raise ValueError(f"jobs must have different names, got {name!r} twice")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if not jobs:
        return iter(())
    if ray is not None:
        return _on_ray(jobs, ray, workers)
    return _here(jobs) if workers == 1 else _in_processes(jobs, workers)


def one_thread() -> None:
    """Limit PyTorch to one thread, without importing it, so that sums have the same order everywhere."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _run(job: Job) -> Any:
    one_thread()
    return job.run()


def _here(jobs: Sequence[Job]) -> Iterator[tuple[Job, Any]]:
    for job in jobs:
        try:
            result = _run(job)
        except Exception as error:
            raise _failure(job, error) from error
        yield job, result


def _failure(job: Job, error: BaseException) -> JobFailed:
    return JobFailed(f"job {job.name!r} failed: {type(error).__name__}: {error}")


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Any]]:
    """Run jobs in a pool of processes; a killed process breaks its pool, and unfinished jobs restart in a new one."""
    missing, losses = list(jobs), 0
    while missing:
        pool = ProcessPoolExecutor(min(workers, len(missing)), multiprocessing.get_context("spawn"))
        try:
            futures = {pool.submit(_run, job): job for job in missing}
            lost = []
            for future in as_completed(futures):
                job = futures[future]
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost.append(job)
                    continue
                except Exception as error:
                    raise _failure(job, error) from error
                yield job, result
        except BrokenProcessPool:  # while still submitting
            lost = missing
        finally:
            _stop(pool)
        losses = losses + 1 if len(lost) == len(missing) else 1
        if lost and losses > RETRIES:
            one = "job" if len(lost) == 1 else "jobs, one of them"
            raise JobFailed(f"processes were lost {losses} times in a row at {len(lost)} {one} {lost[0].name!r}")
        missing = lost


def _stop(pool: ProcessPoolExecutor) -> None:
    """Shut a pool down and terminate its running jobs, whose results are no longer needed."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _on_ray(jobs: Sequence[Job], address: str, workers: int) -> Iterator[tuple[Job, Any]]:
    """Run each job as a Ray task; Ray itself retries tasks of lost workers and nodes."""
    ours = connect(address, workers)
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_run)
        waiting, pending = list(reversed(jobs)), {}
        while waiting or pending:
            room = max(BACKLOG, int(BACKLOG * ray.cluster_resources().get("CPU", 0)))
            while waiting and len(pending) < room:
                job = waiting.pop()
                pending[task.options(name=job.name).remote(job)] = job
            for ended in ray.wait([*pending], num_returns=1)[0]:
                job = pending.pop(ended)
                try:
                    result = ray.get(ended)
                except RayTaskError as error:
                    cause = error.cause if isinstance(error.cause, Exception) else error
                    raise _failure(job, cause) from error
                except RayError as error:
                    raise JobFailed(f"job {job.name!r} failed: its worker was lost {RETRIES + 1} times") from error
                yield job, result
    finally:
        if ours:
            ray.shutdown()


def connect(address: str, workers: int) -> bool:
    """Start Ray on this machine or connect to a cluster, quietly; return False if it was running already.

    Nodes on this machine import the packages from the working directory, the clone's root; if any node is another
    machine, PACKAGES are sent to all. Their dependencies must be installed there, and Numba compiles again there.

    Raises:
        ConnectionError: no cluster answers at the address.
        ImportError: Ray is not installed; the message gives the command that installs it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ImportError('ray needs Ray: pip install "dtenv[ray]"') from error
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if address == "local":
        ray.init("local", num_cpus=workers, include_dashboard=False, object_store_memory=2**28, **quiet)
        return True
    try:
        if address != "auto":  # Ray itself would wait for minutes
            host, port = address.removeprefix("ray://").rsplit(":", 1)
            socket.create_connection((host, int(port)), timeout=5.0).close()
        ray.init(address, **quiet)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"ray must be a cluster's address that answers, got {address!r}: {error}") from error
    here = socket.gethostname()
    if any(node["NodeManagerHostname"] != here for node in ray.nodes() if node["Alive"]):
        ray.shutdown()
        folders = [str(Path(importlib.import_module(name).__path__[0])) for name in PACKAGES]
        ray.init(address, runtime_env={"py_modules": folders, "excludes": ["**/__pycache__"]}, **quiet)
    return True
