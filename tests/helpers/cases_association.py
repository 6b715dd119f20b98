"""What tests of DTAssociation-v0 share: a utility profile with compressed models, and every association of a slot."""

from __future__ import annotations

import itertools

import numpy as np

from dtenv.tasks.association.terms import TOTAL, evaluate, new_terms, new_work
from dtenv.utility_profile import UtilityProfile

COMPRESSED = UtilityProfile(
    name="compressed",
    alpha=(0.2136, 3.603, 0.0013, 0.95, 0.7238, 1.806),
    label="test",
    data="none",
    skew="none",
    metric="none",
    variant="none",
    samples=(50, 2000),
    emd=(0.0, 0.6),
    uplink_bytes=1e3,
    downlink_bytes=4e3,
    rounds=3,
    compute_factor=1.3,
)


def all_associations(task):
    servers, users = task.scenario.num_sites, task.scenario.network.num_users
    return [np.array(server) for server in itertools.product(range(servers), repeat=users)]


def best_of_all(task) -> dict[str, float]:
    """Most score, and most objective without violations, over all associations."""
    slot, c = task.slot(), task.constants[0]
    terms, work = new_terms(1, len(slot.samples), len(slot.compute_capacity)), new_work(1, len(slot.samples))
    best = {"penalised": -np.inf, "hard": -np.inf}
    for server in all_associations(task):
        evaluate(c, slot, server, work.users[0], work.slopes[0], terms, 0)
        totals = terms.totals[0]
        best["penalised"] = max(best["penalised"], totals[TOTAL.score])
        if totals[TOTAL.violations] == 0:
            best["hard"] = max(best["hard"], totals[TOTAL.objective])
    return best
