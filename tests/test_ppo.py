"""PPO: estimates checked by hand, networks by their symmetries, training by running it."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents
import dtenv  # noqa: F401
from agents import ppo
from agents.checkpoint import NetworkPolicy, save_policy
from agents.dagger import clone
from agents.networks import Equivariant, Perceptron
from benchmarks.demo import Demo
from benchmarks.evaluate import EVALUATION_SEEDS, run_episodes
from benchmarks.statistics import paired_difference
from dtenv import presets
from dtenv.tasks.association import AssociationTask
from dtenv.tasks.association_slot import fresh_load, link_energy

SMALL = presets.resolve("balanced", num_users=5, num_servers=4, num_slots=6)


def observations(scenario, batch=8):
    task = AssociationTask(scenario, batch)
    for b in range(batch):
        task.begin(b, np.random.default_rng(b))
    task.advance(np.random.default_rng(0).integers(scenario.network.num_servers, size=task.state.server.shape))
    return task


def test_advantages_by_hand():
    """Two steps, γ = .5, λ = .5: A_1 = δ_1, A_0 = δ_0 + .25 A_1."""
    rewards, values = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [1.0], [4.0]])
    no = torch.zeros(2, 1, dtype=torch.bool)
    result = ppo.advantages(rewards, values, no, no, 0.5, 0.5)
    torch.testing.assert_close(result, torch.tensor([[1.0 + 0.25 * 3.0], [3.0]]))


def test_truncation_bootstraps_and_termination_does_not():
    rewards, values = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [1.0], [4.0]])
    no, first = torch.zeros(2, 1, dtype=torch.bool), torch.tensor([[True], [False]])
    truncated = ppo.advantages(rewards, values, no, first, 0.5, 0.5)
    terminated = ppo.advantages(rewards, values, first, no, 0.5, 0.5)
    assert truncated[0].item() == pytest.approx(1.0 + 0.5 * 1.0 - 0.5)  # bootstraps, sees nothing of step 1
    assert terminated[0].item() == pytest.approx(1.0 - 0.5)
    assert truncated[1].item() == terminated[1].item() == pytest.approx(3.0)


@pytest.mark.parametrize("kind", [Perceptron, Equivariant])
def test_judging_an_action_gives_the_log_probability_it_was_drawn_with(kind):
    torch.manual_seed(0)
    obs = torch.tensor(observations(SMALL).obs)
    network = kind(SMALL)
    drawn = network(obs)
    judged = network(obs, drawn.action)
    torch.testing.assert_close(judged.log_prob, drawn.log_prob, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(judged.value, drawn.value)
    assert drawn.action.shape == drawn.log_prob.shape == (8, 5) and drawn.value.shape == (8,)


def test_draws_follow_the_probabilities():
    torch.manual_seed(0)
    network = Equivariant(SMALL)
    network.stay.data.fill_(1.0)
    obs = torch.tensor(observations(SMALL, 1).obs).repeat(4000, 1)
    with torch.no_grad():
        drawn = network(obs)
        first = torch.zeros_like(drawn.action[:4])
        first[:, 0] = torch.arange(4)
        expected = network(obs[:4], first).log_prob[:, 0].exp()  # user 0 decides first, so only its own choice counts
    shares = torch.bincount(drawn.action[:, 0], minlength=4) / 4000
    torch.testing.assert_close(shares, expected, atol=0.03, rtol=0.0)


def test_permuting_servers_permutes_the_decision():
    torch.manual_seed(0)
    task = observations(SMALL)
    network = Equivariant(SMALL)
    network.stay.data.fill_(0.0)
    order = torch.tensor([2, 0, 3, 1])
    view = task.layout.split(torch.tensor(task.obs))
    shuffled = torch.cat(
        [view["users"].flatten(1), view["servers"][:, order].flatten(1), view["links"][:, :, order].flatten(1)], 1
    )
    plain = network(torch.tensor(task.obs), greedy=True)
    moved = network(shuffled, greedy=True)
    torch.testing.assert_close(order[moved.action], plain.action)
    torch.testing.assert_close(moved.value, plain.value, atol=1e-5, rtol=1e-5)


def test_loads_read_back_are_the_models():
    task = observations(SMALL)
    loads = Equivariant(SMALL).loads(task.layout.split(torch.tensor(task.obs)))
    slot, c = task.slot(3), task.constants[0]
    for u in range(5):
        for s in range(4):
            assert loads.sync[3, u, s] == pytest.approx(link_energy(c, slot, u, s) / slot.sync_capacity[s], rel=1e-4)
            assert loads.compute[3, u, s] == pytest.approx(
                fresh_load(c, slot, u, s) / slot.compute_capacity[s], rel=1e-4
            )


def test_equivariant_weights_serve_other_sizes(tmp_path):
    save_policy(tmp_path / "p.safetensors", Equivariant(SMALL), {})
    larger = presets.resolve("balanced", num_users=7, num_servers=11)
    action = agents.load("ppo", scenario=larger, checkpoint=tmp_path / "p.safetensors").act(observations(larger).obs)
    assert action.shape == (8, 7) and action.max() < 11


@pytest.mark.parametrize(("network", "warm_start"), [("equivariant", "hysteresis"), ("perceptron", "none")])
def test_training_runs_repeats_and_its_policy_reloads(tmp_path, network, warm_start):
    args = ppo.Args(network=network, warm_start=warm_start, warm_start_slots=32, total_steps=128, num_envs=4)
    args = dataclasses.replace(args, num_steps=8, num_minibatches=2, value_updates=1, save=tmp_path / "p.safetensors")
    rows: list[dict] = []
    policy = ppo.train(args, SMALL, rows.append)
    obs = observations(SMALL).obs
    again = ppo.train(dataclasses.replace(args, save=None), SMALL)
    np.testing.assert_array_equal(policy.act(obs), again.act(obs))
    for a, b in zip(policy.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.0, atol=0.0)
    other = ppo.train(dataclasses.replace(args, seed=2, save=None), SMALL)
    assert any((a != b).any() for a, b in zip(policy.network.parameters(), other.network.parameters(), strict=True))
    loaded = agents.load("ppo", scenario=SMALL, checkpoint=tmp_path / "p.safetensors")
    np.testing.assert_array_equal(policy.act(obs), loaded.act(obs))
    assert rows[-1]["charts/progress"] == 1.0 and all(np.isfinite(rows[-1][k]) for k in rows[-1] if "losses" in k)


def test_updates_follow_the_reward():
    """Two users, two servers, migration dear: the perceptron starts out at random and learns to leave twins alone."""
    torch.manual_seed(0)
    scenario = presets.resolve("balanced", num_users=2, num_servers=2, num_slots=8)
    args = ppo.Args(network="perceptron", warm_start="none", num_envs=32, num_steps=16, num_minibatches=8, num_slots=8)
    args = dataclasses.replace(args, total_steps=30_000, learning_rate=2e-3, update_epochs=4)
    untrained = NetworkPolicy("ppo", Perceptron(scenario))
    trained = ppo.train(args, scenario)
    seeds = EVALUATION_SEEDS[:32]
    before, after = (run_episodes(p, "DTAssociation-v0", scenario, seeds) for p in (untrained, trained))
    assert np.mean([row["score"] for row in after]) > np.mean([row["score"] for row in before]) + 0.05


def test_cloning_takes_after_the_expert():
    torch.manual_seed(0)
    scenario = SMALL
    envs = gym.make_vec("DTAssociation-v0", 8, vectorization_mode="sync", scenario=scenario)
    network = Equivariant(scenario)
    expert = agents.load("nearest", scenario=scenario)
    obs = observations(scenario, 32).obs
    before = (NetworkPolicy("ppo", network).act(obs) == expert.act(obs)).mean()
    clone(network, expert, envs, slots=1600, rounds=2, epochs=10, stride=1, minibatch=32)
    after = (NetworkPolicy("ppo", network).act(obs) == expert.act(obs)).mean()
    assert after > 0.8 > before


def test_checkpoints_that_do_not_fit_say_so(tmp_path):
    path = tmp_path / "p.safetensors"
    save_policy(path, Perceptron(SMALL), {})
    with pytest.raises(ValueError, match="num_servers=9"):
        agents.load("ppo", scenario="balanced", num_servers=9, checkpoint=path)
    with pytest.raises(ValueError, match="shipped"):
        agents.load("ppo", scenario="sequential")
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        agents.load("ppo", checkpoint=tmp_path / "none.safetensors")


@pytest.mark.slow
def test_ppo_beats_hysteresis_on_balanced():
    """The demo's run, three training seeds: each ahead of hysteresis on held-out seeds, interval included."""
    scenario = presets.resolve("balanced", num_slots=60)
    seeds = EVALUATION_SEEDS[:24]
    hysteresis = run_episodes(agents.load("hysteresis", scenario=scenario), "DTAssociation-v0", scenario, seeds)
    for seed in (1, 2, 3):
        policy = ppo.train(ppo.Args(seed=seed, total_steps=Demo.total_steps), scenario)
        rows = hysteresis + run_episodes(policy, "DTAssociation-v0", scenario, seeds)
        assert paired_difference(rows, "ppo", "hysteresis").low > 0.0
