"""Results of a run by the two quantities that a paper varies, with errors that name what is missing."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.statistics import Interval, score_matrix, two_way_interval
from benchmarks.suites.curves import scores_at, smoothed

if TYPE_CHECKING:
    from benchmarks.suites.results import Results
    from benchmarks.suites.suite import Cell

Key = tuple[float, float]
POINTS = 50
"""Number of points of a curve."""


class MissingResults(ValueError):
    """Results lack what a figure or a claim needs; the message names both."""


class Curve(NamedTuple):
    """Learning curves of all trainings of one learner on one cell."""

    episodes: np.ndarray
    """training episodes so far, (points,)"""
    values: np.ndarray
    """one column of the curves, (trainings, points)"""

    @property
    def mean(self) -> np.ndarray:
        """Mean over trainings, (points,)."""
        return self.values.mean(axis=0)

    def start(self) -> np.ndarray:
        """Mean over the first twentieth of every training, (trainings,)."""
        return self.values[:, : max(1, round(0.05 * len(self.episodes)))].mean(axis=1)

    def end(self) -> np.ndarray:
        """Mean over the last fifth of every training, (trainings,)."""
        return self.values[:, -max(1, round(0.2 * len(self.episodes))) :].mean(axis=1)


def in_pairs(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Broadcast two agents' matrices to pairs of trainings; a heuristic's only row pairs with every training.

    Raises:
        MissingResults: the agents have different numbers of trainings.
    """
    try:
        one, other = np.broadcast_arrays(ours, theirs)
    except ValueError:
        raise MissingResults(f"{len(ours)} trainings of one agent have no pairs in {len(theirs)} of another") from None
    return one, other


class ResultGrid:
    """Cells of one environment by two quantities, such as (φ, S).

    Args:
        results: results of the run.
        env_id: environment of the cells.
        presets: presets of the paper.
        key: returns the two quantities of a scenario.
        symbols: symbols of the two, such as ("φ", "S").

    Attributes:
        cells: cells by key, sorted.
        firsts: values of the first quantity.
        seconds: values of the second.

    Raises:
        MissingResults: there is no such cell, or not every pair of the two values.
    """

    def __init__(
        self, results: Results, env_id: str, presets: Sequence[str], key: Callable[[Any], Key], symbols: tuple[str, str]
    ):
        self.results, self.symbols = results, symbols
        own = [cell for cell in results.suite.cells if cell.env_id == env_id and cell.scenario in presets]
        self.cells: dict[Key, Cell] = dict(sorted({key(cell.resolve()): cell for cell in own}.items()))
        self.firsts, self.seconds = (sorted({k[i] for k in self.cells}) for i in (0, 1))
        lacking = [self.name(k) for k in itertools.product(self.firsts, self.seconds) if k not in self.cells]
        if lacking or not self.cells:
            any_cell = f"any cell of {env_id} with preset {' or '.join(presets)}"
            what = f"cells {'; '.join(lacking)}" if lacking else any_cell
            raise MissingResults(f"suite {results.suite.name!r} of {results.folder} lacks {what}")
        self._rows, self._trainings = _by_cell_and_agent(results.rows), _by_cell_and_agent(results.trainings)
        self._matrices: dict[tuple[Key, str, str], np.ndarray] = {}

    def name(self, key: Key) -> str:
        """Such as "φ = 0.2, S = 9"."""
        return ", ".join(f"{symbol} = {value:g}" for symbol, value in zip(self.symbols, key, strict=True))

    def need(
        self, what: str, agents: Iterable[str] = (), trained: Iterable[str] = (), keys: Iterable[Key] | None = None
    ) -> None:
        """Check that figure or claim `what` has rows of `agents` and trainings of `trained` on some or all cells.

        Raises:
            MissingResults: some are missing; the message lists them by cell and agent.
        """
        names = [self.cells[k].name for k in (self.cells if keys is None else keys)]
        lacking = []
        for kind, wanted, held in (("rows", agents, self._rows), ("trainings", trained, self._trainings)):
            for agent in wanted:
                if cells := [name for name in names if (name, agent) not in held]:
                    lacking.append(f"{kind} of {agent!r} on {'; '.join(cells)}")
        if lacking:
            raise MissingResults(f"{what} needs {' and '.join(lacking)}: not in {self.results.folder}")

    def has(self, agent: str) -> bool:
        """Whether an agent was evaluated on every cell."""
        return all((cell.name, agent) in self._rows for cell in self.cells.values())

    def rows(self, key: Key, agent: str) -> list[dict[str, Any]]:
        """Rows of an agent on a cell."""
        self.need("this", [agent], keys=[key])
        return self._rows[self.cells[key].name, agent]

    def matrix(self, key: Key, agent: str, column: str) -> np.ndarray:
        """A column of an agent on a cell, (trainings, episodes)."""
        if (key, agent, column) not in self._matrices:
            rows = self.rows(key, agent)
            if column not in rows[0]:
                raise MissingResults(f"rows of {agent!r} on {self.cells[key].name} have no column {column!r}")
            self._matrices[key, agent, column] = score_matrix(rows, agent, column)
        return self._matrices[key, agent, column]

    def interval(self, key: Key, agent: str, column: str) -> Interval:
        """Mean of a column over trainings and episodes."""
        return two_way_interval(self.matrix(key, agent, column))

    def pooled(self, agent: str, column: str, keys: Iterable[Key] | None = None) -> np.ndarray:
        """A column averaged over some or all cells, (trainings, episodes).

        Raises:
            MissingResults: cells differ in their numbers of trainings or episodes.
        """
        parts = [self.matrix(key, agent, column) for key in (keys or self.cells)]
        if len({part.shape for part in parts}) > 1:
            raise MissingResults(f"{agent!r} has not as many trainings and episodes on every cell")
        return np.mean(parts, axis=0)

    def episode_slots(self, key: Key, agent: str) -> int:
        """Slots of an agent's training episode on a cell."""
        cell = self.cells[key]
        settings = next((t.settings for t in cell.trainings if t.label == agent), {})
        return int(settings.get("num_slots") or cell.resolve().value("num_slots"))

    def curve(self, key: Key, agent: str, column: str) -> Curve:
        """A column of an agent's learning curves on a cell over training episodes, smoothed unless it is seconds."""
        self.need("this", trained=[agent], keys=[key])
        name = self.cells[key].name
        curves = [
            [{"steps": p["steps"], "score": p[column]} for p in t["curve"] if math.isfinite(p.get(column, math.nan))]
            for t in self._trainings[name, agent]
        ]
        if not all(curves):
            raise MissingResults(f"curves of {agent!r} on {name} have no {column!r}")
        first, last = max(curve[0]["steps"] for curve in curves), min(curve[-1]["steps"] for curve in curves)
        steps = np.linspace(first, last, POINTS)
        values = np.array([scores_at(steps, curve if column == "seconds" else smoothed(curve)) for curve in curves])
        return Curve(steps / self.episode_slots(key, agent), values)


def _by_cell_and_agent(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["cell"], row["agent"]].append(row)
    return found
