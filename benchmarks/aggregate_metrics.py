"""Aggregate metrics over tasks, with stratified bootstrap intervals (Agarwal et al. 2021).

Scores are matrices (runs, tasks), one an agent: what `normalise` and `score_matrices` make of rows. A task is a cell of
a suite; a run is a training seed, or an episode where agents are not trained. Runs are resampled within each task.

"Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.statistics import Interval
from dtenv.reporting.statistics import CONFIDENCE

RESAMPLES = 5000

Metric = Callable[..., np.ndarray]
"""A function of one matrix of scores (…, runs, tasks) or of two, to (…)."""

Row = Mapping[str, Any]


class Band(NamedTuple):
    """A curve with its bootstrap band; arrays of one length."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean: of the middle half of all runs of all tasks."""
    return stats.trim_mean(_pooled(scores), 0.25, axis=-1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over tasks and runs."""
    return scores.mean(axis=(-2, -1))


def median(scores: np.ndarray) -> np.ndarray:
    """Median over tasks of the mean over runs."""
    return np.median(scores.mean(axis=-2), axis=-1)


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """How far runs fall short of 1, on average; those beyond it fall short by nothing.

    Of scores that `normalise` made, 1 is the proven bound.
    """
    return np.maximum(0.0, 1.0 - scores).mean(axis=(-2, -1))


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """P(X > Y) + P(X = Y) / 2 for a run X of ours and a run Y of theirs on the same task, averaged over tasks.

    By the ranks of Mann and Whitney's U.
    """
    count = ours.shape[-2]
    ranks = stats.rankdata(np.concatenate([ours, theirs], axis=-2), axis=-2)[..., :count, :]
    u = ranks.sum(axis=-2) - count * (count + 1) / 2
    return (u / (count * theirs.shape[-2])).mean(axis=-1)


METRICS: dict[str, Metric] = {"IQM": iqm, "mean": mean, "median": median, "optimality gap": optimality_gap}
"""Of one agent's scores, by what tables call them."""


def interval(
    metric: Metric,
    *scores: np.ndarray,
    paired: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A metric with its 95 % stratified percentile bootstrap interval, seeded.

    Args:
        metric: of as many matrices as are given.
        *scores: (runs, tasks), all with the same tasks.
        paired: whether run i of all matrices shares its seed, and is resampled together.
        resamples: how many.
        seed: of the resampling.

    Raises:
        ValueError: scores that are no matrices, not finite, of fewer than two runs or of unequal tasks.
    """
    checked = _checked(scores, paired)
    point = float(metric(*checked))
    if all(np.ptp(matrix, axis=0).max() == 0.0 for matrix in checked):
        return Interval(point, point, point)
    found = _bootstrap(metric, checked, paired, resamples, seed).confidence_interval
    return Interval(point, float(found.low), float(found.high))


def difference_interval(metric: Metric, ours: np.ndarray, theirs: np.ndarray, **settings: Any) -> Interval:
    """Difference of a metric of two agents whose runs share their seeds; settings of `interval`."""
    return interval(lambda a, b: metric(a) - metric(b), ours, theirs, paired=True, **settings)


def performance_profile(
    scores: np.ndarray,
    thresholds: Sequence[float] | np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Band:
    """Share of runs that score above each threshold: the profile of run scores, with its pointwise 95 % band.

    Args:
        scores: (runs, tasks).
        thresholds: increasing.
        resamples: how many.
        seed: of the resampling.

    Raises:
        ValueError: as `interval`, or thresholds that do not increase.
    """
    (checked,) = _checked((scores,), paired=False)
    x = np.asarray(thresholds, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0 or not np.isfinite(x).all() or (np.diff(x) <= 0.0).any():
        raise ValueError(f"thresholds must be finite and increase, got {thresholds!r}")

    def above(scores: np.ndarray) -> np.ndarray:
        pooled = _pooled(scores)
        return np.stack([(pooled > threshold).mean(axis=-1) for threshold in x])

    share = above(checked)
    found = _bootstrap(above, (checked,), False, resamples, seed).confidence_interval
    return Band(x, share, found.low, found.high)


def sample_efficiency(curves: np.ndarray, steps: Sequence[float] | np.ndarray, **settings: Any) -> Band:
    """The interquartile mean along training, with its pointwise band; settings of `interval`.

    Args:
        curves: (runs, tasks, steps), as `curve_matrices` gives them.
        steps: environment steps of the last axis.
        **settings: resamples and seed.
    """
    found = [interval(iqm, curves[:, :, i], **settings) for i in range(len(steps))]
    y, low, high = np.transpose(found)
    return Band(np.asarray(steps, dtype=np.float64), y, low, high)


def scales(rows: Sequence[Row], zero: str) -> dict[str, tuple[float, float]]:
    """Every cell's mean score of agent `zero` and mean proven bound, over its bounded episodes.

    Raises:
        ValueError: an agent that was not run, a cell without bounds, or a bound that is not above.
    """
    found = {}
    for cell in dict.fromkeys(row["cell"] for row in rows):
        bounded = [row for row in rows if row["cell"] == cell and row.get("bound") is not None]
        if not bounded:
            raise ValueError(f"cell {cell!r} has no bounded episodes to normalise by")
        own = [row for row in bounded if row["agent"] == zero]
        if not own:
            raise ValueError(f"agent {zero!r} was not run in cell {cell!r}; {_agents(rows, cell)}")
        low, high = (float(np.mean([row[column] for row in own])) for column in ("score", "bound"))
        if not low < high:
            raise ValueError(f"the bound of cell {cell!r}, {high:g}, must be above the score of {zero!r}, {low:g}")
        found[cell] = (low, high)
    return found


def normalise(rows: Sequence[Row], zero: str) -> list[dict[str, Any]]:
    """Rows of bounded episodes with a column "normalised": 1 less the distance to the episode's own bound.

    The distance is in units of the cell's mean distance of agent `zero`, which thus has 0 on average, and counts as
    certain. Means are those of `benchmarks.statistics.gap_to_bound`.

    Raises:
        ValueError: as `scales`.
    """
    of = scales(rows, zero)
    bounded = [dict(row) for row in rows if row.get("bound") is not None]
    for row in bounded:
        low, high = of[row["cell"]]
        row["normalised"] = 1.0 - (row["bound"] - row["score"]) / (high - low)
    return bounded


def score_matrices(
    rows: Sequence[Row],
    agents: Sequence[str] = (),
    column: str = "normalised",
    run: Literal["training_seed", "seed"] = "training_seed",
) -> dict[str, np.ndarray]:
    """A column of rows as (runs, tasks) for each agent; tasks in the order of the rows' cells, runs of their seeds.

    Args:
        rows: with "cell", "agent", "training_seed" and "seed".
        agents: by default all.
        column: averaged over what else was run.
        run: what counts as one, a training or an episode.

    Raises:
        ValueError: an agent that was not run in a cell, or on other runs than in another.
    """
    cells = list(dict.fromkeys(row["cell"] for row in rows))
    found = {}
    for agent in agents or dict.fromkeys(row["agent"] for row in rows):
        tasks: list[np.ndarray] = []
        counts = {}
        for cell in cells:
            own = [row for row in rows if row["cell"] == cell and row["agent"] == agent]
            if not own:
                raise ValueError(f"agent {agent!r} was not run in cell {cell!r}; {_agents(rows, cell)}")
            values: dict[Any, list[float]] = {}
            for row in own:
                values.setdefault(row[run], []).append(float(row[column]))
            counts[cell] = len(values)
            tasks.append(np.array([np.mean(values[key]) for key in sorted(values)]))
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count} in {cell!r}" for cell, count in counts.items())
            raise ValueError(f"agent {agent!r} has unequal runs ({run}) from task to task: {told}")
        found[agent] = np.stack(tasks, axis=1)
    return found


def curve_matrices(
    trainings: Sequence[Row],
    agent: str,
    points: int = 50,
    of: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """An agent's learning curves at common steps.

    Args:
        trainings: with "cell", "agent", "training_seed" and "curve".
        agent: whose.
        points: how many steps, evenly from the latest first point to the earliest last one.
        of: every cell's scores that count 0 and 1, from `scales`.

    Returns:
        Steps (points,) and curves (runs, tasks, points).

    Raises:
        ValueError: no such agent, or unequal runs in its cells.
    """
    own = [training for training in trainings if training["agent"] == agent]
    if not own:
        known = ", ".join(dict.fromkeys(training["agent"] for training in trainings))
        raise ValueError(f"agent {agent!r} was not trained; known: {known}")
    drawn = [np.transpose([(point["steps"], point["score"]) for point in t["curve"] if "score" in point]) for t in own]
    if any(len(line) == 0 for line in drawn):
        raise ValueError(f"curves of agent {agent!r} have no column 'score'")
    steps = np.linspace(max(x[0] for x, _ in drawn), min(x[-1] for x, _ in drawn), points)
    tasks: dict[str, dict[Any, np.ndarray]] = {}
    for training, (x, y) in zip(own, drawn, strict=True):
        low, high = (of or {}).get(training["cell"], (0.0, 1.0))
        line = (np.interp(steps, x, y) - low) / (high - low)
        tasks.setdefault(training["cell"], {})[training["training_seed"]] = line
    if len({len(runs) for runs in tasks.values()}) > 1:
        told = ", ".join(f"{len(runs)} in {cell!r}" for cell, runs in tasks.items())
        raise ValueError(f"agent {agent!r} has unequal trainings from task to task: {told}")
    return steps, np.stack([[runs[seed] for seed in sorted(runs)] for runs in tasks.values()], axis=1)


def _pooled(scores: np.ndarray) -> np.ndarray:
    """Scores (…, runs, tasks) as (…, runs · tasks)."""
    return scores.reshape(*scores.shape[:-2], -1)


def _agents(rows: Sequence[Row], cell: str) -> str:
    return "known: " + ", ".join(dict.fromkeys(row["agent"] for row in rows if row["cell"] == cell))


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
    """SciPy's bootstrap of runs' numbers, a sample for each task of each matrix, or of all matrices where paired."""
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
        method="percentile",  # BCa's jackknife leaves tasks of unequal runs, and so no matrix
        rng=np.random.default_rng(seed),
    )
