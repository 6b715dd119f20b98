"""Per-environment settings of evaluation, tables, plots and the demo: row columns, reference agents, table columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Column(NamedTuple):
    """A table column: the mean of a row column over episodes."""

    column: str
    head: str
    """title of the table column"""
    short: str
    """shorter title, for plots"""
    spec: str
    """format"""
    note: str
    """explanation in one line"""
    an_episode: bool = False
    """whether it is summed over the slots of an episode"""

    def mean(self, rows: Sequence[Mapping[str, Any]]) -> float:
        """Mean over rows."""
        return float(np.mean([row[self.column] * (row["slots"] if self.an_episode else 1) for row in rows]))


@dataclass(frozen=True, kw_only=True)
class EnvSettings:
    """Settings of one environment."""

    columns: tuple[str, ...]
    """row columns after those that identify the run: means over slots of entries of `info`; "reward" is the
    environment's, "violation_rate" the share of slots with any violation"""
    reference: str
    """agent whose scores are subtracted from all others', episode by episode"""
    zero: str
    """agent whose score counts 0 where the bound counts 1"""
    bound: Mapping[str, Any] = field(default_factory=dict)
    """settings of the environment's bounds"""
    bound_episodes: int | None = None
    """number of episodes, from the first on, that are bounded; by default all"""
    levels: tuple[str, ...] = ()
    """agents whose scores are drawn as levels next to a learning curve"""
    figures: tuple[Column, ...]
    """table columns after the score"""
    drawn: tuple[str, ...]
    """columns of the figures that the plot shows too"""
    sites: tuple[str, str]
    """symbol and name of the sites"""
    ratio: tuple[str, str] | None = None
    """column that tables also give as a multiple, and the agent whose value it is divided by"""

    table_scenarios: tuple[str, ...]
    """presets of the published table"""
    table_sites: tuple[int | None, ...] = (None,)
    """numbers of servers or stations of the published table; None is the preset's own"""
    table_episodes: int = 40
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """scenario fields of the published table and the demo"""
    demo_episodes: int = 24
    demo_learner: str
    """module in agents that the demo trains"""
    demo_steps: int
    """environment steps of the demo's training"""
    demo_out: str
    """folder that the demo writes to"""

    headroom_episodes: int
    headroom_overrides: Mapping[str, Any] = field(default_factory=dict)
    """scenario fields of the headroom table"""
    headroom_bound: Mapping[str, Any] = field(default_factory=dict)
    """settings of the bounds in the headroom table, whose plans count among the best known"""


ENV_SETTINGS: dict[str, EnvSettings] = {
    "DTAssociation-v0": EnvSettings(
        columns=(
            *("score", "objective", "utility", "energy"),
            *("energy_migration", "energy_synchronisation", "energy_computation"),
            *("latency", "cost", "migrations", "reward", "violation_rate"),
        ),
        reference="hysteresis",
        zero="nearest",
        bound={"plan": False, "time_limit": 120.0},
        levels=("nearest", "stay", "hysteresis", "local-search"),
        figures=(
            Column("energy", "raw energy", "energy", ",.0f", "summed over servers, unshaped"),
            Column("migrations", "twins moved", "moves", ".2f", "twins migrated"),
            Column("violation_rate", "slots broken", "broken", ".1%", "slots with a violated constraint"),
        ),
        drawn=("energy", "violation_rate"),
        sites=("S", "servers"),
        table_scenarios=("balanced",),
        table_sites=(9, 15, 21),
        overrides={"num_slots": 60},
        demo_learner="ppo",
        demo_steps=150_000,
        demo_out="demo",
        headroom_episodes=8,
        headroom_overrides={"num_slots": 20},
        headroom_bound={"plan": True},
    ),
    "DTPlacementMA-v0": EnvSettings(
        columns=(
            *("score", "objective", "system_cost", "utility", "energy", "latency"),
            *("latency_wireless", "latency_wired", "latency_compute", "latency_initial", "latency_update"),
            *("latency_reward", "placement_cost", "hosts", "cost", "migrations", "reward", "violation_rate"),
        ),
        reference="greedy-add",
        zero="nearest",
        bound={"time_limit": 40.0},
        bound_episodes=6,  # a slot's program takes seconds
        levels=("nearest", "greedy-add", "local-search"),
        figures=(
            Column("system_cost", "system cost", "cost", ".3f", "latency and placement cost of (26)"),
            Column("hosts", "hosts", "hosts", ".1f", "stations that host"),
            Column("latency", "latency, s", "latency", ".3f", "mean T_ini + η T_upd / Δt of a user, seconds"),
            Column("cost", "users late", "late", ".1%", "users past their deadline"),
            Column("migrations", "twins moved", "moves", ".1f", "twins that changed station, for free"),
        ),
        drawn=("hosts", "latency", "cost"),
        sites=("M", "stations"),
        ratio=("system_cost", "local-search"),
        table_scenarios=("paper-80x5", "paper-100x5", "paper-80x10", "paper-100x10"),
        table_episodes=24,
        demo_learner="mappo",
        demo_steps=12_000,
        demo_out="demo-placement",
        headroom_episodes=6,
        headroom_overrides={"num_slots": 5},
    ),
    "DTMigration-v0": EnvSettings(
        columns=(
            *("score", "objective", "utility", "migration_price", "energy", "latency"),
            *("latency_wireless", "latency_wired", "latency_compute", "downtime", "handovers", "refused"),
            *("cost", "migrations", "reward", "violation_rate"),
        ),
        reference="payback",
        zero="never",
        levels=("never", "best-latency", "payback", "lookahead"),
        figures=(
            Column("migrations", "migrations", "moves", ".1f", "migrations an episode", True),
            Column("handovers", "hand-overs", "handovers", ".1f", "changes of access station an episode", True),
            Column("downtime", "downtime, s", "down", ".1f", "seconds an episode that the twin was down", True),
            Column("cost", "late", "late", ".1%", "slots whose update was past its deadline"),
        ),
        drawn=("migrations", "downtime", "cost"),
        sites=("M", "stations"),
        table_scenarios=("balanced", "ping-pong", "gauss-markov"),
        table_episodes=200,  # one user an episode: fewer do not separate never from best-latency in ping-pong
        demo_episodes=96,
        demo_learner="hindsight",
        demo_steps=400_000,
        demo_out="demo-migration",
        headroom_episodes=100,
    ),
}
"""Settings by environment id."""
