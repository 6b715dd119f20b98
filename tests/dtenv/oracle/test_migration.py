"""dtenv.oracle.migration against every plan, stepped in the task itself; the task stays unchanged."""

from __future__ import annotations

import itertools
import signal
import threading

import gymnasium as gym
import numpy as np
import pytest
from cases_migration import every_plan, replayed

import agents
from dtenv.oracle.migration import solve_episode, solve_slot
from dtenv.oracle.solution import tolerance
from dtenv.presets import MIGRATION, resolve
from dtenv.tasks.migration.task import MigrationTask

ENV_ID = "DTMigration-v0"
HEURISTICS = ("never", "best-latency", "best-latency-literal", "payback", "lookahead", "random")


def begun(seed=0, batch=1, **settings):
    task = MigrationTask(resolve("balanced", ENV_ID, **settings), batch)
    for b in range(batch):
        task.reset(b, np.random.default_rng([seed, b]))
    return task


def random_settings(rng, control):
    """A small scenario, often tight or tied, whose computing is slow enough that twins couple."""
    sizes = ((2, 3, 3), (3, 2, 3), (3, 3, 2), (2, 2, 4), (1, 3, 4), (3, 1, 3), (3, 2, 4))
    users, stations, slots = sizes[rng.integers(7)]
    if control == "focal":
        users, stations, slots = int(rng.integers(1, 7)), int(rng.integers(1, 5)), int(rng.integers(1, 5))
    least = -(-users // stations) if control == "joint" else 1 - (1 - users) // stations
    settings = {
        "control": control,
        "num_users": users,
        "num_stations": stations,
        "num_slots": slots,
        "twin_capacity": int(least + rng.integers(3)),
        "compute_sharing": ("equal", "sqrt", "slice")[rng.integers(3)],
        "kappa": (0.0, 0.01, 0.1, 1.5)[rng.integers(4)],
        "downtime_s": (0.0, 0.2)[rng.integers(2)],
        "deadline_penalty": (0.0, 0.1, 1.0)[rng.integers(3)],
        "cycles_per_bit": (500.0, 5000.0)[rng.integers(2)],
        "slot_seconds": 20.0,
        "area_m": 900.0,
        "background": ("payback", "best-latency", "never")[rng.integers(3)],
        "reward": ("score", "centred")[rng.integers(2)],
    }
    if rng.random() < 0.25:  # ties everywhere
        settings |= {
            "compute_hz": (16e9, 16e9),
            "data_bits": (3e6, 3e6),
            "update_bits": (5e4, 5e4),
            "update_deadline_s": (0.1, 0.1),
            "wired_s_per_bit_m": (0.0, 5e-10)[rng.integers(2)],
            "utility_beta": (0.5, 1.0)[rng.integers(2)],
        }
    return settings


def check_joint(task, found, best):
    assert found.value == pytest.approx(replayed(task, np.atleast_2d(found.action)), abs=1e-12)
    assert found.bound >= best - 1e-9
    assert found.value <= best + 1e-9
    assert found.value <= found.bound
    network = task.scenario.network
    if task.scenario.twins.compute_sharing == "slice" and network.capacity >= network.num_users:
        assert found.proof in ("dynamic programming", "enumeration")
        assert found.bound == pytest.approx(best, abs=1e-9) == found.value


def random_focal(seed):
    """Check both solvers on one instance, in its first slot or a later one."""
    rng = np.random.default_rng([seed, 1])
    task = begun(seed, **random_settings(rng, "focal"))
    stations, slots = task.mask.shape[2], task.scenario.episode.num_slots
    for _ in range(int(rng.integers(slots))):
        task.step(rng.integers(stations, size=(1, 1)))
    left = slots - int(task.state.slot[0]) + 1
    found, slot = solve_episode(task), solve_slot(task)
    assert found.action.shape == (left,)
    for solution, best in ((found, every_plan(task, left)[0]), (slot, every_plan(task, 1)[0])):
        assert solution.value == pytest.approx(best, abs=1e-9) == solution.bound
        assert solution.value <= solution.bound
    assert found.value == pytest.approx(replayed(task, found.action), abs=1e-12)
    assert slot.value == replayed(task, [slot.action])
    assert (found.proof, slot.proof) == ("dynamic programming", "enumeration")


def random_joint(seed):
    """Check both solvers on one instance; return whether requests can be refused, and the errors of plan and bound."""
    rng = np.random.default_rng([seed, 2])
    task = begun(seed, **random_settings(rng, "joint"))
    slots = task.scenario.episode.num_slots
    best, refused = every_plan(task, slots)
    found = solve_episode(task)
    assert found.action.shape == (slots, task.mask.shape[1])
    check_joint(task, found, best)
    slot = solve_slot(task)
    check_joint(task, slot, every_plan(task, 1)[0])
    return refused, best - found.value, found.bound - best


def check_many_joint(seeds):
    refused, short, above = np.array([random_joint(seed) for seed in seeds]).T
    assert refused.mean() > 0.2
    assert (short < 1e-9).mean() > 0.97  # plans are nearly always optimal
    assert np.median(above) < 1e-3


@pytest.mark.parametrize("seed", range(40))
def test_a_focal_users_best_is_that_of_every_plan(seed):
    random_focal(seed)


def test_joint_bounds_hold_for_every_plan():
    check_many_joint(range(40))


@pytest.mark.slow
def test_300_random_instances():
    for seed in range(1000, 1300):
        random_focal(seed)
    check_many_joint(range(1000, 1300))


@pytest.mark.parametrize("room", [1, 2])
def test_twins_change_places_where_there_is_a_free_seat_and_never_where_every_seat_is_taken(room):
    settings = {"num_users": 2, "num_stations": 2, "num_slots": 3, "twin_capacity": room, "cycles_per_bit": 1.0}
    task = begun(0, control="joint", kappa=0.0, wired_s_per_bit_m=1e-8, **settings)
    task.course.access[:] = [0, 1]
    task.state.server[:] = [1, 0]
    task.state.loads[:] = 1.0
    found = solve_episode(task)
    assert found.action.tolist() == [[0, 1] if room == 2 else [1, 0]] * 3
    assert found.gap <= tolerance(found.bound)


@pytest.mark.parametrize("preset", MIGRATION)
def test_no_heuristic_beats_a_focal_users_bound(preset):
    env = gym.make(f"dtenv:{ENV_ID}", scenario=preset)
    leads = []
    for seed in range(4):
        env.reset(seed=seed)
        best = solve_episode(env.unwrapped.task)
        scores = {}
        for name in HEURISTICS:
            policy = agents.load(name, ENV_ID, scenario=preset)
            policy.reset(seed)
            obs, _ = env.reset(seed=seed)
            total, over = 0.0, False
            while not over:
                obs, _, _, over, info = env.step(policy.act(obs))
                total += info["score"]
            scores[name] = total / env.unwrapped.scenario.episode.num_slots
        assert max(scores.values()) <= best.bound + tolerance(best.bound), (seed, scores)
        leads.append(best.value - max(scores.values()))
    assert preset == "literal" or max(leads) > 0.001  # staying is the best in some episodes


@pytest.mark.parametrize("sharing", ["equal", "sqrt", "slice"])
def test_no_heuristic_beats_a_joint_bound_and_no_plan_is_worse_than_theirs(sharing):
    settings = {"num_users": 12, "num_stations": 4, "num_slots": 20, "control": "joint", "compute_sharing": sharing}
    env = gym.make(f"dtenv:{ENV_ID}", **settings)
    for seed in range(2):
        env.reset(seed=seed)
        best = solve_episode(env.unwrapped.task, time_limit=2.0)
        assert best.gap < 0.02
        for name in HEURISTICS:
            policy = agents.load(name, ENV_ID, **settings)
            policy.reset(seed)
            obs, _ = env.reset(seed=seed)
            scores = []
            for _ in range(20):
                obs, _, _, _, info = env.step(policy.act(obs))
                scores.append(info["score"])
            assert np.mean(scores) <= best.value


def test_the_best_of_fewer_slots_is_no_worse_than_the_start_of_a_longer_plan():
    task = begun(3, num_slots=60)
    plans = {slots: solve_episode(task, horizon=slots) for slots in (1, 2, 5, 10, 30, 60)}
    for (few, short), (many, long) in itertools.pairwise(plans.items()):
        assert replayed(task, long.action[:few]) <= short.value + 1e-12
        stay = np.append(short.action, np.full(many - few, short.action[-1]))
        assert long.value >= replayed(task, stay) - 1e-12
    assert plans[1].value == solve_slot(task).value


def test_a_horizon_ends_with_the_episode():
    task = begun(3, num_slots=10)
    for _ in range(4):
        task.step(np.zeros((1, 1), np.int64))
    assert len(solve_episode(task, horizon=99).action) == 6 == len(solve_episode(task).action)


@pytest.mark.parametrize("control", ["focal", "joint"])
def test_misuse_raises_errors_that_name_it(control):
    task = begun(0, num_users=4, num_stations=2, num_slots=2, control=control)
    for horizon in (0, -1, 1.5, True, "all"):
        with pytest.raises(ValueError, match="horizon"):
            solve_episode(task, horizon=horizon)
    for solve in (solve_slot, solve_episode):
        for b in (1, -1, 0.0):
            with pytest.raises(ValueError, match=r"b must be an integer in 0\.\.0"):
                solve(task, b)
        with pytest.raises(ValueError, match="time_limit"):
            solve(task, time_limit=0)
    for _ in range(2):
        task.step(np.zeros((1, task.mask.shape[1]), np.int64))
    for solve in (solve_slot, solve_episode):
        with pytest.raises(ValueError, match="over"):
            solve(task)
        with pytest.raises(ValueError, match="not begun"):
            solve(MigrationTask(task.scenario))


@pytest.mark.parametrize("control", ["focal", "joint"])
def test_solving_leaves_the_task_as_it_is_and_gives_the_same_again(control):
    def under_way():
        """Rows in their third, first and third slot."""
        task = begun(1, batch=3, control=control, num_users=6, num_stations=3, num_slots=5)
        for _ in range(2):
            task.step(np.ones((3, task.mask.shape[1]), np.int64))
        task.reset(1, np.random.default_rng(7))
        return task

    task, before = under_way(), under_way().batch
    for b in range(3):
        fresh = under_way()
        for solve in (solve_slot, solve_episode):
            first, again, other = solve(task, b), solve(task, b), solve(fresh, b)
            assert np.array_equal(first.action, again.action) and np.array_equal(first.action, other.action)
            assert (first.value, first.bound) == (again.value, again.bound) == (other.value, other.bound)
        assert len(first.action) == (5 if b == 1 else 3)
    for now, was in zip(task.batch.flatten(), before.flatten(), strict=True):
        assert np.array_equal(now, was)


def test_a_short_time_and_an_interrupt_leave_a_valid_bound():
    task = begun(0, control="joint", num_slots=40)
    start = replayed(task, np.tile(task.server(), (40, 1)))
    hurried = solve_episode(task, time_limit=1e-6)
    assert hurried.value >= start
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    stopped = solve_episode(task, time_limit=60.0)
    timer.join()
    longer = solve_episode(task, time_limit=4.0)
    for found in (hurried, stopped, longer):
        assert found.value == pytest.approx(replayed(task, found.action), abs=1e-12)
        assert found.bound >= longer.value
    assert stopped.seconds < 30.0
    assert hurried.bound >= longer.bound and longer.gap < 0.01 < hurried.gap


def test_a_bar_is_shown(capsys):
    solve_episode(begun(0, control="joint", num_users=4, num_stations=2, num_slots=3), progress=True)
    assert "bound" in capsys.readouterr().err
