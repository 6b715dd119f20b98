"""GPU environments without a GPU: Numba's simulator runs the kernels in Python, and NVIDIA's compiler compiles them.

As a script, this file plays CASES on the simulated device; the tests play them on the CPU and compare.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import gymnasium as gym
import numba
import numpy as np
import pytest
from paths import HELPERS, ROOT

import dtenv

FEW = {"num_users": 3, "num_servers": 2, "num_slots": 2}
SENDING = {
    "utility": dtenv.UtilityProfile(
        **dict.fromkeys(("name", "label", "data", "skew", "metric", "variant"), "test"),
        alpha=(0.2136, 3.603, 0.0013, 0.95, 0.7238, 1.806),
        samples=(50, 2000),
        emd=(0.0, 0.6),
        uplink_bytes=1e3,
        downlink_bytes=None,
        rounds=3,
        compute_factor=1.3,
    ),
    "model_transfer": "uplink",
    "n_agg": 1e-3,
}
STATIONS = {"num_users": 4, "num_stations": 2, "num_slots": 2}
CASES = {
    "association": ("DTAssociation-v0", FEW, "next_step"),
    "association history": ("DTAssociation-v0", FEW | {"history": "action"}, "same_step"),
    "association sending": ("DTAssociation-v0", FEW | SENDING, "same_step"),
    "association random": ("DTAssociation-v0", FEW | {"history": "random", "reward": "literal"}, "next_step"),
    "placement bid": ("DTPlacementMA-v0", STATIONS, "next_step"),
    "placement binary": ("DTPlacementMA-v0", STATIONS | {"action": "binary"}, "same_step"),
    "placement price": ("DTPlacementMA-v0", STATIONS | {"action": "price"}, "same_step"),
    "placement users": ("DTPlacementMA-v0", STATIONS | {"action": "association"}, "next_step"),
    "migration": ("DTMigration-v0", STATIONS | {"horizon": 2}, "same_step"),
    "migration joint": ("DTMigration-v0", STATIONS | {"control": "joint", "walk": "gauss-markov"}, "next_step"),
}
ROWS, STEPS = 3, 7
SIMULATED = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}


def make(name, **settings):
    env_id, scenario, mode = CASES[name]
    settings = {"autoreset_mode": mode} | settings
    return gym.make_vec(env_id, num_envs=ROWS, vectorization_mode="vector_entry_point", **scenario, **settings)


def on_host(told):
    if isinstance(told, dict):
        return {name: on_host(values) for name, values in told.items()}
    if isinstance(told, tuple):
        return tuple(on_host(values) for values in told)
    return told.copy_to_host() if hasattr(told, "copy_to_host") else np.array(told)


def play(env):
    """Results of a few steps; some rows are reset in between, so that episodes end at different times."""
    env.action_space.seed(5)
    yield on_host(env.reset(seed=3))
    for step in range(STEPS):
        yield on_host(env.step(env.action_space.sample()))
        if step == 0:
            mask = np.arange(ROWS) == 1
            yield on_host(env.reset(seed=[None, 8, None], options={"reset_mask": mask}))
    yield on_host(env.action_masks())


def streams_of(env):
    return on_host(env.task.of(env.task.host_task.streams)) if hasattr(env.task, "of") else env.task.streams.copy()


def refused(env, actions):
    with pytest.raises(ValueError) as error:
        env.step(actions)
    return str(error.value)


def bad_actions(env):
    """Error messages of invalid actions; no slot is played."""
    env.reset(seed=0)
    good = env.action_space.sample()
    yield refused(env, good[:2])
    yield refused(env, good.astype(np.complex128))
    wrong = good.copy()
    wrong[1, 0] = 9 if good.dtype.kind == "i" else np.nan
    yield refused(env, wrong)
    yield refused(env, np.where(np.arange(ROWS)[:, None] == 2, wrong[1], good))


def simulate(path):
    """Compute everything that the tests compare, on the simulated device."""
    from numba import cuda

    told = {}
    for name in CASES:
        env = make(name, device="cuda", copy=name != "placement bid")
        told[name] = list(play(env)), streams_of(env)
    for name in ("association", "placement bid", "placement binary"):
        told[f"bad {name}"] = list(bad_actions(make(name, device="cuda")))
    env = make("association", device="cuda", copy=False, check=False)
    env.reset(seed=0)
    actions = np.array([[0, 1, 5], [-3, 0, 0], [1, 1, 1]])
    told["unchecked"] = on_host(env.step(cuda.to_device(actions))[1])
    obs = env.step(actions)[0]
    told["views"] = obs is env.task.obs, env.step(actions)[0] is obs
    for name, settings in {"threads": {"threads": 2}, "forecaster": {"forecaster": Northward()}}.items():
        with pytest.raises((TypeError, ValueError)) as error:
            make("migration", device="cuda", **settings)
        told[name] = str(error.value)
    with path.open("wb") as file:
        pickle.dump(told, file)


class Northward:
    def positions(self, walks, horizon, area_m):
        return np.repeat(walks[:, :, None], horizon, axis=2)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "told.pickle"
    environment = os.environ | SIMULATED | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HELPERS)])}
    command = [sys.executable, "-W", "ignore::RuntimeWarning", __file__, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with path.open("rb") as file:
        return pickle.load(file)


def alike(ours, theirs, where):
    """Assert equality to 1e-12 wherever the CPU's mask is set."""
    assert ours.keys() == theirs.keys(), where
    for name, expected in theirs.items():
        if isinstance(expected, dict):
            alike(ours[name], expected, f"{where} {name}")
            continue
        mask = theirs[f"_{name}"] if not name.startswith("_") else np.ones(len(expected), bool)
        given, expected = ours[name][mask], expected[mask]
        if expected.dtype == object:
            expected = np.stack(expected)
        assert given.dtype == expected.dtype and given.shape == expected.shape, (where, name)
        np.testing.assert_allclose(given, expected, rtol=1e-12, atol=1e-12, err_msg=f"{where} {name}")


