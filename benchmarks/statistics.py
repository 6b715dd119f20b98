"""Means with bootstrap intervals, paired differences and the ranking of agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.env_settings import Column
from dtenv.reporting.statistics import CONFIDENCE

NOTHING = 1e-9
"""A resample's mean below this fraction of the whole mean counts as 0."""


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


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean of independent values with its seeded 95 % bootstrap interval (BCa)."""
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2 or np.ptp(sample) == 0.0:
        return Interval(mean, mean, mean)
    rng = np.random.default_rng(0)
    found = stats.bootstrap((sample,), np.mean, confidence_level=CONFIDENCE, n_resamples=5000, rng=rng)
    return Interval(mean, float(found.confidence_interval.low), float(found.confidence_interval.high))


def paired(rows: Sequence[Mapping[str, Any]], agent: str, reference: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of two agents' rows, in the order of seeds.

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


def ratio_interval(part: np.ndarray, whole: np.ndarray) -> Interval:
    """Ratio of the means of two values of the same episodes, with its seeded 95 % bootstrap interval."""

    def ratio(part: np.ndarray, whole: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample whose denominator is 0
            return part.mean(axis=axis) / whole.mean(axis=axis)

    if not whole.any():
        return Interval(np.nan, np.nan, np.nan)
    mean = float(ratio(part, whole))
    if len(part) < 2 or np.ptp(part) == 0.0 == np.ptp(whole):
        return Interval(mean, mean, mean)
    settings = {"confidence_level": CONFIDENCE, "n_resamples": 5000, "rng": np.random.default_rng(0)}
    found = stats.bootstrap((part, whole), ratio, paired=True, method="percentile", **settings)
    return Interval(mean, float(found.confidence_interval.low), float(found.confidence_interval.high))


def score_matrix(rows: Sequence[Mapping[str, Any]], agent: str, column: str = "score") -> np.ndarray:
    """A column of an agent's rows as (training seeds, episodes), both sorted by seed.

    Raises:
        ValueError: a training was not evaluated on the same episodes as the others.
    """
    own = [row for row in rows if row["agent"] == agent]
    trainings, episodes = (sorted({row[name] for row in own}) for name in ("training_seed", "seed"))
    found = {(row["training_seed"], row["seed"]): row[column] for row in own}
    if len(found) != len(trainings) * len(episodes):
        raise ValueError(f"the trainings of {agent!r} were not run on the same seeds")
    return np.array([[found[training, episode] for episode in episodes] for training in trainings], dtype=np.float64)


def two_way_interval(values: np.ndarray) -> Interval:
    """Mean of (training seeds, episodes) with a seeded 95 % percentile bootstrap interval that resamples both axes."""
    return two_way_ratio(values, np.ones_like(values))


def two_way_ratio(part: np.ndarray, whole: np.ndarray) -> Interval:
    """Ratio of the means of two matrices (training seeds, episodes), resampled together as in `two_way_interval`.

    An end of the interval is infinite where resamples have a denominator of 0; all is nan where `whole` is 0.
    """
    if not whole.any():
        return Interval(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(0)
    trainings, episodes = part.shape
    rows = rng.integers(trainings, size=(5000, trainings))
    columns = rng.integers(episodes, size=(5000, episodes))

    def means(values: np.ndarray) -> np.ndarray:
        of_rows = values[rows].mean(axis=1)  # (5000, episodes)
        return np.take_along_axis(of_rows, columns, axis=1).mean(axis=1)

    divisors = means(whole)
    divisors[np.abs(divisors) <= NOTHING * np.abs(whole.mean())] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, ratios = np.divide(part.mean(), whole.mean()), means(part) / divisors
    ratios = ratios[~np.isnan(ratios)]  # 0 / 0
    method = "linear" if np.isfinite(ratios).all() else "nearest"  # no interpolation between finite and infinite
    low, high = np.quantile(ratios, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], method=method)
    return Interval(float(mean), float(low), float(high))


def gap_to_bound(rows: Sequence[Mapping[str, Any]], agent: str, zero: str) -> Interval:
    """Mean score of an agent on a scale from agent `zero`, 0, to the bound, 1, over bounded episodes; with interval."""
    bounded = [row for row in rows if row.get("bound") is not None]
    ours, theirs = paired(bounded, agent, zero, "score")
    return ratio_interval(ours - theirs, paired(bounded, agent, agent, "bound")[0] - theirs)


def ranking(
    rows: Sequence[Mapping[str, Any]], reference: str, figures: Sequence[Column] = (), zero: str | None = None
) -> list[dict[str, Any]]:
    """One line per agent, best score first: score with interval, paired difference to the reference, mean figures.

    Lines also have `gap_to_bound` where `zero` has bounded rows.
    """
    bounded = any(row["agent"] == zero and row.get("bound") is not None for row in rows)
    lines = []
    for agent in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == agent]
        line = {"agent": agent, "score": mean_interval([row["score"] for row in own])}
        line["difference"] = paired_difference(rows, agent, reference)
        if bounded:
            line["gap_to_bound"] = gap_to_bound(rows, agent, str(zero))
        lines.append(line | {figure.column: figure.mean(own) for figure in figures})
    return sorted(lines, key=lambda line: -line["score"].mean)
