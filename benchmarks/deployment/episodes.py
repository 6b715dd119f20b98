"""Episodes of DTMigration-v0 in the three deployments of (Khan 2022), under one policy, and their scalars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtenv.presets import resolve
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration.batch import TERM
from dtenv.tasks.migration.kernels import draw, start
from dtenv.tasks.migration.task import MigrationTask
from dtenv.world.pcg64 import load

ENV_ID = "DTMigration-v0"
STATIONS = 10
NEVER = 1e-12
"""Failure rate per second that allocates the tape of failures, but draws none: the one failure is written there."""
OUTAGE_S = 60.0
"""Duration of that failure."""
SEATS = {"edge": 2.0, "cloud": 0.0, "edge-cloud": 0.5}
"""Seats of all stations together, over users. With a cloud they hold only half of the twins: with as many seats as
without it, no twin would go to a slower cloud, and edge-cloud would equal edge."""


def scenario_of(mode: str, users: int, seats: float | None = None, **settings: Any) -> MigrationScenario:
    """Ten stations, and a cloud unless mode is "edge"; one twin more than users, which no scalar includes."""
    seats = SEATS[mode] if seats is None else seats
    room = math.ceil(seats * users / STATIONS) + 1  # the environment keeps one seat free
    named = {"num_stations": STATIONS + (mode != "edge"), "twin_capacity": room}
    named |= {"deployment": mode, "num_users": users + 1, "forecaster": "none", "horizon": 1}
    return resolve(None, ENV_ID, **(named | settings))


def begun(
    scenario: MigrationScenario, seeds: Sequence[int], down: tuple[np.ndarray, slice] | None = None
) -> MigrationTask:
    """Reset one episode per seed; `down` is the server of each that fails, and the slots of the failure."""
    task = MigrationTask(scenario, len(seeds))
    for b, seed in enumerate(seeds):
        load(np.random.default_rng(seed), task.streams[b])
    draw(task.arrays(), task.rows)
    for b, k in enumerate(down[0] if down else ()):
        task.tape.up[b, down[1], k] = False
    start(task.arrays(), task.rows)
    return task


def play(
    mode: str,
    seeds: Sequence[int],
    users: int = 50,
    outage: str | None = None,
    seats: float | None = None,
    **settings: Any,
) -> dict[str, np.ndarray]:
    """Return scalars (episodes,), each a mean over users and slots.

    All twins follow the scenario's `background` policy, by default "payback": a twin that gains more in ten slots than
    a move costs goes to the site of least latency, one twin after another; a twin whose host is down moves at once.

    Args:
        mode: "edge", "cloud" or "edge-cloud".
        seeds: seeds of the episodes; users, stations and channels are the same in every mode.
        users: number of users.
        outage: what fails for a minute in mid-episode: "station" (the one with most twins), "cloud" or "host" (the
            station or cloud with most twins); means are over that minute, with "nothing" without a failure.
        seats: seats of all stations together, over users; by default SEATS.
        **settings: scenario fields.
    """
    if outage is not None:
        settings = {"failure_rate_per_s": NEVER, "creation_s": 1.0} | settings
    focal = scenario_of(mode, users, seats, **settings)
    slots, slot_s = focal.episode.num_slots, focal.mobility.slot_seconds
    window, down = range(1, slots + 1), None
    led = begun(focal, seeds)
    if outage is not None:
        first = slots // 2
        window = range(first, min(first + round(OUTAGE_S / slot_s), slots + 1))
        if outage != "nothing":
            down = busiest(led, first - 1, outage), slice(window.start, window.stop)
            led = begun(focal, seeds, down)
    task = begun(focal.override(control="joint"), seeds, down)
    sums: dict[str, np.ndarray] = {}
    for t in range(1, slots + 1):
        before, action = task.state.server.copy(), task.state.server.copy()
        action[:, 1:] = led.course.background[:, t, 1:]
        task.step(action)
        if t in window:
            for name, values in measured(task, t, before, slot_s).items():
                sums[name] = sums.get(name, 0.0) + values
    found = {name: total / len(window) for name, total in sums.items()}
    found["latency"] = found.pop("latency_served") / np.maximum(found["served"], 1e-12)
    return found


def busiest(task: MigrationTask, t: int, kind: str) -> np.ndarray:
    """Index (episodes,) of the site of a kind with most twins in slot t."""
    sites, stations = task.mask.shape[2], task.scenario.num_sites
    held = np.array([np.bincount(row[1:], minlength=sites) for row in task.course.background[:, t]])
    if kind == "station":
        held = held[:, :stations]
    return np.full(len(held), sites - 1) if kind == "cloud" else held.argmax(axis=1)


def measured(task: MigrationTask, t: int, before: np.ndarray, slot_s: float) -> dict[str, np.ndarray]:
    """Scalars of the slot just played, means (episodes,) over all users but the first."""
    rows, host = task.terms.users[:, 1:], task.state.server[:, 1:]
    sites, up = np.arange(task.mask.shape[2]), task.tape.up
    works = up[:, t] if up.shape[1] > 0 else np.ones((len(host), len(sites)), np.bool_)
    served = np.take_along_axis(works, host, axis=1)
    interrupted = np.where(served, rows[:, :, TERM.downtime] / slot_s, 1.0).mean(axis=1)
    share = (host[:, :, None] == sites).mean(axis=1)
    return {
        "latency_served": (rows[:, :, TERM.update] * served).mean(axis=1),
        "served": served.mean(axis=1),
        "service": 1.0 - interrupted,
        "utility": rows[:, :, TERM.utility].mean(axis=1),
        "objective": (rows[:, :, TERM.utility] - rows[:, :, TERM.price]).mean(axis=1),
        "late": rows[:, :, TERM.late].mean(axis=1),
        "energy": rows[:, :, TERM.energy].mean(axis=1),
        "moves_per_minute": (host != before[:, 1:]).mean(axis=1) * 60.0 / slot_s,
        "interrupted_s_per_minute": 60.0 * interrupted,
        "hosts": 1.0 / (share**2).sum(axis=1),
        "in_cloud": (host == task.scenario.num_sites).mean(axis=1),
    }
