"""Federated rounds over DTMigration's twins and their miners' consensus: by hand, limits, and in `info`."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtenv.physics.aggregation import asynchronous_round, synchronous_round
from dtenv.physics.consensus import (
    dpos_energy,
    dpos_latency,
    dpos_messages,
    pbft_energy,
    pbft_latency,
    pbft_messages,
)
from dtenv.tasks.migration.rounds import aggregator_of

ID = "DTMigration-v0"
SMALL = {"num_users": 6, "num_stations": 4, "num_slots": 6, "control": "joint"}


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **(SMALL | settings)).unwrapped


# Consensus


def counted(n):
    """PBFT's normal case, message by message: replica 0 is the primary."""
    pre_prepare = [(0, j) for j in range(1, n)]
    prepare = [(i, j) for i in range(1, n) for j in range(n) if i != j]
    commit = [(i, j) for i in range(n) for j in range(n) if i != j]
    return len(pre_prepare + prepare + commit)


@pytest.mark.parametrize("n", [1, 2, 4, 7, 21])
def test_messages_are_those_that_are_sent(n):
    assert pbft_messages(n) == counted(n) == 2 * n * (n - 1)
    assert dpos_messages(n) == n - 1


def test_consensus_of_four_miners_by_hand():
    # A block of 1e5 bit takes .1 ms at 1 Gbit/s, a vote of 1e3 bit 1 µs; hops take 1 ms, checks .1 ms.
    assert dpos_latency(4, 1e5, 1e9, 1e-3, 1e-4) == pytest.approx(1e-3 + 3 * 1e-4 + 1e-4)
    votes = 2 * (1e-3 + 3 * 1e-6 + 3 * 1e-4)
    assert pbft_latency(4, 1e5, 1e3, 1e9, 1e-3, 1e-4) == pytest.approx(1.4e-3 + votes)
    assert dpos_energy(4, 1e5, 1e-8, 1e-3) == pytest.approx(3 * (1e-3 + 1e-3))
    assert pbft_energy(4, 1e5, 1e3, 1e-8, 1e-3) == pytest.approx(3 * 1e-3 + 21 * 1e-5 + 24 * 1e-3)


def test_consensus_grows_with_the_miners_and_that_of_pbft_faster():
    n = range(1, 200)
    pbft_s = [pbft_latency(k, 1e5, 1e3, 1e9, 1e-3, 1e-4) for k in n]
    dpos_s = [dpos_latency(k, 1e5, 1e9, 1e-3, 1e-4) for k in n]
    pbft_j = [pbft_energy(k, 1e5, 1e3, 1e-8, 1e-3) for k in n]
    dpos_j = [dpos_energy(k, 1e5, 1e-8, 1e-3) for k in n]
    for values in (pbft_s, dpos_s, pbft_j, dpos_j):
        assert (np.diff(values) > 0).all() and values[0] == 0.0
    assert all(a > b for a, b in zip(pbft_s[1:], dpos_s[1:], strict=True))
    assert pbft_j[160] / pbft_j[80] == pytest.approx(4.0, rel=0.05)  # O(n²) against O(n)
    assert dpos_j[160] / dpos_j[80] == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(("consensus", "seconds"), [("none", 0.0), ("dpos", 1.4e-3), ("pbft", 4.006e-3)])
def test_every_update_waits_for_the_miners(consensus, seconds):
    plain, other = make(), make(consensus=consensus)
    plain.reset(seed=0)
    other.reset(seed=0)
    for _ in range(4):
        action = plain.task.server()
        info, told = plain.step(action)[4], other.step(action)[4]
        assert told["latency"] == pytest.approx(info["latency"] + seconds, abs=1e-15)
        parts = sum(told[f"latency_{part}"] for part in ("wireless", "wired", "compute"))
        assert told.get("latency_consensus", 0.0) == pytest.approx(seconds)
        assert told["latency"] == pytest.approx(parts + seconds)
        assert (told["utility"] < info["utility"]) == (consensus != "none")
        assert ("consensus_energy" in told) == (consensus != "none")


