"""Transfer: the three formulas by hand, and learning with and without sources."""

import dataclasses

import numpy as np
import pytest
import torch

from agents import transfer
from benchmarks.transfer import samples_needed
from dtenv import presets

SMALL = presets.resolve("balanced", "DTMigration-v0", num_users=12, num_stations=4, num_slots=12)
ARGS = transfer.Args(source_rounds=2, rounds=2, num_envs=2, minibatch=2, updates=1)


def test_weights_are_the_shares_of_slots_and_sum_to_one():
    walked = torch.tensor([[1.0, 4.0], [5.0, 5.1], [9.0, 12.0], [15.0, 99.0]])
    weights = transfer.trajectory_weights(walked, [5.0, 10.0, 15.0])
    torch.testing.assert_close(weights, torch.tensor([3 / 8, 2 / 8, 3 / 8]))
    assert weights.sum().item() == pytest.approx(1.0)


def test_a_single_source_has_all_the_weight():
    torch.testing.assert_close(transfer.trajectory_weights(torch.rand(3, 2), [5.0]), torch.ones(1))


def test_aggregation_is_the_weighted_sum():
    models = [{"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([3.0, -2.0])}]
    mean = transfer.aggregate(models, torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(mean["a"], torch.tensor([2.5, -1.0]))


def test_the_pull_is_convex():
    network = torch.nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(0.0)
    transfer.pull(network, {"weight": torch.tensor([[4.0]]), "bias": torch.tensor([1.0])}, 0.25)
    assert network.weight.item() == pytest.approx(2.5) and network.bias.item() == pytest.approx(0.25)


def test_the_first_model_is_the_sources_mean():
    torch.manual_seed(0)
    sources = transfer.source_places(ARGS, SMALL)
    for source in sources:
        transfer.source_round(source, 0.0)
    target = transfer.Place(ARGS, SMALL, 5)
    model = transfer.arrive(target, sources)
    weights = transfer.trajectory_weights(target.episodes[0].walked_m, [5.0, 10.0, 15.0])
    expected = sum(w * source.network.score.weight for w, source in zip(weights, sources, strict=True))
    torch.testing.assert_close(model["score.weight"], expected)
    torch.testing.assert_close(target.network.score.weight, expected)
    assert target.experience == 2 and len({source.scenario.num_sites for source in sources}) == 3


def test_sources_change_the_policy():
    policies = (transfer.train(args, scenario=SMALL) for args in (ARGS, dataclasses.replace(ARGS, sources=())))
    transferred, scratch = (torch.nn.utils.parameters_to_vector(p.network.parameters()) for p in policies)
    assert not torch.equal(transferred, scratch)


def test_samples_needed_are_counted_to_the_first_time():
    grades = np.array([[0.1, 0.9, 0.8], [0.1, 0.2, 0.3]])
    np.testing.assert_array_equal(samples_needed(np.array([0, 10, 20]), grades, 0.85), [10.0, np.inf])
