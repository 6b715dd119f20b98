"""Forecast blocks of the observation: serving station, channel and load in the next slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.observation import Block
from dtenv.physics.utility import utility_time
from dtenv.scenario.forecaster import ExogenousEpisode, Forecaster, Foresight, StationForecaster, slots_ahead
from dtenv.tasks.migration.slot import Constants, computing_latency, update_latency

if TYPE_CHECKING:
    from dtenv.tasks.migration.batch import Batch

ROUNDING = 1e-6
"""Tolerance for a forecaster's probabilities that sum to more than 1."""


def as_foresight(forecaster: str | Forecaster | StationForecaster) -> Foresight | None:
    """Station forecasts of a scenario's forecaster; None if it predicts positions."""
    if isinstance(forecaster, Foresight):
        return forecaster
    if not isinstance(forecaster, str) and isinstance(forecaster, StationForecaster):
        return Foresight(forecast=forecaster)
    return None


def blocks_of(foresight: Foresight | None, own: int, stations: int, horizon: int) -> tuple[Block, ...]:
    """Forecast blocks of the observation."""

    def block(name: str, shape: tuple[int, ...], entry: str, meaning: str) -> Block:
        entries = tuple((f"{entry}_{h}", meaning.format(h=h)) for h in range(1, horizon + 1))
        return Block(name, shape, entries, low=0.0)

    if foresight is None:
        nearest = "1 for the station nearest to the position expected in {h} slots, else 0"
        return (block("forecast", (own, stations), "ahead", nearest),)
    served = "forecast probability that it serves the user in {h} slots; all 0 without a forecast"
    blocks = [block("forecast", (own, stations), "ahead", served)]
    if foresight.channel:
        channel = "exp(-wireless latency in {h} slots / τ), or over utility_time_s; the true value"
        blocks.append(block("channel", (own,), "channel", channel))
    if foresight.load:
        load = "exp(-computing latency there in {h} slots / τ), or over utility_time_s; the true value"
        blocks.append(block("load", (own, stations), "load", load))
    return tuple(blocks)


def write_forecasts(batch: Batch, b: int, foresight: Foresight) -> None:
    """Write the forecast blocks of row b, after its reset, and the most likely stations, which rendering shows.

    Raises ValueError if the forecaster returns anything but probabilities of the right shape.
    """
    course, tape, c = batch.course, batch.tape, batch.constants[0]
    slots, own, horizon = course.forecast.shape[1:]
    stations = tape.station_xy.shape[1]
    served = chances(foresight, exogenous_episode(batch, b), horizon)
    chance = np.zeros((*served.shape[:3], stations))
    chance[..., : served.shape[3]] = served  # the cloud serves no user directly
    course.forecast[b] = np.where(chance.any(axis=-1), chance.argmax(axis=-1), -1)
    parts = [chance.transpose(0, 1, 3, 2)]
    ahead = slots_ahead(slots, horizon)
    if foresight.channel:
        channel = np.empty((slots, own))
        channel_ahead(c, tape.update_bits[b], tape.deadline_s[b], course.rate[b], channel)
        parts.append(channel[ahead].transpose(0, 2, 1))
    if foresight.load:
        load = np.empty((slots, stations))
        bits, deadline = tape.update_bits[b, 0], tape.deadline_s[b, 0]
        load_ahead(c, bits, deadline, tape.compute_hz[b], course.weight[b], course.background[b], load)
        parts.append(load[ahead].transpose(0, 2, 1))
    batch.forecast_obs[b] = np.concatenate([part.reshape(slots, -1) for part in parts], axis=1)


def exogenous_episode(batch: Batch, b: int) -> ExogenousEpisode:
    """Copies of row b's episode as forecasters see it, without a cloud."""
    course, tape, stations = batch.course, batch.tape, int(batch.constants["stations"][0])
    own = course.gain_db.shape[2]
    return ExogenousEpisode(
        user_xy=tape.user_xy[b, :, :own].copy(),
        access=course.access[b, :, :own].astype(np.int64),
        gain_db=course.gain_db[b, ..., :stations].copy(),
        station_xy=tape.station_xy[b, :stations].copy(),
        area_m=float(batch.scale["area_m"][0]),
    )


def chances(forecaster: StationForecaster, unfolded: ExogenousEpisode, horizon: int) -> np.ndarray:
    """Validated probabilities of stations from the forecaster, (slots, n, H, M)."""
    shape = (*unfolded.access.shape, horizon, len(unfolded.station_xy))
    chance = as_floats(forecaster.stations(unfolded, horizon), "chances of stations")
    if chance.shape != shape:
        raise ValueError(f"forecaster must give chances {shape}, got shape {chance.shape}")
    total = chance.sum(axis=-1)
    if not (np.isfinite(total).all() and (chance >= 0.0).all() and (total <= 1.0 + ROUNDING).all()):
        wrong = chance[~((chance >= 0.0).all(axis=-1) & (total <= 1.0 + ROUNDING))][0]
        raise ValueError(f"forecaster must give chances of stations that add up to at most 1, got {wrong}")
    return np.minimum(chance, 1.0)


def as_floats(given: Any, what: str) -> np.ndarray:
    """Convert a forecaster's output to float64; raises ValueError naming `what` if that fails."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"forecaster must give {what}, got {given!r}") from None


@compiled
def channel_ahead(
    c: Constants, bits: np.ndarray, deadline_s: np.ndarray, rate: np.ndarray, channel: np.ndarray
) -> None:
    """Fill channel (slots, n) with exp(-wireless latency / τ) of the agent's users, from their rates (slots, n)."""
    for t in range(channel.shape[0]):
        for u in range(channel.shape[1]):
            wireless = update_latency(c, bits[u], rate[t, u], 0.0, 0.0)
            channel[t, u] = np.exp(-wireless / utility_time(c.utility_time_s, deadline_s[u]))


@compiled
def load_ahead(
    c: Constants,
    bits: float,
    deadline_s: float,
    compute_hz: np.ndarray,
    weight: np.ndarray,
    background: np.ndarray,
    load: np.ndarray,
) -> None:
    """Fill load (slots, M) with exp(-computing latency / τ) of the focal user on every station.

    Stations of compute_hz (M,) share computing among the background twins (slots, N) by weight (N,).
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
