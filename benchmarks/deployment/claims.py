"""Table I of (Khan 2022) as claims about orders, and their verdicts from measurements."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.statistics import mean_interval

MODES = ("edge", "edge-cloud", "cloud")
"""Edge-based, edge-cloud-based and cloud-based twins, ranked best to worst in this order, or equal, by the paper."""

AGREES, CONTRADICTS, OPEN = "agrees", "contradicts", "cannot tell"


@dataclass(frozen=True)
class Claim:
    """A row of Table I, and a scalar that represents it."""

    row: str
    paper: tuple[str, str, str]
    """Entries of MODES in the table."""
    measure: str
    """Name of the scalar; empty where there is no honest one."""
    about: str
    """Description of the scalar, or the reason why there is none."""
    fewer: bool = True
    """Whether less is better or, for a neutral row, whether edge has less according to the paper."""
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
"""Values (episodes,) of a scalar in each mode, on the same episodes."""


def verdicts(claim: Claim, values: Measured) -> dict[tuple[str, str], str]:
    """Verdict on each pair of modes, by the 95 % interval of the paired difference."""
    found = {}
    for better, worse in itertools.combinations(MODES, 2):
        lead = values[worse] - values[better] if claim.fewer else values[better] - values[worse]
        _, low, high = mean_interval(lead)
        found[better, worse] = AGREES if low > 0.0 else CONTRADICTS if high < 0.0 else OPEN
    return found


def verdict(claim: Claim, values: Measured | None) -> str:
    """Verdict on a row: AGREES if all pairs agree, CONTRADICTS if any contradicts, else OPEN."""
    if values is None:
        return OPEN
    found = set(verdicts(claim, values).values())
    return CONTRADICTS if CONTRADICTS in found else OPEN if OPEN in found else AGREES
