"""Table I of (Khan 2022) as claims about orders, and what measurements say of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.statistics import mean_interval

MODES = ("edge", "edge-cloud", "cloud")
"""Edge-based, edge-cloud-based and cloud-based twins; the paper has them best to worst in this order, or equal."""

AGREES, CONTRADICTS, OPEN = "agrees", "contradicts", "cannot tell"


@dataclass(frozen=True)
class Claim:
    """A row of Table I, and a scalar that can stand for it."""

    row: str
    paper: tuple[str, str, str]
    """What the table says of MODES."""
    measure: str
    """Name of the scalar; empty where none is honest."""
    about: str
    """The scalar in words, or why there is none."""
    fewer: bool = True
    """Whether less of it is better, or, for a neutral row, what edge is said to have less of."""
    digits: int = 2


CLAIMS = (
    Claim(
        "Scalability",
        ("High", "Low", "Lowest"),
        "slope",
        "milliseconds that the mean latency of an update grows by with ten more users, over 20 to 100 users",
    ),
    Claim(
        "Latency", ("Low", "Medium", "High"), "latency", "mean latency of an update with 50 users, milliseconds", True
    ),
    Claim(
        "Geo-distribution",
        ("Distributed", "Hybrid", "Centralized"),
        "hosts",
        "sites that twins are spread over, as many equal ones as have the same sum of squared shares",
        False,
    ),
    Claim(
        "Elasticity",
        ("High", "High", "Low"),
        "",
        "no honest scalar: servers here have the computing and the seats they have, and none are added on demand",
    ),
    Claim(
        "Context-awareness",
        ("High", "Medium", "Low"),
        "",
        "no honest scalar: what a twin knows of its user's place and traffic is the same here wherever it runs",
    ),
    Claim(
        "Mobility support",
        ("High", "Medium", "Low"),
        "motion",
        "utility less price that a user loses a slot by driving at 15 m/s over standing still",
        digits=3,
    ),
    Claim(
        "Mobility support",
        ("High", "Medium", "Low"),
        "interrupted",
        "seconds a minute that the twin of a user at 15 m/s is stopped",
    ),
    Claim(
        "Mobility support",
        ("High", "Medium", "Low"),
        "driving",
        "utility less price a slot of a user at 15 m/s",
        False,
        digits=3,
    ),
    Claim(
        "Robustness",
        ("Highest", "Medium", "Lowest"),
        "kept",
        "time with service in the minute in which the one server with most twins is down, over the same without that",
        False,
        digits=3,
    ),
)

Measured = Mapping[str, np.ndarray]
"""A scalar's values (episodes,) in each mode, the same episodes in all."""


def verdict_of_pair(claim: Claim, better: np.ndarray, worse: np.ndarray) -> str:
    """What the difference in pairs, with its 95 % interval, says of "the first is better than the second"."""
    difference = mean_interval(worse - better if claim.fewer else better - worse)
    if difference.low > 0.0:
        return AGREES
    return CONTRADICTS if difference.high < 0.0 else OPEN


def verdicts(claim: Claim, values: Measured) -> dict[tuple[str, str], str]:
    """Of every pair of modes that the paper has in an order."""
    return {
        (first, second): verdict_of_pair(claim, values[first], values[second])
        for first, second in itertools.combinations(MODES, 2)
    }


def verdict(claim: Claim, values: Measured | None) -> str:
    """Of the row: "agrees" if all pairs do, "contradicts" if any does, else "cannot tell"."""
    if values is None:
        return OPEN
    found = set(verdicts(claim, values).values())
    return CONTRADICTS if CONTRADICTS in found else OPEN if OPEN in found else AGREES
