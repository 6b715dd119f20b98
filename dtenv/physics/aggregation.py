"""What a federated round over twins takes in time, synchronous or asynchronous.

(Khan 2022, Section III-C) tells the two apart in words: within a predefined time, or whenever a device gets through.
The formulas are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SHORTEST_S = 1e-9
"""Updates that take no time count as taking this."""


class Round(NamedTuple):
    """A round, for each leading index of the twins' times."""

    seconds: np.ndarray  # until it is closed
    share: np.ndarray  # of the twins that take part
    staleness: np.ndarray  # updates that others made to the model while one was made, mean over those who take part


def synchronous_round(ready_s: np.ndarray, deadline_s: float) -> Round:
    """The model waits for the slowest twin, at most until the deadline; whoever is later is left out.

    Args:
        ready_s: (..., n) seconds until a twin's update is there; infinite where none comes.
        deadline_s: after which the round is closed.
    """
    in_time = ready_s <= deadline_s
    seconds = np.where(in_time.all(axis=-1), ready_s.max(axis=-1), deadline_s)
    return Round(seconds, in_time.mean(axis=-1), np.zeros(seconds.shape))


def asynchronous_round(ready_s: np.ndarray, deadline_s: float) -> Round:
    """Every twin sends update after update, and each is taken in when it comes.

    In T seconds twin i brings T / T_i updates. As many as there are twins, n, so take n / Σ 1 / T_i, and while twin i
    makes one, the others bring T_i Σ_{j ≠ i} 1 / T_j.

    Args:
        ready_s: (..., n) T_i, seconds that a twin takes for an update; infinite where none comes.
        deadline_s: a twin that takes longer takes no part; nor do n updates take longer to be told.
    """
    n, takes_part = ready_s.shape[-1], ready_s <= deadline_s
    own_s = np.where(takes_part, np.maximum(ready_s, SHORTEST_S), 1.0)
    pace = takes_part / own_s
    total, count = pace.sum(axis=-1), takes_part.sum(axis=-1)
    seconds = np.where(count > 0, np.minimum(n / np.where(count > 0, total, 1.0), deadline_s), deadline_s)
    others = takes_part * own_s * (total[..., None] - pace)
    return Round(seconds, count / n, others.sum(axis=-1) / np.maximum(count, 1))
