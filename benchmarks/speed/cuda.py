"""Environment steps a second on a GPU over batch sizes, and their shares of the device's limits.

    python -m benchmarks.speed.cuda --out benchmarks/results/speed-cuda

The time covers whole episodes, their autoresets, and random actions, which are sampled on the device; observations and
rewards stay there. Bytes per step are a lower limit: every array of a row once, of a tape two slots and its share of
the sampling, as if caches were perfect within a step and useless between steps. Arithmetic is counted by
benchmarks.speed.operations, where a function of `math` counts as several operations. The CPU plays in the same run.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from numba import cuda

from benchmarks.evaluate import manifest, write_rows
from benchmarks.speed.operations import count
from dtenv import presets
from dtenv.envs.vector_entry_points import require_cuda
from dtenv.world.pcg64 import WORDS, integer, random

THREADS = 128


@dataclass
class SpeedCuda:
    """Settings of the measurement."""

    batches: tuple[int, ...] = tuple(2**n for n in range(10, 19))
    """batch sizes; those that do not fit the device's memory are left out"""
    repeats: int = 3
    """episodes per batch size; the median counts"""
    cpu_rows: int = 1024
    """rows of the CPU's batch"""
    memory_gb_s: float = 4800.0
    """the device's memory bandwidth, GB/s; by default an H200's, from NVIDIA's data sheet"""
    fp64_gflops: float = 34_000.0
    """the device's FP64 peak without tensor cores, GFLOP/s; by default an H200's, from NVIDIA's data sheet"""
    operations_a_function: float = 20.0
    """FP64 operations per exponential, logarithm or root, a rough figure"""
    out: Path = Path("runs/speed-cuda")
    """folder to write to"""


@cuda.jit
def draw_indices(streams, count, actions):
    """Fill actions (B, n) with random integers below `count`."""
    b = cuda.grid(1)
    if b < actions.shape[0]:
        for n in range(actions.shape[1]):
            actions[b, n] = integer(streams[b], 0, count - 1)


@cuda.jit
def draw_numbers(streams, actions):
    """Fill actions (B, n) with random numbers in [0, 1)."""
    b = cuda.grid(1)
    if b < actions.shape[0]:
        for n in range(actions.shape[1]):
            actions[b, n] = random(streams[b])


