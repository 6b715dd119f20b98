"""Speed, scaling, memory and start-up time of our environments and of others.

    python -m benchmarks.speed --out benchmarks/results/speed

After a warm-up all contenders play in turns, `repeats` times; medians count. Ours play whole episodes, so their time
includes resets; "drawing" is the share of resets in a bare kernel's time. Ratios are within a turn: "API" is
1 - vector / bare kernel, the share of Gymnasium's interface, and the last column gives speed relative to others.
"asked" holds the targets.

The folder holds a CSV of each table, the contenders in speed.md, the others in scaling.md, and pictures: speed.csv;
batches.csv and .png (over 1 … 4,096 environments); sizes.csv and .png (over users and servers); memory.csv; start.csv.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tyro

from benchmarks.evaluate import cores, manifest, write_rows
from benchmarks.speed import plots as speed_plots
from benchmarks.speed.contenders import contenders, missing
from benchmarks.speed.memory import memory_rows
from benchmarks.speed.players import in_turns
from benchmarks.speed.scaling import batch_rows, size_rows
from benchmarks.speed.start import start_rows
from benchmarks.speed.tables import markdown, speed_rows
from dtenv import presets


@dataclass
class Speed:
    """Settings of the measurement."""

    seconds: float = 0.7
    """least wall time of a contender per turn; ours play whole episodes"""
    repeats: int = 5
    """turns of the contenders"""
    warm_up: float = 0.3
    """seconds of every contender before the first turn"""
    threads: int | None = None
    """threads of our batches; by default one per core"""
    num_envs: int = 1024
    """environments in our batches"""
    sync: tuple[int, ...] = (1, 16, 64)
    """environments in Gymnasium's SyncVectorEnv"""
    asynchronous: tuple[int, ...] = (2, 8)
    """environments in Gymnasium's AsyncVectorEnv"""
    counts: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    """environments, for speed by batch size"""
    most_sync: int = 256
    """largest SyncVectorEnv, for speed by batch size"""
    most_async: int = 16
    """largest AsyncVectorEnv, for speed by batch size"""
    users: tuple[int, ...] = (10, 20, 50, 100, 200)
    """users, for cost by size"""
    servers: tuple[int, ...] = (5, 10, 15, 25, 50)
    """servers, for cost by size"""
    size_envs: int = 64
    """environments, for cost by size"""
    scaling_seconds: float = 0.2
    """as `seconds`, for speed by batch size and cost by size"""
    scaling_repeats: int = 3
    """as `repeats`, for speed by batch size and cost by size"""
    memory: tuple[int, ...] = (1024, 4096)
    """environments, for memory"""
    env_ids: tuple[str, ...] = tuple(presets.PRESETS)
    """environments for memory and start-up time"""
    cold: int = 1
    """cold starts per environment"""
    warm: int = 3
    """warm starts after each cold one"""
    quick: bool = False
    """tiny sizes in place of the settings above, to check that everything runs"""
    out: Path = Path("runs/speed")
    """folder to write to"""


QUICK: dict[str, Any] = {
    "seconds": 0.0,
    "repeats": 1,
    "warm_up": 0.0,
    "num_envs": 8,
    "sync": (2,),
    "asynchronous": (2,),
}
QUICK |= {"counts": (1, 4), "most_sync": 4, "most_async": 0, "users": (10, 20), "servers": (5, 10), "size_envs": 2}
QUICK |= {"scaling_seconds": 0.0, "scaling_repeats": 1, "memory": (16,), "env_ids": ("DTAssociation-v0",)}
QUICK |= {"cold": 0, "warm": 1}
"""Settings of `quick`."""


def contender_rows(settings: Speed) -> list[dict[str, Any]]:
    """Rows of all contenders."""
    with ExitStack() as stack:
        every = contenders(settings.num_envs, settings.sync, settings.asynchronous, stack, settings.threads)
        plays = {contender.name: contender.play for contender in every}
        turns = in_turns(plays, settings.seconds, settings.repeats, settings.warm_up, "contenders")
    return speed_rows(every, turns)


MEASUREMENTS: dict[str, Callable[[Speed], list[dict[str, Any]]]] = {
    "speed": contender_rows,
    "batches": lambda s: batch_rows(
        s.counts, s.most_sync, s.most_async, s.scaling_seconds, s.scaling_repeats, s.threads
    ),
    "sizes": lambda s: size_rows(s.users, s.servers, s.size_envs, s.scaling_seconds, s.scaling_repeats),
    "memory": lambda s: memory_rows(s.env_ids, s.memory),
    "start": lambda s: start_rows(s.env_ids, s.num_envs, s.cold, s.warm),
}
"""Measurements in their order, by the name of the table."""


def main(settings: Speed) -> None:
    """Measure everything, and write tables, pictures and manifest."""
    if settings.quick:
        settings = dataclasses.replace(settings, **QUICK)
    load = os.getloadavg()
    settings.out.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[dict[str, Any]]] = {}
    for name, measure in MEASUREMENTS.items():
        tables[name] = measure(settings)
        write_rows(settings.out / f"{name}.csv", tables[name])
    record = manifest(
        *(presets.resolve(None, env_id) for env_id in presets.PRESETS),
        processor=processor(),
        load_average=[load, os.getloadavg()],
        rivals={name: _version(name) for name in ("mobile-env", "cvxpy")},
        left_out=missing(),
        settings=dataclasses.asdict(settings),
    )
    (settings.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    machine = f"{record['machine']}, {processor()}"
    speed_plots.crossover(settings.out / "batches.png", tables["batches"], f"Env-steps a second; {machine}")
    speed_plots.sizes(settings.out / "sizes.png", tables["sizes"], f"Cost of an env-step; one core, {processor()}")
    first, *others = titled(tables, settings, machine).values()
    (settings.out / "speed.md").write_text(first)
    (settings.out / "scaling.md").write_text("\n".join(others))
    print("\n".join([first, *others, f"written to {settings.out}/"]))


def titled(tables: dict[str, list[dict[str, Any]]], settings: Speed, machine: str) -> dict[str, str]:
    """Markdown of the tables by name, each with a sentence on how it was measured."""
    asked = {"memory": "4,096 envs in 2,048 MiB", "start": "cold < 40 s, warm < 2 s", "sizes": "exponent ≤ 1"}
    how = {
        "speed": f"Contenders, medians of {settings.repeats} turns of at least {settings.seconds:g} s each, after "
        f"{settings.warm_up:g} s of warm-up; {settings.threads or cores()} threads; {machine}.",
        "batches": f"Number of environments, medians of {settings.scaling_repeats} turns after an episode of warm-up.",
        "sizes": f"Users and servers, {settings.size_envs} environments on one thread.",
        "memory": "Memory, each line in a process of its own.",
        "start": "Import, make, reset and a step in a fresh process.",
    }
    if missing():
        how["speed"] += f" Left out, as not installed: {', '.join(missing())}."
    texts = {}
    for name, rows in tables.items():
        more = {"asked": asked[name]} if name in asked else {}
        texts[name] = f"{how[name]}\n\n{markdown([row | more for row in rows])}\n"
    return texts


def processor() -> str:
    """Model name of the processor, from Linux's /proc."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    return "processor unknown"


def _version(package: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(package)
    return None


if __name__ == "__main__":
    main(tyro.cli(Speed))
