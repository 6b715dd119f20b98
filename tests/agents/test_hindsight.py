"""Hindsight learning: expected scores against enumeration and the environment."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from agents import hindsight
from agents.networks.migration import Equivariant
from agents.training.checkpoint import NetworkPolicy
from agents.training.rollout import training_envs
from benchmarks.evaluate import run_episodes
from dtenv import presets

SMALL = presets.resolve("balanced", "DTMigration-v0", num_users=12, num_stations=4, num_slots=20)
ARGS = hindsight.Args(num_envs=4, minibatch=2, updates=2, total_steps=4 * 4 * 20)


def test_expected_scores_are_those_of_all_paths():
    """Three slots, three stations: the sum over 27 paths of probability times score."""
    generator = torch.Generator().manual_seed(0)
    log_prob = torch.randn(3, 2, 3, 3, generator=generator).log_softmax(-1)
    worth, price = torch.randn(3, 2, 3, generator=generator), torch.rand(2, 3, 3, generator=generator)
    found = hindsight.expected_score(log_prob, worth, price)
    for b, first in itertools.product(range(2), range(3)):
        expected = 0.0
        for path in itertools.product(range(3), repeat=3):
            chance, score, at = 1.0, 0.0, first
            for t, to in enumerate(path):
                chance *= log_prob[t, b, at, to].exp().item()
                score += worth[t, b, to].item() - price[b, at, to].item()
                at = to
            expected += chance * score
        assert found[b, first].item() == pytest.approx(expected, abs=1e-5)


def test_gains_of_the_greedy_policy_are_the_environments():
    torch.manual_seed(0)
    network = Equivariant(SMALL, stay=1.0)
    torch.nn.init.normal_(network.score.weight)
    recorder = hindsight.EpisodeRecorder(training_envs(ARGS, SMALL, 5), network.read, 70)
    recording = recorder.record()
    with torch.no_grad():
        told = hindsight.gained(network, recording, greedy=True) + 0.0
    rows = run_episodes(NetworkPolicy("network", network), "DTMigration-v0", SMALL, range(70, 75))
    assert sum(row["migrations"] for row in rows) > 0
    never = recorder.score
    assert never + told.mean().item() == pytest.approx(np.mean([row["score"] for row in rows]), abs=1e-4)


def test_draws_are_episodes_of_the_recordings():
    network = Equivariant(SMALL)
    recorder = hindsight.EpisodeRecorder(training_envs(ARGS, SMALL, 3), network.read, 0)
    recordings = [recorder.record(), recorder.record()]
    every = torch.cat([recording.worth for recording in recordings], 1)[0, :, 0, 0, 0]
    drawn = hindsight.draw(recordings, 4, torch.Generator().manual_seed(0)).worth[0, :, 0, 0, 0]
    assert len(drawn) == 4 and len(set(drawn.tolist())) == 4 and set(drawn.tolist()) <= set(every.tolist())


def test_it_learns():
    """From a loss to a gain over never moving, within seconds."""
    gains = []
    args = dataclasses.replace(ARGS, num_envs=16, minibatch=8, updates=6, total_steps=16 * 80 * 16)
    longer = SMALL.override(num_slots=80)
    hindsight.train(args, scenario=longer, report=lambda row: gains.append(row["charts/gained"]))
    assert gains[0] < -0.1 and np.mean(gains[-3:]) > 0.01


def test_twins_that_the_agent_moves_together_are_refused():
    with pytest.raises(ValueError, match="focal"):
        hindsight.train(ARGS, scenario=SMALL.override(control="joint"))
