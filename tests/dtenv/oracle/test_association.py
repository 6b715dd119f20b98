"""Optimum of a slot of DTAssociation against all associations, and bounds against every plan tried."""

from __future__ import annotations

import itertools
import signal
import threading

import gymnasium as gym
import numpy as np
import pytest
from cases_association import all_associations, best_of_all

import agents
from dtenv import presets
from dtenv.oracle.association import columns as columns_module
from dtenv.oracle.association import slot as slot_module
from dtenv.oracle.association import solve_episode, solve_slot
from dtenv.oracle.association.columns import COARSE, Columns, Pricing
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.association.sets import best_partition, sets_above, worth_of_sets
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.knapsack import WITHIN, knapsack, relaxed_knapsack
from dtenv.oracle.replay import replay
from dtenv.oracle.solution import tolerance
from dtenv.tasks.association.allocation import work_arrays
from dtenv.tasks.association.slot import OPTIMAL
from dtenv.tasks.association.task import AssociationTask
from dtenv.tasks.association.terms import TOTAL, evaluate, new_terms, new_work


def random_task(seed: int, users: int | None = None, servers: int | None = None, slots: int = 3) -> AssociationTask:
    """A small episode whose capacities and prices make C2 or C3 bind, or neither, or infeasible."""
    rng = np.random.default_rng(seed)
    scenario = presets.resolve(
        "balanced",
        num_users=users or int(rng.integers(1, 6)),
        num_servers=servers or int(rng.integers(1, 4)),
        num_slots=slots,
        samples=(int(rng.choice([1, 50, 100])), int(rng.choice([300, 1000]))),
        n_syn=float(rng.choice([0.1, 3.0, 10.0])),
        n_mig=float(rng.choice([0.0, 1e-6, 1e-5, 1e-4])),
        f0=float(rng.choice([50.0, 200.0, 1000.0])),
        compute_capacity=(400.0, float(rng.choice([500.0, 1500.0]))),
        emd=float(rng.choice([0.0, 0.4])),
        migrate_current_data=bool(rng.integers(2)),
    )
    task = AssociationTask(scenario)
    task.reset(0, rng)
    task.state.server[0] = rng.integers(scenario.num_sites, size=scenario.network.num_users)
    return task


def check_against_all(seed: int, monkeypatch) -> set[str]:
    """Check both methods and both kinds of constraints on one instance; return the features that it covers."""
    task = random_task(seed)
    slot, seen = task.slot(), set()
    best = best_of_all(task)
    for constraints, value in best.items():
        for few_users in (9, 0):  # enumeration, column generation
            monkeypatch.setattr(slot_module, "FEW_USERS", few_users)
            solution = solve_slot(task.constants[0], slot, constraints=constraints)
            if value == -np.inf:
                assert solution.infeasible and solution.action is None and "infeasible" in solution.proof
                seen.add("infeasible")
                continue
            assert solution.value == pytest.approx(value, abs=1e-9), (seed, constraints, solution)
            assert value <= solution.bound <= value + 2e-9, (seed, constraints, solution)
            problem = Problem(task.constants[0], slot, constraints == "penalised")
            assert problem.worth(solution.action) == pytest.approx(solution.value, abs=1e-12)
            seen |= features(task, solution.action, constraints)
    if best["penalised"] > best["hard"] + 1e-6 > -np.inf:
        seen.add("breaking pays")
    return seen


def features(task, server, constraints) -> set[str]:
    slot, c = task.slot(), task.constants[0].copy()
    c["mode"] = OPTIMAL
    terms, work = new_terms(1, len(server), len(slot.compute_capacity)), new_work(1, len(server))
    evaluate(c, slot, server, work.users[0], work.slopes[0], terms, 0)
    energy, seen = terms.energy[0], {constraints}
    if (np.abs(energy[:, 2] / slot.compute_capacity - 1.0) < 1e-6).any():
        seen.add("C2 binds")
    if terms.totals[0, TOTAL.violations]:
        seen.add("violation")
    if len(server) == 1:
        seen.add("one user")
    if len(slot.compute_capacity) == 1:
        seen.add("one server")
    if ((server != slot.previous_server) & (terms.history[0] > 0.0)).any() and slot.previous_samples.any():
        seen.add("migrant with history")
    return seen


@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(1000, 1300), marks=pytest.mark.slow)], ids=len)
def test_small_instances_against_all_associations(seeds, monkeypatch):
    seen = set().union(*(check_against_all(seed, monkeypatch) for seed in seeds))
    assert {"infeasible", "C2 binds", "violation", "one user", "one server", "migrant with history"} <= seen


def test_ties_between_servers_that_are_alike(monkeypatch):
    task = random_task(5, users=4, servers=3)
    for field in (task.tape.cycles_per_bit, task.tape.compute_capacity, task.tape.sync_capacity, task.tape.server_xy):
        field[0] = field[0, :1]
    task.tape.samples[0] = 200.0
    task.tape.user_xy[0] = task.tape.user_xy[0, :, :1]
    for few_users in (9, 0):
        monkeypatch.setattr(slot_module, "FEW_USERS", few_users)
        solution = solve_slot(task.constants[0], task.slot())
        assert solution.value == pytest.approx(best_of_all(task)["penalised"], abs=1e-9)
        assert solution.gap <= 2e-9


