"""docs/libraries.md is true: every library's blocks run as printed and do what the page says."""

import importlib.util
import re
import sys
import types

import pytest
from paths import ROOT

PAGE = ROOT / "docs" / "libraries.md"
TEXT = PAGE.read_text()


@pytest.fixture(autouse=True)
def one_thread():
    """Torch's threads cost small networks more than they save."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def blocks(section):
    """The Python blocks of a section, up to the next one."""
    part = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert part, f"{PAGE.name} has no section {section!r}"
    return re.findall(r"^```python\n(.*?)^```", part[1], re.DOTALL | re.MULTILINE)


def run(monkeypatch, tmp_path, needs, *sections):
    """What the sections' blocks define, run one after another in an empty folder."""
    for module in needs:
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            pytest.skip(f"{module} is not installed; {PAGE.name} says how")
        pytest.importorskip(module, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    recipe = types.ModuleType("recipe")  # a module, as BenchMARL pickles its task's class
    monkeypatch.setitem(sys.modules, "recipe", recipe)
    names = vars(recipe)
    for section in sections:
        assert blocks(section), f"{section} has no Python block"
        for block in blocks(section):
            exec(compile(block, f"{PAGE.name}: {section}", "exec"), names)
    return names


def test_every_block_belongs_to_a_tested_section():
    tested = ("Gymnasium", "A loop of your own", "Stable-Baselines3", "TorchRL", "BenchMARL", "RLlib")
    assert sum(len(blocks(section)) for section in tested) == TEXT.count("```python\n")


def test_links_lead_to_sections():
    for anchor in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert re.search(rf"^## {anchor.replace('-', '.')}$", TEXT, re.IGNORECASE | re.MULTILINE), anchor


def test_gymnasium(monkeypatch, tmp_path):
    names = run(monkeypatch, tmp_path, (), "Gymnasium")
    assert names["allowed"].shape == (32, 20, 15)
    assert names["obs"].shape == (4, names["envs"].single_observation_space.shape[0])
    assert names["info"]["score"].shape == (4,) and not names["truncations"].any()


def test_loop_of_your_own(monkeypatch, tmp_path):
    names = run(monkeypatch, tmp_path, ("torch",), "A loop of your own")
    # 96 steps over episodes of 40 slots and the step that resets: rows 40 and 81 are none of the learner's.
    ended, valid = names["ended"], names["valid"]
    assert (~valid).nonzero()[:, 0].unique().tolist() == [81 - 3 * 24] and (~valid[9]).all()
    assert ended.nonzero()[:, 0].unique().tolist() == [80 - 3 * 24]
    assert (names["rewards"][~valid] == 0.0).all() and names["loss"].isfinite()


def test_stable_baselines(monkeypatch, tmp_path):
    names = run(monkeypatch, tmp_path, ("stable_baselines3", "sb3_contrib"), "Stable-Baselines3")
    assert names["model"].num_timesteps == 512 and names["venv"].num_envs == 16


def test_torchrl(monkeypatch, tmp_path):
    import numpy as np

    names = run(monkeypatch, tmp_path, ("torchrl",), "TorchRL")
    data, make = names["data"], names["PlacementEnvs"]
    assert data["next", "agents", "reward"].shape == (8, 60, 5, 1)
    ends = data["next", "truncated"][..., 0]
    assert ends.nonzero()[:, 1].unique().tolist() == [24, 49] and not data["next", "terminated"].any()

    import dtenv

    env, single = make(3, seed=4, scenario="small-20x5", action="price"), dtenv.parallel_env(
        "DTPlacementMA-v0", scenario="small-20x5", action="price"
    )  # fmt: skip
    begun = env.reset()
    obs, _ = single.reset(seed=5)
    np.testing.assert_array_equal(begun["agents", "observation"][1].numpy(), np.stack(list(obs.values())))
    stepped = env.rand_step(begun)
    actions = stepped["agents", "action"][1].numpy()
    obs, rewards, *_ = single.step(dict(zip(single.agents, actions, strict=True)))
    after = stepped["next"]
    np.testing.assert_array_equal(after["agents", "observation"][1].numpy(), np.stack(list(obs.values())))
    np.testing.assert_allclose(after["agents", "reward"][1, :, 0].numpy(), list(rewards.values()), rtol=1e-6)
    np.testing.assert_array_equal(after["state"][1].numpy(), single.state())

    import torch

    chosen = env.reset(after.exclude(("agents", "reward")).set("_reset", torch.tensor([[True], [False], [True]])))
    np.testing.assert_array_equal(chosen["agents", "observation"][1], after["agents", "observation"][1])
    assert not torch.equal(chosen["agents", "observation"][0], after["agents", "observation"][0])


def test_benchmarl(monkeypatch, tmp_path):
    names = run(monkeypatch, tmp_path, ("torchrl", "benchmarl"), "TorchRL", "BenchMARL")
    experiment = names["experiment"]
    assert experiment.total_frames == 400 and experiment.mean_return < 0.0
    assert experiment.max_steps == 25


def test_rllib(monkeypatch, tmp_path):
    names = run(monkeypatch, tmp_path, ("ray.rllib",), "RLlib")
    assert names["result"]["env_runners"]["num_env_steps_sampled"] >= 256
    assert names["stations"]["env_runners"]["episode_len_mean"] == 25
