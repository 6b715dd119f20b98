"""Who does the work: jobs played one after another, by processes of this machine, or as tasks of a Ray cluster.

A job must give the same result wherever it is run, and as often as it is: what a lost worker was at is run again.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated, Any, Protocol

from tyro.constructors import PrimitiveConstructorSpec

RETRIES = 3
"""Times that work is begun again whose workers were lost: a job's on Ray, in a row without any result in processes."""

BACKLOG = 2
"""Tasks handed to Ray for each of its cores: one at work, one waiting, so that the object store stays small."""

PACKAGES = ("dtenv", "agents", "benchmarks")
"""What machines that have no working tree of ours are sent."""

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
"""Of a command's setting `ray`: None without the flag, "local" with `--ray`, ADDRESS with `--ray ADDRESS`."""


class Job(Protocol):
    """A piece of work, to be pickled, that gives the same result every time."""

    @property
    def name(self) -> str:
        """Unlike any other job's."""
        ...

    def run(self) -> Any:
        """The result, to be pickled."""
        ...


class JobFailed(RuntimeError):
    """A job raised, or its worker was lost too often; the message names it."""


def play(jobs: Sequence[Job], *, workers: int = 1, ray: str | None = None) -> Iterator[tuple[Job, Any]]:
    """Every job with its result, exactly once, as they end. PyTorch has one thread in each.

    Args:
        jobs: of unlike names.
        workers: how many work side by side: in this process if 1, else in processes of their own, or cores of "local".
        ray: "local" starts Ray on this machine; "auto", "host:port" or, with ray[client], "ray://host:port" is a
            cluster to connect to, all of whose cores are used, whatever `workers` says. Ray is shut down again if it
            was not up before.

    Raises:
        JobFailed: from the job's own exception, or after its worker was lost more than RETRIES times.
        ConnectionError: no cluster answers at the address.
        ValueError: two jobs of one name, or fewer than one worker.
    """
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1}) if len({*names}) < len(names) else []
    if twice:
        raise ValueError(f"jobs must have names of their own, got {twice[0]!r} twice")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if not jobs:
        return iter(())
    if ray is not None:
        return _on_ray(jobs, ray, workers)
    return _here(jobs) if workers == 1 else _in_processes(jobs, workers)


def one_thread() -> None:
    """PyTorch on one thread, so that sums are taken in one order everywhere; without importing it."""
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
    """A killed process takes its whole pool with it: what had not ended begins again in a new one."""
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
        except BrokenProcessPool:  # while still handing out
            lost = missing
        finally:
            _stop(pool)
        losses = losses + 1 if len(lost) == len(missing) else 1
        if lost and losses > RETRIES:
            one = "job" if len(lost) == 1 else "jobs, one of them"
            raise JobFailed(f"processes were lost {losses} times in a row at {len(lost)} {one} {lost[0].name!r}")
        missing = lost


def _stop(pool: ProcessPoolExecutor) -> None:
    """End a pool, with what it is at: its results would not be taken any more."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _on_ray(jobs: Sequence[Job], address: str, workers: int) -> Iterator[tuple[Job, Any]]:
    """A task a job; Ray itself begins again what a lost worker or node was at."""
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
    """Start Ray on this machine or connect to a cluster, quietly; False if it was up already.

    Nodes of this machine import the packages from where this process runs, the clone's root; if any node is another
    machine, all are sent PACKAGES. What those need beside must be installed there, and Numba compiles there anew.

    Raises:
        ConnectionError: no cluster answers at the address.
        ImportError: Ray is not installed; the message says how it is.
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
        if address != "auto":  # Ray would wait for minutes
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
