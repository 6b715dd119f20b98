"""Stable-Baselines3 and sb3-contrib on a batch: results of single environments, episode ends and action masks."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from paths import ROOT

import dtenv  # noqa: F401 (registers the environments)

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is optional")
pytest.importorskip("sb3_contrib", reason="sb3-contrib is optional")

from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

from dtenv.envs.sb3 import SB3VecEnv

torch = pytest.importorskip("torch")
SMALL = {
    "DTAssociation-v0": {"num_users": 4, "num_servers": 3, "num_slots": 6},
    "DTMigration-v0": {"num_users": 5, "num_stations": 3, "num_slots": 7},
    "DTPlacementMA-v0": {"scenario": "small-20x5", "num_users": 6, "num_slots": 5, "action": "association"},
}
NET = {"net_arch": [8]}


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are faster with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def vector(env_id, num_envs=4, autoreset_mode="same_step", **settings):
    settings = {**SMALL[env_id], "threads": 1, "autoreset_mode": autoreset_mode, **settings}
    return gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **settings)


def batch(env_id, num_envs=4, **settings):
    return SB3VecEnv(vector(env_id, num_envs, **settings))


def parameters(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()])


@pytest.mark.parametrize("env_id", SMALL)
def test_rows_are_single_environments_stepped_by_hand(env_id):
    venv, singles = batch(env_id), [gym.make(env_id, **SMALL[env_id]) for _ in range(4)]
    venv.seed(11)
    obs = venv.reset()
    began = [env.reset(seed=11 + i) for i, env in enumerate(singles)]
    np.testing.assert_array_equal(obs, [o for o, _ in began])
    rng, ends = np.random.default_rng(0), 0
    for _ in range(2 * SMALL[env_id]["num_slots"] + 1):
        actions = np.stack([np.asarray(rng.integers(venv.action_space.nvec if env_id != "DTMigration-v0" else 3))
                            for _ in range(4)])  # fmt: skip
        obs, rewards, dones, infos = venv.step(actions)
        assert obs.dtype == rewards.dtype == np.float32 and dones.dtype == bool and len(infos) == 4
        for i, env in enumerate(singles):
            row, reward, _, truncated, info = env.step(actions[i])
            assert rewards[i] == np.float32(reward) and dones[i] == infos[i]["TimeLimit.truncated"] == truncated
            scalars = {key: value for key, value in info.items() if not isinstance(value, np.ndarray)}
            assert scalars.items() <= infos[i].items()
            if truncated:
                ends += 1
                np.testing.assert_array_equal(infos[i]["terminal_observation"], row)
                assert infos[i].keys() == info.keys() | {"terminal_observation", "TimeLimit.truncated"}
                for key, value in info.items():
                    np.testing.assert_array_equal(infos[i][key], value, err_msg=key)
                row, info = env.reset()
                np.testing.assert_array_equal(venv.reset_infos[i]["action_mask"], info["action_mask"])
            np.testing.assert_array_equal(obs[i], row)
            np.testing.assert_array_equal(venv.infos["action_mask"][i], info["action_mask"])
            np.testing.assert_array_equal(
                venv.env_method("action_masks", indices=i)[0], env.get_wrapper_attr("action_masks")().ravel()
            )
    assert ends == 8
    venv.close()


def test_seeds_are_used_once_and_options_are_shared():
    venv, other = batch("DTMigration-v0"), vector("DTMigration-v0")
    assert venv.seed(3) == [3, 4, 5, 6]
    first = venv.reset()
    np.testing.assert_array_equal(first, other.reset(seed=3)[0])
    assert not np.array_equal(venv.reset(), first)
    venv.seed(3)
    np.testing.assert_array_equal(venv.reset(), first)
    venv.set_options([{}, {"a": 1}, {}, {}])
    with pytest.raises(ValueError, match="same for all"):
        venv.reset()


def test_observations_and_rewards_are_not_overwritten_by_the_next_step():
    venv = batch("DTMigration-v0")
    venv.reset()
    obs, rewards, dones, _ = venv.step(np.zeros(4, int))
    kept = obs.copy(), rewards.copy(), dones.copy()
    for _ in range(8):
        venv.step(np.ones(4, int))
    for now, then in zip((obs, rewards, dones), kept, strict=True):
        np.testing.assert_array_equal(now, then)


def test_attributes_are_the_batch_s():
    venv = batch("DTAssociation-v0")
    assert isinstance(venv, VecEnv) and venv.render_mode is None and venv.get_attr("num_envs", [0, 2]) == [4, 4]
    assert venv.env_is_wrapped(Monitor) == [False] * 4 and venv.env_is_wrapped(Monitor, indices=1) == [False]
    assert venv.get_images() == [None] * 4 and not venv.has_attr("no_such_thing")
    with pytest.raises(AttributeError, match="no_such_thing"):
        venv.get_attr("no_such_thing")
    venv.set_attr("note", "all")
    assert venv.get_attr("note") == ["all"] * 4
    with pytest.raises(ValueError, match="'note' can only be set for all"):
        venv.set_attr("note", "one", indices=[1])
    with pytest.raises(ValueError, match="must return one value"):
        venv.env_method("__repr__")
    assert venv.env_method("action_masks", indices=[3, 1])[0].shape == (12,)


@pytest.mark.parametrize("mode", ["next_step", "disabled"])
def test_other_autoreset_modes_are_refused(mode):
    with pytest.raises(ValueError, match="autoreset_mode"):
        SB3VecEnv(vector("DTMigration-v0", autoreset_mode=mode))


def test_arrays_that_change_with_the_next_step_are_refused():
    with pytest.raises(ValueError, match="copy=True"):
        SB3VecEnv(vector("DTMigration-v0", copy=False))


def test_masks_that_mark_no_choice_are_refused():
    with pytest.raises(ValueError, match="masks of 30 entries do not fit"):
        get_action_masks(batch("DTPlacementMA-v0", action="price"))


LEARNERS = {
    "PPO-association": (PPO, "DTAssociation-v0", {}, {"n_steps": 8, "batch_size": 16, "n_epochs": 2}),
    "PPO-placement-price": (PPO, "DTPlacementMA-v0", {"action": "price"}, {"n_steps": 8, "batch_size": 16}),
    "A2C-migration": (A2C, "DTMigration-v0", {}, {}),
    "DQN-migration": (DQN, "DTMigration-v0", {}, {"learning_starts": 40, "train_freq": 4, "buffer_size": 400}),
    "MaskablePPO-association": (MaskablePPO, "DTAssociation-v0", {}, {"n_steps": 8, "batch_size": 16, "n_epochs": 2}),
    "MaskablePPO-migration": (MaskablePPO, "DTMigration-v0", {}, {"n_steps": 8, "batch_size": 16, "n_epochs": 2}),
    "MaskablePPO-joint": (MaskablePPO, "DTMigration-v0", {"control": "joint"}, {"n_steps": 8, "batch_size": 16}),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_learners_train_and_one_seed_gives_one_policy(name):
    learner, env_id, settings, hyper = LEARNERS[name]
    trained = []
    for seed in (5, 5, 6):
        model = learner("MlpPolicy", batch(env_id, **settings), seed=seed, policy_kwargs=NET, device="cpu", **hyper)
        before = parameters(model)
        model.learn(96)
        trained.append(parameters(model))
        assert np.isfinite(trained[-1]).all() and not np.array_equal(before, trained[-1])
    np.testing.assert_array_equal(trained[0], trained[1])
    assert not np.array_equal(trained[1], trained[2])


class Steps(BaseCallback):
    """Stores the actions of a rollout and their masks."""

    def __init__(self):
        super().__init__()
        self.played = []

    def _on_step(self):
        self.played.append((self.locals["action_masks"].copy(), self.locals["actions"].copy()))
        return True


class OddMasks(gym.vector.VectorWrapper):
    """Random masks per row and slot, as a focal user's own masks allow every station."""

    slot = 0

    def step(self, actions):
        self.slot += 1
        return super().step(actions)

    def action_masks(self):
        masks = np.random.default_rng(self.slot).random((self.num_envs, 4)) < 0.5
        masks[:, self.slot % 4] = True
        return masks


