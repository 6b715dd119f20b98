"""Counter-based normal variates: the ziggurat (Marsaglia and Tsang 2000) on SplitMix64 bits (Steele et al. 2014).

Variate n of a key does not depend on the others, so order and device do not matter. Shadowing takes 1e5 per episode.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled, inlined


def _layers(count: int, tail: float, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Right edges of layers of equal area, lowest first, and the fraction of each that is entirely under the curve."""
    edge = np.zeros(count + 1)
    height = math.exp(-0.5 * tail**2)
    edge[0], edge[1] = area / height, tail
    for i in range(2, count):
        edge[i] = math.sqrt(-2.0 * math.log(area / edge[i - 1] + height))
        height = math.exp(-0.5 * edge[i] ** 2)
    return edge, edge[1:] / edge[:-1]


TAIL = 3.442619855899  # start of the tail
_EDGE, _INSIDE = _layers(128, TAIL, 9.91256303526217e-3)
_LAYER = np.int64(127)

# Tables for 32-bit draws: with more layers, fewer draws need a second look.
HALF_TAIL = 3.8520461503683916
_HALF_EDGE, _ = _layers(512, HALF_TAIL, 2.456766351541353e-3)
_HALF_HEIGHT = np.exp(-0.5 * _HALF_EDGE**2)
_HALF_LAYER = np.int64(511)
_HALF_STEP = _HALF_EDGE[:-1] / 2**23

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _27, _30, _31 = (np.uint64(n) for n in (11, 27, 30, 31))


@compiled
def word_of(key: np.uint64, n: int) -> np.uint64:
    """Random word n (64 bits) of a key."""
    z = key + np.uint64(n) * _GOLDEN
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


@inlined
def first_normal(word: np.uint64) -> float:
    """First of two normal variates of a word, with single precision: a multiple of 2^-23 of its layer's edge."""
    return _of_half(word, np.int64(word) >> np.int64(32))


@inlined
def second_normal(word: np.uint64) -> float:
    """Second of the two."""
    return _of_half(~word, np.int64(np.int32(np.int64(word))))


@inlined
def _of_half(word: np.uint64, half: Any) -> float:
    """Normal variate of 32 signed bits: 9 for the layer, 23 for the position; one in 125 takes more bits."""
    layer = half & _HALF_LAYER
    x = float((half >> np.int64(8)) | np.int64(1)) * _HALF_STEP[layer]  # odd, for symmetry
    if abs(x) < _HALF_EDGE[layer + np.int64(1)]:
        return x
    return _beyond_half(word, layer, x)


@compiled
def _beyond_half(word: np.uint64, layer: Any, x: float) -> float:
    """Draw not surely under the curve: accept it, or take another variate."""
    if layer == 0:
        return _past(word, 0, HALF_TAIL, x)
    low, high = _HALF_HEIGHT[layer], _HALF_HEIGHT[layer + 1]
    if low + _share(word, 1) * (high - low) < math.exp(-0.5 * x * x):
        return x
    return standard_normal(word_of(word, 2))


@compiled
def standard_normal(word: np.uint64) -> float:
    """Normal variate of a word; one in 36 takes more words, which follow from it."""
    signed = np.int64(word)
    layer = signed & _LAYER
    x = float(signed >> np.int64(8)) * (1.0 / 36028797018963968.0)
    if abs(x) < _INSIDE[layer]:
        return x * _EDGE[layer]
    return _beyond(word, layer, x)


@compiled
def _beyond(word: np.uint64, layer: Any, x: float) -> float:
    """Draw not surely under the curve: accept it, or draw again."""
    drawn = 0
    while True:
        if layer == 0:
            return _past(word, drawn, TAIL, x)
        x *= _EDGE[layer]
        low = math.exp(-0.5 * (_EDGE[layer] ** 2 - x * x))
        high = math.exp(-0.5 * (_EDGE[layer + 1] ** 2 - x * x))
        drawn += 2
        if high + _share(word, drawn - 1) * (low - high) < 1.0:
            return x
        signed = np.int64(word_of(word, drawn))
        layer = signed & _LAYER
        x = float(signed >> np.int64(8)) * (1.0 / 36028797018963968.0)
        if abs(x) < _INSIDE[layer]:
            return x * _EDGE[layer]


@compiled
def _past(word: np.uint64, drawn: int, tail: float, x: float) -> float:
    """Variate of the tail (Marsaglia 1964), with the sign of x."""
    while True:
        past = -math.log(1.0 - _share(word, drawn + 1)) / tail
        drawn += 2
        if -2.0 * math.log(1.0 - _share(word, drawn)) >= past * past:
            return -tail - past if x < 0.0 else tail + past


@compiled
def _share(key: np.uint64, n: int) -> float:
    """Uniform in [0, 1)."""
    return float(word_of(key, n) >> _11) * (1.0 / 9007199254740992.0)
