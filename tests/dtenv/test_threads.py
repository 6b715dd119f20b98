"""Threads that play a batch."""

import os
import pickle
import subprocess
import sys

import pytest
from paths import ROOT

from dtenv.envs.threads import ThreadPool


def test_every_part_is_done_once_and_errors_come_through():
    pool, done = ThreadPool(2), []
    for _ in range(2):
        pool.apply(done.append, range(5))
        pool.close()
    assert sorted(done) == sorted([*range(5)] * 2)
    assert pickle.loads(pickle.dumps(pool)).threads == 2
    with pytest.raises(ZeroDivisionError):
        pool.apply(lambda part: 1 / part, [1, 0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_batch_that_was_stepped_steps_in_a_forked_child():
    """A forked child has none of its parent's threads."""
    code = """
import os, signal
import gymnasium as gym
import agents, dtenv

envs = gym.make_vec("DTMigration-v0", num_envs=64, vectorization_mode="vector_entry_point", threads=2, num_slots=5)
policy = agents.load("payback", "DTMigration-v0", num_slots=5)
obs, _ = envs.reset(seed=0)
obs, *_ = envs.step(policy.act(obs))
child = os.fork()
if not child:
    signal.alarm(120)  # a child that waits for its parent's threads dies by it
    obs, *_ = envs.step(policy.act(obs))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child hung"
envs.step(policy.act(obs))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
