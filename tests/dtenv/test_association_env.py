"""DTAssociation-v0: Gymnasium's API contract, `info` against the reference model, and bitwise reproducibility."""

from __future__ import annotations

import copy
import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
from cases_association import COMPRESSED
from cases_env import ASSOCIATION, pickled, play, same
from cases_env import SETTINGS as ALL_SETTINGS
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from reference_association import baseline_2, fits, instance_of, rate, score, terms

import dtenv
from dtenv.instance import score as score_instance
from dtenv.scenario.association import HISTORIES, REWARDS

PRESETS = ("balanced", "paper", "sequential")
SETTINGS = ALL_SETTINGS[ASSOCIATION]
INFO = {"score", "objective", "utility", "energy", "energy_migration", "energy_synchronisation", "energy_computation"}
INFO |= {"energy_transfer"}
INFO |= {"latency", "cost", "violations", "feasible", "migrations", "history", "action_mask"}
CROWDED = {"n_syn": 30.0, "compute_capacity": (40.0, 120.0), "num_slots": 30}  # C2 and C3 often break

SENDING = {"utility": COMPRESSED, "model_transfer": "both", "n_agg": 1e-3}


def make(**settings):
    return gym.make("DTAssociation-v0", **settings)


# The contract


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
def test_gymnasiums_checker_has_nothing_to_say(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(**settings).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("settings", SETTINGS[:-1], ids=lambda s: "-".join(s.values()))
def test_stable_baselines_checker_has_nothing_to_say(settings):
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3.check_env(make(**settings))


def test_gymnasiums_checker_has_nothing_to_say_of_structured_observations():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        check_env(dtenv.StructuredObservation(make()), skip_render_check=True)


def test_structured_observation_shows_the_same_numbers():
    flat, structured = make(), dtenv.StructuredObservation(make())
    obs, info = flat.reset(seed=3)
    blocks, _ = structured.reset(seed=3)
    for _ in range(2):
        assert {name: block.shape for name, block in blocks.items()} == {
            "users": (20, 8),
            "servers": (15, 8),
            "links": (20, 15, 4),
        }
        assert np.array_equal(np.concatenate([block.ravel() for block in blocks.values()]), obs)
        assert structured.observation_space.contains(blocks)
        obs, blocks = flat.step(info["server"])[0], structured.step(info["server"])[0]


def test_truncated_after_num_slots_and_never_terminated():
    env = make(num_slots=7)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(False, True)]


@pytest.mark.parametrize("unwrapped", [False, True])
def test_stepping_at_the_wrong_time(unwrapped):
    env = make(num_slots=1)
    env = env.unwrapped if unwrapped else env
    action = np.zeros(20, np.int64)
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(action)
    env.reset(seed=0)
    env.step(action)
    with pytest.raises(ResetNeeded, match=r"after the episode's end \(num_slots=1\)"):
        env.step(action)
    env.reset()
    env.step(action)


BAD_SERVERS = [
    (np.zeros(19, np.int64), "action must have shape (20,), one server per user, got shape (19,)"),
    (np.zeros((1, 20), np.int64), "action must have shape (20,), one server per user, got shape (1, 20)"),
    (3, "action must have shape (20,), one server per user, got shape ()"),
    ([[1, 2], [3]], "action must be an array, got a ragged sequence [[1, 2], [3]]"),
    (np.zeros(20), "action must hold integers, got dtype float64"),
    (np.zeros(20, bool), "action must hold integers, got dtype bool"),
    ([0] * 7 + [15] + [0] * 12, "action[7] must be a server in 0..14, got 15"),
    ([0] * 19 + [-1], "action[19] must be a server in 0..14, got -1"),
    (np.full(20, 2**64 - 1, np.uint64), "action[0] must be a server in 0..14, got "),
]


