"""MAPPO: its loss by hand, the market against the model, the networks by their symmetries, training by running it."""

import numpy as np
import pytest
import torch
from cases_marl import ENV, SMALL, Guess, task_of

from agents import mappo
from agents.networks import build
from agents.networks.decision import Decision
from agents.networks.market import FIRST, MarketReader, as_action, choices, equilibrium, even_prices
from agents.networks.placement import stations_see
from dtenv import presets
from dtenv.tasks.placement.decode import bids_of_prices, computing_size
from dtenv.tasks.placement.slot import TOTAL, evaluate, new_terms


def market_of(scenario, batch=6):
    task = task_of(scenario, batch)
    return task, MarketReader(scenario)(torch.tensor(task.obs))


def test_policy_loss_is_the_slow_sum():
    rng = np.random.default_rng(0)
    new, old, advantage = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(3))
    slow = 0.0
    for row in range(5):
        for k in range(3):
            ratio = np.exp(new[row, k] - old[row, k])
            slow -= min(ratio * advantage[row, k], np.clip(ratio, 0.8, 1.2) * advantage[row, k]) / 15
    loss = mappo.policy_loss(*map(torch.tensor, (new, old, advantage)), 0.2)
    assert loss.item() == pytest.approx(slow, rel=1e-5)


def test_prices_are_read_as_the_environment_decodes_them():
    """Users of the market go where the environment's bids are highest."""
    task, market = market_of(SMALL)
    price = torch.tensor(np.random.default_rng(1).uniform(0.3, 3.0, (6, 3)), dtype=torch.float32)
    expected = (market.detour + price[:, None]).argmin(-1)
    for b in range(6):
        bid = np.zeros((3, 8))
        bids_of_prices(task.constants[0], task.slot(b), as_action(price)[b].double().numpy(), bid)
        np.testing.assert_array_equal(bid.argmax(0), expected[b])
    size = [computing_size(task.constants[0], task.slot(2), u) for u in range(8)]
    np.testing.assert_allclose(market.size[2], np.array(size) / np.sum(size), rtol=1e-5)


def test_late_users_are_the_models():
    task, market = market_of(SMALL.override(deadline_s=(0.8, 2.0)))
    host = torch.zeros(6, 3)
    host[:, 1] = 1.0  # alone, so that loads and with them latencies are known
    price = (1.0 / market.compute[:, 1:2]).expand(6, 3)
    seen, terms = choices(market, host, price), new_terms(1, 8, 3)
    for b in range(6):
        evaluate(task.constants[0], task.slot(b), host[b].bool().numpy(), np.full(8, 1), terms, 0)
        assert seen.late[b].sum().item() * 8 == pytest.approx(terms.totals[0, TOTAL.violations])
    assert 0.0 < seen.late.sum() * 8 < 48


def test_equilibrium_balances_the_market():
    _, market = market_of(presets.resolve("paper-80x5", ENV, action="price"), 16)
    host = torch.ones(16, 5)
    price = equilibrium(market, host, even_prices(market, host), FIRST)
    chosen = torch.softmax(-FIRST[-1] * (market.detour + price[:, None]), -1)
    load = (chosen * market.size[..., None]).sum(1)
    torch.testing.assert_close(load / market.compute, price, atol=0.05, rtol=0.0)


def test_bounds_of_closing_hold_the_truth():
    """With splittable users, closing a station costs no less than `least` and no more than `most`."""
    _, market = market_of(presets.resolve("paper-80x5", ENV, action="price"), 16)
    sharp = (*FIRST, 200.0, 400.0, 800.0)

    def cost(host):
        price = equilibrium(market, host, even_prices(market, host), sharp)
        paid = (market.detour + (price + 1e3 * (1.0 - host))[:, None]).amin(-1) * market.size
        return price, (paid.sum(-1) - 0.5 * (market.compute * host * price.square()).sum(-1)) * market.worth

    price, before = cost(torch.ones(16, 5))
    seen = choices(market, torch.ones(16, 5), price)
    fewer = torch.ones(16, 5)
    fewer[:, 2] = 0.0
    closing = cost(fewer)[1] - before
    assert (closing > seen.least[:, 2] - 0.05).all() and (closing < seen.most[:, 2] + 0.05).all()


