"""Intervals and rankings: known cases, seeds, and coverage."""

import numpy as np
import pytest

from benchmarks.statistics import (
    Interval,
    gap_to_bound,
    mean_interval,
    paired_difference,
    ranking,
    ratio_interval,
    score_matrix,
    two_way_interval,
    two_way_ratio,
)


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


def test_pairing_removes_shared_seed_effects():
    base = np.linspace(0.0, 10.0, 20)
    both = rows("a", base + 0.1) + rows("b", base)
    assert paired_difference(both, "a", "b").low == pytest.approx(0.1)
    assert [line["agent"] for line in ranking(both, reference="b")] == ["a", "b"]
    with pytest.raises(ValueError, match="same seeds"):
        paired_difference(both[1:], "a", "b")


def test_gap_to_bound():
    scores = {"nearest": [1.0, 2.0, 3.0], "half": [1.5, 3.0, 4.5], "best": [2.0, 4.0, 6.0]}
    rows = [
        {"agent": agent, "seed": seed, "score": score, "bound": 2.0 * (seed + 1) if seed < 3 else None}
        for agent, values in scores.items()
        for seed, score in enumerate([*values, 99.0])
    ]
    assert gap_to_bound(rows, "nearest", "nearest") == (0.0, 0.0, 0.0)
    assert gap_to_bound(rows, "half", "nearest").mean == pytest.approx(0.5)
    assert gap_to_bound(rows, "best", "nearest") == pytest.approx((1.0, 1.0, 1.0))
    lines = {line["agent"]: line for line in ranking(rows, "nearest", zero="nearest")}
    assert lines["half"]["gap_to_bound"].mean == pytest.approx(0.5)
    assert "gap_to_bound" not in ranking([{**row, "bound": None} for row in rows], "nearest", zero="nearest")[0]
    assert "gap_to_bound" not in ranking(rows, "nearest")[0]


def test_a_ratio_of_means_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    whole = rng.uniform(1.0, 2.0, 200)
    interval = ratio_interval(0.3 * whole + rng.normal(0.0, 0.1, 200), whole)
    assert interval.low < interval.mean < interval.high
    assert interval.low < 0.3 < interval.high and interval.high - interval.low < 0.05
    assert np.isnan(ratio_interval(np.ones(3), np.zeros(3)).mean)


def test_scores_of_several_trainings_line_up():
    entries = [(2, 8, 4.0), (1, 7, 1.0), (2, 7, 3.0), (1, 8, 2.0)]
    own = [{"agent": "a", "training_seed": t, "seed": e, "score": score} for t, e, score in entries]
    np.testing.assert_array_equal(score_matrix(own, "a"), [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match="not run on the same seeds"):
        score_matrix(own[1:], "a")


def test_two_way_intervals_cover_both_kinds_of_seeds():
    """Variances add: Var = σ_t² / T + σ_e² / E for scores that are a sum of training and episode effects."""
    rng = np.random.default_rng(3)
    trainings, episodes = rng.normal(size=(12, 1)), 2.0 * rng.normal(size=(1, 60))
    interval = two_way_interval(trainings + episodes)
    half = 1.96 * np.sqrt(trainings.var() / 12 + episodes.var() / 60)
    assert interval.mean == pytest.approx((trainings + episodes).mean())
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.05)
    alone = two_way_interval(episodes)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * np.sqrt(episodes.var() / 60), rel=0.05)


def test_two_way_ratio_of_equal_matrices_is_certain():
    values = np.random.default_rng(0).uniform(1.0, 2.0, (4, 9))
    ratio = two_way_ratio(3.0 * values, values)
    assert ratio == pytest.approx((3.0, 3.0, 3.0))


def test_resamples_with_a_zero_denominator_have_an_infinite_end():
    part, whole = np.array([[1.0, 2.0, 3.0]]), np.array([[1e-17, 1e-17, 1.0]])
    ratio = two_way_ratio(part, whole)
    assert ratio.mean == pytest.approx(6.0) and ratio.high == np.inf and np.isfinite(ratio.low)
    assert all(np.isnan(two_way_ratio(part, np.zeros((1, 3)))))
