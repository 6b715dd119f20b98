"""Entries of DTMigration's observations and `info` (Lu 2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtenv.observation import columns
from dtenv.tasks.migration.batch import TERM

USERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("dx", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("dy", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("data_bits", "D, what a migration moves, over the largest possible"),
    ("update_bits", "ΔD, over the largest possible"),
    ("deadline", "τ, over the largest possible"),
    ("wireless", "latency of an update to the access station, over τ, at most 1"),
)
STATIONS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("compute_hz", "F, over the largest possible"),
    ("twins", "twins hosted, over N_k, at most 1"),
)
IS_CLOUD = ("cloud", "1 where it is the cloud, else 0")
IS_UP = ("up", "1 where its server works, else 0")
LINKS = (
    ("gain", "channel gain in dB, -1 … 1 over what the square and six deviations of shadowing give, clipped"),
    ("access", "1 where it is the user's access station, else 0"),
    ("hosts", "1 where it has hosted the user's twin since the last slot, else 0"),
    ("room", "1 where it hosts the twin or has a seat for it, else 0"),
    ("wired", "distance from the user's access station to this one, over the square's diagonal"),
    ("latency", "T_upd were the twin there, all others as they are, over 2 τ, at most 1"),
    ("worth", "exp(-T_upd / τ), or over utility_time_s, if the twin were there: the choice's part of the utility"),
    ("price", "price of moving the twin there, over that of the largest twin across the diagonal"),
)
USER, STATION, LINK = columns(USERS), columns(STATIONS), columns(LINKS)


def info_entries(totals: Any, num_users: int, count: Callable[[Any], Any]) -> dict[str, Any]:
    """`info` entries from a slot's totals: of one row, or of a batch with the rows on the last axis."""
    return {
        "score": totals[TERM.score],
        "objective": totals[TERM.utility] - totals[TERM.price],
        "utility": totals[TERM.utility],
        "migration_price": totals[TERM.price],
        "energy": totals[TERM.energy],
        "latency": totals[TERM.update],
        "latency_wireless": totals[TERM.wireless],
        "latency_wired": totals[TERM.wired],
        "latency_compute": totals[TERM.compute],
        "downtime": totals[TERM.downtime],
        "cost": totals[TERM.late],
        "violations": count(totals[TERM.late] * num_users + 0.5),
        "feasible": totals[TERM.late] == 0.0,
        "migrations": count(totals[TERM.migrations]),
        "refused": count(totals[TERM.refused]),
        "handovers": count(totals[TERM.handovers]),
    }


def lifecycle_entries(totals: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
    """Further `info` entries if twins have a lifecycle."""
    return {name: count(totals[getattr(TERM, name)]) for name in ("creations", "isolations", "releases")}
