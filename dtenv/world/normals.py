"""Normal variates from random bits of their own: the ziggurat (Marsaglia and Tsang 2000).

An episode's shadowing takes a hundred thousand of them. Their bits are a counter's, mixed (SplitMix64; Steele et al.
2014): variates n of a key do not depend on the others, in whatever order and on whatever device they are asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled, inlined


def _layers(count: int, tail: float, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Right edges of layers of one area, lowest first, and the share of each that is under the curve throughout."""
    edge = np.zeros(count + 1)
    height = math.exp(-0.5 * tail**2)
    edge[0], edge[1] = area / height, tail
    for i in range(2, count):
        edge[i] = math.sqrt(-2.0 * math.log(area / edge[i - 1] + height))
        height = math.exp(-0.5 * edge[i] ** 2)
    return edge, edge[1:] / edge[:-1]


TAIL = 3.442619855899  # where the tail begins
_EDGE, _INSIDE = _layers(128, TAIL, 9.91256303526217e-3)
_LAYER = np.int64(127)

# Of half a word: the more layers, the fewer draws that leave what lies inside.
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
    """64 random bits: number n of a key's."""
    z = key + np.uint64(n) * _GOLDEN
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


@inlined
def first_normal(word: np.uint64) -> float:
    """The first of two normal variates of 64 random bits: multiples of 2^-23 of a layer's edge, as singles are."""
    return _of_half(word, np.int64(word) >> np.int64(32))


@inlined
def second_normal(word: np.uint64) -> float:
    """The second of them."""
    return _of_half(~word, np.int64(np.int32(np.int64(word))))


@inlined
def _of_half(word: np.uint64, half: Any) -> float:
    """The normal variate of 32 random bits, signed: 9 for the layer, 23 for the place; one in 125 takes more."""
    layer = half & _HALF_LAYER
    x = float((half >> np.int64(8)) | np.int64(1)) * _HALF_STEP[layer]  # odd, so that both signs are alike
    if abs(x) < _HALF_EDGE[layer + np.int64(1)]:
        return x
    return _beyond_half(word, layer, x)


@compiled
def _beyond_half(word: np.uint64, layer: Any, x: float) -> float:
    """Outside of what lies under the curve throughout: accept, or take another variate."""
    if layer == 0:
        return _past(word, 0, HALF_TAIL, x)
    low, high = _HALF_HEIGHT[layer], _HALF_HEIGHT[layer + 1]
    if low + _share(word, 1) * (high - low) < math.exp(-0.5 * x * x):
        return x
    return standard_normal(word_of(word, 2))


@compiled
def standard_normal(word: np.uint64) -> float:
    """The normal variate of 64 random bits; one in 36 asks for more, which follow from them."""
    signed = np.int64(word)
    layer = signed & _LAYER
    x = float(signed >> np.int64(8)) * (1.0 / 36028797018963968.0)
    if abs(x) < _INSIDE[layer]:
        return x * _EDGE[layer]
    return _beyond(word, layer, x)


@compiled
def _beyond(word: np.uint64, layer: Any, x: float) -> float:
    """Outside of what lies under the curve throughout: accept or draw anew."""
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
    """A variate of the tail (Marsaglia 1964), with the sign of x."""
    while True:
        past = -math.log(1.0 - _share(word, drawn + 1)) / tail
        drawn += 2
        if -2.0 * math.log(1.0 - _share(word, drawn)) >= past * past:
            return -tail - past if x < 0.0 else tail + past


@compiled
def _share(key: np.uint64, n: int) -> float:
    """Uniform in [0, 1)."""
    return float(word_of(key, n) >> _11) * (1.0 / 9007199254740992.0)
