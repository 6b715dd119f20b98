"""NumPy's PCG64 (O'Neill 2014) for kernels, as scalar code on a row of an array.

From a state copied by `load`, kernels draw the same bits as `numpy.random.Generator`. So a seed gives the same episode
in a single environment, in a batch and on another device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled

WORDS = 6
"""Words of a stream: state (high, low), increment (high, low), whether half a word is buffered, and that half."""

_MULTIPLIER_HIGH, _MULTIPLIER_LOW = np.uint64(2549297995355413924), np.uint64(4865540595714422341)
_HALF = np.uint64(0xFFFFFFFF)
_0, _1, _11, _32, _58, _63, _64 = (np.uint64(n) for n in (0, 1, 11, 32, 58, 63, 64))


def new_streams(batch: int) -> np.ndarray:
    """Allocate one stream per row, (batch, WORDS)."""
    return np.zeros((batch, WORDS), np.uint64)


def load(rng: np.random.Generator, stream: np.ndarray) -> None:
    """Copy a generator's state into `stream` (WORDS,); bit generators other than PCG64 seed one instead."""
    state = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        state = np.random.PCG64(rng.integers(2**63)).state
    word, increment = state["state"]["state"], state["state"]["inc"]
    low = (1 << 64) - 1
    stream[0], stream[1] = word >> 64, word & low
    stream[2], stream[3] = increment >> 64, increment & low
    stream[4], stream[5] = state["has_uint32"], state["uinteger"]


def store(stream: np.ndarray, rng: np.random.Generator) -> None:
    """Copy the state of `stream` back into the generator, if that is a PCG64; `load` has advanced others already."""
    if rng.bit_generator.state["bit_generator"] != "PCG64":
        return
    words = [int(word) for word in stream]
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3]},
        "has_uint32": words[4],
        "uinteger": words[5],
    }


@compiled
def product_high(a: np.uint64, b: np.uint64) -> np.uint64:
    """Upper 64 bits of a 128-bit product."""
    a_low, a_high, b_low, b_high = a & _HALF, a >> _32, b & _HALF, b >> _32
    middle = a_high * b_low + (a_low * b_low >> _32)
    other = a_low * b_high + (middle & _HALF)
    return a_high * b_high + (middle >> _32) + (other >> _32)


@compiled
def next_word(stream: np.ndarray) -> np.uint64:
    """Next 64 random bits."""
    high, low = stream[0], stream[1]
    high = high * _MULTIPLIER_LOW + low * _MULTIPLIER_HIGH + product_high(low, _MULTIPLIER_LOW) + stream[2]
    product = low * _MULTIPLIER_LOW
    low = product + stream[3]
    if low < product:
        high += _1
    stream[0], stream[1] = high, low
    mixed, turn = high ^ low, high >> _58
    return (mixed >> turn) | (mixed << ((_64 - turn) & _63))


@compiled
def next_half(stream: np.ndarray) -> np.uint64:
    """Next 32 random bits: the lower half of a word, then its upper half."""
    if stream[4] != _0:
        stream[4] = _0
        return stream[5]
    word = next_word(stream)
    stream[4], stream[5] = _1, word >> _32
    return word & _HALF


@compiled
def random(stream: np.ndarray) -> float:
    """Uniform number in [0, 1)."""
    return float(next_word(stream) >> _11) * (1.0 / 9007199254740992.0)


@compiled
def uniform(stream: np.ndarray, low: float, high: float) -> float:
    """Uniform number in [low, high)."""
    return low + (high - low) * random(stream)


@compiled
def fill_uniform(stream: np.ndarray, low: float, high: float, values: np.ndarray) -> None:
    """Fill values (n,) with uniform numbers in [low, high)."""
    for i in range(len(values)):
        values[i] = uniform(stream, low, high)


@compiled
def integer(stream: np.ndarray, low: int, high: int) -> Any:
    """Uniform integer in low … high, both included (Lemire 2019)."""
    span = np.uint64(high - low)
    if span == _0:
        return low
    count = span + _1
    if span == _HALF:
        return low + np.int64(next_half(stream))
    if span < _HALF:
        product = next_half(stream) * count
        if (product & _HALF) < count:
            threshold = (_HALF - span) % count
            while (product & _HALF) < threshold:
                product = next_half(stream) * count
        return low + np.int64(product >> _32)
    word = next_word(stream)
    if word * count < count:
        threshold = (~_0 - span) % count
        while word * count < threshold:
            word = next_word(stream)
    return low + np.int64(product_high(word, count))


@compiled
def sample_without_replacement(stream: np.ndarray, count: int, numbers: np.ndarray) -> None:
    """Fill numbers (n,), floats, with distinct integers below `count`; with repetitions if count < n."""
    n = len(numbers)
    for i in range(n):
        fresh = False
        while not fresh:
            numbers[i] = integer(stream, 0, count - 1)
            fresh = True
            for j in range(i):
                if count >= n and numbers[j] == numbers[i]:
                    fresh = False
