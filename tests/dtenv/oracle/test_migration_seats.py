"""Stations' part of migration's Lagrangian bound, against every set of users evaluated by the environment's step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dtenv.oracle.migration.row import single_row
from dtenv.oracle.migration.seats import PARTS, RANGES, load_levels, sell_by_load, sell_by_number, tabulate
from dtenv.presets import resolve
from dtenv.scenario.edge import COMPUTE_SHARINGS
from dtenv.tasks.migration.batch import TERM
from dtenv.tasks.migration.kernels import evaluate
from dtenv.tasks.migration.slot import add_loads
from dtenv.tasks.migration.task import MigrationTask

USERS, SEATS, PENALTY = 6, 4, 1.0


def station(sharing, seed):
    """A batch of one, and every set of users that fits on station 0 with their worth there in slot 1."""
    settings = {"num_users": USERS, "num_stations": 2, "num_slots": 1, "twin_capacity": SEATS, "control": "joint"}
    computing = {"compute_sharing": sharing, "cycles_per_bit": 2000.0, "deadline_penalty": PENALTY}
    task = MigrationTask(resolve("balanced", "DTMigration-v0", **settings, **computing))
    task.reset(0, np.random.default_rng(seed))
    batch = single_row(task, 0)
    sets = []
    for size in range(1, SEATS + 1):
        for members in itertools.combinations(range(USERS), size):
            batch.state.server[0] = 1
            batch.state.server[0, list(members)] = 0
            add_loads(batch.constants[0], batch.state.server[0], batch.course.weight[0], batch.state.loads[0])
            evaluate(batch, 0, 1)
            terms = batch.terms.users[0, list(members)]
            sets.append((list(members), terms[:, TERM.utility] - PENALTY * terms[:, TERM.late]))
    return batch, sets


@pytest.mark.parametrize("sharing", COMPUTE_SHARINGS)
def test_no_set_of_users_gains_more(sharing):
    excess, late = [], 0
    for seed in range(60):
        batch, sets = station(sharing, seed)
        weight, rng = batch.course.weight[0], np.random.default_rng(seed)
        load = load_levels(COMPUTE_SHARINGS.index(sharing), weight, SEATS)
        table = np.empty((1, 2, len(load), USERS))
        tabulate(batch, 1, load, table)
        work, order, ranges, sold = np.empty((4, USERS)), np.empty(USERS, int), np.empty((64, 2), int), np.empty(USERS)
        for _ in range(20):
            prices = rng.normal(0.3, 0.5, USERS)
            if rng.random() < 0.5:  # nearly only one set pays, and barely
                members, worth = sets[rng.integers(len(sets))]
                prices[:] = 2.0
                prices[members] = worth - 0.01
            most = max(0.0, *((worth - prices[members]).sum() for members, worth in sets))
            late += any((worth < 0.0).any() for _, worth in sets)
            if sharing != "sqrt":
                assert sell_by_number(table[0, 0], prices, load, work, order, sold) == pytest.approx(most, abs=1e-12)
                continue
            bounds = []
            for finest in (PARTS, 4, 1):
                likely = int(rng.integers(RANGES * PARTS))
                rest = (SEATS, PENALTY, finest, likely, work, order, ranges, sold)
                bounds.append(sell_by_load(table[0, 0], prices, load, weight, *rest)[0])
            assert most - 1e-12 <= bounds[2] <= bounds[1] + 1e-12 <= bounds[0] + 2e-12
            excess.append(bounds[2] - most)
    assert late > 100
    assert sharing != "sqrt" or np.median(excess) < 0.02