def test_stations_see_what_the_parallel_environment_shows_them():
    task = task_of(SMALL, watched=True)
    np.testing.assert_allclose(stations_see(task.layout.split(torch.tensor(task.obs))), task.station_obs, atol=1e-6)


@pytest.mark.parametrize("critic", ["central", "local"])
@pytest.mark.parametrize("kind", ["exchange", "own"])
def test_judging_an_action_gives_the_log_probability_it_was_drawn_with(kind, critic):
    torch.manual_seed(0)
    obs = torch.tensor(task_of(SMALL).obs)
    network = build(ENV, kind, SMALL, critic=critic).eval()
    drawn = network(obs)
    judged = network(obs, drawn.action)
    torch.testing.assert_close(judged.log_prob, drawn.log_prob, atol=1e-4, rtol=1e-4)
    assert drawn.action.shape == (6, 6) and drawn.log_prob.shape == (6, 3)
    assert drawn.value.shape == ((6,) if critic == "central" else (6, 3))


def test_permuting_stations_permutes_the_decision():
    torch.manual_seed(0)
    task, network = task_of(SMALL), build(ENV, "exchange", SMALL).eval()
    order = torch.tensor([2, 0, 1])
    view = task.layout.split(torch.tensor(task.obs))
    parts = view["users"], view["stations"][:, order], view["links"][:, :, order]
    plain = network(torch.tensor(task.obs), greedy=True)
    moved = network(torch.cat([part.flatten(1) for part in parts], 1), greedy=True)
    expected = plain.action.unflatten(1, (3, 2))[:, order].flatten(1)
    torch.testing.assert_close(moved.action, expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(moved.value, plain.value, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["exchange", "own"])
def test_hosts_of_draws_have_room_for_all(kind):
    torch.manual_seed(0)
    task, network = task_of(SMALL), build(ENV, kind, SMALL)
    if kind == "exchange":
        network.close[-1].bias.data.fill_(5.0)  # all would close
    hosts = network(torch.tensor(task.obs)).action.unflatten(1, (3, 2))[..., 0] > 0.5
    if kind == "exchange":
        assert (hosts.sum(1) * task.fixed.capacity[0] >= 8).all()
        assert hosts.sum(1).max() == 2  # of three, with room for six each


class Linear(torch.nn.Module):
    """A linear guess with noise."""

    def __init__(self):
        super().__init__()
        self.mean, self.critic = torch.nn.Linear(1, 1), torch.nn.Linear(2, 1)

    def forward(self, obs, action=None, greedy=False):
        return self.judge(self.look(obs), action, greedy)

    def look(self, obs, action=None, greedy=False):
        return Shown(obs)

    def judge(self, seen, action=None, greedy=False):
        guess = torch.distributions.Normal(self.mean(seen.obs[..., None]).squeeze(-1), 0.1)
        if action is None:
            number = guess.mean if greedy else guess.sample()
            action = torch.stack([torch.ones_like(number), number], -1).flatten(1)
        log_prob = guess.log_prob(action.unflatten(1, (2, 2))[..., 1])
        return Decision(action, log_prob, guess.entropy(), self.critic(seen.obs).squeeze(-1))


class Shown:
    def __init__(self, obs):
        self.obs = obs

    def rows(self, index):
        return Shown(self.obs[index])


def test_learns_to_name_what_it_is_shown():
    args = mappo.Args(total_steps=16_000, num_envs=32, num_steps=8, learning_rate=0.02)
    policy = mappo.train(args, envs=Guess(32), network=Linear())
    envs = Guess(256)
    obs, _ = envs.reset(seed=1)
    assert envs.step(policy.act(obs))[1].mean() > -0.03