@pytest.mark.parametrize(("action", "message"), BAD_SERVERS, ids=range(len(BAD_SERVERS)))
def test_a_bad_action_is_named_and_changes_nothing(action, message):
    env, other = make().unwrapped, make().unwrapped
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(ValueError) as error:
        env.step(action)
    assert message in str(error.value)
    assert same(play(env, 2, 0), play(other, 2, 0))


HOME = [0] * 20
BAD_HISTORIES = [
    (HOME, 'action must be a dict of "server" and "history", got [0, 0,'),
    ({"server": HOME}, 'action must be a dict of "server" and "history", got {'),
    ({"server": HOME, "history": [0.5] * 19}, 'action["history"] must have shape (20,), got shape (19,)'),
    ({"server": HOME, "history": [0.5] * 19 + [1.5]}, 'action["history"][19] must lie in [0, 1], got 1.5'),
    ({"server": HOME, "history": [math.nan] + [0.5] * 19}, 'action["history"][0] must lie in [0, 1], got nan'),
    ({"server": [0] * 19 + [15], "history": [0.5] * 20}, "action[19] must be a server in 0..14, got 15"),
]


@pytest.mark.parametrize(("action", "message"), BAD_HISTORIES, ids=range(len(BAD_HISTORIES)))
def test_a_bad_dict_action_is_named(action, message):
    env = make(history="action").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError) as error:
        env.step(action)
    assert message in str(error.value)


@pytest.mark.parametrize("kind", [list, tuple, np.int8, np.uint8, np.int32, np.uint64])
def test_whole_numbers_of_any_kind_are_actions(kind):
    env, other = make(), make()
    action = env.reset(seed=0)[1]["server"]
    other.reset(seed=0)
    given = kind(action.tolist()) if kind in (list, tuple) else action.astype(kind)
    assert np.array_equal(env.step(given)[0], other.step(action)[0])


def test_unknown_keywords_list_the_known_ones():
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'num_user' .*'num_users'\?\); known: .*num_slots, num_users"
    ):
        make(num_user=3)
    with pytest.raises(ValueError, match=r"scenario 'balance' is unknown .*'balanced'\?\); known: balanced, paper"):
        make(scenario="balance")
    with pytest.raises(ValueError, match=r"options has no entries in this environment, got \{'x': 1\}"):
        make().reset(options={"x": 1})


# Randomness


def test_seeds():
    env, other = make(), make()
    first = env.reset(seed=5)[0]
    second = env.reset()[0]
    assert not np.array_equal(first, second)  # a new episode
    assert not np.array_equal(first, env.reset(seed=6)[0])
    play(env, 3, 0)
    assert np.array_equal(first, env.reset(seed=5)[0])  # whatever came before
    assert np.array_equal(first, other.reset(seed=5)[0])
    assert np.array_equal(second, other.reset()[0])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
@pytest.mark.parametrize("history", HISTORIES)
def test_a_copy_goes_on_as_the_original(duplicate, history):
    env = make(history=history)
    env.reset(seed=2)
    play(env, 3, 0)
    twin = duplicate(env)
    expected = [*play(env, 3, 1), env.reset()[0], *play(env, 2, 2)]
    found = [*play(twin, 3, 1), twin.reset()[0], *play(twin, 2, 2)]
    assert same(expected, found)


def test_what_step_returns_is_not_written_to_again():
    env = make()
    obs, info = env.reset(seed=0)
    kept = copy.deepcopy((obs, info))
    obs_1, _, _, _, info_1 = env.step(info["server"])
    kept_1 = copy.deepcopy((obs_1, info_1))
    play(env, 3, 0)
    assert same([obs, *info.values()], [kept[0], *kept[1].values()])
    assert same([obs_1, *info_1.values()], [kept_1[0], *kept_1[1].values()])


