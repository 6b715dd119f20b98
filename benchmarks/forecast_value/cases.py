"""Cases of the forecast-value benchmark: random waypoints, recorded walks, users with habits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.utils import seeding

from benchmarks.evaluate import TUNING_SEEDS
from dtenv import presets
from dtenv.forecasting import CellTraces, hexagonal_sites, nearest_sites
from dtenv.forecasting.habits import explore_and_return
from dtenv.scenario import MigrationScenario
from dtenv.scenario.forecaster import ExogenousEpisode
from dtenv.scenario.recording import Recording
from dtenv.tasks.migration.foresight import exogenous_episode
from dtenv.tasks.migration.task import MigrationTask
from dtenv.traces import read_sites, read_trace, scenario_from_traces
from dtenv.traces.files import Sites, Walks

ENV_ID = "DTMigration-v0"
HORIZON = 20
LENGTH = 16
"""Slots of history that forecasters of cells see."""
FITTED = 24
"""Episodes to whose users' serving stations forecasters are fitted; their seeds are never scored."""
GRID = 8
"""Grid places per side of the square, for stations that move between episodes."""
SPACING_M = 500.0
"""Distance between the sites of users who explore and return, metres."""
SHARE = 0.7
"""Share of walkers, or of days, for forecasters and learners; the others are scored."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One setting."""

    name: str
    title: str
    training: MigrationScenario
    """scenario in which forecasters are fitted and learners trained"""
    scored: MigrationScenario
    """the same with other walkers, or later walks"""
    site_xy: np.ndarray
    """cells that forecasters of cells forecast, (cells, 2) metres"""
    history: str
    """as in dtenv.forecasting.CellForecast"""
    traces: CellTraces
    """training data of the forecasters of cells"""
    known: Callable[[ExogenousEpisode], tuple[np.ndarray, np.ndarray]] | None = None
    """returns users and times of an episode; None if its users are not among those of the training data"""
    cluster: Callable[[ExogenousEpisode], int] | None = None
    """returns the walker of an episode's focal user; None if every episode has its own"""


def waypoint() -> Case:
    """The default preset; cells are places of a grid, because stations move between episodes."""
    scenario = presets.resolve("balanced", ENV_ID, horizon=HORIZON)
    edges = (np.arange(GRID) + 0.5) * scenario.network.area_m / GRID
    grid = np.stack(np.meshgrid(edges, edges), axis=-1).reshape(-1, 2)
    return Case(
        name="waypoint",
        title="balanced, random waypoints at 1-15 m/s, slots of 1 s",
        training=scenario,
        scored=scenario,
        site_xy=grid,
        history="place",
        traces=traces_of(scenario, grid, "place"),
    )


def price_of(slot_seconds: float, price: float | None) -> dict[str, float]:
    """κ at which a migration costs `price` times as many slots as in the preset; None: as many seconds."""
    kappa = presets.resolve("balanced", ENV_ID).objective.kappa
    return {"kappa": kappa if price is None else kappa * slot_seconds * price}


def told_price(price: float | None) -> str:
    """Price of a migration, for titles."""
    amount = "as dear in seconds as in the preset" if price is None else f"{price:g} x as dear in slots"
    return f"a migration {amount}"