def test_column_generation_equals_the_dynamic_programme_of_nine_users(monkeypatch):
    for seed in range(4):
        task = random_task(50 + seed, users=9, servers=4)
        exact = solve_slot(task.constants[0], task.slot())
        assert exact.proof == "enumeration"
        monkeypatch.setattr(slot_module, "FEW_USERS", 0)
        generated = solve_slot(task.constants[0], task.slot())
        monkeypatch.undo()
        assert generated.value == pytest.approx(exact.value, abs=1e-9)
        assert generated.gap <= 2e-9


def test_every_bound_on_the_way_holds(monkeypatch):
    """Small steps, so that the integer programs' bounds are checked before they close the gap."""
    monkeypatch.setattr(columns_module, "FIRST_STEP", 1e-5)  # and few chords, for wide gaps
    steps = 0
    for seed in range(40):
        task = random_task(600 + seed, users=6, servers=2)
        best = solve_slot(task.constants[0], task.slot())
        reported = []
        with SolveBudget("steps") as search:
            search.report = lambda value, bound, note="", reported=reported: reported.append((value, bound))
            columns = Columns(Problem(task.constants[0], task.slot(), True), [task.slot().previous_server], search)
            columns.close(columns.generate(6))
        assert columns.value == pytest.approx(best.value, abs=1e-9)
        assert all(value <= best.bound and bound >= best.value - 1e-12 for value, bound in reported)
        assert min(bound for _, bound in reported) == columns.bound
        steps += len(reported)
    assert steps > 100


@pytest.mark.parametrize("charge", [WITHIN, 0.3])
def test_knapsack_against_all_choices(charge):
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 8))
        value, weight = rng.normal(size=n), rng.random(n) * (rng.random(n) > 0.1)
        room = float(rng.random() * 2.0)
        best = -np.inf
        for bits in itertools.product((0, 1), repeat=n):
            total, used = value @ bits, weight @ bits
            if charge == WITHIN and used <= room:
                best = max(best, total)
            elif charge != WITHIN and used >= room:
                best = max(best, total - charge * (used - room))
        chosen = np.zeros(n, bool)
        found = knapsack(value, weight, room, charge, np.zeros(n, np.int64), np.zeros(n, bool), chosen)
        relaxed = relaxed_knapsack(value, weight, room, charge, np.zeros(n, np.int64))
        assert found == pytest.approx(best, abs=1e-12)
        assert relaxed >= best - 1e-12
        if best > -np.inf:
            excess = max(weight @ chosen - room, 0.0)
            assert value @ chosen - max(charge, 0.0) * excess == pytest.approx(best, abs=1e-12)


def test_best_partition_against_all_partitions():
    rng = np.random.default_rng(1)
    for _ in range(50):
        users, servers = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        worth = rng.normal(size=(servers, 1 << users))
        worth[rng.random(worth.shape) < 0.3] = -np.inf
        worth[:, 0] = 0.0
        best = max(
            sum(worth[s, sum(1 << u for u in range(users) if server[u] == s)] for s in range(servers))
            for server in itertools.product(range(servers), repeat=users)
        )
        server = np.full(users, -1, np.int64)
        assert best_partition(worth, server) == pytest.approx(best)
        assert (server >= 0).all() == (best > -np.inf)


@pytest.mark.parametrize("penalised", [True, False])
def test_prices_bound_every_set_and_no_set_above_is_missed(penalised):
    for seed in range(12):
        task = random_task(200 + seed, users=6, servers=2)
        problem = Problem(task.constants[0], task.slot(), penalised)
        members = (np.arange(64)[:, None] >> np.arange(6)) & 1 == 1
        pricing = Pricing(problem, 24)
        for scale in (0.0, 0.005, 0.02):
            dual = np.random.default_rng(seed).normal(scale, 0.01, 6)
            bound, _ = pricing.bound(dual)
            parts = []
            for s in range(2):
                worth = worth_of_sets(problem.c, problem.slot, s, members, penalised, *work_arrays(6))
                reduced = worth - members @ dual
                parts.append(reduced.max())
                assert max(pricing.top[s], 0.0) >= reduced.max() - 1e-12
                least = float(np.median(reduced[reduced > -np.inf]))
                sets = np.zeros(10_000, np.int64)
                count = sets_above(pricing.prices, s, dual, pricing.multiplier[s], least, sets)
                assert set(np.flatnonzero(reduced >= least + 1e-12)) <= set(sets[:count])
            assert bound >= dual.sum() + sum(parts) - 1e-12
            assert bound >= best_of_all(task)["penalised" if penalised else "hard"] - 1e-12


