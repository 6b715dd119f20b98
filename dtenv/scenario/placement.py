"""Scenario of DTPlacementMA-v0: its fields beyond those of dtenv.scenario.edge (Lu 2021, Section IV-A)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import dtenv.scenario.mobility as mobility
from dtenv.scenario.base import Scenario
from dtenv.scenario.edge import Network, Radio, Twins, Utility
from dtenv.validation import Range, at_least, one_of, ordered_pair, positive_integer

ACTIONS = ("bid", "price", "binary", "association")
OBSERVATIONS = ("local", "shared")
REWARDS = ("shared", "local")


@dataclass(frozen=True, kw_only=True)
class Mobility(mobility.Mobility):
    """Positions change from slot to slot (Section VI); the speed is our choice."""

    speed_mps: Range = (5.0, 15.0)
    slot_seconds: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Latency (17), cost (25) and reward (26)."""

    deadline_s: Range = (2.0, 6.0)
    """τ_i, maximum T_ini (15), seconds, uniform over users (our choice)."""
    alpha: float = 1.0
    """Weight of latency in (26) (our choice)."""
    beta: float = 1.0
    """Weight of cost in (26) (our choice)."""
    host_cost: float = 0.2
    """φ of (25), cost of a hosting station (our choice)."""
    deadline_penalty: float = 1.0
    """Score lost per share of users past their deadline, the soft form of (18d) (our choice)."""
    move_cost: float = 0.0
    """Score lost per share of twins that changed station; 0 as in the paper, where moves are free."""
    charge_initial: str = "always"
    """T_ini in (17): "always", as printed, or "on_change": only for twins that changed station."""
    wired_count: str = "once"
    """T_jk in (10): "once", or "twice" as printed, although (8) contains it already."""
    latency_mean: str = "users"
    """Mean in (17): "users": sum / N; "users-and-stations": sum / (M N) as printed."""
    host_count: str = "hosts"
    """m of (25): "hosts", the hosting stations, or "twins" as printed, a constant."""
    energy_total: str = "mean"
    """E of (25): "mean" or "sum" over users."""
    reward: str = "shared"
    """"shared": every agent gets the score; "local": its own share; the shares sum to the score."""

    def __post_init__(self) -> None:
        ordered_pair(self, 1e-9, "deadline_s")
        at_least(self, 0.0, "alpha", "beta", "host_cost", "deadline_penalty", "move_cost")
        one_of(self, "charge_initial", ("always", "on_change"))
        one_of(self, "wired_count", ("once", "twice"))
        one_of(self, "latency_mean", ("users", "users-and-stations"))
        one_of(self, "host_count", ("hosts", "twins"))
        one_of(self, "energy_total", ("mean", "sum"))
        one_of(self, "reward", REWARDS)


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Length of an episode, and agents' observations and actions."""

    num_slots: int = 25
    """Number of slots, T (Fig. 8)."""
    action: str = "bid"
    """"bid": a bid for hosting and one per user; "price": a bid for hosting and a price of computing; "binary": (23);
    "association": every user's station, for a central controller only."""
    observe: str = "local"
    """Observation of an agent: "local", its own station and links, or "shared", the whole network (Section V-A)."""

    def __post_init__(self) -> None:
        positive_integer(self, "num_slots")
        one_of(self, "action", ACTIONS)
        one_of(self, "observe", OBSERVATIONS)


@dataclass(frozen=True, kw_only=True)
class PlacementScenario(Scenario):
    """Settings of DTPlacementMA-v0. `override` changes single fields by name."""

    SITES: ClassVar[str] = "num_stations"
    COSTS_A_METRE: ClassVar[tuple[str, ...]] = ("wired_s_per_bit_m",)

    name: str = "custom"
    network: Network = field(default_factory=Network)
    mobility: Mobility = field(default_factory=Mobility)
    radio: Radio = field(default_factory=Radio)
    twins: Twins = field(default_factory=Twins)
    objective: Objective = field(default_factory=Objective)
    utility: Utility = field(default_factory=Utility)
    episode: Episode = field(default_factory=Episode)

    def __post_init__(self) -> None:
        self.radio.check(self.network.area_m)
        self.utility.check("deadline_s", self.objective.deadline_s)
        self.mobility.check(self.SITES, self.num_sites, self.episode.num_slots, self.network.area_m)
