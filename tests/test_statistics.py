"""Intervals and rankings: known cases, seeds, and coverage."""

import numpy as np
import pytest

from benchmarks.statistics import Interval, mean_interval, paired_difference, ranking


def test_constant_values_have_no_width():
    assert mean_interval([2.0, 2.0, 2.0]) == Interval(2.0, 2.0, 2.0)


def test_interval_repeats_and_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 1.0, 200)
    interval = mean_interval(values)
    assert interval == mean_interval(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)


@pytest.mark.slow
def test_coverage():
    rng = np.random.default_rng(1)
    hits = [low <= 0.0 <= high for _, low, high in (mean_interval(rng.normal(size=24)) for _ in range(400))]
    assert 0.90 <= np.mean(hits) <= 0.98


def rows(agent, scores):
    return [
        {"agent": agent, "seed": i, "score": s, "objective": s, "utility": 1.0, "energy": 1.0}
        | {"migrations": 0.0, "violation_rate": 0.0}
        for i, s in enumerate(scores)
    ]


def test_pairing_removes_what_seeds_share():
    base = np.linspace(0.0, 10.0, 20)
    both = rows("a", base + 0.1) + rows("b", base)
    assert paired_difference(both, "a", "b").low == pytest.approx(0.1)
    assert [line["agent"] for line in ranking(both, reference="b")] == ["a", "b"]
    with pytest.raises(ValueError, match="same seeds"):
        paired_difference(both[1:], "a", "b")
