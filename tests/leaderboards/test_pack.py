"""Exported policies choose the same actions as before."""

import json
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import dtenv
from agents import export, ppo
from agents.networks import build
from agents.training.checkpoint import NetworkPolicy, save_policy
from dtenv import presets
from dtenv.wrappers import Relaxation
from leaderboards import pack
from leaderboards.submission import problems, read
from leaderboards.track_spec import spec_of
from leaderboards.tracks import TRACKS

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

MIGRATION = TRACKS["migration-balanced"]
ABOUT = {
    "authors": ["Ada Lovelace"],
    "algorithm": "PPO",
    "training_seeds": [0],
    "env_steps": 512,
    "hardware": "2 cores",
    "code": "https://example.org/agent",
    "licence": "MIT",
}


def test_a_newcomers_sb3_policy_is_packed_and_valid(tmp_path):
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    from dtenv.envs.sb3 import SB3VecEnv

    envs = gym.make_vec(
        MIGRATION.env_id,
        num_envs=8,
        vectorization_mode="vector_entry_point",
        autoreset_mode="same_step",
        scenario=MIGRATION.cells[0].resolve(),
    )
    model = stable_baselines3.PPO("MlpPolicy", SB3VecEnv(envs), n_steps=16, batch_size=64, seed=0, device="cpu")
    model.learn(256)
    begun = time.perf_counter()
    folder = pack.pack(pack.sb3(model), tmp_path / "my-ppo", MIGRATION, name="my-ppo", **ABOUT)
    assert problems(folder) == []
    assert time.perf_counter() - begun < 150.0  # half of what a newcomer is promised for all
    submission = read(folder)
    assert submission.inputs == ("obs",)
    assert submission.manifest["dtenv"] == dtenv.__version__
    assert str(Path.cwd()).encode() not in submission.model  # no traces of the machine
    session = onnxruntime.InferenceSession(submission.model)
    obs = model.env.reset()
    (action,) = session.run(None, {"obs": obs})
    np.testing.assert_array_equal(action, model.predict(obs, deterministic=True)[0])


class Endless(gym.Env):
    """Environment with random observations and a given action space."""

    observation_space = spaces.Box(-1.0, 1.0, (6,), np.float32)

    def __init__(self, actions):
        self.action_space = actions

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1.0, 1.0, 6).astype(np.float32), {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}


ACTIONS = {
    "discrete": spaces.Discrete(5),
    "multi": spaces.MultiDiscrete([3, 4]),
    "box": spaces.Box(np.float32([0.0, -2.0]), np.float32([1.0, 3.0])),
}
LEARNERS = [("PPO", "discrete"), ("PPO", "multi"), ("PPO", "box"), ("A2C", "multi"), ("DQN", "discrete")]
LEARNERS += [("SAC", "box"), ("TD3", "box"), ("DDPG", "box")]


