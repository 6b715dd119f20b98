"""Policies as ONNX: its runtime and torch choose the same actions for real observations."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

import dtenv  # noqa: F401
from agents import export, ppo
from agents.networks import NETWORKS, build
from agents.training.checkpoint import NetworkPolicy, save_policy
from dtenv import presets

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

SITES = {"DTAssociation-v0": "num_servers", "DTPlacementMA-v0": "num_stations", "DTMigration-v0": "num_stations"}
CASES = [  # every network once, whatever environments share it
    *{make: (env_id, kind) for env_id, kinds in NETWORKS.items() for kind, make in kinds.items()}.values()
]
CASES.remove(("DTPlacementMA-v0", "exchange"))
QUICK = {  # one a kind: decisions in sequence, of stations, with forecasts, and by a perceptron
    ("DTAssociation-v0", "equivariant"),
    ("DTPlacementMA-v0", "own"),
    ("DTMigration-v0", "foreseeing"),
    ("DTMigration-v0", "perceptron"),
}
assert {*CASES} >= QUICK
CASES = [pytest.param(*case, id="-".join(case), marks=[] if case in QUICK else pytest.mark.slow) for case in CASES]


def decisive(env_id, kind, scenario):
    """A network whose weights are stirred: at first most choose to stay whatever they see."""
    torch.manual_seed(0)
    network = build(env_id, kind, scenario).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
            if name == "stay":
                parameter.fill_(0.5)
    return network


def observations(env_id, scenario, slots=6):
    envs = gym.make_vec(env_id, num_envs=8, vectorization_mode="vector_entry_point", scenario=scenario)
    envs.action_space.seed(0)
    seen = [envs.reset(seed=0)[0]]
    seen += [envs.step(envs.action_space.sample())[0] for _ in range(slots - 1)]
    return np.concatenate(seen)


def small(env_id):
    face = {"action": "price"} if env_id == "DTPlacementMA-v0" else {}
    return presets.resolve(None, env_id, num_users=3, num_slots=8, **{SITES[env_id]: 4}, **face)


@pytest.mark.parametrize(("env_id", "kind"), CASES)
def test_onnx_runtime_and_torch_agree(tmp_path, env_id, kind):
    scenario = small(env_id)
    policy, obs = NetworkPolicy("ppo", decisive(env_id, kind, scenario)), observations(env_id, scenario)
    export.export(policy, torch.as_tensor(obs[:2]), tmp_path / "p.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "p.onnx")
    expected = policy.act(obs)
    assert len(np.unique(expected)) > 1
    for rows in (slice(None), slice(0, 1), slice(0, 5)):
        (action,) = session.run(["action"], {"obs": obs[rows]})
        assert action.dtype == expected.dtype
        if np.issubdtype(action.dtype, np.floating):
            np.testing.assert_allclose(action, expected[rows], atol=1e-5)
        else:
            np.testing.assert_array_equal(action, expected[rows])


def test_a_network_that_solves_a_market_is_refused(tmp_path):
    scenario = small("DTPlacementMA-v0")
    policy = NetworkPolicy("mappo", build("DTPlacementMA-v0", "exchange", scenario))
    with pytest.raises(ValueError, match="network Exchange cannot be exported"):
        export.export(policy, torch.as_tensor(observations("DTPlacementMA-v0", scenario)[:2]), tmp_path / "p.onnx")


def test_a_checkpoint_exports_with_its_own_sizes(tmp_path, capsys):
    scenario = small("DTAssociation-v0").override(n_syn=2.0)
    network, args = decisive("DTAssociation-v0", "perceptron", scenario), ppo.Args(network="perceptron")
    policy, path = NetworkPolicy("ppo", network), tmp_path / "p.safetensors"
    save_policy(path, policy, args, scenario)
    export.main(export.Export(path, tmp_path / "out" / "p.onnx"))
    assert "obs (batch, 104) -> action" in capsys.readouterr().out
    obs = observations("DTAssociation-v0", scenario)
    (action,) = onnxruntime.InferenceSession(tmp_path / "out" / "p.onnx").run(None, {"obs": obs})
    np.testing.assert_array_equal(action, policy.act(obs))


@pytest.mark.parametrize("env_id", SITES)
def test_scenarios_come_back_from_their_dicts(env_id):
    scenario = small(env_id)
    again = export.scenario_of({"env_id": env_id, "scenario": scenario.as_dict()})
    assert again == dataclasses.replace(scenario, name=again.name)
