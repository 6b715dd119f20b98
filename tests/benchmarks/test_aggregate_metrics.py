"""Aggregate metrics: known values, slow plain references, properties, seeds and coverage."""

import statistics
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from benchmarks.aggregate_metrics import (
    METRICS,
    curve_matrices,
    difference_interval,
    interval,
    iqm,
    mean,
    median,
    normalise,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    sample_efficiency,
    scales,
    score_matrices,
)
from benchmarks.statistics import gap_to_bound

HAND = np.array([[0.0, 10.0], [0.5, 0.5], [1.0, 1.5], [0.75, -4.0]])
"""(runs, tasks). Sorted: -4, 0, | .5, .5, .75, 1, | 1.5, 10."""

BY_HAND = {"IQM": 2.75 / 4, "mean": 10.25 / 8, "median": (0.5625 + 2.0) / 2, "optimality gap": 7.25 / 8}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_a_known_matrix(name):
    assert METRICS[name](HAND) == pytest.approx(BY_HAND[name], abs=1e-15)


def test_probability_of_improvement_by_hand():
    """Task 0: 3 wins and a tie of four pairs; task 1: none."""
    ours, theirs = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 5.0], [0.0, 6.0]])
    assert probability_of_improvement(ours, theirs) == pytest.approx((3.5 / 4 + 0.0) / 2)


def plain_iqm(scores):
    ordered = sorted(scores.ravel().tolist())
    cut = len(ordered) // 4
    return statistics.fmean(ordered[cut : len(ordered) - cut])


def plain_median(scores):
    return statistics.median(statistics.fmean(task) for task in scores.T.tolist())


def plain_gap(scores):
    return statistics.fmean(max(0.0, 1.0 - x) for x in scores.ravel().tolist())


def plain_probability(ours, theirs):
    wins = [
        statistics.fmean((x > y) + 0.5 * (x == y) for x in ours[:, task] for y in theirs[:, task])
        for task in range(ours.shape[1])
    ]
    return statistics.fmean(wins)


@pytest.mark.parametrize("shape", [(2, 1), (5, 3), (8, 1), (10, 6)], ids="{0[0]}x{0[1]}".format)
def test_metrics_equal_plain_references(shape):
    rng = np.random.default_rng(shape[0])
    scores = rng.normal(0.7, 0.5, shape).round(1)  # with ties
    other = rng.normal(0.5, 0.5, (shape[0] + 3, shape[1])).round(1)
    assert iqm(scores) == pytest.approx(plain_iqm(scores), abs=1e-14)
    assert mean(scores) == pytest.approx(statistics.fmean(scores.ravel().tolist()), abs=1e-14)
    assert median(scores) == pytest.approx(plain_median(scores), abs=1e-14)
    assert optimality_gap(scores) == pytest.approx(plain_gap(scores), abs=1e-14)
    assert probability_of_improvement(scores, other) == pytest.approx(plain_probability(scores, other), abs=1e-14)


def test_metrics_keep_leading_axes():
    """The bootstrap passes them."""
    scores, other = np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    for metric in METRICS.values():
        np.testing.assert_allclose(metric(scores), [metric(matrix) for matrix in scores])
    each = [probability_of_improvement(a, b) for a, b in zip(scores, other, strict=True)]
    np.testing.assert_allclose(probability_of_improvement(scores, other), each)


@pytest.mark.parametrize("seed", range(5))
def test_properties(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(9, 4)).round(1), rng.normal(size=(6, 4)).round(1)
    assert x.min() <= iqm(x) <= x.max()
    assert probability_of_improvement(x, y) + probability_of_improvement(y, x) == pytest.approx(1.0)
    assert probability_of_improvement(x, x) == pytest.approx(0.5)
    assert probability_of_improvement(x + 100.0, y) == 1.0
    shuffled = rng.permuted(x, axis=0)  # the runs of each task by themselves
    for metric in METRICS.values():
        assert metric(shuffled[:, rng.permutation(4)]) == pytest.approx(metric(x))
    band = performance_profile(x, np.linspace(-4.0, 4.0, 33), resamples=100)
    assert band.y[0] == 1.0 and band.y[-1] == 0.0 and (np.diff(band.y) <= 0.0).all()
    assert (band.low <= band.y).all() and (band.y <= band.high).all()
    assert (np.diff(band.low) <= 0.0).all() and (np.diff(band.high) <= 0.0).all()


def test_a_profile_by_hand():
    band = performance_profile(HAND, [-5.0, 0.0, 0.5, 1.0, 9.0], resamples=50)
    np.testing.assert_array_equal(band.y, np.array([8, 6, 4, 2, 1]) / 8)


def test_seeds():
    scores = np.random.default_rng(0).normal(size=(6, 3))
    assert interval(iqm, scores) == interval(iqm, scores, seed=0)
    assert interval(iqm, scores) != interval(iqm, scores, seed=1)
    one, other = (performance_profile(scores, [0.0, 0.5], seed=seed, resamples=200) for seed in (0, 0))
    np.testing.assert_array_equal(one.low, other.low)


def test_runs_are_resampled_within_tasks():
    """Differences between tasks add no uncertainty; variances of tasks add up."""
    assert interval(mean, np.array([[0.0, 100.0], [0.0, 100.0]])) == (50.0, 50.0, 50.0)
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(60, 2)) * [1.0, 3.0] + [0.0, 100.0]
    low, high = interval(mean, scores)[1:]
    assert high - low == pytest.approx(2 * 1.96 * sqrt((scores.var(axis=0) / 60).sum()) / 2, rel=0.05)