def test_users_walk_alike_whatever_the_servers():
    """Common random numbers: scenarios that differ only in their servers share users' walks and data."""
    few, many = dtenv.StructuredObservation(make(num_servers=9)), dtenv.StructuredObservation(make(num_servers=21))
    shown = few.reset(seed=4)[0]["users"], many.reset(seed=4)[0]["users"]
    for _ in range(5):
        assert np.array_equal(*shown)
        shown = tuple(env.step(np.zeros(20, np.int64))[0]["users"] for env in (few, many))


def test_a_slots_past_is_the_last_slots_present():
    env = make()
    obs, info = env.reset(seed=0)
    for _ in range(5):
        before, before_xy = env.unwrapped.task.layout.split(obs), env.unwrapped.task.slot().user_xy
        action = np.roll(info["server"], 1)
        obs = env.step(action)[0]
        users = env.unwrapped.task.layout.split(obs)["users"]
        slot = env.unwrapped.task.slot()
        assert np.array_equal(users[:, 5], before["users"][:, 4])  # D_{t-1} was D_t
        assert not np.array_equal(users[:, 5], users[:, 4])
        assert np.array_equal(slot.previous_server, action)
        np.testing.assert_allclose(users[:, 2:4], (slot.user_xy - before_xy) / 2, atol=1e-6)


def test_draws_lie_in_table_iis_ranges():
    env = make(num_slots=200)
    shown = []
    for seed in range(3):
        _, info = env.reset(seed=seed)
        for _ in range(200):
            shown.append(env.unwrapped.task.slot())
            env.step(info["server"])
    drawn = {name: np.array([getattr(slot, name) for slot in shown]) for name in shown[0]._fields}
    ranges = {"user_xy": (0, 120), "samples": (100, 300), "twin_bits": (4400, 4600), "server_xy": (0, 120)}
    ranges |= {"cycles_per_bit": (54, 56), "compute_capacity": (1400, 1500), "sync_capacity": (120, 130)}
    for name, (low, high) in ranges.items():
        assert low <= drawn[name].min() < drawn[name].max() <= high, name
        middle, spread = (low + high) / 2, (high - low) / 2
        assert abs(drawn[name].mean() - middle) < 0.3 * spread, name
    assert (drawn["samples"].min(), drawn["samples"].max()) == (100, 300)
    assert np.array_equal(drawn["samples"], np.round(drawn["samples"]))
    walked = np.linalg.norm(np.diff(drawn["user_xy"][:200], axis=0), axis=-1)  # metres a slot, 1 s long
    assert walked.max() <= 2 + 1e-9
    assert 1 <= np.median(walked) <= 2
    assert (walked < 1 - 1e-9).mean() < 0.1  # at turns alone


def test_make_vec_in_sync_mode_is_single_environments_side_by_side():
    vec = gym.make_vec("DTAssociation-v0", num_envs=3, vectorization_mode="sync", num_servers=9)
    obs, info = vec.reset(seed=7)
    actions = info["server"]
    after, rewards, *_ = vec.step(actions)
    for i in range(3):
        env = make(num_servers=9)
        assert np.array_equal(env.reset(seed=7 + i)[0], obs[i])
        single, reward, *_ = env.step(actions[i])
        assert np.array_equal(single, after[i])
        assert reward == rewards[i]


# Numbers


def adversary(kind, env, t, rng):
    scenario = env.scenario
    users, servers = scenario.network.num_users, scenario.network.num_servers
    if kind == "all on one":
        return np.full(users, 0)
    if kind == "to and fro":
        return np.full(users, t % 2)
    if kind == "farthest":
        slot = env.task.slot()
        return np.abs(slot.user_xy[:, None] - slot.server_xy[None]).sum(axis=-1).argmax(axis=1)
    return rng.integers(servers, size=users)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_ten_thousand_steps_of_malice_stay_finite(preset, reward):
    env = make(scenario=preset, reward=reward, num_slots=500).unwrapped
    low, high = env.observation_space.low, env.observation_space.high
    rng = np.random.default_rng(0)
    for seed in range(5):
        for kind in ("all on one", "to and fro", "farthest", "random"):
            obs, _ = env.reset(seed=seed)
            for t in range(500):
                assert ((obs >= low) & (obs <= high)).all()
                obs, worth, _, _, info = env.step(adversary(kind, env, t, rng))
                assert isinstance(worth, float) and math.isfinite(worth)
                assert all(math.isfinite(info[key]) for key in INFO - {"history", "action_mask"})
                assert ((info["history"] >= 0) & (info["history"] <= 1)).all()


