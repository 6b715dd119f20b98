"""Confidence intervals of means and multiple hypothesis tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95


def half_width(values: np.ndarray) -> float:
    """Half width of the 95 % t-interval of the mean of two or more independent values."""
    from scipy import stats  # installed by the extras that write tables

    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))


def holm(p_values: Sequence[float]) -> list[bool]:
    """Flags of the hypotheses rejected at a family-wise level of 5 % (Holm 1979)."""
    rejected = [False] * len(p_values)
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[i] > (1.0 - CONFIDENCE) / (len(p_values) - rank):
            break
        rejected[i] = True
    return rejected
