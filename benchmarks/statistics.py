"""Means with intervals, and differences in pairs: what a table says about rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.env_settings import Figure
from dtenv.reporting.statistics import CONFIDENCE

NOTHING = 1e-9
"""Part of a mean up to which a resample's counts as 0."""


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


def ratio_interval(part: np.ndarray, whole: np.ndarray, seed: int = 0) -> Interval:
    """Ratio of the means of two values of the same episodes, with its 95 % bootstrap interval, seeded."""

    def ratio(part: np.ndarray, whole: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample without anything to divide by
            return part.mean(axis=axis) / whole.mean(axis=axis)

    if not whole.any():
        return Interval(np.nan, np.nan, np.nan)
    mean = float(ratio(part, whole))
    if len(part) < 2 or np.ptp(part) == 0.0 == np.ptp(whole):
        return Interval(mean, mean, mean)
    rng = np.random.default_rng(seed)
    result = stats.bootstrap(
        (part, whole), ratio, paired=True, confidence_level=CONFIDENCE, n_resamples=5000, method="percentile", rng=rng
    )
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


def score_matrix(rows: Sequence[Mapping[str, Any]], agent: str, column: str = "score") -> np.ndarray:
    """A column of an agent's rows as (training seeds, episodes), both in the order of their seeds.

    Raises:
        ValueError: a training was not evaluated on the episodes of the others.
    """
    own = [row for row in rows if row["agent"] == agent]
    trainings, episodes = (sorted({row[name] for row in own}) for name in ("training_seed", "seed"))
    found = {(row["training_seed"], row["seed"]): row[column] for row in own}
    if len(found) != len(trainings) * len(episodes):
        raise ValueError(f"the trainings of {agent!r} were not run on the same seeds")
    return np.array([[found[training, episode] for episode in episodes] for training in trainings], dtype=np.float64)


def two_way_interval(values: np.ndarray, seed: int = 0) -> Interval:
    """Mean of (training seeds, episodes) with a 95 % percentile bootstrap interval that resamples both, seeded.

    With one training the episodes alone are resampled.
    """
    return two_way_ratio(values, np.ones_like(values), seed)


def two_way_ratio(part: np.ndarray, whole: np.ndarray, seed: int = 0) -> Interval:
    """Ratio of the means of two matrices (training seeds, episodes), resampled together as in `two_way_interval`.

    An end of the interval is infinite where resamples have nothing to divide by; all is nan where there is nothing.
    """
    if not whole.any():
        return Interval(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(seed)
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
    ratios = ratios[~np.isnan(ratios)]  # of nothing by nothing
    method = "linear" if np.isfinite(ratios).all() else "nearest"  # between finite and infinite there is nothing
    low, high = np.quantile(ratios, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], method=method)
    return Interval(float(mean), float(low), float(high))


def gap_to_bound(rows: Sequence[Mapping[str, Any]], agent: str, zero: str) -> Interval:
    """How far an agent's mean score is on the way from that of agent `zero`, 0, to the mean bound, 1; with interval.

    Of episodes that have a bound.
    """
    bounded = [row for row in rows if row.get("bound") is not None]
    ours, theirs = paired(bounded, agent, zero, "score")
    return ratio_interval(ours - theirs, paired(bounded, agent, agent, "bound")[0] - theirs)


def ranking(
    rows: Sequence[Mapping[str, Any]], reference: str, figures: Sequence[Figure] = (), zero: str | None = None
) -> list[dict[str, Any]]:
    """One line an agent, best score first: score with interval, difference to the reference in pairs, mean figures.

    Where rows have bounds, and `zero` is among the agents, also how far it is on the way from `zero` to them.
    """
    bounded = any(row["agent"] == zero and row.get("bound") is not None for row in rows)
    lines = []
    for agent in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == agent]
        lines.append(
            {
                "agent": agent,
                "score": mean_interval([row["score"] for row in own]),
                "difference": paired_difference(rows, agent, reference),
            }
            | ({"gap_to_bound": gap_to_bound(rows, agent, str(zero))} if bounded else {})
            | {figure.column: figure.mean(own) for figure in figures}
        )
    return sorted(lines, key=lambda line: -line["score"].mean)