@pytest.mark.parametrize(
    "settings", [*({"scenario": p} for p in PRESETS), CROWDED, SENDING], ids=[*PRESETS, "crowded", "sending"]
)
@pytest.mark.parametrize("history", HISTORIES)
def test_info_is_the_reference_models(settings, history):
    env = make(history=history, **settings)
    rng = np.random.default_rng(0)
    migrations = 0
    for seed in range(2):
        before = env.reset(seed=seed)[1]["server"]
        for _ in range(5):
            instance = instance_of(env.unwrapped.task.slot(), env.unwrapped.scenario)
            assert instance["users"]["previous_server"] == before.tolist()
            action = np.where(rng.random(20) < 0.5, before, rng.integers(15, size=20))
            instance["action"]["server"] = action.tolist()
            given = {"server": action, "history": rng.random(20)} if history == "action" else action
            _, _, _, _, info = env.step(given)
            expected = terms(instance, info["history"])
            parts = {name: sum(expected["energy"][name]) for name in expected["energy"]}
            found = {name: info[f"energy_{name}"] for name in parts}
            assert found == pytest.approx(parts, rel=1e-9)
            assert info["energy"] == pytest.approx(sum(parts.values()), rel=1e-9)
            assert info["utility"] == pytest.approx(np.mean(expected["utility"]), rel=1e-9)
            assert info["objective"] == pytest.approx(expected["objective"], abs=1e-9)
            assert info["score"] == pytest.approx(score(instance, info["history"]), abs=1e-8)
            upload = np.mean(instance["users"]["samples"]) * 784 / rate(instance["params"])
            assert info["latency"] == pytest.approx(upload, rel=1e-9)
            assert info["migrations"] == (action != before).sum()
            assert info["feasible"] == all(expected["feasible"].values()) == (info["violations"] == 0)
            penalty = 0.04 * info["violations"] + 0.4 * info["cost"]
            assert info["score"] == pytest.approx(info["objective"] - penalty, abs=1e-12)
            migrations += info["migrations"]
            before = action
    assert migrations > 0


def test_the_crowded_case_breaks_both_constraints():
    env = make(**CROWDED)
    env.reset(seed=0)
    instance = instance_of(env.unwrapped.task.slot(), env.unwrapped.scenario, np.arange(20) % 15)
    assert terms(instance, [0.0] * 20)["feasible"] == {"compute": False, "synchronisation": False}


def test_info_is_the_same_whatever_the_reward():
    found = {}
    for reward in REWARDS:
        env = make(reward=reward)
        env.reset(seed=1)
        steps = [env.step(env.unwrapped.task.state.server[0])[1::3] for _ in range(3)]
        found[reward] = [np.array(info[key]) for _, info in steps for key in sorted(INFO)], [r for r, _ in steps]
    infos = [info for info, _ in found.values()]
    assert all(same(infos[0], info) for info in infos[1:])
    assert len({tuple(found[reward][1]) for reward in ("barrier", "literal", "objective")}) == 3