@pytest.mark.parametrize(
    ("env_id", "wrapper", "settings"),
    [
        ("DTMigration-v0", OddMasks, {"num_stations": 4}),
        ("DTMigration-v0", None, {"num_users": 6, "num_stations": 4, "twin_capacity": 2, "control": "joint"}),
        ("DTAssociation-v0", None, {"sync_capacity": (15.0, 100.0)}),
    ],
    ids=["Discrete", "MultiDiscrete-migration", "MultiDiscrete-association"],
)
def test_no_masked_action_is_ever_taken(env_id, wrapper, settings):
    env = vector(env_id, **settings)
    venv = SB3VecEnv(wrapper(env) if wrapper else env)
    assert is_masking_supported(venv) and is_masking_supported(VecMonitor(venv))
    model = MaskablePPO("MlpPolicy", venv, n_steps=32, batch_size=64, seed=1, policy_kwargs=NET, device="cpu")
    steps = Steps()
    model.learn(256, callback=steps)
    masks, actions = (np.stack(part) for part in zip(*steps.played, strict=True))
    masks = masks.reshape(*actions.reshape(len(actions), 4, -1).shape, -1)
    actions = actions.reshape(masks.shape[:-1])
    allowed = np.take_along_axis(masks, actions[..., None], axis=-1)[..., 0]
    choice = masks.any(axis=-1)  # where all is masked, sb3-contrib draws as if nothing were
    assert masks[choice].mean() < 0.95 and choice.mean() > 0.5, "the scenario masks next to nothing, or all"
    assert allowed[choice].all()


