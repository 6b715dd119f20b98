"""A run's results by the two quantities that a paper varies, and what is missing of them."""

from __future__ import annotations

import itertools
import math
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
"""Of a curve."""


class MissingResults(ValueError):
    """Results lack what a figure or a claim is made of; the message names both."""


class Curve(NamedTuple):
    """What trainings of one learner on one cell reached while they learned."""

    episodes: np.ndarray
    """training episodes until then, (points,)"""
    values: np.ndarray
    """a column of every training, (trainings, points)"""

    @property
    def mean(self) -> np.ndarray:
        """Over trainings, (points,)."""
        return self.values.mean(axis=0)

    def end(self, share: float = 0.2) -> np.ndarray:
        """Mean over the last part of every training, (trainings,)."""
        return self.values[:, -max(1, round(share * len(self.episodes))) :].mean(axis=1)

    def start(self, share: float = 0.05) -> np.ndarray:
        """Mean over the first part of every training, (trainings,)."""
        return self.values[:, : max(1, round(share * len(self.episodes)))].mean(axis=1)


def in_pairs(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two agents' matrices, training by training; a heuristic's, which has one, beside every training of a learner.

    Raises:
        MissingResults: they have different numbers of trainings.
    """
    try:
        one, other = np.broadcast_arrays(ours, theirs)
    except ValueError:
        raise MissingResults(f"{len(ours)} trainings of one agent have no pairs in {len(theirs)} of another") from None
    return one, other


class Grid:
    """Cells of one environment by two quantities, such as (φ, S).

    Args:
        results: the run's.
        env_id: of the cells that count.
        presets: those of the paper.
        key: the two quantities of a cell's scenario.
        symbols: how the two are written, such as ("φ", "S").

    Attributes:
        cells: by key, in order.
        firsts: values of the first quantity.
        seconds: values of the second.

    Raises:
        MissingResults: there is no such cell, or not every pair of the two values.
    """

    def __init__(
        self,
        results: Results,
        env_id: str,
        presets: Sequence[str],
        key: Callable[[Any], Key],
        symbols: tuple[str, str],
    ):
        self.results, self.symbols = results, symbols
        own = [cell for cell in results.suite.cells if cell.env_id == env_id and cell.scenario in presets]
        found = {key(cell.resolve()): cell for cell in own}
        self.cells: dict[Key, Cell] = {k: found[k] for k in sorted(found)}
        self.firsts, self.seconds = (sorted({k[i] for k in found}) for i in (0, 1))
        lacking = [self.name(k) for k in itertools.product(self.firsts, self.seconds) if k not in found]
        if not found or lacking:
            what = (
                f"cells {'; '.join(lacking)}" if found else f"any cell of {env_id} with preset {' or '.join(presets)}"
            )
            raise MissingResults(f"suite {results.suite.name!r} of {results.folder} lacks {what}")
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in results.rows:
            self._rows.setdefault((row["cell"], row["agent"]), []).append(row)
        self._trainings: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for training in results.trainings:
            self._trainings.setdefault((training["cell"], training["agent"]), []).append(training)
        self._matrices: dict[tuple[Key, str, str], np.ndarray] = {}

    def name(self, key: Key) -> str:
        """Such as "φ = 0.2, S = 9"."""
        return ", ".join(f"{symbol} = {value:g}" for symbol, value in zip(self.symbols, key, strict=True))

    def need(self, what: str, agents: Iterable[str] = (), trained: Iterable[str] = (), keys: Any = None) -> None:
        """See that rows and trainings are there.

        Raises:
            MissingResults: what the figure or claim `what` lacks, by cell and agent.
        """
        keys = list(self.cells) if keys is None else keys
        lacking = []
        for kind, names, held in (("rows", agents, self._rows), ("trainings", trained, self._trainings)):
            for agent in names:
                cells = [self.cells[k].name for k in keys if (self.cells[k].name, agent) not in held]
                if cells:
                    lacking.append(f"{kind} of {agent!r} on {'; '.join(cells)}")
        if lacking:
            raise MissingResults(f"{what} needs {' and '.join(lacking)}: not in {self.results.folder}")

    def has(self, agent: str) -> bool:
        """Whether an agent was evaluated on every cell."""
        return all((cell.name, agent) in self._rows for cell in self.cells.values())

    def rows(self, key: Key, agent: str) -> list[dict[str, Any]]:
        """An agent's rows on a cell."""
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
        """A column averaged over cells, training by training and episode by episode, (trainings, episodes).

        Raises:
            MissingResults: cells differ in their numbers of trainings or episodes.
        """
        parts = [self.matrix(key, agent, column) for key in (keys or self.cells)]
        if len({part.shape for part in parts}) > 1:
            raise MissingResults(f"{agent!r} has not as many trainings and episodes on every cell")
        return np.mean(parts, axis=0)

    def trainings(self, key: Key, agent: str) -> list[dict[str, Any]]:
        """An agent's trainings on a cell."""
        self.need("this", trained=[agent], keys=[key])
        return self._trainings[self.cells[key].name, agent]

    def episode_slots(self, key: Key, agent: str) -> int:
        """Slots of an agent's training episode on a cell."""
        cell = self.cells[key]
        settings = next((t.settings for t in cell.trainings if t.label == agent), {})
        return int(settings.get("num_slots") or cell.resolve().value("num_slots"))

    def curve(self, key: Key, agent: str, column: str) -> Curve:
        """A column of an agent's trainings on a cell, over training episodes; seconds are not smoothed.

        Args:
            key: of the cell.
            agent: the learner's label.
            column: of the curves' points.
        """
        told = [training["curve"] for training in self.trainings(key, agent)]
        curves = [[point for point in curve if math.isfinite(point.get(column, math.nan))] for curve in told]
        if not all(curves):
            raise MissingResults(f"curves of {agent!r} on {self.cells[key].name} have no {column!r}")
        first, last = max(curve[0]["steps"] for curve in curves), min(curve[-1]["steps"] for curve in curves)
        steps = np.linspace(first, last, POINTS)
        bare = [[{"steps": p["steps"], "score": p[column]} for p in curve] for curve in curves]
        values = np.array([scores_at(steps, curve if column == "seconds" else smoothed(curve)) for curve in bare])
        return Curve(steps / self.episode_slots(key, agent), values)
