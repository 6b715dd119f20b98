"""Lifecycle of a twin: created, moved, isolated while its host is down, released (Khan 2022, Section III-A).

A failing server loses its twins. A twin whose host was down in the slot before, or is down now, is created again where
it goes or stays, from data that its user uploads again; until then its user has no service.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.tasks.migration.slot import Constants, creation_seconds, downtime_price, migration_seconds

KEPT, MOVED, CREATED, ISOLATED = range(4)
"""Events of a twin in a slot."""


@compiled
def is_up(c: Constants, up: np.ndarray, t: int, k: int) -> bool:
    """Whether site k's server works in slot t; up (slots, M) is read only if servers may fail."""
    return not c.fails or up[t, k]


@compiled
def twin_event(c: Constants, up: np.ndarray, t: int, before: int, k: int) -> int:
    """Event KEPT … ISOLATED in slot t of a twin that was on site `before` and is on site k."""
    moved = MOVED if k != before else KEPT
    if not c.has_lifecycle:
        return moved
    if not is_up(c, up, t, k):
        return ISOLATED
    if t == 1 or not is_up(c, up, t, before) or not is_up(c, up, t - 1, before):
        return CREATED
    return moved


@compiled
def downtime_seconds(batch: Any, b: int, t: int, u: int, before: int, k: int) -> float:
    """Downtime, in seconds, of moving or creating a twin of the agent in slot t; 0 for neither."""
    tape, course, c = batch.tape, batch.course, batch.constants[0]
    what = twin_event(c, tape.up[b], t, before, k)
    if what == MOVED:
        return migration_seconds(c, tape.data_bits[b, u], course.wired_m[b, before, k])
    if what == CREATED:
        metres = course.wired_m[b, course.access[b, t, u], k]
        return creation_seconds(c, tape.data_bits[b, u], course.rate[b, t, u], metres)
    return 0.0


@compiled
def hosting_price(batch: Any, b: int, t: int, u: int, before: int, k: int) -> float:
    """Price of hosting a twin of the agent on site k in slot t, given its previous host: 0, a move or a creation."""
    return downtime_price(batch.constants[0], downtime_seconds(batch, b, t, u, before, k))
