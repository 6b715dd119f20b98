"""Presets: named scenarios of each environment; the first one is the default."""

from __future__ import annotations

import difflib
from typing import Any, cast

from dtenv.scenario import (
    AssociationScenario,
    MigrationScenario,
    PlacementScenario,
    Scenario,
    association,
    edge,
    migration,
    placement,
)

ASSOCIATION = {
    "balanced": AssociationScenario(name="balanced", energy=association.Energy(n_syn=3.0)),
    # Table II as printed, with the paper's horizon and its barrier (24) at f = 10.
    "paper": AssociationScenario(
        name="paper",
        objective=association.Objective(reward="literal", barrier_curve=10.0),
        episode=association.Episode(num_slots=750),
    ),
    # Cheap migration and costly distance, so that a myopic policy loses to a foresighted one.
    "sequential": AssociationScenario(
        name="sequential",
        energy=association.Energy(n_syn=5.0, n_mig=3e-5),
        objective=association.Objective(f0=400.0),
    ),
}
"""Presets of DTAssociation-v0. `balanced`, the default, is Table II with n_syn = 3 instead of 0.1:
with the paper's value, moving a twin towards its user never pays."""


def _placement(name: str, users: int, stations: int, **objective: Any) -> PlacementScenario:
    network = edge.Network(num_users=users, num_stations=stations)
    return PlacementScenario(name=name, network=network, objective=placement.Objective(**objective))


PLACEMENT = {
    **{f"paper-{n}x{m}": _placement(f"paper-{n}x{m}", n, m) for n, m in ((100, 10), (100, 5), (80, 10), (80, 5))},
    # Small presets, for learning and for exact optima.
    "small-20x5": _placement("small-20x5", 20, 5),
    "small-50x5": _placement("small-50x5", 50, 5),
    # Deadlines that the latency-optimal association often misses.
    "strict-100x10": _placement("strict-100x10", 100, 10, deadline_s=(1.5, 5.0)),
    # Every formula as printed.
    "literal-100x10": PlacementScenario(
        name="literal-100x10",
        radio=edge.Radio(bandwidth_sharing="full", rate_logarithm="ln"),
        twins=edge.Twins(cycles_per_bit=1.0),
        objective=placement.Objective(
            wired_count="twice",
            latency_mean="users-and-stations",
            host_count="twins",
            energy_total="sum",
            deadline_penalty=0.0,
        ),
        utility=edge.Utility(utility_time_s=1.0, utility_energy_j=1.0),
        episode=placement.Episode(action="binary", observe="shared"),
    ),
}
"""Presets of DTPlacementMA-v0, N x M: Table II, and our choices for values that it leaves open."""

MIGRATION = {
    "balanced": MigrationScenario(name="balanced"),
    # Independent shadowing of the stations: following the best station migrates too often to pay.
    "ping-pong": MigrationScenario(name="ping-pong", radio=migration.Radio(shadowing_site_correlation=0.0)),
    "gauss-markov": MigrationScenario(name="gauss-markov", mobility=migration.Mobility(walk="gauss-markov")),
    # (20) as printed and free migration as in the paper: almost nothing depends on the host of a twin.
    "literal": MigrationScenario(
        name="literal",
        radio=migration.Radio(bandwidth_sharing="full", rate_logarithm="ln"),
        twins=migration.Twins(cycles_per_bit=1.0),
        objective=migration.Objective(kappa=0.0, deadline_penalty=0.0),
        utility=migration.Utility(utility_time_s=1.0, utility_energy_j=1.0),
    ),
}
"""Presets of DTMigration-v0; values beyond Table II are our choice."""

PRESETS: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": ASSOCIATION,
    "DTPlacementMA-v0": PLACEMENT,
    "DTMigration-v0": MIGRATION,
}
"""Presets by environment id and name."""


def resolve(scenario: str | Scenario | None = None, env_id: str = "DTAssociation-v0", **overrides: Any) -> Any:
    """Return a scenario, or the preset of this name, by default the first one, with single fields overridden by name.

    Raises:
        ValueError: unknown preset or environment id, or a value is out of range.
        TypeError: neither a name nor a scenario of this environment, or an unknown field.
    """
    if env_id not in PRESETS:
        raise ValueError(f"env_id {env_id!r} is unknown; known: {', '.join(PRESETS)}")
    known = PRESETS[env_id]
    kind = type(next(iter(known.values())))
    if scenario is None:
        scenario = next(iter(known))
    if isinstance(scenario, str):
        if scenario not in known:
            near = difflib.get_close_matches(scenario, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"scenario {scenario!r} is unknown{hint}; known: {', '.join(known)}")
        scenario = cast(Scenario, known[scenario])
    if not isinstance(scenario, kind):
        article = "an" if kind is AssociationScenario else "a"
        raise TypeError(f"scenario must be a preset's name or {article} {kind.__name__}, got {scenario!r}")
    return scenario.override(**overrides)
