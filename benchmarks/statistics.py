"""Means with intervals, and differences in pairs: what a table says about rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.reports import Figure

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and its bootstrap interval."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Such as 0.1069 [0.1052, 0.1087]."""
        spec = spec or ".4f"
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)


def mean_interval(values: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """Mean of independent values with its 95 % bootstrap interval (BCa), seeded."""
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2 or np.ptp(sample) == 0.0:
        return Interval(float(sample.mean()), float(sample.mean()), float(sample.mean()))
    rng = np.random.default_rng(seed)
    result = stats.bootstrap((sample,), np.mean, confidence_level=CONFIDENCE, n_resamples=5000, rng=rng)
    return Interval(float(sample.mean()), float(result.confidence_interval.low), float(result.confidence_interval.high))


def paired(rows: Sequence[Mapping[str, Any]], agent: str, reference: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of two agents' rows, seed by seed.

    Raises:
        ValueError: they were not run on the same seeds.
    """
    ours, theirs = ({row["seed"]: row[column] for row in rows if row["agent"] == name} for name in (agent, reference))
    if set(ours) != set(theirs):
        raise ValueError(f"{agent!r} and {reference!r} were not run on the same seeds")
    return np.array([ours[seed] for seed in sorted(ours)]), np.array([theirs[seed] for seed in sorted(ours)])


def paired_difference(rows: Sequence[Mapping[str, Any]], agent: str, reference: str, column: str = "score") -> Interval:
    """Mean difference of two agents on the same seeds, with its interval."""
    ours, theirs = paired(rows, agent, reference, column)
    return mean_interval(ours - theirs)


def paired_ratio(rows: Sequence[Mapping[str, Any]], agent: str, reference: str, column: str) -> Interval:
    """Mean ratio of two agents on the same seeds, with its interval."""
    ours, theirs = paired(rows, agent, reference, column)
    return mean_interval(ours / theirs)


def ranking(rows: Sequence[Mapping[str, Any]], reference: str, figures: Sequence[Figure] = ()) -> list[dict[str, Any]]:
    """One line an agent, best score first: score with interval, difference to the reference in pairs, mean figures."""
    lines = []
    for agent in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == agent]
        lines.append(
            {
                "agent": agent,
                "score": mean_interval([row["score"] for row in own]),
                "difference": paired_difference(rows, agent, reference),
            }
            | {figure.column: figure.mean(own) for figure in figures}
        )
    return sorted(lines, key=lambda line: -line["score"].mean)
