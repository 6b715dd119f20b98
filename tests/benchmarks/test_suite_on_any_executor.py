"""A sweep of 2 scenarios x 3 learners x 5 seeds gives the same rows on every executor, also when workers are lost."""

import json
import multiprocessing
import os
import signal

import pytest

from benchmarks.suites import run
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.run import RunSuite
from benchmarks.suites.suite import Cell, Suite, Training

SHORT = {"total_steps": 32, "num_envs": 4, "num_steps": 4, "num_minibatches": 2, "warm_start": "none"}
A2C = {name: SHORT[name] for name in ("total_steps", "num_envs", "num_steps", "warm_start")}
LEARNERS = (
    Training("ppo", "ppo", SHORT),
    Training("ppo, γ = .5", "ppo", {**SHORT, "gamma": 0.5}),
    Training("a2c", "a2c", A2C),
)
SUITE = Suite(
    name="everywhere",
    about="Two small cells, three learners.",
    cells=tuple(
        Cell(
            "DTAssociation-v0",
            "balanced",
            LEARNERS,
            heuristics=(),
            fields={"num_servers": servers, "num_users": 4, "num_slots": 4},
        )
        for servers in (2, 3)
    ),
    seeds=5,
    episodes=4,
)
JOBS = 2 * 3 * 5


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(SUITES, "everywhere", SUITE)


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """Results of one process."""
    out = tmp_path_factory.mktemp("serial") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUITES, "everywhere", SUITE)
        return written(out, workers=1)


def written(out, **where):
    """Sorted rows, learning curves without their seconds, and policies."""
    run.main(RunSuite("everywhere", out=out, **where))
    trainings = [json.loads(line) for line in (out / "trainings.jsonl").read_text().splitlines()]
    for training in trainings:
        del training["seconds"]
        for point in training["curve"]:
            del point["seconds"]
    rows = (out / "rows.csv").read_text().splitlines()
    assert len(rows) == 1 + JOBS * 4 and len(trainings) == JOBS
    policies = {path.name: path.read_bytes() for path in (out / "policies").glob("*.safetensors")}
    assert len({*policies.values()}) == len(policies) == JOBS
    return sorted(rows), sorted(trainings, key=str), policies


def after(results, lose, monkeypatch):
    """Call `lose` after a number of stored results."""
    kept = []
    keep = run.keep

    def and_lose(*given):
        keep(*given)
        kept.append(given)
        if len(kept) == results:
            lose()

    monkeypatch.setattr(run, "keep", and_lose)
    return kept


def test_processes(tmp_path, serial, monkeypatch):
    def lose():
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    kept = after(4, lose, monkeypatch)
    assert written(tmp_path / "out", workers=2) == serial
    assert len(kept) == JOBS


@pytest.mark.slow  # test_workers loses a worker and a node in every run
def test_a_cluster_of_three_nodes(tmp_path, serial, monkeypatch):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"object_store_memory": 2**27, "num_cpus": 1}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0, "include_dashboard": False})
    workers = [cluster.add_node(wait=False, **node) for _ in range(3)]
    cluster.wait_for_nodes()
    try:
        kept = after(4, lambda: cluster.remove_node(workers[0], allow_graceful=False), monkeypatch)
        assert written(tmp_path / "out", ray=cluster.address) == serial
        assert len(kept) == JOBS
    finally:
        cluster.shutdown()
