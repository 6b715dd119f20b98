"""What the world draws, asked for outside of an environment."""

from __future__ import annotations

import numpy as np

from dtenv.world.pcg64 import load, new_streams
from dtenv.world.shadowing import Shadowing, shadow_slot


def stream_of(seed):
    """A stream from a seed."""
    row = new_streams(1)[0]
    load(np.random.default_rng(seed), row)
    return row


def shadowing_along(radio, key, user_xy, stations):
    """Shadowing (slots, users, stations), dB, of a key along walks (slots, users, 2)."""
    drawn, now = [], np.full((user_xy.shape[1], stations), np.nan)
    for t in range(len(user_xy)):
        shadow_slot(Shadowing.of(radio), key, t, user_xy, now)
        drawn.append(now.copy())
    return np.array(drawn)


def shadowing_of(task):
    """Shadowing of row 0's episode, (slots, users, stations), dB."""
    tape = task.tape
    return shadowing_along(task.scenario.radio, tape.shadowing_key[0], tape.user_xy[0], tape.station_xy.shape[1])
