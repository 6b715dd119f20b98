"""Entries of DTPlacementMA's observations and `info` (Lu 2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtenv.observation import columns
from dtenv.tasks.placement.slot import TOTAL, USER_TERM

SLACK = "τ less T_wireless, over the largest τ, clipped to ±1"
GAIN = "channel gain in dB, -1 … 1 over what the square and six deviations of shadowing give, clipped"
WIRED_DISTANCE = "distance from the user's access station to this one, over the square's diagonal"
HOSTED = "1 where the station hosted the user's twin in the last slot, else 0"
USERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("data_bits", "D, over the largest possible"),
    ("update_bits", "ΔD, over the largest possible"),
    ("deadline", "τ, over the largest possible"),
    ("slack", SLACK),
)
STATIONS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("compute_hz", "F of this slot, over the largest possible"),
    ("capacity", "N_k, over N, at most 1"),
    ("twins", "twins hosted in the last slot, over N"),
    ("transmitting", "users whose access station it is, over N; with direct access those whose twin it hosted"),
)
LINKS = (
    ("gain", GAIN),
    ("access", "1 where it is the user's access station (with direct access the strongest), else 0"),
    ("hosted", HOSTED),
    ("wired", WIRED_DISTANCE),
)
OWN_USERS = (
    ("data_bits", "D, over the largest possible"),
    ("update_bits", "ΔD, over the largest possible"),
    ("slack", SLACK),
    ("gain", GAIN),
    ("hosted", HOSTED),
    ("wired", WIRED_DISTANCE),
)
USER, STATION, LINK, OWN_USER = columns(USERS), columns(STATIONS), columns(LINKS), columns(OWN_USERS)


def info_entries(totals: Any, mean: Any, num_users: int, count: Callable[[Any], Any]) -> dict[str, Any]:
    """`info` entries from a slot's totals and means over users: of one row, or of a batch with rows last."""
    return {
        "score": totals[TOTAL.score],
        "objective": totals[TOTAL.objective],
        "utility": totals[TOTAL.utility],
        "energy": totals[TOTAL.energy],
        "latency": totals[TOTAL.system_latency],
        "latency_wireless": mean[USER_TERM.wireless],
        "latency_wired": mean[USER_TERM.wired],
        "latency_compute": mean[USER_TERM.compute],
        "latency_initial": mean[USER_TERM.initial],
        "latency_update": mean[USER_TERM.update],
        "latency_reward": -totals[TOTAL.latency],
        "placement_cost": totals[TOTAL.cost],
        "system_cost": -totals[TOTAL.objective],
        "cost": totals[TOTAL.violations] / num_users,
        "violations": count(totals[TOTAL.violations]),
        "feasible": totals[TOTAL.violations] == 0.0,
        "migrations": count(totals[TOTAL.migrations]),
        "hosts": count(totals[TOTAL.hosts]),
    }
