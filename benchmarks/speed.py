"""Steps a second, ours and others', in one run: writes a table as CSV and Markdown.

    python -m benchmarks.speed --out runs/speed

Every contender plays the same wall time after a warm-up, in turns, `repeats` times; the median counts. The last column
says how many times as fast an environment of ours is as its counterpart in the same turn. mobile-env is another
cell-selection suite: its large scenario (13 cells, 30 users) has a central controller, or an agent a user. "CVXPY in
the loop" is our environment with the allocation solved by benchmarks/cvxpy_loop.py, a parametrised problem whose
tangents are renewed until it stands still.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

import dtenv
from benchmarks.cvxpy_loop import CvxpyAllocation
from benchmarks.evaluate import manifest, write_rows
from dtenv import presets


@dataclass
class Speed:
    """Settings of the measurement."""

    seconds: float = 2.0
    """wall time of one contender in one turn"""
    repeats: int = 5
    """turns"""
    out: Path = Path("runs/speed")
    """where to write"""


Play = Callable[[float], float]
"""Plays for some seconds and gives steps a second."""


def player(env: Any, choose: Callable[[Any, dict[str, Any]], Any]) -> Play:
    """Plays an environment, resets included, with one action an episode; of many agents, all in one step."""

    def play(seconds: float) -> float:
        steps, seed = 0, 0
        start = time.perf_counter()
        while True:
            obs, info = env.reset(seed=seed)
            action, over = choose(obs, info), False
            while not over:
                _, _, terminated, truncated, _ = env.step(action)
                over = all(truncated.values()) if isinstance(truncated, dict) else terminated or truncated
                steps += 1
                if not steps % 16 or over:
                    elapsed = time.perf_counter() - start
                    if elapsed > seconds:
                        return steps / elapsed
            seed += 1

    return play


def bare_kernel() -> Play:
    """Our kernel without Gymnasium: what its interface leaves to gain."""
    env: Any = gym.make("DTAssociation-v0", disable_env_checker=True).unwrapped

    def play(seconds: float) -> float:
        steps, seed = 0, 0
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            _, info = env.reset(seed=seed)
            action = info["server"][None]
            for _ in range(env.scenario.episode.num_slots):
                env.task.advance(action)
            steps += env.scenario.episode.num_slots
            seed += 1
        return steps / (time.perf_counter() - start)

    return play


def cvxpy_in_the_loop() -> Play:
    """Our environment with γ from CVXPY, handed in as the agent's."""
    env: Any = gym.make("DTAssociation-v0", history="action", disable_env_checker=True)
    solver = CvxpyAllocation(env.unwrapped.scenario)

    def play(seconds: float) -> float:
        steps = 0
        _, info = env.reset(seed=0)
        server = info["server"]
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            history = solver.solve(env.unwrapped.task.slot(), server)
            truncated = env.step({"server": server, "history": history})[3]
            steps += 1
            if truncated:
                server = env.reset(seed=steps)[1]["server"]
        return steps / (time.perf_counter() - start)

    return play


class Noop(gym.Env):
    """Does nothing: the cost of Gymnasium's interface alone."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self._obs = np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        """Nothing."""
        return self._obs, {}

    def step(self, action):
        """Nothing."""
        return self._obs, 0.0, False, False, {}


OURS, CVXPY = "DTAssociation-v0, exact allocation", "DTAssociation-v0, CVXPY in the loop"
CENTRAL, AGENTS = "mobile-large-central-v0", "mobile-large-ma-v0"

COUNTERPARTS: dict[str, tuple[str, ...]] = {
    OURS: (CENTRAL, CVXPY),
    "DTAssociation-v0, no history": (CENTRAL,),
    "DTPlacementMA-v0, central controller": (CENTRAL,),
    "DTPlacementMA-v0, Parallel": (AGENTS,),
    "DTMigration-v0": (CENTRAL,),
}
"""What each of ours is divided by."""


def still(obs: Any, info: dict[str, Any]) -> Any:
    """Leaves twins where they are."""
    return info["server"]


def sampled(env: Any) -> Play:
    """Plays random actions."""
    env.action_space.seed(0)
    return player(env, lambda obs, info: env.action_space.sample())


def ours() -> dict[str, Play]:
    """Our environments; DTPlacementMA-v0's default has 100 users and 10 stations."""
    parallel = dtenv.parallel_env("DTPlacementMA-v0")
    for k, agent in enumerate(parallel.possible_agents):
        parallel.action_space(agent).seed(k)
    made: dict[str, Any] = {name: gym.make(name, disable_env_checker=True) for name in presets.PRESETS}
    no_history = gym.make("DTAssociation-v0", history="none", disable_env_checker=True)
    return {
        OURS: player(made["DTAssociation-v0"], still),
        "DTAssociation-v0, no history": player(no_history, still),
        CVXPY: cvxpy_in_the_loop(),
        "DTPlacementMA-v0, central controller": sampled(made["DTPlacementMA-v0"]),
        "DTPlacementMA-v0, Parallel": player(
            parallel, lambda obs, info: {agent: parallel.action_space(agent).sample() for agent in parallel.agents}
        ),
        "DTMigration-v0": player(made["DTMigration-v0"], still),
    }


def contenders() -> dict[str, Play]:
    """What is measured, by name."""
    import mobile_env  # noqa: F401 (registers its environments)

    gym.register("dtenv/Noop-v0", Noop)
    return {
        **ours(),
        CENTRAL: sampled(gym.make(CENTRAL, disable_env_checker=True)),
        AGENTS: sampled(gym.make(AGENTS, disable_env_checker=True)),
        "bare kernel of DTAssociation-v0, no Gymnasium": bare_kernel(),
        "no-op environment": player(gym.make("dtenv/Noop-v0", disable_env_checker=True), lambda obs, info: 0),
    }


def times(ours: list[float], theirs: list[float]) -> float:
    """How many times as fast, in the median turn."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def main(settings: Speed) -> None:
    """Measure in turns and write the table."""
    plays = contenders()
    for play in plays.values():
        play(0.5)  # compiles, caches, imports
    speeds: dict[str, list[float]] = {name: [] for name in plays}
    for _ in range(settings.repeats):
        for name, play in plays.items():
            speeds[name].append(play(settings.seconds))
    rows = [
        {
            "environment": name,
            "steps_per_second": round(statistics.median(values), 1),
            "lowest": round(min(values), 1),
            "highest": round(max(values), 1),
            "times_as_fast_as": "; ".join(
                f"{times(values, speeds[other]):,.0f}x {other}" for other in COUNTERPARTS.get(name, ())
            ),
        }
        for name, values in speeds.items()
    ]
    played = [presets.resolve(None, name) for name in presets.PRESETS]
    record = manifest(*played, seconds=settings.seconds, repeats=settings.repeats)
    settings.out.mkdir(parents=True, exist_ok=True)
    write_rows(settings.out / "speed.csv", rows)
    (settings.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    lines = ["| environment | steps/s | lowest to highest | times as fast as |", "|---|---:|---:|---|"]
    for row in rows:
        span = f"{row['lowest']:,.0f} to {row['highest']:,.0f}"
        lines.append(f"| {row['environment']} | {row['steps_per_second']:,.0f} | {span} | {row['times_as_fast_as']} |")
    table = "\n".join(lines)
    (settings.out / "speed.md").write_text(table + "\n")
    print(f"{table}\n\n{record['machine']}; medians of {settings.repeats} turns of {settings.seconds:g} s")
    print(f"written to {settings.out}/")


if __name__ == "__main__":
    main(tyro.cli(Speed))