def kaist(
    sites_file: Path, trace: Path, slot_seconds: float, apart_m: float, window_m: float, price: float | None = 1.0
) -> Case:
    """Recorded walks of one campus under real sites of one city; scored on walkers outside the training data.

    Args:
        sites_file: file of sites, for `read_sites`.
        trace: file of walks, for `read_trace`.
        slot_seconds: length of a slot.
        apart_m: least distance between sites; later ones in the file are dropped, leaving a layer of macro cells.
        window_m: side of the square.
        price: price of a migration, for `price_of`.
    """
    sites = apart(read_sites(sites_file), apart_m)
    walks = read_trace(trace)
    middle = 0.5 * (sites.coordinates.min(axis=0) + sites.coordinates.max(axis=0))
    inside = np.abs(sites.metres(middle)).max(axis=1) <= 0.5 * window_m
    settings: dict[str, Any] = {"env_id": ENV_ID, "slot_seconds": slot_seconds, "horizon": HORIZON}
    settings |= {"num_stations": int(inside.sum()), "window_m": window_m} | price_of(slot_seconds, price)
    whole = scenario_from_traces(sites, walks, centre=tuple(middle), **settings)
    provenance = whole.mobility.recording.provenance
    # Sites and walks in one frame, so that either part of the walkers walks where all of them would.
    metric = Sites(sites.source, sites.sha256, sites.metres(np.array(provenance["centre"])), False)
    xy = walks.metres(np.array(provenance["walks_centre"]))
    names = np.unique(walks.walk)
    of_training = np.isin(walks.walk, names[: round(SHARE * len(names))])
    training, scored = (
        scenario_from_traces(metric, part(walks, xy, keep), centre=(0.0, 0.0), **settings)
        for keep in (of_training, ~of_training)
    )
    site_xy = np.asarray(training.mobility.recording.site_xy)
    stretches = stretches_of(scored.mobility.recording)
    return Case(
        name="kaist" if price is not None else "kaist-seconds",
        title=f"KAIST's walkers, {len(site_xy)} sites of Melbourne, slots of {slot_seconds:g} s, {told_price(price)}",
        training=training,
        scored=scored,
        site_xy=site_xy,
        history="access",
        traces=traces_of(training, site_xy, "access"),
        cluster=lambda unfolded: stretches[key(unfolded.user_xy[:, 0])],
    )


