"""The network for DTMigration-v0 and its reader: symmetries, masks, and scores equal to the environment's."""

import numpy as np
import pytest
import torch

from agents.networks.migration import Equivariant
from agents.networks.station_features import FeatureExtractor
from dtenv import presets
from dtenv.oracle.migration.row import play
from dtenv.tasks.migration.task import MigrationTask

SMALL = presets.resolve("balanced", "DTMigration-v0", num_users=12, num_stations=5, num_slots=30)
JOINT = SMALL.override(control="joint", num_slots=6)


def played(scenario, batch=6, slots=4, seed=0):
    """A task some random slots into its episodes."""
    task = MigrationTask(scenario, batch)
    for b in range(batch):
        task.reset(b, np.random.default_rng(b))
    rng = np.random.default_rng(seed)
    for _ in range(slots):
        task.step(rng.integers(scenario.network.num_stations, size=task.mask.shape[:2]))
    return task


def network_for(scenario):
    """Initial scores are next to nothing; these are not."""
    torch.manual_seed(0)
    network = Equivariant(scenario, stay=0.5)
    torch.nn.init.normal_(network.score.weight)
    return network


@pytest.mark.parametrize("scenario", [SMALL, JOINT], ids=["focal", "joint"])
def test_permuting_stations_permutes_the_scores(scenario):
    task, network = played(scenario), network_for(scenario)
    order = torch.tensor([2, 0, 4, 3, 1])
    view = task.layout.split(torch.tensor(task.obs))
    shuffled = torch.cat(
        [
            view["users"].flatten(1),
            view["stations"][:, order].flatten(1),
            view["links"][:, :, order].flatten(1),
            view["forecast"][:, :, order].flatten(1),
        ],
        1,
    )
    plain, moved = network(torch.tensor(task.obs), greedy=True), network(shuffled, greedy=True)
    torch.testing.assert_close(order[moved.action], plain.action)
    torch.testing.assert_close(moved.log_prob, plain.log_prob, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(moved.value, plain.value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("scenario", "shape"), [(SMALL, (6,)), (JOINT, (6, 12))], ids=["focal", "joint"])
def test_judging_gives_the_log_probability_it_was_drawn_with(scenario, shape):
    obs, network = torch.tensor(played(scenario).obs), network_for(scenario)
    drawn = network(obs)
    judged = network(obs, drawn.action)
    torch.testing.assert_close(judged.log_prob, drawn.log_prob)
    assert drawn.action.shape == shape and drawn.log_prob.shape == drawn.entropy.shape == (6, *(shape[1:] or (1,)))
    assert drawn.value.shape == (6,)


def test_full_stations_are_never_chosen():
    task = played(JOINT.override(num_users=15, twin_capacity=3), slots=6)  # every seat is taken
    assert not task.mask.all()
    network = network_for(SMALL.override(control="joint", num_users=15, twin_capacity=3))
    for _ in range(20):
        chosen = network(torch.tensor(task.obs)).action.numpy()
        assert np.take_along_axis(task.mask, chosen[..., None], 2).all()


def test_worth_less_price_is_the_score_but_for_what_stations_share():
    task = played(SMALL)
    outlook = FeatureExtractor(SMALL)(torch.tensor(task.obs))
    for b in range(6):
        here = task.server(b)
        told = outlook.worth[b, 0, :, 0] - outlook.price[b, 0, here]
        scores = np.array([play(task, b, np.array([[k]]))[0] for k in range(5)])
        np.testing.assert_allclose((told - told[here]).numpy(), scores - scores[here], atol=2e-4)


def test_all_but_the_host_is_the_same_wherever_the_twin_is():
    """Hindsight learning relies on it."""
    first, second = (FeatureExtractor(SMALL)(torch.tensor(played(SMALL, slots=8, seed=seed).obs)) for seed in (1, 2))
    assert (first.host != second.host).any()
    for name in ("station", "worth", "price", "wired", "room", "walked_m"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), atol=1e-4, rtol=1e-4)


def test_moves_from_the_host_are_the_decision():
    obs, network = torch.tensor(played(SMALL).obs), network_for(SMALL)
    outlook = network.read(obs)
    rows, host = torch.arange(6), outlook.host[:, 0].argmax(-1)
    moves = network.moves(outlook)[rows, 0, host]
    for k in range(5):
        judged = network(obs, torch.full((6,), k)).log_prob[:, 0]
        torch.testing.assert_close(moves[:, k], judged, atol=1e-4, rtol=1e-4)


def test_weights_serve_other_numbers_of_stations_and_users():
    larger = SMALL.override(num_stations=9, num_users=20, horizon=4)
    network = Equivariant(larger)
    network.load_state_dict(network_for(SMALL).state_dict())
    assert network(torch.tensor(played(larger).obs), greedy=True).action.max() < 9
