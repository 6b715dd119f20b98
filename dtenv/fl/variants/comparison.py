"""Paired comparison of variants, seed by seed, with intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from dtenv.reporting.statistics import half_width, holm


class Difference(NamedTuple):
    """Mean paired difference with its 95 % t-interval and p-value."""

    mean: float
    low: float
    high: float
    p: float
    distinct: bool = False
    """Whether it differs from zero after Holm's correction over all differences tested together."""

    def __str__(self) -> str:
        if np.isnan(self.mean):
            return "–"
        mark = " *" if self.distinct else ""
        return f"{100 * self.mean:+.2f} [{100 * self.low:+.2f}, {100 * self.high:+.2f}]{mark}"


class Mean(NamedTuple):
    """Mean with the half-width of its 95 % t-interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.2f} ± {100 * self.half:.2f}"


def values_of(rows: Sequence[Mapping[str, Any]], variant: str, column: str) -> dict[int, float]:
    """Return a variant's column by seed, without seeds that diverged."""
    return {row["seed"]: row[column] for row in rows if row["variant"] == variant and not row["diverged"]}


def mean_of(rows: Sequence[Mapping[str, Any]], variant: str, column: str) -> Mean:
    """Return the mean over seeds; the half-width is zero for one seed."""
    values = np.array(list(values_of(rows, variant, column).values()))
    if len(values) == 0:
        return Mean(np.nan, np.nan)
    return Mean(float(values.mean()), half_width(values) if len(values) > 1 else 0.0)


def difference(rows: Sequence[Mapping[str, Any]], variant: str, reference: str, column: str) -> Difference:
    """Return the mean difference over common seeds; nan if these are fewer than two."""
    ours, theirs = values_of(rows, variant, column), values_of(rows, reference, column)
    seeds = sorted(set(ours) & set(theirs))
    if len(seeds) < 2:
        return Difference(np.nan, np.nan, np.nan, np.nan)
    values = np.array([ours[seed] - theirs[seed] for seed in seeds])
    mean = float(values.mean())
    if np.ptp(values) < 1e-12:  # no spread to test with: equal, or shifted by a constant
        return Difference(mean, mean, mean, 1.0)
    half = half_width(values)
    return Difference(mean, mean - half, mean + half, float(stats.ttest_1samp(values, 0.0).pvalue))


def differences(
    rows: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]], column: str
) -> dict[tuple[str, str], Difference]:
    """Return the differences of (variant, reference) pairs, tested together."""
    found = {pair: difference(rows, *pair, column) for pair in pairs}
    tested = [pair for pair, value in found.items() if not np.isnan(value.p)]
    for pair, distinct in zip(tested, holm([found[pair].p for pair in tested]), strict=True):
        found[pair] = found[pair]._replace(distinct=distinct)
    return found


class Reached(NamedTuple):
    """Mean round and second of first reaching a target, over the seeds that do."""

    rounds: float
    seconds: float
    seeds: int
    of: int

    def __str__(self) -> str:
        if self.seeds == 0:
            return "never"
        some = "" if self.seeds == self.of else f" ({self.seeds}/{self.of})"
        return f"{self.rounds:.1f}, {self.seconds:.0f} s{some}"


def reached(rows: Sequence[Mapping[str, Any]], variant: str, target: float) -> Reached:
    """Return the first round, counted from 1, and simulated second with at least the target accuracy."""
    own = [row for row in rows if row["variant"] == variant and not row["diverged"]]
    firsts = []
    for row in own:
        hits = np.flatnonzero(np.asarray(row["accuracy"]) >= target)
        if len(hits):
            firsts.append((hits[0] + 1.0, row["seconds"][hits[0]]))
    if not firsts:
        return Reached(np.nan, np.nan, 0, len(own))
    rounds, seconds = np.mean(firsts, axis=0)
    return Reached(float(rounds), float(seconds), len(firsts), len(own))
