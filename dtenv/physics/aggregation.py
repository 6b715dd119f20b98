"""Duration of a synchronous or asynchronous federated round over twins.

(Khan 2022, Section III-C) describes the two in words (updates within a fixed time, or on arrival); formulas are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SHORTEST_S = 1e-9
"""Least duration of an update, seconds."""


class Round(NamedTuple):
    """Outcome of a round, for each leading index of the twins' times."""

    seconds: np.ndarray  # duration
    share: np.ndarray  # of the twins that participate
    staleness: np.ndarray  # updates by others during an own update, mean over the participants


def synchronous_round(ready_s: np.ndarray, deadline_s: float) -> Round:
    """Round that waits for the slowest twin, at most `deadline_s`; later updates are dropped.

    ready_s (..., n) are the seconds until each twin's update arrives, infinite where none does.
    """
    in_time = ready_s <= deadline_s
    seconds = np.where(in_time.all(axis=-1), ready_s.max(axis=-1), deadline_s)
    return Round(seconds, in_time.mean(axis=-1), np.zeros(seconds.shape))


def asynchronous_round(ready_s: np.ndarray, deadline_s: float) -> Round:
    """Round in which every twin sends updates continuously and each is aggregated on arrival.

    Twin i delivers T / T_i updates in T seconds, so n updates take n / Σ_i (1 / T_i) seconds, at most `deadline_s`;
    while twin i computes one, the others deliver T_i Σ_{j ≠ i} 1 / T_j. Twins with T_i past the deadline are left out.
    ready_s (..., n) are the T_i, infinite where a twin sends none.
    """
    n, takes_part = ready_s.shape[-1], ready_s <= deadline_s
    own_s = np.where(takes_part, np.maximum(ready_s, SHORTEST_S), 1.0)
    pace = takes_part / own_s
    total, count = pace.sum(axis=-1), takes_part.sum(axis=-1)
    seconds = np.where(count > 0, np.minimum(n / np.where(count > 0, total, 1.0), deadline_s), deadline_s)
    others = takes_part * own_s * (total[..., None] - pace)
    return Round(seconds, count / n, others.sum(axis=-1) / np.maximum(count, 1))
