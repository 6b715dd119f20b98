"""Planner for DTMigration-v0 that takes the forecasts in its observation as true."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from agents.heuristics.migration import first_move
from dtenv.compiled import compiled
from dtenv.physics.barrier import is_violated
from dtenv.physics.latency import wired_latency
from dtenv.physics.utility import interaction_utility, utility_time
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration.slot import Constants, Slot, fixed_latency
from dtenv.tasks.migration.task import MigrationTask


class Planner:
    """Dynamic programming over the slots ahead: forecasts are taken as true, everything else is held.

    The score of a slot ahead on a station is the mean over the forecast's chances of the serving station; where none is
    forecast, the present one remains. Wireless latency and loads are the true ones where the observation holds them
    (dtenv.forecasting.Foresight), else the present ones. Failures are not foreseen.

    Args:
        scenario: scenario with the forecaster of the observations.
        horizon: slots planned beyond the present one, at most the scenario's.
        name: name of the policy.
        count_slots: plan no further than the episode's end, by counting slots from `reset` on; `act` must then be
            called once per slot.

    Raises:
        ValueError: horizon is not an integer in 1..the scenario's.
    """

    overrides: Any = MappingProxyType({})

    def __init__(self, scenario: MigrationScenario, horizon: int, *, name: str = "planner", count_slots: bool = False):
        most = scenario.episode.horizon
        if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or not 1 <= horizon <= most:
            raise ValueError(f"horizon must be an integer in 1..{most}, the scenario's, got {horizon!r}")
        self.name, self.horizon = name, int(horizon)
        self._task = MigrationTask(scenario)
        self._slots = scenario.episode.num_slots if count_slots else None
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Start an episode."""
        self._played = 0

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Stations (users,), or (B, users) for a batch of observations; for a focal user an integer or (B,)."""
        obs = np.asarray(obs)
        rows = np.atleast_2d(obs)
        slots, view = self._task.decode(rows), self._task.layout.split(rows)
        horizon = self.horizon
        if self._slots is not None:
            horizon = max(0, min(horizon, self._slots - self._played - 1))
        self._played += 1
        chance = view["forecast"][..., :horizon].astype(np.float64)
        channel = view.get("channel", np.zeros((len(rows), 0, 0)))
        load = view.get("load", np.zeros((len(rows), 0, 0, 0)))
        server = np.zeros(slots.server.shape, np.int64)
        c = self._task.constants[0]
        for b in range(len(rows)):
            slot = Slot(*(field[b] for field in slots))
            plan(c, slot, chance[b], channel[b].astype(np.float64), load[b].astype(np.float64), server[b])
        return server.reshape(obs.shape[:-1] if not self._task.joint else (*obs.shape[:-1], -1))


@compiled
def plan(
    c: Constants, slot: Slot, chance: np.ndarray, channel: np.ndarray, load: np.ndarray, server: np.ndarray
) -> None:
    """Write the first move of every user's best plan, planned independently of other users, to server (n,).

    Args:
        c: constants of the scenario.
        slot: the present slot.
        chance: (n, M, H) forecast chances of serving; in a slot without any the present access station serves.
        channel: (n, H or more) block of the observation, or (0, …) to hold the wireless latency.
        load: (n, M, H or more) block of the observation, or (0, …) to hold the computing latency.
        server: (n,), written.
    """
    users, stations, horizon = chance.shape
    score, value = np.zeros((horizon + 1, stations)), np.zeros((2, stations))
    for u in range(users):
        deadline, bits, now = slot.deadline_s[u], slot.update_bits[u], slot.access[u]
        time_s = utility_time(c.utility_time_s, deadline)
        for k in range(stations):
            wired = wired_latency(c.wired_s_per_bit_m, bits, slot.wired_m[now, k])
            computing = slot.latency_s[u, k] - slot.wireless_s[u] - wired
            score[0, k] = worth(c, slot.latency_s[u, k], deadline)
            for h in range(horizon):
                ahead = slot.wireless_s[u] if len(channel) == 0 else seconds(time_s, channel[u, h])
                ahead += computing if len(load) == 0 else seconds(time_s, load[u, k, h]) + fixed_latency(c, k)
                score[h + 1, k], total = 0.0, 0.0
                for j in range(stations):
                    if chance[u, j, h] > 0.0:
                        wired = wired_latency(c.wired_s_per_bit_m, bits, slot.wired_m[j, k])
                        score[h + 1, k] += chance[u, j, h] * worth(c, ahead + wired, deadline)
                        total += chance[u, j, h]
                if total > 0.0:
                    score[h + 1, k] /= total
                else:
                    wired = wired_latency(c.wired_s_per_bit_m, bits, slot.wired_m[now, k])
                    score[h + 1, k] = worth(c, ahead + wired, deadline)
        server[u] = first_move(c, slot, u, score, value)


@compiled
def worth(c: Constants, latency_s: float, deadline_s: float) -> float:
    """Part of the score that depends on the station: of the utility (20), less the penalty for being late."""
    late = c.deadline_penalty if is_violated(latency_s, deadline_s) else 0.0
    time_s = utility_time(c.utility_time_s, deadline_s)
    return interaction_utility(c.utility_beta, latency_s, deadline_s, 0.0, time_s, 1.0) - late


@compiled
def seconds(time_s: float, left: float) -> float:
    """Latency, s, for which exp(-latency / time) equals `left`."""
    return -time_s * np.log(max(left, 1e-38))
