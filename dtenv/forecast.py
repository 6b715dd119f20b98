"""Where users will be: forecasters of positions, for observations and for policies that look ahead."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Forecaster(Protocol):
    """Predicts positions; any object with this method may stand in a scenario."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """Positions of the next slots, seen from every slot.

        Args:
            walks: positions (slots, users, 2), metres. The prediction made in slot t may use walks[: t + 1] alone.
            horizon: H, slots to predict.
            area_m: side of the square.

        Returns:
            (slots, users, H, 2), metres; [t, u, h] is the position expected in slot t + 1 + h.
        """


class ConstantVelocity:
    """Users go on as they went in the last slot, and stop at the edge of the square."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """As `Forecaster.positions`; in slot 0 users are expected to stay."""
        step = np.diff(walks, axis=0, prepend=walks[:1])
        ahead = np.arange(1, horizon + 1)[:, None]
        return np.clip(walks[:, :, None] + ahead * step[:, :, None], 0.0, area_m)


class Oracle:
    """The true positions, up to the end of the walk: what no forecaster can beat."""

    def positions(self, walks: np.ndarray, horizon: int, area_m: float) -> np.ndarray:
        """As `Forecaster.positions`, but looks ahead."""
        slots = len(walks)
        ahead = np.minimum(np.arange(slots)[:, None] + np.arange(1, horizon + 1), slots - 1)
        return walks[ahead].transpose(0, 2, 1, 3)


FORECASTERS: dict[str, Forecaster | None] = {"none": None, "constant-velocity": ConstantVelocity(), "oracle": Oracle()}
"""Forecasters by name; with "none" the observation says nothing of the future."""

NONE, CONSTANT_VELOCITY, ORACLE = (list(FORECASTERS).index(name) for name in ("none", "constant-velocity", "oracle"))
GIVEN = len(FORECASTERS)


def kind_of(forecaster: str | Forecaster) -> int:
    """A scenario's forecaster as kernels take it: one of those above, or GIVEN for an object of one's own."""
    return list(FORECASTERS).index(forecaster) if isinstance(forecaster, str) else GIVEN