@pytest.mark.parametrize("name", CASES)
def test_rows_on_the_device_are_the_cpus(name, simulated):
    env, (told, streams) = make(name), simulated[name]
    ends = 0
    for step, (ours, theirs) in enumerate(zip(told, play(env), strict=True)):
        if not isinstance(theirs, tuple):
            np.testing.assert_array_equal(ours, theirs)
            continue
        for a, b in zip(ours[:-1], theirs[:-1], strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=f"step {step}")
        alike(ours[-1], theirs[-1], f"step {step}")
        ends += theirs[3].any() if len(theirs) == 5 else 0
    assert ends >= 4  # rows end at different times
    np.testing.assert_array_equal(streams, env.task.streams)


@pytest.mark.parametrize("name", ["association", "placement bid", "placement binary"])
def test_bad_actions_are_named_as_on_the_cpu(name, simulated):
    ours, theirs = simulated[f"bad {name}"], list(bad_actions(make(name)))
    assert ours == [message.replace(", one server per user", "") for message in theirs]


def test_unchecked_actions_are_held_in_range(simulated):
    env = make("association")
    env.reset(seed=0)
    rewards = env.step(np.array([[0, 1, 1], [0, 0, 0], [1, 1, 1]]))[1]
    np.testing.assert_allclose(simulated["unchecked"], rewards, rtol=1e-12)


def test_without_copies_the_environments_own_arrays_are_handed_out(simulated):
    assert simulated["views"] == (True, True)


def test_settings_of_the_cpu_alone_are_refused(simulated):
    assert "threads" in simulated["threads"]
    assert simulated["forecaster"].startswith('forecaster must be one of dtenv\'s own with device="cuda", got <')


def test_other_devices_and_missing_ones_are_named(monkeypatch):
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, got 'tpu'"):
        make("association", device="tpu")
    monkeypatch.setattr("numba.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r'needs an NVIDIA GPU .* pip install "dtenv\[cuda\]"'):
        make("association", device="cuda")


class Host:
    """Stub of Numba's `cuda` that leaves arrays on the host, for the kernels' signatures."""

    to_device = staticmethod(lambda array: array)
    device_array = staticmethod(np.empty)


def launches(monkeypatch):
    """Kernels that CASES launch, by name and types of their arguments."""
    from dtenv import presets
    from dtenv.envs import vector_entry_points as device
    from dtenv.envs.cuda import episodes as cuda_episodes
    from dtenv.envs.cuda import tasks as cuda_tasks

    seen = {}

    def launch(self, kernel, count, *given):
        types_given = tuple(numba.typeof(values) for values in given)
        seen[f"{kernel.py_func.__name__}{types_given}"] = kernel, types_given

    for module in (cuda_episodes, cuda_tasks):
        monkeypatch.setattr(module, "cuda", Host)
    monkeypatch.setattr(cuda_episodes.CudaTask, "_launch", launch)
    for env_id, scenario, _ in CASES.values():
        task = getattr(cuda_tasks, device.ENVS[env_id][1])(presets.resolve(None, env_id, **scenario), ROWS)
        task.reset_rows(task.rows)
        task.load_actions(gym.vector.utils.batch_space(task.action_space, ROWS).sample(), None, check=False)
        task.step(task.rows)
    return list(seen.values())


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_nvidias_compiler_takes_every_kernel(monkeypatch):
    from numba import cuda

    gpu = types.SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: gpu)  # asked for even so
    compiled = set()
    for kernel, given in launches(monkeypatch):
        ptx, _ = cuda.compile(kernel.py_func, given, device=False, abi="numba", cc=(9, 0))
        assert ".visible .entry" in ptx and ".extern .func" not in ptx
        compiled.add(kernel.py_func.__name__)
    from dtenv.envs.cuda import kernels as cuda_kernels

    dispatchers = {name for name, value in vars(cuda_kernels).items() if hasattr(value, "targetoptions")}
    assert compiled == dispatchers - {"form_at"}


def has_gpu():
    if importlib.util.find_spec("numba_cuda") is None or "NUMBA_ENABLE_CUDASIM" in os.environ:
        return False
    from numba import cuda

    return cuda.is_available()


@pytest.mark.skipif(not has_gpu(), reason="no GPU that Numba can use")
@pytest.mark.parametrize("name", CASES)
def test_rows_on_a_gpu_are_the_cpus(name):
    ours, theirs = make(name, device="cuda", copy=False), make(name)
    for a, b in zip(play(ours), play(theirs), strict=True):
        if not isinstance(b, tuple):
            np.testing.assert_array_equal(a, b)
            continue
        for x, y in zip(a[:-1], b[:-1], strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)  # an observation's float32 may round otherwise
        alike(a[-1], b[-1], "infos")
    np.testing.assert_array_equal(streams_of(ours), streams_of(theirs))
    obs = ours.task.obs.__cuda_array_interface__
    assert obs["shape"] == theirs.task.obs.shape and obs["typestr"] == "<f4"


if __name__ == "__main__":
    simulate(Path(sys.argv[1]))
