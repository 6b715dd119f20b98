"""Scaling of `benchmarks.speed`'s batches with the numbers of environments, users and servers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.speed.contenders import MODES, OURS
from benchmarks.speed.players import Play, in_turns
from dtenv import presets

ALONE, DOOR = "bare kernel", "vector"
SITES = {env_id: next(iter(known.values())).SITES for env_id, known in presets.PRESETS.items()}
"""Field for the number of servers, by environment."""


def batch_rows(
    counts: Sequence[int], most_sync: int, most_async: int, seconds: float, repeats: int, threads: int | None
) -> list[dict[str, Any]]:
    """Env-steps a second by number of environments: our batch, its kernel alone and Gymnasium's batches.

    Args:
        counts: numbers of environments.
        most_sync: largest SyncVectorEnv.
        most_async: largest AsyncVectorEnv.
        seconds: least wall time of one play.
        repeats: turns, of which the median counts.
        threads: threads of our batches; None for one per core.
    """
    rows = []
    for ours in (mine for mine in OURS if mine.asked):
        for count in counts:
            with ExitStack() as stack:
                plays: dict[Any, Play] = {}
                for mode in MODES:
                    if count <= (most_sync if mode == "SyncVectorEnv" else most_async):
                        env: Any = ours.gymnasiums(mode, count)
                        stack.callback(env.close)
                        plays[mode] = ours.vector(env)
                for name in (DOOR, ALONE):
                    env = ours.batch(count, threads=threads)
                    stack.callback(env.close)
                    plays[name] = ours.vector(env) if name == DOOR else ours.bare(env, stack)
                turns = in_turns(plays, seconds, repeats, 0.0, f"{count:,} of {ours.name}")
            for name, played in turns.items():
                speeds = [play.speed for play in played]
                rows.append(
                    {"env_id": ours.env_id, "batch": name, "num_envs": count, "played": ours.played}
                    | {"env_steps_per_second": round(statistics.median(speeds), 1)}
                    | {"lowest": round(min(speeds), 1), "highest": round(max(speeds), 1)}
                )
    return rows


def size_rows(
    users: Sequence[int], servers: Sequence[int], num_envs: int, seconds: float, repeats: int
) -> list[dict[str, Any]]:
    """Microseconds of one core per env-step by users and by servers, all else as in the default preset.

    Args:
        users: numbers of users, with the preset's servers.
        servers: numbers of servers, with the preset's users.
        num_envs: rows of a batch.
        seconds: least wall time of one play.
        repeats: turns, of which the median counts.
    """
    rows = []
    for ours in (mine for mine in OURS if not mine.stations):
        scenario = presets.resolve(None, ours.env_id)
        sizes = {"users": ("num_users", users), "servers": (SITES[ours.env_id], servers)}
        cells = [(axis, field, size) for axis, (field, every) in sizes.items() for size in every]
        envs = {cell: ours.batch(num_envs, threads=1, **{cell[1]: cell[2]}) for cell in cells}
        plays = {cell: ours.vector(env) for cell, env in envs.items()}
        turns = in_turns(plays, seconds, repeats, None, f"sizes of {ours.name}")
        cost = {cell: statistics.median(1e6 / play.speed for play in played) for cell, played in turns.items()}
        for axis, field, size in cells:
            line = [(n, us) for (name, _, n), us in cost.items() if name == axis]
            shape = scenario.override(**{field: size})
            both = shape.value("num_users") * shape.num_sites
            rows.append(
                {"env_id": ours.env_id, "played": ours.played, "axis": axis}
                | {"users": shape.value("num_users"), "servers": shape.num_sites}
                | {"us_per_env_step": round(cost[axis, field, size], 3)}
                | {"ns_per_user_and_server": round(1e3 * cost[axis, field, size] / both, 3)}
                | {"exponent": round(exponent(line), 3)}
            )
    return rows


def exponent(line: Sequence[tuple[float, float]]) -> float:
    """Least-squares slope of log cost over log size: 1 for linear growth."""
    sizes, costs = np.log(np.array(line, dtype=np.float64)).T
    return float(np.polyfit(sizes, costs, 1)[0])
