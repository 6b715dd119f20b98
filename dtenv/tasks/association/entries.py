"""Entries of DTAssociation's observations and `info` (Zhou 2025)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtenv.observation import columns
from dtenv.tasks.association.terms import TOTAL

USERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("dx", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("dy", "walked since the last slot, over the fastest walk of a slot, clipped to ±1"),
    ("samples", "D_t, new samples, over the largest possible"),
    ("previous_samples", "D_{t-1}, last slot's samples, over the largest possible"),
    ("twin_bits", "D^twin, over the largest possible"),
    ("emd", "φ / 2"),
)
SERVERS = (
    ("x", "position, -1 … 1 over the square"),
    ("y", "position, -1 … 1 over the square"),
    ("cycles_per_bit", "ε, over the largest possible"),
    ("compute_capacity", "q, over the largest possible"),
    ("sync_capacity", "p, over the largest possible"),
    ("twins", "twins hosted last slot, over U"),
    ("compute_load", "computation energy of new data alone, if twins stay, over q, at most 1"),
    ("sync_load", "synchronisation energy, if twins stay, over p, at most 1"),
)
LINKS = (
    ("distance", "Manhattan distance user to server, over 2 sides"),
    ("hosts", "1 where the server hosts the user's twin since last slot, else 0"),
    ("move_distance", "Manhattan distance of moving the twin there, over 2 sides"),
    ("sync_share", "the user's synchronisation energy there, over p, at most 1 (alone it would break C3)"),
)
USER, SERVER, LINK = columns(USERS), columns(SERVERS), columns(LINKS)


def info_entries(totals: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
    """`info` entries from a slot's totals: of one row, or of a batch with the rows on the last axis."""
    migration, synchronisation = totals[TOTAL.migration], totals[TOTAL.synchronisation]
    computation, transfer = totals[TOTAL.computation], totals[TOTAL.transfer]
    return {
        "score": totals[TOTAL.score],
        "objective": totals[TOTAL.objective],
        "utility": totals[TOTAL.utility],
        "energy": migration + synchronisation + computation + transfer,
        "energy_migration": migration,
        "energy_synchronisation": synchronisation,
        "energy_computation": computation,
        "energy_transfer": transfer,
        "latency": totals[TOTAL.latency],
        "cost": totals[TOTAL.excess],
        "violations": count(totals[TOTAL.violations]),
        "feasible": totals[TOTAL.violations] == 0.0,
        "migrations": count(totals[TOTAL.migrations]),
    }
