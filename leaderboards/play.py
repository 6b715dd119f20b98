"""Play an entry on a track's instances, one episode after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

import agents
from benchmarks.suites.suite import Cell
from dtenv.observation import Layout
from leaderboards.entries import Entry
from leaderboards.policy_io import action_problem, graph_inputs
from leaderboards.recorded_episode import FilmRecorder
from leaderboards.results import MEANS
from leaderboards.sandbox import Limits, PolicyFailed, PolicyProcess
from leaderboards.season import VALIDATION, Season
from leaderboards.submission import Submission
from leaderboards.tracks import find

EPISODE_SECONDS = 20.0
"""Time limit for all decisions of an episode; one decision has `Limits.step_seconds`."""


@dataclass(frozen=True)
class Played:
    """Results of an entry."""

    rows: list[dict[str, Any]]
    """one per episode"""
    entry: dict[str, Any]
    """row of entries.csv without the machine"""
    films: list[dict[str, Any]]
    layers: Mapping[str, str]
    """isolation layers"""
    failures: list[str]
    """failed episodes, one line each"""


class Failed(RuntimeError):
    """An episode was not finished; `status` is late, crashed or invalid."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


class LocalPlayer:
    """An agent of this repository, by name, in this process."""

    def __init__(self, entry: Entry, cell: Cell):
        self._policy = agents.load(entry.name, cell.env_id, scenario=cell.resolve())
        self.overrides = self._policy.overrides

    def reset(self, index: int) -> None:
        """Seed the agent with the instance's index."""
        self._policy.reset(index)

    def act(self, obs: np.ndarray) -> Any:
        """Return the agent's action."""
        return self._policy.act(obs)


class SandboxedPlayer:
    """A submission in a sandboxed process, restarted after a failure."""

    def __init__(self, submission: Submission, limits: Limits):
        self.overrides = submission.overrides
        self.layers: Mapping[str, str] = {}
        self._submission, self._limits = submission, limits
        self._process: PolicyProcess | None = None

    def enter(self, layout: Layout, space: gym.Space) -> None:
        """Set the observation layout and action space of the next cell."""
        self._layout, self._space = layout, space

    def reset(self, index: int) -> None:
        """Begin an episode, starting the process if needed; Failed if the policy does not load."""
        self._left = EPISODE_SECONDS
        if self._process is None:
            try:
                self._process = PolicyProcess(self._submission.model, self._limits)
            except PolicyFailed as error:
                raise Failed(error.reason, str(error)) from None
            self.layers = self._process.layers

    def act(self, obs: np.ndarray) -> Any:
        """Return the graph's action; Failed if it is late, crashed or not in the action space."""
        assert self._process is not None
        start = time.perf_counter()
        try:
            action = self._process.act(graph_inputs(self._layout, self._submission.inputs, obs[None]))
        except PolicyFailed as error:
            self.close()
            raise Failed(error.reason, str(error)) from None
        self._left -= time.perf_counter() - start
        if self._left < 0.0:
            raise Failed("late", f"an episode's decisions took more than {EPISODE_SECONDS:g} s")
        if wrong := action_problem(action, self._space):
            raise Failed("invalid", wrong)
        return int(action[0]) if isinstance(self._space, gym.spaces.Discrete) else action[0]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None


def play(entry: Entry, season: Season, tell: Callable[[int], Any] = lambda n: None) -> Played:
    """Play an entry on all instances of its track.

    Rows of failed episodes have no means: `leaderboards.results.fill_failed_episodes` fills them. The callback gets the
    number of slots of every finished episode. Raises SubmissionError for an invalid submission.
    """
    track = find(entry.track)
    rows, films, failures = [], [], []
    seconds: list[float] = []
    with ExitStack() as stack:
        confined = None
        if entry.kind == "submission":
            confined = SandboxedPlayer(entry.submission(), Limits())
            stack.callback(confined.close)
        for cell in track.cells:
            player: Any = confined or LocalPlayer(entry, cell)
            env: Any = gym.make(track.env_id, scenario=cell.resolve().override(**player.overrides)).unwrapped
            if confined is not None:
                confined.enter(env.layout, env.action_space)
            for index in range(track.episodes):
                filmed = season.name == VALIDATION and cell is track.cells[0] and index == 0  # others are hidden
                obs, _ = env.reset(seed=season.seed(index))
                recorder = FilmRecorder(env) if filmed else None
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
    about = {"track": track.name, "entry": entry.name, "policy_sha256": entry.policy_sha256}
    median = float(f"{np.median(seconds):.4g}") if seconds else None  # not the mean: the first decision may compile
    about |= {"parameters": entry.parameters(), "decisions": len(seconds), "seconds": median}
    return Played(rows, about, films, confined.layers if confined else {}, failures)


def episode(
    player: LocalPlayer | SandboxedPlayer, env: Any, obs: np.ndarray, index: int, recorder: FilmRecorder | None = None
) -> tuple[dict[str, float], list[float]]:
    """Play one episode from the first observation of a reset environment.

    Returns the means over its slots, and the seconds of each decision. Raises Failed if the agent did not finish it.
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