def habits(price: float | None = 0.3, users: int = 50, days: int = 56) -> Case:
    """Users who explore and return, in slots of an hour and episodes of a week; scored on their later weeks.

    Args:
        price: price of a migration, for `price_of`. The preset's seconds are next to nothing compared with an hour,
            and its slots cost more than a stay of a few hours repays.
        users: number of users at a time.
        days: days to simulate, at least 42, which leaves two weeks to score.
    """
    if days < 42:
        raise ValueError(f"days must be at least 42, got {days!r}")
    rng, base = np.random.default_rng(0), presets.resolve("balanced", ENV_ID)
    area_m = base.network.area_m
    centred = hexagonal_sites(area_m, SPACING_M)
    site_xy = centred + 0.5 * area_m
    stays = explore_and_return(rng, centred, users, days)
    # Every user has an own place in each cell.
    offset = rng.uniform(-0.25, 0.25, (users, len(site_xy), 2)) * SPACING_M
    hour = np.arange(24 * days)
    places = []
    for user in range(users):
        own = np.flatnonzero(stays.user == user)
        now = own[np.searchsorted(stays.start_s[own], (hour + 0.5) * 3600.0, side="right") - 1]
        places.append(np.clip(site_xy[stays.cell[now]] + offset[user, stays.cell[now]], 0.0, area_m))
    changes: dict[str, Any] = {"num_stations": len(site_xy), "slot_seconds": 3600.0, **price_of(3600.0, price)}
    changes |= {"separation_m": 0.0, "num_slots": 168, "horizon": HORIZON}
    shared: dict[str, Any] = {"site_xy": site_xy, "segment_slots": 170, "area_m": area_m, "slot_seconds": 3600.0}
    shared["provenance"] = {"walks": "explore and return", "users": users, "days": days}
    split = 24 * 7 * round(SHARE * days / 7)
    recordings, whose = [], {}
    for first, last in ((0, split), (split, len(hour))):
        walk = np.concatenate([xy[first:last] for xy in places])
        begins = np.arange(0, last - first - 170 + 1, 24)
        start = np.concatenate([user * (last - first) + begins for user in range(users)])
        recordings.append(Recording(walk_xy=walk, segment_start=start, **shared))
        for s in start:
            whose[key(walk[s : s + 170])] = (s // (last - first), first + s % (last - first))

    def known(unfolded: ExogenousEpisode) -> tuple[np.ndarray, np.ndarray]:
        """Users (n,) and seconds since the first midnight (slots, n)."""
        slots, own = unfolded.access.shape
        user, begin = np.array([whose[key(unfolded.user_xy[:, u])] for u in range(own)]).T
        return user, (begin + np.arange(slots)[:, None]) * 3600.0

    training, scored = (base.override(recording=recording, **changes) for recording in recordings)
    return Case(
        name="habits" if price is not None else "habits-seconds",
        title=f"{users} users who explore and return, {len(site_xy)} sites, slots of an hour, {told_price(price)}",
        training=training,
        scored=scored,
        site_xy=site_xy,
        history="access",
        traces=traces_of(training, site_xy, "access", known, users),
        known=known,
        cluster=lambda unfolded: int(known(unfolded)[0][0]),
    )


def apart(sites: Sites, least_m: float) -> Sites:
    """Sites at least `least_m` from those kept before them, in the file's order."""
    xy = sites.metres(np.median(sites.coordinates, axis=0))
    kept: list[int] = []
    for i, place in enumerate(xy):
        if not kept or np.hypot(*(xy[kept] - place).T).min() >= least_m:
            kept.append(i)
    return Sites(sites.source, sites.sha256, sites.coordinates[kept], sites.geographic)


def part(walks: Walks, xy: np.ndarray, keep: np.ndarray) -> Walks:
    """The places of walks where `keep` is true, at `xy` (places, 2) metres."""
    fields = (getattr(walks, name)[keep] for name in ("walk", "time_s", "until_s"))
    return Walks(walks.source, walks.sha256, xy[keep], False, *fields, walks.stepwise)


def stretches_of(recording: Recording) -> dict[bytes, int]:
    """Unbroken stretch of every segment, by the segment's `key`."""
    start, points = np.asarray(recording.segment_start), recording.segment_slots
    stretch = np.cumsum(np.diff(start, prepend=start[:1]) >= points)
    xy = recording.walk_xy
    return {key(xy[s : s + points]): int(n) for s, n in zip(start, stretch, strict=True)}


def key(walk: np.ndarray) -> bytes:
    """Hash of a walk (slots, 2)."""
    return hashlib.blake2b(np.ascontiguousarray(walk, np.float64).tobytes(), digest_size=16).digest()


def traces_of(
    scenario: MigrationScenario,
    site_xy: np.ndarray,
    history: str,
    known: Callable[[ExogenousEpisode], tuple[np.ndarray, np.ndarray]] | None = None,
    users: int | None = None,
) -> CellTraces:
    """Cells of all users in FITTED episodes of a scenario; each episode has new user numbers unless they are known."""
    joint = scenario.override(control="joint", forecaster="none", horizon=1)
    rows: list[tuple[np.ndarray, ...]] = []
    slots = scenario.episode.num_slots + 2
    for episode, unfolded in enumerate(exogenous_episodes(joint, TUNING_SEEDS[:FITTED])):
        own = unfolded.access.shape[1]
        if history == "access":
            cell = nearest_sites(unfolded.station_xy, site_xy)[unfolded.access]
        else:
            cell = nearest_sites(unfolded.user_xy.reshape(-1, 2), site_xy).reshape(slots, own)
        who = np.arange(own) + episode * own
        time_s = np.tile(np.arange(slots)[:, None] * scenario.mobility.slot_seconds, own)
        if known is not None:
            who, time_s = known(unfolded)
        rows += [(cell[:, u], np.full(slots, who[u]), time_s[:, u]) for u in range(own)]
    rows.sort(key=lambda row: (row[1][0], row[2][0]))
    cell, user, time_s = (np.concatenate(column) for column in zip(*rows, strict=True))
    return CellTraces(
        cell=cell,
        user=user,
        stretch=np.repeat(np.arange(len(rows)), slots),
        time_s=time_s,
        site_xy=site_xy,
        num_users=int(user.max()) + 1 if users is None else users,
        slot_seconds=scenario.mobility.slot_seconds,
        source=scenario.name,
    )


def exogenous_episodes(scenario: MigrationScenario, seeds: Any) -> list[ExogenousEpisode]:
    """Episodes from seeds, as forecasters see them."""
    task, found = MigrationTask(scenario), []
    for seed in seeds:
        task.reset(0, seeding.np_random(seed)[0])
        found.append(exogenous_episode(task.batch, 0))
    return found
