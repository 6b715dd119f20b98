"""Normal variates, each from 64 random bits of its own: the ziggurat (Marsaglia and Tsang 2000).

An episode's shadowing takes a hundred thousand of them. Their bits are a counter's, mixed (SplitMix64; Steele et al.
2014): variate n of a key does not depend on the others, in whatever order and on whatever device they are asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled

LAYERS = 128
EDGE = 3.442619855899  # where the tail begins
AREA = 9.91256303526217e-3  # of each layer


def _layers() -> tuple[np.ndarray, np.ndarray]:
    """Right edges of the layers, lowest first, and for each the share of it that lies under the curve throughout."""
    edge = np.zeros(LAYERS + 1)
    height = math.exp(-0.5 * EDGE**2)
    edge[0], edge[1] = AREA / height, EDGE
    for i in range(2, LAYERS):
        edge[i] = math.sqrt(-2.0 * math.log(AREA / edge[i - 1] + height))
        height = math.exp(-0.5 * edge[i] ** 2)
    return edge, edge[1:] / edge[:-1]


_EDGE, _INSIDE = _layers()
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


@compiled
def standard_normal(word: np.uint64) -> float:
    """The normal variate of 64 random bits; one in 80 asks for more, which follow from them."""
    signed = np.int64(word)
    layer = signed & np.int64(LAYERS - 1)
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
            while True:
                past = -math.log(1.0 - _share(word, drawn + 1)) / EDGE
                drawn += 2
                if -2.0 * math.log(1.0 - _share(word, drawn)) >= past * past:
                    return -EDGE - past if x < 0.0 else EDGE + past
        x *= _EDGE[layer]
        low = math.exp(-0.5 * (_EDGE[layer] ** 2 - x * x))
        high = math.exp(-0.5 * (_EDGE[layer + 1] ** 2 - x * x))
        drawn += 2
        if high + _share(word, drawn - 1) * (low - high) < 1.0:
            return x
        signed = np.int64(word_of(word, drawn))
        layer = signed & np.int64(LAYERS - 1)
        x = float(signed >> np.int64(8)) * (1.0 / 36028797018963968.0)
        if abs(x) < _INSIDE[layer]:
            return x * _EDGE[layer]


@compiled
def _share(key: np.uint64, n: int) -> float:
    """Uniform in [0, 1)."""
    return float(word_of(key, n) >> _11) * (1.0 / 9007199254740992.0)
