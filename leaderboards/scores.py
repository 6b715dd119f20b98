"""Scores per instance between a reference (0) and the proven bound (1), and significance tests between entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.aggregate_metrics import interval, iqm
from benchmarks.statistics import Interval
from dtenv.oracle import tolerance
from dtenv.reporting.statistics import holm
from leaderboards.tracks import Track

PERMUTATIONS = 9999

Scores = Mapping[tuple[str, int], float]
"""Scores by cell and index."""


def normalised(score: float, reference: float, bound: float) -> float | None:
    """Return (J − J_ref) / (J* − J_ref), or None if the reference attains the bound."""
    headroom = bound - reference
    return (score - reference) / headroom if headroom > tolerance(bound) else None


def with_headroom(track: Track, reference: Scores, bounds: Scores) -> list[int]:
    """Indices of the instances on which the reference is below the bound in all cells."""
    names = [cell.name for cell in track.cells]

    def room(key: tuple[str, int]) -> bool:
        return normalised(reference[key], reference[key], bounds[key]) is not None

    return [index for index in range(track.episodes) if all(room((name, index)) for name in names)]


def matrix(track: Track, scores: Scores, reference: Scores, bounds: Scores) -> np.ndarray:
    """Normalised scores (instances, cells) of an entry on the instances with headroom."""
    names, rows = [cell.name for cell in track.cells], with_headroom(track, reference, bounds)
    keys = [[(name, index) for name in names] for index in rows]
    return np.array([[normalised(scores[k], reference[k], bounds[k]) for k in row] for row in keys], dtype=np.float64)


def iqm_interval(values: np.ndarray) -> Interval:
    """Interquartile mean of (instances, cells), with its 95 % stratified bootstrap interval."""
    return interval(iqm, values)


def p_value(ours: np.ndarray, theirs: np.ndarray) -> float:
    """P-value of equality of two entries: seeded paired permutation test of their interquartile means.

    Both are normalised scores (instances, cells) on the same instances.
    """
    if np.array_equal(ours, theirs):
        return 1.0

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return stats.trim_mean(a, 0.25, axis=axis) - stats.trim_mean(b, 0.25, axis=axis)

    found = stats.permutation_test(
        (ours.ravel(), theirs.ravel()),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=500,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def tie_groups(matrices: Sequence[np.ndarray]) -> list[int]:
    """Return the group of each entry, 1, 2, …: entries that do not differ significantly from the best of their group.

    A new group starts at the first entry that differs from the first one of the group. `matrices` are normalised scores
    (instances, cells), the best interquartile mean first.
    """
    groups: list[int] = []
    while (first := len(groups)) < len(matrices):
        differs = holm([p_value(matrices[first], other) for other in matrices[first + 1 :]])
        size = 1 + (differs.index(True) if True in differs else len(differs))
        groups += [groups[-1] + 1 if groups else 1] * size
    return groups


def scores_of(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], float]:
    """Scores of rows by cell and index."""
    return {(row["cell"], row["index"]): row["score"] for row in rows}
