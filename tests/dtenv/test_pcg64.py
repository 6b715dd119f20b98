"""The compiled generator equals NumPy's, bit for bit, and its normal variates are normal."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from draws import stream_of

from dtenv.world import normals
from dtenv.world import pcg64 as stream

RANGES = [
    (0, 9),
    (3, 3),
    (1000, 1500),
    (0, 2**32 - 1),
    (-5, 2**32),
    (0, 2**40 + 7),
    (-(2**62), 2**62 + 11),
    (0, 3 << 30),
]


@numba.njit
def integers(row, low, high, count):
    drawn = np.empty(count, np.int64)
    for i in range(count):
        drawn[i] = stream.integer(row, low, high)
    return drawn


@numba.njit
def uniforms(row, low, high, count):
    drawn = np.empty(count)
    stream.fill_uniform(row, low, high, drawn)
    return drawn


@numba.njit
def variates(key, count):
    drawn = np.empty(count)
    for n in range(count):
        drawn[n] = normals.standard_normal(normals.word_of(key, n))
    return drawn


@numba.njit
def pairs(key, count):
    drawn = np.empty((2, count))
    for n in range(count):
        word = normals.word_of(key, n)
        drawn[0, n] = normals.first_normal(word)
        drawn[1, n] = normals.second_normal(word)
    return drawn


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_a_stream_draws_what_numpy_draws_and_hands_the_generator_on(seed):
    row, rng = stream_of(seed), np.random.default_rng(seed)
    for low, high in RANGES:
        for count in (1, 2, 501):  # an odd count leaves half a word buffered
            np.testing.assert_array_equal(
                integers(row, low, high, count), rng.integers(low, high, count, endpoint=True)
            )
            np.testing.assert_array_equal(uniforms(row, -2.5, 7.0, count), rng.uniform(-2.5, 7.0, count))
    handed = np.random.default_rng(99)
    stream.store(row, handed)
    assert handed.bit_generator.state == rng.bit_generator.state
    assert np.array_equal(handed.random(5), rng.random(5))


def test_another_generator_seeds_a_stream_and_moves_on():
    first, again, other = (np.random.Generator(np.random.MT19937(seed)) for seed in (1, 1, 2))
    rows = stream.new_streams(4)
    for row, rng in zip(rows, (first, again, other, first), strict=True):
        stream.load(rng, row)
        stream.store(row, rng)
    drawn = [uniforms(row, 0.0, 1.0, 5).tolist() for row in rows]
    assert drawn[0] == drawn[1] and len({tuple(numbers) for numbers in drawn}) == 3


def test_different_numbers_are_different_and_all_orders_are_drawn():
    numbers = np.empty(3)
    row, seen = stream_of(0), {}
    for _ in range(2400):
        stream.sample_without_replacement(row, 4, numbers)
        seen[tuple(numbers)] = seen.get(tuple(numbers), 0) + 1
    assert len(seen) == 24 and all(len(set(order)) == 3 for order in seen)
    assert max(abs(count - 100) for count in seen.values()) < 5 * math.sqrt(100)
    stream.sample_without_replacement(row, 2, numbers)  # more than there are: any
    assert set(numbers) <= {0.0, 1.0}


@pytest.mark.parametrize("drawn_by", [variates, pairs])
def test_variates_are_normal(drawn_by):
    count = 2_000_000
    drawn, other = drawn_by(np.uint64(7), count).ravel(), drawn_by(np.uint64(8), count).ravel()
    count = len(drawn)
    assert abs(drawn.mean()) < 5 / math.sqrt(count)
    assert abs(drawn.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((drawn**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((drawn**4).mean() - 3) < 5 * math.sqrt(96 / count)
    for bound in (0.1, 0.5, 1.0, 2.0, 3.0, normals.TAIL, normals.HALF_TAIL, 4.0, 4.5):
        expected = math.erfc(bound / math.sqrt(2))
        assert (abs(drawn) > bound).mean() == pytest.approx(expected, abs=5 * math.sqrt(expected / count))
    edges = np.linspace(-4, 4, 161)
    expected = count * np.diff([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges])
    found = np.histogram(drawn, edges)[0]
    assert ((found - expected) ** 2 / expected).sum() < 160 + 5 * math.sqrt(320)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / math.sqrt(count)
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 5 / math.sqrt(count)
    assert np.array_equal(drawn[:10], drawn_by(np.uint64(7), count)[..., :10].ravel()[:10])


def test_the_two_variates_of_a_word_do_not_tell_of_each_other():
    first, second = pairs(np.uint64(3), 2_000_000)
    for f in (np.asarray, np.abs, np.square):
        assert abs(np.corrcoef(f(first), f(second))[0, 1]) < 5 / math.sqrt(len(first))
    outside = abs(first) > 2.5
    assert second[outside].var() == pytest.approx(1, abs=5 * math.sqrt(2 / outside.sum()))
