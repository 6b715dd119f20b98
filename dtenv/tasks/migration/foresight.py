"""What DTMigration's observation tells of serving stations, channels and loads to come: forecasts, and oracles'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.observation import Block
from dtenv.physics.utility import utility_time
from dtenv.scenario.forecaster import Forecaster, Foresight, StationForecaster, Unfolded, slots_ahead
from dtenv.tasks.migration.slot import Constants, computing_latency, update_latency

if TYPE_CHECKING:
    from dtenv.tasks.migration.batch import Batch

ROUNDING = 1e-6
"""By how much a forecaster's chances may add up to more than 1."""


def as_foresight(forecaster: str | Forecaster | StationForecaster) -> Foresight | None:
    """What a scenario's forecaster says of stations; None where it predicts positions."""
    if isinstance(forecaster, Foresight):
        return forecaster
    if not isinstance(forecaster, str) and isinstance(forecaster, StationForecaster):
        return Foresight(forecast=forecaster)
    return None


def blocks_of(foresight: Foresight | None, own: int, stations: int, horizon: int) -> tuple[Block, ...]:
    """The blocks of the observation that look ahead."""
    ahead = range(1, horizon + 1)
    if foresight is None:
        near = (
            (f"ahead_{h}", f"1 where it is nearest to where the user is expected {h} slots on, else 0") for h in ahead
        )
        return (Block("forecast", (own, stations), tuple(near), low=0.0),)
    served = (
        (f"ahead_{h}", f"forecast chance of serving the user {h} slots on; all 0 with no forecast") for h in ahead
    )
    blocks = [Block("forecast", (own, stations), tuple(served), low=0.0)]
    if foresight.channel:
        told = (
            (f"channel_{h}", f"exp(-wireless latency {h} slots on / τ), or over utility_time_s: true") for h in ahead
        )
        blocks.append(Block("channel", (own,), tuple(told), low=0.0))
    if foresight.load:
        told = ((f"load_{h}", f"exp(-computing latency there {h} slots on / τ), likewise: true") for h in ahead)
        blocks.append(Block("load", (own, stations), tuple(told), low=0.0))
    return tuple(blocks)


def foretell(batch: Batch, b: int, foresight: Foresight) -> None:
    """Ask for what is to come in row b, whose episode has begun, and write it into its `told`.

    The most likely stations go into its `forecast`, which pictures show.

    Raises:
        ValueError: the forecaster gives something else than chances of the right shape.
    """
    course, tape, c = batch.course, batch.tape, batch.constants[0]
    slots, own, horizon = course.forecast.shape[1:]
    stations = tape.station_xy.shape[1]
    served = chances(foresight, unfolded_of(batch, b), horizon)
    chance = np.zeros((*served.shape[:3], stations))
    chance[..., : served.shape[3]] = served  # the cloud serves nobody
    course.forecast[b] = np.where(chance.any(axis=-1), chance.argmax(axis=-1), -1)
    parts = [chance.transpose(0, 1, 3, 2)]
    ahead = slots_ahead(slots, horizon)
    if foresight.channel:
        channel = np.empty((slots, own))
        tell_channel(c, tape.update_bits[b], tape.deadline_s[b], course.rate[b], channel)
        parts.append(channel[ahead].transpose(0, 2, 1))
    if foresight.load:
        load = np.empty((slots, stations))
        bits, deadline = tape.update_bits[b, 0], tape.deadline_s[b, 0]
        tell_load(c, bits, deadline, tape.compute_hz[b], course.weight[b], course.background[b], load)
        parts.append(load[ahead].transpose(0, 2, 1))
    batch.told[b] = np.concatenate([part.reshape(slots, -1) for part in parts], axis=1)


def unfolded_of(batch: Batch, b: int) -> Unfolded:
    """Row b's episode as forecasters see it, without a cloud; copies."""
    course, tape, stations = batch.course, batch.tape, int(batch.constants["stations"][0])
    own = course.gain_db.shape[2]
    return Unfolded(
        user_xy=tape.user_xy[b, :, :own].copy(),
        access=course.access[b, :, :own].astype(np.int64),
        gain_db=course.gain_db[b, ..., :stations].copy(),
        station_xy=tape.station_xy[b, :stations].copy(),
        area_m=float(batch.scale["area_m"][0]),
    )


def chances(forecaster: StationForecaster, unfolded: Unfolded, horizon: int) -> np.ndarray:
    """What the forecaster says, checked: (slots, n, H, M)."""
    given: Any = forecaster.stations(unfolded, horizon)
    shape = (*unfolded.access.shape, horizon, len(unfolded.station_xy))
    try:
        chance = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"forecaster must give chances of stations, got {given!r}") from None
    if chance.shape != shape:
        raise ValueError(f"forecaster must give chances {shape}, got shape {chance.shape}")
    total = chance.sum(axis=-1)
    if not (np.isfinite(total).all() and (chance >= 0.0).all() and (total <= 1.0 + ROUNDING).all()):
        wrong = chance[~((chance >= 0.0).all(axis=-1) & (total <= 1.0 + ROUNDING))][0]
        raise ValueError(f"forecaster must give chances of stations that add up to at most 1, got {wrong}")
    return np.minimum(chance, 1.0)


@compiled
def tell_channel(c: Constants, bits: np.ndarray, deadline_s: np.ndarray, rate: np.ndarray, channel: np.ndarray) -> None:
    """exp(-wireless latency / τ) of the agent's users into channel (slots, n), from their rates (slots, n)."""
    for t in range(channel.shape[0]):
        for u in range(channel.shape[1]):
            wireless = update_latency(c, bits[u], rate[t, u], 0.0, 0.0)
            channel[t, u] = np.exp(-wireless / utility_time(c.utility_time_s, deadline_s[u]))


@compiled
def tell_load(
    c: Constants,
    bits: float,
    deadline_s: float,
    compute_hz: np.ndarray,
    weight: np.ndarray,
    background: np.ndarray,
    load: np.ndarray,
) -> None:
    """exp(-computing latency / τ) of the focal user on every station into load (slots, M).

    Beside the background's twins (slots, N), whose weights (N,) the stations (M,) of `compute_hz` share.
    """
    stations = load.shape[1]
    others = np.empty(stations)
    time_s = utility_time(c.utility_time_s, deadline_s)
    for t in range(load.shape[0]):
        others[:] = 0.0
        for u in range(1, len(weight)):
            others[background[t, u]] += weight[u]
        for k in range(stations):
            computing = computing_latency(c, k, bits, compute_hz[k], weight[0], others[k])
            load[t, k] = np.exp(-computing / time_s)