class RandomActions:
    """Sampler of an environment's default action space on the device."""

    def __init__(self, env: Any):
        space, batch = env.action_space, env.num_envs
        streams = np.random.default_rng(0).integers(2**63, size=(batch, WORDS), dtype=np.uint64)
        streams[:, 3] |= np.uint64(1)  # a generator's increment is odd
        streams[:, 4] = 0
        self._streams = cuda.to_device(streams)
        self._count = int(space.nvec.flat[0]) if isinstance(space, gym.spaces.MultiDiscrete) else None
        self._actions = cuda.to_device(np.zeros(space.shape, space.dtype))
        self._flat = self._actions.reshape(batch, self._actions.size // batch)
        self._blocks = (batch + THREADS - 1) // THREADS

    def draw(self) -> Any:
        """Sample the next actions, an array on the device."""
        if self._count is None:
            draw_numbers[self._blocks, THREADS](self._streams, self._flat)
        else:
            draw_indices[self._blocks, THREADS](self._streams, self._count, self._flat)
        return self._actions


def bytes_of(env: Any) -> tuple[int, float]:
    """Bytes of a row, and the least bytes that a step of it moves."""
    task, slots = env.task.host_task, env.scenario.episode.num_slots
    held, moved = 0, 0.0
    for array, ours in zip(task._arrays, env.task._arrays, strict=True):
        if ours.shape != array.shape or env.num_envs == 1:
            held += array.nbytes
            taped = array.ndim > 1 and array.shape[1] == slots + 2
            moved += array.nbytes * (3.0 / (slots + 2)) if taped else array.nbytes
    action = sum(taken.nbytes // env.num_envs for taken in env.task.taken)
    return held, moved + 2 * action


def rate(env: Any, choose: Any, repeats: int) -> float:
    """Environment steps a second, the median over `repeats` episodes with their autoresets."""
    slots = env.scenario.episode.num_slots
    env.reset(seed=0)
    env.step(choose())  # compiles
    env.reset()
    rates = []
    for _ in range(repeats):
        _wait(env)
        start = time.perf_counter()
        for _ in range(slots + 1):
            env.step(choose())
        _wait(env)
        rates.append(env.num_envs * slots / (time.perf_counter() - start))
    return statistics.median(rates)


def _wait(env: Any) -> None:
    if hasattr(env.task, "one"):
        cuda.synchronize()


def on_cpu(env_id: str, settings: SpeedCuda, overrides: Mapping[str, Any]) -> float:
    """Steps a second of the CPU's vector environment on all cores."""
    env = _make(env_id, settings.cpu_rows, overrides, threads=None)
    env.action_space.seed(0)
    action = env.action_space.sample()
    speed = rate(env, lambda: action, 1)
    env.close()
    return speed


def on_gpu(env_id: str, batch: int, settings: SpeedCuda, overrides: Mapping[str, Any]) -> dict[str, Any] | None:
    """One row of the table; None if the batch does not fit the device."""
    gc.collect()
    held, _ = bytes_of(_make(env_id, 2, overrides, device="cuda", check=False))
    free, _ = cuda.current_context().get_memory_info()
    if held * batch > 0.8 * free:
        return None
    env = _make(env_id, batch, overrides, device="cuda", check=False)
    held, moved = bytes_of(env)
    speed = rate(env, RandomActions(env).draw, settings.repeats)
    return {
        "env_id": env_id,
        "num_envs": batch,
        "steps_per_second": speed,
        "bytes_a_row": held,
        "bytes_a_step": moved,
        "bandwidth_share": speed * moved / (settings.memory_gb_s * 1e9),
    }


def _make(env_id: str, batch: int, overrides: Mapping[str, Any], **more: Any) -> Any:
    return gym.make_vec(
        env_id, num_envs=batch, vectorization_mode="vector_entry_point", copy=False, **overrides, **more
    )


def measure(env_id: str, settings: SpeedCuda, overrides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one environment."""
    counted, cpu = count(env_id, overrides), on_cpu(env_id, settings, overrides)
    operations = counted["operations"] + settings.operations_a_function * counted["functions"]
    rows = []
    for batch in settings.batches:
        row = on_gpu(env_id, batch, settings, overrides)
        if row is None:
            print(f"{env_id}: {batch:,} rows do not fit the device")
            continue
        speed = row["steps_per_second"]
        row |= {"operations_a_step": operations, "fp64_share": speed * operations / (settings.fp64_gflops * 1e9)}
        rows.append(row | {"cpu_steps_per_second": cpu, "times_the_cpu": speed / cpu})
        print(f"{env_id}: {batch:,} rows, {speed:,.0f} steps/s", flush=True)
    return rows


def device() -> dict[str, Any]:
    """Name and attributes of the GPU, from its driver."""
    gpu = cuda.current_context().device
    name = getattr(gpu, "name", "simulated device")
    attributes = ("MULTIPROCESSOR_COUNT", "CLOCK_RATE", "MEMORY_CLOCK_RATE", "GLOBAL_MEMORY_BUS_WIDTH")
    about = {"device": name.decode() if isinstance(name, bytes) else name}
    return about | {attribute.lower(): getattr(gpu, attribute, None) for attribute in attributes}


def picture(path: Path, rows: list[dict[str, Any]]) -> None:
    """Plot steps a second over the batch size, with the CPU's as dashed lines."""
    from benchmarks.plotting import plt

    figure, axes = plt.subplots(figsize=(7.0, 4.2), dpi=150, layout="constrained")
    for n, env_id in enumerate(dict.fromkeys(row["env_id"] for row in rows)):
        mine = [row for row in rows if row["env_id"] == env_id]
        sizes, speeds = ([row[name] for row in mine] for name in ("num_envs", "steps_per_second"))
        axes.plot(sizes, speeds, "o-", color=f"C{n}", label=env_id)
        axes.axhline(mine[0]["cpu_steps_per_second"], color=f"C{n}", ls="--", lw=0.8)
    axes.set(xscale="log", yscale="log", xlabel="rows of the batch", ylabel="environment steps a second")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


def main(settings: SpeedCuda, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Measure, and write table, picture and manifest; `overrides` are of scenario fields, by environment."""
    try:
        require_cuda()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    changes = {env_id: (overrides or {}).get(env_id, {}) for env_id in presets.PRESETS}
    rows = [row for env_id, fields in changes.items() for row in measure(env_id, settings, fields)]
    scenarios = [presets.resolve(None, env_id, **fields) for env_id, fields in changes.items()]
    about = {name: value for name, value in vars(settings).items() if name != "out"}
    record = manifest(*scenarios, **device(), **about)
    settings.out.mkdir(parents=True, exist_ok=True)
    write_rows(settings.out / "speed.csv", rows)
    picture(settings.out / "speed.png", rows)
    (settings.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    for env_id in presets.PRESETS:
        best = max((row for row in rows if row["env_id"] == env_id), key=lambda row: row["steps_per_second"])
        print(
            f"{env_id}: best {best['steps_per_second']:,.0f} steps/s at {best['num_envs']:,} rows, "
            f"{best['times_the_cpu']:,.0f} times the CPU, {best['bandwidth_share']:.1%} of the memory's bandwidth, "
            f"{best['fp64_share']:.1%} of the FP64 peak of {record['device']}"
        )
    print(f"written to {settings.out}/")


if __name__ == "__main__":
    main(tyro.cli(SpeedCuda))