@pytest.mark.parametrize(("learner", "actions"), LEARNERS, ids=["-".join(case) for case in LEARNERS])
def test_modules_of_sb3_choose_what_its_models_predict(learner, actions):
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    model = getattr(stable_baselines3, learner)("MlpPolicy", Endless(ACTIONS[actions]), seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.mul_(3.0)  # far enough to leave the box
    obs = np.random.default_rng(0).uniform(-1.0, 1.0, (64, 6)).astype(np.float32)
    expected, _ = model.predict(obs, deterministic=True)
    assert len(np.unique(expected, axis=0)) > 1
    given = pack.sb3(model)(torch.as_tensor(obs)).detach().numpy()
    assert given.shape == expected.shape
    np.testing.assert_allclose(given, expected, rtol=0.0, atol=1e-6)
    assert all(model.action_space.contains(row.astype(model.action_space.dtype)) for row in given)


@pytest.mark.parametrize("choices", ["discrete", "equal"])
def test_scores_of_continuous_learners_are_turned_into_choices(choices):
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    relaxed = Relaxation(spaces.Discrete(5) if choices == "discrete" else spaces.MultiDiscrete([4, 4, 4]))
    model = stable_baselines3.SAC("MlpPolicy", Endless(relaxed.space), seed=0, device="cpu")
    obs = np.random.default_rng(0).uniform(-1.0, 1.0, (64, 6)).astype(np.float32)
    expected = relaxed.chosen(model.predict(obs, deterministic=True)[0])
    np.testing.assert_array_equal(pack.sb3(model, relaxed)(torch.as_tensor(obs)).numpy(), expected)


def test_sb3_policies_that_no_graph_can_hold_are_refused():
    contrib, sb3 = pytest.importorskip("sb3_contrib"), pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env = Endless(ACTIONS["discrete"])
    with pytest.raises(ValueError, match="RecurrentActorCriticPolicy cannot be exported: it is recurrent"):
        pack.sb3(contrib.RecurrentPPO("MlpLstmPolicy", env, device="cpu"))
    with pytest.raises(ValueError, match="VecNormalize"):
        pack.sb3(sb3.PPO("MlpPolicy", VecNormalize(DummyVecEnv([lambda: env])), device="cpu"))
    with pytest.warns(UserWarning, match="without its masks"):
        pack.sb3(contrib.MaskablePPO("MlpPolicy", env, device="cpu"))


class Agent(torch.nn.Module):
    """Agent in the style of CleanRL."""

    def __init__(self, size, choices):
        super().__init__()
        self.critic = torch.nn.Sequential(torch.nn.Linear(size, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
        self.actor = torch.nn.Sequential(torch.nn.Linear(size, 16), torch.nn.Tanh(), torch.nn.Linear(16, choices))

    def get_action_and_value(self, obs):
        choice = torch.distributions.Categorical(logits=self.actor(obs))
        action = choice.sample()
        return action, choice.log_prob(action), choice.entropy(), self.critic(obs)


class Greedy(torch.nn.Module):
    def __init__(self, agent):
        super().__init__()
        self.actor = agent.actor

    def forward(self, obs):
        return self.actor(obs).argmax(-1)


def test_a_cleanrl_agent_is_packed(tmp_path):
    torch.manual_seed(0)
    folder = pack.pack(Greedy(Agent(228, 10)), tmp_path / "clean", "migration-balanced", name="clean", **ABOUT)
    assert read(folder).parameters == 228 * 16 + 16 + 16 * 10 + 10  # no critic


def test_choices_that_hang_on_rounding_are_told_and_may_be_allowed(tmp_path, monkeypatch):
    torch.manual_seed(0)
    policy, asked, right = Greedy(Agent(228, 10)), [], pack._actions

    def rounded(module, inputs):
        asked.append(1)
        return (right(module, inputs) + (len(asked) == 4)) % 10  # one of ten slots otherwise

    monkeypatch.setattr(pack, "_actions", rounded)
    with pytest.raises(ValueError, match=r"differs in 10\.0% of choices"):
        pack.pack(policy, tmp_path / "close", MIGRATION, name="close", **ABOUT)
    assert not list((tmp_path / "close").iterdir())
    asked.clear()
    assert read(pack.pack(policy, tmp_path / "close", MIGRATION, name="close", differing=0.1, **ABOUT))


class Nearest(torch.nn.Module):
    """Server with the smallest link entry for every user; any number of servers."""

    def forward(self, servers, links):
        return (links[..., 0] + 0.0 * servers[:, None, :, 0]).argmin(-1)


class Shape(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, obs):
        return self.answer(obs)


def test_a_policy_for_any_number_of_servers_is_packed(tmp_path):
    folder = pack.pack(Nearest(), tmp_path / "any", "association-topology", name="any", **ABOUT)
    assert read(folder).inputs == ("servers", "links")


@pytest.mark.parametrize(
    ("track", "policy", "message"),
    [
        ("association-topology", Shape(lambda obs: obs), "policy must take blocks of observations by name"),
        ("migration-balanced", Shape(lambda obs: obs.argmax(-1) + 10), r"action must be in \[0, 9\], got "),
        ("migration-balanced", Shape(lambda obs: obs[:, 0]), "action must be of an integer type, got float32"),
    ],
    ids=["flat", "outside", "scores"],
)
def test_policies_that_a_track_cannot_take_are_refused(tmp_path, track, policy, message):
    with pytest.raises(ValueError, match=message):
        pack.pack(policy, tmp_path / "x1", track, name="x1", **ABOUT)


def test_networks_that_cannot_be_exported_are_refused(tmp_path):
    small = presets.resolve(None, "DTPlacementMA-v0", num_users=3, num_stations=4, action="price")
    policy = NetworkPolicy("mappo", build("DTPlacementMA-v0", "exchange", small), {"action": "price"})
    with pytest.raises(ValueError, match="network Exchange cannot be exported"):
        pack.pack(policy, tmp_path / "x1", "placement-small-20x5", name="x1", **ABOUT)
    network = build("DTAssociation-v0", "perceptron", TRACKS["association-balanced"].cells[0].resolve())
    with pytest.raises(ValueError, match="network Perceptron cannot be exported for the track 'association-topology'"):
        pack.pack(NetworkPolicy("ppo", network), tmp_path / "x1", "association-topology", name="x1", **ABOUT)


def checkpoint(path, network="perceptron"):
    torch.manual_seed(0)
    scenario = MIGRATION.cells[0].resolve()
    args = ppo.Args(env_id="DTMigration-v0", network=network, seed=7, total_steps=12_345)
    policy = NetworkPolicy("ppo", build("DTMigration-v0", network, scenario).eval())
    save_policy(path, policy, args, scenario)


def test_the_command_packs_a_checkpoint(tmp_path, capsys):
    checkpoint(tmp_path / "p.safetensors")
    settings = {"authors": ["Ada"], "code": "https://example.org", "licence": "MIT", "track": "migration-balanced"}
    pack.main(pack.Pack(tmp_path / "p.safetensors", name="my-net", out=tmp_path / "my-net", **settings))
    assert "evaluate" in capsys.readouterr().out
    about = read(tmp_path / "my-net").manifest
    assert about["training"] == {"seeds": [7], "env_steps": 12_345, "hardware": "not stated"}
    assert about["spec_sha256"] == spec_of(MIGRATION).sha256
    with pytest.raises(SystemExit, match="is for DTMigration-v0, not for DTAssociation-v0"):
        other = settings | {"track": "association-balanced"}
        pack.main(pack.Pack(tmp_path / "p.safetensors", name="x1", out=tmp_path / "x1", **other))
    with pytest.raises(SystemExit, match="licence: must be an SPDX id"):
        wrong = settings | {"licence": "mine"}
        pack.main(pack.Pack(tmp_path / "p.safetensors", name="x1", out=tmp_path / "x1", **wrong))


def test_the_command_loads_checkpoints_of_sb3(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    from agents import sb3 as ours
    from dtenv.wrappers import RelaxedAction

    scenario = MIGRATION.cells[0].resolve()
    env = RelaxedAction(gym.make("DTMigration-v0", scenario=scenario, disable_env_checker=True))
    model = sb3.TD3("MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [8]})
    policy, path = ours.SB3Policy("TD3", model.policy, scenario, {}), tmp_path / "p.safetensors"
    ours.save_policy(path, policy, ours.Args(algorithm="TD3", env_id="DTMigration-v0"), scenario, {"net_arch": [8]})
    module = pack._load(json.loads(path.with_suffix(".json").read_text()), path, MIGRATION)
    obs = np.random.default_rng(0).uniform(-1.0, 1.0, (32, 228)).astype(np.float32)
    np.testing.assert_array_equal(module(torch.as_tensor(obs)).numpy(), policy.act(obs))


def test_one_graph_serves_any_number_of_servers(tmp_path):
    """Of 9, 15 and 21 servers: the same actions as networks built for each."""

    def scenario(servers):
        return presets.resolve("balanced", "DTAssociation-v0", num_users=2, num_servers=servers, num_slots=8)

    torch.manual_seed(0)
    networks = {servers: build("DTAssociation-v0", "equivariant", scenario(servers)).eval() for servers in (9, 15, 21)}
    with torch.no_grad():
        for name, parameter in networks[9].named_parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
            if name == "stay":
                parameter.fill_(0.5)
    example = networks[15].layout.split(torch.zeros(2, networks[15].layout.size))
    free = {"servers": {1: "S"}, "links": {2: "S"}}
    export.write(export.GreedyBlocks(networks[9]), example, tmp_path / "p.onnx", free)
    session = onnxruntime.InferenceSession(tmp_path / "p.onnx")
    for servers, network in networks.items():
        network.load_state_dict(networks[9].state_dict())
        envs = gym.make_vec(
            "DTAssociation-v0", num_envs=8, vectorization_mode="vector_entry_point", scenario=scenario(servers)
        )
        envs.action_space.seed(0)
        obs, seen = envs.reset(seed=0)[0], []
        for _ in range(6):
            expected = NetworkPolicy("ppo", network).act(obs)
            (action,) = session.run(None, network.layout.split(obs))
            np.testing.assert_array_equal(action, expected)
            obs = envs.step(envs.action_space.sample())[0]
            seen.append(expected)
        assert len(np.unique(seen)) > 2
