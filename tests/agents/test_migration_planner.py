"""A planner that takes the forecasts in DTMigration's observation as true, and a network that reads the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agents.heuristics.migration import lookahead
from agents.heuristics.migration_planner import Planner, plan
from agents.networks.foreseeing import ENDS, ForeseeingReader
from agents.policy import SlotPolicy
from benchmarks.evaluate import run_episodes
from dtenv.forecasting.coverage import Coverage
from dtenv.forecasting.oracles import AccessOracle
from dtenv.oracle import episode_bound
from dtenv.oracle.migration.focal import tabulate_focal
from dtenv.oracle.migration.row import single_row
from dtenv.presets import resolve
from dtenv.scenario.forecaster import Foresight
from dtenv.tasks.migration.slot import Slot
from dtenv.tasks.migration.task import MigrationTask

ID = "DTMigration-v0"
SMALL = {"num_users": 8, "num_stations": 4, "num_slots": 12, "horizon": 3, "speed_mps": (20.0, 40.0)}
ALL = Foresight(forecast=AccessOracle(), channel=True, load=True)


def scenario(**settings):
    return resolve("balanced", ID, **(SMALL | settings))


def episode(seed=0, **settings):
    """A task whose first row's episode has begun."""
    task = MigrationTask(scenario(**settings))
    task.reset(0, np.random.default_rng(seed))
    return task


def test_all_that_is_to_come_and_a_long_horizon_reach_the_bound():
    known = scenario(num_slots=30, horizon=30, num_users=12, kappa=0.5, forecaster=ALL)
    seeds = range(12)
    bound = np.array([episode_bound(ID, known, seed).bound for seed in seeds])
    shares = {}
    never = np.array([row["score"] for row in run_episodes(Still(known), ID, known, seeds)])
    for horizon in (1, 5, 30):
        rows = run_episodes(Planner(known, horizon, count_slots=True), ID, known, seeds)
        shares[horizon] = np.array([row["score"] for row in rows])
        assert (shares[horizon] <= bound + 1e-9).all()
    assert shares[30] == pytest.approx(bound, abs=1e-6)
    assert (bound - never).mean() > 0.01
    assert never.mean() <= shares[1].mean() + 1e-9 and shares[1].mean() < shares[5].mean() <= shares[30].mean()


def test_a_forecast_without_shadowing_or_load_falls_short_of_the_bound():
    known = scenario(num_slots=30, horizon=30, num_users=12, kappa=0.5, forecaster=Foresight())
    bound = np.mean([episode_bound(ID, known, seed).bound for seed in range(12)])
    rows = run_episodes(Planner(known, 30, count_slots=True), ID, known, range(12))
    assert np.mean([row["score"] for row in rows]) < bound - 1e-3


class Still:
    """A policy that never moves."""

    name, overrides = "still", {}

    def __init__(self, scenario):
        self.task = MigrationTask(scenario)

    def reset(self, seed=None):
        pass

    def act(self, obs):
        return self.task.decode(obs).server[:, 0]


def test_told_where_constant_velocity_leads_it_is_the_heuristic():
    plain = scenario(num_slots=30, num_users=12, horizon=6, deadline_penalty=0.0, kappa=0.5)
    told = plain.override(forecaster=Coverage(plain))
    heuristic, planner = SlotPolicy("lookahead", lookahead(6, plain), plain), Planner(told, 6)
    seen = moved = 0
    for seed in range(8):
        a, b = MigrationTask(plain), MigrationTask(told)
        for task in (a, b):
            task.reset(0, np.random.default_rng(seed))
        for t in range(1, 30):
            xy = a.tape.user_xy[0, t, 0] + 6 * (a.tape.user_xy[0, t, 0] - a.tape.user_xy[0, t - 1, 0])
            chosen = int(heuristic.act(a.obs)[0])
            if ((xy > 0) & (xy < 1500)).all():  # where it stops at an edge the ways walked differ
                assert int(planner.act(b.obs)[0]) == chosen
                seen, moved = seen + 1, moved + (chosen != a.server())
            for task in (a, b):
                task.step(np.array([[chosen]]))
    assert seen > 100 and moved > 10


def test_one_slot_ahead_by_hand():
    """Two stations 1 km apart, the twin at the first. In the next slot the second serves with a chance q.

    Wired time is φ ΔD 1000 m = .02 s, wireless and computing time 40 ms, τ = .1 s. So being at the station that serves
    gains w(.04) - w(.06) a slot, and being at the second in the next slot (2q - 1) times that.
    """
    gain = 0.5 * math.exp(1 - 0.4) - 0.5 * math.exp(1 - 0.6)
    for access, q, price, expected in (
        (1, 1.0, 2 * gain - 0.01, 1),  # served by the second now and then
        (1, 1.0, 2 * gain + 0.01, 0),
        (1, 0.5, gain - 0.01, 1),  # then it is all the same
        (1, 0.5, gain + 0.01, 0),
        (0, 1.0, 0.01, 0),  # not yet: it will move then
        (1, 0.0, 0.49 * gain, 1),  # there for one slot, and back
        (1, 0.0, 0.51 * gain, 0),
    ):
        assert decide(access, q, price) == expected, (access, q, price)


def decide(access, q, price):
    """The planner's station for a hand-made slot."""
    # A move takes .2 s of downtime and 3 Mbit x φ x 1000 m = 1.2 s.
    made = scenario(num_stations=2, wired_s_per_bit_m=4e-10, kappa=price / 1.4, deadline_penalty=0.0)
    wired_m = np.array([[0.0, 1000.0], [1000.0, 0.0]])
    one, latency_s = np.zeros(1, np.int64), 0.04 + 0.02 * (np.arange(2) != access)
    slot = Slot(
        *(np.zeros((1, 2)), np.zeros((1, 2)), np.full(1, 3e6), np.full(1, 5e4), np.full(1, 0.1), np.full(1, 0.03)),
        *(one + access, one, np.zeros((1, 2)), np.ones((1, 2), bool), latency_s[None], np.array([[0.0, price]])),
        *(np.zeros((2, 2)), wired_m),
    )
    server = np.full(1, -1, np.int64)
    chance = np.array([[[1.0 - q], [q]]])
    plan(MigrationTask(made).constants[0], slot, chance, np.zeros((0, 0)), np.zeros((0, 0, 0)), server)
    return server[0]


def test_a_network_reads_what_the_planner_plans_with():
    """Scores of the slots ahead: the environment's own, by playing them, less what stations have in common."""
    task = episode(5, forecaster=ALL, horizon=3, deadline_penalty=0.2, num_users=12)
    reader = ForeseeingReader(task.scenario)
    assert [list(w) for w in reader.windows] == [[0, 1], [2], [2], [2]] and len(ENDS) == 4
    score, chance = reader.foreseen(torch.tensor(task.obs))
    assert score.shape == chance.shape == (1, 1, 4, 4)
    assert np.array_equal(chance[0, 0, :, 1].numpy(), task.layout.split(task.obs[0])["forecast"][0, :, 2])
    table, moving = np.empty((4, 4, 1)), np.empty((1, 4, 4, 1))
    tabulate_focal(single_row(task, 0).flatten(), table, moving)
    for window, slots in ((0, [1, 2]), (1, [3])):
        truth = table[slots, :, 0].mean(0)
        found = score[0, 0, :, window].numpy()
        assert found - found[0] == pytest.approx(truth - truth[0], abs=1e-5)
    outlook = reader(torch.tensor(task.obs))
    assert outlook.station.shape[-1] == ForeseeingReader.FEATURES and outlook.worth.shape[-1] == 5