def test_truncation_bootstraps_from_the_terminal_observation():
    model = PPO("MlpPolicy", batch("DTMigration-v0"), n_steps=7, batch_size=7, seed=2, policy_kwargs=NET, device="cpu")
    other = batch("DTMigration-v0")
    other.seed(2)
    other.reset()
    _, callback = model._setup_learn(28)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, 7)
    buffer = model.rollout_buffer
    for t in range(7):
        _, rewards, dones, infos = other.step(buffer.actions[t, :, 0].astype(int))
        ends = np.stack([info["terminal_observation"] for info in infos]) if dones.all() else None
        if t < 6:
            np.testing.assert_allclose(buffer.rewards[t], rewards, rtol=1e-6)
    assert dones.all()
    values = model.policy.predict_values(model.policy.obs_to_tensor(ends)[0]).detach().numpy()[:, 0]
    np.testing.assert_allclose(buffer.rewards[6], rewards + model.gamma * values, rtol=1e-5)
    assert np.abs(values).min() > 1e-3, "a value of nothing would prove nothing"


def test_replay_holds_terminal_observations_and_time_limits():
    model = DQN("MlpPolicy", batch("DTMigration-v0"), learning_starts=1000, seed=2, policy_kwargs=NET, device="cpu")
    model.learn(32)
    other = batch("DTMigration-v0")
    other.seed(2)
    obs = other.reset()
    buffer = model.replay_buffer
    for t in range(8):
        np.testing.assert_array_equal(buffer.observations[t], obs)
        obs, _, dones, infos = other.step(buffer.actions[t, :, 0])
        after = np.stack([info["terminal_observation"] for info in infos]) if dones.all() else obs
        np.testing.assert_array_equal(buffer.next_observations[t], after)
        assert (buffer.timeouts[t] == dones).all() and (buffer.dones[t] == dones).all()
    assert buffer.timeouts[:8].sum() == 4


def test_monitor_and_normalisation_wrap_it(tmp_path):
    venv = VecNormalize(VecMonitor(batch("DTAssociation-v0"), str(tmp_path / "log"), info_keywords=("energy",)))
    model = PPO("MlpPolicy", venv, n_steps=12, batch_size=16, seed=3, policy_kwargs=NET, device="cpu")
    model.learn(96)
    assert [info["l"] for info in model.ep_info_buffer] == [6] * 16
    assert len((tmp_path / "log.monitor.csv").read_text().splitlines()) == 2 + 16
    assert venv.obs_rms.count > 96
    twin, total = batch("DTAssociation-v0"), 0.0
    venv.seed(8)
    venv.reset()
    twin.seed(8)
    twin.reset()
    for _ in range(6):
        *_, infos = venv.step(np.zeros((4, 4), int))
        total = total + twin.step(np.zeros((4, 4), int))[1]
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], total, rtol=1e-5)
    assert infos[0]["episode"]["energy"] == infos[0]["energy"]


def test_evaluation_counts_episodes():
    model = PPO("MlpPolicy", batch("DTMigration-v0"), n_steps=8, batch_size=16, policy_kwargs=NET, device="cpu")
    returns, lengths = evaluate_policy(
        model, VecMonitor(batch("DTMigration-v0")), n_eval_episodes=6, return_episode_rewards=True
    )
    assert lengths == [7] * 6 and np.isfinite(returns).all()


def test_a_missing_library_is_named():
    code = "import sys; sys.modules['stable_baselines3'] = None; import dtenv.envs.sb3"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and 'pip install "dtenv[sb3]"' in done.stderr
