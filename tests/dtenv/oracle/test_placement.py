"""One slot of DTPlacementMA: optima against brute force, bounds against heuristics."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading

import numpy as np
import pytest
from reference_placement import random_placement, terms

import agents
from dtenv.instance import placement as instance
from dtenv.oracle import tolerance
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.placement import solve_slot
from dtenv.oracle.placement.costs import as_constants, check_slot, costs_of
from dtenv.oracle.placement.milp import Part
from dtenv.oracle.placement.optimum import solve, solve_relaxed
from dtenv.presets import PLACEMENT
from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement.slot import TOTAL, Constants, evaluate, new_terms
from dtenv.tasks.placement.task import PlacementTask

DEADLINES = ("penalised", "ignore", "hard")
CHOICES = {
    "access": ("strongest", "nearest", "direct"),
    "bandwidth_sharing": ("equal", "full"),
    "compute_sharing": ("sqrt", "equal", "slice"),
    "move_cost": (0.0, 0.5),
    "charge_initial": ("always", "on_change"),
    "wired_count": ("once", "twice"),
    "latency_mean": ("users", "users-and-stations"),
    "host_count": ("hosts", "twins"),
    "energy_total": ("mean", "sum"),
    "eta_s": (1.0, 0.0),
    "deadline_penalty": (1.0, 0.1, 0.0),
    "host_cost": (0.2, 0.0, 1.0),
    "alpha": (1.0, 0.0),
    "beta": (1.0, 0.0),
}


def task_of(seed=0, **settings):
    task = PlacementTask(PlacementScenario().override(**settings))
    task.reset(0, np.random.default_rng(seed))
    return task


def random_task(seed, most):
    """A task with at most `most` associations; each option has its first value as often as all others together."""
    rng = np.random.default_rng(seed)
    stations = int(rng.integers(1, 5))
    users = int(rng.integers(1, 1 + int(math.log(most) / math.log(stations)) if stations > 1 else 8))
    earliest = rng.uniform(0.2, 2.5)
    settings = {name: values[int(rng.integers(2) * rng.integers(len(values)))] for name, values in CHOICES.items()}
    settings["access"] = CHOICES["access"][seed % 3]
    settings["compute_sharing"] = CHOICES["compute_sharing"][seed // 3 % 3]
    return task_of(
        seed,
        num_users=users,
        num_stations=stations,
        separation_m=50.0,
        twin_capacity=int(rng.integers(-(-users // stations), users + 1)),
        deadline_s=(earliest, earliest + rng.uniform(0.0, 2.0)),
        **settings,
    )


def brute_force(constants, slot, deadlines):
    """Best value over all associations; -inf if infeasible."""
    users, stations = slot.gain_db.shape
    found, room = new_terms(1, users, stations), np.asarray(slot.capacity)
    best = -math.inf
    for server in itertools.product(range(stations), repeat=users):
        if (np.bincount(server, minlength=stations) > room).any():
            continue
        host = np.isin(np.arange(stations), server)
        evaluate(constants, slot, host, np.array(server), found, 0)
        if deadlines != "hard" or not found.totals[0, TOTAL.violations]:
            best = max(best, found.totals[0, TOTAL.score if deadlines == "penalised" else TOTAL.objective])
    return best


def worth(constants, slot, server, deadlines):
    found, hosts = new_terms(1, *slot.gain_db.shape), np.isin(np.arange(slot.gain_db.shape[1]), server)
    evaluate(constants, slot, hosts, server, found, 0)
    assert (np.bincount(server, minlength=len(hosts)) <= slot.capacity).all()
    assert deadlines != "hard" or not found.totals[0, TOTAL.violations]
    return found.totals[0, TOTAL.score if deadlines == "penalised" else TOTAL.objective]


def program(constants, slot, deadlines, gap=1e-9, time_limit=60.0):
    """`solve_slot` by the program, whatever the size of the slot."""
    record, slot = as_constants(constants), check_slot(slot)
    with SolveBudget("", time_limit) as search:
        return solve(record, slot, costs_of(record, slot, deadlines), deadlines, Part(search), gap, enumerated=0)


def check(constants, slot, deadlines):
    best = brute_force(constants, slot, deadlines)
    for solution in (solve_slot(constants, slot, deadlines=deadlines), program(constants, slot, deadlines)):
        if best == -math.inf:
            assert solution.infeasible and solution.action is None and "infeasible" in solution.proof
            continue
        assert solution.value == pytest.approx(best, rel=1e-9, abs=1e-9)
        assert solution.value == worth(constants, slot, solution.action, deadlines)
        assert best <= solution.bound + tolerance(solution.bound)
        assert 0.0 <= solution.gap <= 1e-6 * max(1.0, abs(best))
    return best


@pytest.mark.parametrize("seed", [*range(36), *(pytest.param(s, marks=pytest.mark.slow) for s in range(100, 400))])
def test_brute_force(seed):
    task = random_task(seed, 300 if seed < 36 else 5000)
    for deadlines in DEADLINES:
        check(task.constants[0], task.slot(), deadlines)


@pytest.mark.parametrize("deadlines", DEADLINES)
def test_patterns_of_random_tasks(deadlines):
    """The random tasks include infeasible ones, ones with late users, and ones where lateness costs something."""
    kinds = set()
    for seed in range(36):
        task = random_task(seed, 300)
        best = [brute_force(task.constants[0], task.slot(), what) for what in ("ignore", deadlines)]
        kinds.add("none" if best[1] == -math.inf else "binding" if best[1] < best[0] - 1e-9 else "free")
    assert kinds == {"hard": {"none", "binding", "free"}, "ignore": {"free"}}.get(deadlines, {"binding", "free"})


def from_instance(case):
    users, stations = len(case["users"]["data_bits"]), len(case["stations"]["compute_hz"])
    constants = instance._constants(case["params"], users)
    record = as_constants(constants)
    return constants, instance._slot(record, case["users"], case["stations"], users, stations)


@pytest.mark.parametrize("sharing", CHOICES["compute_sharing"])
@pytest.mark.parametrize("seed", range(4))
def test_best_by_the_reference(sharing, seed):
    """An independent implementation of the model, over all hosts and associations, some users without data."""
    rng = np.random.default_rng([seed, 7])
    capacity = (2, 3, 4)[seed % 3]
    limits = {"capacity": capacity, "deadline_s": (0.4, 1.5), "without_data": 0.2 * (seed % 2)}
    case = random_placement(rng, 4, 3, compute_sharing=sharing, eta_s=float(seed != 1), **limits)
    best = dict.fromkeys(("ignore", "hard"), -math.inf)
    for host in itertools.product((0, 1), repeat=3):
        for server in itertools.product(np.flatnonzero(host).tolist(), repeat=4):
            case["action"] = {"host": list(host), "server": list(server)}
            found = terms(case)
            if not any(found["capacity_violated"]):
                best["ignore"] = max(best["ignore"], found["reward"])
                if not any(found["deadline_violated"]):
                    best["hard"] = max(best["hard"], found["reward"])
    constants, slot = from_instance(case)
    for deadlines, value in best.items():
        for solution in (solve_slot(constants, slot, deadlines=deadlines), program(constants, slot, deadlines)):
            assert solution.infeasible == (value == -math.inf)
            if not solution.infeasible:
                assert solution.value == pytest.approx(value, rel=1e-9)


# Edge cases


def test_one_station_and_one_user():
    for settings in ({"num_users": 30, "num_stations": 1}, {"num_users": 1, "num_stations": 6}):
        task = task_of(3, **settings)
        for deadlines in ("penalised", "ignore"):
            check(task.constants[0], task.slot(), deadlines)
    assert solve_slot(task.constants[0], task.slot()).proof == "enumeration"


def test_too_little_room():
    task = task_of(num_users=6, num_stations=3)
    slot = task.slot()._replace(capacity=np.array([2, 2, 1]))
    for solution in (solve_slot(task.constants[0], slot), program(task.constants[0], slot, "ignore")):
        assert solution.infeasible and "hold 5 of 6 twins" in solution.proof
    check(task.constants[0], slot._replace(capacity=np.array([6, 0, 0])), "penalised")


@pytest.mark.parametrize("sharing", CHOICES["compute_sharing"])
def test_late_wherever_it_is(sharing):
    task = task_of(num_users=20, num_stations=5, compute_sharing=sharing)
    slot = task.slot()
    slot.deadline_s[3] = 1e-6
    solution = solve_slot(task.constants[0], slot, deadlines="hard")
    assert solution.infeasible and "user 3" in solution.proof
    solution = solve_slot(task.constants[0], slot)
    assert solution.gap < 1e-7 and worth(task.constants[0], slot, solution.action, "penalised") == solution.value


def test_late_only_together():
    """Each user is in time somewhere alone, but capacities do not hold all in time: a proof by the program."""
    task = task_of(num_users=12, num_stations=3, twin_capacity=12, area_m=300.0, separation_m=50.0, shadowing_db=0.0)
    slot = task.slot()
    slot.deadline_s[:] = 0.5
    solution = solve_slot(task.constants[0], slot, deadlines="hard")
    assert solution.infeasible and "MILP" in solution.proof
    slot.deadline_s[:] = 7.0
    assert solve_slot(task.constants[0], slot, deadlines="hard").gap < 1e-7


def test_deadlines_met_exactly():
    """A user is in time if its deadline equals its latency, or is less than the tolerance below it."""
    task = task_of(1, num_users=8, num_stations=3, twin_capacity=5)
    slot = task.slot()
    best = solve_slot(task.constants[0], slot, deadlines="ignore")
    found = new_terms(1, 8, 3)
    evaluate(task.constants[0], slot, np.isin(np.arange(3), best.action), best.action, found, 0)
    for excess, met in ((0.0, True), (0.5e-9, True), (1e-8, False)):
        late = slot._replace(deadline_s=found.users[0, 6] / (1.0 + excess))
        c = task.constants[0]
        for solution in (solve_slot(c, late, deadlines="hard"), program(c, late, "hard")):
            assert (solution.value == pytest.approx(best.value, rel=1e-12)) == met


@pytest.mark.parametrize("sharing", CHOICES["compute_sharing"])
def test_ties(sharing):
    """Stations and users that are all alike."""
    task = task_of(num_users=6, num_stations=3, twin_capacity=3, compute_sharing=sharing, host_cost=0.0)
    slot = task.slot()
    for field in (slot.data_bits, slot.update_bits, slot.compute_hz, slot.deadline_s, slot.gain_db):
        field[:] = field.flat[0]
    slot.wired_m[:] = 100.0
    for deadlines in DEADLINES:
        check(task.constants[0], slot, deadlines)


def test_weights_of_zero():
    task = task_of(num_users=6, num_stations=3, alpha=0.0, beta=0.0, deadline_penalty=0.0)
    for solution in (solve_slot(task.constants[0], task.slot()), program(task.constants[0], task.slot(), "penalised")):
        assert solution.value == solution.bound == 0.0


def test_users_without_data():
    task = task_of(num_users=6, num_stations=3, eta_s=0.0)
    slot = task.slot()
    slot.data_bits[:3] = 0.0
    for deadlines in DEADLINES:
        check(task.constants[0], slot, deadlines)
    slot.data_bits[:] = 0.0
    check(task.constants[0], slot, "penalised")


@pytest.mark.parametrize("sharing", CHOICES["compute_sharing"])
def test_links_that_carry_nothing(sharing):
    """A station out of reach is never chosen; a user without a station in reach is an error."""
    task = task_of(num_users=6, num_stations=3, twin_capacity=4, access="direct", compute_sharing=sharing)
    slot = task.slot()
    slot.gain_db[0, 0] = slot.gain_db[1, 1:] = -np.inf
    check(task.constants[0], slot, "penalised")
    slot.gain_db[1] = -np.inf
    with pytest.raises(ValueError, match=r"gain_db.*user 1"):
        solve_slot(task.constants[0], slot)
    crowded = slot._replace(capacity=np.array([2, 2, 2]))
    crowded.gain_db[:] = 0.0
    crowded.gain_db[:3, 1:] = -np.inf  # three users, room for two
    with pytest.raises(ValueError, match="gain_db"):
        program(task.constants[0], crowded, "ignore")


@pytest.mark.parametrize(
    "field, value",
    [
        *[("data_bits", np.nan), ("data_bits", -1.0), ("update_bits", np.inf), ("cycles_per_bit", -1.0)],
        *[("transmit_power_w", np.nan), ("deadline_s", np.nan), ("compute_hz", 0.0), ("wired_m", np.inf)],
        *[("gain_db", np.nan), ("access", 3), ("previous_server", -2), ("capacity", -1)],
    ],
)
def test_strange_slots_are_refused_by_name(field, value):
    task = task_of(num_users=6, num_stations=3)
    slot = task.slot()
    changed = np.array(getattr(slot, field))
    changed.flat[0] = value
    with pytest.raises(ValueError, match=field):
        solve_slot(task.constants[0], slot._replace(**{field: changed}))


def test_strange_settings_are_refused_by_name():
    task = task_of(num_users=6, num_stations=3)
    constants, slot = Constants.of(task.scenario), task.slot()
    for name in ("alpha", "beta", "host_cost", "move_cost", "deadline_penalty"):
        for value in (-1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match=name):
                solve_slot(constants._replace(**{name: value}), slot)
    for settings in ({"deadlines": "soft"}, {"gap": -1.0}, {"gap": math.nan}, {"time_limit": 0.0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            solve_slot(constants, slot, **settings)
    with pytest.raises(TypeError, match="constants"):
        solve_slot(task.scenario, slot)
    with pytest.raises(ValueError, match="latencies"):
        solve_slot(constants, slot._replace(compute_hz=np.full(3, 1e-300)))


def test_constants_of_both_kinds():
    task = task_of(num_users=6, num_stations=3)
    one, other = (solve_slot(c, task.slot()) for c in (task.constants[0], Constants.of(task.scenario)))
    assert one.value == other.value and one.action.tolist() == other.action.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_a_settled_past_is_a_relaxation(seed):
    task = random_task(seed, 300)
    record, slot = as_constants(task.constants[0]), check_slot(task.slot())
    with SolveBudget("", 60.0) as search:
        relaxed = solve_relaxed(costs_of(record, slot, settled=True), Part(search), 1e-9, [slot.access])
    assert relaxed.bound >= brute_force(record, slot, "penalised") - tolerance(relaxed.bound)


# Time, and larger slots


@pytest.mark.parametrize("preset", ["small-20x5", "small-50x5"])
def test_no_heuristic_beats_the_bound(preset):
    task = PlacementTask(PLACEMENT[preset].override(action="association"))
    for seed in range(2):
        task.reset(0, np.random.default_rng(seed))
        slot, obs = task.slot(), task.obs[0].copy()
        solution = solve_slot(task.constants[0], slot, time_limit=20.0)
        assert solution.gap <= 2e-5 * abs(solution.value)
        assert worth(task.constants[0], slot, solution.action, "penalised") == solution.value
        for name in agents.HEURISTICS["DTPlacementMA-v0"]:
            policy = agents.load(name, "DTPlacementMA-v0", scenario=task.scenario)
            policy.reset(seed)
            one = PlacementTask(task.scenario.override(**policy.overrides))
            one.reset(0, np.random.default_rng(seed))
            action = np.asarray(policy.act(obs))
            one.step(action[None] if one.mode == 3 else action.astype(float).reshape(1, slot.gain_db.shape[1], -1))
            assert one.reward() <= solution.bound + tolerance(solution.bound), name


def test_the_same_answer_again():
    task = task_of(5, num_users=20, num_stations=5)
    first, second = (solve_slot(task.constants[0], task.slot()) for _ in range(2))
    assert first.action.tolist() == second.action.tolist() and first.bound == second.bound


LARGE = {"num_users": 100, "num_stations": 10, "deadline_s": (1.5, 5.0)}


@pytest.mark.parametrize("access", ["strongest", "direct"])
def test_a_tiny_time_limit_leaves_an_association_and_a_bound(access):
    task = task_of(1, **LARGE, access=access)
    solution = solve_slot(task.constants[0], task.slot(), time_limit=1e-6)
    assert worth(task.constants[0], task.slot(), solution.action, "penalised") == solution.value
    assert solution.value <= solution.bound < 0.5 * solution.value


def test_interrupted_it_returns_what_it_has(capsys):
    task = task_of(1, **LARGE)
    solve_slot(task.constants[0], task.slot(), time_limit=1e-6)  # compiles
    interrupt = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    try:
        solution = solve_slot(task.constants[0], task.slot(), gap=0.0, time_limit=60.0, progress=True)
    finally:
        interrupt.cancel()
    assert solution.seconds < 20.0 and solution.gap > 0.0
    assert worth(task.constants[0], task.slot(), solution.action, "penalised") == solution.value
    assert "bound" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("deadlines", DEADLINES)
@pytest.mark.parametrize("preset", ["paper-100x10", "paper-80x5", "strict-100x10", "literal-100x10"])
def test_large_slots_are_proven(preset, deadlines):
    task = PlacementTask(PLACEMENT[preset])
    gaps = []
    for seed in range(3):
        task.reset(0, np.random.default_rng(seed))
        solution = solve_slot(task.constants[0], task.slot(), deadlines=deadlines)
        gaps.append(0.0 if solution.infeasible else solution.gap / abs(solution.value))
    assert np.median(gaps) <= 1e-4 and max(gaps) <= 2e-3