def test_info_keys():
    env = make()
    _, info = env.reset(seed=0)
    assert set(info) == {"action_mask", "server"}
    assert set(env.step(info["server"])[4]) == INFO


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("settings", [{}, CROWDED], ids=["balanced", "crowded"])
def test_reward(reward, settings):
    env = make(reward=reward, barrier_curve=50.0, **settings)
    action = env.reset(seed=0)[1]["server"]
    instance = instance_of(env.unwrapped.task.slot(), env.unwrapped.scenario, action)
    _, worth, _, _, info = env.step(action)
    energy, servers, wall = terms(instance, info["history"])["energy"], instance["servers"], 0.0
    for part, limit in (("computation", "compute_capacity"), ("synchronisation", "sync_capacity")):
        for load, capacity in zip(energy[part], servers[limit], strict=True):
            slack = 1 - load / capacity
            if reward == "literal":
                wall -= math.log(max(capacity - load, 1e-9)) / 50
            elif reward == "barrier" and slack >= 0.01:  # 1 / 2f
                wall -= math.log(slack) / 50
            elif reward == "barrier":  # the same value and slope at the join; then .04 + .4 x excess
                width = 0.04 / (2 - 0.4)
                wall += math.log(100) / 50 + 0.04 * (1 - math.exp(-(0.01 - slack) / width)) + 0.4 * (0.01 - slack)
    assert worth == pytest.approx((info["score"] if reward == "score" else info["objective"]) - wall, abs=1e-6)
    assert info["feasible"] == (not settings)


def test_action_mask_is_what_could_hold_the_twin_alone():
    seen = set()
    for seed in range(3):
        env = make(**CROWDED)
        _, info = env.reset(seed=seed)
        for _ in range(3):
            instance = instance_of(env.unwrapped.task.slot(), env.unwrapped.scenario)
            alone = np.array([[fits(instance, [u], s) for s in range(15)] for u in range(20)])
            alone[~alone.any(axis=1)] = True  # nowhere: the choice is left open
            assert np.array_equal(info["action_mask"], alone)
            assert np.array_equal(env.unwrapped.action_masks(), alone)
            seen |= {bool(x) for x in alone.ravel()}
            info = env.step(np.zeros(20, np.int64))[4]
    assert seen == {False, True}


