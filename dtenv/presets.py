"""Named scenarios, as values."""

from __future__ import annotations

import difflib
from typing import Any

from dtenv.scenario import AssociationScenario, Energy, Episode, Objective

ASSOCIATION = {
    "balanced": AssociationScenario(name="balanced", energy=Energy(n_syn=3.0)),
    # Table II to the letter, with the paper's horizon and its barrier (24) at f = 10.
    "paper": AssociationScenario(
        name="paper",
        objective=Objective(reward="literal", barrier_curve=10.0),
        episode=Episode(num_slots=750),
    ),
    # Migration is cheap and distance dear, so that one-slot greed loses to foresight.
    "sequential": AssociationScenario(
        name="sequential", energy=Energy(n_syn=5.0, n_mig=3e-5), objective=Objective(f0=400.0)
    ),
}
"""Scenarios of DTAssociation-v0. `balanced`, the default, is Table II with n_syn = 3 in place of 0.1:
with the paper's value, moving a twin towards its user never pays."""


def resolve(scenario: str | AssociationScenario, **overrides: Any) -> AssociationScenario:
    """A preset's name or a scenario, with single fields overridden by name.

    Raises:
        ValueError: no preset has this name, or a value is out of its range.
        TypeError: neither name nor scenario, or an unknown field.
    """
    if isinstance(scenario, str):
        if scenario not in ASSOCIATION:
            near = difflib.get_close_matches(scenario, ASSOCIATION, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"scenario {scenario!r} is unknown{hint}; known: {', '.join(ASSOCIATION)}")
        scenario = ASSOCIATION[scenario]
    if not isinstance(scenario, AssociationScenario):
        raise TypeError(f"scenario must be a preset's name or an AssociationScenario, got {scenario!r}")
    return scenario.override(**overrides)
