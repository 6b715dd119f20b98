"""What tests of DTMigration-v0 share: small deployments with a cloud and failures, and every plan of some slots."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np

from dtenv.scenario.deployment import DEPLOYMENTS
from dtenv.tasks.migration.batch import TERM

SMALL = {"num_users": 12, "num_stations": 5, "num_slots": 12, "area_m": 900.0, "slot_seconds": 5.0}


FAILING = {"failure_rate_per_s": 0.03, "cloud_failure_rate_per_s": 0.02, "repair_s": 12.0, "creation_s": 0.5}


MODES = [{"deployment": name} for name in DEPLOYMENTS] + [{"deployment": name} | FAILING for name in DEPLOYMENTS]


NAMES = [f"{mode['deployment']}{' failing' if len(mode) > 1 else ''}" for mode in MODES]


def every_plan(task, slots):
    """The best mean score of any plan of the next slots, and whether a request was ever refused."""
    task = copy.deepcopy(task)
    users, stations = task.mask.shape[1:]
    actions = [np.array([action]) for action in itertools.product(range(stations), repeat=users)]
    refused = False

    def best(left):
        nonlocal refused
        before, most = [field.copy() for field in task.state], -math.inf
        for action in actions:
            task.step(action)
            score, turned_down = task.terms.totals[0, [TERM.score, TERM.refused]]
            refused |= turned_down > 0
            most = max(most, score + (best(left - 1) if left > 1 else 0.0))
            for field, was in zip(task.state, before, strict=True):
                field[:] = was
        return most

    return best(slots) / slots, refused


def replayed(task, plan):
    """Mean score of a plan, in a copy."""
    task, scores = copy.deepcopy(task), []
    for action in np.asarray(plan).reshape(len(plan), -1):
        task.step(action[None])
        scores.append(task.info()["score"])
    return np.mean(scores)
