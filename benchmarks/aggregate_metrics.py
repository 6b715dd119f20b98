"""Aggregate metrics over tasks, with stratified bootstrap intervals (Agarwal et al. 2021).

The scores of an agent are a matrix (runs, tasks). A task is a cell of a suite, a run is an episode or a training; runs
are resampled within each task.

"Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.statistics import Interval
from dtenv.reporting.statistics import CONFIDENCE

RESAMPLES = 5000

Metric = Callable[..., np.ndarray]
"""A function of one or two score matrices (…, runs, tasks) that returns (…)."""

Row = Mapping[str, Any]


class Band(NamedTuple):
    """A curve with its bootstrap band; arrays of one length."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean: mean of the middle half of all runs of all tasks."""
    return stats.trim_mean(_pooled(scores), 0.25, axis=-1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over tasks and runs."""
    return scores.mean(axis=(-2, -1))


def median(scores: np.ndarray) -> np.ndarray:
    """Median over tasks of the mean over runs."""
    return np.median(scores.mean(axis=-2), axis=-1)


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """Mean shortfall of runs from 1, which is the proven bound in scores from `normalise`; 0 for runs above it."""
    return np.maximum(0.0, 1.0 - scores).mean(axis=(-2, -1))


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """P(X > Y) + P(X = Y) / 2 of runs X of ours and Y of theirs on one task, by Mann-Whitney ranks; mean over tasks."""
    count = ours.shape[-2]
    ranks = stats.rankdata(np.concatenate([ours, theirs], axis=-2), axis=-2)[..., :count, :]
    u = ranks.sum(axis=-2) - count * (count + 1) / 2
    return (u / (count * theirs.shape[-2])).mean(axis=-1)


METRICS: dict[str, Metric] = {"IQM": iqm, "mean": mean, "median": median, "optimality gap": optimality_gap}
"""Metrics of one agent's scores, by their table heads."""


def interval(
    metric: Metric, *scores: np.ndarray, paired: bool = False, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return a metric of score matrices (runs, tasks) with its seeded 95 % stratified percentile bootstrap interval.

    With `paired`, run i of all matrices shares its seed and is resampled together.

    Raises:
        ValueError: scores that are no matrices, not finite, of fewer than two runs or of unequal tasks.
    """
    checked = _checked(scores, paired)
    point = float(metric(*checked))
    if all(np.ptp(matrix, axis=0).max() == 0.0 for matrix in checked):
        return Interval(point, point, point)
    found = _bootstrap(metric, checked, paired, resamples, seed).confidence_interval
    return Interval(point, float(found.low), float(found.high))


def difference_interval(metric: Metric, ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Difference of a metric between two agents whose runs share their seeds, with its interval."""
    return interval(lambda a, b: metric(a) - metric(b), ours, theirs, paired=True)


def performance_profile(
    scores: np.ndarray, thresholds: Sequence[float] | np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Band:
    """Share of runs (runs, tasks) that score above each threshold, with its pointwise 95 % band.

    Raises:
        ValueError: as `interval`.
    """
    (checked,) = _checked((scores,), paired=False)

    def above(scores: np.ndarray) -> np.ndarray:
        return np.stack([(_pooled(scores) > threshold).mean(axis=-1) for threshold in thresholds])

    found = _bootstrap(above, (checked,), False, resamples, seed).confidence_interval
    return Band(np.asarray(thresholds), above(checked), found.low, found.high)


def sample_efficiency(curves: np.ndarray, steps: np.ndarray, **settings: Any) -> Band:
    """Interquartile mean along training, with its pointwise band.

    Args:
        curves: (runs, tasks, steps), from `curve_matrices`.
        steps: environment steps of the last axis.
        **settings: `resamples` and `seed` of `interval`.
    """
    y, low, high = np.transpose([interval(iqm, curves[:, :, i], **settings) for i in range(len(steps))])
    return Band(steps, y, low, high)


def scales(rows: Sequence[Row], zero: str) -> dict[str, tuple[float, float]]:
    """Mean score of agent `zero` and mean proven bound over the bounded episodes of each cell.

    Raises:
        ValueError: a cell without bounded episodes of `zero`, or whose bound is not above its score.
    """
    found = {}
    for cell in dict.fromkeys(row["cell"] for row in rows):
        own = [row for row in rows if (row["cell"], row["agent"]) == (cell, zero) and row["bound"] is not None]
        if not own:
            raise ValueError(f"cell {cell!r} has no bounded episodes of {zero!r} to normalise by")
        low, high = (float(np.mean([row[column] for row in own])) for column in ("score", "bound"))
        if not low < high:
            raise ValueError(f"the bound of cell {cell!r}, {high:g}, must be above the score of {zero!r}, {low:g}")
        found[cell] = (low, high)
    return found


def normalise(rows: Sequence[Row], zero: str) -> list[dict[str, Any]]:
    """Return rows of bounded episodes with a column "normalised": 1 minus the distance to the episode's own bound.

    The unit is the mean distance of agent `zero` in the cell, treated as certain, so that `zero` has mean 0. Means
    equal those of `benchmarks.statistics.gap_to_bound`.

    Raises:
        ValueError: as `scales`.
    """
    of = scales(rows, zero)
    bounded = [dict(row) for row in rows if row["bound"] is not None]
    for row in bounded:
        low, high = of[row["cell"]]
        row["normalised"] = 1.0 - (row["bound"] - row["score"]) / (high - low)
    return bounded


def score_matrices(rows: Sequence[Row], agents: Sequence[str], column: str = "normalised") -> dict[str, np.ndarray]:
    """A column of rows as (episodes, cells) for each agent, averaged over trainings.

    Raises:
        ValueError: an agent that has more episodes in one cell than in another.
    """
    found = {}
    for agent in agents:
        tasks = {}
        for cell in dict.fromkeys(row["cell"] for row in rows):
            values: dict[Any, list[float]] = {}
            for row in rows:
                if (row["cell"], row["agent"]) == (cell, agent):
                    values.setdefault(row["seed"], []).append(float(row[column]))
            tasks[cell] = [np.mean(values[seed]) for seed in sorted(values)]
        _check_equal(tasks, f"agent {agent!r} has unequal episodes from task to task")
        found[agent] = np.stack([*tasks.values()], axis=1)
    return found


def curve_matrices(
    trainings: Sequence[Row], agent: str, points: int = 50, of: Mapping[str, tuple[float, float]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Learning curves of an agent at common steps: steps (points,) and scores (runs, tasks, points).

    Args:
        trainings: with "cell", "agent", "training_seed" and "curve".
        agent: its name.
        points: number of steps, evenly spaced from the latest first point to the earliest last one.
        of: scores of each cell that count 0 and 1, from `scales`.

    Raises:
        ValueError: curves without scores, or unequal numbers of trainings in the agent's cells.
    """
    own = [training for training in trainings if training["agent"] == agent]
    drawn = [np.transpose([(point["steps"], point["score"]) for point in t["curve"] if "score" in point]) for t in own]
    if any(len(line) == 0 for line in drawn):
        raise ValueError(f"curves of agent {agent!r} have no column 'score'")
    steps = np.linspace(max(x[0] for x, _ in drawn), min(x[-1] for x, _ in drawn), points)
    tasks: dict[str, dict[Any, np.ndarray]] = {}
    for training, (x, y) in zip(own, drawn, strict=True):
        low, high = (of or {}).get(training["cell"], (0.0, 1.0))
        line = (np.interp(steps, x, y) - low) / (high - low)
        tasks.setdefault(training["cell"], {})[training["training_seed"]] = line
    _check_equal(tasks, f"agent {agent!r} has unequal trainings from task to task")
    return steps, np.stack([[runs[seed] for seed in sorted(runs)] for runs in tasks.values()], axis=1)


def _check_equal(tasks: Mapping[str, Any], message: str) -> None:
    if len({len(runs) for runs in tasks.values()}) > 1:
        raise ValueError(f"{message}: " + ", ".join(f"{len(runs)} in {cell!r}" for cell, runs in tasks.items()))


def _pooled(scores: np.ndarray) -> np.ndarray:
    """Scores (…, runs, tasks) as (…, runs · tasks)."""
    return scores.reshape(*scores.shape[:-2], -1)


def _checked(scores: Sequence[np.ndarray], paired: bool) -> list[np.ndarray]:
    matrices = [np.asarray(matrix, dtype=np.float64) for matrix in scores]
    for matrix in matrices:
        if matrix.ndim != 2 or matrix.shape[1] == 0:
            raise ValueError(f"scores must be a matrix (runs, tasks), got shape {matrix.shape}")
        if len(matrix) < 2:
            raise ValueError(f"scores must have at least 2 runs, got {len(matrix)}")
        if not np.isfinite(matrix).all():
            run, task = np.argwhere(~np.isfinite(matrix))[0]
            raise ValueError(f"scores[{run}, {task}] must be finite, got {matrix[run, task]}")
    shapes = [matrix.shape for matrix in matrices]
    if len({tasks for _, tasks in shapes}) > 1:
        raise ValueError(f"scores must have the same tasks, got {' and '.join(str(tasks) for _, tasks in shapes)}")
    if paired and len(set(shapes)) > 1:
        raise ValueError(f"paired scores must have the same runs, got {' and '.join(str(runs) for runs, _ in shapes)}")
    return matrices


def _bootstrap(metric: Metric, scores: Sequence[np.ndarray], paired: bool, resamples: int, seed: int) -> Any:
    """SciPy's bootstrap of run indices: one sample per task of each matrix, or of all matrices where paired."""
    tasks = scores[0].shape[1]
    samples = [np.arange(len(matrix)) for matrix in (scores[:1] if paired else scores) for _ in range(tasks)]

    def resampled(*runs: np.ndarray, axis: int = -1) -> np.ndarray:
        drawn = []
        for i, matrix in enumerate(scores):
            own = runs[:tasks] if paired else runs[i * tasks : (i + 1) * tasks]
            drawn.append(np.stack([matrix[:, task][run] for task, run in enumerate(own)], axis=-1))
        return metric(*drawn)

    return stats.bootstrap(
        samples,
        resampled,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=resamples,
        method="percentile",  # BCa's jackknife leaves tasks of unequal runs, which form no matrix
        rng=np.random.default_rng(seed),
    )
