"""Plays of `benchmarks.speed`: of one environment, of a batch, or of a batch's kernels alone.

A play resets with seed 0, runs whole episodes until its time is up, and counts env-steps. Rows that reset in a step
of a batch add time, but no env-step. Actions are sampled before the clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from tqdm import tqdm

POOL = 8
"""Number of random actions, which are sampled before the clock starts and played in turns."""


class Played(NamedTuple):
    """Result of a play."""

    steps: int  # env-steps
    seconds: float
    drawing: float | None = None  # seconds of it spent on resets, where they are measured

    @property
    def speed(self) -> float:
        """Env-steps a second."""
        return self.steps / self.seconds


Play = Callable[[float], Played]
"""Function that plays for some seconds or a little longer."""

Choose = Callable[[Mapping[str, Any]], Sequence[Any]]
"""Function from the infos of a reset to the actions of the episode, which are played in turns."""


def stays(infos: Mapping[str, Any]) -> Sequence[Any]:
    """Action that leaves twins where the reset put them."""
    return [np.array(infos["server"])]


def at_random(space: gym.Space) -> Choose:
    """Random actions of a space, the same in every episode."""
    space.seed(0)
    pool = [space.sample() for _ in range(POOL)]
    return lambda infos: pool


def one(env: Any, choose: Choose, whole: bool = True) -> Play:
    """Play of a single environment, all agents in one step; `whole` False lets it stop within an episode."""

    def play(seconds: float) -> Played:
        _, info = env.reset(seed=0)
        steps, start = 0, time.perf_counter()
        while True:
            given, over, t = choose(info), False, 0
            while not over:
                _, _, terminated, truncated, _ = env.step(given[t % len(given)])
                over = all(truncated.values()) if isinstance(truncated, dict) else terminated or truncated
                t += 1
                if not whole and time.perf_counter() - start >= seconds:
                    return Played(steps + t, time.perf_counter() - start)
            steps += t
            _, info = env.reset()
            if (elapsed := time.perf_counter() - start) >= seconds:
                return Played(steps, elapsed)

    return play


def many(env: Any, num_slots: int, choose: Choose) -> Play:
    """Play of a batch in next-step autoreset mode whose episodes all have `num_slots` slots."""

    def play(seconds: float) -> Played:
        _, infos = env.reset(seed=0)
        steps, over, start = 0, 0, time.perf_counter()
        while True:
            given = choose(infos)
            for t in range(num_slots + 1):
                _, _, _, truncated, infos = env.step(given[t % len(given)])
                steps += env.num_envs - over
                over = int(np.count_nonzero(truncated))
            if (elapsed := time.perf_counter() - start) >= seconds:
                return Played(steps, elapsed)

    return play


def without_interface(env: Any, choose: Choose, stack: ExitStack) -> Play:
    """Play of the kernels of one of our batches, on as many threads: the limit for its interface."""
    task, num_slots = env.task, env.scenario.episode.num_slots
    first, *others = np.array_split(task.rows, env.runner.threads)
    pool = stack.enter_context(ThreadPoolExecutor(max(len(others), 1)))

    def share(work: Callable[..., None]) -> None:
        pending = [pool.submit(work, rows=rows) for rows in others]
        work(rows=first)
        for part in pending:
            part.result()

    def play(seconds: float) -> Played:
        env.reset(seed=0)
        steps, drawing, start = 0, 0.0, time.perf_counter()
        while True:
            given = choose(task.reset_infos())
            for t in range(num_slots):
                share(partial(task.step, given[t % len(given)]))
            over = time.perf_counter()
            share(task.reset_rows)
            drawing += time.perf_counter() - over
            steps += env.num_envs * num_slots
            if (elapsed := time.perf_counter() - start) >= seconds:
                return Played(steps, elapsed, drawing)

    return play


def as_kernels_take(scenario: Any, actions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Actions of a batch in the form of its kernels: sites (B, n), int64, or numbers per site (B, M, …), float64."""
    return [
        action.astype(np.int64).reshape(len(action), -1)
        if action.dtype.kind in "iu"
        else action.astype(np.float64).reshape(len(action), scenario.num_sites, -1)
        for action in actions
    ]


def in_turns(
    plays: Mapping[Any, Play], seconds: float, repeats: int, warm_up: float | None, about: str
) -> dict[Any, list[Played]]:
    """Results of every play in `repeats` turns, after a play of `warm_up` seconds each, unless None, as warm-up."""
    found: dict[Any, list[Played]] = {name: [] for name in plays}
    with tqdm(total=(repeats + (warm_up is not None)) * len(plays), desc=about, unit="play", leave=False) as bar:
        if warm_up is not None:
            for play in plays.values():
                play(warm_up)
                bar.update()
        for _ in range(repeats):
            for name, play in plays.items():
                found[name].append(play(seconds))
                bar.update()
    return found