def test_too_many_sets_give_minus_one():
    task = random_task(7, users=6, servers=1)
    problem = Problem(task.constants[0], task.slot(), True)
    pricing = Pricing(problem, 24)
    pricing.bound(np.zeros(6))
    assert sets_above(pricing.prices, 0, np.zeros(6), pricing.multiplier[0], -10.0, np.zeros(3, np.int64)) == -1


@pytest.fixture(scope="module")
def full_size():
    env = gym.make("DTAssociation-v0", scenario="balanced", num_servers=15, num_slots=4).unwrapped
    obs, _ = env.reset(seed=31)
    return env, obs


def test_the_optimum_of_a_full_slot_replays_and_no_heuristic_beats_it(full_size):
    env, obs = full_size
    solution = solve_slot(env.task.constants[0], env.task.slot(), time_limit=60.0)
    assert solution.gap <= 2e-9
    assert replay(env.task, 0, [solution.action]) == [solution.value]
    for name in ("nearest", "stay", "hysteresis", "pack", "local-search"):
        policy = agents.load(name, "DTAssociation-v0", scenario=env.scenario)
        assert replay(env.task, 0, [policy.act(obs)])[0] <= solution.bound
    hard = solve_slot(env.task.constants[0], env.task.slot(), constraints="hard", time_limit=60.0)
    assert hard.value <= solution.bound
    assert hard.bound <= solution.bound + 2e-9


def test_more_users_than_bits_still_have_a_bound():
    task = AssociationTask(presets.resolve("balanced", num_users=70, num_servers=4, num_slots=2))
    task.reset(0, np.random.default_rng(0))
    solution = solve_slot(task.constants[0], task.slot(), time_limit=20.0)
    assert solution.value <= solution.bound < 1.0
    assert replay(task, 0, [solution.action])[0] == pytest.approx(solution.value, abs=1e-12)


def test_a_search_without_time_still_has_a_bound(full_size):
    env, _ = full_size
    solution = solve_slot(env.task.constants[0], env.task.slot(), time_limit=1e-9)
    best = solve_slot(env.task.constants[0], env.task.slot(), time_limit=60.0)
    assert solution.value <= best.value + 2e-9
    assert best.value <= solution.bound < np.inf
    assert replay(env.task, 0, [solution.action]) == [solution.value]


def test_an_interrupt_ends_the_search_with_what_it_has(full_size):
    env, _ = full_size
    free = env.task.constants[0].copy()
    timer = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with SolveBudget("endless") as search:
        columns = Columns(Problem(free, env.task.slot(), True), [env.task.slot().previous_server], search)
        while not search.exhausted:
            columns.generate(COARSE)
    timer.join()
    assert search.seconds < 20.0
    assert columns.value <= columns.bound < 1.0


def test_bad_settings_are_named():
    task = random_task(3)
    with pytest.raises(ValueError, match="constraints must be one of penalised, hard, got 'soft'"):
        solve_slot(task.constants[0], task.slot(), constraints="soft")
    for wrong in (0.0, -1.0, float("nan"), True, "1"):
        with pytest.raises(ValueError, match=r"time_limit must be (positive|a finite number), got"):
            solve_slot(task.constants[0], task.slot(), time_limit=wrong)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="horizon must be a positive integer"):
            solve_episode(task, horizon=wrong)


def test_an_episodes_bound_holds_for_every_plan():
    for seed in range(6):
        task = random_task(400 + seed, users=3, servers=2)
        solution = solve_episode(task)
        best = -np.inf
        for plan in itertools.product(all_associations(task), repeat=3):
            best = max(best, float(np.mean(replay(task, 0, plan))))
        assert solution.value <= best + 1e-9
        assert best <= solution.bound + tolerance(best)
        assert np.mean(replay(task, 0, solution.action)) == pytest.approx(solution.value, abs=1e-12)


def test_an_episode_of_one_slot_is_the_myopic_optimum_and_the_task_stays():
    task = random_task(11, users=4, servers=3)
    before = [field.copy() for field in (*task.state, *task.tape)]
    one = solve_episode(task, horizon=1)
    slot = solve_slot(task.constants[0], task.slot())
    assert one.value == pytest.approx(slot.value, abs=1e-12)
    assert one.bound == slot.bound
    assert one.proof == "enumeration"
    assert len(solve_episode(task, horizon=99).action) == 3  # what is left
    assert solve_episode(task, plan=False).action is None
    assert solve_episode(task, plan=False).bound == pytest.approx(solve_episode(task).bound, abs=1e-9)
    for old, new in zip(before, (*task.state, *task.tape), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("history", ["random", "none", "optimal-barrier", "action"])
def test_the_bound_holds_for_every_choice_of_history(history):
    env = gym.make("DTAssociation-v0", num_users=4, num_servers=3, num_slots=3, history=history).unwrapped
    env.reset(seed=2)
    solution = env.optimum(horizon=None)
    scores = [env.step(action)[-1]["score"] for action in solution.action]
    assert np.mean(scores) == pytest.approx(solution.value, abs=1e-12)
    assert solution.value <= solution.bound