def test_paired_differences_remove_shared_seed_effects():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(10, 4))
    apart = interval(lambda a, b: iqm(a) - iqm(b), shared + 0.1, shared)
    together = difference_interval(iqm, shared + 0.1, shared)
    assert together == pytest.approx((0.1, 0.1, 0.1))
    assert apart.low < 0.0 < apart.high


TRIALS = 300
BAND = stats.binom.ppf([0.001, 0.999], TRIALS, 0.94) / TRIALS
"""99.8 % range of the coverage of 300 intervals at 94 %: with 20 runs, percentile intervals lose about 1 %."""


def coverage(metric, truth, draw, repeats=1):
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(TRIALS):
        scores = [np.concatenate([matrix] * repeats) for matrix in draw(rng)]
        _, low, high = interval(metric, *scores, resamples=200)
        hits += low <= truth <= high
    return hits / TRIALS


COVERED = {
    "IQM": (iqm, 0.7, lambda rng: [rng.normal(0.7, 0.2, (20, 3))]),
    "optimality gap": (optimality_gap, 0.25, lambda rng: [rng.uniform(0.0, 2.0, (20, 3))]),
    "improvement": (
        probability_of_improvement,
        stats.norm.cdf(0.5 / sqrt(2)),
        lambda rng: [rng.normal(0.5, 1.0, (20, 3)), rng.normal(0.0, 1.0, (20, 3))],
    ),
}


@pytest.mark.parametrize("case", COVERED)
def test_coverage(case):
    assert BAND[0] <= coverage(*COVERED[case]) <= BAND[1]


def test_too_narrow_intervals_fail_the_coverage_test():
    """Every run is counted twice, so that widths shrink by the root of 2."""
    assert coverage(*COVERED["IQM"], repeats=2) < BAND[0]


ROWS = [
    {"cell": cell, "agent": agent, "training_seed": training, "seed": seed, "score": base + own + 0.1 * training}
    | {"bound": base + 2.0 + (seed - 7) if seed < 9 else None}
    for cell, base in (("small", 0.0), ("large", 10.0))
    for agent, own, trainings in (("nearest", 0.0, (0,)), ("ppo", 1.0, (1, 2, 3)))
    for training in trainings
    for seed in (7, 8, 9)
]
"""Mean bounds of episodes 7 and 8: 2.5 above nearest. Episode 9 is not bounded."""


def test_normalised_rows_become_matrices():
    assert scales(ROWS, "nearest") == {"small": (0.0, 2.5), "large": (10.0, 12.5)}
    rows = normalise(ROWS, "nearest")
    assert {row["seed"] for row in rows} == {7, 8}
    found = score_matrices(rows, ["nearest", "ppo"])
    assert found["nearest"].mean(axis=0) == pytest.approx([0.0, 0.0])
    np.testing.assert_allclose(found["ppo"], [[0.68, 0.68], [0.28, 0.28]])  # of bounds 2 and 3, by 1.2
    first = [row for row in ROWS if row["cell"] == "small" and row["training_seed"] in (0, 1)]
    assert gap_to_bound(first, "ppo", "nearest").mean == pytest.approx(0.44)


def test_curves_meet_at_common_steps():
    trainings = [
        {"cell": cell, "agent": "ppo", "training_seed": seed}
        | {"curve": [{"steps": x, "score": height * x} for x in range(first, 111, 10)]}
        for cell, height in (("small", 1.0), ("large", 2.0))
        for seed, first in ((2, 0), (1, 10))
    ]
    steps, curves = curve_matrices(trainings, "ppo", points=3, of={"small": (0.0, 10.0), "large": (0.0, 20.0)})
    np.testing.assert_array_equal(steps, [10.0, 60.0, 110.0])
    np.testing.assert_allclose(curves, np.broadcast_to(steps / 10.0, (2, 2, 3)))
    band = sample_efficiency(curves, steps)
    np.testing.assert_allclose([band.y, band.low, band.high], np.broadcast_to(steps / 10.0, (3, 3)))
    with pytest.raises(ValueError, match="unequal trainings from task to task: 2 in 'small', 1 in 'large'"):
        curve_matrices(trainings[:-1], "ppo")


GOOD = np.ones((3, 2))
REFUSED = {
    "nan": (lambda: interval(iqm, np.array([[1.0, 2.0], [1.0, np.nan]])), r"scores\[1, 1\] must be finite, got nan"),
    "one run": (lambda: interval(iqm, np.ones((1, 4))), "at least 2 runs, got 1"),
    "no matrix": (lambda: interval(iqm, np.ones(4)), r"matrix \(runs, tasks\), got shape \(4,\)"),
    "tasks": (lambda: interval(probability_of_improvement, GOOD, np.ones((3, 4))), "same tasks, got 2 and 4"),
    "pairs": (lambda: difference_interval(iqm, GOOD, np.ones((4, 2))), "same runs, got 3 and 4"),
    "unequal": (lambda: score_matrices(ROWS[:14], ["nearest"], "score"), "3 in 'small', 2 in 'large'"),
    "no bounds": (lambda: normalise(ROWS, "stay"), "'small' has no bounded episodes of 'stay'"),
    "low bound": (lambda: normalise([{**row, "bound": -1.0} for row in ROWS], "nearest"), "-1, must be above"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    run, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        run()
