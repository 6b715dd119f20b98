"""Every executor runs each job once, also when workers and nodes are killed."""

import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

import pytest
import toy_jobs
import tyro
from toy_jobs import Found, Square

from benchmarks import workers
from benchmarks.workers import JobFailed, play


def squares(folder, count, **settings):
    return [Square(number, folder, **settings) for number in range(count)]


def check(jobs, played):
    """No job is lost, doubled or mixed up, and each has one thread."""
    assert sorted(job.number for job, _ in played) == sorted(job.number for job in jobs)
    assert all(result == (job.number**2, "1") for job, result in played)


@pytest.fixture(scope="module")
def cluster():
    """Ray cluster of three local nodes with one core each."""
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(toy_jobs)
    nodes = {"object_store_memory": 2**27, "num_cpus": 1}
    cluster = Cluster(initialize_head=True, head_node_args={**nodes, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(wait=False, **nodes)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def test_one_after_another(tmp_path):
    jobs = squares(tmp_path, 3)
    played = list(play(jobs))
    assert [job for job, _ in played] == jobs
    check(jobs, played)


def test_processes_survive_a_kill(tmp_path):
    jobs = [*squares(tmp_path, 4), Square(4, tmp_path, kills=1)]
    check(jobs, list(play(jobs, workers=2)))
    assert jobs[4].begun() == 2
    assert os.getpid() not in {int(file.read_text().split()[0]) for file in tmp_path.iterdir()}


def test_a_job_that_always_kills_its_process_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "RETRIES", 1)
    job = Square(0, tmp_path, kills=99)
    with pytest.raises(JobFailed, match="lost 2 times in a row at 1 job 'square 0'"):
        list(play([job], workers=2))
    assert job.begun() == 2


@pytest.mark.parametrize("many", [1, 2])
def test_a_job_that_raises_is_named(tmp_path, many):
    jobs = [Square(0, tmp_path, raises=True), *squares(tmp_path, 1000, seconds=0.05)[1:]]
    with pytest.raises(JobFailed, match="job 'square 0' failed: ZeroDivisionError: on purpose") as raised:
        list(play(jobs, workers=many))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert len(list(tmp_path.iterdir())) < 100  # the others are not waited for


def test_ray_survives_a_killed_worker_and_a_killed_node(tmp_path, cluster):
    import ray

    jobs = [Square(0, tmp_path, kills=1), *squares(tmp_path, 3, waits=True)[1:], *squares(tmp_path, 9)[3:]]
    played = []
    for job, result in play(jobs, ray=cluster.address):
        if not played:
            lost = kill_a_node(cluster, jobs[1:3])
            (tmp_path / "go").touch()
        played.append((job, result))
    check(jobs, played)
    assert jobs[0].begun() == 2 and lost.begun() == 2
    assert not ray.is_initialized()


def kill_a_node(cluster, jobs):
    """Kill a node other than the head, with its worker; return the job that was running there."""
    nodes = {node.all_processes["raylet"][0].process.pid: node for node in cluster.worker_nodes}
    while True:
        for job in jobs:
            for file in job.folder.glob(f"{job.number}-*"):
                worker, raylet = map(int, (file.read_text() or "0 0").split())
                if raylet in nodes:
                    cluster.remove_node(nodes[raylet], allow_graceful=False)
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                    return job
        time.sleep(0.02)


def test_a_job_that_raises_on_ray_is_named(tmp_path, cluster):
    jobs = [Square(0, tmp_path, raises=True), *squares(tmp_path, 100, seconds=0.05)[1:]]
    with pytest.raises(JobFailed, match="job 'square 0' failed: ZeroDivisionError: on purpose"):
        list(play(jobs, ray=cluster.address))
    assert jobs[0].begun() == 1 and len(list(tmp_path.iterdir())) < 50


def test_other_machines_are_sent_the_packages(tmp_path, cluster, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    [(_, (folders, compiled))] = play([Found()], ray=cluster.address)
    assert all("py_modules_files" in folder for folder in folders) and not compiled


@pytest.mark.parametrize(
    ("words", "ray"),
    [([], None), (["--ray"], "local"), (["--ray", "auto"], "auto"), (["--ray", "h:1"], "h:1")],
    ids=str,
)
def test_the_flag_takes_an_address_or_none(words, ray):
    @dataclass
    class Settings:
        name: tyro.conf.Positional[str]
        ray: workers.RayAddress = None
        number: int = 1

    assert tyro.cli(Settings, args=["a", *words, "--number", "2"]) == Settings("a", ray, 2)


def test_nonsense_is_refused(tmp_path):
    job = Square(0, tmp_path)
    with pytest.raises(ValueError, match="got 'square 0' twice"):
        play([job, job])
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        play([job], workers=0)
    for address in ("127.0.0.1:1", "nowhere"):
        with pytest.raises(ConnectionError, match=f"ray must be a cluster's address that answers, got '{address}'"):
            list(play([job], ray=address))
    assert list(play([])) == []
