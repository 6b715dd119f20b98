"""The generator that episodes are drawn with: NumPy's PCG64 (O'Neill 2014) as scalar code over a row of an array.

A kernel draws what `numpy.random.Generator` would draw, bit for bit, from the state that `load` takes out of one.
So a seed means the same episode in a single environment, in a row of thousands and on another device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled

WORDS = 6
"""Words of a stream: high and low half of the state, of the increment; whether half a word is left, and that half."""

_MULTIPLIER_HIGH, _MULTIPLIER_LOW = np.uint64(2549297995355413924), np.uint64(4865540595714422341)
_HALF = np.uint64(0xFFFFFFFF)
_0, _1, _11, _32, _58, _63, _64 = (np.uint64(n) for n in (0, 1, 11, 32, 58, 63, 64))


def new_streams(batch: int) -> np.ndarray:
    """Room for a stream a row, (batch, WORDS)."""
    return np.zeros((batch, WORDS), np.uint64)


def load(rng: np.random.Generator, stream: np.ndarray) -> None:
    """Put a generator's state into `stream` (WORDS,); of other generators than PCG64, one that they seed."""
    state = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        state = np.random.PCG64(rng.integers(2**63)).state
    word, increment = state["state"]["state"], state["state"]["inc"]
    low = (1 << 64) - 1
    stream[0], stream[1] = word >> 64, word & low
    stream[2], stream[3] = increment >> 64, increment & low
    stream[4], stream[5] = state["has_uint32"], state["uinteger"]


def store(stream: np.ndarray, rng: np.random.Generator) -> None:
    """Take the generator to where `stream` has come; others than PCG64 have moved on when they were loaded."""
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
    """The upper 64 bits of a 128-bit product."""
    a_low, a_high, b_low, b_high = a & _HALF, a >> _32, b & _HALF, b >> _32
    middle = a_high * b_low + (a_low * b_low >> _32)
    other = a_low * b_high + (middle & _HALF)
    return a_high * b_high + (middle >> _32) + (other >> _32)


@compiled
def next_word(stream: np.ndarray) -> np.uint64:
    """64 random bits."""
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
    """32 random bits: the lower half of a word, then its upper one."""
    if stream[4] != _0:
        stream[4] = _0
        return stream[5]
    word = next_word(stream)
    stream[4], stream[5] = _1, word >> _32
    return word & _HALF


@compiled
def random(stream: np.ndarray) -> float:
    """Uniform in [0, 1)."""
    return float(next_word(stream) >> _11) * (1.0 / 9007199254740992.0)


@compiled
def uniform(stream: np.ndarray, low: float, high: float) -> float:
    """Uniform in [low, high)."""
    return low + (high - low) * random(stream)


@compiled
def fill_uniform(stream: np.ndarray, low: float, high: float, values: np.ndarray) -> None:
    """Uniform numbers in [low, high) into values (n,)."""
    for i in range(len(values)):
        values[i] = uniform(stream, low, high)


@compiled
def integer(stream: np.ndarray, low: int, high: int) -> Any:
    """Uniform in low … high, both of them possible (Lemire 2019)."""
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
def distinct(stream: np.ndarray, count: int, numbers: np.ndarray) -> None:
    """Different whole numbers below `count` into numbers (n,), floats; where count < n, any."""
    n = len(numbers)
    for i in range(n):
        fresh = False
        while not fresh:
            numbers[i] = integer(stream, 0, count - 1)
            fresh = True
            for j in range(i):
                if count >= n and numbers[j] == numbers[i]:
                    fresh = False