def test_action_masks_steer_maskable_ppo():
    contrib = pytest.importorskip("sb3_contrib")
    env = make(num_users=4, num_servers=3, num_slots=8, n_syn=10.0)
    model = contrib.MaskablePPO("MlpPolicy", env, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu")
    model.learn(16)
    obs, _ = env.reset(seed=0)
    refused = 0
    for _ in range(8):
        mask = env.unwrapped.action_masks()
        action, _ = model.predict(obs, action_masks=mask)
        assert mask[np.arange(4), action].all()
        refused += (~mask).sum()
        obs = env.step(action)[0]
    assert refused > 0


@pytest.mark.parametrize("settings", [{}, CROWDED], ids=["balanced", "crowded"])
def test_first_association_is_baseline_2s_at_slot_0(settings):
    for seed in range(5):
        env = make(**settings)
        _, info = env.reset(seed=seed)
        task = env.unwrapped.task
        before = task.slot()._replace(user_xy=task.tape.user_xy[0, 0], samples=task.tape.samples[0, 0])
        assert info["server"].tolist() == baseline_2(instance_of(before, env.unwrapped.scenario))


def test_observation_entry_by_entry():
    env = make(num_users=5, num_servers=4, label_counts=[[1, 9], [9, 1], [5, 5], [4, 1], [2, 2]])
    env.reset(seed=0)
    env.step([0, 1, 2, 2, 0])
    obs = env.step([3, 1, 2, 2, 0])[0]
    task = env.unwrapped.task
    slot, blocks = task.slot(), task.layout.split(obs)
    walked = (slot.user_xy - task.tape.user_xy[0, 2]) / 2  # at most 2 m a slot
    users = [slot.user_xy / 60 - 1, walked]
    users += [x[:, None] / 300 for x in (slot.samples, slot.previous_samples)]
    users += [slot.twin_bits[:, None] / 4600, slot.emd[:, None] / 2]
    np.testing.assert_allclose(blocks["users"], np.hstack(users), atol=1e-6)
    assert len(set(slot.emd)) == 4

    instance, hosts = instance_of(slot, env.unwrapped.scenario), np.array([3, 1, 2, 2, 0])
    energy = terms(instance, [0.0] * 5)["energy"]
    servers = [slot.server_xy / 60 - 1]
    servers += [x[:, None] for x in (slot.cycles_per_bit / 56, slot.compute_capacity / 1500, slot.sync_capacity / 130)]
    servers += [np.bincount(hosts, minlength=4)[:, None] / 5]
    servers += [(np.array(energy["computation"]) / slot.compute_capacity)[:, None]]
    servers += [(np.array(energy["synchronisation"]) / slot.sync_capacity)[:, None]]
    np.testing.assert_allclose(blocks["servers"], np.hstack(servers), atol=1e-6)

    away = np.abs(slot.user_xy[:, None] - slot.server_xy[None]).sum(axis=-1)
    move = np.abs(slot.server_xy[hosts][:, None] - slot.server_xy[None]).sum(axis=-1)
    share = 3 * slot.samples[:, None] * 784 / rate(instance["params"]) * away / slot.sync_capacity
    links = np.stack([away / 240, np.eye(4)[hosts], move / 240, np.minimum(share, 1)], axis=-1)
    np.testing.assert_allclose(blocks["links"], links, atol=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_slot_can_be_read_back_from_the_observation(preset):
    env = make(scenario=preset)
    rng = np.random.default_rng(0)
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        for _ in range(3):
            slot = env.unwrapped.task.slot()
            rows = env.unwrapped.task.decode(obs[None])
            read = type(slot)(*(field[0] for field in rows))
            for name, true, shown in zip(slot._fields, slot, read, strict=True):
                np.testing.assert_allclose(shown, true, rtol=2e-7, atol=1e-5, err_msg=name)
            assert np.array_equal(read.samples, slot.samples)
            assert np.array_equal(read.previous_server, slot.previous_server)
            action = np.where(rng.random(20) < 0.8, slot.previous_server, rng.integers(15, size=20))
            planned = score_instance(instance_of(read, env.unwrapped.scenario, action))["objective"]
            obs, _, _, _, info = env.step(action)
            assert info["objective"] == pytest.approx(planned, abs=1e-4)


# Options


def test_the_agent_may_choose_the_history():
    env = make(history="action")
    _, info = env.reset(seed=0)
    given = np.linspace(0, 1, 20)
    found = env.step({"server": info["server"], "history": given})[4]["history"]
    assert np.array_equal(found, given)
    assert env.action_space.contains(env.action_space.sample())


def test_random_history_is_drawn_anew_each_slot_and_again_with_the_seed():
    def histories(seed):
        env = make(history="random")
        _, info = env.reset(seed=seed)
        return np.array([env.step(info["server"])[4]["history"] for _ in range(20)])

    drawn = histories(0)
    assert np.array_equal(drawn, histories(0))
    assert not np.array_equal(drawn, histories(1))
    assert len(np.unique(drawn)) == 400 and drawn.min() >= 0 and drawn.max() <= 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.06)  # four standard errors


def test_no_history_and_the_best_history():
    objectives = {}
    for history in ("none", "random", "optimal"):
        env = make(history=history)
        _, info = env.reset(seed=0)
        info = env.step(info["server"])[4]
        objectives[history] = info["objective"]
        assert history != "none" or not info["history"].any()
    assert objectives["optimal"] > max(objectives["none"], objectives["random"])


def test_label_counts_set_the_earth_movers_distance():
    env = make(num_users=3, label_counts=[[10, 0], [0, 10], [5, 5]])
    env.reset(seed=0)
    assert env.unwrapped.task.slot().emd.tolist() == [1.0, 1.0, 0.0]
    alike = make(num_users=3, label_counts=[[1, 1]] * 3)
    _, info = alike.reset(seed=0)
    assert env.step(info["server"])[4]["utility"] < alike.step(info["server"])[4]["utility"]
