"""Energy of models, neglected by (Zhou 2025): per server with twins, in every term, and in the optimum."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math

import gymnasium as gym
import numpy as np
import pytest
from cases_association import COMPRESSED, all_associations, best_of_all
from reference_association import instance_of, random_instance, terms

from agents.heuristics.association_search import local_search
from dtenv import presets
from dtenv.instance import optimum, score
from dtenv.oracle.association import slot as slot_module
from dtenv.oracle.association import solve_episode, solve_slot
from dtenv.oracle.association.columns import Pricing
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.association.sets import sets_above, worth_of_sets
from dtenv.oracle.replay import replay
from dtenv.oracle.solution import tolerance
from dtenv.scenario.association import AssociationScenario
from dtenv.tasks.association.allocation import work_arrays
from dtenv.tasks.association.slot import Constants, server_score
from dtenv.tasks.association.task import AssociationTask
from dtenv.utility_profile import UtilityProfile

BITS = {"none": 0.0, "uplink": 8 * 1e3 * 3, "both": 8 * 5e3 * 3}  # of COMPRESSED


def sending(**settings) -> AssociationScenario:
    return presets.resolve("balanced", **{"utility": COMPRESSED, "model_transfer": "uplink", "n_agg": 1e-3} | settings)


def sending_task(seed: int, users: int = 4, servers: int = 3, slots: int = 3, n_agg: float | None = None):
    """A small episode in which hosting costs almost nothing, as much as a twin, or the most that Norm can."""
    rng = np.random.default_rng(seed)
    scenario = sending(
        num_users=users,
        num_servers=servers,
        num_slots=slots,
        n_agg=float(rng.choice([1e-6, 1e-3, 1e-2, 1.0])) if n_agg is None else n_agg,
        n_mig=float(rng.choice([0.0, 1e-6, 1e-4])),
        n_syn=float(rng.choice([0.1, 3.0])),
        compute_capacity=(400.0, float(rng.choice([500.0, 1500.0]))),
    )
    task = AssociationTask(scenario)
    task.reset(0, rng)
    task.state.server[0] = rng.integers(servers, size=users)
    return task


def test_bits_of_a_slot():
    for directions, bits in BITS.items():
        scenario = sending(model_transfer=directions)
        assert scenario.model_bits == bits
        assert Constants.of(scenario).transfer == pytest.approx(1e-3 * bits, rel=1e-15)
    assert sending(n_agg=None).n_agg == 1e-4 * 120.0  # n_mig over the side of the square
    assert sending(n_agg=None, area_m=50.0, n_mig=1e-3).n_agg == 1e-3 * 50.0


@pytest.mark.parametrize("missing", ["uplink_bytes", "downlink_bytes", "rounds"])
def test_what_a_profile_does_not_state_is_named(missing):
    profile = dataclasses.replace(COMPRESSED, **{missing: None})
    with pytest.raises(ValueError, match=f"{missing} of utility 'compressed' must be stated for model_transfer 'both'"):
        sending(utility=profile, model_transfer="both")
    if missing == "downlink_bytes":
        assert sending(utility=profile).model_bits == BITS["uplink"]
    sending(utility=profile, model_transfer="none")


def test_one_twin_by_hand():
    """A user on its server, at no distance: e = .3 ρ(D) - .7 / 2 tanh((cmp + M) / 4 f0)."""
    scenario = sending(num_users=1, num_servers=2, history="none", n_agg=0.01, samples=(100, 100), speed_mps=(0.0, 0.0))
    task = AssociationTask(scenario)
    task.reset(0, np.random.default_rng(0))
    task.tape.server_xy[0, 1] = task.tape.user_xy[0, 1, 0]
    task.tape.cycles_per_bit[0] = 55.0
    task.tape.emd[0] = 0.2
    task.state.server[0] = 1
    task.step(np.array([[1]]))
    info = task.info()
    computed = 1e-7 * 55 * 100 * 784 * 60 * 1.3  # (15): 33.63, with the compute factor
    model = 0.01 * 8 * 1000 * 3  # 240
    v = 0.95 * math.exp(-(((0.7238 + 0.2) / 1.806) ** 2))
    rho = v - 0.2136 * math.exp(-3.603 * (0.0013 * 100) ** v)
    assert info["energy_transfer"] == pytest.approx(240.0, rel=1e-12)
    assert info["energy_computation"] == pytest.approx(computed, rel=1e-12)
    assert info["energy"] == pytest.approx(computed + model, rel=1e-12)
    assert info["objective"] == pytest.approx(0.3 * rho - 0.35 * math.tanh((computed + 240.0) / 800.0), rel=1e-12)
    assert task.terms.energy[0, 0].tolist() == [0.0] * 4  # an empty server sends nothing


@pytest.mark.parametrize("directions", BITS)
def test_every_server_with_twins_pays_once(directions):
    env = gym.make("DTAssociation-v0", scenario=sending(model_transfer=directions)).unwrapped
    env.reset(seed=2)
    rng = np.random.default_rng(0)
    for most in (1, 4, 15):
        action = rng.integers(most, size=20)
        instance = instance_of(env.task.slot(), env.scenario, action)
        info = env.step(action)[4]
        hosts = len(set(action.tolist()))
        assert info["energy_transfer"] == pytest.approx(hosts * 1e-3 * BITS[directions], rel=1e-12)
        parts = ("migration", "synchronisation", "computation", "transfer")
        assert info["energy"] == pytest.approx(sum(info[f"energy_{part}"] for part in parts), rel=1e-12)
        assert info["objective"] == pytest.approx(terms(instance, info["history"])["objective"], abs=1e-9)


def test_no_transfer_of_free_bits_and_of_no_bits_are_one_model():
    found = []
    for settings in ({"model_transfer": "none"}, {"n_agg": 0.0}):
        env = gym.make("DTAssociation-v0", scenario=sending(**settings)).unwrapped
        env.reset(seed=3)
        infos = [env.step(np.arange(20) % 7)[4] for _ in range(3)]
        found.append([np.array(info[key]).tolist() for info in infos for key in sorted(info)])
    assert found[0] == found[1]


def test_rows_of_a_batch_are_single_environments():
    scenario = sending(num_slots=3)
    envs = gym.make_vec("DTAssociation-v0", num_envs=3, vectorization_mode="vector_entry_point", scenario=scenario)
    envs.reset(seed=[5, 6, 7])
    actions = np.random.default_rng(0).integers(15, size=(3, 20))
    rewards, infos = envs.step(actions)[1::3]
    for b in range(3):
        env = gym.make("DTAssociation-v0", scenario=scenario)
        env.reset(seed=5 + b)
        _, reward, _, _, info = env.step(actions[b])
        assert (reward, info["energy_transfer"]) == (rewards[b], infos["energy_transfer"][b])
        assert info["energy_transfer"] > 0.0


def test_the_allocation_stays_exact_beside_it():
    """The certificate holds, and no other γ of a fine grid does better."""
    rng = np.random.default_rng(8)
    for seed in range(8):
        task = sending_task(seed, users=2, servers=2)
        server = rng.integers(2, size=2)
        instance = instance_of(task.slot(), task.scenario, server)
        problem = Problem(task.constants[0], task.slot(), penalised=True)
        gamma = problem.history(server)
        best = terms(instance, gamma.tolist())["objective"]
        limits = np.array(instance["servers"]["compute_capacity"])
        for a in np.linspace(0, 1, 21):
            for b in np.linspace(0, 1, 21):
                other = terms(instance, [a, b])
                if (np.array(other["energy"]["computation"]) <= limits).all():
                    assert other["objective"] <= best + 1e-9


def test_an_empty_server_is_worth_nothing():
    task = sending_task(1)
    alone, work, room = np.full(4, -1), work_arrays(4), np.zeros(4)
    assert server_score(task.constants[0], task.slot(), alone, 0, *work, room, room.copy()) == 0.0
    members = np.array([[False] * 4, [True] + [False] * 3])
    worth = worth_of_sets(task.constants[0], task.slot(), 0, members, True, *work)
    assert worth[0] == 0.0 and worth[1] != 0.0


@pytest.mark.parametrize("seeds", [range(24), pytest.param(range(1000, 1200), marks=pytest.mark.slow)], ids=str)
def test_the_optimum_of_a_slot_against_all_associations(seeds, monkeypatch):
    hosts = set()
    for seed in seeds:
        task = sending_task(seed)
        best = best_of_all(task)
        for constraints, value in best.items():
            for few_users in (9, 0):  # enumeration, column generation
                monkeypatch.setattr(slot_module, "FEW_USERS", few_users)
                solution = solve_slot(task.constants[0], task.slot(), constraints=constraints)
                if value == -np.inf:
                    assert solution.infeasible
                    continue
                assert solution.value == pytest.approx(value, abs=1e-9), (seed, constraints, few_users)
                assert value <= solution.bound <= value + 2e-9, (seed, constraints, few_users)
                hosts.add(len(set(solution.action.tolist())))
    assert {1, 2} <= hosts


@pytest.mark.parametrize("penalised", [True, False])
def test_prices_bound_every_set_and_no_set_above_is_missed(penalised):
    for seed in range(12):
        task = sending_task(100 + seed, users=6, servers=2)
        problem = Problem(task.constants[0], task.slot(), penalised)
        members = (np.arange(64)[:, None] >> np.arange(6)) & 1 == 1
        pricing = Pricing(problem, 24)
        for scale in (0.0, 0.02):
            dual = np.random.default_rng(seed).normal(scale, 0.01, 6)
            bound, _ = pricing.bound(dual)
            for s in range(2):
                worth = worth_of_sets(problem.c, problem.slot, s, members, penalised, *work_arrays(6))
                reduced = worth - members @ dual
                assert max(pricing.top[s], 0.0) >= reduced.max() - 1e-12
                least = float(np.median(reduced[reduced > -np.inf]))
                sets = np.zeros(10_000, np.int64)
                count = sets_above(pricing.prices, s, dual, pricing.multiplier[s], least, sets)
                wanted = set(np.flatnonzero(reduced >= least + 1e-12)) - {0}
                assert wanted <= set(sets[:count])
            assert bound >= best_of_all(task)["penalised" if penalised else "hard"] - 1e-12


def test_the_optimum_of_an_instance_counts_it():
    instance = random_instance(np.random.default_rng(4), 5, 3, n_agg=1e-3, model_bits=2e5, n_syn=3.0)
    found = optimum(instance)
    report = score(instance | {"action": found.action})
    assert report["objective"] == pytest.approx(found.value, abs=1e-12)
    assert sum(report["energy"]["transfer"]) == pytest.approx(200.0 * len(set(found.action["server"])), rel=1e-12)
    free = copy.deepcopy(instance)
    free["params"]["model_bits"] = 0.0
    assert optimum(free).value > found.value


def test_an_episodes_bound_holds_for_every_plan():
    for seed in range(4):
        task = sending_task(200 + seed, users=3, servers=2)
        solution = solve_episode(task)
        best = max(
            float(np.mean(replay(task, 0, plan))) for plan in itertools.product(all_associations(task), repeat=3)
        )
        assert solution.value <= best + 1e-9
        assert best <= solution.bound + tolerance(best)
        assert np.mean(replay(task, 0, solution.action)) == pytest.approx(solution.value, abs=1e-12)


def test_local_search_pays_for_it():
    """Its plan scores higher in the environment than moving one twin, and than a plan that ignores transfer."""
    size = {"num_users": 12, "num_servers": 8, "n_agg": 5e-3}
    for seed in (1, 3):
        found, scores = [], []
        judge = AssociationTask(sending(**size))
        for directions in ("uplink", "none"):
            task = AssociationTask(sending(**size, model_transfer=directions))
            for one in (task, judge):
                one.reset(0, np.random.default_rng(seed))
                one.state.server[0] = np.random.default_rng(seed).integers(8, size=12)
            server = np.zeros(12, np.int64)
            local_search(task.constants[0], task.slot(), server)
            found.append(server)
            scores.append(replay(judge, 0, [server])[0])
        assert scores[0] > scores[1] + 0.005
        assert len(set(found[0].tolist())) < len(set(found[1].tolist()))
        moves = [np.where(np.arange(12) == u, s, found[0]) for u in range(12) for s in range(8)]
        assert max(replay(judge, 0, [move])[0] for move in moves) <= scores[0] + 2e-6


def compressed_by(factor: float) -> UtilityProfile:
    return dataclasses.replace(COMPRESSED, name=f"by-{factor:g}", uplink_bytes=2e5 / factor)


def test_compression_changes_the_best_association_where_models_are_charged_and_nowhere_else():
    """Curves that differ in bytes only: twins gather on few servers if models are expensive, and spread if cheap."""
    hosts, plain = {}, {}
    for factor in (1.0, 1000.0):
        settings = {"utility": compressed_by(factor), "num_users": 6, "num_servers": 4, "n_agg": 1e-3}
        for found, directions in ((hosts, "uplink"), (plain, "none")):
            task = AssociationTask(presets.resolve("balanced", **settings, model_transfer=directions))
            task.reset(0, np.random.default_rng(3))
            task.state.server[0] = [0, 1, 2, 3, 0, 1]
            found[factor] = solve_slot(task.constants[0], task.slot()).action.tolist()
    assert plain[1.0] == plain[1000.0] == hosts[1000.0]
    assert len(set(hosts[1.0])) < len(set(hosts[1000.0]))


def test_the_network_sees_what_a_server_costs_once_it_hosts_anybody():
    """Deciding and scoring agree, and the price of a model changes the scores."""
    torch = pytest.importorskip("torch")
    from agents.networks import build

    obs = torch.as_tensor(gym.make("DTAssociation-v0", scenario=sending()).reset(seed=0)[0])[None]
    found = []
    for n_agg in (0.0, 0.05):
        torch.manual_seed(0)
        network = build("DTAssociation-v0", "equivariant", sending(n_agg=n_agg))
        torch.manual_seed(1)
        decided = network(obs)
        judged = network(obs, decided.action)
        torch.testing.assert_close(decided.log_prob, judged.log_prob, rtol=0.0, atol=1e-5)
        found.append(network(obs, torch.arange(20)[None] % 15).log_prob)
    assert (found[0] - found[1]).abs().max() > 1e-4
