"""An entry played on a track's instances, one episode after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

import agents
from benchmarks.suites.suite import Cell
from dtenv.observation import Layout
from leaderboards.entries import Entry
from leaderboards.policy_io import feed, wrong_action
from leaderboards.recorded_episode import Recorder
from leaderboards.results import MEANS
from leaderboards.sandbox import Limits, PolicyFailed, PolicyProcess
from leaderboards.season import VALIDATION, Season
from leaderboards.submission import Submission
from leaderboards.tracks import find

EPISODE_SECONDS = 20.0
"""An agent's time for all decisions of an episode; one decision has `Limits.step_seconds`."""


@dataclass(frozen=True)
class Played:
    """What an entry gives."""

    rows: list[dict[str, Any]]
    """one an episode"""
    entry: dict[str, Any]
    """of entries.csv, but for the machine"""
    films: list[dict[str, Any]]
    layers: Mapping[str, str]
    """of isolation"""
    failures: list[str]
    """what went wrong, an episode a line"""


class Failed(RuntimeError):
    """An episode that was not played to its end; `status` is late, crashed or invalid."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


class Player(Protocol):
    """An entry at work in one cell."""

    overrides: Mapping[str, Any]

    def reset(self, index: int) -> None:
        """Before an episode."""

    def act(self, obs: np.ndarray) -> Any:
        """The action for an observation (size,).

        Raises:
            Failed: there is none.
        """


class Trusted:
    """An agent of ours, by name, in this process."""

    def __init__(self, entry: Entry, cell: Cell):
        self._policy = agents.load(entry.name, cell.env_id, scenario=cell.resolve())
        self.overrides = self._policy.overrides

    def reset(self, index: int) -> None:
        """What it draws depends on the instance's number alone."""
        self._policy.reset(index)

    def act(self, obs: np.ndarray) -> Any:
        """As the agent decides."""
        return self._policy.act(obs)


class Confined:
    """A submission, in a process of its own that is begun anew after a failure."""

    def __init__(self, submission: Submission, limits: Limits):
        self.overrides = submission.overrides
        self.layers: Mapping[str, str] = {}
        self._submission, self._limits = submission, limits
        self._process: PolicyProcess | None = None

    def enter(self, layout: Layout, space: gym.Space) -> None:
        """Begin with a cell."""
        self._layout, self._space = layout, space

    def reset(self, index: int) -> None:
        """Begin an episode; the process knows nothing of it.

        Raises:
            Failed: the policy does not load.
        """
        self._left = EPISODE_SECONDS
        if self._process is None:
            try:
                self._process = PolicyProcess(self._submission.model, self._limits)
            except PolicyFailed as error:
                raise Failed(error.reason, str(error)) from None
            self.layers = self._process.layers

    def act(self, obs: np.ndarray) -> Any:
        """The graph's action.

        Raises:
            Failed: late, crashed, or no action of the space.
        """
        assert self._process is not None
        start = time.perf_counter()
        try:
            action = self._process.act(feed(self._layout, self._submission.inputs, obs[None]))
        except PolicyFailed as error:
            self.close()
            raise Failed(error.reason, str(error)) from None
        self._left -= time.perf_counter() - start
        if self._left < 0.0:
            raise Failed("late", f"an episode's decisions took more than {EPISODE_SECONDS:g} s")
        wrong = wrong_action(action, self._space)
        if wrong is not None:
            raise Failed("invalid", wrong)
        return int(action[0]) if isinstance(self._space, gym.spaces.Discrete) else action[0]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None


def play(
    entry: Entry, season: Season, limits: Limits | None = None, tell: Callable[[int], Any] = lambda n: None
) -> Played:
    """An entry on all instances of its track.

    Rows of episodes that were not played to their end have no means: `leaderboards.results.settle` enters them.

    Args:
        entry: who.
        season: whose instances.
        limits: of a submission's process.
        tell: called with the number of slots of every episode that has ended.

    Raises:
        SubmissionError: the submission is not valid.
    """
    track = find(entry.track)
    rows, films, failures = [], [], []
    seconds: list[float] = []
    with ExitStack() as stack:
        confined = None
        if entry.kind == "submission":
            confined = Confined(entry.submission(), limits or Limits())
            stack.callback(confined.close)
        for cell in track.cells:
            player: Any = confined or Trusted(entry, cell)
            env: Any = gym.make(track.env_id, scenario=cell.resolve().override(**player.overrides)).unwrapped
            if confined is not None:
                confined.enter(env.layout, env.action_space)
            for index in range(track.episodes):
                filmed = season.name == VALIDATION and cell is track.cells[0] and index == 0  # others are hidden
                obs, _ = env.reset(seed=season.seed(index))
                recorder = Recorder(env) if filmed else None
                about = {"track": track.name, "cell": cell.name, "entry": entry.name, "index": index}
                try:
                    means, took = episode(player, env, obs, index, recorder)
                    slots, seconds = len(took), seconds + took
                    rows.append({**about, **means, "slots": slots, "status": "played"})
                except Failed as error:
                    failures.append(f"instance {index} of {cell.name}: {error.status}: {error}")
                    slots = env.scenario.value("num_slots")
                    rows.append({**about, **dict.fromkeys(MEANS), "slots": slots, "status": error.status})
                if recorder is not None and rows[-1]["status"] == "played":
                    films += [{"track": track.name, "world": recorder.world()}] if entry.name == track.reference else []
                    films.append({"track": track.name, "entry": entry.name, "film": recorder.film()})
                tell(slots)
            env.close()
    median = float(f"{np.median(seconds):.4g}") if seconds else None  # a first decision may compile
    speed = {"decisions": len(seconds), "seconds": median}
    told = {"track": track.name, "entry": entry.name, "policy_sha256": entry.policy_sha256}
    told |= {"parameters": entry.parameters(), **speed}
    return Played(rows, told, films, confined.layers if confined else {}, failures)


def episode(
    player: Player, env: Any, obs: np.ndarray, index: int, recorder: Recorder | None = None
) -> tuple[dict[str, float], list[float]]:
    """Play the episode that an environment has begun and shown the first observation of.

    Returns:
        Means over its slots, and the seconds that each decision took.

    Raises:
        Failed: the agent did not play it to its end.
    """
    player.reset(index)
    seconds: list[float] = []
    sums, truncated = np.zeros(len(MEANS)), False
    while not truncated:
        start = time.perf_counter()
        action = player.act(obs)
        seconds.append(time.perf_counter() - start)
        obs, _, _, truncated, info = env.step(action)
        seen = {**info, "violation_rate": not info["feasible"]}
        sums += [float(seen[name]) for name in MEANS]
        if recorder is not None:
            recorder.step(info)
    return dict(zip(MEANS, (sums / len(seconds)).tolist(), strict=True)), seconds