def test_pbft_needs_four_replicas():
    with pytest.raises(ValueError, match="num_miners must be at least 4 with pbft, got 3"):
        make(consensus="pbft", num_miners=3)


# Rounds


def test_rounds_by_hand():
    ready = np.array([[0.1, 0.2, 0.4], [0.1, 0.2, np.inf], [np.inf] * 3])
    seconds, share, staleness = synchronous_round(ready, 0.5)
    assert seconds.tolist() == [0.4, 0.5, 0.5] and staleness.tolist() == [0.0] * 3
    assert share == pytest.approx([1.0, 2 / 3, 0.0])
    seconds, share, staleness = asynchronous_round(ready, 0.5)
    # 10, 5 and 2.5 updates per second: three take 3 / 17.5 s. Others' meanwhile: .1 · 7.5, .2 · 12.5, .4 · 15.
    assert seconds == pytest.approx([3 / 17.5, 3 / 15, 0.5])
    assert share == pytest.approx([1.0, 2 / 3, 0.0])
    assert staleness == pytest.approx([(0.75 + 2.5 + 6.0) / 3, (0.5 + 2.0) / 2, 0.0])


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=9), st.floats(0.01, 2.0))
def test_not_to_wait_is_never_slower_and_staleness_is_at_least_that_of_equals(ready, deadline):
    ready = np.array(ready)
    together, apart = synchronous_round(ready, deadline), asynchronous_round(ready, deadline)
    assert apart.seconds <= together.seconds * (1 + 1e-12) and together.seconds <= deadline
    assert apart.share == together.share
    assert apart.staleness >= max((ready <= deadline).sum() - 1, 0) - 1e-9


@pytest.mark.parametrize("deployment", ["edge", "cloud", "edge-cloud"])
def test_info_tells_the_round_of_the_slots_own_latencies(deployment):
    envs = [make(aggregation=kind, deployment=deployment) for kind in ("synchronous", "asynchronous")]
    for env in envs:
        env.reset(seed=2)
    wired_m = envs[0].task.course.wired_m
    centre = int(aggregator_of(envs[0].scenario, wired_m)[0])
    assert centre == (wired_m[0].sum(0).argmin() if deployment == "edge" else 3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = rng.integers(4, size=6)
        infos = [env.step(action)[4] for env in envs]
        server, update_s = infos[0]["server"], envs[0].task.terms.users[0, :, 3]
        ready = update_s + 5e-10 * 1e5 * wired_m[0, server, centre]
        ready += 0.02 * (server != centre) * (deployment != "edge")
        assert infos[0]["round"] == pytest.approx(min(ready.max(), 0.5))
        assert infos[0]["round_share"] == (ready <= 0.5).mean()
        assert infos[1]["round"] <= infos[0]["round"] and infos[0]["staleness"] == 0.0 < infos[1]["staleness"]
        assert infos[0]["score"] == infos[1]["score"]  # reported only, without effect


def test_a_synchronous_round_waits_in_vain_for_a_twin_whose_host_is_down():
    envs = [make(aggregation=kind, failure_rate_per_s=1e-9) for kind in ("synchronous", "asynchronous")]
    for env in envs:
        env.reset(seed=0)
        host = env.task.server()
        centre = int(aggregator_of(env.scenario, env.task.course.wired_m)[0])
        down = next(int(k) for k in host if k != centre)
        env.task.tape.up[0, 1, down] = False
        lost = (host == down).mean()
        info = env.step(host)[4]
        assert info["isolations"] == lost * 6 and info["round_share"] == pytest.approx(1 - lost)
        assert (info["round"] == 0.5) == (env is envs[0])
    env.task.tape.up[0, 2, centre] = False  # no update reaches a failed aggregator
    assert env.step(host)[4]["round_share"] == 0.0
